"""A recorded `.deb` or `.pkg`: what is in it, as files of a prefix.

Upstream's packaging scripts leave a binary package as the only artefact of some jobs. Its bytes
have the recorded sha256; beyond that it is taken for hostile. Only regular files count, and none
keeps its place, owner or mode: maintainer scripts never run, services and users come from the
description of the tool.

Sources: deb(5); freebsd/pkg `libpkg/pkg_create.c` (a tar archive whose metadata begin with `+`,
packed with zstd unless told otherwise; the name does not tell).
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Final

from pkggen import ar
from pkggen.compression import ERRORS, MAGICS, Chunks, unpacked
from pkggen.errors import InputError, PkggenError, raise_all
from pkggen.record.model import MAX_ARTIFACT_BYTES, MAX_ARTIFACTS, Artifact, RecordedPackage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from pkggen.record.model import Record

_SUFFIXES: Final = (".deb", ".pkg")
_CHUNK_BYTES: Final = 256 * 1024
_MAX_UNPACKED_BYTES: Final = 2 * MAX_ARTIFACT_BYTES
_PLACES: Final = {
    "usr/share/doc": "doc",
    "usr/share/man": "man",
    "usr/bin": "bin",
    "usr/include": "include",
    "usr/lib": "lib",
    "usr/libexec": "libexec",
    "usr/sbin": "sbin",
    "usr/share": "share",
    "etc": "etc",
}
_SERVICES: Final = re.compile(r"(usr/)?lib/systemd/.*|etc/(systemd|init\.d|rc\.d)/.*")
_OWN: Final = re.compile(r"usr/share/(doc/[^/]+/(copyright|changelog.*)|licenses/.*)")
_HARMLESS: Final = frozenset(
    {"control", "md5sums", "conffiles", "changelog", "copyright", "shlibs"}
)


@dataclass(frozen=True, slots=True)
class PackedContent:
    """The bytes of a file in a package, unpacked at each reading."""

    archive: Artifact
    """The package."""
    member: str
    """Name of the file in the package's own archive."""

    def open(self) -> AbstractContextManager[BinaryIO]:
        """Open the file from its start."""
        return self._opened()

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        with tempfile.TemporaryFile() as copy:
            with self.archive.content.open() as file:
                for info, stream in _tar(file, str(self.archive.path)):
                    if info.name == self.member and stream is not None:
                        while chunk := stream.read(_CHUNK_BYTES):
                            copy.write(chunk)
                        break
            copy.seek(0)
            yield copy


def is_package(path: PurePosixPath) -> bool:
    """Tell whether a recorded path is that of a binary package."""
    return path.parts[0] == "bin" and path.suffix in _SUFFIXES


def recorded_package(record: Record) -> Artifact | None:
    """Return the binary package of a record whose only program it is."""
    programs = [file for file in record.artifacts if file.path.parts[0] == "bin"]
    (only,) = programs if len(programs) == 1 else (None,)
    return only if only is not None and is_package(only.path) else None


def read_package(archive: Artifact) -> RecordedPackage:
    """Return what is in a package.

    Raises:
        InputError: it is damaged, or holds what cannot be taken over: a path that is absolute in a
            .deb, or leads out, a link, a device, a file where no package may have one; all of them
            together.
    """
    where = str(archive.path)
    faults: list[PkggenError] = []
    found: list[tuple[Artifact, str]] = []
    left_out: list[str] = []
    try:
        with archive.content.open() as file:
            if archive.path.suffix == ".deb":
                left_out += _scripts(file, where)
            for info, stream in _tar(file, where):
                try:
                    place = _place(info, archive.path.suffix)
                except InputError as error:
                    faults.append(InputError(error.message, where=f"{where}: {info.name}"))
                    continue
                if isinstance(place, str):
                    left_out.append(place)
                elif place is not None and stream is not None:
                    if info.mode & 0o7022:
                        left_out.append(f"{info.name} does not keep its mode {info.mode:04o}")
                    found.append((_artifact(archive, place, info, stream), info.name))
    except (*ERRORS, tarfile.TarError, ValueError, OverflowError) as error:
        raise InputError(f"the package is damaged: {error}", where=where) from error
    paths = [file.path for file, _ in found]
    faults += (
        InputError("it is there twice", where=f"{where}: {path}")
        for path in sorted(set(paths))
        if paths.count(path) > 1
    )
    raise_all(faults)
    if not found:
        raise InputError("the package holds no file that can be installed", where=where)
    found.sort(key=lambda pair: pair[0].path)
    return RecordedPackage(
        archive=archive,
        files=tuple(file for file, _ in found),
        members=tuple(name for _, name in found),
        left_out=tuple(sorted(left_out)),
    )


def _artifact(
    archive: Artifact, place: PurePosixPath, info: tarfile.TarInfo, stream: BinaryIO
) -> Artifact:
    digest = hashlib.sha256()
    size = 0
    while chunk := stream.read(_CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
    return Artifact(
        path=place,
        size=size,
        sha256=digest.hexdigest(),
        content=PackedContent(archive, info.name),
    )


def _place(info: tarfile.TarInfo, suffix: str) -> PurePosixPath | str | None:
    """Return where a file goes, or why it is left out; None for what is no file.

    Raises:
        InputError: it cannot be taken over.
    """
    name = info.name.removeprefix("./")
    if suffix == ".pkg":
        if name.startswith("+"):  # metadata and scripts
            return None
        # In a .pkg every path is absolute.
        name = re.sub(r"^/?usr/local/(?!etc/)", "usr/", name)
        name = re.sub(r"^/?usr/local/etc/", "etc/", name).removeprefix("/")
    if info.isdir():
        return None
    _check(info, name)
    if _SERVICES.fullmatch(name):
        return f"{info.name} is left out: services come from the description of the tool"
    if _OWN.fullmatch(name):
        return f"{info.name} is left out: it is written anew"
    for directory, place in _PLACES.items():
        if name.startswith(f"{directory}/"):
            return PurePosixPath(place, name.removeprefix(f"{directory}/"))
    raise InputError("no package may have a file there")


def _check(info: tarfile.TarInfo, name: str) -> None:
    if name.startswith("/"):
        raise InputError("its path is absolute")
    if ".." in name.split("/"):
        raise InputError("its path leads out of the package")
    if info.issym() or info.islnk():
        raise InputError(f"it is a link to {info.linkname!r}; links are not taken over")
    if not info.isreg():
        raise InputError("it is neither a file nor a directory")
    if not re.fullmatch(r"[A-Za-z0-9_+.~/-]+", name):
        raise InputError("its path has other characters than letters, digits and `_+.~-`")


def _scripts(file: BinaryIO, where: str) -> Iterator[str]:
    """Yield a sentence for each maintainer script."""
    control = next(
        (one for one in ar.members(file, where) if one.name.startswith("control.tar")), None
    )
    if control is None:
        raise InputError("the package has no control.tar", where=where)
    for info, _ in _entries(_slice(file, control), where):
        name = info.name.removeprefix("./")
        if info.isreg() and name not in _HARMLESS:
            yield f"{name} is not run, which upstream's package runs as root"


def _tar(file: BinaryIO, where: str) -> Iterator[tuple[tarfile.TarInfo, BinaryIO | None]]:
    """Yield the entries of the archive with the files."""
    if where.endswith(".pkg"):
        file.seek(0)
        return _entries(file, where)
    data = next((one for one in ar.members(file, where) if one.name.startswith("data.tar")), None)
    if data is None:
        raise InputError("the package has no data.tar", where=where)
    return _entries(_slice(file, data), where)


def _slice(file: BinaryIO, member: ar.Member) -> BinaryIO:
    file.seek(member.offset)
    return io.BufferedReader(Chunks(_read(file, member.size)), _CHUNK_BYTES)


def _read(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        chunk = file.read(min(size, _CHUNK_BYTES))
        if not chunk:
            raise EOFError("it breaks off")
        size -= len(chunk)
        yield chunk


def _entries(packed: BinaryIO, where: str) -> Iterator[tuple[tarfile.TarInfo, BinaryIO | None]]:
    """Yield the entries of a tar archive, compressed or not, and open files."""
    buffered = packed if isinstance(packed, io.BufferedReader) else io.BufferedReader(packed)  # type: ignore[type-var]
    head = buffered.peek(8)
    kind = next((kind for kind, magic in MAGICS.items() if head.startswith(magic)), None)
    stream: BinaryIO = buffered
    if kind is not None:
        single = kind == "zst" and where.endswith(".deb")
        chunks = _bounded(unpacked(buffered, kind, single=single))
        stream = io.BufferedReader(Chunks(chunks), _CHUNK_BYTES)
    blocks = _Blocks(stream)
    count = 0
    # mypy wants a stream that can also be written.
    with tarfile.open(fileobj=blocks, mode="r|", bufsize=tarfile.BLOCKSIZE) as tar:  # type: ignore[call-overload]
        for info in tar:
            count += 1
            if count > 2 * MAX_ARTIFACTS:
                raise InputError(f"it has more than {2 * MAX_ARTIFACTS} entries", where=where)
            yield info, tar.extractfile(info) if info.isreg() else None
        # tarfile takes a damaged header for the end; the real end is zeros, or nothing at all.
        rest = blocks.last
        while rest:
            if rest.strip(b"\0"):
                raise tarfile.ReadError("there is more behind its end")
            rest = stream.read(_CHUNK_BYTES)


class _Blocks:
    """A stream that remembers the block which was read last."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.last = b""

    def read(self, size: int) -> bytes:
        self.last = self._stream.read(size)
        return self.last


def _bounded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > _MAX_UNPACKED_BYTES:
            raise OverflowError(f"it is larger than {_MAX_UNPACKED_BYTES} bytes when unpacked")
        yield chunk
