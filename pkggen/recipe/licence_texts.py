"""The texts of licences that distributions want in each package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkggen import templating

if TYPE_CHECKING:
    from pathlib import Path


def licence_text(identifier: str) -> str | None:
    """Return the text of a licence or exception, without copyright lines; None if there is none.

    Args:
        identifier: As SPDX spells it.
    """
    name = f"{identifier}.txt"
    # A name from the list of files, so that no identifier becomes a path.
    return (_directory() / name).read_text(encoding="utf-8") if name in known() else None


def known() -> frozenset[str]:
    """Return the names of all texts."""
    return frozenset(path.name for path in _directory().glob("*.txt"))


def _directory() -> Path:
    return templating.directory() / "licences"
