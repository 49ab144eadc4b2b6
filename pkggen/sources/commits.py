"""Commits of git repositories in the cache.

A commit is kept as the tar that `git` packs of it. No record states the hash of that tar, so a note
beside it says which tar was made of which commit; the tar itself is verified like every file.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from pkggen.errors import DownloadError, InputError, ToolError
from pkggen.opam.package import Checksum
from pkggen.sources.part import PART_PREFIX, usable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pkggen.sources.cache import Cache
    from pkggen.sources.git import GitTree
    from pkggen.sources.hashes import Hashes
    from pkggen.sources.model import Source

_UNNAMEABLE: Final = re.compile(r"[^A-Za-z0-9]+")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_MAX_NOTE_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit as a file of the cache."""

    path: Path
    """An uncompressed tar with one top-level directory."""
    hashes: Hashes
    """Of the tar."""
    commit: str
    """All 40 hexadecimal digits."""
    remarks: tuple[str, ...] = ()
    """What a user should know of a commit that was fetched just now."""


def commit_checksum(source: Source, cache: Cache) -> Checksum | None:
    """Return the sha256 of the tar of a git source, None when it was never fetched."""
    noted = _noted(source, cache)
    return None if noted is None else noted[1]


def find_commit(source: Source, cache: Cache) -> Commit | None:
    """Return a git source that is in the cache.

    Raises:
        InputError: the cache cannot be read.
    """
    noted = _noted(source, cache)
    found = None if noted is None else cache.find([noted[1]])
    if noted is None or found is None:
        return None
    return Commit(path=found[0], hashes=found[1], commit=noted[0])


def fetch_commit(source: Source, cache: Cache, *, local: bool = False) -> Commit:
    """Fetch a git source and keep it.

    Args:
        source: Of the kind `git`.
        cache: Where to keep it.
        local: Whether `file://` and, on loopback, `http://` are good as well.

    Raises:
        InputError: the commit is ambiguous, or cannot be a safe tar.
        DownloadError: the server does not give the commit.
        VerificationError: a tool of Nix has another hash for it.
        ToolError: git is missing or fails, or the disk is full.
    """
    from pkggen.sources.git import fetch_git  # noqa: PLC0415 - few records have git sources

    if source.commit is None:
        raise InputError("this is no git source", where=str(source))
    with cache.workspace() as directory:
        tar = directory / "commit.tar"
        tree = fetch_git(source.urls[0], source.commit, tar, name=_name(source), local=local)
        if not tree.commit.startswith(source.commit):
            raise DownloadError(f"git gave the commit {tree.commit}", where=str(source))
        remarks = tuple(_remarks(tree))
        path, hashes = cache.add(tar)
        _note(source, cache, tree.commit, hashes.sha256)
    return Commit(path=path, hashes=hashes, commit=tree.commit, remarks=remarks)


def _remarks(tree: GitTree) -> Iterator[str]:
    from pkggen.sources.prefetch import confirm  # noqa: PLC0415 - few records have git sources

    try:
        confirm(tree)
    except ToolError as error:
        yield f"its hash is pkggen's alone: {error.message}"
    if tree.converted:
        yield f"a checkout writes other bytes for {', '.join(tree.converted)}"
    if tree.lfs_pointers:
        yield f"git-lfs keeps the content of {', '.join(tree.lfs_pointers)}"


def _name(source: Source) -> str:
    use = source.users[0]
    return _UNNAMEABLE.sub("-", use.path or use.package).strip("-") or "source"


def _place(source: Source, cache: Cache) -> Path:
    key = json.dumps([source.urls[0], source.commit, _name(source)])
    return cache.directory / "git" / f"{sha256(key.encode()).hexdigest()}.json"


def _noted(source: Source, cache: Cache) -> tuple[str, Checksum] | None:
    """Return the full commit and the checksum of its tar; a damaged note is none."""
    try:
        with _place(source, cache).open("rb") as file:
            match json.loads(file.read(_MAX_NOTE_BYTES)):
                case {"commit": str(commit), "sha256": str(digits)}:
                    checksum = Checksum.parse(f"sha256={digits}")
                case _:
                    return None
    except (OSError, ValueError, RecursionError, InputError):
        return None
    right = _COMMIT.fullmatch(commit) and commit.startswith(source.commit or " ")
    return (commit, checksum) if right else None


def _note(source: Source, cache: Cache, commit: str, digits: str) -> None:
    place = _place(source, cache)
    with usable(cache.directory):
        place.parent.mkdir(exist_ok=True)
        new = cache.directory / f"{PART_PREFIX}{secrets.token_hex(8)}"
        try:
            with new.open("w", encoding="utf-8") as file:
                json.dump({"url": source.urls[0], "commit": commit, "sha256": digits}, file)
                file.flush()
                os.fsync(file.fileno())
            new.replace(place)
        finally:
            new.unlink(missing_ok=True)
