"""A build on a builder-web server as source.

Servers of all ages are met: paths end in a slash on those of 2021, JSON came and changed later, and
no server lists the files of a build. So this asks for single files, tries the other spelling of a
path after a 404, and lives without JSON.

Source: builder-web `lib/builder_web.ml` (routes) and `lib/views.ml` (JSON).
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, unquote, urlsplit

from pkggen.errors import DownloadError, VerificationError
from pkggen.record.artifact import RawBuild, RawFile
from pkggen.record.identity import identifier, is_identifier, parse_time
from pkggen.record.model import (
    ENVIRONMENT_FILE,
    MAX_ARTIFACT_BYTES,
    MAX_METADATA_BYTES,
    SWITCH_FILE,
    SYSTEM_PACKAGES_FILE,
    Origin,
)
from pkggen.record.store import StatedBinary, Store, redirected_build
from pkggen.record.web import PAGE_BYTES, Client
from pkggen.web import Patience

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from pkggen.record.query import Query

_T = TypeVar("_T")


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
    store = Store(client, cache / "artifacts")
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
        found = redirected_build(client, "/hash", f"?sha256={query.sha256}")
        if found is None:
            raise DownloadError(
                f"no build holds a file with sha256 {query.sha256}", where=query.server
            )
        return found
    if query.job is None:
        return _build_of_any_job(client, query.build or "")
    found = _in_job(client, query.job, query)
    if found is not None:
        return found
    job = _other_name(client, query.job, query, note)
    found = _in_job(client, job, query)
    if found is None:
        raise _no_build(client, job, query)
    return found


def _no_build(client: Client, job: str, query: Query) -> DownloadError:
    wanted = query.build or f"finished build on {query.platform or 'any platform'}"
    return DownloadError(f"the job {job} has no {wanted}", where=client.server)


def _in_job(client: Client, job: str, query: Query) -> Origin | None:
    if query.build is None:
        platform = f"?platform={quote(query.platform)}" if query.platform else ""
        return redirected_build(client, f"/job/{job}/build/latest", platform)
    # The server looks a build up by its UUID alone, so the job has to be asked for by itself.
    found, _ = _page(client, f"/job/{job}")
    if not found:
        return None
    return Origin(server=client.server, job=job, build=query.build)


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
        raise _no_build(client, job, query)
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


def _stated_binary(client: Client, origin: Origin) -> StatedBinary | None:
    _, document = _page(client, f"/job/{origin.job}")
    for build in _value(document, "builds", list) or []:
        if _value(build, "uuid", str) == origin.build:
            binary = _value(build, "main_binary", dict)
            name = _value(binary, "filename", str)
            size = _value(binary, "size", int)
            sha256 = _value(binary, "sha256", str)
            if name is not None and size is not None and sha256 is not None:
                return StatedBinary(name=name, size=size, sha256=sha256)
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
    client: Client, store: Store, origin: Origin, stated: StatedBinary | None
) -> RawFile | None:
    path = _main_binary_path(client, origin)
    if path is None:
        if stated is None:
            return None
        path = f"bin/{stated.name}"  # the page gives the last component only
    file = store.get(origin, path, limit=MAX_ARTIFACT_BYTES, stated=stated)
    if file is None:
        raise DownloadError(f"the main binary {path} is not there", where=origin.url)
    return file


def _main_binary_path(client: Client, origin: Origin) -> str | None:
    """Return the path that main-binary redirects to, None for 404."""
    base = f"/job/{origin.job}/build/{origin.build}"

    def path_of(url: str) -> str:
        return unquote(urlsplit(url).path)

    def is_end(url: str) -> bool:
        return path_of(url).startswith(f"{base}/f/bin/")

    reply = client.get(f"{base}/main-binary", BytesIO(), PAGE_BYTES, is_end=is_end)
    if not reply.found:
        return None
    if not is_end(reply.url):
        raise DownloadError("main-binary does not lead to a file under bin/", where=origin.url)
    return path_of(reply.url).removeprefix(f"{base}/f/")
