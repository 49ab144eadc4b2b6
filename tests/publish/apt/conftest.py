"""An apt of its own, which believes in nothing but what a test gives it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.publish.apt.initialise import Wanted, initialise
from pkggen.publish.apt.repository import opened

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pkggen.publish.apt.repository import Done


@pytest.fixture(autouse=True)
def no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="session")
def needs_gpg() -> None:
    """Skip what needs gpg."""
    if shutil.which("gpg") is None:
        pytest.skip("NOTHING SIGNED: install gnupg")


@pytest.fixture(scope="session")
def _template(needs_gpg: None, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001
    directory = tmp_path_factory.mktemp("apt") / "repository"
    initialise(directory, WANTED)
    return directory


WANTED: Final = Wanted(
    name="greetings",
    url="https://example.org/greetings",
    fingerprint=None,
    suites=("stable",),
    architectures=("amd64", "arm64"),
)


@pytest.fixture
def repository(_template: Path, tmp_path: Path) -> Path:
    """Return a new repository."""
    return copy_of(_template, tmp_path / "repository")


def copy_of(repository: Path, place: Path) -> Path:
    """Copy a repository as `cp -a` does."""
    shutil.copytree(repository, place, symlinks=True)
    return place


def add(repository: Path, *files: Path, suite: str = "stable") -> tuple[Done, ...]:
    """Add packages."""
    with opened(repository) as here:
        return here.add(files, suite)


def packages(repository: Path) -> list[str]:
    """Return what is published in all suites, verified."""
    with opened(repository) as here:
        return [str(entry) for entries in here.packages().values() for entry in entries]


def tree(directory: Path) -> dict[str, bytes | str]:
    """Return bytes or target of all below a directory."""
    return {
        str(path.relative_to(directory)): (
            str(path.readlink()) if path.is_symlink() else path.read_bytes()
        )
        for path in sorted(directory.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@dataclass(frozen=True, slots=True)
class Apt:
    """apt with directories of its own."""

    root: Path

    def trust(self, sources: Path, url: str) -> None:
        """Use a repository at another URL than its own."""
        lines = sources.read_text().splitlines(keepends=True)
        changed = [f"URIs: {url}\n" if line.startswith("URIs:") else line for line in lines]
        (self.root / "etc/sources.list.d/test.sources").write_text("".join(changed))

    def run(self, *argv: str, options: Iterable[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run apt-get and return what it said, both streams together."""
        settings = (
            f"Dir={self.root}",
            "Dir::Etc=etc",
            "Dir::State=state",
            f"Dir::State::status={self.root}/status",
            "Dir::Cache=cache",
            "Dir::Bin::Methods=/usr/lib/apt/methods",
            "APT::Architecture=amd64",
            "APT::Architectures=amd64",
            "APT::Sandbox::User=root",
            "Acquire::Retries=0",
            "Acquire::http::Proxy=false",
            *options,
        )
        words = [word for setting in settings for word in ("-o", setting)]
        return subprocess.run(
            ["apt-get", *words, *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
            cwd=self.root,
            env={"PATH": os.environ["PATH"], "APT_CONFIG": str(self.root / "empty"), "LC_ALL": "C"},
        )

    def update(self, *options: str) -> str:
        """Update, and return what apt said; it must be content."""
        done = self.run("update", "--error-on=any", options=options)
        assert done.returncode == 0, done.stdout
        assert "W:" not in done.stdout, done.stdout
        return done.stdout

    def refuses(self, *argv: str) -> str:
        """Run apt, which must fail, and return what it said."""
        done = self.run(*argv)
        assert done.returncode != 0, done.stdout
        return done.stdout

    def listed(self) -> set[str]:
        """Return name and version of every binary package that apt knows."""
        done = self.run("indextargets", "--format", "$(FILENAME)", "Created-By: Packages")
        assert done.returncode == 0, done.stdout
        found = set()
        for name in done.stdout.split():
            text = subprocess.run(
                ["/usr/lib/apt/apt-helper", "cat-file", name],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            for stanza in filter(None, text.split("\n\n")):
                fields = dict(line.split(": ", 1) for line in stanza.split("\n") if ": " in line)
                found.add(f"{fields['Package']} {fields['Version']}")
        return found


@pytest.fixture
def apt(tmp_path: Path) -> Apt:
    """Return an apt that knows no repository."""
    if shutil.which("apt-get") is None or shutil.which("gpgv") is None:
        pytest.skip("NOT TRIED WITH apt: it is not installed")
    root = tmp_path / "apt"
    for name in ("etc/sources.list.d", "etc/apt.conf.d", "etc/preferences.d", "etc/trusted.gpg.d"):
        (root / name).mkdir(parents=True)
    for name in ("state/lists/partial", "cache/archives/partial"):
        (root / name).mkdir(parents=True)
    (root / "status").touch()
    (root / "empty").touch()
    return Apt(root)
