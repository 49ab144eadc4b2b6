"""A Debian source package: orig tarballs, `.debian.tar.xz` and `.dsc`, without dpkg.

Sources: dsc(5), dpkg-source(1) (format 3.0 (quilt), component tarballs).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, raise_all
from pkggen.recipe.versions import deb_version
from pkggen.targets.deb.components import DISTFILES, cached
from pkggen.targets.deb.deb822 import parse, render
from pkggen.targets.deb.render import BUILT, DEBIAN, debian_tree
from pkggen.targets.deb.tarball import StoredTarGz, tar_xz
from pkggen.tree import CopiedFile, TextFile, Tree

if TYPE_CHECKING:
    from pkggen.record.model import Artifact
    from pkggen.targets.deb.model import Inputs
    from pkggen.tree import Content, File

_TAKEN: Final = frozenset({str(DEBIAN), DISTFILES, BUILT, ".pc"})
"""Directories of a source package that are not the record's; the last one is quilt's."""
_CHUNK_BYTES: Final = 1024 * 1024
_KEPT: Final = ("Maintainer", "Uploaders", "Homepage", "Standards-Version")
_FIRST_LINE: Final = re.compile(r"(\S+) \((\S+)\) ")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePackage:
    """A source package, packed and unpacked."""

    dsc: PurePosixPath
    """Name of the `.dsc`, a `TextFile` of `packed`."""
    packed: Tree
    """The `.dsc` and the tarballs that it names."""
    directory: PurePosixPath
    """Directory that `dpkg-source -x` would make of it."""
    unpacked: Tree
    """What is in that directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tarball:
    """One file that a `.dsc` names."""

    name: str
    file: CopiedFile
    md5: str
    sha1: str


def source_package(inputs: Inputs) -> SourcePackage:
    """Return the source package of a recorded build.

    Raises:
        InputError: there can be no such package; all reasons together.
        VerificationError: a file of the record or a source is not what it was.
    """
    recipe = inputs.recipe
    version = deb_version(recipe.version, recipe.revision)
    debian = debian_tree(inputs)
    _check_changelog(debian, recipe.name, str(version))
    time = int(recipe.version.built.timestamp())
    stem = f"{recipe.name}_{version.upstream}"
    directory = PurePosixPath(f"{recipe.name}-{version.upstream}")
    record = _record_tree(inputs)
    above = [(directory / path, file) for path, file in record.items()]
    tarballs = [_tarball(f"{stem}.orig.tar.xz", CopiedFile.of(tar_xz(above, time)).content)]
    distfiles = _distfiles(inputs)
    if distfiles is not None:
        packed = StoredTarGz(tuple(distfiles.items()), time)
        tarballs.append(_tarball(f"{stem}.orig-{DISTFILES}.tar.gz", packed))
    tarballs += [
        _tarball(f"{stem}.orig-{one.name}.tar.{one.suffix}", one.distfile.content)
        for one in (() if inputs.rebuild is None else inputs.rebuild.components)
    ]
    last = CopiedFile.of(tar_xz(debian.items(), time)).content
    tarballs.append(_tarball(f"{recipe.name}_{version}.debian.tar.xz", last))
    dsc = PurePosixPath(f"{recipe.name}_{version}.dsc")
    files: dict[PurePosixPath, File] = {PurePosixPath(one.name): one.file for one in tarballs}
    files[dsc] = TextFile(_dsc(debian, recipe.name, str(version), tarballs))
    return SourcePackage(
        dsc=dsc,
        packed=Tree(files),
        directory=directory,
        unpacked=record | debian | (distfiles or Tree({})),
    )


def _record_tree(inputs: Inputs) -> Tree:
    """Return the record as `pkggen record` saves it."""
    files: dict[PurePosixPath, File] = {
        file.path: _copied(file) for file in (*inputs.record.metadata, *inputs.record.artifacts)
    }
    files[PurePosixPath("record.json")] = CopiedFile.of(inputs.manifest)
    components = () if inputs.rebuild is None else inputs.rebuild.components
    taken = _TAKEN | {component.name for component in components}
    raise_all(
        InputError("a file of the record is in the way of Debian's", where=str(path))
        for path in files
        if path.parts[0] in taken
    )
    return Tree(files)


def _copied(file: Artifact) -> CopiedFile:
    return CopiedFile(content=file.content, sha256=file.sha256, size=file.size)


def _distfiles(inputs: Inputs) -> Tree | None:
    """Return the sources in the layout of opam's download cache; None without."""
    if not inputs.in_cache:
        return None
    files: dict[PurePosixPath, File] = {
        cached(one.sha256): CopiedFile(content=one.content, sha256=one.sha256, size=one.size)
        for one in inputs.in_cache
    }
    return Tree(files)


def _tarball(name: str, content: Content) -> _Tarball:
    digests = [hashlib.new(kind, usedforsecurity=False) for kind in ("md5", "sha1", "sha256")]
    size = 0
    with content.open() as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            size += len(chunk)
            for digest in digests:
                digest.update(chunk)
    md5, sha1, sha256 = (digest.hexdigest() for digest in digests)
    file = CopiedFile(content=content, sha256=sha256, size=size)
    return _Tarball(name=name, file=file, md5=md5, sha1=sha1)


def _dsc(debian: Tree, name: str, version: str, tarballs: list[_Tarball]) -> str:
    """Return the text of a `.dsc`, from the control file that the package really has."""
    source, *binaries = _stanzas(debian, name)
    architectures = sorted({one.get("Architecture", "any") for one in binaries})
    listed = [
        f"{one['Package']} deb {one.get('Section', source.get('Section', 'misc'))}"
        f" {one.get('Priority', source.get('Priority', 'optional'))}"
        f" arch={one.get('Architecture', 'any').replace(' ', ',')}"
        for one in binaries
    ]
    fields: dict[str, str] = {
        "Format": "3.0 (quilt)",
        "Source": source["Source"],
        "Binary": ", ".join(one["Package"] for one in binaries),
        "Architecture": " ".join(architectures),
        "Version": version,
        **{key: source[key] for key in _KEPT if key in source},
        "Testsuite": "autopkgtest",
        **{
            key: " ".join(source[key].split())
            for key in ("Build-Depends", "Build-Depends-Indep", "Build-Depends-Arch")
            if key in source
        },
        "Package-List": "\n".join(["", *sorted(listed)]),
        "Checksums-Sha1": _sums([(one.sha1, one) for one in tarballs]),
        "Checksums-Sha256": _sums([(one.file.sha256, one) for one in tarballs]),
        "Files": _sums([(one.md5, one) for one in tarballs]),
    }
    return render(fields)


def _stanzas(debian: Tree, name: str) -> list[dict[str, str]]:
    """Return the stanzas of debian/control, the source's first, with what a `.dsc` needs."""
    where = DEBIAN / "control"
    with debian[where].content.open() as stream:
        try:
            lines = stream.read().decode().split("\n")
        except UnicodeDecodeError as error:
            raise InputError("it is not UTF-8", where=str(where)) from error
    # A comment in the middle of a stanza does not end it.
    text = "\n".join(line for line in lines if not line.startswith("#"))
    found = list(parse(text, str(where)))
    if len(found) < 2:
        raise InputError("it has no stanza of a source and one of a package", where=str(where))
    if found[0].get("Source") != name:
        raise InputError(f"its first stanza is not about the source {name}", where=str(where))
    if not all(one.get("Package") for one in found[1:]):
        raise InputError("a stanza has no Package", where=str(where))
    return found


def _sums(tarballs: list[tuple[str, _Tarball]]) -> str:
    return "".join(f"\n{digest} {one.file.size} {one.name}" for digest, one in tarballs)


def _check_changelog(debian: Tree, name: str, version: str) -> None:
    """Check that a changelog of the overlay is about this version."""
    where = DEBIAN / "changelog"
    with debian[where].content.open() as stream:
        first = stream.readline().decode(errors="replace")
    found = _FIRST_LINE.match(first)
    if found is None or (found[1], found[2]) != (name, version):
        raise InputError(
            f"its first entry is not about {name} {version}",
            where=str(where),
            hint="add an entry for this version to the overlay's file, or set `revision` in"
            " pkggen.yaml to the number behind `-0pkggen`",
        )
