"""What a port fetches: groups of addresses, and the hashes and sizes that FreeBSD checks.

Sources: Porter's Handbook 5.5 (MASTER_SITES:group, DIST_SUBDIR, distinfo), freebsd-ports
`Mk/Scripts/do-fetch.sh` (`site` and `file` are joined, so that a query can swallow the name) and
`Mk/Scripts/makesum.sh` (form of distinfo).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError
from pkggen.targets.freebsd import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pkggen.recipe.distfiles import Distfile

SUBDIRECTORY: Final = "mirage"
"""DIST_SUBDIR of sources. Their names hold digits of their checksums, so that all ports share
them: a hundred unikernels fetch their compiler once."""

_FETCHABLE: Final = ("https://", "http://", "ftp://")
_GROUP_DIGITS: Final = 12
_SEPARATOR: Final = {True: "&", False: "?"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrors:
    """Addresses of caches in opam's layout."""

    own: tuple[str, ...] = ()
    """Those that the user names; `pkggen cache export` makes some that also have the tars of git
    commits, which are on no other server."""
    public: tuple[str, ...] = ()
    """Those of the opam world."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A distfile as a port lists it."""

    name: str
    """Below DIST_SUBDIR."""
    sha256: str
    """64 hexadecimal digits."""
    size: int
    """Bytes."""
    sites: tuple[str, ...] = ()
    """Whole addresses, the recorded ones first."""

    @property
    def group(self) -> str:
        """Name of its group; one that changes with the file, and not with its neighbours."""
        return f"g{self.sha256[:_GROUP_DIGITS]}"


def listed(distfile: Distfile, mirrors: Mirrors) -> Listed | None:
    """Return a source as a port lists it; None for a file that the record itself carries."""
    source = distfile.source
    if source is None:
        return None
    sites: list[str] = []
    if source.kind == "git":
        caches, key = mirrors.own, f"sha256/{distfile.sha256[:2]}/{distfile.sha256}"
    else:
        sites += (url for url in source.urls if url.startswith(_FETCHABLE))
        first = source.checksums[0]
        caches = (*mirrors.own, *mirrors.public)
        key = f"{first.kind}/{first.digest[:2]}/{first.digest}"
    sites += (f"{cache.rstrip('/')}/{key}" for cache in caches)
    return Listed(
        name=distfile.name,
        sha256=distfile.sha256,
        size=distfile.size,
        sites=tuple(dict.fromkeys(sites)),
    )


def faults(files: Iterable[Listed]) -> Iterator[InputError]:
    """Yield an error for each file that nobody could fetch."""
    for file in files:
        if not file.sites:
            yield InputError(
                "it is on no server, so that no port could fetch it",
                where=file.name,
                hint="put all distfiles into a DISTDIR with --distdir, or name a mirror that has it"
                " (`pkggen cache export` makes one) with --mirror",
            )


def distinfo(timestamp: int, subdirectory: str, files: Iterable[Listed]) -> str:
    """Return the text of distinfo, as `make makesum` writes it.

    Args:
        timestamp: Seconds since 1970, of the record.
        subdirectory: DIST_SUBDIR.
        files: In the order of DISTFILES.
    """
    lines = [f"TIMESTAMP = {timestamp}"]
    for file in files:
        name = f"{subdirectory}/{file.name}"
        lines += (f"SHA256 ({name}) = {file.sha256}", f"SIZE ({name}) = {file.size}")
    return "\n".join(lines) + "\n"


def master_sites(files: Iterable[Listed]) -> list[quote.Make]:
    """Return the words of MASTER_SITES: of each file its addresses, in its group."""
    return [
        quote.Make(f"{_swallowing(quote.address(site))}:{file.group}")
        for file in files
        for site in file.sites
    ]


def distfiles(files: Sequence[Listed]) -> list[quote.Make]:
    """Return the words of DISTFILES."""
    return [
        quote.Make(f"{quote.file_name(file.name)}{f':{file.group}' if file.sites else ''}")
        for file in files
    ]


def _swallowing(url: str) -> str:
    """Return an address behind which a name can follow that changes nothing."""
    return f"{url}{_SEPARATOR['?' in url]}dummy=/"
