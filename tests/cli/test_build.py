"""`pkggen build deb`: what is refused, what is said, and that nothing half-done is left."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import EXAMPLE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run


def program(place: Path, name: str, script: str) -> None:
    place.mkdir(exist_ok=True)
    (place / name).write_text(f"#!/bin/sh\n{script}")
    (place / name).chmod(0o755)


@pytest.fixture
def dsc(run: Run) -> Path:
    (run.here / "pkggen.yaml").write_text("maintainer: {name: J, email: j@example.org}\n")
    run("deb", EXAMPLE, "-o", "made")
    (found,) = (run.here / "made").glob("*.dsc")
    return found


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory whose programs come first."""
    place = tmp_path / "tools"
    place.mkdir()
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    return place


def test_what_is_no_source_package(run: Run) -> None:
    (run.here / "x.txt").touch()
    said = run("build", "deb", "--here", "x.txt", "no.dsc", "-o", "out", code=3).err
    assert "x.txt: is no Debian source package" in said
    assert "no.dsc: is no Debian source package" in said
    assert not (run.here / "out").exists()


def test_a_build_that_fails_says_why_and_keeps_its_log(run: Run, dsc: Path, tools: Path) -> None:
    program(tools, "dpkg-buildpackage", "echo the end is near >&2; exit 9\n")
    said = run("build", "deb", "--here", dsc, "-o", "out", code=6).err
    assert "the build failed with status 9:\nthe end is near" in said
    (log,) = (run.here / "out").iterdir()
    assert log.read_text() == "the end is near\n"
    assert f"{log.relative_to(run.here)}: the build failed" in said


def test_a_build_without_packages_is_a_failure(run: Run, dsc: Path, tools: Path) -> None:
    program(tools, "dpkg-buildpackage", "exit 0\n")
    assert "made no package" in run("build", "deb", "--here", dsc, "-o", "out", code=6).err


def test_what_was_made_is_printed(run: Run, dsc: Path, tools: Path) -> None:
    program(
        tools,
        "dpkg-buildpackage",
        "echo '   dh_install'; echo noise; touch ../a.deb ../a.changes ../other\n",
    )
    ran = run("build", "deb", "--here", dsc, "no.dsc", "-o", "out", "--json", code=3)
    made, failed = json.loads(ran.out)["results"]
    assert made["files"] == ["out/a.changes", "out/a.deb"]
    assert made["log"] == f"out/{dsc.stem}.log"
    assert failed["exit_code"] == 3
    assert "pkggen: dh_install\n" in ran.err
    assert "noise" not in ran.err
    assert {path.name for path in (run.here / "out").iterdir()} == {
        *("a.changes", "a.deb", f"{dsc.stem}.log"),
    }


def test_a_chroot_that_cannot_be(run: Run, dsc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    said = run("build", "deb", dsc, "--chroot", "c.tar", code=6).err
    assert "sbuild makes its chroot as an ordinary user, and this is root" in said
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    said = run("build", "deb", dsc, "--chroot", "c.tar", code=6).err
    assert "sbuild is not installed (Debian: sbuild)" in said


def test_sbuild_gets_a_chroot_of_its_own(
    run: Run, dsc: Path, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    program(tools, "newuidmap", "")
    program(tools, "mmdebstrap", 'echo "$1 $2 $4" >"$3"\n')
    program(tools, "sbuild", 'for one; do echo "$one" >>word.deb; done\n')
    run("build", "deb", dsc, "--chroot", "c.tar", "--suite", "trixie", "--archive", "http://a/b")
    assert (run.here / "c.tar").read_text() == "--variant=buildd trixie http://a/b\n"
    words = (run.here / "word.deb").read_text().splitlines()
    assert f"--chroot={run.here / 'c.tar'}" in words
    assert "--dist=unstable" in words
    assert words[-1] == str(dsc)


@pytest.mark.parametrize("where", ["here", "chroot"])
def test_a_tampered_source_package_is_not_built(
    run: Run, dsc: Path, tools: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for name in ("newuidmap", "sbuild", "mmdebstrap", "dpkg-buildpackage"):
        program(tools, name, 'touch "$3" ../built.deb\n')
    archive = dsc.with_name(f"{dsc.stem}.debian.tar.xz")
    data = bytearray(archive.read_bytes())
    data[-1] ^= 1
    archive.write_bytes(data)
    options = ("--here",) if where == "here" else ("--chroot", "c.tar")
    said = run("build", "deb", dsc, *options, "-o", "out", code=6).err
    assert "dpkg-source failed" in said
    assert archive.name in said
    assert not list((run.here / "out").iterdir())


def test_a_chroot_that_fails_leaves_none(
    run: Run, dsc: Path, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for name in ("newuidmap", "sbuild"):
        program(tools, name, "")
    program(tools, "mmdebstrap", 'touch "$3"; echo no mirror >&2; exit 1\n')
    assert "no mirror" in run("build", "deb", dsc, "--chroot", "c/c.tar", code=6).err
    assert list((run.here / "c").iterdir()) == []
