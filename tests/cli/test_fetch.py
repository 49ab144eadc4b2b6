from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from pkggen.cli import main
from pkggen.sources.cache import Cache
from pkggen.sources.part import PART_PREFIX
from tests.sources.make import Package, checksum, export_text, tar_gz, write_record
from tests.sources.server import Fault, FileServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as one:
        yield one


def record_of(directory: Path, server: FileServer, count: int, size: int) -> Path:
    """Write a record of packages whose archives the server has."""
    chance = random.Random(count)  # noqa: S311 - the same in every run
    packages = []
    for number in range(count):
        data = tar_gz(chance.randbytes(chance.randrange(1, 2 * size)))
        sums = tuple(str(checksum(kind, data)) for kind in ("sha256", "sha512"))
        packages.append(Package(f"p{number}", server.add(f"/{number}.tar.gz", data), sums))
    return write_record(directory, export_text(*packages))


def command(record: Path, cache: Path, *options: str) -> list[str]:
    return ["fetch", str(record), "--cache", str(cache), "--no-public-caches", *options]


def is_clean(cache: Path) -> bool:
    return main(["cache", "verify", "--cache", str(cache)]) == 0


def test_results_and_talk(
    tmp_path: Path, server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    record, cache = record_of(tmp_path / "r", server, 3, 1000), tmp_path / "c"
    assert main(command(record, cache)) == 0
    out, err = capsys.readouterr()
    sha256s = sorted(checksum("sha256", data).digest for data in server.files.values())
    assert sorted(line.split()[0] for line in out.splitlines()) == sha256s
    assert [line.split()[1] for line in err.splitlines()] == ["fetched"] * 3
    assert main(command(record, cache, "--offline")) == 0
    again, err = capsys.readouterr()
    assert again == out
    assert [line.split()[1] for line in err.splitlines()] == ["cached"] * 3
    assert len(server.requests) == 3


def test_json(tmp_path: Path, server: FileServer, capsys: pytest.CaptureFixture[str]) -> None:
    data = tar_gz(b"x")
    url = server.add("/a.tar.gz", data)
    md5 = str(checksum("md5", data))
    record = write_record(tmp_path / "r", export_text(Package("a", url, (md5,))))
    assert main(command(record, tmp_path / "c", "--json")) == 0
    (told,) = json.loads(capsys.readouterr().out)["sources"]
    path = told.pop("path")
    assert path.startswith(str(tmp_path / "c" / "download-cache" / "sha256"))
    expected: dict[str, Any] = {
        "file_name": f"a.1-{md5[4:12]}.tar.gz",
        "kind": "archive",
        "urls": [url],
        "users": ["a"],
        "recorded": [md5],
        "strong": False,
        "commit": None,
        "origin": url,
        "size": len(data),
        "sha256": checksum("sha256", data).digest,
        "sha512": checksum("sha512", data).digest,
    }
    assert told == expected


def test_md5_is_told(
    tmp_path: Path, server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tar_gz(b"x")
    package = Package("a", server.add("/a.tgz", data), (str(checksum("md5", data)),))
    assert main(command(write_record(tmp_path / "r", export_text(package)), tmp_path / "c")) == 0
    assert "recorded with md5 only" in capsys.readouterr().out


def test_exit_codes(tmp_path: Path, server: FileServer, capsys: pytest.CaptureFixture[str]) -> None:
    record, cache = record_of(tmp_path / "r", server, 3, 1000), tmp_path / "c"
    server.always["/1.tar.gz"] = Fault(status=404)
    assert main(command(record, cache)) == 5
    server.always["/2.tar.gz"] = Fault(body=b"wrong")
    assert main(command(record, tmp_path / "d")) == 4
    err = capsys.readouterr().err
    assert f"{server.url}/1.tar.gz: the server answered 404" in err
    assert f"{server.url}/2.tar.gz: the sha256 is" in err
    bad = write_record(
        tmp_path / "bad", export_text(Package("a", "https://x.org/a"), Package("b", "ftp://x"))
    )
    assert main(command(bad, cache)) == 3
    err = capsys.readouterr().err
    assert "has no checksum" in err
    assert "cannot fetch ftp" in err


def test_a_directory_as_mirror(
    tmp_path: Path, server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    record, cache = record_of(tmp_path / "r", server, 3, 1000), tmp_path / "c"
    assert main(command(record, cache)) == 0
    assert main(["cache", "export", str(tmp_path / "m"), "--cache", str(cache)]) == 0
    mirror = ["--mirror", str(tmp_path / "m"), "--offline"]
    assert main(command(record, tmp_path / "other", *mirror)) == 0
    server.files.clear()
    server.directory = tmp_path / "m"
    assert main(command(record, tmp_path / "third", "--mirror", server.url)) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    "options", [("--jobs", "0"), ("--jobs", "1000"), ("--mirror", "http://example.org/")]
)
def test_usage(tmp_path: Path, options: tuple[str, ...]) -> None:
    assert main(command(tmp_path, tmp_path, *options)) == 2


def test_packages_without_section_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = export_text(Package("a", None)).replace('["a.1"]', '["a.1" "base-unix.base"]', 2)
    text = text.replace('roots: ["a.1" "base-unix.base"]', 'roots: ["a.1"]')
    assert main(command(write_record(tmp_path / "r", text), tmp_path / "c")) == 0
    assert "1 installed packages have no section" in capsys.readouterr().err


@pytest.mark.slow
def test_a_bar_on_a_terminal(tmp_path: Path, server: FileServer) -> None:
    record = record_of(tmp_path / "r", server, 3, 1000)
    master, slave = os.openpty()
    argv = [sys.executable, "-m", "pkggen", *command(record, tmp_path / "c")]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=slave, check=True)
    os.close(slave)
    shown = os.read(master, 100_000).decode()
    os.close(master)
    assert "3/3" in shown
    assert "fetched" not in shown
    assert len(done.stdout.splitlines()) == 3


# Processes that die, and several at a time


@pytest.mark.slow
def test_two_processes_on_one_cache(tmp_path: Path, server: FileServer) -> None:
    server.latency = 0.01
    record, cache = record_of(tmp_path / "r", server, 60, 50_000), tmp_path / "c"
    argv = [sys.executable, "-m", "pkggen", *command(record, cache)]
    both = [
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(2)
    ]
    outs = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert outs[0] == outs[1]
    assert is_clean(cache)
    assert not list((cache / "download-cache").glob(f"{PART_PREFIX}*"))


@pytest.mark.parametrize("kills", [6, pytest.param(200, marks=pytest.mark.slow)])
def test_kill_9_at_any_time(
    tmp_path: Path, server: FileServer, kills: int, capsys: pytest.CaptureFixture[str]
) -> None:
    record = record_of(tmp_path / "r", server, 40, 60_000)
    server.latency = 0.05
    chance = random.Random(kills)  # noqa: S311 - the same in every run
    reached = 0
    for attempt in range(kills):
        # A new cache now and then, so that there is always something left to fetch.
        cache = tmp_path / f"c{attempt // 3}"
        argv = [sys.executable, "-m", "pkggen", *command(record, cache)]
        before = len(server.requests)
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while len(server.requests) == before and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(chance.random() * 0.25)
        process.send_signal(signal.SIGKILL)
        reached += process.wait() == -signal.SIGKILL
        assert is_clean(cache)
    assert reached > kills // 3
    for number in range((kills + 2) // 3):
        cache = tmp_path / f"c{number}"
        assert main(command(record, cache)) == 0
        assert is_clean(cache)
        assert len(list(Cache(cache / "download-cache").entries())) == 40
        assert main(["cache", "gc", "--cache", str(cache)]) == 0
        assert not list((cache / "download-cache").rglob(f"{PART_PREFIX}*"))
    capsys.readouterr()


@pytest.mark.slow
def test_a_run_after_a_kill_fetches_little_again(
    tmp_path: Path, server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    record, cache = record_of(tmp_path / "r", server, 20, 400_000), tmp_path / "c"
    total = sum(map(len, server.files.values()))
    for path, data in server.files.items():
        server.faults[path].append(Fault(cut=len(data) // 2))
        server.always[path] = Fault(status=404)
    assert main(command(record, cache)) == 5
    server.always.clear()
    server.sent = 0
    assert main(command(record, cache)) == 0
    lost = server.sent - total / 2
    assert lost <= 0.05 * total
    capsys.readouterr()
