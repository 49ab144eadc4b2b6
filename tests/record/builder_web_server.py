"""A builder-web server of one's own, of any age and with any fault.

Routes and answers follow builder-web's `lib/builder_web.ml` and `lib/views.ml`: `new` is the server
since 2025-09, `slashes` the one of 2021, whose paths end in a slash and which knows no JSON.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from pkggen.web import Patience
from tests.conftest import ENVIRONMENT, SWITCH, SYSTEM_PACKAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OLD_UUID = "11111111-1111-4111-8111-111111111111"
NEW_UUID = "22222222-2222-4222-8222-222222222222"
BSD_UUID = "33333333-3333-4333-8333-333333333333"
QUICK = Patience(
    connect_seconds=1,
    silence_seconds=1,
    grace_seconds=0.4,
    bytes_per_second=1e9,
    retries=1,
    pause_seconds=0.01,
)


@dataclass
class Build:
    """One build of the server."""

    uuid: str
    files: dict[str, bytes]
    job: str = "hello-git"
    platform: str = "debian-12"
    start: str = "2026-08-23T09:00:00-00:00"
    finish: str = "2026-08-23T09:00:12-00:00"

    @property
    def main(self) -> str | None:
        binaries = [name for name in self.files if name.startswith("bin/")]
        return binaries[0] if len(binaries) == 1 else None


def build_files(image: bytes | None, name: str = "hello") -> dict[str, bytes]:
    """Return what builder-web keeps of a build."""
    files = {
        "opam-switch": SWITCH.format(name=name).encode(),
        "build-environment": ENVIRONMENT.format(name=name).encode(),
        "system-packages": SYSTEM_PACKAGES.encode(),
    }
    return files if image is None else {**files, f"bin/{name}.hvt": image}


@dataclass
class BuilderWeb:
    """What the server holds and how it behaves; tests change it between requests."""

    builds: list[Build] = field(default_factory=list)
    """Oldest first."""
    url: str = ""
    slashes: bool = False
    job_json: bool = True
    """Whether the job page states main binaries."""
    bare_names: bool = False
    """Whether the list of jobs is one of strings, as in 2025."""
    etags: bool = True
    hash_route: bool = True
    main_route: bool = True
    requests: list[str] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    """Path that ends in the key: how it fails."""
    users: set[str] = field(default_factory=set)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # 40 ms for each request otherwise
    state: BuilderWeb

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def json(self, document: object) -> None:
        if self.state.slashes or self.headers["Accept"] != "application/json":
            self.answer(200, b"<!DOCTYPE html><title>builder-web</title>")
        else:
            self.answer(200, json.dumps(document).encode())

    def redirect(self, path: str) -> None:
        self.answer(307, Location=path + ("/" if self.state.slashes and "/f/" not in path else ""))

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.state.requests.append(self.path)
        self.state.users.add(self.headers["User-Agent"])
        path = unquote(url.path)
        for end, fault in self.state.faults.items():
            if path.endswith(end):
                return self.fail(fault)
        if "/f/" not in path and path not in {"/", "/hash"} and not path.endswith("/main-binary"):
            if path.endswith("/") is not self.state.slashes:
                return self.answer(404, b"<html>not found")
            path = path.rstrip("/")
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        for pattern, method in (
            (r"/(?:all-builds)?", self.jobs),
            (r"/hash", self.hash),
            (r"/compare/([^/]+)/([^/]+)", self.compare),
            (r"/job/([^/]+)", self.job),
            (r"/job/([^/]+)/build/latest", self.latest),
            (r"/job/[^/]+/build/([^/]+)/main-binary", self.main_binary),
            (r"/job/[^/]+/build/([^/]+)/f/(.+)", self.file),
            (r"/job/([^/]+)/build/([^/]+)", self.build),
        ):
            if (match := re.fullmatch(pattern, path)) is not None:
                method(query, *match.groups())
                return None
        return self.answer(404, b"<html>not found")

    def jobs(self, _: dict[str, str]) -> None:
        names = sorted({build.job for build in self.state.builds})
        jobs: list[Any] = names
        if not self.state.bare_names:
            jobs = [{"name": name, "synopsis": None} for name in names]
        self.json({"jobs": jobs, "jobs_by_section": {"unikernels": jobs}})

    def hash(self, query: dict[str, str]) -> None:
        for build in reversed(self.state.builds):
            for data in build.files.values():
                if self.state.hash_route and hashlib.sha256(data).hexdigest() == query["sha256"]:
                    return self.redirect(f"/job/{build.job}/build/{build.uuid}")
        return self.answer(404, b"<html>not found")

    def compare(self, _: dict[str, str], left: str, right: str) -> None:
        builds = {build.uuid: build for build in self.state.builds}
        if left not in builds or right not in builds:
            return self.answer(404, b"<html>not found")
        return self.json({"left": {"job": builds[left].job}, "right": {"job": builds[right].job}})

    def job(self, _: dict[str, str], job: str) -> None:
        builds = [build for build in self.state.builds if build.job == job]
        if not builds:
            return self.answer(404, b"<html>not found")
        return self.json({"builds": [self.stated(build) for build in reversed(builds)]})

    def stated(self, build: Build) -> dict[str, Any]:
        binary = None
        if build.main is not None and self.state.job_json:
            data = build.files[build.main]
            binary = {
                "filename": build.main.rpartition("/")[2],
                "sha256": hashlib.sha256(data).hexdigest(),
                "size": len(data),
            }
        return {"uuid": build.uuid, "main_binary": binary}

    def latest(self, query: dict[str, str], job: str) -> None:
        for build in reversed(self.state.builds):
            wanted = query.get("platform", build.platform)
            if build.job == job and build.main is not None and build.platform == wanted:
                return self.redirect(f"/job/{job}/build/{build.uuid}")
        return self.answer(404, b"<html>not found")

    def find(self, uuid: str) -> Build | None:
        return next((build for build in self.state.builds if build.uuid == uuid), None)

    def build(self, _: dict[str, str], job: str, uuid: str) -> None:
        if (build := self.find(uuid)) is None:
            return self.answer(404, b"<html>not found")
        return self.json(
            {
                "job": job,
                "uuid": uuid,
                "platform": build.platform,
                "start_time": build.start,
                "finish_time": build.finish,
                "main_binary": build.main is not None,
            }
        )

    def main_binary(self, _: dict[str, str], uuid: str) -> None:
        build = self.find(uuid)
        if build is None or build.main is None or not self.state.main_route:
            return self.answer(404, b"<html>not found")
        return self.redirect(f"/job/{build.job}/build/{uuid}/f/{build.main}")

    def file(self, _: dict[str, str], uuid: str, path: str) -> None:
        build = self.find(uuid)
        if build is None or path not in build.files:
            return self.answer(404, b"<html>not found")
        data = build.files[path]
        etag = base64.b64encode(hashlib.sha256(data).digest()).decode()
        return self.answer(200, data, **({"ETag": f'"{etag}"'} if self.state.etags else {}))

    def fail(self, fault: str) -> None:
        """Answer wrongly."""
        answers: dict[str, Callable[[Handler], None]] = {
            "nowhere": lambda to: to.answer(302),
            "short": lambda to: to.answer(200, b"short", Content_Length="100"),
            "wrong": lambda to: to.answer(200, b"wrong"),
            "gzip": lambda to: to.answer(200, b"x", Content_Encoding="gzip"),
            "drop": lambda _: None,
            "endless": lambda to: to.drip(b"x" * 65536, 0.0),
            "drip": lambda to: to.drip(b"x", 0.05),
            "header": lambda to: to.drip_header(b"X: y\r\n"),
        }
        kind, _, detail = fault.partition(" ")
        self.close_connection = True
        match kind:
            case "status":
                self.answer(int(detail), b"sorry")
            case "once":
                self.state.faults.clear()
                self.answer(int(detail), b"sorry", Retry_After="0")
            case "redirect":
                self.answer(302, Location=detail)
            case "loop":
                self.answer(302, Location=self.path)
            case "fat-redirect":
                self.send_response(302)
                self.send_header("Location", detail)
                self.drip_body(b"x", 0.05)
            case _:
                answers[kind](self)

    def drip(self, piece: bytes, pause: float) -> None:
        self.send_response(200)
        self.drip_body(piece, pause)

    def drip_body(self, piece: bytes, pause: float) -> None:
        self.send_header("Content-Length", str(1 << 30))
        self.end_headers()
        self.drip_raw(piece, pause)

    def drip_header(self, piece: bytes) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        self.drip_raw(piece, 0.05)

    def drip_raw(self, piece: bytes, pause: float) -> None:
        began = time.monotonic()
        try:
            while time.monotonic() - began < 5:
                self.wfile.write(piece)
                time.sleep(pause)
        except OSError:
            return


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


@contextmanager
def serving(state: BuilderWeb) -> Iterator[BuilderWeb]:
    """Serve on a free port of this machine until the `with` ends."""
    handler = type("Handler", (Handler,), {"state": state})
    with _Server(("127.0.0.1", 0), handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
