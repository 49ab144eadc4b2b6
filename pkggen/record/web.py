"""Pages and files of one builder-web server; redirects never leave it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import urljoin, urlsplit

from pkggen.errors import DownloadError
from pkggen.web import MAX_REDIRECTS, REDIRECTS, PassingError, Transfer, new_adapter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from requests.adapters import HTTPAdapter

    from pkggen.web import Answer, Patience

PAGE_BYTES: Final = 16 * 1024 * 1024
"""Largest accepted page or metadata file."""

_LOOK_SECONDS: Final = 1.0
"""How long a deadline may stay unseen that moved because bytes came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The last answer of a chain of redirects."""

    url: str
    """Where it came from, or for a redirect that ended the chain, where it points to."""
    found: bool
    """False for 404."""
    headers: Mapping[str, str]
    """Its headers; names compare without case."""


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
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._patiently(url, body, limit, accept)
            if answer.status not in REDIRECTS:
                return Reply(url=url, found=answer.status == 200, headers=answer.headers)
            url = redirect_target(url, answer.headers.get("Location"))
            if is_end(url):
                return Reply(url=url, found=True, headers=answer.headers)
        raise DownloadError(f"more than {MAX_REDIRECTS} redirects", where=self.server + path)

    def _patiently(self, url: str, body: BinaryIO, limit: int, accept: str) -> Answer:
        for attempt in range(self._patience.retries + 1):
            try:
                return self._once(url, _Body(body, accept), limit)
            except PassingError as error:
                if attempt == self._patience.retries:
                    raise
                time.sleep(self._patience.pause(attempt, error.pause))
        raise DownloadError("no attempt was allowed", where=url)

    def _once(self, url: str, body: _Body, limit: int) -> Answer:
        done = threading.Event()
        transfer = Transfer(
            self._adapter,
            url,
            body,
            patience=self._patience,
            limit=limit,
            received=lambda _: None,
            done=lambda _: done.set(),
        )
        transfer.start()
        while not done.wait(min(_LOOK_SECONDS, max(0.0, transfer.deadline - time.monotonic()))):
            if time.monotonic() >= transfer.deadline:
                raise transfer.give_up()
        answer = transfer.answer()
        if answer.status not in {200, 404, *REDIRECTS}:
            raise DownloadError(f"the server answered {answer.status}", where=url)
        return answer

    @cached_property
    def _adapter(self) -> HTTPAdapter:
        return new_adapter()


class _Body:
    """Receives one answer; its methods run in the thread of the transfer."""

    def __init__(self, file: BinaryIO, accept: str) -> None:
        self._file = file
        self._accept = accept
        file.seek(0)
        file.truncate()

    def headers(self) -> dict[str, str]:
        return {"Accept": self._accept}

    def begin(self, answer: Answer) -> None:
        pass

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def finish(self) -> None:
        pass


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
