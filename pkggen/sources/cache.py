"""Files kept by their hashes, in the layout of opam's download cache.

A file is below `<kind>/<first two digits>/<digits>` for each of its hashes, as hard links, so opam
can use the directory as its own cache and any web server can offer it as an archive mirror. A name
appears only once the bytes are complete and verified; what is not complete has a name that starts
with `.part-` and is locked by the process that writes it. Nothing is believed because of its name:
every use hashes the bytes again, which costs less than reading them from a slow disk.

Source: ocaml/opam `src/repository/opamDownload.ml`, `src/format/opamPath.ml` (`download-cache`).
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from pkggen.errors import InputError, PkggenError, VerificationError
from pkggen.opam.package import DIGEST_LENGTHS, Checksum
from pkggen.sources.hashes import CHUNK_BYTES, Hasher, Hashes, hash_stream
from pkggen.sources.part import PART_PREFIX, Part, locked, usable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path


_WORK_SUFFIX: Final = ".d"
_ALWAYS: Final = ("sha256", "sha512")
_DIGITS: Final = re.compile(r"[0-9a-f]+")
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of the cache."""

    path: Path
    """The first of its names."""
    checksums: tuple[Checksum, ...]
    """What its names say, sorted."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A file that is not wanted any more."""

    path: Path
    """Where it is or was."""
    size: int
    """Bytes."""


class Cache:
    """The files below one directory."""

    def __init__(self, directory: Path) -> None:
        """Keep the place; it is made when something is added."""
        self.directory = directory

    def place(self, checksum: Checksum) -> Path:
        """Return where a file with this checksum is or would be."""
        return self.directory / checksum.kind / checksum.digest[:2] / checksum.digest

    # Finding

    def find(self, checksums: Iterable[Checksum]) -> tuple[Path, Hashes] | None:
        """Return a file that has all the checksums, with what was computed from its bytes just now.

        A file that does not have the hash in its own name is removed.

        Raises:
            InputError: the cache cannot be read or repaired.
        """
        wanted = tuple(checksums)
        with usable(self.directory):
            for checksum in wanted:
                place = self.place(checksum)
                hashes = _hashed(place, md5=any(one.kind == "md5" for one in wanted))
                if hashes is None:
                    continue
                if hashes.digest(checksum.kind) != checksum.digest:
                    place.unlink(missing_ok=True)
                elif hashes.matches(wanted):
                    return self._link(place, hashes, wanted), hashes
        return None

    def entries(self) -> Iterator[Entry]:
        """Yield every file once, sorted by path; bytes are not looked at."""
        names: dict[tuple[int, int], list[tuple[Path, Checksum, int]]] = {}
        with usable(self.directory):
            for path, checksum in self._names():
                state = path.lstat()
                key = (state.st_dev, state.st_ino)
                names.setdefault(key, []).append((path, checksum, state.st_size))
        for same in names.values():
            yield Entry(
                path=same[0][0],
                checksums=tuple(sorted(checksum for _, checksum, _ in same)),
                size=same[0][2],
            )

    # Adding

    def part(self, key: str) -> Part:
        """Open the incomplete file of a key, or one of its own while another process writes that.

        Args:
            key: Letters, digits and hyphens, e.g. `sha256-…`.

        Raises:
            InputError: the cache cannot be written.
            ToolError: the disk is full.
        """
        with usable(self.directory):
            _make_directory(self.directory)
            path = self.directory / f"{PART_PREFIX}{key}"
            if (part := locked(path, os.O_CREAT)) is not None:
                return part
            path = path.with_name(f"{path.name}-{secrets.token_hex(8)}")
            if (part := locked(path, os.O_CREAT | os.O_EXCL)) is not None:
                return part
        raise InputError("another process takes away new files", where=str(path))

    def left_over(self, key: str) -> Part | None:
        """Open the incomplete file of a key that a dead process left, None when there is none.

        Raises:
            InputError: the cache cannot be used.
        """
        with usable(self.directory):
            return locked(self.directory / f"{PART_PREFIX}{key}", 0)

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """Give an empty directory on the same disk; a dead process leaves it for the collector.

        Raises:
            InputError: the cache cannot be written.
            ToolError: the disk is full.
        """
        with self.part(f"work-{secrets.token_hex(8)}") as lock:
            directory = lock.path.with_name(lock.path.name + _WORK_SUFFIX)
            with usable(self.directory):
                directory.mkdir()
            try:
                yield directory
            finally:
                shutil.rmtree(directory, ignore_errors=True)

    def accept(self, part: Part, hashes: Hashes, checksums: Collection[Checksum]) -> Path:
        """Give a complete file its names.

        Args:
            part: The file; closed afterwards.
            hashes: Computed from its bytes.
            checksums: What is recorded; empty when nothing is.

        Returns:
            The path by sha256.

        Raises:
            VerificationError: a recorded checksum does not match; the file is gone then.
            InputError: the cache cannot be written.
            ToolError: the disk is full.
        """
        if not hashes.matches(checksums):
            part.clear()
            part.close()
            raise VerificationError(
                "; ".join(error.message for error in hashes.mismatches(checksums, ""))
            )
        with usable(self.directory), part:
            part.file.flush()
            os.fsync(part.file.fileno())
            place = self._link(part.path, hashes, checksums)
            part.path.unlink(missing_ok=True)
        return place

    def add(self, path: Path, checksums: Collection[Checksum] = ()) -> tuple[Path, Hashes]:
        """Copy a file into the cache.

        Args:
            path: A regular file that may change or be hostile.
            checksums: What is recorded; empty when nothing is.

        Raises:
            VerificationError: a recorded checksum does not match.
            InputError: the file cannot be read, or the cache cannot be written.
            ToolError: the disk is full.
        """
        with self.part(f"copy-{secrets.token_hex(8)}") as part:
            hashes = self._copied(path, part)
            return self.accept(part, hashes, checksums), hashes

    def _copied(self, path: Path, part: Part) -> Hashes:
        hasher = Hasher()
        try:
            with _open_regular(path) as file:
                while data := file.read(CHUNK_BYTES):
                    hasher.update(data)
                    with usable(self.directory):
                        part.file.write(data)
        except OSError as error:
            part.clear()
            raise InputError(error.strerror or str(error), where=str(path)) from error
        except PkggenError:
            part.clear()
            raise
        return hasher.hashes()

    def _link(self, path: Path, hashes: Hashes, checksums: Iterable[Checksum]) -> Path:
        """Give a verified file the names that it lacks, and return the one by sha256."""
        kinds = dict.fromkeys((*_ALWAYS, *(checksum.kind for checksum in checksums)))
        for kind in kinds:
            _link(path, self.place(Checksum(kind, hashes.digest(kind))), hashes)
        return self.place(Checksum("sha256", hashes.sha256))

    # Keeping house

    def verify(self, *, remove: bool = False) -> Iterator[tuple[Entry, list[VerificationError]]]:
        """Hash every file and yield each with what is wrong with it.

        Args:
            remove: Take away names that do not belong to their bytes.

        Raises:
            InputError: the cache cannot be read or repaired.
        """
        for entry in self.entries():
            with usable(self.directory):
                hashes = _hashed(entry.path)
                if hashes is None:
                    continue
                wrong = hashes.mismatches(entry.checksums, str(entry.path))
                if wrong and remove:
                    for checksum in entry.checksums:
                        if hashes.digest(checksum.kind) != checksum.digest:
                            self.place(checksum).unlink(missing_ok=True)
            yield entry, wrong

    def collect_garbage(
        self, needed: Collection[Checksum] | None, *, dry_run: bool = False
    ) -> Iterator[Removal]:
        """Remove what nobody needs, and yield it.

        Args:
            needed: Checksums of what stays; None to remove incomplete files only.
            dry_run: Only tell.

        Raises:
            InputError: the cache cannot be read or written.
        """
        with usable(self.directory):
            yield from self._parts(dry_run=dry_run)
        if needed is None:
            return
        keep = frozenset(needed)
        for entry in self.entries():
            if keep.isdisjoint(entry.checksums):
                with usable(self.directory):
                    for checksum in entry.checksums if not dry_run else ():
                        self.place(checksum).unlink(missing_ok=True)
                yield Removal(path=entry.path, size=entry.size)

    def export(self, target: Path, needed: Collection[Checksum] | None) -> Iterator[Entry]:
        """Make a directory that a web server can offer as an archive mirror; yield its files.

        Files are verified on the way; hard links are used where the file system allows.

        Args:
            target: Made when it is missing; what is there stays.
            needed: Checksums of what to export; None for everything.

        Raises:
            VerificationError: a file does not have the hash in its name.
            InputError: the cache cannot be read, or the directory cannot be written.
            ToolError: the disk is full.
        """
        other = Cache(target)
        keep = None if needed is None else frozenset(needed)
        for entry in self.entries():
            if keep is not None and keep.isdisjoint(entry.checksums):
                continue
            with usable(self.directory):
                hashes = _hashed(entry.path)
            if hashes is None or not hashes.matches(entry.checksums):
                raise VerificationError(
                    "the file does not have the hash in its name",
                    where=str(entry.path),
                    hint="`pkggen cache verify --remove` takes it away",
                )
            with usable(target):
                other._link(entry.path, hashes, entry.checksums)
            yield entry

    def _parts(self, *, dry_run: bool) -> Iterator[Removal]:
        if not self.directory.is_dir():
            return
        for path in sorted(self.directory.iterdir()):
            if not path.name.startswith(PART_PREFIX):
                continue
            if path.name.endswith(_WORK_SUFFIX) and path.is_dir():
                yield from _abandoned(path, dry_run=dry_run)
                continue
            # A lock that somebody holds means that the file is being written.
            if (part := locked(path, 0)) is not None:
                removal = Removal(path=path, size=part.size)
                if not dry_run:
                    path.unlink(missing_ok=True)
                part.file.close()
                yield removal
        for path in sorted(self.directory.glob(f"*/??/{PART_PREFIX}*")):
            removal = Removal(path=path, size=path.lstat().st_size)
            if not dry_run:
                path.unlink(missing_ok=True)
            yield removal

    def _names(self) -> Iterator[tuple[Path, Checksum]]:
        for kind, length in sorted(DIGEST_LENGTHS.items()):
            for path in sorted((self.directory / kind).glob("??/*")):
                name = path.name
                right = len(name) == length and _DIGITS.fullmatch(name) is not None
                if right and path.parent.name == name[:2]:
                    yield path, Checksum(kind, name)


def _open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; a pipe or device in its place does not hold us up."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(number, "rb", buffering=0)


def _hashed(path: Path, *, md5: bool = True) -> Hashes | None:
    """Return the hashes of a file, None when there is none."""
    with suppress(FileNotFoundError, NotADirectoryError), _open_regular(path) as file:
        return hash_stream(file, md5=md5)
    return None


def _make_directory(path: Path) -> None:
    # Most are there; an attempt to make them anew takes some file systems ten times as long.
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)


def _abandoned(directory: Path, *, dry_run: bool) -> Iterator[Removal]:
    """Remove a workspace unless the process that made it still holds its lock."""
    lock = directory.with_name(directory.name.removesuffix(_WORK_SUFFIX))
    if lock.exists():
        part = locked(lock, 0)
        if part is None:
            return
        part.file.close()
    size = sum(path.lstat().st_size for path in directory.rglob("*"))
    if not dry_run:
        shutil.rmtree(directory)
    yield Removal(path=directory, size=size)


def _link(path: Path, name: Path, hashes: Hashes) -> None:
    """Give a file another name; what has it now stays if its bytes are the same."""
    _make_directory(name.parent)
    try:
        os.link(path, name)
    except FileExistsError:
        if path.samefile(name) or _hashed(name, md5=False) == hashes:
            return
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    else:
        return
    new = name.with_name(f"{PART_PREFIX}{secrets.token_hex(8)}")
    try:
        try:
            os.link(path, new)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            shutil.copyfile(path, new)
            with new.open("rb") as copy:
                os.fsync(copy.fileno())
        new.replace(name)
    finally:
        new.unlink(missing_ok=True)
