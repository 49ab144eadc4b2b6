from __future__ import annotations

import http.client
import os
import threading
from contextlib import contextmanager
from email.utils import formatdate
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pkggen.errors import ToolError
from pkggen.publish.apt.serve import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = bytes(range(100))
TIME = 1_755_939_600


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]


class Client:
    def __init__(self, server: Server) -> None:
        host, port = server.server_address[:2]
        self.connection = http.client.HTTPConnection(str(host), port, timeout=10)

    def __call__(self, path: str, method: str = "GET", **headers: str) -> Answer:
        self.connection.putrequest(method, path)
        for name, value in headers.items():
            self.connection.putheader(name.replace("_", "-"), value)
        self.connection.endheaders()
        answer = self.connection.getresponse()
        return Answer(answer.status, answer.read(), dict(answer.getheaders()))


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """Return a directory to serve, beside what must not be served."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "public-too").mkdir()
    (tmp_path / "public-too/file").write_text("secret")
    root = tmp_path / "public"
    (root / ".hidden/1").mkdir(parents=True)
    (root / ".hidden/1/file").write_bytes(DATA)
    (root / "stable").symlink_to(".hidden/1")
    (root / "out").symlink_to("../secret")
    (root / "away").symlink_to("/etc")
    (root / "loop").symlink_to("loop")
    (root / "index.html").write_text("<p>page</p>")
    (root / "a+b c~1.deb").write_bytes(DATA)
    (root / "empty").touch()
    os.mkfifo(root / "fifo")
    for path in (root / "index.html", root / ".hidden/1/file"):
        os.utime(path, (TIME, TIME))
    return root


@contextmanager
def serving(public: Path) -> Iterator[Server]:
    with Server(public, bind="127.0.0.1", port=0, log=lambda _: None) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def get(public: Path) -> Iterator[Client]:
    with serving(public) as server:
        client = Client(server)
        yield client
        client.connection.close()


def test_files(get: Client) -> None:
    page = get("/")
    assert (page.status, page.body) == (200, b"<p>page</p>")
    assert page.headers["Content-Type"].startswith("text/html")
    assert get("/stable/file").body == DATA
    assert get("/a%2bb%20c~1.deb").body == DATA
    assert get("/stable/file?query#x").body == DATA
    assert get("/empty").headers["Content-Length"] == "0"
    head = get("/stable/file", "HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "100")


@pytest.mark.parametrize(
    "path",
    [
        "/../secret",
        "/%2e%2e/secret",
        "/stable/../../secret",
        "/..%2fsecret",
        "/../public-too/file",
        "//secret",
        "/out",
        "/away/passwd",
        "/loop",
        "/fifo",
        "/.hidden/1/file",
        "/stable",
        "/stable/",
        "/missing",
        "/%00",
        "/%ff",
        "*",
        "/index.html/x",
        "/" + "x" * 5000,
    ],
)
def test_nothing_else(get: Client, path: str) -> None:
    answer = get(path)
    assert answer.status == 404
    assert b"secret" not in answer.body


def test_other_methods(get: Client) -> None:
    assert get("/", "POST").status == 501


@pytest.mark.parametrize(("seconds", "status"), [(TIME - 1, 200), (TIME, 304), (TIME + 1, 304)])
def test_if_modified_since(get: Client, seconds: int, status: int) -> None:
    answer = get("/stable/file", If_Modified_Since=formatdate(seconds, usegmt=True))
    assert (answer.status, answer.body) == (status, DATA if status == 200 else b"")
    assert get("/", If_Modified_Since="never").status == 200


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=90-", 90, 100),
        ("bytes=90-900", 90, 100),
        ("bytes=-10", 90, 100),
        ("bytes=-900", 0, 100),
    ],
)
def test_ranges(get: Client, wanted: str, start: int, end: int) -> None:
    answer = get("/stable/file", Range=wanted)
    assert (answer.status, answer.body) == (206, DATA[start:end])
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/100"
    assert answer.headers["Content-Length"] == str(end - start)


@pytest.mark.parametrize("wanted", ["bytes=100-", "bytes=-0", "bytes=200-300"])
def test_ranges_that_are_not_there(get: Client, wanted: str) -> None:
    answer = get("/stable/file", Range=wanted)
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */100")
    assert get("/stable/file").body == DATA


@pytest.mark.parametrize("wanted", ["bytes=5-2", "bytes=1-2,4-5", "lines=1-2", "bytes=-", "x"])
def test_ranges_that_mean_nothing(get: Client, wanted: str) -> None:
    assert get("/stable/file", Range=wanted).body == DATA


def test_if_range(get: Client) -> None:
    same = formatdate(TIME, usegmt=True)
    assert get("/stable/file", Range="bytes=1-2", If_Range=same).status == 206
    later = formatdate(TIME + 1, usegmt=True)
    assert get("/stable/file", Range="bytes=1-2", If_Range=later).body == DATA


def test_it_listens_here_only_and_says_where(public: Path) -> None:
    with serving(public) as server:
        port = server.server_address[1]
        assert server.url == f"http://127.0.0.1:{port}/"
        with pytest.raises(ToolError, match="--port"):
            Server(public, bind="127.0.0.1", port=int(port), log=lambda _: None)
    with pytest.raises(ToolError, match="cannot listen"):
        Server(public, bind="127.0.0.1", port=99999, log=lambda _: None)
