"""What is to be added: copied to a private place first, then read and verified there.

So nobody can change a file between its verification and its publication.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, BinaryIO, Final

from pkggen.errors import InputError, PkggenError, VerificationError, raise_all
from pkggen.publish.apt import disk
from pkggen.publish.apt.deb_file import read_deb
from pkggen.publish.apt.indices import binary_entry, source_entry
from pkggen.publish.apt.listing import MAX_BYTES, read_dsc, read_listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pkggen.publish.apt.indices import Entry
    from pkggen.publish.apt.listing import Listed

_CHUNK_BYTES: Final = 1024 * 1024
_UPLOADS: Final = frozenset({".changes", ".buildinfo"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A package that is verified and copied, but not published."""

    entry: Entry
    """How indices list it."""
    copies: tuple[Path, ...]
    """Where its files are, in the order of the entry."""
    newest: int
    """Newest time that it states, in seconds since 1970; 0 if none."""


def collect(paths: Iterable[Path], staging: Path) -> list[Incoming]:
    """Return the packages that files hold, sorted as indices are, each once.

    Args:
        paths: .deb, .dsc, .changes and .buildinfo files; the last three bring the files that they
            list, which are beside them.
        staging: Empty directory for copies.

    Raises:
        InputError: a file is not acceptable, or is missing.
        VerificationError: a file has not a checksum that is listed.
        OSError: a copy cannot be written.
    """
    collector = _Collector(staging)
    faults: list[PkggenError] = []
    for path in paths:
        try:
            collector.take(path)
        except PkggenError as error:
            faults.append(error)
    found: dict[tuple[str, str, str], Incoming] = {}
    for package in (*collector.sources.values(), *collector.binaries(faults)):
        other = found.setdefault(package.entry.key, package)
        if other.entry != package.entry:
            faults.append(InputError(f"two different packages are both {package.entry}"))
    raise_all(faults)
    disk.sync(copy for package in found.values() for copy in package.copies)
    return [found[key] for key in sorted(found)]


class _Collector:
    """Sorts out which packages there are, then copies and reads each once."""

    def __init__(self, staging: Path) -> None:
        self._staging = staging
        self._number = count()
        self._debs: dict[Path, list[Listed]] = {}
        self.sources: dict[Path, Incoming] = {}

    def take(self, path: Path) -> None:
        """Note a file and what it lists."""
        if path.suffix == ".deb":
            self._debs.setdefault(path, [])
        elif path.suffix == ".dsc":
            self._source(path)
        elif path.suffix in _UPLOADS:
            self._upload(path)
        else:
            raise InputError(
                "not a .deb, .dsc, .changes or .buildinfo",
                where=str(path),
                hint="other files come with the .dsc or .changes that lists them",
            )

    def _upload(self, path: Path) -> None:
        upload = read_listing(_short(path), str(path))
        accounted: set[str] = set()
        for listed in upload.files:
            file = path.with_name(listed.name)
            if file.suffix == ".deb":
                self._debs.setdefault(file, []).append(listed)
            elif file.suffix == ".dsc":
                source = self._source(file, listed, upload.date)
                accounted |= {one.path.rpartition("/")[2] for one in source.entry.files}
            elif file.suffix == ".buildinfo":
                _verify(listed, *_measured(_short(file)), str(file))
            else:
                continue
            accounted.add(listed.name)
        if strange := {listed.name for listed in upload.files} - accounted:
            raise InputError(
                f"{min(strange)} is neither a .deb nor a file of a .dsc that is listed too",
                where=str(path),
            )

    def _source(self, path: Path, listed: Listed | None = None, newest: int = 0) -> Incoming:
        """Copy and verify a source package with all its files."""
        data = _short(path)
        size, digests = _measured(data)
        if listed is not None:
            _verify(listed, size, digests, str(path))
        dsc = read_dsc(data, str(path))
        copies = [self._new()]
        disk.write(copies[0], data)
        for file in dsc.listing.files:
            beside = path.with_name(file.name)
            copy, length, found = self._copied(beside, file.digests)
            _verify(file, length, found, str(beside))
            copies.append(copy)
        entry = source_entry(dsc, size, digests)
        package = Incoming(entry=entry, copies=tuple(copies), newest=newest)
        self.sources[path] = package
        return package

    def binaries(self, faults: list[PkggenError]) -> Iterator[Incoming]:
        """Copy and verify all binary packages, and yield those that are in order.

        Args:
            faults: Gets what is wrong with the others.
        """
        for path, listed in self._debs.items():
            try:
                yield self._binary(path, listed)
            except PkggenError as error:
                faults.append(error)

    def _binary(self, path: Path, listed: list[Listed]) -> Incoming:
        kinds = {"sha256", *(kind for one in listed for kind in one.digests)}
        copy, size, digests = self._copied(path, kinds)
        for one in listed:
            _verify(one, size, digests, str(path))
        with copy.open("rb") as file:
            deb = read_deb(file, str(path))
        entry = binary_entry(deb, size, digests["sha256"])
        return Incoming(entry=entry, copies=(copy,), newest=deb.newest)

    def _new(self) -> Path:
        return self._staging / str(next(self._number))

    def _copied(self, path: Path, kinds: Iterable[str]) -> tuple[Path, int, dict[str, str]]:
        """Copy a file; return the copy, its size and its digests."""
        hashes = {kind: hashlib.new(kind, usedforsecurity=False) for kind in kinds}
        size = 0
        copy = self._new()
        with _opened(path) as source, copy.open("xb", buffering=0) as stream:
            os.fchmod(stream.fileno(), 0o644)
            while data := _read(source, path, _CHUNK_BYTES):
                size += stream.write(data)
                for one in hashes.values():
                    one.update(data)
        return copy, size, {kind: one.hexdigest() for kind, one in hashes.items()}


def _verify(listed: Listed, size: int, digests: dict[str, str], where: str) -> None:
    """Raise an error unless a file has the size and all checksums that are listed."""
    found = {"size": str(size), **digests}
    for kind, value in (("size", str(listed.size)), *listed.digests.items()):
        if found[kind] != value:
            raise VerificationError(f"the {kind} is {found[kind]}, listed is {value}", where=where)


def _measured(data: bytes) -> tuple[int, dict[str, str]]:
    """Return size and digests."""
    kinds = ("md5", "sha1", "sha256", "sha512")
    return len(data), {k: hashlib.new(k, data, usedforsecurity=False).hexdigest() for k in kinds}


def _short(path: Path) -> bytes:
    with _opened(path) as file:
        data = _read(file, path, MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InputError(f"is larger than {MAX_BYTES} bytes", where=str(path))
    return data


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file; nothing else, which might never end."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    with open(number, "rb") as file:  # noqa: PTH123 - a descriptor
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise InputError("not a regular file", where=str(path))
        yield file


def _read(file: BinaryIO, path: Path, size: int) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
