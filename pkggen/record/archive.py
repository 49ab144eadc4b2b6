"""A tar archive of a build's files as source, e.g. `all.tar.gz` of old builder-web servers.

A compressed archive is unpacked once into a plain one; a file in it becomes an offset and a length
there, so that no member is ever written under a name of the archive's choosing.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from pkggen.compression import ERRORS, MAGICS, unpacked
from pkggen.errors import InputError
from pkggen.record.artifact import RawBuild, RawFile, SliceContent, open_file
from pkggen.record.model import MAX_ARTIFACTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pkggen.compression import Compression

MAX_UNPACKED_BYTES: Final = 4 * 1024 * 1024 * 1024
"""Largest accepted archive once it is unpacked."""

_BLOCK: Final = 512
_MAX_HEADER_BYTES: Final = 1024 * 1024
_MAX_MEMBERS: Final = 2 * MAX_ARTIFACTS


def is_archive(head: bytes) -> bool:
    """Return whether a file with these first 512 bytes is a tar archive, compressed or not."""
    return head[257:262] == b"ustar" or _compression(head) is not None


def _compression(head: bytes) -> Compression | None:
    return next((kind for kind, magic in MAGICS.items() if head.startswith(magic)), None)


def read_archive(path: Path, source: str, spool: Path) -> RawBuild:
    """Return the files of an archive.

    Args:
        path: A tar archive, plain or compressed by gzip, bzip2, xz or zstd.
        source: How the user named it.
        spool: Existing directory for the unpacked archive; it must outlive the record.

    Raises:
        InputError: it is damaged, larger than `MAX_UNPACKED_BYTES` when unpacked, or has a member
            that is neither a directory nor a regular file.
    """
    with open_file(path) as file:
        head = file.read(_BLOCK)
        file.seek(0)
        if (compression := _compression(head)) is not None:
            path = _unpack(file, compression, source, spool)
    with open_file(path) as file:
        return RawBuild(source=source, files=tuple(_members(file, path, source)))


def _unpack(packed: BinaryIO, compression: Compression, source: str, spool: Path) -> Path:
    number, name = tempfile.mkstemp(suffix=".tar", dir=spool)
    size = 0
    with os.fdopen(number, "wb") as plain:
        for chunk in _pieces(packed, compression, source):
            size += len(chunk)
            if size > MAX_UNPACKED_BYTES:
                raise InputError(
                    f"larger than {MAX_UNPACKED_BYTES} bytes when unpacked", where=source
                )
            plain.write(chunk)
    return Path(name)


def _pieces(packed: BinaryIO, compression: Compression, source: str) -> Iterator[bytes]:
    try:
        yield from unpacked(packed, compression)
    except EOFError as error:
        raise InputError(str(error), where=source) from error
    except ERRORS as error:
        raise InputError(f"the compressed data is damaged: {error}", where=source) from error


class _Bounded:
    """The archive as tarfile sees it; a header that claims to be gigabytes long is refused."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise tarfile.HeaderError(f"a header of {size} bytes")
        return self._file.read(size)


def _members(file: BinaryIO, path: Path, source: str) -> Iterator[RawFile]:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    try:
        with tarfile.TarFile(fileobj=_Bounded(file), encoding="utf-8") as tar:  # type: ignore[arg-type]
            for count, member in enumerate(tar):
                if count == _MAX_MEMBERS:
                    raise InputError(f"more than {_MAX_MEMBERS} members", where=source)
                if (raw := _file(member, path, size, source)) is not None:
                    yield raw
            file.seek(tar.offset)
    except (tarfile.TarError, ValueError, OverflowError, OSError, RecursionError) as error:
        raise InputError(f"not a readable tar archive: {error}", where=source) from error
    # tarfile takes a damaged header for the end; the real end is a block of zeros.
    if file.read(_BLOCK) != b"\0" * _BLOCK:
        raise InputError("the archive breaks off or is damaged", where=source)


def _file(member: tarfile.TarInfo, path: Path, size: int, source: str) -> RawFile | None:
    name = member.name.removeprefix("./")
    if member.isdir():
        return None
    if not member.isreg() or member.sparse is not None:
        raise InputError(
            f"the member {name[:200]!r} is not a regular file",
            where=source,
            hint="links, devices and sparse files are not accepted",
        )
    if member.size < 0 or member.offset_data + member.size > size:
        raise InputError(f"the member {name[:200]!r} is cut off", where=source)
    return RawFile(path=name, content=SliceContent(path, member.offset_data, member.size))
