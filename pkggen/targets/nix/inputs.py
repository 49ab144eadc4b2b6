"""What recorded packages ask of nixpkgs, by the names that opam's depexts give."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError
from pkggen.targets.nix import quote

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

_INPUT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*")
_RENAMED: Final = {"pkgconfig": "pkg-config"}
"""Attributes that old records know by names that nixpkgs has given up."""


def faults(attributes: Iterable[str], own: Collection[str], where: str) -> Iterator[InputError]:
    """Yield an error for each name that is none in nixpkgs, or means something else.

    Args:
        attributes: Names such as `gmp` or `ocamlPackages.zarith`.
        own: What the expression takes as something else.
        where: The record.
    """
    for name in sorted(set(attributes)):
        if not _INPUT.fullmatch(name) or {*name.split(".")} & quote.KEYWORDS:
            yield InputError(
                f"a package asks for the system package {name!r}, which is no name in nixpkgs",
                where=where,
            )
        elif name.partition(".")[0] in own:
            yield InputError(
                f"a package asks for the system package {name}, which means something else here",
                where=where,
                hint="set another name in pkggen.yaml",
            )


def arguments(attributes: Iterable[str]) -> set[str]:
    """Return the arguments of an expression that uses attributes without `faults`."""
    return {name.partition(".")[0] for name in _renamed(attributes)}


def listing(attributes: Iterable[str], *, indent: int) -> quote.Nix:
    """Return the list of attributes without `faults`, sorted."""
    return quote.listing([quote.Nix(name) for name in sorted(_renamed(attributes))], indent=indent)


def _renamed(attributes: Iterable[str]) -> set[str]:
    return {_RENAMED.get(name, name) for name in attributes}
