"""HTTP with a bound on everything that the server decides.

A transfer has a deadline as a whole, because a socket's timeout starts anew with every byte, and it
runs in a thread of its own, because nothing else gets back from a socket that a server keeps alive.
Redirects are answers like others: the caller decides whether to follow them.
"""

from __future__ import annotations

import _thread
import ipaddress
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar
from urllib.parse import urljoin, urlsplit

from pkggen import __version__
from pkggen.errors import DownloadError, PkggenError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from requests import PreparedRequest
    from requests.adapters import HTTPAdapter

MAX_REDIRECTS: Final = 5
"""How many redirects in a row are followed."""
MAX_PAUSE_SECONDS: Final = 30.0
"""Longest pause before another attempt, whatever the server asks for."""
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
"""Statuses of answers that point elsewhere."""

_ANSWERS: Final = frozenset({200, 206, 404, 416}) | REDIRECTS
_BUSY: Final = 429
_CHUNK_BYTES: Final = 64 * 1024


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

    def pause(self, attempt: int, wanted: float | None) -> float:
        """Return the seconds to wait after a failed attempt, counted from 0."""
        mine = self.pause_seconds * 2.0**attempt
        return min(mine if wanted is None else wanted, MAX_PAUSE_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status and headers of one answer."""

    status: int
    """200, 206, 404, 416 or a redirect."""
    headers: Mapping[str, str]
    """Names compare without case."""


class PassingError(DownloadError):
    """A failure that may be gone at the next attempt."""

    pause: float | None = None
    """Seconds that the server asks to wait."""


class Sink(Protocol):
    """Receives the body of a 200 or 206; its methods run in the transfer's thread.

    What they raise should be a `PkggenError`: an `OSError` is taken for one of the network.
    """

    def headers(self) -> Mapping[str, str]:
        """Get ready and return what the request needs, e.g. `Range`."""

    def begin(self, answer: Answer) -> None:
        """Look at the headers; raise to refuse the body."""

    def write(self, data: bytes) -> None:
        """Take the next bytes."""

    def finish(self) -> None:
        """The body is complete; this is not bound by the deadline."""


def new_adapter(connections: int = 1) -> HTTPAdapter:
    """Return what keeps up to so many connections to each server and may be used by all threads.

    A session on top of it would cost more than the request: it looks for proxies, passwords and
    cookies in a dozen places each time. None of these is wanted here but the proxies.
    """
    from requests.adapters import HTTPAdapter  # noqa: PLC0415 - takes 100 ms

    return HTTPAdapter(pool_connections=64, pool_maxsize=connections)


def redirect_target(url: str, answer: Answer) -> str:
    """Return where a redirect leads to.

    Raises:
        DownloadError: it names no URL, has a password in it, or leads from https to another scheme.
    """
    location = answer.headers.get("Location")
    if location is None:
        raise DownloadError("a redirect without a target", where=url)
    try:
        target = urljoin(url, location)
        there = urlsplit(target)
        _ = there.port
    except ValueError as error:
        raise DownloadError(
            f"a redirect to {location[:200]!r}, which is no URL", where=url
        ) from error
    if "@" in there.netloc or not there.hostname or there.scheme not in {"https", "http"}:
        raise DownloadError(f"redirects to {location[:200]!r}", where=url)
    if urlsplit(url).scheme == "https" and there.scheme != "https":
        raise DownloadError(f"redirects from https to {location[:200]!r}", where=url)
    return target


def is_loopback(url: str) -> bool:
    """Return whether an address is one of this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


_S = TypeVar("_S", bound=Sink)


class Transfer(Generic[_S]):
    """One request in a thread of its own, so that no trick of the server can hold up the caller."""

    def __init__(  # noqa: PLR0913 - each is a choice of the caller
        self,
        adapter: HTTPAdapter,
        url: str,
        sink: _S,
        *,
        patience: Patience,
        limit: int,
        received: Callable[[Transfer[_S]], None],
        done: Callable[[Transfer[_S]], None],
    ) -> None:
        """Keep the parts.

        Args:
            adapter: From `new_adapter`.
            url: What to get.
            sink: Receives the body.
            patience: How long to wait.
            limit: Most bytes to accept.
            received: Called in the transfer's thread when the body is complete.
            done: Called in the transfer's thread at its very end.
        """
        self.url = url
        self.sink = sink
        self._adapter = adapter
        self._patience = patience
        self._limit = limit
        self._on_received = received
        self._on_done = done
        self.is_done = False
        self._began = 0.0
        self._received = 0
        self._given_up = False
        self._complete = False
        self._answer: Answer | None = None
        self._error: Exception | None = None

    def start(self) -> None:
        """Send the request."""
        self._began = time.monotonic()
        # A `threading.Thread` would make us wait until it runs, sixteen times in a row.
        _thread.start_new_thread(self._work, ())

    @property
    def deadline(self) -> float:
        """Time of the monotonic clock at which the transfer is too slow; it moves with it."""
        if self._complete:
            return float("inf")
        patience = self._patience
        return self._began + patience.grace_seconds + self._received / patience.bytes_per_second

    def give_up(self) -> DownloadError:
        """Leave the thread to itself and return why; its sink receives nothing more."""
        self._given_up = True
        seconds = time.monotonic() - self._began
        return DownloadError(f"too slow: {self._received} bytes in {seconds:.0f} s", where=self.url)

    def answer(self) -> Answer:
        """Return the answer of a transfer that is done.

        Raises:
            PassingError: another attempt may help.
            DownloadError: it will not.
            PkggenError: the sink raised it.
        """
        if self._error is not None:
            raise self._translated(self._error) from self._error
        if self._answer is None:
            raise DownloadError("no answer", where=self.url)
        return self._answer

    def _work(self) -> None:
        try:
            with self._adapter.send(
                _prepared(self.url, self.sink.headers()),
                stream=True,
                timeout=(self._patience.connect_seconds, self._patience.silence_seconds),
                verify=os.environ.get("REQUESTS_CA_BUNDLE") or True,
                proxies=_proxies(*urlsplit(self.url)[:2]),
            ) as response:
                self._answer = self._checked(response)
                if self._answer.status in {200, 206}:
                    self._receive(response, self._answer)
        except Exception as error:  # noqa: BLE001 - the caller's thread raises it
            self._error = error
        finally:
            self.is_done = True
            self._on_done(self)

    def _checked(self, response: Any) -> Answer:  # noqa: ANN401
        status = int(response.status_code)
        if status not in _ANSWERS:
            passing = status >= 500 or status == _BUSY
            error = (PassingError if passing else DownloadError)(
                f"the server answered {status}", where=self.url
            )
            if isinstance(error, PassingError):
                error.pause = _retry_after(response.headers.get("Retry-After", ""))
            raise error
        return Answer(status=status, headers=response.headers)

    def _receive(self, response: Any, answer: Answer) -> None:  # noqa: ANN401
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise DownloadError("the answer is compressed although not asked for", where=self.url)
        self.sink.begin(answer)
        # `stream` and `read` would take a chunk of negative length for all that ever comes.
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=False):
            self._received += len(chunk)
            if self._received > self._limit:
                raise DownloadError(f"longer than {self._limit} bytes", where=self.url)
            if self._given_up:
                return
            self.sink.write(chunk)
        stated = response.headers.get("Content-Length", str(self._received))
        if stated != str(self._received):
            raise PassingError(
                f"breaks off after {self._received} of {stated} bytes", where=self.url
            )
        self._complete = True
        self._on_received(self)
        if not self._given_up:
            self.sink.finish()

    def _translated(self, error: Exception) -> Exception:
        if isinstance(error, PkggenError):
            return error
        from requests import RequestException  # noqa: PLC0415 - takes 100 ms
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - comes with requests

        if isinstance(error, (RequestException, HTTPError, OSError, ValueError)):
            return PassingError(f"the transfer failed: {error}", where=self.url)
        return error


def _prepared(url: str, headers: Mapping[str, str]) -> PreparedRequest:
    from requests import PreparedRequest  # noqa: PLC0415 - takes 100 ms

    request = PreparedRequest()
    # Lengths and hashes are those of the file itself, and nothing can be blown up.
    own = {"User-Agent": f"pkggen/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}
    request.prepare(method="GET", url=url, headers=own | dict(headers))
    return request


@cache
def _proxies(scheme: str, server: str) -> dict[str, str]:
    from requests.utils import get_environ_proxies  # noqa: PLC0415 - takes 100 ms

    url = f"{scheme}://{server}/"
    return {} if is_loopback(url) else dict(get_environ_proxies(url))


def _retry_after(text: str) -> float | None:
    """Return the seconds of a Retry-After, which is a number or a date; None for anything else."""
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_PAUSE_SECONDS)
    try:
        wanted = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if wanted.tzinfo is None:
        wanted = wanted.replace(tzinfo=UTC)
    return max(0.0, (wanted - datetime.now(UTC)).total_seconds())
