"""Commits of git repositories as deterministic tars.

A tar is made from the objects of the commit, not by `git archive`, whose output depends on
`export-subst` and `export-ignore`; what is packed is what `git cat-file` prints. Submodules are
packed where they belong, at the commit that their parent records.

A commit is trusted as far as SHA-1 goes: git computes the identity of each object that it receives
and refuses known collision attacks where it is built with sha1dc, which is its default.

Sources: git's `Documentation/gitmodules.txt`, `gitattributes.txt`, `git-config.txt` (`fetch.fsck`)
and `git-cat-file.txt` (batch output); git-lfs `docs/spec.md` (pointers); nixpkgs
`pkgs/build-support/fetchgit/nix-prefetch-git`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from pkggen import process
from pkggen.errors import (
    DownloadError,
    InputError,
    PkggenError,
    ToolError,
    VerificationError,
    printable,
    raise_all,
)
from pkggen.sources.hashes import Hashes, Sri, hash_stream
from pkggen.sources.nar import from_nix32, hash_tar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

_FULL_DIGITS: Final = 40
_COMMIT: Final = re.compile(r"[0-9a-f]{7,40}")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}")
_ADDRESS: Final = re.compile(r"[!-~]+")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_INSTALL: Final = "install git: the package is called git in Debian, FreeBSD and nixpkgs"

_LISTING_BYTES: Final = 64 * 1024 * 1024
_GITMODULES_BYTES: Final = 1024 * 1024
_MAX_FILES: Final = 500_000
_MAX_BYTES: Final = 4 * 1024**3
_MAX_SUBMODULES: Final = 256
_MAX_NAME_BYTES: Final = 255
_MAX_TARGET_BYTES: Final = 4096
_TOLD_CANDIDATES: Final = 10

_POINTER: Final = b"version https://git-lfs.github.com/spec/v1\n"

_MODES: Final = {b"100644": 0o644, b"100755": 0o755, b"120000": 0o777}
_SYMLINK: Final = b"120000"
_SUBMODULE: Final = b"160000"

# What fsck is told to forgive is harmless, and in the history of well-known repositories.
_CONFIG: Final = """\
[transfer]
	fsckObjects = true
[fetch "fsck"]
	zeroPaddedFilemode = warn
	badTimezone = warn
[core]
	hooksPath = /dev/null
[credential]
	helper =
[gc]
	auto = 0
[maintenance]
	auto = false
[http]
	lowSpeedLimit = 100
	lowSpeedTime = 60
"""
_ISOLATED: Final = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
}
_UNASKED: Final = {
    "NIX_HASH_ALGO": "sha256",
    "NIX_PREFETCH_GIT_BRANCH_NAME": "",
    "NIX_PREFETCH_GIT_CHECKOUT_HOOK": "",
    "NIX_PREFETCH_GIT_DEEP_CLONE": "",
    "NIX_PREFETCH_GIT_LEAVE_DOT_GIT": "",
    "PRINT_PATH": "",
}
"""Variables by which a user changes what nix-prefetch-url and nix-prefetch-git do."""

_CONVERTING: Final = {"ident": ("set",), "eol": ("crlf",), "working-tree-encoding": ()}
"""Attributes and the values that make a checkout differ from its objects; none means any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submodule:
    """A repository inside another one."""

    path: str
    """Where it is below the top of the outermost repository."""
    url: str
    """Where it was fetched."""
    commit: str
    """40 hexadecimal digits, recorded by its parent."""


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
    address = _checked_address(url.removeprefix("git+"), local=local)
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
            git = _Git(directory=Path(work), timeout=timeout, show=show)
            return _fetched(git, address, commit, tar, name=name, local=local)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(tar)) from error


def _fetched(  # noqa: PLR0913 - the arguments of `fetch_git`
    git: _Git, url: str, commit: str, tar: Path, *, name: str, local: bool
) -> GitTree:
    git.run("init", "--quiet", "--bare", "--template=", str(git.directory))
    with (git.directory / "config").open("a", encoding="utf-8") as config:
        config.write(_CONFIG)
    full = _obtain(git, url, commit)
    content = _Content()
    _collect(git, content, _Place(path=b"", url=url, commit=full), local=local)
    _check(content, url)
    committed = _committed(git, full, url)
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


# Addresses


def _checked_address(url: str, *, local: bool) -> str:
    """Return the address when git may be given it.

    Raises:
        InputError: it may not.
    """
    where = printable(url[:200])
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise InputError(f"is no URL: {error}", where=where) from None
    if not _ADDRESS.fullmatch(url):
        raise InputError("is no address of a git repository", where=where)
    if "@" in parts.netloc:
        raise InputError("has a user name or password in it", where=parts.hostname)
    if parts.query or parts.fragment:
        raise InputError("an address of a git repository has no '?' or '#'", where=where)
    allowed = {
        "https": bool(parts.hostname),
        "http": local and parts.hostname in _LOOPBACK,
        "file": local and not parts.netloc and parts.path.startswith("/"),
    }
    if not allowed.get(parts.scheme):
        raise InputError(
            f"pkggen does not fetch git repositories by {parts.scheme or 'path'}",
            where=where,
            hint="only https:// tells who answers",
        )
    return url


def submodule_address(parent: str, url: str, *, local: bool) -> str:
    """Return the address of a submodule; one that starts with `./` or `../` follows its parent.

    Raises:
        InputError: it is not acceptable, or leaves the server of its parent.
    """
    if url.startswith(("./", "../")):
        parts = urlsplit(parent)
        path = [part for part in parts.path.split("/") if part]
        for step in url.split("/"):
            if step == ".." and not path:
                raise InputError("leaves the server of its parent", where=printable(url[:200]))
            if step == "..":
                path.pop()
            elif step not in {"", "."}:
                path.append(step)
        url = parts._replace(path="/" + "/".join(path)).geturl()
    # A repository from elsewhere must not reach for what is on this machine.
    return _checked_address(url, local=local and not parent.startswith("https:"))


# Running git


@dataclass(frozen=True, slots=True, kw_only=True)
class _Git:
    """One bare repository and how git is run in it; nothing of the user's set-up is seen."""

    directory: Path
    timeout: float
    show: Callable[[str], None] | None

    def fetch(self, url: str, *references: str, depth: int | None = None) -> None:
        limit = () if depth is None else (f"--depth={depth}",)
        # Stronger than any protocol.allow, and keeps https from being redirected to http.
        self.run(
            *("fetch", "--quiet", "--no-tags", *limit, "--", url, *references),
            variables={"GIT_ALLOW_PROTOCOL": urlsplit(url).scheme},
        )

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        limit: int = _LISTING_BYTES,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> bytes:
        return process.run(
            self._argv(arguments),
            environment={**_environment(), **variables},
            timeout=self.timeout,
            install=_INSTALL,
            stdin=stdin,
            limit=limit,
            show=self.show,
        )

    def stream(self, *arguments: str, stdin: bytes) -> AbstractContextManager[IO[bytes]]:
        return process.stream(
            self._argv(arguments),
            environment=_environment(),
            timeout=self.timeout,
            install=_INSTALL,
            stdin=stdin,
            show=self.show,
        )

    def _argv(self, arguments: Sequence[str]) -> list[str]:
        return ["git", f"--git-dir={self.directory}", *arguments]


def _environment() -> dict[str, str]:
    proxies = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")
    certificates = ("SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "NIX_SSL_CERT_FILE")
    inherited = process.inherited("PATH", *proxies, *certificates)
    return inherited | _ISOLATED | {"HOME": "/nonexistent", "LC_ALL": "C"}


# Fetching


def _obtain(git: _Git, url: str, commit: str) -> str:
    """Fetch a commit and return all its digits."""
    refused = None
    if len(commit) == _FULL_DIGITS:
        try:
            git.fetch(url, commit, depth=1)
        except process.ExitError as error:
            refused = error
        else:
            return _commit(git, commit, url)
    try:
        # Each repository has references of its own: `a` of one and `a/b` of the next would clash.
        git.fetch(url, *(f"+refs/{kind}/*:refs/{commit}/{kind}/*" for kind in ("heads", "tags")))
    except process.ExitError as error:
        raise DownloadError(f"git cannot fetch it: {error.said}", where=url) from error
    found = _candidates(git, commit)
    if not found:
        raise DownloadError(
            f"there is no commit {commit} in its branches and tags"
            + (f"; asked for it alone, the server said: {refused.said}" if refused else ""),
            where=url,
            hint="it may have been removed there: is there a mirror or fork that still has it?",
        )
    if len(found) > 1:
        told = ", ".join(found[:_TOLD_CANDIDATES])
        raise InputError(
            f"{len(found)} commits start with {commit}: {told}",
            where=url,
            hint="give more digits of the one that was built",
        )
    return found[0]


def _candidates(git: _Git, prefix: str) -> list[str]:
    objects = git.run("rev-parse", f"--disambiguate={prefix}")
    kinds = git.run("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=objects)
    lines = (line.split() for line in kinds.decode().splitlines())
    return sorted(name for name, kind in lines if kind == "commit")


def _commit(git: _Git, commit: str, url: str) -> str:
    if _candidates(git, commit) != [commit]:
        raise InputError(f"{commit} is no commit", where=url)
    return commit


def _committed(git: _Git, commit: str, url: str) -> datetime:
    stated = git.run("show", "--no-patch", "--format=%ct", commit).decode().strip()
    try:
        return datetime.fromtimestamp(int(stated), UTC)
    except (ValueError, OverflowError, OSError):
        raise InputError(f"{commit} states no time", where=url) from None


# What a commit holds


class _Entry(NamedTuple):
    """One file or symbolic link; sorts by path."""

    path: bytes
    mode: bytes
    blob: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A repository and where it belongs."""

    path: bytes
    """Empty, or a path that ends in a slash."""
    url: str
    commit: str

    def __str__(self) -> str:
        return f"{self.url}#{self.commit}"


@dataclass(frozen=True, slots=True)
class _Content:
    """What was found so far; grows from repository to repository."""

    files: list[_Entry] = field(default_factory=list)
    directories: set[bytes] = field(default_factory=set)
    submodules: list[Submodule] = field(default_factory=list)
    converted: list[str] = field(default_factory=list)


def _collect(git: _Git, content: _Content, place: _Place, *, local: bool) -> None:
    """Add the files of a commit and of its submodules."""
    files, links = _listed(git, place)
    content.files.extend(entry._replace(path=place.path + entry.path) for entry in files)
    if len(content.files) > _MAX_FILES:
        raise InputError(f"has more than {_MAX_FILES} files", where=str(place))
    content.converted.extend(_converted(git, place, files))
    for below in _submodules(git, place, files, links, local=local):
        if len(content.submodules) == _MAX_SUBMODULES:
            raise InputError(f"has more than {_MAX_SUBMODULES} submodules", where=str(place))
        path = below.path.rstrip(b"/")
        content.directories.add(path)
        content.submodules.append(Submodule(path=_text(path), url=below.url, commit=below.commit))
        _obtain(git, below.url, below.commit)
        _collect(git, content, below, local=local)


def _listed(git: _Git, place: _Place) -> tuple[list[_Entry], dict[bytes, str]]:
    """Return the files of a commit, and path and commit of each submodule."""
    files, links = [], {}
    faults: list[PkggenError] = []
    try:
        listing = git.run("ls-tree", "-r", "-z", "-l", "--full-tree", place.commit)
    except process.OutputLimitError as error:
        raise InputError("has too many files", where=str(place)) from error
    for line in listing.split(b"\0")[:-1]:
        facts, _, path = line.partition(b"\t")
        mode, _, name, size = facts.split()
        problem = _path_fault(path)
        if mode == _SUBMODULE:
            links[path] = name.decode()
        elif mode not in _MODES:
            problem = f"has the unknown mode {mode.decode()}"
        elif mode == _SYMLINK and int(size) > _MAX_TARGET_BYTES:
            problem = f"is a symbolic link of {int(size)} bytes"
        else:
            files.append(_Entry(path, mode, name.decode(), int(size)))
        if problem:
            faults.append(InputError(f"{printable(_text(path))} {problem}", where=str(place)))
    raise_all(faults)
    return files, links


def _path_fault(path: bytes) -> str | None:
    parts = path.split(b"/")
    if {b"", b".", b".."} & set(parts):
        return "is no plain relative path"
    if max(map(len, parts)) > _MAX_NAME_BYTES:
        return f"has a name of more than {_MAX_NAME_BYTES} bytes"
    if any(part.lower() == b".git" for part in parts):
        return "would be taken for git's own data"
    return None


def _converted(git: _Git, place: _Place, files: Sequence[_Entry]) -> Iterator[str]:
    """Yield the files whose bytes a checkout changes."""
    if not any(entry.path.split(b"/")[-1] == b".gitattributes" for entry in files):
        return
    index = {"GIT_INDEX_FILE": str(git.directory / "index")}
    git.run("read-tree", place.commit, variables=index)
    paths = b"".join(entry.path + b"\0" for entry in files if entry.mode != _SYMLINK)
    said = git.run(
        "check-attr", "-z", "--cached", "--stdin", *_CONVERTING, stdin=paths, variables=index
    )
    parts = said.split(b"\0")[:-1]
    found = set()
    for path, attribute, value in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        changing = _CONVERTING[attribute.decode()]
        stated = _text(value)
        if stated in changing or (not changing and stated not in {"unspecified", "unset"}):
            found.add(_text(place.path + path))
    yield from sorted(found)


def _submodules(
    git: _Git,
    place: _Place,
    files: Sequence[_Entry],
    links: Mapping[bytes, str],
    *,
    local: bool,
) -> list[_Place]:
    """Return where the submodules of a commit are, by its `.gitmodules`."""
    if not links:
        return []
    places = []
    faults: list[PkggenError] = []
    stated = _gitmodules(git, place, files)
    for path, commit in sorted(links.items()):
        urls = stated.get(path, [])
        try:
            if len(urls) != 1:
                raise InputError(f"has {len(urls) or 'no'} addresses in .gitmodules")  # noqa: TRY301
            address = submodule_address(place.url, urls[0], local=local)
            places.append(_Place(path=place.path + path + b"/", url=address, commit=commit))
        except InputError as error:
            about = f"submodule {printable(_text(path))}"
            what = f"{about}: {error.where} {error.message}" if error.where else f"{about} {error}"
            faults.append(InputError(what, where=str(place), hint=error.hint))
    raise_all(faults)
    return places


def _gitmodules(git: _Git, place: _Place, files: Sequence[_Entry]) -> dict[bytes, list[str]]:
    """Return path and addresses of the submodules that `.gitmodules` names."""
    blobs = [e.blob for e in files if e.path == b".gitmodules" and e.mode != _SYMLINK]
    if not blobs:
        return {}
    try:
        said = git.run(
            "config", f"--blob={blobs[0]}", "--no-includes", "-z", "--list", limit=_GITMODULES_BYTES
        )
    except (process.ExitError, process.OutputLimitError) as error:
        raise InputError(f".gitmodules: {error.message}", where=str(place)) from error
    paths: dict[bytes, list[bytes]] = {}
    urls: dict[bytes, list[str]] = {}
    for line in said.split(b"\0")[:-1]:
        key, _, value = line.partition(b"\n")
        name, _, variable = key.rpartition(b".")
        if name.startswith(b"submodule.") and variable == b"path":
            paths.setdefault(name, []).append(value)
        elif name.startswith(b"submodule.") and variable == b"url":
            urls.setdefault(name, []).append(_text(value))
    stated: dict[bytes, list[str]] = {}
    for name, values in paths.items():
        for path in values:
            stated.setdefault(path, []).extend(urls.get(name, []))
    return stated


def _check(content: _Content, url: str) -> None:
    """Raise when the files of all repositories cannot lie in one tree, or are too large."""
    size = sum(entry.size for entry in content.files)
    if size > _MAX_BYTES:
        raise InputError(f"its files have {size} bytes, more than {_MAX_BYTES}", where=url)
    counted = Counter(entry.path for entry in content.files)
    for entry in content.files:
        content.directories.update(_above(entry.path))
    for path in tuple(content.directories):
        content.directories.update(_above(path))
    twice = {path for path, count in counted.items() if count > 1 or path in content.directories}
    raise_all(
        InputError(f"{printable(_text(path))} is there twice", where=url) for path in sorted(twice)
    )


def _above(path: bytes) -> Iterator[bytes]:
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path


# Packing


def _pack(
    git: _Git, content: _Content, tar: Path, top: str, committed: datetime
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
                name = f"{top}/{_text(path)}"
                if path not in files:
                    archive.addfile(_member(name, committed, tarfile.DIRTYPE, 0o755))
                elif _add(archive, name, committed, files[path], source):
                    pointers.append(_text(path))
            source.read()
        output.seek(0)
        return hash_stream(output), tuple(pointers)


def _add(
    archive: tarfile.TarFile, name: str, committed: datetime, entry: _Entry, source: IO[bytes]
) -> bool:
    """Add one file from the output of `git cat-file`; return whether it is a git-lfs pointer."""
    stated = f"{entry.blob} blob {entry.size}\n".encode()
    if source.readline() != stated:
        raise ToolError(f"git cat-file does not print {entry.blob}, which the commit needs")
    small = source.read(entry.size) if entry.size <= _MAX_TARGET_BYTES else b""
    member = _member(name, committed, tarfile.REGTYPE, _MODES[entry.mode])
    if entry.mode == _SYMLINK:
        if not small or b"\0" in small:
            raise InputError("is a symbolic link that leads nowhere", where=printable(name))
        member.type = tarfile.SYMTYPE
        member.linkname = _text(small)
        archive.addfile(member)
    else:
        member.size = entry.size
        archive.addfile(member, BytesIO(small) if len(small) == entry.size else source)
    source.read(1)  # the line end behind each object
    return entry.mode != _SYMLINK and small.startswith(_POINTER)


def _member(name: str, committed: datetime, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.mode = mode
    member.mtime = int(committed.timestamp())
    return member


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


# What Nix says


def confirm(tree: GitTree, *, timeout: float = 3600) -> tuple[str, ...]:
    """Compare our hash with that of the Nix tools that are installed.

    `nix-prefetch-url` unpacks the tar, `nix-prefetch-git` fetches the repository itself; both
    leave the files in the Nix store.

    Args:
        tree: What `fetch_git` returned.
        timeout: Seconds that each tool may take.

    Returns:
        Names of the tools that agree; empty when none is installed.

    Raises:
        VerificationError: one disagrees.
        ToolError: one fails.
    """
    asked = {
        "nix-prefetch-url": prefetch_tar(tree.tar, timeout=timeout),
        "nix-prefetch-git": prefetch_git(tree.url, tree.commit, timeout=timeout),
    }
    hint = None
    if tree.converted:
        told = printable(", ".join(tree.converted))
        hint = f"its .gitattributes make a checkout differ from the commit in: {told}"
    raise_all(
        VerificationError(
            f"{tool} says {said}, pkggen {tree.nar}", where=f"{tree.url}#{tree.commit}", hint=hint
        )
        for tool, said in asked.items()
        if said not in {None, tree.nar}
    )
    return tuple(tool for tool, said in asked.items() if said is not None)


def prefetch_tar(tar: Path, *, timeout: float = 3600) -> Sri | None:
    """Return the hash that `nix-prefetch-url` gives to an unpacked tar, None without that tool.

    Raises:
        ToolError: it fails.
    """
    # A store path cannot have every name that a file can have.
    options = ("--unpack", "--type", "sha256", "--name", "source")
    said = _nix("nix-prefetch-url", *options, tar.absolute().as_uri(), timeout=timeout)
    return None if said is None else from_nix32(said.strip())


def prefetch_git(url: str, commit: str, *, timeout: float = 3600) -> Sri | None:
    """Return the hash that `nix-prefetch-git` gives to a commit, None without that tool.

    Raises:
        ToolError: it fails, or does not print its JSON.
    """
    options = ("--quiet", "--fetch-submodules", "--url", url, "--rev", commit)
    protocol = {"GIT_ALLOW_PROTOCOL": urlsplit(url).scheme}
    said = _nix("nix-prefetch-git", *options, timeout=timeout, **protocol)
    if said is None:
        return None
    try:
        facts = json.loads(said)
        if facts["rev"] != commit:
            raise ToolError("nix-prefetch-git fetched another commit", where=f"{url}#{commit}")
        # Its field `hash` is younger, and empty where Nix is older than it.
        return from_nix32(str(facts["sha256"]))
    except (ValueError, KeyError, TypeError, InputError) as error:
        raise ToolError("nix-prefetch-git prints no hash", where=f"{url}#{commit}") from error


def _nix(tool: str, *arguments: str, timeout: float, **variables: str) -> str | None:
    found = shutil.which(tool)
    if found is None:
        return None
    import plumbum  # noqa: PLC0415 - dear, and only for those who have Nix

    # plumbum knows the environment of when it was imported.
    environment = os.environ | _ISOLATED | _UNASKED | variables
    command = plumbum.local[found].with_env(**environment)
    try:
        _, said, _ = command.run(arguments, timeout=timeout)
    except plumbum.ProcessExecutionError as error:
        told = printable(str(error.stderr).strip())
        raise ToolError(f"{tool} failed with status {error.retcode}: {told}") from error
    except plumbum.ProcessTimedOut as error:
        raise ToolError(f"{tool} took longer than {timeout:g} seconds") from error
    return str(said)
