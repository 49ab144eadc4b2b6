"""The files that a rebuild starts from, as they were fetched and verified."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pkggen.recipe.plan import Carried
    from pkggen.record.model import Content
    from pkggen.sources.model import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Distfile:
    """One file of a rebuild plan."""

    name: str
    """Name in the plan, unique there."""
    sha256: str
    """64 hexadecimal digits, of bytes that have every recorded checksum."""
    size: int
    """Bytes."""
    content: Content
    """Where the bytes are."""
    source: Source | None
    """What was recorded about it; None for a file that the record itself carries."""
    commit: str | None
    """All digits of the commit that the file is an archive of; None unless git."""


def carried_distfile(carried: Carried, content: Content) -> Distfile:
    """Return a file that the record itself carries.

    Args:
        carried: The file.
        content: Where its bytes are.
    """
    return Distfile(
        name=carried.file_name,
        sha256=hashlib.sha256(carried.content).hexdigest(),
        size=len(carried.content),
        content=content,
        source=None,
        commit=None,
    )
