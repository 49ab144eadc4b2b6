"""The recorded packages of a Debian build host, as fixed-output downloads.

Sources: Debian Policy, chapters 5 (fields of an index of packages) and 7 (relationships);
Debian wiki "DebianRepository/Format" (`Packages` indices).
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, PkggenError, raise_all
from pkggen.targets.nix.rebuild import json_lines, sri
from pkggen.tree import TextFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pkggen.record.model import SystemPackage

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_VERSION: Final = re.compile(r"[0-9][A-Za-z0-9.+:~-]*")
_FILE: Final = re.compile(
    r"[A-Za-z0-9+_~][A-Za-z0-9.+_~-]*(/[A-Za-z0-9+_~][A-Za-z0-9.+_~-]*)*\.deb"
)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_FIELDS: Final = frozenset(
    {"Package", "Version", "Essential", "Depends", "Pre-Depends", "Provides", "Filename", "SHA256"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deb:
    """One binary package of an archive."""

    name: str
    """Name."""
    version: str
    """Version."""
    url: str
    """Where it is."""
    sha256: str
    """Of the file, 64 hexadecimal digits."""
    essential: bool
    """Whether every package may use it without saying so."""
    needs: tuple[tuple[str, ...], ...]
    """Depends and Pre-Depends: names, of each group any one."""
    provides: tuple[str, ...]
    """Virtual packages that it is, too."""


def read_index(lines: Iterable[str], archive: str) -> Iterator[Deb]:
    """Yield the packages of a `Packages` index.

    Args:
        lines: Its text.
        archive: URL that its file names are relative to, without final slash.

    Raises:
        InputError: a stanza lacks a field, or a field is malformed.
    """
    stanza: dict[str, str] = {}
    for line in chain(lines, "\n"):
        if not line.strip():
            if stanza:
                yield _deb(stanza, archive)
            stanza = {}
        elif not line[0].isspace():
            name, _, value = line.partition(":")
            if name in _FIELDS:
                stanza[name] = value.strip()


def choose(
    debs: Iterable[Deb], recorded: Iterable[SystemPackage], wanted: Iterable[str]
) -> tuple[Deb, ...]:
    """Return the wanted and the essential packages, and all that they need.

    What the record names is taken at the recorded version. What it does not name is taken as the
    first archive has it: the builds of a record can only have used it if it is essential or a
    dependency that the record leaves out. What the record names and nothing here needs is left out.

    Args:
        debs: Packages of all archives, in the order in which archives are asked.
        recorded: Packages of the recorded host.
        wanted: Names.

    Returns:
        The packages, sorted by name.

    Raises:
        InputError: no archive has a package, or has it at the recorded version; all of them are
            given together.
    """
    return _Chooser(debs, recorded).chosen(wanted)


def toolchain_file(debs: Iterable[Deb]) -> TextFile:
    """Return `toolchain.json`."""
    return TextFile(
        json_lines(
            {
                "packages": [
                    {
                        "name": deb.name,
                        "version": deb.version,
                        "url": deb.url,
                        "hash": sri(deb.sha256),
                    }
                    for deb in debs
                ]
            }
        )
    )


def _deb(stanza: Mapping[str, str], archive: str) -> Deb:
    name, version = stanza.get("Package", ""), stanza.get("Version", "")
    file, sha256 = stanza.get("Filename", ""), stanza.get("SHA256", "")
    for key, value, form in (
        ("Package", name, _NAME),
        ("Version", version, _VERSION),
        ("Filename", file.removeprefix("./"), _FILE),
        ("SHA256", sha256, _SHA256),
    ):
        if not form.fullmatch(value):
            raise InputError(
                f"the index has a package {name[:100]!r} with the {key} {value[:200]!r}",
                where=archive,
            )
    return Deb(
        name=name,
        version=version,
        url=f"{archive}/{file.removeprefix('./')}",
        sha256=sha256,
        essential=stanza.get("Essential") == "yes",
        needs=(*_groups(stanza.get("Pre-Depends", "")), *_groups(stanza.get("Depends", ""))),
        provides=tuple(name for group in _groups(stanza.get("Provides", "")) for name in group),
    )


def _groups(relationship: str) -> Iterator[tuple[str, ...]]:
    """Yield the names of each group of alternatives, without versions and architectures."""
    for group in filter(str.strip, relationship.split(",")):
        yield tuple(
            re.split(r"[\s:(\[]", alternative.strip(), maxsplit=1)[0]
            for alternative in group.split("|")
        )


class _Chooser:
    """Archives, a record, and what is chosen so far."""

    def __init__(self, debs: Iterable[Deb], recorded: Iterable[SystemPackage]) -> None:
        self.known: defaultdict[str, list[Deb]] = defaultdict(list)
        self.providers: defaultdict[str, set[str]] = defaultdict(set)
        self.recorded = {package.name: package.version for package in recorded}
        self.taken: dict[str, Deb] = {}
        for deb in debs:
            self.known[deb.name].append(deb)
            for virtual in deb.provides:
                self.providers[virtual].add(deb.name)

    def chosen(self, wanted: Iterable[str]) -> tuple[Deb, ...]:
        essential = {debs[0].name for debs in self.known.values() if debs[0].essential}
        waiting: list[tuple[tuple[str, ...], str]] = [
            ((name,), "the rebuild") for name in sorted({*wanted, *essential})
        ]
        faults: list[PkggenError] = []
        missing: set[str] = set()
        while waiting:
            group, user = waiting.pop()
            name = self._any_of(group)
            if name is None:
                faults.append(InputError(f"no archive has {' or '.join(group)}, for {user}"))
            elif name not in self.taken and name not in missing:
                deb = self._at_version(name)
                if deb is None:
                    missing.add(name)
                else:
                    self.taken[name] = deb
                    waiting += [(needed, name) for needed in deb.needs]
        faults += map(self._lacking, sorted(missing))
        raise_all(faults)
        return tuple(self.taken[name] for name in sorted(self.taken))

    def _any_of(self, group: tuple[str, ...]) -> str | None:
        """Return who meets a need: who is taken, else recorded, else the first one."""
        real = [name for name in group if name in self.known]
        virtual = [name for one in group for name in sorted(self.providers.get(one, ()))]
        for names in (self.taken, self.recorded):
            for name in (*real, *virtual):
                if name in names:
                    return name
        return next(iter((*real, *virtual)), None)

    def _at_version(self, name: str) -> Deb | None:
        version = self.recorded.get(name)
        return next((deb for deb in self.known[name] if version in {None, deb.version}), None)

    def _lacking(self, name: str) -> InputError:
        versions = ", ".join(sorted({deb.version for deb in self.known[name]}))
        return InputError(
            f"no archive has {name} {self.recorded[name]}; there is {versions}",
            hint="name more archives, or one of the time of the build: snapshot.debian.org",
        )
