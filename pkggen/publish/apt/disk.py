"""Writing that survives a power cut, and errors of the system that say where."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pkggen.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
    for missing in reversed([d for d in (directory, *directory.parents) if not d.exists()]):
        missing.mkdir(exist_ok=True)
        missing.chmod(0o755)


def write(file: Path, data: bytes) -> None:
    """Write a new file that everybody may read, down to the disk."""
    with file.open("xb") as stream:
        stream.write(data)
        finish(stream.fileno())


def replace(file: Path, data: bytes) -> None:
    """Put a file in the place of another in one step."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    try:
        write(new, data)
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
    sync_directory(file.parent)


def finish(descriptor: int) -> None:
    """Let everybody read an open file, and force it to the disk."""
    os.fchmod(descriptor, 0o644)
    os.fsync(descriptor)


def link(old: Path, new: Path) -> None:
    """Give a file another name, or copy it where the file system has no links."""
    try:
        os.link(old, new)
    except FileExistsError:
        pass
    except OSError:
        shutil.copyfile(old, new)


def sync_directory(directory: Path) -> None:
    """Force the names in a directory to the disk."""
    with suppress(OSError):  # some file systems cannot, and need not
        number = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def remove_tree(directory: Path) -> None:
    """Remove a directory that nobody uses any more; what cannot be removed is left for later."""
    shutil.rmtree(directory, ignore_errors=True)
