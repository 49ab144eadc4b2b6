"""Whether an archive is what its name says, and safe to unpack.

Everything is read as a stream; nothing is written. A link may point anywhere below the top of the
archive, but its target may not go up after it went down, and no member may lie behind a link: so
every step of a path is a directory of the archive itself, and counting `..` is enough.

Sources: POSIX.1-2017 pax (ustar), PKWARE APPNOTE.TXT 4.4 (zip), ocaml/opam
`src/core/opamSystem.ml` (`Tar`, which archives it unpacks).
"""

from __future__ import annotations

import posixpath
import stat
import tarfile
import zipfile
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final, Literal

from pkggen import compression
from pkggen.errors import InputError, PkggenError, raise_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pkggen.compression import Compression
    from pkggen.errors import Place

MAX_UNPACKED_BYTES: Final = 4 * 1024 * 1024 * 1024
"""Largest accepted archive once it is unpacked."""
MAX_RATIO: Final = 200
"""How many times larger than packed it may be; source archives of real packages stay below 30."""
RATIO_FREE_BYTES: Final = 64 * 1024 * 1024
"""Up to so many bytes the ratio does not matter."""
MAX_MEMBERS: Final = 200_000
"""Most members; the Linux kernel has half as many."""

Format = Literal["tar", "tar.gz", "tar.bz2", "tar.xz", "zip"]

_FORMATS: Final[dict[str, Format]] = {
    ".tar": "tar",
    ".tar.gz": "tar.gz",
    ".tgz": "tar.gz",
    ".tar.bz2": "tar.bz2",
    ".tbz": "tar.bz2",
    ".tbz2": "tar.bz2",
    ".tar.xz": "tar.xz",
    ".txz": "tar.xz",
    ".zip": "zip",
}
_MAGICS: Final[tuple[tuple[int, bytes, Format], ...]] = (
    (0, compression.MAGICS["gz"], "tar.gz"),
    (0, compression.MAGICS["bz2"], "tar.bz2"),
    (0, compression.MAGICS["xz"], "tar.xz"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"PK\x05\x06", "zip"),
    (257, b"ustar", "tar"),
)
_HEAD_BYTES: Final = 512
_CHUNK_BYTES: Final = 256 * 1024
_MAX_HEADER_BYTES: Final = 1024 * 1024
_MAX_FAULTS: Final = 20
_MAX_PATH_CHARACTERS: Final = 4096
_LINK_BYTES: Final = 4096
_SET_ID_BITS: Final = stat.S_ISUID | stat.S_ISGID
_ENCRYPTED: Final = 1


class _TooLargeError(InputError):
    """More comes out of the archive than is accepted."""


def inspect_archive(path: Path, suffix: str, where: str) -> Format:
    """Check an archive and return what it is.

    Args:
        path: A regular file.
        suffix: What its name says, e.g. `.tar.gz`; empty when the name does not tell.
        where: Name of the archive, for messages.

    Raises:
        InputError: its bytes are of another format than its name says, it is damaged, too large,
            or holds members that must not be unpacked.
        Faults: several of these.
    """
    try:
        with path.open("rb") as file:
            found = _checked_format(file.read(_HEAD_BYTES), suffix, where)
            file.seek(0)
            contents = _Contents(where=where, packed_size=path.stat().st_size)
            try:
                _READERS[found](file, contents)
            except _TooLargeError as error:
                contents.faults.append(error)
    except (
        *compression.ERRORS,
        *(tarfile.TarError, zipfile.BadZipFile),
        *(ValueError, OverflowError, RecursionError, NotImplementedError),
    ) as error:
        raise InputError(f"the archive cannot be read: {error}", where=where) from error
    contents.check_paths()
    raise_all(contents.faults)
    return found


def _checked_format(head: bytes, suffix: str, where: str) -> Format:
    found = next((name for at, magic, name in _MAGICS if head[at:].startswith(magic)), None)
    stated = _FORMATS.get(suffix)
    if found is None:
        raise InputError(
            "the file is no archive that pkggen knows",
            where=where,
            hint=f"its first bytes are {head[:16]!r}; "
            f"known are {', '.join(sorted(set(_FORMATS.values())))}",
        )
    if stated is not None and found != stated:
        raise InputError(
            f"the file is called {suffix}, but its bytes are those of {found}",
            where=where,
            hint="what unpacks by the name would fail",
        )
    return found


# What is in it


@dataclass(slots=True)
class _Contents:
    """Names seen so far, and what is wrong with them."""

    where: Place | str
    packed_size: int
    faults: list[PkggenError] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    directories: set[str] = field(default_factory=set)
    unpacked: int = 0

    def fault(self, name: str, problem: str) -> None:
        """Note what is wrong with a member; after some, nobody reads on."""
        if len(self.faults) < _MAX_FAULTS:
            self.faults.append(InputError(f"the member {name[:200]!r} {problem}", where=self.where))

    def count(self, size: int) -> None:
        """Note unpacked bytes."""
        self.unpacked += size
        if self.unpacked > MAX_UNPACKED_BYTES:
            raise _TooLargeError(
                f"larger than {MAX_UNPACKED_BYTES} bytes when unpacked", where=self.where
            )
        if self.unpacked > max(RATIO_FREE_BYTES, MAX_RATIO * self.packed_size):
            raise _TooLargeError(
                f"more than {MAX_RATIO} times larger when unpacked than its "
                f"{self.packed_size} bytes",
                where=self.where,
            )

    def name(self, name: str) -> str | None:
        """Return the path of a new member without `.`, None when it must not be unpacked."""
        if len(self.files) + len(self.links) + len(self.directories) >= MAX_MEMBERS:
            raise _TooLargeError(f"more than {MAX_MEMBERS} members", where=self.where)
        if name.startswith("/"):
            self.fault(name, "has an absolute path")
        elif ".." in name.split("/"):
            self.fault(name, "has `..` in its path")
        elif len(name) > _MAX_PATH_CHARACTERS:
            self.fault(name, f"has a path of more than {_MAX_PATH_CHARACTERS} characters")
        elif not name or "\0" in name:
            self.fault(name, "has no proper name")
        else:
            return posixpath.normpath(name)
        return None

    def add_directory(self, name: str) -> None:
        """Note a directory, which may stand there twice."""
        if (path := self.name(name)) is not None:
            self.directories.add(path)

    def add_file(self, name: str, mode: int) -> None:
        """Note a regular file."""
        if (path := self.name(name)) is None:
            return
        self._new(path)
        self.files.add(path)
        if mode & _SET_ID_BITS:
            self.fault(name, "is set-user-ID or set-group-ID")

    def add_symlink(self, name: str, target: str) -> None:
        """Note a symbolic link."""
        if (path := self.name(name)) is None:
            return
        self._new(path)
        self.links.add(path)
        steps = [step for step in target.split("/") if step not in {"", "."}]
        ups = next((i for i, step in enumerate(steps) if step != ".."), len(steps))
        if target.startswith("/") or not target or "\0" in target:
            self.fault(name, f"is a link to {target[:200]!r}")
        elif ups > path.count("/") or ".." in steps[ups:]:
            self.fault(name, f"is a link to {target[:200]!r}, which may leave the archive")

    def add_hard_link(self, name: str, target: str) -> None:
        """Note a hard link, which must be to a file before it."""
        if (path := self.name(name)) is None:
            return
        self._new(path)
        if target.startswith("/") or posixpath.normpath(target) not in self.files:
            self.fault(name, f"is a hard link to {target[:200]!r}, which is no file before it")
        self.files.add(path)

    def _new(self, path: str) -> None:
        if path in self.files or path in self.links:
            self.fault(path, "is there twice")

    def check_paths(self) -> None:
        """Note members that lie behind a link or a file."""
        for path in sorted(self.files | self.links | self.directories):
            if path in self.directories and (path in self.links or path in self.files):
                self.fault(path, "is both a directory and something else")
            above = posixpath.dirname(path)
            while above:
                if above in self.links or above in self.files:
                    self.fault(path, f"lies behind {above[:200]!r}, which is no directory")
                    break
                above = posixpath.dirname(above)


# tar


class _Unpacked:
    """An unpacked stream for tarfile: forward only, counted, with headers of bounded size."""

    def __init__(self, pieces: Iterator[bytes], contents: _Contents) -> None:
        self._pieces = pieces
        self._contents = contents
        self._piece = b""
        self._at = 0
        self._position = 0
        self.last = b""

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> int:
        if position < self._position:
            raise tarfile.StreamError("the archive is not in order")
        while position > self._position and self._fill():
            self._advance(position - self._position)
        return self._position

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise tarfile.HeaderError(f"a header of {size} bytes")
        parts = []
        while size > 0 and self._fill():
            start = self._at
            size -= self._advance(size)
            parts.append(self._piece[start : self._at])
        self.last = b"".join(parts)
        return self.last

    def drain(self) -> None:
        """Read to the end, so that checksums of the compression are compared."""
        while self._fill():
            self._advance(len(self._piece))

    def _fill(self) -> bool:
        while self._at == len(self._piece):
            piece = next(self._pieces, None)
            if piece is None:
                return False
            self._contents.count(len(piece))
            self._piece, self._at = piece, 0
        return True

    def _advance(self, most: int) -> int:
        step = min(most, len(self._piece) - self._at)
        self._at += step
        self._position += step
        return step


def _tar(packing: Compression | None) -> Callable[[BinaryIO, _Contents], None]:
    def read(file: BinaryIO, contents: _Contents) -> None:
        plain = iter(partial(file.read, _CHUNK_BYTES), b"")
        pieces = plain if packing is None else compression.unpacked(file, packing)
        stream = _Unpacked(pieces, contents)
        with tarfile.TarFile(fileobj=stream, encoding="utf-8") as tar:  # type: ignore[arg-type]
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]
                _add_tar_member(member, contents)
        # tarfile takes a damaged header for the end; the real end is zeros, or nothing at all.
        if stream.last.strip(b"\0"):
            raise tarfile.ReadError("it breaks off or is damaged")
        stream.drain()

    return read


def _add_tar_member(member: tarfile.TarInfo, contents: _Contents) -> None:
    if member.isdir():
        contents.add_directory(member.name)
    elif member.issym():
        contents.add_symlink(member.name, member.linkname)
    elif member.islnk():
        contents.add_hard_link(member.name, member.linkname)
    elif not member.isreg() or member.sparse is not None:
        contents.fault(member.name, "is a device, a pipe or a sparse file")
    elif member.size < 0:
        contents.fault(member.name, "has a negative size")
    else:
        contents.add_file(member.name, member.mode)


# zip


def _zip(file: BinaryIO, contents: _Contents) -> None:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            if info.flag_bits & _ENCRYPTED:
                contents.fault(info.filename, "is encrypted")
                continue
            if info.is_dir():
                contents.add_directory(info.filename)
                continue
            data = b"".join(_zip_data(archive, info, contents, keep=stat.S_ISLNK(mode)))
            if stat.S_ISLNK(mode):
                contents.add_symlink(info.filename, data.decode("utf-8", "surrogateescape"))
            elif stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
                contents.fault(info.filename, "is a device or a pipe")
            else:
                contents.add_file(info.filename, mode)


def _zip_data(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, contents: _Contents, *, keep: bool
) -> Iterator[bytes]:
    """Read a member to its end, so that its checksum is compared; yield only what is kept."""
    with archive.open(info) as member:
        while data := member.read(_CHUNK_BYTES):
            contents.count(len(data))
            if keep:
                yield data[:_LINK_BYTES]
                return


_READERS: Final[dict[Format, Callable[[BinaryIO, _Contents], None]]] = {
    "tar": _tar(None),
    "tar.gz": _tar("gz"),
    "tar.bz2": _tar("bz2"),
    "tar.xz": _tar("xz"),
    "zip": _zip,
}
