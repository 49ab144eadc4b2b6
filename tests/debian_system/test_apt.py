"""Debian's own apt installs, upgrades and purges what pkggen packaged and published."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.conftest import REPOSITORY
from tests.debian_system.conftest import NAME, NEW, OLD, SUITE, pkggen
from tests.rebuild.made import EXAMPLE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.debian_system.conftest import Published, System

pytestmark = pytest.mark.slow

IMAGE: Final = "usr/lib/unikernels/hello.hvt"
CONFIGURATION: Final = "etc/unikernels/hello-unikernel.conf"


def test_the_life_of_a_package(system: System, published: Published) -> None:
    """One after the other: from a file: repository to its purge."""
    shutil.copytree(published.public, system.root / "repository", symlinks=True)
    sources = system.root / "etc/apt/sources.list.d/pkggen.sources"
    shutil.copy(published.public / "pkggen.sources", sources)

    system.run("apt-get", "--option=APT::Update::Error-Mode=any", "update")
    said = system.run("apt-get", "install", "--yes", "--no-install-recommends", NAME)
    assert "solo5-hvt" in said
    recorded = (EXAMPLE / "record/bin/hello.hvt").read_bytes()
    assert (system.root / IMAGE).read_bytes() == recorded
    assert system.run("dpkg", "--verify", NAME) == ""
    assert "_unikernel-hello-unikernel" in system.run("getent", "passwd")
    assert "kvm" in system.run("id", "-Gn", "_unikernel-hello-unikernel")

    said = system.run("apt-get", "source", "--download-only", NAME)
    # A link into the repository, by its path in the system.
    assert (system.root / f"{NAME}_{OLD}.dsc").is_symlink(), said
    system.run("dpkg-source", "--extract", f"/{NAME}_{OLD}.dsc", "/unpacked")
    packed = (system.root / "unpacked/bin/hello.hvt").read_bytes()
    assert hashlib.sha256(packed).digest() == hashlib.sha256(recorded).digest()
    system.run("apt-get", "build-dep", "--yes", "--no-install-recommends", NAME)
    assert (system.root / "usr/bin/dh").exists()

    configured = system.root / CONFIGURATION
    configured.write_text(configured.read_text() + "memory=4\n")
    upgrade_over_http(system, published)
    assert configured.read_text().endswith("memory=4\n")
    assert (system.root / "etc/unikernels").stat().st_mode & 0o777 == 0o755

    (system.root / "etc/unikernels/hello-unikernel.arguments").write_text("--secret=1\n")
    system.run("apt-get", "purge", "--yes", NAME)
    assert not (system.root / "etc/unikernels").exists()
    assert not (system.root / IMAGE).exists()


def test_the_readme(system: System, published: Published, tmp_path: Path) -> None:
    """What it tells an operator to do, word by word."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (asked,) = [block for kind, block in blocks if kind == "sh" and "apt add" in block]
    (told,) = [block for kind, block in blocks if kind == "console"]
    program = tmp_path / "bin/pkggen"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={REPOSITORY} exec {sys.executable} -m pkggen "$@"\n')
    program.chmod(0o755)
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")
    script = f"set -e\npkggen record examples/hello/record --output saved\n{asked}"
    path = f"{program.parent}:{os.environ['PATH']}"
    subprocess.run(["sh", "-c", script], cwd=tmp_path, env={**os.environ, "PATH": path}, check=True)
    pkggen("apt", "add", tmp_path / "mirage-apt", published.tender)
    place = system.root / tmp_path.relative_to("/") / "mirage-apt"
    shutil.copytree(tmp_path / "mirage-apt/public", place / "public", symlinks=True)
    (system.root / "etc/apt/apt.conf.d/90yes").write_text('APT::Get::Assume-Yes "true";\n')
    commands = [line.removeprefix("$ sudo ") for line in told.splitlines()]
    assert len(commands) == 3
    system.run("sh", "-ec", "\n".join([f"cd {tmp_path}", *commands]))
    assert (system.root / IMAGE).exists()
    system.run("apt-get", "purge", NAME)
    (system.root / "etc/apt/sources.list.d/pkggen.sources").unlink()


def upgrade_over_http(system: System, published: Published) -> None:
    """Publish the later build, and let apt find it on a server on loopback."""
    url = "http://127.0.0.1:{}/"
    with subprocess.Popen(
        [sys.executable, "-m", "pkggen", "apt", "serve", str(published.directory), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[-1]
            assert url.startswith("http://127.0.0.1:")
            pkggen(
                *("apt", "add", published.directory, "--suite", SUITE),
                *published.new.glob("*.dsc"),
                *published.new.glob("*.deb"),
            )
            sources = system.root / "etc/apt/sources.list.d/pkggen.sources"
            sources.write_text(sources.read_text().replace("file:///repository/", url))
            system.run("apt-get", "--option=APT::Update::Error-Mode=any", "update")
            assert NEW in system.run("apt-cache", "policy", NAME)
            system.run("apt-get", "upgrade", "--yes")
            shown = system.run("dpkg-query", "--show", "--showformat=${Version}", NAME)
            assert shown == NEW
            said = system.run("zcat", f"/usr/share/doc/{NAME}/changelog.Debian.gz")
            assert said.index(NEW) < said.index(OLD)
        finally:
            server.terminate()
