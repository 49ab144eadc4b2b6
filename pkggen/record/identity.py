"""What names a build: names of jobs and platforms, UUIDs, hashes, times, servers; checked text."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from pkggen.errors import InputError

UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""A UUID as pkggen writes it: lower case with hyphens."""
SHA256: Final = re.compile(r"[0-9a-f]{64}")
"""A sha256 as pkggen writes it."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]+")


def identifier(text: str, what: str, where: str) -> str:
    """Return a job's or platform's name as it is.

    Args:
        text: The name.
        what: What it names, for messages.
        where: Name of what states it, for messages.

    Raises:
        InputError: it is not letters, digits and `._+-`, or is longer than 128 characters.
    """
    if not _NAME.fullmatch(text):
        raise InputError(
            f"{text[:200]!r} is not the name of a {what}",
            where=where,
            hint="such names are made of letters, digits and . _ + -",
        )
    return text


def is_identifier(text: str) -> bool:
    """Return whether `identifier` accepts the text."""
    return _NAME.fullmatch(text) is not None


def parse_time(text: str, where: str) -> datetime:
    """Return an RFC 3339 time in UTC.

    Args:
        text: With a time zone, e.g. `2026-08-23T09:00:00Z`.
        where: What states it, for messages.

    Raises:
        InputError: it is not such a time.
    """
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            raise ValueError("no time zone")  # noqa: TRY301 - one message for both
        return time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InputError(f"not a time with a zone: {text[:80]!r}", where=where) from error


def server_url(text: str, where: str) -> str:
    """Return the URL of a builder-web server without final slash.

    Raises:
        InputError: it is not an https URL (http for this machine only) of a host and nothing else.
    """
    try:
        url = urlsplit(text)
        port = f":{url.port}" if url.port is not None else ""
    except ValueError as error:
        raise InputError(f"not a URL: {text[:200]!r}", where=where) from error
    host = url.hostname or ""
    secure = url.scheme == "https" or (url.scheme == "http" and host in _LOOPBACK)
    if not secure:
        raise InputError(
            f"{text[:200]!r} is not an https URL", where=where, hint="http is for localhost only"
        )
    if not _HOST.fullmatch(host) or "@" in url.netloc or url.path.strip("/") or url.query:
        raise InputError(f"{text[:200]!r} is not the URL of a server", where=where)
    shown = f"[{host}]" if ":" in host else host
    return f"{url.scheme}://{shown}{port}"
