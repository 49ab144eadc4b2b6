"""HTTP from one server, with a bound on everything that the server decides.

Redirects are followed by hand and never leave the server; a transfer has a deadline as a whole,
because a socket's timeout starts anew with every byte.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from urllib.parse import urljoin, urlsplit

from pkggen import __version__
from pkggen.errors import DownloadError, PkggenError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests

PAGE_BYTES: Final = 16 * 1024 * 1024
"""Largest accepted page or metadata file."""
_MAX_REDIRECTS: Final = 5
_MAX_PAUSE_SECONDS: Final = 30.0
_CHUNK_BYTES: Final = 64 * 1024
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for a server."""

    connect_seconds: float = 10.0
    """For a connection."""
    silence_seconds: float = 30.0
    """Between two bytes."""
    grace_seconds: float = 60.0
    """For a whole answer, on top of what `bytes_per_second` allows for its size."""
    bytes_per_second: float = 1024.0
    """Slowest accepted transfer."""
    retries: int = 2
    """Further attempts after a failed connection or a 5xx answer."""
    pause_seconds: float = 1.0
    """Before the first of them, doubled each time; a Retry-After of the server counts more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The last answer of a chain of redirects."""

    url: str
    """Where it came from, or for a redirect that ended the chain, where it points to."""
    found: bool
    """False for 404."""
    headers: Mapping[str, str]
    """Its headers; names compare without case."""


class _PassingError(DownloadError):
    """A failure that may be gone at the next attempt."""

    pause: float | None = None


class Client:
    """Gets pages and files from one server."""

    def __init__(self, server: str, patience: Patience) -> None:
        """Keep the parts; nothing is sent yet.

        Args:
            server: URL without path and final slash.
            patience: How long to wait.
        """
        self.server = server
        self._patience = patience

    def page(self, path: str, *, accept: str = "*/*") -> tuple[Reply, bytes]:
        """Return an answer and its body.

        Args:
            path: From the first slash, percent-encoded, with the query.
            accept: Media type that is wanted.

        Raises:
            DownloadError: no answer but 200 or 404 came in time.
        """
        body = BytesIO()
        reply = self.get(path, body, PAGE_BYTES, accept=accept)
        return reply, body.getvalue()

    def get(
        self,
        path: str,
        body: BinaryIO,
        limit: int,
        *,
        accept: str = "*/*",
        is_end: Callable[[str], bool] = lambda _: False,
    ) -> Reply:
        """Get a file, following redirects inside the server.

        Args:
            path: From the first slash, percent-encoded, with the query.
            body: Receives what is at the end of the redirects; stays empty for 404.
            limit: Most bytes to accept.
            accept: Media type that is wanted.
            is_end: Tells of a redirect's target whether to stop there without getting it.

        Raises:
            DownloadError: no answer but 200 or 404 came in time, the answer is too long or breaks
                off, or a redirect leaves the server.
        """
        url = self.server + path
        for _ in range(_MAX_REDIRECTS + 1):
            status, headers = self._patiently(url, body, limit, accept)
            if status not in _REDIRECTS:
                return Reply(url=url, found=status == 200, headers=headers)
            url = redirect_target(url, headers.get("Location"))
            if is_end(url):
                return Reply(url=url, found=True, headers=headers)
        raise DownloadError(f"more than {_MAX_REDIRECTS} redirects", where=self.server + path)

    def _patiently(
        self, url: str, body: BinaryIO, limit: int, accept: str
    ) -> tuple[int, Mapping[str, str]]:
        for attempt in range(self._patience.retries + 1):
            try:
                return _Transfer(self._session, self._patience, url, body, limit).run(accept)
            except _PassingError as error:
                if attempt == self._patience.retries:
                    raise
                pause = error.pause or self._patience.pause_seconds * 2**attempt
                time.sleep(min(pause, _MAX_PAUSE_SECONDS))
        raise DownloadError("no attempt was allowed", where=url)

    @cached_property
    def _session(self) -> requests.Session:
        import requests  # noqa: PLC0415 - takes 100 ms

        session = requests.Session()
        session.headers["User-Agent"] = f"pkggen/{__version__}"
        # Lengths and hashes are those of the file itself, and nothing can be blown up.
        session.headers["Accept-Encoding"] = "identity"
        # Even when told not to follow, requests parses the target and reads the whole body.
        session.get_redirect_target = lambda _: None  # type: ignore[assignment, method-assign]
        return session


def redirect_target(url: str, location: str | None) -> str:
    """Return where a redirect leads, always on the same server.

    Args:
        url: What was asked for.
        location: The answer's Location; usually a path.

    Raises:
        DownloadError: it leads nowhere, or to another scheme, host or port.
    """
    if location is None:
        raise DownloadError("a redirect without a target", where=url)
    try:
        target = urljoin(url, location)
        here, there = urlsplit(url), urlsplit(target)
        same = (here.scheme, here.hostname, here.port) == (
            there.scheme,
            there.hostname,
            there.port,
        )
    except ValueError as error:
        raise DownloadError(
            f"a redirect to {location[:200]!r}, which is no URL", where=url
        ) from error
    if not same or "@" in there.netloc:
        raise DownloadError(
            f"redirects from {here.scheme}://{here.netloc} to {location[:200]!r}",
            where=url,
            hint="pkggen follows no redirect to another server; name that server if you trust it",
        )
    return target


class _Transfer:
    """One request in a thread of its own, so that no trick of the server can hold up the caller."""

    def __init__(
        self,
        session: requests.Session,
        patience: Patience,
        url: str,
        body: BinaryIO,
        limit: int,
    ) -> None:
        self._session = session
        self._patience = patience
        self._url = url
        self._body = body
        self._limit = limit
        self._received = 0
        self._given_up = False
        self._done = threading.Event()
        self._answer: tuple[int, Mapping[str, str]] | None = None
        self._error: Exception | None = None

    def run(self, accept: str) -> tuple[int, Mapping[str, str]]:
        """Return status and headers once the body is complete."""
        self._body.seek(0)
        self._body.truncate()
        began = time.monotonic()
        threading.Thread(target=self._work, args=(accept,), daemon=True).start()
        while not self._done.wait(max(0.0, self._deadline(began) - time.monotonic())):
            if time.monotonic() >= self._deadline(began):
                self._given_up = True
                raise DownloadError(
                    f"too slow: {self._received} bytes in {time.monotonic() - began:.0f} s",
                    where=self._url,
                )
        if self._error is not None:
            raise self._translated(self._error) from self._error
        if self._answer is None:
            raise DownloadError("no answer", where=self._url)
        return self._answer

    def _deadline(self, began: float) -> float:
        patience = self._patience
        return began + patience.grace_seconds + self._received / patience.bytes_per_second

    def _work(self, accept: str) -> None:
        try:
            with self._session.get(
                self._url,
                headers={"Accept": accept},
                stream=True,
                allow_redirects=False,
                timeout=(self._patience.connect_seconds, self._patience.silence_seconds),
            ) as response:
                if response.status_code == 200:
                    self._receive(response)
                self._answer = self._checked(response)
        except Exception as error:  # noqa: BLE001 - the caller's thread raises it
            self._error = error
        finally:
            self._done.set()

    def _checked(self, response: Any) -> tuple[int, Mapping[str, str]]:  # noqa: ANN401
        status = int(response.status_code)
        if status not in {200, 404, *_REDIRECTS}:
            error = (_PassingError if status >= 500 else DownloadError)(
                f"the server answered {status}", where=self._url
            )
            after = response.headers.get("Retry-After", "")
            if isinstance(error, _PassingError) and after.isascii() and after.isdigit():
                error.pause = min(float(after), _MAX_PAUSE_SECONDS)
            raise error
        return status, response.headers

    def _receive(self, response: Any) -> None:  # noqa: ANN401
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise DownloadError("the answer is compressed although not asked for", where=self._url)
        for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=False):
            self._received += len(chunk)
            if self._received > self._limit:
                raise DownloadError(f"longer than {self._limit} bytes", where=self._url)
            if self._given_up:
                return
            self._body.write(chunk)
        # urllib3 before version 2 takes a body that breaks off for a whole one.
        stated = response.headers.get("Content-Length", str(self._received))
        if stated != str(self._received):
            raise _PassingError(
                f"breaks off after {self._received} of {stated} bytes", where=self._url
            )

    def _translated(self, error: Exception) -> PkggenError:
        if isinstance(error, PkggenError):
            return error
        from requests import RequestException  # noqa: PLC0415 - takes 100 ms
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - comes with requests

        if isinstance(error, (RequestException, HTTPError, OSError, ValueError)):
            return _PassingError(f"the transfer failed: {error}", where=self._url)
        raise error
