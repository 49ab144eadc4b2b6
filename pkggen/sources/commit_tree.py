"""What a commit of a git repository holds, with the submodules where they belong.

Sources: git's `Documentation/gitmodules.txt` and `gitattributes.txt`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from pkggen import process
from pkggen.errors import InputError, PkggenError, printable, raise_all
from pkggen.sources.repository import submodule_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pkggen.sources.repository import Repository

_GITMODULES_BYTES: Final = 1024 * 1024
_MAX_FILES: Final = 500_000
_MAX_BYTES: Final = 4 * 1024**3
_MAX_SUBMODULES: Final = 256
_MAX_NAME_BYTES: Final = 255
_MAX_PATH_BYTES: Final = 4096
MAX_TARGET_BYTES: Final = 4096
"""Longest accepted target of a symbolic link."""
MODES: Final = {b"100644": 0o644, b"100755": 0o755, b"120000": 0o777}
"""git's modes of files and symbolic links, and those that a tar has for them."""
SYMLINK: Final = b"120000"
_SUBMODULE: Final = b"160000"
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


class Entry(NamedTuple):
    """One file or symbolic link; sorts by path."""

    path: bytes
    """Relative to the top of the outermost repository."""
    mode: bytes
    """A key of `MODES`."""
    blob: str
    """Its object: 40 hexadecimal digits."""
    size: int
    """Bytes."""


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
class Content:
    """What was found so far; grows from repository to repository."""

    files: list[Entry] = field(default_factory=list)
    """Files and symbolic links."""
    directories: set[bytes] = field(default_factory=set)
    """All directories, those of submodules too."""
    submodules: list[Submodule] = field(default_factory=list)
    """Submodules at any depth."""
    converted: list[str] = field(default_factory=list)
    """Files that a checkout writes with other bytes."""


def commit_content(git: Repository, url: str, commit: str, *, local: bool) -> Content:
    """Return what a fetched commit holds; its submodules are fetched here.

    Args:
        git: Has the commit.
        url: Where it came from.
        commit: All 40 hexadecimal digits.
        local: Whether `file://` and, on loopback, `http://` are good as well.

    Raises:
        InputError: something in it could not lie in one safe tree, or is too large.
        DownloadError: a submodule cannot be fetched.
        ToolError: git failed.
    """
    content = Content()
    _collect(git, content, _Place(path=b"", url=url, commit=commit), local=local)
    _check(content, url)
    return content


def _collect(git: Repository, content: Content, place: _Place, *, local: bool) -> None:
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
        content.submodules.append(Submodule(path=text(path), url=below.url, commit=below.commit))
        git.obtain(below.url, below.commit)
        _collect(git, content, below, local=local)


def _listed(git: Repository, place: _Place) -> tuple[list[Entry], dict[bytes, str]]:
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
        problem = _path_fault(place.path + path)
        if mode == _SUBMODULE:
            links[path] = name.decode()
        elif mode not in MODES:
            problem = f"has the unknown mode {mode.decode()}"
        elif mode == SYMLINK and int(size) > MAX_TARGET_BYTES:
            problem = f"is a symbolic link of {int(size)} bytes"
        else:
            files.append(Entry(path, mode, name.decode(), int(size)))
        if problem:
            faults.append(InputError(f"{printable(text(path))} {problem}", where=str(place)))
    raise_all(faults)
    return files, links


def _path_fault(path: bytes) -> str | None:
    if len(path) > _MAX_PATH_BYTES:
        return f"is a path of more than {_MAX_PATH_BYTES} bytes"
    parts = path.split(b"/")
    if {b"", b".", b".."} & set(parts):
        return "is no plain relative path"
    if max(map(len, parts)) > _MAX_NAME_BYTES:
        return f"has a name of more than {_MAX_NAME_BYTES} bytes"
    if any(part.lower() == b".git" for part in parts):
        return "would be taken for git's own data"
    return None


def _converted(git: Repository, place: _Place, files: Sequence[Entry]) -> Iterator[str]:
    """Yield the files whose bytes a checkout changes."""
    if not any(entry.path.split(b"/")[-1] == b".gitattributes" for entry in files):
        return
    index = {"GIT_INDEX_FILE": str(git.directory / "index")}
    git.run("read-tree", place.commit, variables=index)
    paths = b"".join(entry.path + b"\0" for entry in files if entry.mode != SYMLINK)
    said = git.run(
        "check-attr", "-z", "--cached", "--stdin", *_CONVERTING, stdin=paths, variables=index
    )
    parts = said.split(b"\0")[:-1]
    found = set()
    for path, attribute, value in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        changing = _CONVERTING[attribute.decode()]
        stated = text(value)
        if stated in changing or (not changing and stated not in {"unspecified", "unset"}):
            found.add(text(place.path + path))
    yield from sorted(found)


def _submodules(
    git: Repository,
    place: _Place,
    files: Sequence[Entry],
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
            about = f"submodule {printable(text(path))}"
            what = f"{about}: {error.where} {error.message}" if error.where else f"{about} {error}"
            faults.append(InputError(what, where=str(place), hint=error.hint))
    raise_all(faults)
    return places


def _gitmodules(git: Repository, place: _Place, files: Sequence[Entry]) -> dict[bytes, list[str]]:
    """Return path and addresses of the submodules that `.gitmodules` names."""
    blobs = [e.blob for e in files if e.path == b".gitmodules" and e.mode != SYMLINK]
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
            urls.setdefault(name, []).append(text(value))
    stated: dict[bytes, list[str]] = {}
    for name, values in paths.items():
        for path in values:
            stated.setdefault(path, []).extend(urls.get(name, []))
    return stated


def _check(content: Content, url: str) -> None:
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
        InputError(f"{printable(text(path))} is there twice", where=url) for path in sorted(twice)
    )


def _above(path: bytes) -> Iterator[bytes]:
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path


def text(path: bytes) -> str:
    """Return a path as Python's functions want it; other bytes than UTF-8 survive."""
    return path.decode("utf-8", "surrogateescape")
