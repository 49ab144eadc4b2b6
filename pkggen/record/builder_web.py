"""A build on a builder-web server as source.

Servers of all ages are met: paths end in a slash on those of 2021, JSON came and changed later, and
no server lists the files of a build. So this asks for single files, tries the other spelling of a
path after a 404, and lives without JSON.

Source: builder-web `lib/builder_web.ml` (routes) and `lib/views.ml` (JSON).
"""

from __future__ import annotations

import base64
import binascii
import difflib
import json
import os
import re
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import parse_qs, quote, unquote, urlsplit

from pkggen.errors import DownloadError, InputError, VerificationError
from pkggen.record.artifact import FileContent, RawBuild, RawFile, measure, relative_path
from pkggen.record.identity import (
    SHA256,
    UUID,
    identifier,
    is_identifier,
    parse_time,
    server_url,
)
from pkggen.record.model import (
    ENVIRONMENT_FILE,
    MAX_ARTIFACT_BYTES,
    MAX_METADATA_BYTES,
    SWITCH_FILE,
    SYSTEM_PACKAGES_FILE,
    Origin,
)
from pkggen.record.web import Client, Patience

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

FORMS: Final = (
    "a job (NAME or NAME/latest), a build (UUID or NAME/UUID), sha256:HEX of its image, the URL of "
    "a job or build, or a path (directory, archive, builder's `full` file)"
)
"""What a SOURCE may be, for messages."""

_T = TypeVar("_T")
_BUILD_PATH: Final = re.compile(rf"/job/([^/]+)/build/({UUID.pattern})/?")
_URL_PATH: Final = re.compile(r"/job/([^/]+)(?:/build/([^/]+))?/?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which build of a server is wanted: a job's latest, one by UUID, or one by hash."""

    server: str
    """URL of the server without final slash."""
    job: str | None
    """Name of the job; None when only the UUID or hash is known."""
    build: str | None
    """UUID of the build; None for the latest one or one by hash."""
    sha256: str | None
    """Hash of its main binary; None when that is not given."""
    platform: str | None
    """Platform that it must be built on; None for any."""


def parse_query(source: str, server: str, platform: str | None) -> Query | None:
    """Return which build a SOURCE names, None when it has no form of this kind.

    Args:
        source: See `FORMS`.
        server: URL of the server that names without one refer to.
        platform: Platform that the build must be of; None for any.

    Raises:
        InputError: the server, platform, or a URL is not acceptable.
    """
    if platform is not None:
        identifier(platform, "platform", "--platform")
    if "://" in source:
        return _parse_url(source, platform)
    server = server_url(server, "--server")
    if source.startswith("sha256:"):
        digest = source.removeprefix("sha256:").lower()
        if not SHA256.fullmatch(digest):
            raise InputError("not sha256: and 64 hexadecimal digits", where=source)
        return Query(server=server, job=None, build=None, sha256=digest, platform=platform)
    job, slash, build = source.partition("/")
    if not slash and UUID.fullmatch(source.lower()):
        return Query(server=server, job=None, build=source.lower(), sha256=None, platform=platform)
    if not is_identifier(job) or (slash and not _is_build(build)):
        return None
    return _job_query(server, job, build, platform)


def _parse_url(source: str, platform: str | None) -> Query:
    url = urlsplit(source)
    match = _URL_PATH.fullmatch(url.path)
    if match is None or not is_identifier(match[1]) or not _is_build(match[2] or "latest"):
        raise InputError(
            "not the URL of a job or build",
            where=source,
            hint="such URLs are https://SERVER/job/NAME and https://SERVER/job/NAME/build/UUID",
        )
    stated = parse_qs(url.query).get("platform", [platform])[-1]
    if platform is not None and stated != platform:
        raise InputError(f"the URL is about {stated}, --platform about {platform}", where=source)
    return _job_query(
        server_url(f"{url.scheme}://{url.netloc}", source),
        match[1],
        match[2] or "latest",
        stated and identifier(stated, "platform", source),
    )


def _is_build(text: str) -> bool:
    return text == "latest" or UUID.fullmatch(text.lower()) is not None


def _job_query(server: str, job: str, build: str, platform: str | None) -> Query:
    uuid = None if build in {"", "latest"} else build.lower()
    return Query(server=server, job=job, build=uuid, sha256=None, platform=platform)


def read_builder_web(
    query: Query,
    source: str,
    *,
    cache: Path,
    note: Callable[[str], None],
    patience: Patience | None = None,
) -> RawBuild:
    """Return the metadata and the main binary of a build.

    Every file is checked against the hashes that the server states, and kept below `cache`.

    Args:
        query: Which build.
        source: How the user named it.
        cache: Directory of pkggen's downloads; made when it is missing.
        note: Receives sentences that the user should read.
        patience: How long to wait for the server; None for the usual.

    Raises:
        DownloadError: the server does not give what is needed.
        VerificationError: a file does not have its stated hash or size.
        InputError: the cache cannot be written.
    """
    client = Client(query.server, patience or Patience())
    origin = _locate(client, query, note)
    stated = _stated_binary(client, origin)
    build = _build_page(client, origin, query.platform, note)
    store = _Store(client, cache / "artifacts")
    files = [store.get(origin, SWITCH_FILE, limit=MAX_METADATA_BYTES)]
    if files[0] is None:
        raise DownloadError(
            "the build has no opam-switch",
            where=origin.url,
            hint="a failed build has none; see its page for what happened",
        )
    files += [
        store.get(origin, name, limit=MAX_METADATA_BYTES)
        for name in (ENVIRONMENT_FILE, SYSTEM_PACKAGES_FILE)
    ]
    binary = _main_binary(client, store, origin, stated)
    if query.sha256 is not None and (binary is None or binary.sha256 != query.sha256):
        raise VerificationError(
            f"the main binary of the build has sha256 {binary and binary.sha256}, "
            f"not {query.sha256}",
            where=origin.url,
        )
    return RawBuild(
        source=source,
        job=origin.job,
        platform=build.platform,
        started=build.started,
        finished=build.finished,
        origin=origin,
        files=tuple(file for file in (*files, binary) if file is not None),
    )


# Finding the build


def _locate(client: Client, query: Query, note: Callable[[str], None]) -> Origin:
    if query.sha256 is not None:
        found = _redirected_build(client, "/hash", f"?sha256={query.sha256}")
        if found is None:
            raise DownloadError(
                f"no build holds a file with sha256 {query.sha256}", where=query.server
            )
        return found
    if query.job is None:
        return _build_of_any_job(client, query.build or "")
    job = query.job
    for attempt in (1, 2):
        found = _in_job(client, job, query)
        if found is not None:
            return found
        if attempt == 1:
            job = _other_name(client, job, query, note)
    raise DownloadError(f"the job {job} has no such build", where=query.server)


def _in_job(client: Client, job: str, query: Query) -> Origin | None:
    if query.build is None:
        platform = f"?platform={quote(query.platform)}" if query.platform else ""
        return _redirected_build(client, f"/job/{job}/build/latest", platform)
    # The server looks a build up by its UUID alone, so the job has to be asked for by itself.
    found, _ = _page(client, f"/job/{job}")
    if not found:
        return None
    return Origin(server=client.server, job=job, build=query.build)


def _redirected_build(client: Client, path: str, query: str = "") -> Origin | None:
    """Return the build that a path redirects to, None for 404."""

    def match(url: str) -> re.Match[str] | None:
        return _BUILD_PATH.fullmatch(unquote(urlsplit(url).path))

    for spelling in (path, f"{path}/"):
        reply = client.get(
            spelling + query, BytesIO(), 1 << 20, is_end=lambda url: match(url) is not None
        )
        found = match(reply.url)
        if reply.found and found is not None:
            job = identifier(found[1], "job", reply.url)
            return Origin(server=client.server, job=job, build=found[2])
        if reply.found:
            raise DownloadError("does not lead to a build", where=client.server + path)
    return None


def _build_of_any_job(client: Client, build: str) -> Origin:
    """Return the origin of a build whose job only the comparison with itself names."""
    _, document = _page(client, f"/compare/{build}/{build}")
    job = _value(_value(document, "left", dict), "job", str)
    if job is None:
        raise DownloadError(
            f"the server does not tell the job of the build {build}",
            where=client.server,
            hint="the build may not exist, or the server is old; name the build as NAME/UUID",
        )
    return Origin(server=client.server, job=identifier(job, "job", client.server), build=build)


def _other_name(client: Client, job: str, query: Query, note: Callable[[str], None]) -> str:
    """Return NAME-git for NAME, as robur's unikernels are called, if that is a job."""
    names = _job_names(client)
    if job in names:
        wanted = query.build or f"finished build on {query.platform or 'any platform'}"
        raise DownloadError(f"the job {job} has no {wanted}", where=client.server)
    if f"{job}-git" in names:
        note(f"{client.server} has no job {job}; taking {job}-git")
        return f"{job}-git"
    near = difflib.get_close_matches(job, names, n=5)
    raise DownloadError(
        f"there is no job {job}",
        where=client.server,
        hint=f"did you mean {' or '.join(near)}?" if near else f"the jobs are on {client.server}/",
    )


def _job_names(client: Client) -> list[str]:
    """Return the names of all jobs; none when the server has no such list in JSON."""
    for path in ("/all-builds", "/"):
        _, document = _page(client, path)
        jobs = _value(document, "jobs", list)
        if jobs is not None:
            names = [_value(job, "name", str) if isinstance(job, dict) else job for job in jobs]
            return [name for name in names if isinstance(name, str) and is_identifier(name)]
    return []


# Pages


@dataclass(frozen=True, slots=True, kw_only=True)
class _Build:
    platform: str | None
    started: datetime | None
    finished: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Binary:
    """What the page of a job states about the main binary of a build."""

    name: str
    size: int
    sha256: str


def _page(client: Client, path: str) -> tuple[bool, object]:
    """Return whether a page exists, and its JSON, None when the server has only HTML."""
    for spelling in (path, f"{path.rstrip('/')}/"):
        reply, body = client.page(spelling, accept="application/json")
        if reply.found:
            try:
                return True, json.loads(body)
            except (ValueError, RecursionError):
                return True, None
    return False, None


def _value(document: object, key: str, kind: type[_T]) -> _T | None:
    """Return a value of the wanted type; servers of some age have other types or no such key."""
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, kind) and not isinstance(value, bool) else None


def _stated_binary(client: Client, origin: Origin) -> _Binary | None:
    _, document = _page(client, f"/job/{origin.job}")
    for build in _value(document, "builds", list) or []:
        if _value(build, "uuid", str) == origin.build:
            binary = _value(build, "main_binary", dict)
            name = _value(binary, "filename", str)
            size = _value(binary, "size", int)
            sha256 = _value(binary, "sha256", str)
            if name is not None and size is not None and sha256 is not None:
                return _Binary(name=name, size=size, sha256=sha256)
    return None


def _build_page(
    client: Client, origin: Origin, platform: str | None, note: Callable[[str], None]
) -> _Build:
    found, document = _page(client, f"/job/{origin.job}/build/{origin.build}")
    if not found:
        raise DownloadError(f"there is no build {origin.build}", where=origin.server)
    stated = _value(document, "platform", str)
    if document is None:
        note(f"{origin.url}: this server does not state times and platform in a readable form")
    if _value(document, "uuid", str) not in {None, origin.build}:
        raise DownloadError("the server describes another build", where=origin.url)
    if platform is not None and stated != platform:
        raise DownloadError(
            f"the build's platform is {stated or 'not stated'}, not {platform}", where=origin.url
        )
    started, finished = (
        parse_time(text, origin.url) if (text := _value(document, key, str)) else None
        for key in ("start_time", "finish_time")
    )
    return _Build(platform=stated, started=started, finished=finished)


# Files


def _main_binary(
    client: Client, store: _Store, origin: Origin, stated: _Binary | None
) -> RawFile | None:
    path = _main_binary_path(client, origin)
    if path is None and stated is None:
        return None
    if path is None or (stated is not None and PurePosixPath(path).name != stated.name):
        # The page gives the last component only; the file is directly below bin/ as a rule.
        path = f"bin/{stated.name}" if stated is not None else ""
    file = store.get(origin, path, limit=MAX_ARTIFACT_BYTES, stated=stated)
    if file is None:
        raise DownloadError(f"the main binary {path} is not there", where=origin.url)
    return file


def _main_binary_path(client: Client, origin: Origin) -> str | None:
    base = f"/job/{origin.job}/build/{origin.build}"
    start = f"{base}/f/"

    def path_of(url: str) -> str:
        return unquote(urlsplit(url).path)

    reply = client.get(
        f"{base}/main-binary", BytesIO(), 1 << 20, is_end=lambda url: path_of(url).startswith(start)
    )
    if not reply.found:
        return None
    if not path_of(reply.url).startswith(start):
        raise DownloadError("main-binary does not lead to a file", where=origin.url)
    return path_of(reply.url).removeprefix(start)


class _Store:
    """Files of the server, kept by their sha256."""

    def __init__(self, client: Client, directory: Path) -> None:
        self._client = client
        self._directory = directory

    def get(
        self, origin: Origin, name: str, *, limit: int, stated: _Binary | None = None
    ) -> RawFile | None:
        """Return a file of a build, None for 404."""
        path = relative_path(name, origin.url)
        try:
            if stated is not None and self._has(stated.sha256):
                return self._file(path, stated.sha256)
            return self._download(origin, path, limit, stated)
        except OSError as error:
            raise InputError(
                f"the cache cannot be used: {error.strerror}", where=str(self._directory)
            ) from error

    def _file(self, path: PurePosixPath, sha256: str) -> RawFile:
        return RawFile(path=str(path), content=FileContent(self._place(sha256)), sha256=sha256)

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
        self, origin: Origin, path: PurePosixPath, limit: int, stated: _Binary | None
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
            hashes = {stated and stated.sha256, _etag_sha256(reply.headers.get("ETag", ""))}
            self._check(url, hashes - {None}, found.sha256)
            if stated is not None and found.size != stated.size:
                raise VerificationError(
                    f"the server states {stated.size} bytes, gave {found.size}", where=url
                )
            if not hashes - {None} and PurePosixPath("bin") in path.parents:
                self._confirm(origin, url, found.sha256)
            place = self._place(found.sha256)
            place.parent.mkdir(exist_ok=True)
            Path(name).replace(place)
            return self._file(path, found.sha256)
        finally:
            Path(name).unlink(missing_ok=True)

    def _check(self, url: str, stated: set[str | None], found: str) -> None:
        for sha256 in sorted(filter(None, stated)):
            if sha256 != found:
                raise VerificationError(
                    f"the server states sha256 {sha256}, gave {found}", where=url
                )

    def _confirm(self, origin: Origin, url: str, sha256: str) -> None:
        """Ask for the hash itself; a bit-identical later build of the job is as good an answer."""
        known = _redirected_build(self._client, "/hash", f"?sha256={sha256}")
        if known is None or known.job != origin.job:
            raise VerificationError(
                f"the server knows no build of {origin.job} with sha256 {sha256}, which it gave",
                where=url,
            )


def _etag_sha256(etag: str) -> str | None:
    """Return the hash in builder-web's ETag, None when it is of another kind."""
    try:
        digest = base64.b64decode(etag.removeprefix("W/").strip('"'), validate=True)
    except (ValueError, binascii.Error):
        return None
    return digest.hex() if len(digest) == 32 else None
