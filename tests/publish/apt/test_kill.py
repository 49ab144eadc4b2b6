"""Killed at any point, and several at once: the repository is always whole."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.publish.apt.repository import opened
from tests.conftest import REPOSITORY
from tests.publish.apt.conftest import add, copy_of, packages, tree
from tests.publish.apt.make import write_deb, write_source

if TYPE_CHECKING:
    from pathlib import Path

    from tests.publish.apt.conftest import Apt

EVENTS: Final = frozenset(
    {"open", "os.rename", "os.mkdir", "os.link", "os.symlink", "os.remove", "os.rmdir"}
    | {"os.chmod", "os.utime", "subprocess.Popen"}
)
"""What Python tells of before it asks the system to change something."""
OLD: Final = ["hello 1-1 amd64"]
NEW: Final = [*OLD, "hello 1.0-1 source", "other 1-1 amd64"]


def killed_add(repository: Path, files: list[Path], at: int) -> bool:
    """Add in a process that kills itself before the event of a number; False if it came through."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    count = 0
    lock = threading.Lock()

    def kill(event: str, _: object) -> None:
        nonlocal count
        if event in EVENTS:
            with lock:
                count += 1
                if count == at:
                    os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(kill)
        add(repository, *files)
    finally:
        os._exit(0)


def inodes(repository: Path) -> set[str]:
    """Return the names of all there is, apart from gpg's own files."""
    return {name for name in tree(repository) if not name.startswith("private/gnupg/")}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [write_deb(tmp_path / "in", "other", "1-1"), write_source(tmp_path / "in")]


@pytest.fixture
def started(repository: Path, tmp_path: Path) -> Path:
    add(repository, write_deb(tmp_path / "in", version="1-1"))
    return repository


def check(killed: Path, files: list[Path], whole: set[str]) -> None:
    """Hold that a killed repository is old or new, and that the next run completes it."""
    found = packages(killed)
    assert found in (OLD, NEW)
    with opened(killed) as here:
        here.publish()
    add(killed, *files)
    assert packages(killed) == NEW
    # One generation more, but nothing of what the killed run wrote.
    assert {name for name in inodes(killed) if ".generations" not in name} == whole


@pytest.mark.slow
@pytest.mark.parametrize("at", [20, 60])
def test_killed_early_and_late(started: Path, files: list[Path], tmp_path: Path, at: int) -> None:
    done = copy_of(started, tmp_path / "done")
    add(done, *files)
    whole = {name for name in inodes(done) if ".generations" not in name}
    assert killed_add(started, files, at)
    check(started, files, whole)


@pytest.mark.slow
def test_killed_anywhere(started: Path, files: list[Path], tmp_path: Path, apt: Apt) -> None:
    done = copy_of(started, tmp_path / "done")
    add(done, *files)
    whole = {name for name in inodes(done) if ".generations" not in name}
    place = tmp_path / "killed"
    seen = set()
    at = 1
    while killed_add(copy_of(started, place), files, at):
        apt.trust(place / "public/greetings.sources", f"file:{place}/public/")
        if at % 9 == 1:
            apt.update()
            listed = apt.listed()
            assert listed in ({"hello 1-1"}, {"hello 1-1", "other 1-1"})
            seen.add(len(listed))
        check(place, files, whole)
        shutil.rmtree(place)
        shutil.rmtree(apt.root / "state/lists")
        (apt.root / "state/lists/partial").mkdir(parents=True)
        at += 3
    assert at > 80
    assert seen == {1, 2}


@pytest.mark.slow
def test_several_at_once(started: Path, tmp_path: Path) -> None:
    debs = [write_deb(tmp_path / "in", f"p{number}", "1-1") for number in range(6)]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "pkggen", "apt", "add", started, deb],
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
        )
        for deb in debs
    ]
    assert [process.wait(60) for process in running] == [0] * len(debs)
    assert packages(started) == ["hello 1-1 amd64", *(f"p{n} 1-1 amd64" for n in range(6))]
