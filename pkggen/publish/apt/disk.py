"""Writing that survives a power cut, and errors of the system that say where."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pkggen.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

AT_A_TIME: Final = 8
"""Threads that wait for the disk."""


@contextmanager
def unchanged_on_failure(directory: Path) -> Iterator[None]:
    """Turn errors of the system into one that names the file.

    Raises:
        ToolError: disk full, no permission and the like.
    """
    try:
        yield
    except OSError as error:
        raise ToolError(
            f"the system refused: {error.strerror or error}",
            where=str(error.filename or directory),
            hint="the repository is as it was; check the free space and the permissions",
        ) from error


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Wait until no other process has the lock, and have it."""
    number = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def make_directory(directory: Path) -> None:
    """Make a directory, and those above it, that everybody may read."""
    if not directory.is_dir():
        make_directory(directory.parent)
        directory.mkdir()
        directory.chmod(0o755)


def write(file: Path, data: bytes) -> None:
    """Write a new file that everybody may read."""
    with file.open("xb") as stream:
        os.fchmod(stream.fileno(), 0o644)
        stream.write(data)


def replace(file: Path, data: bytes) -> None:
    """Put a file in the place of another in one step."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    try:
        write(new, data)
        sync([new])
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
    sync([file.parent])


def link(old: Path, new: Path) -> None:
    """Give a file another name, or copy it where the file system has no links."""
    try:
        os.link(old, new)
    except FileExistsError:
        pass
    except OSError:
        shutil.copyfile(old, new)


def sync(paths: Iterable[Path]) -> None:
    """Force files, and the names in directories, to the disk.

    Asked for many that were just written, the disk takes little longer than for the first.
    """
    with ThreadPoolExecutor(AT_A_TIME) as threads:
        list(threads.map(_sync, paths))


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno != errno.EINVAL:  # directories of some file systems need no such thing
            raise
    finally:
        os.close(number)


def remove_tree(directory: Path) -> None:
    """Remove a directory that nobody uses any more; what cannot be removed is left for later."""
    shutil.rmtree(directory, ignore_errors=True)
