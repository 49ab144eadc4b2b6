"""A Debian system of its own, and the example packaged and published for it twice."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.cli import main
from tests.rebuild.made import EXAMPLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME: Final = "hello-unikernel"
SUITE: Final = "bookworm"
MIRROR: Final = "http://deb.debian.org/debian"
CONFIG: Final = "maintainer: {name: Jane Doe, email: jane@example.org}\n"
LATER: Final = "2026-08-21T12:00:00Z"
OLD: Final = "1.0.0-20260820120000Z-0pkggen1"
NEW: Final = "1.0.0-20260821120000Z-0pkggen1"
INCLUDE: Final = ("ca-certificates", "dpkg-dev", "iproute2", "systemd", "systemd-sysv")

TENDER: Final = """\
#!/bin/sh
# Stands in for the tender: says how it was called, what it may do, and waits.
state=/var/lib/unikernels/hello-unikernel
{
  for word; do printf 'word %s\\n' "$word"; done
  printf 'user %s\\n' "$(id -un)"
  printf 'groups %s\\n' "$(id -Gn)"
  printf 'tap %s\\n' "$(cat /sys/class/net/vm-*/tun_flags 2>/dev/null)"
  sed -n 's/^\\(CapBnd\\|CapEff\\|NoNewPrivs\\):[[:space:]]*/\\1 /p' /proc/self/status
  touch /etc/written 2>/dev/null && echo 'writes everywhere'
} >"$state/seen"
exec sleep 1000
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The example as packages in a repository."""

    directory: Path
    """Of the repository."""
    old: Path
    """Directory of the source package and what was built of it."""
    new: Path
    """The same, of a later build."""
    tender: Path
    """A package that stands in for solo5-hvt."""

    @property
    def public(self) -> Path:
        """What a web server serves."""
        return self.directory / "public"


def pkggen(*argv: object) -> None:
    assert main(list(map(str, argv))) == 0


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Package, build and publish the example; its later build stays out of the repository."""
    for tool in ("dpkg-buildpackage", "dh", "gpg"):
        if shutil.which(tool) is None:
            pytest.skip(f"DEBIAN PACKAGES NOT BUILT: {tool} not found")
    root = tmp_path_factory.mktemp("published")
    config = root / "pkggen.yaml"
    config.write_text(CONFIG)
    orb = root / NAME
    shutil.copytree(EXAMPLE / "record", orb)
    (orb / "record.json").unlink()
    later = root / "later"
    pkggen("record", orb, "--started", LATER, "-o", later)
    for name, record, more in (
        ("old", EXAMPLE / "record", ()),
        ("new", later, ("--previous", EXAMPLE / "record")),
    ):
        pkggen("deb", record, "-o", root / name, "--config", config, *more)
        (dsc,) = (root / name).glob("*.dsc")
        pkggen("build", "deb", "--here", dsc, "-o", root / name)
    tender = tender_package(root / "tender", TENDER)
    repository = root / "repository"
    pkggen("apt", "init", repository, "--suite", SUITE, "--url", "file:///repository")
    pkggen(
        *("apt", "add", repository, tender),
        *(root / "old").glob("*.dsc"),
        *(root / "old").glob("*.deb"),
    )
    return Published(directory=repository, old=root / "old", new=root / "new", tender=tender)


def tender_package(place: Path, program: str) -> Path:
    """Return a package solo5-hvt that holds one program."""
    (place / "DEBIAN").mkdir(parents=True)
    (place / "DEBIAN/control").write_text(
        "Package: solo5-hvt\nVersion: 0.9.0\nArchitecture: amd64\n"
        "Maintainer: A B <a@example.org>\nProvides: solo5-hvt-abi-2\nDescription: stand-in\n"
    )
    (place / "usr/bin").mkdir(parents=True)
    (place / "usr/bin/solo5-hvt").write_text(program)
    (place / "usr/bin/solo5-hvt").chmod(0o755)
    package = place.with_suffix(".deb")
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", str(place), str(package)],
        check=True,
        capture_output=True,
    )
    return package


@dataclass(frozen=True, slots=True)
class System:
    """A Debian system in a directory."""

    root: Path
    """Its root."""

    def run(self, *argv: str, check: bool = True) -> str:
        """Run a program in it and return all that it says."""
        done = subprocess.run(
            ["chroot", self.root, *argv],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def boot(self, script: str, *options: str) -> str:
        """Boot it, run a script in it, shut it down, and return what the script printed."""
        (self.root / "root/check.sh").write_text(f"exec >/root/said 2>&1\nset -x\n{script}")
        unit = self.root / "etc/systemd/system/check.service"
        unit.write_text(
            "[Unit]\nAfter=basic.target\n[Service]\nType=oneshot\n"
            "ExecStart=/bin/sh /root/check.sh\nExecStopPost=/bin/systemctl --no-block poweroff\n"
        )
        wants = unit.parent / "multi-user.target.wants"
        wants.mkdir(exist_ok=True)
        (wants / unit.name).unlink(missing_ok=True)
        (wants / unit.name).symlink_to(unit.relative_to(self.root / "etc/systemd/system"))
        done = subprocess.run(
            [
                *("systemd-nspawn", "--boot", "--register=no", "--keep-unit"),
                *("--private-network", "--capability=CAP_NET_ADMIN", *options),
                f"--directory={self.root}",
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        said = self.root / "root/said"
        if not said.exists() and "not permitted" in done.stderr:
            pytest.skip(f"NOTHING BOOTED: {done.stderr[-300:]}")
        assert said.exists(), done.stdout + done.stderr
        return said.read_text()


@pytest.fixture(scope="session")
def clean_system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a new Debian system, which nobody may change."""
    if os.geteuid() != 0:
        pytest.skip("NO DEBIAN SYSTEM MADE: only root can install packages in one")
    if shutil.which("mmdebstrap") is None:
        pytest.skip("NO DEBIAN SYSTEM MADE: install mmdebstrap")
    root = tmp_path_factory.mktemp("system") / "root"
    argv = ["mmdebstrap", "--variant=minbase", f"--include={','.join(INCLUDE)}", SUITE, str(root)]
    done = subprocess.run([*argv, MIRROR], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"NO DEBIAN SYSTEM MADE: {done.stderr[-500:]}")
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")  # Debian's archive is asked by name
    return root


@pytest.fixture(scope="module")
def system(clean_system: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Return a system that a module may change."""
    root = tmp_path_factory.mktemp("copy") / "root"
    subprocess.run(["cp", "--archive", "--reflink=auto", clean_system, root], check=True)
    yield System(root)
    shutil.rmtree(root)
