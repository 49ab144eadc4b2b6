"""Where a source may come from, in which order, and what a user allows.

The order is: the cache; directories and files of this machine; the recorded address and its
mirrors; the caches given by the user; the public caches of the opam world. opam asks its archive
mirrors first, to spare the authors' servers. Here the recorded address comes first, because it is
what the record states and a reviewer reads, and no third party needs to learn what is being built.
The bytes are the same in any case: every recorded checksum is compared, wherever they come from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from pkggen.web import Patience, is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pkggen.opam.package import Checksum
    from pkggen.sources.model import Source

PUBLIC_CACHES: Final = ("https://opam.ocaml.org/cache", "https://opam.robur.coop/cache")
"""Caches in opam's layout that anybody may ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """How to fetch."""

    mirrors: tuple[str, ...] = ()
    """Caches in opam's layout, URLs or directories, in the order in which they are asked."""
    public_caches: tuple[str, ...] = PUBLIC_CACHES
    """Asked after everything else."""
    jobs: int = 16
    """Most transfers at a time."""
    per_host: int = 6
    """Most transfers at a time from one server."""
    offline: bool = False
    """Use no network."""
    insecure_http: bool = False
    """Allow plain http for sources that have a checksum better than md5."""
    patience: Patience = field(default_factory=Patience)
    """How long to wait."""


def local_paths(source: Source, mirrors: Iterable[str]) -> Iterator[Path]:
    """Yield where a source may be on this machine, in the order in which that is looked at."""
    for url in source.urls:
        if urlsplit(url).scheme == "file":
            yield Path(unquote(urlsplit(url).path))
    for mirror in mirrors:
        if "://" not in mirror:
            yield from (Path(mirror, _mirrored(sum_)) for sum_ in source.checksums)


def remote_addresses(source: Source, choices: Choices) -> Iterator[str]:
    """Yield the addresses of a source elsewhere, in the order in which they are asked."""
    yield from (url for url in source.urls if urlsplit(url).scheme != "file")
    for mirror in (*choices.mirrors, *choices.public_caches):
        if "://" in mirror:
            base = mirror.rstrip("/")
            yield from (f"{base}/{_mirrored(checksum)}" for checksum in source.checksums)


def _mirrored(checksum: Checksum) -> str:
    return f"{checksum.kind}/{checksum.digest[:2]}/{checksum.digest}"


def refusal(url: str, source: Source, choices: Choices) -> str | None:
    """Return why an address is not asked, None when it may be."""
    if urlsplit(url).scheme == "https" or is_loopback(url):
        return None
    if not choices.insecure_http:
        return "not asked, because http is not secure; --insecure-http allows it"
    if not source.strong:
        return "not asked, because http is not secure and md5 can be forged"
    return None
