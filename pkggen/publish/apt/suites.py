"""Suites: each a symbolic link to its newest generation, which is complete before the link moves.

Whoever reads `dists/SUITE` sees all of one generation or all of the next one. The new generation
also holds, by their hashes, the indices of the generations before it, for clients that have read
the Release file a moment too early.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError
from pkggen.publish.apt import disk
from pkggen.publish.apt.indices import SOURCES, read_index, read_release, used_paths, verified

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pkggen.publish.apt.indices import Entry, Release
    from pkggen.publish.apt.signing import Keyring

KEPT_GENERATIONS: Final = 3
"""Generations on disk: the published one and the two before it."""

_GENERATIONS: Final = ".generations"
_RELEASE: Final = "Release"
_BY_HASH: Final = "by-hash/SHA256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a suite holds, verified."""

    release: Release
    """Its Release file."""
    entries: dict[tuple[str, str, str], Entry]
    """Its packages by their keys."""


class Suite:
    """One suite of a repository; only the holder of the repository's lock may change it."""

    def __init__(self, dists: Path, name: str) -> None:
        """Keep the place; nothing is there before the first `publish`."""
        self.name = name
        self._link = dists / name
        self._generations = dists / _GENERATIONS / name

    @property
    def current(self) -> int | None:
        """Number of the published generation; None before the first.

        Raises:
            InputError: something else is in its place.
        """
        if not self._link.is_symlink():
            if self._link.exists():
                raise InputError(
                    "is no link to a generation",
                    where=str(self._link),
                    hint="copy repositories with `cp -a`, and serve or mirror them as you like",
                )
            return None
        found = re.fullmatch(rf"{_GENERATIONS}/{re.escape(self.name)}/([0-9]+)", self._target())
        if found is None:
            raise InputError("leads elsewhere", where=str(self._link))
        return int(found[1])

    def _target(self) -> str:
        return str(self._link.readlink())

    def read(self, keyring: Keyring, fingerprint: str) -> Published:
        """Return what is published.

        Raises:
            VerificationError: it is not what was signed.
            InputError: something is missing, or see `current`.
            ToolError: gpg failed.
        """
        number = self.current
        if number is None:
            raise self._missing(self._link)
        place = self._generations / str(number)
        data = self._data(place / _RELEASE)
        keyring.verify(place / f"{_RELEASE}.gpg", data, fingerprint)
        release = read_release(data.decode(), str(place / _RELEASE))
        entries = {entry.key: entry for entry in self._entries(place, release)}
        return Published(release=release, entries=entries)

    def stage(self, files: Mapping[str, bytes]) -> int:
        """Write a new generation beside the published one, and return its number.

        Args:
            files: Indices, Release and its signatures by their paths below the suite.

        Raises:
            OSError: the system refused; `collect` removes what was written.
        """
        current = self.current
        self._clean(current)
        number = 1 if current is None else current + 1
        place = self._generations / str(number)
        disk.make_directory(place)
        for path, data in files.items():
            disk.make_directory((place / path).parent)
            disk.write(place / path, data)
        for old in self._numbers()[-KEPT_GENERATIONS:]:  # the new one among them
            self._by_hash(self._generations / str(old), place)
        self._let_time_pass(place, current)
        disk.sync((self._generations, place, *place.rglob("*")))
        return number

    def _by_hash(self, old: Path, new: Path) -> None:
        """Give the indices of a generation their names by hash in another one."""
        file = old / _RELEASE
        for path, (_, digest) in read_release(file.read_text("utf-8"), str(file)).listed.items():
            directory = (new / path).parent / _BY_HASH
            disk.make_directory(directory)
            disk.link(old / path, directory / digest)

    def _let_time_pass(self, place: Path, current: int | None) -> None:
        # HTTP knows whole seconds: without this, "not modified since" could be said of two.
        new = int(time.time())
        if current is not None:
            old = (self._generations / str(current) / _RELEASE).stat().st_mtime
            new = max(new, int(old) + 1)
        for name in (_RELEASE, f"{_RELEASE}.gpg", f"In{_RELEASE}"):
            os.utime(place / name, (new, new))

    def publish(self, number: int) -> None:
        """Let the suite be a generation that was staged."""
        link = self._generations / "next"
        link.unlink(missing_ok=True)
        link.symlink_to(f"{_GENERATIONS}/{self.name}/{number}")
        link.replace(self._link)
        disk.sync([self._link.parent])

    def collect(self) -> None:
        """Remove what is not published: left by a killed run, or too old.

        Raises:
            InputError: nothing is published, which cannot be right.
        """
        current = self.current
        if current is None:
            raise self._missing(self._link)
        self._clean(current)

    def _clean(self, current: int | None) -> None:
        kept = [number for number in self._numbers() if current is not None and number <= current]
        for number in set(self._numbers()) - set(kept[-KEPT_GENERATIONS:]):
            disk.remove_tree(self._generations / str(number))

    def _numbers(self) -> list[int]:
        if not self._generations.is_dir():
            return []
        return sorted(int(d.name) for d in self._generations.iterdir() if d.name.isdecimal())

    def used(self) -> Iterator[str]:
        """Yield the paths of the pool that the generations on disk list.

        Raises:
            VerificationError: an index is not the one that Release lists.
            InputError: an index or Release is missing or wrong.
        """
        for number in self._numbers():
            place = self._generations / str(number)
            file = place / _RELEASE
            release = read_release(self._data(file).decode(), str(file))
            for path, data in self._indices(place, release):
                yield from used_paths(data, path)

    def _entries(self, place: Path, release: Release) -> Iterator[Entry]:
        for path, text in self._indices(place, release):
            yield from read_index(text, path)

    def _indices(self, place: Path, release: Release) -> Iterator[tuple[str, str]]:
        """Yield path and text of the indices of a generation."""
        for path in release.listed:
            if path.endswith("/Packages") or path == SOURCES:
                where = str(place / path)
                yield where, verified(self._data(place / path), release, path, where).decode()

    @classmethod
    def _data(cls, file: Path) -> bytes:
        try:
            return file.read_bytes()
        except FileNotFoundError:
            raise cls._missing(file) from None

    @staticmethod
    def _missing(file: Path) -> InputError:
        return InputError(
            "is missing",
            where=str(file),
            hint="the published files are not as pkggen left them; restore them from a backup",
        )
