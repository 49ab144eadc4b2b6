"""The distfiles of a record, each one thing keyed by its checksums.

Sources: ocaml/opam `src/format/opamUrl.ml` (forms of URLs and their back-ends),
`src/core/opamSystem.ml` (suffixes of archives), `src/client/opamSwitchCommand.ml` (what a frozen
export may hold).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from pkggen.errors import InputError, PkggenError, raise_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from urllib.parse import SplitResult

    from pkggen.opam.package import Checksum, OpamPackage, Url
    from pkggen.opam.switch import SwitchExport

ARCHIVE_SUFFIXES: Final = (
    ".tar.gz",
    ".tgz",
    ".tar.bz2",
    ".tbz",
    ".tbz2",
    ".tar.xz",
    ".txz",
    ".tar",
    ".zip",
)
"""Ends of URLs that tell what is at them."""

STRENGTH: Final = ("sha256", "sha512", "md5")
"""Kinds of checksums in the order in which they name a file; only the last can be forged."""

_GIT_SCHEMES: Final = frozenset({"git+https", "git+http", "git"})
_FILE_SCHEMES: Final = frozenset({"https", "http", "file"})
_LOCAL_PREFIXES: Final = ("rsync", "path", "ssh")
_COMMIT: Final = re.compile(r"[0-9a-f]{7,40}")
_FULL_COMMIT_DIGITS: Final = 40
_HASH_DIGITS: Final = 8
_STEM_CHARACTERS: Final = 120
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._+-]")

Kind = Literal["archive", "file", "git"]
Role = Literal["package", "extra", "vendored"]


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """Who wants a source, and as what."""

    role: Role
    """`package`: its own source; `extra`: a file beside it; `vendored`: a directory of the root."""
    package: str
    """Name of the package."""
    path: str = ""
    """Name of the extra file, or the vendored directory; empty for a package's own source."""

    def __str__(self) -> str:
        return f"{self.package}/{self.path}" if self.path else self.package


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One distfile, or one commit of a git repository."""

    kind: Kind
    """`archive` to unpack, `file` to copy, or `git`."""
    file_name: str
    """Unique among the sources it was collected with; only letters, digits and `._+-`."""
    checksums: tuple[Checksum, ...]
    """Every recorded checksum, strongest first; empty for git only."""
    urls: tuple[str, ...]
    """Where it is: recorded addresses, then recorded mirrors; for git without `#commit`."""
    users: tuple[Use, ...]
    """Who wants it, sorted."""
    commit: str | None
    """7 to 40 hexadecimal digits as recorded; None unless git."""

    @property
    def strong(self) -> bool:
        """Whether a recorded hash is one that nobody can forge; a commit is taken for one."""
        return self.commit is not None or any(sum_.kind != "md5" for sum_ in self.checksums)

    @property
    def full_commit(self) -> bool:
        """Whether the commit is recorded with all its digits."""
        return self.commit is not None and len(self.commit) == _FULL_COMMIT_DIGITS

    @property
    def suffix(self) -> str:
        """The suffix that says what kind of archive this is; empty when the URL does not tell."""
        return archive_suffix(self.file_name) if self.kind == "archive" else ""

    def __str__(self) -> str:
        return ", ".join(map(str, self.users))


class _Claim(NamedTuple):
    """One place of a record that wants one source."""

    use: Use
    stem: str
    kind: Kind
    urls: tuple[str, ...]
    checksums: tuple[Checksum, ...]
    commit: str | None


def collect_sources(*switches: SwitchExport) -> tuple[Source, ...]:
    """Return the sources of the installed packages and of the roots' vendored directories.

    What shares a checksum is one source, with the checksums of all places that want it.

    Args:
        switches: Frozen exports; usually one.

    Returns:
        The sources sorted by file name.

    Raises:
        InputError: a source has no checksum or commit, is a place of another machine, has an
            address that cannot be fetched, or has checksums that contradict each other.
        Faults: several of these.
    """
    faults: list[PkggenError] = []
    claims: list[_Claim] = []
    for switch in switches:
        for use, stem, url in _wanted(switch):
            try:
                claims.append(_claim(use, stem, url))
            except InputError as error:
                where = f"{switch.file}: {use}"
                faults.append(InputError(error.message, where=where, hint=error.hint))
    groups = _same_source(claims)
    faults += chain.from_iterable(map(_contradictions, groups))
    raise_all(faults)
    return tuple(sorted(_sources(groups), key=lambda source: source.file_name))


def archive_suffix(path: str) -> str:
    """Return the suffix of an archive that a path ends in, in lower case; empty for another."""
    lower = path.lower()
    return next((suffix for suffix in ARCHIVE_SUFFIXES if lower.endswith(suffix)), "")


def _wanted(switch: SwitchExport) -> Iterator[tuple[Use, str, Url]]:
    installed = switch.installed_names
    for package in switch.packages.values():
        if package.name not in installed:
            continue
        stem = f"{package.name}.{package.version}"
        if package.url is not None:
            yield Use("package", package.name), stem, package.url
        for extra in package.extra_sources:
            name = PurePosixPath(extra.name).name
            yield Use("extra", package.name, extra.name), f"{stem}-{name}", extra.url
        if _is_root(package, switch):
            for vendored in package.vendored:
                use = Use("vendored", package.name, vendored.directory)
                yield use, vendored.directory, vendored.url


def _is_root(package: OpamPackage, switch: SwitchExport) -> bool:
    return f"{package.name}.{package.version}" in switch.roots


# One place


def _claim(use: Use, stem: str, url: Url) -> _Claim:
    scheme = _split(url.src).scheme
    if scheme in _GIT_SCHEMES:
        return _git_claim(use, stem, url)
    for address in (url.src, *url.mirrors):
        _check_address(address)
    if not url.checksums:
        raise InputError(
            f"{url.src} has no checksum",
            hint="whatever is there now may not be what was built; record the switch again "
            "from packages with checksums",
        )
    return _Claim(
        use=use,
        stem=stem,
        kind="file" if use.role == "extra" else "archive",
        urls=(url.src, *url.mirrors),
        checksums=url.checksums,
        commit=None,
    )


def _git_claim(use: Use, stem: str, url: Url) -> _Claim:
    address, _, commit = url.src.partition("#")
    _host(address)
    if use.role == "extra":
        raise InputError(f"{url.src}: an extra file cannot come from a git repository")
    if url.checksums:
        raise InputError(f"{url.src} has a checksum, which git cannot be asked for")
    if not _COMMIT.fullmatch(commit):
        raise InputError(
            f"{address} is pinned to {f'the branch or tag {commit!r}' if commit else 'no commit'}",
            hint="what a branch points to changes; record the switch with "
            "`opam switch export --full --freeze`",
        )
    return _Claim(use=use, stem=stem, kind="git", urls=(address,), checksums=(), commit=commit)


def _check_address(address: str) -> None:
    """Raise unless the address is that of a file on a server or, with `file:`, on this machine."""
    parts = _split(address)
    scheme = parts.scheme
    if scheme == "file":
        if parts.netloc not in {"", "localhost"} or not archive_suffix(parts.path):
            raise InputError(
                f"{address} is a directory of the machine it was recorded on",
                hint="pin the package to a URL that others can fetch, and record it again",
            )
    elif not scheme or scheme.split("+")[0] in _LOCAL_PREFIXES or scheme.endswith("+file"):
        raise InputError(
            f"{address} is a place that only the machine it was recorded on can reach",
            hint="pin the package to a URL that others can fetch, and record it again",
        )
    elif scheme not in _FILE_SCHEMES:
        known = ", ".join(sorted(_FILE_SCHEMES | _GIT_SCHEMES))
        raise InputError(f"{address}: pkggen cannot fetch {scheme}; it knows {known}")
    else:
        _host(address)


def _host(address: str) -> str:
    parts = _split(address)
    if not parts.hostname:
        raise InputError(f"{address} names no server")
    if "@" in parts.netloc:
        raise InputError(f"an address of {parts.hostname} has a user name or password in it")
    return parts.hostname


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError as error:
        raise InputError(f"{address!r} is no URL: {error}") from None
    return parts


# Places that want the same


def _same_source(claims: Sequence[_Claim]) -> list[list[_Claim]]:
    """Group claims that share a checksum, directly or through others, or a commit."""
    leader: dict[object, int] = {}
    parent = list(range(len(claims)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for index, claim in enumerate(claims):
        keys: tuple[object, ...] = claim.checksums or ((claim.urls[0], claim.commit),)
        for key in keys:
            first = leader.setdefault(key, index)
            parent[root(index)] = root(first)
    groups: defaultdict[int, list[_Claim]] = defaultdict(list)
    for index, claim in enumerate(claims):
        groups[root(index)].append(claim)
    return [sorted(group) for group in groups.values()]


def _checksums(group: Iterable[_Claim]) -> list[Checksum]:
    found = {checksum for claim in group for checksum in claim.checksums}
    return sorted(found, key=lambda one: (STRENGTH.index(one.kind), one.digest))


def _contradictions(group: list[_Claim]) -> Iterator[InputError]:
    by_kind: defaultdict[str, list[str]] = defaultdict(list)
    for checksum in _checksums(group):
        by_kind[checksum.kind].append(checksum.digest)
    for kind, digests in by_kind.items():
        if len(digests) > 1:
            yield InputError(
                f"one file has {len(digests)} different {kind} checksums: {', '.join(digests)}",
                where=", ".join(str(claim.use) for claim in group),
                hint="they share another checksum, so one of the records is wrong",
            )


def _sources(groups: Iterable[list[_Claim]]) -> Iterator[Source]:
    """Name each group; the hash in a name is as long as it takes to tell the names apart."""
    pending = sorted(groups)
    digits = _HASH_DIGITS
    taken: set[str] = set()
    while pending:
        named = [(_file_name(group, digits), group) for group in pending]
        counts = Counter(name.lower() for name, _ in named)
        pending = []
        for name, group in named:
            if counts[name.lower()] > 1 or name.lower() in taken:
                pending.append(group)
            else:
                taken.add(name.lower())
                yield _source(name, group)
        digits *= 2


def _source(name: str, group: list[_Claim]) -> Source:
    first = group[0]
    kinds: set[Kind] = {claim.kind for claim in group}
    return Source(
        kind="archive" if "archive" in kinds else first.kind,
        file_name=name,
        checksums=tuple(_checksums(group)),
        # Addresses first, then mirrors, as each place states them.
        urls=tuple(
            dict.fromkeys(
                [claim.urls[0] for claim in group] + [u for claim in group for u in claim.urls[1:]]
            )
        ),
        users=tuple(sorted({claim.use for claim in group})),
        commit=first.commit,
    )


def _file_name(group: list[_Claim], digits: int) -> str:
    first = min(group, key=lambda claim: (claim.use.role != "package", claim))
    suffixes = (archive_suffix(unquote(_split(url).path)) for url in first.urls)
    suffix = "" if first.kind == "file" else next(filter(None, suffixes), "")
    if first.commit is not None:
        # One commit of two repositories needs two names.
        suffix, key = ".tar", first.commit + sha256(first.urls[0].encode()).hexdigest()
    else:
        key = _checksums(group)[0].digest
    stem = _UNSAFE.sub("_", first.stem)[:_STEM_CHARACTERS]
    if not stem[:1].isalnum():
        stem = f"_{stem}"
    return f"{stem}-{key[:digits]}{suffix}"
