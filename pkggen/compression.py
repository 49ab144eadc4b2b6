"""Streams of gzip, bzip2 and xz, unpacked in pieces of bounded size."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Compression = Literal["gz", "bz2", "xz"]

MAGICS: Final[dict[Compression, bytes]] = {"gz": b"\x1f\x8b", "bz2": b"BZh", "xz": b"\xfd7zXZ\0"}
"""First bytes of each kind of stream."""
ERRORS: Final = (zlib.error, lzma.LZMAError, EOFError, OSError)
"""What `unpacked` raises when the stream is damaged, or wants too much memory."""

_CHUNK_BYTES: Final = 256 * 1024
_XZ_MEMORY_BYTES: Final = 256 * 1024 * 1024


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gunzip:
    """zlib's object in the shape of those of bz2 and lzma, which keep their own input."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _unxz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY_BYTES)


_DECOMPRESSORS: Final[dict[Compression, Callable[[], _Decompressor]]] = {
    "gz": _Gunzip,
    "bz2": bz2.BZ2Decompressor,
    "xz": _unxz,
}


def unpacked(packed: BinaryIO, compression: Compression) -> Iterator[bytes]:
    """Yield pieces of at most 256 KiB of one compressed stream or several in a row.

    Raises:
        EOFError: the stream breaks off.
        Exception: one of `ERRORS`.
    """
    new = _DECOMPRESSORS[compression]
    stream = new()
    data = packed.read(_CHUNK_BYTES)
    while True:
        chunk = stream.decompress(data, _CHUNK_BYTES)
        yield chunk
        data = b""
        if stream.eof:
            data = stream.unused_data or packed.read(_CHUNK_BYTES)
            if not data.strip(b"\0"):
                return
            stream = new()
        elif len(chunk) < _CHUNK_BYTES and not (data := packed.read(_CHUNK_BYTES)):
            raise EOFError("the compressed data breaks off")


class Chunks(io.RawIOBase):
    """Chunks as a readable stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        """Take over an iterator of pieces of any size."""
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read into a buffer, and return how much; 0 at the end."""
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(chunk)
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count
