"""Streams of gzip, bzip2, xz and zstd, unpacked in pieces of bounded size.

Sources: RFC 1952 (gzip), RFC 8878 (zstd), `dpkg/lib/dpkg/compress.c`.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Compression = Literal["gz", "bz2", "xz", "zst"]

MAGICS: Final[dict[Compression, bytes]] = {
    "gz": b"\x1f\x8b",
    "bz2": b"BZh",
    "xz": b"\xfd7zXZ\0",
    "zst": b"\x28\xb5\x2f\xfd",
}
"""First bytes of each kind of stream."""
ERRORS: Final = (zlib.error, lzma.LZMAError, EOFError, OSError)
"""What `unpacked` raises when the stream is damaged, or wants too much memory."""

_CHUNK_BYTES: Final = 256 * 1024
_XZ_MEMORY_BYTES: Final = 256 * 1024 * 1024
_ZSTD_WINDOW_BYTES: Final = 128 * 1024 * 1024
"""What zstd itself, libarchive and dpkg accept unless told otherwise."""
_ZSTD_STEP_BYTES: Final = 256
"""Every 4 bytes may become 128 KiB: a step yields at most 8 MiB."""


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


class _Unzstd:
    """One frame; zstandard's object, which knows no `max_length`, is fed in small steps."""

    def __init__(self) -> None:
        import zstandard  # noqa: PLC0415 - 9 ms, for few commands

        limited = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
        self._zstd = limited.decompressobj()
        self._error = zstandard.ZstdError
        self._packed = memoryview(b"")
        self._unpacked = memoryview(b"")

    @property
    def eof(self) -> bool:
        return self._zstd.eof and not self._unpacked

    @property
    def unused_data(self) -> bytes:
        return self._zstd.unused_data + self._packed

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if data:
            self._packed = memoryview(bytes(self._packed) + data)
        whole = bytearray()
        while len(whole) < max_length:
            if not self._unpacked:
                if self._zstd.eof or not self._packed:
                    break
                self._unpacked = memoryview(self._step())
            count = max_length - len(whole)
            whole += self._unpacked[:count]
            self._unpacked = self._unpacked[count:]
        return bytes(whole)

    def _step(self) -> bytes:
        step, self._packed = self._packed[:_ZSTD_STEP_BYTES], self._packed[_ZSTD_STEP_BYTES:]
        try:
            return self._zstd.decompress(step)
        except self._error as error:
            raise OSError(str(error)) from error


_DECOMPRESSORS: Final[dict[Compression, Callable[[], _Decompressor]]] = {
    "gz": _Gunzip,
    "bz2": bz2.BZ2Decompressor,
    "xz": _unxz,
    "zst": _Unzstd,
}


def unpacked(
    packed: BinaryIO, compression: Compression, *, single: bool = False
) -> Iterator[bytes]:
    """Yield pieces of at most 256 KiB of one compressed stream or several in a row.

    Args:
        packed: The compressed bytes. Zeros may follow them, but not those of zstd, whose other
            readers refuse that.
        compression: Of which kind they are.
        single: Nothing may follow the first stream: of zstd, dpkg reads only one.

    Raises:
        EOFError: the stream breaks off.
        Exception: one of `ERRORS`.
    """
    new = _DECOMPRESSORS[compression]
    padding = b"" if compression == "zst" else b"\0"
    stream = new()
    data = packed.read(_CHUNK_BYTES)
    while True:
        chunk = stream.decompress(data, _CHUNK_BYTES)
        yield chunk
        data = b""
        if stream.eof:
            data = stream.unused_data or packed.read(_CHUNK_BYTES)
            if not data.strip(padding):
                return
            if single:
                raise OSError("more follows the first compressed stream, which dpkg does not read")
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
