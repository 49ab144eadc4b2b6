"""What a SOURCE that is no path names: a build on a builder-web server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlsplit

from pkggen.errors import InputError
from pkggen.record.identity import SHA256, UUID, identifier, is_identifier, server_url

FORMS: Final = (
    "a job (NAME or NAME/latest), a build (UUID or NAME/UUID), sha256:HEX of its image, the URL of "
    "a job or build, or a path (directory, archive, builder's `full` file)"
)
"""What a SOURCE may be, for messages."""

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
    try:
        url = urlsplit(source)
    except ValueError as error:
        raise InputError(f"not a URL: {error}", where=source) from error
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
