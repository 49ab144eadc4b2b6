"""An apt repository: `public/` is what others may read, `private/` what they may not.

Every change is made by the holder of a lock, in this order: what comes in is verified, its files
go to the pool, a new generation of the suite is written beside the published one, and at last one
symbolic link moves. So a reader sees the suite before or after the change and nothing else,
whenever the process is killed; what a killed process leaves is removed by the next one.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, PkggenError, raise_all
from pkggen.publish.apt import disk, pool
from pkggen.publish.apt.incoming import collect
from pkggen.publish.apt.indices import SOURCE, Release, index_files, release_text
from pkggen.publish.apt.page import PAGE, front_tree
from pkggen.publish.apt.settings import SETTINGS_FILE, Settings, read_settings
from pkggen.publish.apt.suites import Published, Suite
from pkggen.publish.signing import own_keyring, users_keyring
from pkggen.tree import Tree
from pkggen.writer import ChangeKind, plan, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pkggen.publish.apt.incoming import Incoming
    from pkggen.publish.apt.indices import Entry
    from pkggen.publish.signing import Key, Keyring

PUBLIC: Final = "public"
"""Directory that may be served."""
PRIVATE: Final = "private"
"""Directory of what nobody else may read."""
LOCK: Final = "lock"
"""File below it."""

_STAGING: Final = "staging-"


_NOTHING: Final = Published(release=Release(date=0, listed={}), entries={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of a package."""

    suite: str
    """Name of the suite."""
    entry: Entry
    """The package."""
    changed: bool
    """False if it was there already, byte for byte."""


def public_directory(directory: Path) -> Path:
    """Return what may be served of a repository.

    Raises:
        InputError: there is no repository.
    """
    _settings(directory)
    return directory / PUBLIC


def _settings(directory: Path) -> Settings:
    with disk.unchanged_on_failure(directory):
        settings = read_settings(directory)
    if settings is None:
        raise InputError(
            f"there is no {SETTINGS_FILE} in it",
            where=str(directory),
            hint="make a repository with `pkggen apt init`",
        )
    return settings


class Repository:
    """A repository whose lock this process has."""

    def __init__(self, directory: Path, settings: Settings, keyring: Keyring, key: Key) -> None:
        """Keep what the methods need."""
        self.settings = settings
        self._directory = directory
        self._public = directory / PUBLIC
        self._keyring = keyring
        self._key = key
        self._sound = False

    # Changing

    def add(
        self, paths: Iterable[Path], suite: str, *, date: int | None = None
    ) -> tuple[Done, ...]:
        """Add packages to a suite and publish it; nothing happens if all are there already.

        Args:
            paths: .deb, .dsc, .changes and .buildinfo files.
            suite: One of the repository's.
            date: Of the new Release, in seconds since 1970; None for the newest time that is in
                the packages.

        Raises:
            InputError: a file is not acceptable, a package is there with other bytes, or the date
                is impossible.
            VerificationError: a file has not a checksum that is listed for it, or what is published
                is not what was signed.
            ToolError: gpg or the system failed.
        """
        published = self._read_all()
        if suite not in published:
            raise InputError(f"there is no suite {suite}", hint=f"it has {', '.join(published)}")
        old = published[suite].entries
        with tempfile.TemporaryDirectory(prefix=_STAGING, dir=self._directory / PRIVATE) as staging:
            packages = collect(paths, Path(staging))
            raise_all(self._unknown_architectures(packages))
            raise_all(_conflicts(packages, published.values()))
            new = [package for package in packages if package.entry.key not in old]
            if new:
                newest = max(package.newest for package in new)
                due = self._date(published[suite], newest, date)
                pool.place(new, self._public, self._used)
                entries = {**old, **{package.entry.key: package.entry for package in new}}
                self._publish(suite, entries, due)
        return tuple(
            Done(suite=suite, entry=p.entry, changed=p.entry.key not in old) for p in packages
        )

    def remove(
        self, name: str, *, version: str | None = None, suite: str | None = None
    ) -> tuple[Done, ...]:
        """Take binary and source packages out of suites and publish these.

        Args:
            name: Of the packages.
            version: None for all versions.
            suite: None for all suites.

        Raises:
            InputError: there is no such package.
            VerificationError: what is published is not what was signed.
            ToolError: gpg or the system failed.
        """
        published = self._read_all()
        done = []
        for here in published if suite is None else {suite} & published.keys():
            entries = published[here].entries
            gone = [
                entry
                for entry in entries.values()
                if entry.name == name and version in {None, entry.version}
            ]
            if gone:
                kept = {key: entry for key, entry in entries.items() if entry not in gone}
                self._publish(here, kept, self._date(published[here]))
                done += [Done(suite=here, entry=entry, changed=True) for entry in gone]
        if not done:
            wanted = name if version is None else f"{name} {version}"
            raise InputError(f"there is no {wanted}" + ("" if suite is None else f" in {suite}"))
        return tuple(done)

    def publish(self, *, date: int | None = None) -> tuple[PurePosixPath, ...]:
        """Verify every package again, and write and sign all indices, pages and keys anew.

        Args:
            date: Of the new Release files, in seconds since 1970; None for that of the old.

        Returns:
            Pages that were kept because somebody edited them.

        Raises:
            VerificationError: a package is not as it was added, or an index as it was signed.
            InputError: the date is impossible.
            ToolError: gpg or the system failed.
        """
        published = self._read_all()
        pool.verify((e for one in published.values() for e in one.entries.values()), self._public)
        dates = {suite: self._date(one, 0, date) for suite, one in published.items()}
        for suite, one in published.items():
            self._publish(suite, one.entries, dates[suite])
        return self._write_front()

    def packages(self) -> dict[str, tuple[Entry, ...]]:
        """Return the packages of every suite, sorted as indices are.

        Raises:
            VerificationError: what is published is not what was signed.
            ToolError: gpg or the system failed.
        """
        return {
            suite: tuple(one.entries[key] for key in sorted(one.entries))
            for suite, one in self._read_all().items()
        }

    def extend(self, old: Settings | None) -> None:
        """Publish the suites that are new or get new architectures, and what tells of them.

        Args:
            old: What the repository was before; None if it is new.

        Raises:
            VerificationError: what is published is not what was signed.
            ToolError: gpg or the system failed.
        """
        for name in self.settings.suites:
            suite = self._suite(name)
            if suite.current is None and (old is None or name not in old.suites):
                self._publish(name, {}, self._date(_NOTHING))
            elif old is None or old.architectures != self.settings.architectures:
                published = suite.read(self._keyring, self._key.fingerprint)
                self._publish(name, published.entries, self._date(published))
        self._write_front()

    def collect_garbage(self) -> None:
        """Remove what nobody needs; if anything is not as it should be, remove nothing."""
        if not self._sound:
            return
        with suppress(OSError, PkggenError):
            for name in self.settings.suites:
                self._suite(name).collect()
            pool.collect(self._public, self._used())

    # How

    def _suite(self, name: str) -> Suite:
        return Suite(self._public / "dists", name)

    def _read_all(self) -> dict[str, Published]:
        names, fingerprint = self.settings.suites, self._key.fingerprint
        published = {name: self._suite(name).read(self._keyring, fingerprint) for name in names}
        self._sound = True
        return published

    def _unknown_architectures(self, packages: Iterable[Incoming]) -> Iterator[InputError]:
        known = {*self.settings.architectures, "all", SOURCE}
        for package in packages:
            if (architecture := package.entry.architecture) not in known:
                yield InputError(
                    f"the repository has no architecture {architecture}",
                    where=str(package.entry),
                    hint=f"`pkggen apt init DIR --architecture {architecture}` adds it",
                )

    def _date(self, old: Published, newest: int = 0, stated: int | None = None) -> int:
        """Return the date of the next Release: apt takes none that goes back, and no future one."""
        least = max(old.release.date, self._key.created)
        if stated is not None and stated < least:
            raise InputError(
                "the date is before that of the published Release, or before the key was made",
                hint="apt refuses what seems older than what it has; give a later one",
            )
        date = max(least, newest) if stated is None else stated
        if date > time.time():
            raise InputError(
                f"the newest time is {formatdate(date, usegmt=True)}, which is in the future",
                hint="apt refuses that; look at the clocks of this machine and of the one that "
                "built the packages, or state a time with --date",
            )
        return date

    def _publish(self, name: str, entries: Mapping[tuple[str, str, str], Entry], date: int) -> None:
        architectures = self.settings.architectures
        files = index_files(entries.values(), architectures)
        text = release_text(self.settings.name, name, date, architectures, files).encode()
        inline, apart = self._keyring.sign(text, self._key, date)
        files |= {"Release": text, "InRelease": inline, "Release.gpg": apart}
        suite = self._suite(name)
        suite.publish(suite.stage(files))

    def _write_front(self) -> tuple[PurePosixPath, ...]:
        tree = front_tree(self.settings, self._key)
        edited = [c.path for c in plan(tree, self._public) if c.kind is ChangeKind.EDITED]
        kept = tuple(path for path in edited if path == PAGE)
        write(Tree({p: f for p, f in tree.items() if p not in kept}), self._public, force=True)
        return kept

    def _used(self) -> frozenset[str]:
        return frozenset(path for name in self.settings.suites for path in self._suite(name).used())


def _conflicts(
    packages: Iterable[Incoming], published: Iterable[Published]
) -> Iterator[InputError]:
    for suite in published:
        for package in packages:
            other = suite.entries.get(package.entry.key)
            if other is not None and other.files != package.entry.files:
                yield pool.different(str(package.entry))


@contextmanager
def opened(directory: Path, show: Callable[[str], None] | None = None) -> Iterator[Repository]:
    """Wait for the lock of a repository and give it.

    Args:
        directory: Of the repository.
        show: Is told of commands before they run.

    Raises:
        InputError: there is none, or its key cannot be used.
        ToolError: gpg or the system failed.
    """
    _settings(directory)
    with disk.unchanged_on_failure(directory), disk.locked(directory / PRIVATE / LOCK):
        settings = _settings(directory)
        with open_keyring(directory, own=settings.own_key, show=show) as keyring:
            key = keyring.key(settings.fingerprint)
            repository = Repository(directory, settings, keyring, key)
            for left in (directory / PRIVATE).glob(f"{_STAGING}*"):
                disk.remove_tree(left)
            try:
                yield repository
            finally:
                repository.collect_garbage()


@contextmanager
def open_keyring(
    directory: Path, *, own: bool, show: Callable[[str], None] | None
) -> Iterator[Keyring]:
    """Give the repository's own keyring, or the user's."""
    if own:
        with own_keyring(directory / PRIVATE / "gnupg", show) as keyring:
            yield keyring
    else:
        yield users_keyring(show)
