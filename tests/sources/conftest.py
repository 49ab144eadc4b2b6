"""Repositories made by git itself, and what a packed commit holds."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.sources.git import GitTree, fetch_git

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


COMMITTED: Final = 1_600_000_000
ENVIRONMENT: Final = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "1500000000 +0200",
    "GIT_COMMITTER_NAME": "C",
    "GIT_COMMITTER_EMAIL": "c@example.org",
    "GIT_COMMITTER_DATE": f"{COMMITTED} -0700",
}


@dataclass(frozen=True, slots=True)
class Repo:
    """A repository with a work tree."""

    path: Path

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def git(self, *arguments: str, stdin: bytes = b"", **environment: str) -> str:
        done = subprocess.run(
            ["git", "-C", self.path, *arguments],
            input=stdin,
            env=ENVIRONMENT | environment,
            capture_output=True,
            check=True,
        )
        return done.stdout.decode().strip()

    def commit(self, files: dict[str, bytes], message: str = "change") -> str:
        """Commit all that is there and these files; return all digits of the commit."""
        for name, data in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        self.git("add", "--all")
        return self.commit_index(message)

    def commit_index(self, message: str = "change") -> str:
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def link(self, path: str, commit: str) -> None:
        """Record a submodule in the index."""
        self.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")

    def raw_tree(self, *entries: tuple[bytes, bytes, str]) -> str:
        """Commit a tree that git itself would not make: mode, name and object of each entry."""
        tree = b"".join(
            mode + b" " + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries
        )
        oid = self.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", stdin=tree)
        made = self.git("commit-tree", "-m", "raw", oid)
        self.git("update-ref", "refs/heads/main", made)
        return made


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Repo]:
    if shutil.which("git") is None:
        pytest.skip("NO GIT: install git")

    def new(name: str) -> Repo:
        repo = Repo(tmp_path / "repositories" / name)
        repo.path.mkdir(parents=True)
        repo.git("init", "--quiet", "--initial-branch=main")
        return repo

    return new


@pytest.fixture
def repo(make: Callable[[str], Repo]) -> Repo:
    return make("lib")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    made = tmp_path / "out"
    made.mkdir()
    return made / "lib.tar"


def fetch(repo: Repo, commit: str, tar: Path) -> GitTree:
    return fetch_git(repo.url, commit, tar, name="lib", local=True)


def members(tree: GitTree) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(tree.tar, "r:", errors="surrogateescape") as archive:
        return {info.name.partition("/")[2]: info for info in archive}


def content(tree: GitTree, path: str) -> bytes:
    with tarfile.open(tree.tar, "r:") as archive:
        file = archive.extractfile(f"lib-{tree.commit[:8]}/{path}")
        assert file is not None
        return file.read()
