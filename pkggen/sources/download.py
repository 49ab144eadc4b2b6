"""One source on its way from a server into the cache: resumed, hashed, verified, inspected."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pkggen.sources.hashes import Hasher
from pkggen.sources.inspect import inspect_archive
from pkggen.sources.part import usable
from pkggen.web import PassingError

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.sources.cache import Cache
    from pkggen.sources.hashes import Hashes
    from pkggen.sources.model import Source
    from pkggen.sources.part import Part
    from pkggen.web import Answer

_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(?:\d{1,18}|\*)")
_PARTIAL: Final = 206


class Download:
    """Receives one source; its methods run in the thread of the transfer."""

    def __init__(self, cache: Cache, source: Source, etag: str) -> None:
        """Keep the place.

        Args:
            cache: Where it goes.
            source: What is wanted, with at least one checksum.
            etag: Version of the file that an earlier attempt met, empty when none is known.
        """
        self.offset = 0
        """Bytes that an earlier attempt left."""
        self.resumed = False
        """Whether the server continues them."""
        self.etag = etag
        """Version of the file that the server has, empty when it does not say."""
        self.result: tuple[Path, Hashes] | None = None
        """File in the cache and its hashes, once they are verified."""
        self._cache = cache
        self._source = source
        self._part: Part | None = None
        self._hasher = Hasher()

    @property
    def part(self) -> Part:
        """What is there so far."""
        if self._part is None:
            self._part = self._cache.part(key(self._source))
        return self._part

    def close(self) -> None:
        """Leave what is there to the next attempt."""
        if self._part is not None:
            self._part.close()

    def headers(self) -> dict[str, str]:
        """Return what asks for the bytes that are missing."""
        self.offset = self.part.size
        if not self.offset:
            return {}
        wanted = {"Range": f"bytes={self.offset}-"}
        return wanted | ({"If-Range": self.etag} if self.etag else {})

    def begin(self, answer: Answer) -> None:
        """Continue, or start anew when the server sends everything."""
        etag = answer.headers.get("ETag", "")
        self.etag = etag if etag.startswith('"') else ""
        with usable(self._cache.directory):
            if answer.status != _PARTIAL:
                self.part.clear()
                return
            self._check_range(answer.headers.get("Content-Range", ""))
            self._hasher = self.part.hasher()
            self.resumed = True

    def _check_range(self, text: str) -> None:
        match = _CONTENT_RANGE.fullmatch(text)
        if not self.offset or match is None or int(match[1]) != self.offset:
            self.part.clear()
            raise PassingError(
                f"asked for the bytes from {self.offset} on, the server gave {text[:100]!r}"
            )

    def write(self, data: bytes) -> None:
        """Keep and hash the next bytes."""
        with usable(self._cache.directory):
            self.part.file.write(data)
        self._hasher.update(data)

    def finish(self) -> None:
        """Verify, inspect, and give the file its names in the cache."""
        hashes = self._hasher.hashes()
        if hashes.matches(self._source.checksums):
            inspect(self._source, self.part.path)
        self.result = self._cache.accept(self.part, hashes, self._source.checksums), hashes


def inspect(source: Source, path: Path) -> None:
    """Check that an archive is safe to unpack; see `inspect_archive`."""
    if source.kind == "archive":
        inspect_archive(path, source.suffix, f"{source.file_name} ({source})")


def key(source: Source) -> str:
    """Return the key of the incomplete file of a source, see `Cache.part`."""
    return f"{source.checksums[0].kind}-{source.checksums[0].digest}"
