"""Rebuilding in a chroot: what is refused, what is asked of mmdebstrap, and a real one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pkggen.errors import Faults, InputError, PkggenError, ToolError
from pkggen.rebuild import chroot
from pkggen.rebuild.chroot import ARCHIVE, check_chroot, disarm, run_in_chroot, status_of, told
from pkggen.recipe.rebuild import rebuild_plan
from tests.conftest import REPOSITORY
from tests.rebuild.made import Package, example, make

if TYPE_CHECKING:
    from pkggen.record.model import Record


def record_of(directory: Path, system_packages: str = "gcc=1\n", **environment: str) -> Record:
    made = make(
        directory, (Package("root"),), system_packages=system_packages, environment=environment
    )
    return made.read()


def complaint(record: Record, archive: str = ARCHIVE) -> str:
    with pytest.raises(PkggenError) as caught:
        check_chroot(rebuild_plan(record), record, archive)
    return str(caught.value)


@pytest.fixture(autouse=True)
def _tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let all machines look as if they had mmdebstrap, for the tests that do not run it."""
    if shutil.which("mmdebstrap") is None:
        (tmp_path / "mmdebstrap").touch(mode=0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)


def test_a_record_of_debian_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for version in ("10", "11", "12", "13"):
        record = record_of(tmp_path, OS_VERSION=version)
        check_chroot(rebuild_plan(record), record, ARCHIVE)


def test_other_systems_are_refused(tmp_path: Path) -> None:
    assert "built on ubuntu 22.04" in complaint(
        record_of(tmp_path, OS_DISTRIBUTION="ubuntu", OS_VERSION="22.04")
    )
    assert "built on debian 9" in complaint(record_of(tmp_path, OS_VERSION="9"))
    assert "a chroot for ppc64 cannot" in complaint(record_of(tmp_path, ARCH="ppc64"))


def test_faults_are_said_at_once(tmp_path: Path) -> None:
    made = make(tmp_path, (Package("root"),), prefix="/rebuild/x", environment={"OS_VERSION": "99"})
    (made.record / "system-packages").unlink()
    record = made.read()
    with pytest.raises(Faults) as caught:
        check_chroot(rebuild_plan(record), record, "ftp://x --evil")
    assert caught.value.exit_code == InputError.exit_code
    text = str(caught.value)
    for part in (
        "built on debian 99",
        "does not say which system packages",
        "is no URL of a Debian archive",
        "/rebuild/x is where the chroot has the sources",
    ):
        assert part in text


def test_names_that_would_be_options_are_refused(tmp_path: Path) -> None:
    assert "Gcc=1 is no package of Debian" in complaint(record_of(tmp_path, "Gcc=1\n"))


def test_a_machine_that_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = record_of(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(chroot, "_has_subordinate_ids", lambda: False)
    with pytest.raises(ToolError, match="needs root, or a user namespace") as caught:
        check_chroot(rebuild_plan(record), record, ARCHIVE)
    assert caught.value.exit_code == 6
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert "mmdebstrap is not installed" in complaint(record)


def test_a_kept_chroot_is_not_overwritten(tmp_path: Path) -> None:
    record = record_of(tmp_path)
    (tmp_path / "chroot").mkdir()
    with pytest.raises(InputError, match="there is one already"):
        run_in_chroot(
            rebuild_plan(record),
            record,
            tmp_path,
            archive=ARCHIVE,
            jobs=1,
            keep=True,
            progress=lambda _: None,
        )


# With a real one


def archive_or_skip() -> str:
    """Return the Debian archive that this machine itself uses."""
    if shutil.which("mmdebstrap") is None or os.geteuid() != 0:
        pytest.skip("NO CHROOT MADE: needs root and mmdebstrap")
    asked = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(REPO_URI) $(SUITE) $(CODENAME)"],
        check=False,
        capture_output=True,
        text=True,
    )
    for line in asked.stdout.splitlines():
        _, address, *suites = line.split()
        if "bookworm" in suites:
            return address.rstrip("/")
    pytest.skip("NO CHROOT MADE: this machine's apt has no archive of Debian 12")


def command(directory: Path, archive: str, *more: str) -> list[str]:
    made = example(directory, Path("/tmp/pkggen-example"))  # noqa: S108 - inside of the chroot
    with (made.record / "system-packages").open("a") as listed:
        listed.write("no-such-package=1.0\nhostname=0.1\n")
    argv = [sys.executable, "-m", "pkggen", "rebuild", str(made.record), "--in-chroot"]
    options = ["-o", str(directory / "d"), "--cache", str(directory / "c"), "--offline"]
    return [*argv, *options, "--mirror", str(made.mirror), "--archive", archive, *more]


@pytest.mark.slow
def test_the_example_in_a_chroot(tmp_path: Path) -> None:
    argv = command(tmp_path, archive_or_skip(), "--keep")
    done = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("same     bin/hello.hvt  sha256 5bfbbe733c8315cf")
    assert "no network" not in done.stdout
    assert "\npkggen: greeting.0.1\n" in done.stderr
    assert "not in the archive at the recorded version:" in done.stderr
    assert "hostname 0.1 (got " in done.stderr
    assert "not in the archive at all: no-such-package" in done.stderr
    kept = tmp_path / "d" / "chroot"
    assert f"the chroot is kept in {kept}" in done.stderr
    assert (kept / "tmp/pkggen-example/bin/hello.hvt").exists()
    assert {path.name for path in (tmp_path / "d").iterdir()} == {
        *("chroot", "distfiles", "rebuild.sh", "result"),
    }
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    shutil.rmtree(kept)


@pytest.mark.slow
@pytest.mark.parametrize("awaited", ["extracting archives", "customize-hook"])
def test_nothing_is_left_of_an_interrupted_chroot(awaited: str, tmp_path: Path) -> None:
    argv = command(tmp_path, archive_or_skip())
    child = subprocess.Popen(argv, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    for line in child.stderr:
        if awaited in line:
            break
    else:
        pytest.fail(f"it never said {awaited}")
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    child.stderr.read()
    assert child.wait(60) == 130
    assert {path.name for path in (tmp_path / "d").iterdir()} == {"distfiles", "rebuild.sh"}
    assert str(tmp_path) not in Path("/proc/mounts").read_text()


# What a hostile build leaves


def test_links_pipes_and_set_id_bits_are_taken_away(tmp_path: Path) -> None:
    result = tmp_path / "result"
    (result / "bin").mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    (outside / "file").touch(mode=0o600)
    (result / "bin/link").symlink_to(outside / "file")
    (result / "bin/away").symlink_to(outside)
    os.mkfifo(result / "bin/pipe")
    (result / "bin/tool").touch()
    (result / "bin/tool").chmod(0o6755)
    disarm(result)
    assert [path.name for path in (result / "bin").iterdir()] == ["tool"]
    assert (result / "bin/tool").stat().st_mode & 0o7777 == 0o755
    assert (outside / "file").stat().st_mode & 0o777 == 0o600
    moved = tmp_path / "moved"
    moved.symlink_to(outside)
    with pytest.raises(ToolError, match="left no directory"):
        disarm(moved)


@pytest.mark.parametrize("left", ["x", "", "-1\n", "0\n0\n", "1" * 5000])
def test_a_status_that_is_none(tmp_path: Path, left: str) -> None:
    (tmp_path / "status").write_text(left)
    with pytest.raises(ToolError, match="does not tell how the script ended"):
        status_of(told(tmp_path / "status"))


def test_what_is_told_is_a_short_regular_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "status")
    with pytest.raises(ToolError, match="no regular file"):
        told(tmp_path / "status")
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic"):
        told(tmp_path / "link")
    (tmp_path / "long").write_bytes(b"xx")
    monkeypatch.setattr(chroot, "MAX_METADATA_BYTES", 1)
    with pytest.raises(ToolError, match="more than 1 bytes"):
        told(tmp_path / "long")
