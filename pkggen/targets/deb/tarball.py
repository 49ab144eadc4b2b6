"""Deterministic tar archives: same files, same bytes, whoever makes them, where and when.

Sources: POSIX.1-1988 ustar with GNU's long names (`tarfile.GNU_FORMAT`); RFC 1951, 3.2.4 (stored
blocks) and RFC 1952 (gzip).
"""

from __future__ import annotations

import hashlib
import io
import lzma
import struct
import tarfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from pkggen.compression import Chunks
from pkggen.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import PurePosixPath

    from pkggen.tree import File

_XZ_PRESET: Final = 1
"""Nearly as small as 6 for what is mostly an image, and five times as fast."""
_STORED_BYTES: Final = 65535
_CHUNK_BYTES: Final = 16 * _STORED_BYTES
_GZIP_HEADER: Final = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


@dataclass(frozen=True, slots=True)
class StoredTarGz:
    """The content of a `.tar.gz` whose members are kept as they are, made anew at each reading.

    For members that are compressed already.
    """

    members: tuple[tuple[PurePosixPath, File], ...]
    """Paths and files, in the order of the archive."""
    time: int
    """Modification time of all, in seconds since 1970."""

    def open(self) -> AbstractContextManager[BinaryIO]:
        """Open the archive from its start."""
        return io.BufferedReader(Chunks(self._gzipped()), _CHUNK_BYTES)

    def _gzipped(self) -> Iterator[bytes]:
        checksum = size = 0
        yield _GZIP_HEADER
        for chunk in tar_chunks(self.members, self.time):
            checksum = zlib.crc32(chunk, checksum)
            size += len(chunk)
            for start in range(0, len(chunk), _STORED_BYTES):
                part = chunk[start : start + _STORED_BYTES]
                yield struct.pack("<BHH", 0, len(part), len(part) ^ 0xFFFF)
                yield part
        yield struct.pack("<BHH", 1, 0, 0xFFFF)
        yield struct.pack("<II", checksum, size & 0xFFFFFFFF)


def tar_xz(members: Iterable[tuple[PurePosixPath, File]], time: int) -> bytes:
    """Return a `.tar.xz`.

    Args:
        members: Paths and files, in the order of the archive.
        time: Modification time of all, in seconds since 1970.

    Raises:
        VerificationError: a file is not what it was.
    """
    packer = lzma.LZMACompressor(preset=_XZ_PRESET)
    packed = [packer.compress(chunk) for chunk in tar_chunks(members, time)]
    return b"".join([*packed, packer.flush()])


def tar_chunks(members: Iterable[tuple[PurePosixPath, File]], time: int) -> Iterator[bytes]:
    """Yield the bytes of a tar; its directories come before what is in them.

    Arguments and errors are those of `tar_xz`.
    """
    directories: set[PurePosixPath] = set()
    for path, file in members:
        for parent in reversed(path.parents[:-1]):
            if parent not in directories:
                directories.add(parent)
                yield _header(parent, time, kind=tarfile.DIRTYPE, mode=0o755)
        yield _header(path, time, size=file.size, mode=0o755 if file.executable else 0o644)
        yield from _content(path, file)
        yield bytes(-file.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _header(
    path: PurePosixPath,
    time: int,
    *,
    kind: bytes = tarfile.REGTYPE,
    size: int = 0,
    mode: int,
) -> bytes:
    info = tarfile.TarInfo(f"{path}/" if kind == tarfile.DIRTYPE else str(path))
    info.type, info.size, info.mode, info.mtime = kind, size, mode, time
    # By default the locale would say how names are encoded.
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")


def _content(path: PurePosixPath, file: File) -> Iterator[bytes]:
    digest = hashlib.sha256()
    size = 0
    with file.content.open() as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            yield chunk
    if (size, digest.hexdigest()) != (file.size, file.sha256):
        raise VerificationError(
            f"changed since it was read: sha256 {file.sha256}, found {digest.hexdigest()}",
            where=str(path),
        )
