"""A web server for one repository and this machine: what apt asks for, and nothing else.

Sources: RFC 9110, sections 13.1.3 (If-Modified-Since), 13.1.5 (If-Range) and 14 (ranges); apt
`methods/basehttp.cc`, which uses them.
"""

from __future__ import annotations

import os
import re
import stat
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import AF_INET, AF_INET6
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import unquote, urlsplit

from pkggen.errors import ToolError
from pkggen.publish.apt.page import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK_BYTES: Final = 256 * 1024
_IDLE_SECONDS: Final = 60
_RANGE: Final = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))")
_TYPES: Final = {".html": "text/html; charset=utf-8", ".sources": "text/plain; charset=utf-8"}


class Server(ThreadingHTTPServer):
    """Serves the files below one directory to GET and HEAD."""

    daemon_threads = True

    def __init__(
        self, directory: Path, *, bind: str, port: int, log: Callable[[str], None]
    ) -> None:
        """Listen.

        Args:
            directory: What may be served: no symbolic link leads out of it, no hidden name is
                served but by a link.
            bind: Address to listen at.
            port: TCP port; 0 for any that is free.
            log: Is told of every answer.

        Raises:
            ToolError: the system refused.
        """
        self.directory = directory.resolve()
        self.log = log
        self.address_family = AF_INET6 if ":" in bind else AF_INET
        try:
            super().__init__((bind, port), _Handler)
        except (OSError, OverflowError) as error:
            raise ToolError(
                f"cannot listen at {bind} port {port}: {error}",
                hint="choose another one with --port or --bind",
            ) from error

    @property
    def url(self) -> str:
        """Where the files are, with a final slash."""
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients go away whenever they like."""

    def open(self, target: str) -> BinaryIO | None:
        """Open the file that a request asks for; None if there is none to be served."""
        try:
            parts = unquote(urlsplit(target).path, errors="strict").split("/")[1:]
        except ValueError:
            return None
        if parts == [""]:
            parts = [str(PAGE)]
        if any(not part or part.startswith(".") or "\0" in part for part in parts):
            return None
        try:
            path = self.directory.joinpath(*parts).resolve(strict=True)
            if not path.is_relative_to(self.directory):
                return None
            # Not to hang at what somebody puts there in place of a file.
            number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (OSError, RuntimeError):
            return None
        if stat.S_ISREG(os.fstat(number).st_mode):
            return open(number, "rb")  # noqa: PTH123 - the caller closes it
        os.close(number)
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    server: Server

    def version_string(self) -> str:
        return "pkggen"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        self.server.log(f"{self.client_address[0]} {format % args}")

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        file = self.server.open(self.path)
        if file is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with file:
            status = os.fstat(file.fileno())
            modified = formatdate(status.st_mtime, usegmt=True)
            code, start, length = self._choose(status.st_size, int(status.st_mtime), modified)
            self.send_response(code)
            self.send_header("Last-Modified", modified)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header(
                "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"
            )
            if code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                self.send_header("Content-Range", f"bytes */{status.st_size}")
            elif code == HTTPStatus.PARTIAL_CONTENT:
                end = start + length - 1
                self.send_header("Content-Range", f"bytes {start}-{end}/{status.st_size}")
            if code != HTTPStatus.NOT_MODIFIED:
                suffix = Path(urlsplit(self.path).path).suffix or ".html" * (self.path == "/")
                self.send_header("Content-Type", _TYPES.get(suffix, "application/octet-stream"))
                self.send_header("Content-Length", str(length))
            self.end_headers()
            if body and length:
                self._send(file, start, length)

    def _choose(self, size: int, seconds: int, modified: str) -> tuple[HTTPStatus, int, int]:
        """Return the status, and start and length of what is sent."""
        since = self.headers["If-Modified-Since"]
        if since is not None and seconds <= _seconds(since):
            return HTTPStatus.NOT_MODIFIED, 0, 0
        wanted = _RANGE.fullmatch(self.headers["Range"] or "")
        if wanted is None or self.headers["If-Range"] not in {None, modified}:
            return HTTPStatus.OK, 0, size
        if wanted[3] is not None:
            start = max(0, size - int(wanted[3]))
            end = size - 1 if int(wanted[3]) else -1
        else:
            start = int(wanted[1])
            end = min(int(wanted[2]), size - 1) if wanted[2] else size - 1
            if wanted[2] and int(wanted[2]) < start:
                return HTTPStatus.OK, 0, size
        if start > end:
            return HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, 0, 0
        return HTTPStatus.PARTIAL_CONTENT, start, end - start + 1

    def _send(self, file: BinaryIO, start: int, length: int) -> None:
        file.seek(start)
        while length and (data := file.read(min(length, _CHUNK_BYTES))):
            self.wfile.write(data)
            length -= len(data)
        if length:  # the file has become shorter; the client must not wait for the rest
            self.close_connection = True


def _seconds(date: str) -> float:
    """Return a time in seconds since 1970; minus infinity if it is none."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return float("-inf")
