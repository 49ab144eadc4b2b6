"""The files of the packages: each appears complete, and stays while an index lists it."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, VerificationError, raise_all
from pkggen.publish.apt import disk

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from pkggen.publish.apt.incoming import Incoming
    from pkggen.publish.apt.indices import Entry, PoolFile

_POOL: Final = "pool"


def place(packages: Iterable[Incoming], public: Path, used: Callable[[], Collection[str]]) -> None:
    """Move the files of packages to their places.

    Args:
        packages: Verified packages.
        public: Root of what is published.
        used: Returns the paths that the indices on disk list.

    Raises:
        InputError: other bytes are there, and used; then nothing is moved.
        OSError: the system refused.
    """
    new: dict[str, tuple[Path, PoolFile]] = {}
    faults = []
    for package in packages:
        for copy, file in zip(package.copies, package.entry.files, strict=True):
            there = public / file.path
            other = new.get(file.path)
            if other is not None:
                same = other[1] == file
            elif same := not there.exists() or _is(there, file) or file.path not in used():
                new[file.path] = copy, file
            if not same:
                faults.append(different(file.path))
    raise_all(faults)
    directories = set()
    for path, (copy, file) in new.items():
        there = public / path
        if there.exists() and _is(there, file):
            continue
        disk.make_directory(there.parent)
        copy.replace(there)
        directories.add(there.parent)
    disk.sync(directories)


def different(what: str) -> InputError:
    """Return the error for a package that is there with other bytes."""
    return InputError(
        "it is in the repository already, with other bytes",
        where=what,
        hint="machines may have installed it, so it stays; raise the revision of the new one, "
        "e.g. from -0pkggen1 to -0pkggen2",
    )


def _is(path: Path, file: PoolFile) -> bool:
    if path.stat().st_size != file.size:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def verify(entries: Iterable[Entry], public: Path) -> None:
    """Hash the files of packages again.

    Raises:
        VerificationError: a file is missing, or has other bytes.
    """
    files = {file.path: file for entry in entries for file in entry.files}
    raise_all(
        VerificationError(
            "the file is not the one that was added",
            where=str(public / path),
            hint="restore it from a backup, or take its package away with `pkggen apt remove`",
        )
        for path, file in sorted(files.items())
        if not (public / path).is_file() or not _is(public / path, file)
    )


def collect(public: Path, used: Collection[str]) -> None:
    """Remove the files that no index on disk lists, and directories that become empty."""
    keep = {public / path for path in used}
    for path in sorted((public / _POOL).rglob("*"), reverse=True):
        if path in keep:
            continue
        with suppress(OSError):  # a directory that is not empty; or left for the next time
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
