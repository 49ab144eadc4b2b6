"""The Makefile of a port as `lint` sees it: what is set where, by its text alone.

Only what ports of pkggen use is known: plain assignments, lists over several lines, `.include`,
and targets behind them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BLOCKS: Final = """\
PORTNAME PORTVERSION DISTVERSIONPREFIX DISTVERSION DISTVERSIONSUFFIX PORTREVISION PORTEPOCH
CATEGORIES MASTER_SITES MASTER_SITE_SUBDIR PKGNAMEPREFIX PKGNAMESUFFIX DISTNAME EXTRACT_SUFX
DISTFILES DIST_SUBDIR EXTRACT_ONLY

PATCHFILES

MAINTAINER COMMENT WWW

LICENSE LICENSE_COMB LICENSE_GROUPS LICENSE_NAME LICENSE_TEXT LICENSE_FILE LICENSE_PERMS

DEPRECATED EXPIRATION_DATE FORBIDDEN BROKEN IGNORE ONLY_FOR_ARCHS ONLY_FOR_ARCHS_REASON
NOT_FOR_ARCHS

FETCH_DEPENDS EXTRACT_DEPENDS PATCH_DEPENDS BUILD_DEPENDS LIB_DEPENDS RUN_DEPENDS TEST_DEPENDS

FLAVORS

USES USE_RC_SUBR

STRIP NO_BUILD NO_ARCH SUB_FILES SUB_LIST

NO_WRKSUBDIR WRKSRC

USERS GROUPS

PLIST_FILES
"""
BLOCKS: Final = tuple(tuple(block.split()) for block in _BLOCKS.split("\n\n"))
"""Variables in their blocks, both in the order of the Porter's Handbook, chapter 15."""

_ASSIGNMENT: Final = re.compile(r"([A-Z][A-Za-z0-9_+.-]*?)( ?)([?+:]?=)([ \t]*)(.*)")
_ESCAPED: Final = re.compile(r"\\#|\$\$|\$\{:U\\\\\}")
_PLAIN: Final = {r"\#": "#", "$$": "$", r"${:U\\}": "\\"}
_COMMENT: Final = re.compile(r"(?<!\\)#.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A variable that is set."""

    name: str
    """Name."""
    line: int
    """Where, from 1."""
    gap: str
    """Blanks between `=` and the value."""
    values: tuple[str, ...]
    """Parts of the value, one for each line, as they are written."""
    margins: tuple[str, ...]
    """Blanks before the second and later parts."""
    block: int
    """Number of the paragraph that it stands in."""

    @property
    def text(self) -> str:
        """The value, unescaped."""
        joined = _COMMENT.sub("", " ".join(self.values)).strip()
        return _ESCAPED.sub(lambda match: _PLAIN[match[0]], joined)

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the value; what stands between quotes is one."""
        return tuple(word.strip('"') for word in re.findall(r'"[^"]*"|[^\s"]+', self.text))


def assignments(text: str) -> Iterator[Assignment]:
    """Yield what the text sets, before its first target."""
    lines = text.split("\n")
    index, block, blank = 0, 0, False
    while index < len(lines):
        line, first = lines[index], index
        index += 1
        if not line.strip():
            blank = True
            continue
        block += blank
        blank = False
        found = _ASSIGNMENT.fullmatch(line)
        if found is None:
            if re.match(r"[a-z][a-z-]*:", line):
                return
            continue
        values, margins = [found[5]], []
        while values[-1].endswith("\\") and index < len(lines):
            values[-1] = values[-1].removesuffix("\\").rstrip()
            stripped = lines[index].lstrip()
            margins.append(lines[index][: len(lines[index]) - len(stripped)])
            values.append(stripped)
            index += 1
        yield Assignment(
            name=found[1],
            line=first + 1,
            gap=found[4],
            values=tuple(values),
            margins=tuple(margins),
            block=block,
        )


def place_of(name: str) -> tuple[int, int] | None:
    """Return the block of a variable and its place there; None if it is not in `BLOCKS`."""
    for number, block in enumerate(BLOCKS):
        # LICENSE_NAME stands for LICENSE_NAME_xxx.
        for place, known in enumerate(block):
            if name == known or (name.startswith(f"{known}_") and known.startswith("LICENSE_")):
                return number, place
    return None


def table(found: Iterable[Assignment]) -> dict[str, Assignment]:
    """Return variables by name."""
    return {one.name: one for one in found}
