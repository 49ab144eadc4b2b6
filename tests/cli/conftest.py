"""Fixtures of the commands' tests: running them, and every kind of source with an image."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass, replace
from socketserver import BaseServer
from typing import TYPE_CHECKING, Final, Protocol

import pytest

from pkggen.cli import main
from pkggen.record import builder_web
from tests.conftest import REPOSITORY
from tests.record.builder_web_server import NEW_UUID, QUICK, Build, BuilderWeb, build_files, serving
from tests.record.der import full
from tests.test_compression import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import MakeImage, MakeRecord

EXAMPLE: Final = REPOSITORY / "examples" / "hello" / "record"
STARTED: Final = ("--started", "2026-08-23T09:00:00Z", "--finished", "2026-08-23T09:00:12Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command printed."""

    out: str
    err: str


class Run(Protocol):
    """Run a command in this process, and demand an exit code."""

    @property
    def here(self) -> Path:
        """The current directory of the commands."""

    def __call__(self, *argv: object, code: int = 0) -> Ran: ...


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current directory of the commands, with the cache beside it."""
    directory = tmp_path / "here"
    directory.mkdir()
    monkeypatch.chdir(directory)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PKGGEN_TRACEBACK", raising=False)
    return directory


@pytest.fixture
def run(here: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return the function."""
    return _Run(here, capsys)


@dataclass(frozen=True, slots=True)
class _Run:
    here: Path
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *argv: object, code: int = 0) -> Ran:
        self.capsys.readouterr()
        try:
            status = main([str(word) for word in argv])
        except SystemExit as stop:  # argparse: usage, --help, --version
            status = stop.code if isinstance(stop.code, int) else 1
        printed = self.capsys.readouterr()
        assert status == code, printed.out + printed.err
        return Ran(out=printed.out, err=printed.err)


def process(*argv: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "pkggen", *map(str, argv)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
    )


def snapshot(directory: Path) -> dict[str, tuple[bytes, int, int]]:
    """Return bytes, time and inode of every file below a directory."""
    found = {}
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            status = path.stat()
            name = path.relative_to(directory).as_posix()
            found[name] = (path.read_bytes(), status.st_mtime_ns, status.st_ino)
    return found


def contents(directory: Path) -> dict[str, bytes]:
    """Return the bytes of every file below a directory."""
    return {name: data for name, (data, _, _) in snapshot(directory).items()}


@pytest.fixture
def web(
    make_image: MakeImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[BuilderWeb]:
    """Serve one build of the job `hello-git`."""
    # It would print that pkggen has hung up.
    monkeypatch.setattr(BaseServer, "handle_error", lambda *_: None)
    image = make_image(tmp_path / "served").read_bytes()
    with serving(BuilderWeb([Build(NEW_UUID, build_files(image))])) as state:
        yield state


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pkggen wait less than a second for servers."""
    patience = replace(QUICK, retries=0)
    monkeypatch.setattr(builder_web, "Patience", lambda: patience)


def archived(record: Path, archive: Path, compression: str) -> Path:
    """Write a tar archive of a record."""
    # mypy knows the modes by their literals only.
    with tarfile.open(archive, f"w:{compression}") as tar:  # type: ignore[call-overload]
        tar.add(record, arcname=".")
    return archive


def packed_by_zstd(record: Path, archive: Path) -> Path:
    """Write a tar archive of a record in a frame of zstd."""
    plain = archived(record, archive.with_suffix(""), "")
    archive.write_bytes(zstd(plain.read_bytes()))
    return archive


KINDS: Final[dict[str, Callable[[Path, MakeRecord], Path]]] = {
    "example": lambda _, __: EXAMPLE,
    "saved": lambda place, make: make(place / "saved"),
    "tar": lambda place, make: archived(make(place / "r"), place / "saved.tar", ""),
    "tar.gz": lambda place, make: archived(make(place / "r"), place / "saved.tar.gz", "gz"),
    "tar.xz": lambda place, make: archived(make(place / "r"), place / "saved.tar.xz", "xz"),
    "tar.zst": lambda place, make: packed_by_zstd(make(place / "r"), place / "saved.tar.zst"),
    "full": lambda place, make: _full(make(place / "orb", saved=False), place / "full"),
}


def _full(orb: Path, file: Path) -> Path:
    file.write_bytes(full(contents(orb)))
    return file


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest, tmp_path: Path, make_record: MakeRecord) -> Path:
    """Return a source of each local kind that holds an image and all that Nix needs."""
    place = tmp_path / "sources"
    place.mkdir()
    return KINDS[request.param](place, make_record)
