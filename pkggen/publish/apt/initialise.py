"""Making an apt repository, and adding suites and architectures to one."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pkggen.errors import InputError
from pkggen.publish.apt import disk
from pkggen.publish.apt.repository import LOCK, PRIVATE, PUBLIC, Repository, open_keyring
from pkggen.publish.apt.settings import SETTINGS_FILE, Settings, read_settings, write_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pkggen.publish.apt.signing import Keyring


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a repository shall be like."""

    name: str | None
    """Origin and label in Release, and name of the .sources file; None for `pkggen`."""
    url: str | None
    """Where clients find it; None for what it was, or its place in the file system."""
    fingerprint: str | None
    """Key in the user's keyring; None for a key of its own, made if there is none."""
    suites: tuple[str, ...]
    """Suites, besides those that are there; without any there is `stable`."""
    architectures: tuple[str, ...]
    """Architectures, besides those that are there; without any there is `amd64`."""


def initialise(
    directory: Path, wanted: Wanted, show: Callable[[str], None] | None = None
) -> Settings:
    """Make a repository with empty suites, or add suites and architectures to one.

    Args:
        directory: Missing, empty, or a repository.
        wanted: What it shall be like.
        show: Is told of commands before they run.

    Raises:
        InputError: the directory holds something else, or the key cannot be used or is another.
        VerificationError: what is published is not what was signed.
        ToolError: gpg or the system failed; of a new repository nothing is left then.
    """
    with disk.unchanged_on_failure(directory), ExitStack() as undo:
        _make_root(directory, undo)
        with disk.locked(directory / PRIVATE / LOCK):
            old = read_settings(directory)
            own = wanted.fingerprint is None if old is None else old.own_key
            with open_keyring(directory, own=own, show=show) as keyring:
                settings = _merged(directory, old, wanted, keyring)
                repository = Repository(
                    directory, settings, keyring, keyring.key(settings.fingerprint)
                )
                repository.extend(old)
                write_settings(settings, directory)
        undo.pop_all()
    return settings


def _make_root(directory: Path, undo: ExitStack) -> None:
    """Make what is missing of the directories."""
    parts = {PUBLIC: 0o755, PRIVATE: 0o700}
    if directory.exists():
        strange = {path.name for path in directory.iterdir()} - {*parts, SETTINGS_FILE}
        if strange:
            raise InputError(
                f"holds {min(strange)} and is no repository",
                where=str(directory),
                hint="give a directory that is empty or missing",
            )
    else:
        disk.make_directory(directory)
        undo.callback(disk.remove_tree, directory)
    for name, mode in parts.items():
        part = directory / name
        if not part.exists():
            part.mkdir()
            undo.callback(disk.remove_tree, part)
        part.chmod(mode)


def _merged(directory: Path, old: Settings | None, wanted: Wanted, keyring: Keyring) -> Settings:
    """Return the settings of a repository that is new, or gets more."""
    if old is None:
        checked = Settings(
            name=wanted.name or "pkggen",
            url=wanted.url or (directory.resolve() / PUBLIC).as_uri(),
            fingerprint=wanted.fingerprint or "0" * 40,
            own_key=wanted.fingerprint is None,
            suites=wanted.suites or ("stable",),
            architectures=wanted.architectures or ("amd64",),
        )
        if wanted.fingerprint is not None:
            return checked
        return replace(checked, fingerprint=keyring.make(f"{checked.name} apt repository"))
    if wanted.name not in {None, old.name} or wanted.fingerprint not in {None, old.fingerprint}:
        raise InputError(
            f"the repository {old.name} keeps its name and its key {old.fingerprint}",
            where=str(directory),
            hint="machines know it by them; make a new repository",
        )
    return replace(
        old,
        url=wanted.url or old.url,
        suites=tuple(dict.fromkeys((*old.suites, *wanted.suites))),
        architectures=tuple(dict.fromkeys((*old.architectures, *wanted.architectures))),
    )
