"""Incomplete files, each locked by the process that writes it."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final

from pkggen.errors import InputError, ToolError
from pkggen.sources.hashes import CHUNK_BYTES, Hasher

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

PART_PREFIX: Final = ".part-"
"""Start of the names of incomplete files."""
_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def usable(directory: Path) -> Iterator[None]:
    """Turn errors of the file system into errors that name the directory.

    Raises:
        ToolError: the disk is full.
        InputError: anything else that the system refuses.
    """
    try:
        yield
    except OSError as error:
        place = str(error.filename or directory)
        if error.errno in _DISK_FULL:
            raise ToolError(
                "the disk is full",
                where=place,
                hint="make room and run the same again; it continues where it stopped",
            ) from error
        raise InputError(f"the cache cannot be used: {error.strerror}", where=place) from error


class Part:
    """An incomplete file, locked as long as it is open; what is there already stays."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        """Take over an open and locked file, positioned at its end."""
        self.path = path
        self.file = file

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return os.fstat(self.file.fileno()).st_size

    def clear(self) -> None:
        """Start anew."""
        self.file.seek(0)
        self.file.truncate()

    def hasher(self) -> Hasher:
        """Return a hasher that has seen what is there; the file is at its end then."""
        hasher = Hasher()
        self.file.seek(0)
        while data := self.file.read(CHUNK_BYTES):
            hasher.update(data)
        return hasher

    def close(self) -> None:
        """Unlock; the file stays for the next attempt unless it is empty."""
        if not self.file.closed:
            if self.size == 0:
                self.path.unlink(missing_ok=True)
            self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def locked(path: Path, flags: int) -> Part | None:
    """Open and lock an incomplete file; None when another process has it or takes it away."""
    try:
        number = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o666)
    except FileNotFoundError:
        return None
    file = os.fdopen(number, "r+b", buffering=0)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held the lock before may have removed the name that we opened.
        if os.path.samestat(path.stat(), os.fstat(number)):
            file.seek(0, os.SEEK_END)
            return Part(path, file)
    except (BlockingIOError, FileNotFoundError):
        pass
    file.close()
    return None
