"""debian/changelog, from records.

Source: Debian Policy 4.4.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError
from pkggen.targets.deb import quote

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from pkggen.recipe.model import Maintainer, Provenance
    from pkggen.recipe.versions import DebVersion

_WIDTH: Final = 78
# What Debian's and Ubuntu's archives close bugs at, whoever wrote the recorded text.
_CLOSES: Final = re.compile(r"(?i)\b(closes|lp)(?=:)")
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One version."""

    version: DebVersion
    """Version."""
    changes: tuple[str, ...]
    """What changed, each one sentence or line."""
    time: datetime
    """When it was built."""


def changelog(name: str, maintainer: Maintainer, entries: Iterable[Entry]) -> str:
    """Return the text.

    Args:
        name: Name of the source package.
        maintainer: Who answers for it.
        entries: Versions, the newest first.
    """
    return "\n".join(_entry(name, maintainer, entry) for entry in entries)


def build_line(provenance: Provenance) -> str:
    """Return what is said of a recorded build."""
    platform = "" if provenance.platform is None else f" on {provenance.platform}"
    where = "" if provenance.origin is None else f", {provenance.origin.url}"
    return f"Build of job {provenance.job}{platform}{where}"


def stamp(time: datetime) -> str:
    """Return a time as changelogs have it, whatever the locale: `Thu, 20 Aug 2026 12:00:00 +0000`.

    Raises:
        InputError: it is before 1980, which Debian's archive refuses, or after 9999.
    """
    utc = time.astimezone(UTC)
    if utc.year < 1980:
        raise InputError(f"the build is said to have been in {utc.year}, which Debian refuses")
    day, month = _DAYS[utc.weekday()], _MONTHS[utc.month - 1]
    return f"{day}, {utc.day:02} {month} {utc.year} {utc:%H:%M:%S} +0000"


def _entry(name: str, maintainer: Maintainer, entry: Entry) -> str:
    lines = [f"{name} ({entry.version}) unstable; urgency=medium", ""]
    for change in entry.changes:
        lines += textwrap.wrap(
            _CLOSES.sub(r"\1 ", quote.prose(change)),
            _WIDTH,
            initial_indent="  * ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    lines += ["", f" -- {maintainer.name} <{maintainer.email}>  {stamp(entry.time)}", ""]
    return "\n".join(lines)
