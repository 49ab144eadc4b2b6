"""The host's packages that the packages of a switch ask for.

Source: the opam manual, field `depexts`; robur-coop/orb `src/orb.ml` (recorded system variables).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkggen.errors import InputError
from pkggen.opam.filter import Variables, holds
from pkggen.recipe.variables import SYSTEM_KEYS, TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pkggen.opam.package import OpamPackage
    from pkggen.record.model import Record


def depexts(record: Record, packages: Iterable[str], target: str = "record") -> tuple[str, ...]:
    """Return the names that the host's package manager knows them by, sorted.

    Args:
        record: The build.
        packages: Names of packages of its switch.
        target: `record`, or a key of `TARGETS`.

    Raises:
        InputError: a condition is none.
    """
    scope = _scope(record, target)
    return tuple(
        sorted(
            {
                name
                for package in packages
                if package in record.switch.packages
                for name in _names(record.switch.packages[package], scope)
            }
        )
    )


def without_names(record: Record, packages: Iterable[str], target: str) -> Iterator[InputError]:
    """Yield an error for each package that used packages of the recorded host and names none here.

    Arguments are those of `depexts`.
    """
    own, other = _scope(record, "record"), _scope(record, target)
    for name in packages:
        package = record.switch.packages.get(name)
        if package is None:
            continue
        needed = sorted(set(_names(package, own)))
        if needed and not any(_names(package, other)):
            yield InputError(
                f"{name} needs {', '.join(needed)} of the recorded host, and does not say what that"
                f" is called in {target}",
                where=record.source,
            )


def _scope(record: Record, target: str) -> Variables:
    environment = record.environment
    system = {name: environment.get(key) or "" for name, key in SYSTEM_KEYS.items()}
    if target != "record":
        system |= TARGETS[target]
    return Variables(globals=system, packages={}, itself=None)


def _names(package: OpamPackage, scope: Variables) -> Iterable[str]:
    return (name for one in package.depexts if holds(one.filter, scope) for name in one.names)
