"""nixpkgs' list of maintainers, and the entry that it may lack.

Source: nixpkgs `maintainers/README.md` and the head of `maintainers/maintainer-list.nix` (entries
and their order).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError
from pkggen.publish.checkout import read_text
from pkggen.targets.nix import quote

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.recipe.model import Maintainer

MAINTAINERS: Final = PurePosixPath("maintainers/maintainer-list.nix")

_ENTRY: Final = re.compile(r'^  ("[^"\n]+"|[\w\'-]+) = \{$', re.MULTILINE)
_LIST: Final = re.compile(
    r"^\{\n  # keep-sorted start [^\n]*case=no[^\n]*\n\n?(?P<entries>(?:  [^\n]*\n)+)"
    r"  # keep-sorted end\n\}\n\Z",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A maintainer in nixpkgs' list."""

    attribute: str
    """Name in `lib.maintainers`."""
    text: str
    """Its lines."""


def maintainer_entry(maintainer: Maintainer, attribute: str) -> Entry:
    """Return a maintainer as nixpkgs' list has it."""
    lines = [
        f"  {quote.attribute(attribute)} = {{",
        f"    email = {quote.string(maintainer.email)};",
    ]
    if maintainer.github is not None and maintainer.github_id is not None:
        lines.append(f"    github = {quote.string(maintainer.github)};")
        lines.append(f"    githubId = {quote.number(maintainer.github_id)};")
    lines += [f"    name = {quote.string(maintainer.name)};", "  };"]
    return Entry(attribute=attribute, text="".join(f"{line}\n" for line in lines))


def missing_entry(checkout: Path, maintainer: Maintainer, attribute: str) -> Entry | None:
    """Return the entry of a maintainer if the checkout's list lacks it, or is not there."""
    text = read_text(checkout, MAINTAINERS) or ""
    quoted = quote.attribute(attribute)
    if any(found[1] == quoted for found in _ENTRY.finditer(text)):
        return None
    return maintainer_entry(maintainer, attribute)


def with_maintainer(text: str, added: Entry) -> str:
    """Return the list of maintainers with one more entry, where keep-sorted wants it.

    Args:
        text: All of maintainer-list.nix.
        added: The entry.

    Raises:
        InputError: the list has not the form that is known, or another entry differs from the name
            in capitals only.
    """
    unexpected = InputError(
        "the list of maintainers has not the expected form",
        where=str(MAINTAINERS),
        hint=f"add this to it yourself, and commit it:\n{added.text}",
    )
    found = _LIST.search(text)
    if found is None:
        raise unexpected
    start, end = found.span("entries")
    key = _sort_key(added.attribute)
    for other in _ENTRY.finditer(text, start, end):
        if _sort_key(other[1]) == key:
            raise InputError(
                f"the list has a maintainer {other[1]} already",
                where=str(MAINTAINERS),
                hint="set another maintainer.nixpkgs in pkggen.yaml",
            )
        if _sort_key(other[1]) > key:
            if other.start() > start and not text.endswith("  };\n", start, other.start()):
                raise unexpected  # a comment may belong to either entry
            return text[: other.start()] + added.text + text[other.start() :]
    return text[:end] + added.text + text[end:]


def _sort_key(attribute: str) -> str:
    return f"{attribute} = {{".lower()
