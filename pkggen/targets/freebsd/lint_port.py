"""The rules for one port: its Makefile, distinfo, packing list and description."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen.recipe import description
from pkggen.targets.freebsd import names
from pkggen.targets.freebsd.finding import Finding
from pkggen.targets.freebsd.licences import LICENCES
from pkggen.targets.freebsd.model import FEW_FILES
from pkggen.targets.freebsd.syntax import BLOCKS, Assignment, assignments, place_of, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pkggen.recipe.finding import Entry

_MAKEFILE: Final = PurePosixPath("Makefile")
_LIST: Final = PurePosixPath(names.DISTFILES_FILE)
_DISTINFO: Final = PurePosixPath("distinfo")
_PLIST: Final = PurePosixPath("pkg-plist")
_DESCR: Final = PurePosixPath("pkg-descr")
_REQUIRED: Final = ("PORTNAME", "PORTVERSION", "CATEGORIES", "MAINTAINER", "COMMENT", "LICENSE")
_SORTED: Final = frozenset(
    {"BUILD_DEPENDS", "LIB_DEPENDS", "RUN_DEPENDS", "DISTFILES", "PLIST_FILES", "LICENSE"}
)
_INCLUDE: Final = ".include <bsd.port.mk>\n"
_INCLUDE_LIST: Final = f'.include "{names.DISTFILES_FILE}"\n'
_VERSION: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+")
_GROUP: Final = re.compile(r"(?P<word>.*):(?P<group>[A-Za-z0-9_]+)")
_SITE: Final = re.compile(r"(?P<word>.*/)(?::(?P<group>[A-Za-z0-9_]+))?")
_TIMESTAMP: Final = re.compile(r"TIMESTAMP = [0-9]+")
_SUM: Final = re.compile(r"(SHA256|SIZE) \((\S+)\) = ([0-9a-f]{64}|[0-9]+)")
_DESCR_WIDTH: Final = 80
_FEWEST_LINES: Final = 2


@dataclass(frozen=True, slots=True)
class Port:
    """A port that is looked at, and what was found."""

    place: PurePosixPath
    """Category and name."""
    files: Mapping[PurePosixPath, Entry]
    """Its files."""
    submitted: bool
    """Whether it is in the ports tree, which wants a maintainer."""
    found: list[Finding] = field(default_factory=list)
    """Breaches."""

    @classmethod
    def findings(
        cls, place: PurePosixPath, files: Mapping[PurePosixPath, Entry], *, submitted: bool
    ) -> list[Finding]:
        """Return the breaches in a port.

        Args:
            place: Category and name.
            files: What it consists of, by path below it.
            submitted: Whether it is in the ports tree.
        """
        port = cls(place, files, submitted)
        made = tuple(assignments(port._text(_MAKEFILE)))
        listed = tuple(assignments(port._text(_LIST)))
        variables = table((*made, *listed))
        port._layout(made)
        port._written(made, _MAKEFILE)
        port._written(listed, _LIST)
        port._ends()
        port._values(variables)
        port._licences(variables)
        port._distfiles(variables)
        port._packing(variables)
        port._references(variables)
        port._description()
        return port.found

    def _text(self, path: PurePosixPath) -> str:
        entry = self.files.get(path)
        return "" if entry is None or entry.data is None else entry.data.decode("utf-8", "replace")

    def _say(self, path: PurePosixPath, line: int, rule: str, message: str) -> None:
        finding = Finding(path=self.place / path, line=line, rule=rule, message=message)
        self.found.append(finding)

    def _layout(self, made: tuple[Assignment, ...]) -> None:
        """Check order and blocks of the Makefile."""
        last = (len(BLOCKS), 0)
        for first, second in pairwise(made):
            before, after = place_of(first.name) or last, place_of(second.name) or last
            if before > after:
                message = f"{second.name} belongs before {first.name}"
                self._say(_MAKEFILE, second.line, "order", message)
            elif (before[0] == after[0]) != (first.block == second.block):
                verb = (
                    "belongs into the block of" if before[0] == after[0] else "begins a block after"
                )
                message = f"{second.name} {verb} {first.name}"
                self._say(_MAKEFILE, second.line, "blocks", message)

    def _written(self, made: tuple[Assignment, ...], path: PurePosixPath) -> None:
        """Check how values are written."""
        for one in made:
            if not re.fullmatch("\t+", one.gap) and one.values != ("",):
                self._say(path, one.line, "tabs", f"tabs stand between {one.name} and its value")
            for number, margin in enumerate(one.margins, 1):
                if not re.fullmatch("\t+", margin):
                    self._say(path, one.line + number, "tabs", "tabs stand before a value")
            if one.name in _SORTED and list(one.values) != sorted(set(one.values)):
                self._say(path, one.line, "sorted", f"{one.name} is sorted, each word once")

    def _ends(self) -> None:
        text = self._text(_MAKEFILE)
        if not text.endswith(f"\n{_INCLUDE}"):
            line = text.count("\n") or 1
            self._say(_MAKEFILE, line, "include", f"the last line is {_INCLUDE.strip()}")
        if (_INCLUDE_LIST in text) != (_LIST in self.files):
            message = f"{_LIST} is there if and only if the Makefile includes it"
            self._say(_MAKEFILE, 1, "list-file", message)

    def _values(self, variables: Mapping[str, Assignment]) -> None:
        """Check the values of single variables."""
        for name in _REQUIRED:
            if name not in variables or not variables[name].text:
                self._say(_MAKEFILE, 1, "required", f"{name} is not set")
        category, name = self.place.parts
        for variable, rule, message in (
            ("CATEGORIES", "category", f"the first is {category}, and all are the tree's"),
            ("PORTVERSION", "version", "a version is made of numbers and dots"),
            ("MAINTAINER", "maintainer", "it is the address of somebody"),
        ):
            one = variables.get(variable)
            if one is not None and not self._holds(one):
                self._say(_MAKEFILE, one.line, rule, message)
        comment = variables.get("COMMENT")
        if comment is not None and (fault := description.fault(comment.text, name)) is not None:
            self._say(_MAKEFILE, comment.line, "comment", f"it {fault}")

    def _holds(self, one: Assignment) -> bool:
        """Tell whether the value of CATEGORIES, PORTVERSION or MAINTAINER is a good one."""
        if one.name == "CATEGORIES":
            return one.words[:1] == self.place.parts[:1] and {*one.words} <= names.CATEGORIES
        if one.name == "PORTVERSION":
            return _VERSION.fullmatch(one.text) is not None
        somebody = not self.submitted or one.text != names.NO_MAINTAINER
        return somebody and _ADDRESS.fullmatch(one.text) is not None

    def _licences(self, variables: Mapping[str, Assignment]) -> None:
        licence = variables.get("LICENSE")
        if licence is None:
            return
        line = licence.line
        for name in licence.words:
            own = [f"LICENSE_{what}_{name}" in variables for what in ("NAME", "FILE", "PERMS")]
            if name not in LICENCES.values() and not all(own):
                self._say(
                    _MAKEFILE,
                    line,
                    "licence",
                    f"the framework has no {name}; it needs LICENSE_NAME, _FILE and _PERMS",
                )
        comb = variables["LICENSE_COMB"].text if "LICENSE_COMB" in variables else "single"
        if (len(licence.words) > 1) != (comb in {"multi", "dual"}):
            message = "LICENSE_COMB says `multi` or `dual` of several licences, and nothing of one"
            self._say(_MAKEFILE, line, "licence", message)

    def _distfiles(self, variables: Mapping[str, Assignment]) -> None:
        """Check that distinfo, DISTFILES and MASTER_SITES belong to each other."""
        subdirectory = variables["DIST_SUBDIR"].text if "DIST_SUBDIR" in variables else ""
        wanted: list[str] = []
        groups: dict[str, int] = {}
        for word in _distfiles_of(variables):
            found = _GROUP.fullmatch(word)
            name = word if found is None else found["word"]
            wanted.append(f"{subdirectory}/{name}" if subdirectory else name)
            if found is not None:
                groups[found["group"]] = 0
        sites = variables.get("MASTER_SITES")
        path = _LIST if _LIST in self.files else _MAKEFILE
        for word in () if sites is None else sites.words:
            found = _SITE.fullmatch(word)
            if found is None:
                self._say(path, 1, "groups", f"a site ends in `/`, or `/:GROUP`: {word}")
            elif found["group"] is not None and found["group"] not in groups:
                self._say(path, 1, "groups", f"no file is of the group {found['group']}")
            elif found["group"] is not None:
                groups[found["group"]] += 1
        for group, count in groups.items():
            if not count:
                self._say(path, 1, "groups", f"no site is of the group {group}")
        self._distinfo(wanted)

    def _distinfo(self, wanted: list[str]) -> None:
        lines = self._text(_DISTINFO).removesuffix("\n").split("\n")
        if not _TIMESTAMP.fullmatch(lines[0]):
            self._say(_DISTINFO, 1, "distinfo", "the first line is `TIMESTAMP = SECONDS`")
        stated: list[tuple[str, str]] = []
        for number, line in enumerate(lines[1:], 2):
            found = _SUM.fullmatch(line)
            if found is None or (found[1] == "SHA256") != (len(found[3]) == 64):
                message = "a line is `SHA256 (FILE) = HEX` or `SIZE (FILE) = BYTES`"
                self._say(_DISTINFO, number, "distinfo", message)
            else:
                stated.append((found[1], found[2]))
        expected = [(kind, name) for name in wanted for kind in ("SHA256", "SIZE")]
        for kind, name in sorted({*expected} - {*stated}):
            self._say(_DISTINFO, 1, "distinfo", f"the {kind} of {name} is not there")
        for kind, name in sorted({*stated} - {*expected}):
            self._say(_DISTINFO, 1, "distinfo", f"DISTFILES has no {name}, whose {kind} is there")
        if sorted(stated) == sorted(expected) and stated != expected:
            self._say(_DISTINFO, 1, "distinfo", "files stand in the order of DISTFILES, each once")

    def _packing(self, variables: Mapping[str, Assignment]) -> None:
        lines = [
            (number, line)
            for number, line in enumerate(self._text(_PLIST).splitlines(), 1)
            if not line.startswith("@comment")
        ]
        path = _PLIST
        if "PLIST_FILES" in variables:
            path, one = _MAKEFILE, variables["PLIST_FILES"]
            if lines:
                self._say(path, one.line, "plist", "there is a pkg-plist besides PLIST_FILES")
            lines = [(one.line, word) for word in one.words]
        elif not lines:
            self._say(_MAKEFILE, 1, "plist", "there is neither pkg-plist nor PLIST_FILES")
        elif len(lines) < FEW_FILES:
            message = f"fewer than {FEW_FILES} lines stand in PLIST_FILES"
            self._say(path, 1, "plist", message)
        plain = [line for _, line in lines if not line.startswith("@")]
        if plain != sorted(set(plain)):
            self._say(path, lines[0][0], "plist", "files are sorted, each once")
        for number, line in lines:
            target = PurePosixPath(line.removeprefix("@dir "))
            if target.is_absolute() or ".." in target.parts or "%%" in line:
                self._say(path, number, "prefix", f"{line} is outside of PREFIX")

    def _references(self, variables: Mapping[str, Assignment]) -> None:
        """Check that the files that variables name are there."""
        wanted = [
            (name, f"{word}.in")
            for name in ("USE_RC_SUBR", "SUB_FILES")
            if name in variables
            for word in variables[name].words
        ]
        wanted += [
            (name, one.text.removeprefix("${FILESDIR}/"))
            for name, one in variables.items()
            if name.startswith("LICENSE_FILE_")
        ]
        for name, file in wanted:
            if PurePosixPath("files", file) not in self.files:
                rule = "licence" if name.startswith("LICENSE") else "rc-script"
                line = variables[name].line
                self._say(_MAKEFILE, line, rule, f"{name} needs files/{file}, which is not there")

    def _description(self) -> None:
        lines = self._text(_DESCR).splitlines()
        if len(lines) < _FEWEST_LINES:
            self._say(_DESCR, 1, "descr", f"it has fewer than {_FEWEST_LINES} lines")
        for number, line in enumerate(lines, 1):
            if len(line) > _DESCR_WIDTH and " " in line:
                self._say(_DESCR, number, "descr", f"it is longer than {_DESCR_WIDTH} characters")


def _distfiles_of(variables: Mapping[str, Assignment]) -> Iterator[str]:
    """Yield the words of DISTFILES, or the name that the framework makes when it is not set."""
    if "DISTFILES" in variables:
        yield from variables["DISTFILES"].words
    elif "DISTNAME" in variables:
        suffix = variables["EXTRACT_SUFX"].text if "EXTRACT_SUFX" in variables else ".tar.gz"
        yield variables["DISTNAME"].text + suffix
