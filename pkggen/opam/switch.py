"""Switch exports: the whole of a frozen opam switch in one text.

Source: ocaml/opam `src/format/opamFile.ml` (`SwitchExport`), `src/client/opamSwitchCommand.ml`
(`export`).
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from pkggen.errors import InputError, Place, VerificationError, raise_all
from pkggen.opam.fields import package_name, relative_path, strings
from pkggen.opam.lexer import ADVICE
from pkggen.opam.package import Checksum, ExtraFile, OpamPackage
from pkggen.opam.parser import parse
from pkggen.opam.read import Reader, read_package
from pkggen.opam.version import OpamVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pkggen.errors import PkggenError
    from pkggen.opam.package import Url
    from pkggen.opam.values import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchExport:
    """A frozen switch: what is installed, and every package in full."""

    file: str
    """Name of the text, for messages."""
    compiler: tuple[str, ...]
    """Packages of the switch invariant as `name.version`; empty in orb's switches."""
    roots: tuple[str, ...]
    """Packages that were asked for, as `name.version`; empty for a failed build."""
    installed: tuple[str, ...]
    """All installed packages, as `name.version`."""
    pinned: tuple[str, ...]
    """Pinned packages, as `name.version`."""
    packages: Mapping[str, OpamPackage] = field(hash=False)
    """Package sections by name; some installed packages have none."""

    @property
    def installed_names(self) -> frozenset[str]:
        """Names of the installed packages."""
        return frozenset(full.partition(".")[0] for full in self.installed)

    def sources(self) -> Iterator[tuple[str, Url]]:
        """Return every source with the name of its package, vendored ones with their directory."""
        for package in self.packages.values():
            if package.url is not None:
                yield package.name, package.url
            for extra in package.extra_sources:
                yield f"{package.name}/{extra.name}", extra.url
            for vendored in package.vendored:
                yield vendored.directory, vendored.url

    @property
    def root(self) -> OpamPackage:
        """The one package that the switch was made for.

        Raises:
            InputError: there is none, there are several, or its section is missing.
        """
        if not self.roots:
            raise InputError(
                "the switch has no root package",
                where=self.file,
                hint="the build failed, or this is no switch made by orb",
            )
        if len(self.roots) > 1:
            raise InputError(
                f"the switch has {len(self.roots)} root packages: {', '.join(self.roots)}",
                where=self.file,
                hint="orb installs exactly one; export a switch made for a single package",
            )
        if self.roots[0] not in self.installed:
            raise InputError(
                f"the root package {self.roots[0]} is not installed",
                where=self.file,
                hint="the build failed before it got there",
            )
        name = self.roots[0].partition(".")[0]
        if name not in self.packages:
            raise InputError(
                f"the root package {name} has no section",
                where=self.file,
                hint="write the export with `opam switch export --full --freeze`",
            )
        return self.packages[name]


def read_switch(data: bytes, file: str) -> SwitchExport:
    """Read a switch export.

    Args:
        data: The text in UTF-8, up to any size the caller accepts.
        file: Its name, for messages.

    Raises:
        InputError: the text cannot be read; all faults are reported together.
        VerificationError: an extra file does not have its checksum.
    """
    parsed = parse(decoded(data, file), file)
    faults: list[PkggenError] = []
    reader = Reader(parsed, parsed.items, faults)
    nothing: dict[Checksum, bytes] = {}
    contents = reader.read("extra-files", _extra_contents, nothing)
    packages: dict[str, OpamPackage] = {}
    for section in reader.sections("package"):
        with reader.noting(section):
            name = package_name(section.name or "")
            if name in packages:
                raise InputError(f"the package {name!r} stands here a second time")
            inner = Reader(parsed, section.items, faults, where=f"package {name!r}: ")
            packages[name] = read_package(inner, name, section.items, _joined_with(contents))
    switch = SwitchExport(
        file=file,
        compiler=reader.read("compiler", _full_names, ()),
        roots=reader.read("roots", _full_names, ()),
        installed=reader.read("installed", _full_names, ()),
        pinned=reader.read("pinned", _full_names, ()),
        packages=MappingProxyType(packages),
    )
    faults += _contradictions(switch)
    if not parsed.items:
        faults.append(InputError("this holds no opam fields at all", where=file, hint=ADVICE))
    raise_all(faults)
    return switch


def read_opam(data: bytes, file: str, name: str) -> OpamPackage:
    """Read an opam file or an opam-monorepo lock.

    Args:
        data: The text in UTF-8.
        file: Its name, for messages.
        name: Name of the package, used unless the text has a `name:`.

    Raises:
        InputError: the text cannot be read; all faults are reported together.
    """
    parsed = parse(decoded(data, file), file)
    faults: list[PkggenError] = []
    reader = Reader(parsed, parsed.items, faults)
    name = reader.read("name", package_name, name)
    package = read_package(reader, name, parsed.items, _joined_with({}))
    raise_all(faults)
    return package


def decoded(data: bytes, file: str) -> str:
    """Decode UTF-8.

    Raises:
        InputError: with the place of the first wrong byte.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        text = data.decode("utf-8", "replace")
        offset = len(data[: error.start].decode("utf-8"))
        raise InputError(
            f"the byte 0x{data[error.start]:02x} is not UTF-8 text",
            where=Place.at(file, text, offset),
            hint=ADVICE,
        ) from None


def _contradictions(switch: SwitchExport) -> list[PkggenError]:
    """Return an error for each package installed twice, or with a section of another version."""
    faults: list[PkggenError] = []
    seen: set[str] = set()
    for full in switch.installed:
        name, _, version = full.partition(".")
        if name in seen:
            faults.append(InputError(f"{name} is installed twice", where=switch.file, hint=ADVICE))
        seen.add(name)
        if name in switch.packages and str(switch.packages[name].version) != version:
            faults.append(
                InputError(
                    f"{full} is installed, but its section is of version "
                    f"{switch.packages[name].version}",
                    where=switch.file,
                )
            )
    return faults


def _full_names(value: Value) -> tuple[str, ...]:
    """Read `name.version` texts."""
    for full in (texts := strings(value)):
        name, _, version = full.partition(".")
        try:
            package_name(name)
            OpamVersion(version)
        except InputError as error:
            raise InputError(f"{full!r} is no name.version: {error.message}") from None
    return texts


def _pairs(value: Value) -> list[tuple[str, str]]:
    """Read pairs of strings; a single pair has lost its brackets."""
    match value:
        case (str(left), str(right)):
            return [(left, right)]
        case tuple():
            pairs = []
            for item in value:
                match item:
                    case (str(left), str(right)):
                        pairs.append((left, right))
                    case _:
                        raise InputError("pairs of strings are wanted here")
            return pairs
    raise InputError("pairs of strings are wanted here")


def _extra_contents(value: Value) -> dict[Checksum, bytes]:
    """Decode the top-level `extra-files`; whether base64 is padded depends on opam's version."""
    contents: dict[Checksum, bytes] = {}
    for hash_text, encoded in _pairs(value):
        checksum = Checksum.parse(hash_text)
        try:
            content = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except ValueError:
            raise InputError(f"the content of {checksum} is not base64") from None
        found = hashlib.new(checksum.kind, content, usedforsecurity=False).hexdigest()
        if found != checksum.digest:
            raise VerificationError(
                f"the content of {checksum} has the {checksum.kind} {found} instead"
            )
        contents[checksum] = content
    return contents


def _joined_with(
    contents: Mapping[Checksum, bytes],
) -> Callable[[Reader], tuple[ExtraFile, ...]]:
    """Return a reader of a package's `extra-files` that looks their content up by checksum."""

    def read(value: Value) -> tuple[ExtraFile, ...]:
        files: list[ExtraFile] = []
        for name, hash_text in _pairs(value):
            checksum = Checksum.parse(hash_text)
            content = contents.get(checksum)
            if content is None:
                raise InputError(f"the export does not hold the file {name!r} ({checksum})")
            files.append(ExtraFile(name=relative_path(name), checksum=checksum, content=content))
        return tuple(files)

    nothing: tuple[ExtraFile, ...] = ()
    return lambda reader: reader.read("extra-files", read, nothing)
