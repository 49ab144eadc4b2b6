"""A server of files on loopback that can misbehave in every way that a fetcher must survive."""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Self

_STEP = 64 * 1024


class Request(NamedTuple):
    """What a client asked for."""

    path: str
    range: str | None
    if_range: str | None


@dataclass
class Fault:
    """How one answer goes wrong."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    """Close the connection after so many bytes of the body."""
    stall: float = 0.0
    """Seconds of silence before the status line."""
    drip: float = 0.0
    """Seconds between single bytes of the body."""
    drip_head: float = 0.0
    """Seconds between single bytes of the headers."""
    no_range: bool = False
    """Send everything whatever was asked for."""
    wrong_range: bool = False
    """Claim another range than was asked for."""
    body: bytes | None = None
    """Send these bytes instead."""
    no_length: bool = False
    """Do not tell the length."""


class FileServer(ThreadingHTTPServer):
    """Serves bytes by path from threads; a context manager."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str = "127.0.0.1", port: int = 0, latency: float = 0.0) -> None:
        super().__init__((host, port), _Handler)
        self.files: dict[str, bytes] = {}
        self.directory: Path | None = None
        self.etags: dict[str, str] = {}
        self.faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self.always: dict[str, Fault] = {}
        self.requests: list[Request] = []
        self.sent = 0
        self.latency = latency
        self.most_at_once = 0
        self.at_once = 0
        self.lock = threading.Lock()

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are no news."""

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def add(self, path: str, data: bytes) -> str:
        self.files[path] = data
        return self.url + path

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FileServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        with server.lock:
            server.requests.append(
                Request(self.path, self.headers["Range"], self.headers["If-Range"])
            )
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
            faults = server.faults[self.path]
            fault = faults.popleft() if faults else server.always.get(self.path, Fault())
        try:
            time.sleep(server.latency + fault.stall)
            self._answer(fault)
        except OSError:
            self.close_connection = True
        finally:
            with server.lock:
                server.at_once -= 1

    def _data(self) -> bytes | None:
        path = self.path.partition("?")[0]
        if self.server.directory is not None:
            place = self.server.directory / path.lstrip("/")
            return place.read_bytes() if place.is_file() else None
        return self.server.files.get(path)

    def _answer(self, fault: Fault) -> None:
        data = fault.body if fault.body is not None else self._data()
        status = fault.status or (404 if data is None else 200)
        body = b"" if data is None or status not in {200, 206} else data
        headers = {"Connection": "close"} if fault.cut is not None or fault.no_length else {}
        etag = self.server.etags.get(self.path)
        if etag is not None:
            headers["ETag"] = etag
        start = self._start(etag) if status == 200 and not fault.no_range else 0
        if start >= len(body) > 0:
            status, body = 416, b""
        elif start:
            shift = 1 if fault.wrong_range else 0
            headers["Content-Range"] = f"bytes {start + shift}-{len(body) - 1}/{len(body)}"
            status, body = 206, body[start:]
        if not fault.no_length:
            headers["Content-Length"] = str(len(body))
        headers |= fault.headers
        self._send(status, headers, body, fault)

    def _start(self, etag: str | None) -> int:
        wanted = self.headers["Range"]
        if wanted is None or self.headers["If-Range"] not in {None, etag}:
            return 0
        return int(wanted.removeprefix("bytes=").rstrip("-"))

    def _send(self, status: int, headers: dict[str, str], body: bytes, fault: Fault) -> None:
        lines = [f"HTTP/1.1 {status} x", *(f"{name}: {text}" for name, text in headers.items())]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        if headers.get("Connection") == "close":
            self.close_connection = True
        if fault.drip_head:
            for byte in head:
                self.wfile.write(bytes([byte]))
                time.sleep(fault.drip_head)
            head = b""
        if fault.cut is not None:
            body = body[: fault.cut]
        if fault.drip:
            self.wfile.write(head)
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(fault.drip)
            return
        if len(body) <= _STEP:
            self.wfile.write(head + body)
        else:
            self.wfile.write(head)
            for at in range(0, len(body), _STEP):
                self.wfile.write(body[at : at + _STEP])
        with self.server.lock:
            self.server.sent += len(body)


def main() -> None:
    """Serve DIRECTORY on PORT of every address with a latency: for the benchmark."""
    directory, port, seconds = sys.argv[1:]
    server = FileServer("0.0.0.0", int(port), float(seconds))  # noqa: S104 - loopback addresses
    server.directory = Path(directory)
    print(server.server_address[1], flush=True)  # noqa: T201 - who started us has to know
    server.serve_forever()


if __name__ == "__main__":
    main()
