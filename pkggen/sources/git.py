"""Commits of git repositories as deterministic tars.

A tar is made from the objects of the commit, not by `git archive`, whose output depends on
`export-subst` and `export-ignore`; what is packed is what `git cat-file` prints. Submodules are
packed where they belong, at the commit that their parent records.

Sources: git's `Documentation/git-cat-file.txt` (batch output); git-lfs `docs/spec.md` (pointers).
"""

from __future__ import annotations

import re
import tarfile
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from pkggen.errors import InputError, ToolError, printable
from pkggen.sources.commit_tree import (
    MAX_TARGET_BYTES,
    MODES,
    SYMLINK,
    commit_content,
    text,
)
from pkggen.sources.hashes import Hashes, Sri, hash_stream
from pkggen.sources.nar import hash_tar
from pkggen.sources.repository import Repository, checked_address

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pkggen.sources.commit_tree import Content, Entry, Submodule

_COMMIT: Final = re.compile(r"[0-9a-f]{7,40}")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}")
_POINTER: Final = b"version https://git-lfs.github.com/spec/v1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class GitTree:
    """The files of a commit, packed."""

    url: str
    """Where it was fetched, without `git+`."""
    commit: str
    """All 40 hexadecimal digits."""
    tar: Path
    """An uncompressed tar with the single top-level directory `NAME-<8 digits of commit>`."""
    hashes: Hashes
    """Of the tar."""
    nar: Sri
    """Nix's hash of what is in the top-level directory, as `fetchgit` states it."""
    committed: datetime
    """When the commit was made (UTC): the time of every member of the tar."""
    submodules: tuple[Submodule, ...]
    """Every submodule at any depth, sorted by path."""
    lfs_pointers: tuple[str, ...]
    """Files that are only pointers to content kept by git-lfs."""
    converted: tuple[str, ...]
    """Files that a checkout writes with other bytes (attributes ident, eol, encoding)."""


def fetch_git(  # noqa: PLR0913 - each is one decision of the caller
    url: str,
    commit: str,
    tar: Path,
    *,
    name: str,
    local: bool = False,
    timeout: float = 3600,
    show: Callable[[str], None] | None = None,
) -> GitTree:
    """Fetch a commit with its submodules and pack it.

    Args:
        url: Address of the repository, `https://…` or `git+https://…`, without `#commit`.
        commit: 7 to 40 hexadecimal digits. Less than 40 have to stand for one commit of the
            branches and tags.
        tar: The file to write; it appears only when it is complete. Its directory exists.
        name: First part of the name of the top-level directory.
        local: Whether `file://` and, on loopback, `http://` are good as well.
        timeout: Seconds that each run of git may take.
        show: Is told each command before it runs.

    Raises:
        InputError: no commit is given, it is ambiguous, an address is not acceptable, the tree
            holds something that no safe tar can hold, or the tar cannot be written.
        DownloadError: the server does not give the commit or a submodule.
        ToolError: git is missing or fails.
    """
    address = checked_address(url.removeprefix("git+"), local=local)
    if not _COMMIT.fullmatch(commit):
        raise InputError(
            f"{printable(commit)!r} is no commit" if commit else "no commit is given",
            where=address,
            hint="a branch or tag can change: give the 40 digits of a commit",
        )
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} cannot be the name of a directory", where=address)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{tar.name[:100]}-", dir=tar.parent) as work:
            git = Repository(directory=Path(work), timeout=timeout, show=show)
            return _fetched(git, address, commit, tar, name=name, local=local)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(tar)) from error


def _fetched(  # noqa: PLR0913 - the arguments of `fetch_git`
    git: Repository, url: str, commit: str, tar: Path, *, name: str, local: bool
) -> GitTree:
    git.create()
    full = git.obtain(url, commit)
    content = commit_content(git, url, full, local=local)
    committed = git.committed(full, url)
    part = git.directory / "part.tar"
    hashes, pointers = _pack(git, content, part, f"{name}-{full[:8]}", committed)
    nar = hash_tar(part)
    part.replace(tar)
    return GitTree(
        url=url,
        commit=full,
        tar=tar,
        hashes=hashes,
        nar=nar,
        committed=committed,
        submodules=tuple(sorted(content.submodules, key=lambda one: one.path)),
        lfs_pointers=pointers,
        converted=tuple(sorted(content.converted)),
    )


# Packing


def _pack(
    git: Repository, content: Content, tar: Path, top: str, committed: datetime
) -> tuple[Hashes, tuple[str, ...]]:
    """Write the tar; return its hashes and the paths of git-lfs pointers."""
    files = {entry.path: entry for entry in content.files}
    paths = sorted({*files, *content.directories})
    blobs = "".join(f"{files[path].blob}\n" for path in paths if path in files)
    pointers = []
    with tar.open("w+b") as output:
        with (
            git.stream("cat-file", "--batch", stdin=blobs.encode()) as source,
            tarfile.open(
                fileobj=output,
                mode="w",
                format=tarfile.PAX_FORMAT,
                encoding="utf-8",
                errors="surrogateescape",
            ) as archive,
        ):
            archive.addfile(_member(top, committed, tarfile.DIRTYPE, 0o755))
            for path in paths:
                name = f"{top}/{text(path)}"
                if path not in files:
                    archive.addfile(_member(name, committed, tarfile.DIRTYPE, 0o755))
                elif _add(archive, name, committed, files[path], source):
                    pointers.append(text(path))
            source.read()
        output.seek(0)
        return hash_stream(output), tuple(pointers)


def _add(
    archive: tarfile.TarFile, name: str, committed: datetime, entry: Entry, source: IO[bytes]
) -> bool:
    """Add one file from the output of `git cat-file`; return whether it is a git-lfs pointer."""
    stated = f"{entry.blob} blob {entry.size}\n".encode()
    if source.readline() != stated:
        raise ToolError(f"git cat-file does not print {entry.blob}, which the commit needs")
    small = source.read(entry.size) if entry.size <= MAX_TARGET_BYTES else b""
    member = _member(name, committed, tarfile.REGTYPE, MODES[entry.mode])
    if entry.mode == SYMLINK:
        if not small or b"\0" in small:
            raise InputError("is a symbolic link that leads nowhere", where=printable(name))
        member.type = tarfile.SYMTYPE
        member.linkname = text(small)
        archive.addfile(member)
    else:
        member.size = entry.size
        archive.addfile(member, BytesIO(small) if len(small) == entry.size else source)
    source.read(1)  # the line end behind each object
    return entry.mode != SYMLINK and small.startswith(_POINTER)


def _member(name: str, committed: datetime, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.mode = mode
    member.mtime = int(committed.timestamp())
    return member
