"""Building in a clean chroot without network, as an ordinary user, and Debian's own tests there."""

from __future__ import annotations

import hashlib
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import pkggen as package
from tests.debian_system.conftest import MIRROR, NAME, SUITE, pkggen
from tests.rebuild.made import EXAMPLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.debian_system.conftest import Published

pytestmark = pytest.mark.slow

USER: Final = "pkggen-build"
CONFIG: Final = "maintainer: {name: Jane Doe, email: jane@example.org}\n"


@dataclass(frozen=True, slots=True)
class Builder:
    """An ordinary user who may make user namespaces, and a directory that belongs to it."""

    home: Path
    """The directory."""

    def run(self, *argv: str) -> str:
        """Run a program as the user, with a copy of pkggen that the user can read."""
        done = subprocess.run(
            argv,
            user=USER,
            group=USER,
            extra_groups=[],
            cwd=self.home,
            env={
                "HOME": str(self.home),
                "LOGNAME": USER,
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "PYTHONPATH": str(self.home / "code"),
                "USER": USER,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def take(self, *files: Path) -> None:
        """Copy files into the directory."""
        for file in files:
            shutil.copy(file, self.home)
            shutil.chown(self.home / file.name, USER, USER)

    @property
    def chroot(self) -> str:
        """Path of the chroot, which the first build makes."""
        return str(self.home / "chroot.tar.zst")

    def build(self, dsc: Path) -> Path:
        """Build a source package and return the directory of what it became."""
        self.take(*(file for file in dsc.parent.iterdir() if file.is_file()))
        options = ("--chroot", self.chroot, "--suite", SUITE, "--archive", MIRROR)
        output = self.home / "built"
        argv = ("build", "deb", dsc.name, "-o", str(output), *options)
        self.run("/usr/bin/python3", "-m", "pkggen", *argv)
        return output


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    for tool in ("sbuild", "newuidmap", "mmdebstrap"):
        if shutil.which(tool) is None:
            pytest.skip(f"NOTHING BUILT IN A CLEAN CHROOT: {tool} not found")
    try:
        home = Path(pwd.getpwnam(USER).pw_dir)
    except KeyError:
        pytest.skip(
            f"NOTHING BUILT IN A CLEAN CHROOT: no user {USER}: `useradd --create-home {USER}`"
        )
    place = home / tmp_path_factory.mktemp("builder").name
    try:
        shutil.copytree(Path(package.__file__).parent, place / "code/pkggen")
        shutil.chown(place, USER, USER)
    except PermissionError:
        pytest.skip(f"NOTHING BUILT IN A CLEAN CHROOT: this user cannot become {USER}")
    made = Builder(place)
    try:
        made.run("unshare", "--user", "--map-root-user", "true")
    except AssertionError as error:
        pytest.skip(f"NOTHING BUILT IN A CLEAN CHROOT: no user namespaces: {error}")
    yield made
    shutil.rmtree(place)


def test_the_same_package_in_a_clean_chroot_and_here(builder: Builder, tmp_path: Path) -> None:
    """The rebuild shape, in another directory, with other tools around it."""
    config = tmp_path / "pkggen.yaml"
    config.write_text(CONFIG)
    made = tmp_path / "made"
    pkggen(
        *("deb", EXAMPLE / "record", "-o", made, "--config", config, "--rebuild", "--offline"),
        *("--mirror", EXAMPLE / "download-cache", "--cache", tmp_path / "cache"),
    )
    (dsc,) = made.glob("*.dsc")
    (there,) = builder.build(dsc).glob("*.deb")
    pkggen("build", "deb", "--here", dsc, "-o", tmp_path / "here")
    (here,) = (tmp_path / "here").glob("*.deb")
    assert there.read_bytes() == here.read_bytes()
    subprocess.run(["dpkg-deb", "--extract", str(there), str(tmp_path / "root")], check=True)
    image = (tmp_path / "root/usr/lib/unikernels/hello.hvt").read_bytes()
    recorded = (EXAMPLE / "record/bin/hello.hvt").read_bytes()
    assert hashlib.sha256(image).digest() == hashlib.sha256(recorded).digest()


def test_autopkgtest(builder: Builder, published: Published) -> None:
    if shutil.which("autopkgtest") is None:
        pytest.skip("AUTOPKGTEST NOT RUN: install autopkgtest")
    if not Path(builder.chroot).exists():
        pytest.skip("AUTOPKGTEST NOT RUN: there is no chroot, see the test before")
    (deb,) = published.old.glob("*.deb")
    (dsc,) = published.old.glob("*.dsc")
    builder.take(published.tender, *(file for file in published.old.iterdir() if file.is_file()))
    said = builder.run(
        *("autopkgtest", "--apt-upgrade", published.tender.name, deb.name, dsc.name, "--"),
        *("unshare", "--release", SUITE, "--tarball", builder.chroot),
    )
    assert f"testing package {NAME}" in said
    results = dict(line.split(maxsplit=1) for line in said.splitlines() if " PASS" in line)
    assert results == {"launcher": "PASS", "payload": "PASS (superficial)"}
