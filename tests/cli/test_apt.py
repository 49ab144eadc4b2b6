from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import requests

from tests.conftest import REPOSITORY
from tests.publish.apt.make import write_deb

if TYPE_CHECKING:
    from tests.cli.conftest import Run

pytestmark = pytest.mark.skipif(shutil.which("gpg") is None, reason="NOTHING SIGNED: no gnupg")


def test_a_repository_from_start_to_end(run: Run) -> None:
    made = run("apt", "init", "repo", "--name", "greetings", "--suite", "stable")
    fingerprint = json.loads((run.here / "repo/repository.json").read_text())["fingerprint"]
    assert made.out.splitlines() == [
        f"key       {fingerprint}",
        "suite     stable  repo/public/greetings.sources",
    ]
    sources = (run.here / "repo/public/greetings.sources").read_text()
    assert f"URIs: {(run.here / 'repo/public').as_uri()}/" in sources
    deb = write_deb(run.here / "in")
    assert run("apt", "add", "repo", deb).out == "added     stable  hello 1.0-0pkggen1 amd64\n"
    assert run("apt", "add", "repo", deb).out == "unchanged stable  hello 1.0-0pkggen1 amd64\n"
    assert run("apt", "list", "repo").out == "stable  hello 1.0-0pkggen1 amd64\n"
    (package,) = json.loads(run("apt", "list", "repo", "--json").out)["suites"]["stable"]
    assert package["files"][0]["size"] == deb.stat().st_size
    assert run("apt", "publish", "repo").out == "published stable\n"
    (run.here / "repo/public/index.html").write_text("mine")
    assert "index.html was edited" in run("apt", "publish", "repo").err
    removed = run("apt", "remove", "repo", "hello", "--version", "1.0-0pkggen1")
    assert removed.out == "removed   stable  hello 1.0-0pkggen1 amd64\n"
    assert run("apt", "list", "repo").out == ""
    assert "there is no hello" in run("apt", "remove", "repo", "hello", code=3).err


def test_several_suites_need_a_choice(run: Run) -> None:
    run("apt", "init", "repo", "--suite", "one", "--suite", "two")
    deb = write_deb(run.here / "in")
    assert "--suite" in run("apt", "add", "repo", deb, code=2).err
    run("apt", "add", "repo", deb, "--suite", "two")
    assert run("apt", "list", "repo").out == "two  hello 1.0-0pkggen1 amd64\n"


def test_dates(run: Run) -> None:
    run("apt", "init", "repo")
    deb = write_deb(run.here / "in")
    for wrong in ("yesterday", "2026-01-01T00:00:00"):
        assert "no time with a zone" in run("apt", "add", "repo", deb, "--date", wrong, code=2).err
    assert (
        "is before" in run("apt", "publish", "repo", "--date", "2001-01-01T00:00:00Z", code=3).err
    )


def test_errors(run: Run) -> None:
    assert "pkggen apt init" in run("apt", "list", "nothing", code=3).err
    assert "pkggen apt init" in run("apt", "serve", "nothing", code=3).err
    run("apt", "init", "repo")
    (run.here / "x.deb").write_bytes(b"no package")
    assert "not a Debian package" in run("apt", "add", "repo", "x.deb", code=3).err
    run("apt", code=2)


@pytest.mark.slow
def test_serve_until_it_is_interrupted(run: Run) -> None:
    run("apt", "init", "repo")
    server = subprocess.Popen(
        [sys.executable, "-m", "pkggen", "apt", "serve", "repo", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        assert "<h1>pkggen</h1>" in requests.get(url, timeout=10).text
        server.send_signal(signal.SIGINT)
        _, err = server.communicate(timeout=10)
    finally:
        server.kill()
    assert server.returncode == 0, err
    assert '"GET / HTTP/1.1" 200' in err
    assert "Traceback" not in err
