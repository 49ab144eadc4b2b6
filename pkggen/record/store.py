"""Files of a builder-web server, checked and kept by their sha256.

The server states a hash in the JSON of a job (main binary only) and in the ETag of each file; a
main binary without either is looked up by its hash.

Source: builder-web `lib/builder_web.ml` (`job_build_file`, `hash`) and `lib/views.ml`.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from pkggen.errors import DownloadError, InputError, VerificationError
from pkggen.record.artifact import FileContent, Measure, RawFile, measure, relative_path
from pkggen.record.identity import SHA256, UUID, identifier
from pkggen.record.model import Origin
from pkggen.record.web import PAGE_BYTES

if TYPE_CHECKING:
    from pkggen.record.web import Client

_BUILD_PATH: Final = re.compile(rf"/job/([^/]+)/build/({UUID.pattern})/?")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedBinary:
    """What the page of a job states about the main binary of a build."""

    name: str
    """Last component of its path."""
    size: int
    """Bytes."""
    sha256: str
    """Hash, as the server writes it."""


def redirected_build(client: Client, path: str, query: str = "") -> Origin | None:
    """Return the build that a path redirects to, None for 404."""

    def match(url: str) -> re.Match[str] | None:
        return _BUILD_PATH.fullmatch(unquote(urlsplit(url).path))

    for spelling in (path, f"{path}/"):
        reply = client.get(
            spelling + query, BytesIO(), PAGE_BYTES, is_end=lambda url: match(url) is not None
        )
        found = match(reply.url)
        if reply.found and found is not None:
            job = identifier(found[1], "job", reply.url)
            return Origin(server=client.server, job=job, build=found[2])
        if reply.found:
            raise DownloadError("does not lead to a build", where=client.server + path)
    return None


class Store:
    """Files of the server, kept by their sha256."""

    def __init__(self, client: Client, directory: Path) -> None:
        """Keep the parts.

        Args:
            client: Of the server.
            directory: Where the files are kept; made when it is missing.
        """
        self._client = client
        self._directory = directory

    def get(
        self, origin: Origin, name: str, *, limit: int, stated: StatedBinary | None = None
    ) -> RawFile | None:
        """Return a file of a build, None for 404.

        Args:
            origin: The build.
            name: Path of the file in it.
            limit: Most bytes to accept.
            stated: What the server states about it elsewhere.

        Raises:
            DownloadError: the server does not give it whole.
            VerificationError: it does not have a hash or size that the server states, or is a
                binary whose hash the server neither states nor knows.
            InputError: the path is not safe, or the cache cannot be used.
        """
        path = relative_path(name, origin.url)
        try:
            if stated is not None and self._has(stated.sha256):
                return self._file(path, stated.sha256, stated.size)
            return self._download(origin, path, limit, stated)
        except OSError as error:
            raise InputError(
                f"the cache cannot be used: {error.strerror}", where=str(self._directory)
            ) from error

    def _file(self, path: PurePosixPath, sha256: str, size: int) -> RawFile:
        content = FileContent(self._place(sha256))
        return RawFile(path=str(path), content=content, sha256=sha256, size=size)

    def _place(self, sha256: str) -> Path:
        return self._directory / sha256[:2] / sha256

    def _has(self, sha256: str) -> bool:
        if not SHA256.fullmatch(sha256):
            return False
        place = self._place(sha256)
        if not place.is_file():
            return False
        with place.open("rb") as file:
            return measure(file, str(place)).sha256 == sha256

    def _download(
        self, origin: Origin, path: PurePosixPath, limit: int, stated: StatedBinary | None
    ) -> RawFile | None:
        url = origin.file_url(path)
        self._directory.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(prefix="partial-", dir=self._directory)
        try:
            with os.fdopen(number, "w+b") as body:
                reply = self._client.get(url.removeprefix(origin.server), body, limit)
                if not reply.found:
                    return None
                body.seek(0)
                found = measure(body, url, limit)
            etag = _etag_sha256(reply.headers.get("ETag", ""))
            _check(url, found, etag, stated)
            if etag is None and stated is None and PurePosixPath("bin") in path.parents:
                self._confirm(origin, url, found.sha256)
            place = self._place(found.sha256)
            place.parent.mkdir(exist_ok=True)
            Path(name).replace(place)
            return self._file(path, found.sha256, found.size)
        finally:
            Path(name).unlink(missing_ok=True)

    def _confirm(self, origin: Origin, url: str, sha256: str) -> None:
        """Ask for the hash itself; a bit-identical later build of the job is as good an answer."""
        known = redirected_build(self._client, "/hash", f"?sha256={sha256}")
        if known is None or known.job != origin.job:
            raise VerificationError(
                f"the server knows no build of {origin.job} with sha256 {sha256}, which it gave",
                where=url,
            )


def _check(url: str, found: Measure, etag: str | None, stated: StatedBinary | None) -> None:
    for sha256 in (etag, stated and stated.sha256):
        if sha256 is not None and sha256 != found.sha256:
            raise VerificationError(
                f"the server states sha256 {sha256}, gave {found.sha256}", where=url
            )
    if stated is not None and found.size != stated.size:
        raise VerificationError(
            f"the server states {stated.size} bytes, gave {found.size}", where=url
        )


def _etag_sha256(etag: str) -> str | None:
    """Return the hash in builder-web's ETag, None when it is of another kind."""
    try:
        digest = base64.b64decode(etag.removeprefix("W/").strip('"'), validate=True)
    except (ValueError, binascii.Error):
        return None
    return digest.hex() if len(digest) == 32 else None
