"""A checkout of nixpkgs in a git repository, as small as the rules allow."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.recipe.model import Maintainer

if TYPE_CHECKING:
    from pathlib import Path

LIST: Final = """\
/*
  List of NixOS maintainers.
*/
{
  # keep-sorted start case=no numeric=no block=yes newline_separated=no
  _1example = {
    name = "One";
    github = "1example";
    githubId = 1;
  };
  a-b = {
    email = "ab@example.org";
    name = "A. B.";
    keys = [ { fingerprint = "0000 1111"; } ];
  };
  Alice = {
    email = "alice@example.org";
    name = "Alice";
  };
  mallory = {
    email = "mallory@example.org";
    name = "Mallory";
  };
  # keep-sorted end
}
"""
ENTRY: Final = """\
  janedoe = {
    email = "jane@example.org";
    github = "jane-doe";
    githubId = 1234567;
    name = "Jane \\"J\\" Doe";
  };
"""
JANE: Final = Maintainer(
    name='Jane "J" Doe',
    email="jane@example.org",
    nixpkgs="janedoe",
    github="jane-doe",
    github_id=1234567,
)
WHO: Final = {"name": "Tester", "email": "tester@example.org"}


@dataclass(frozen=True, slots=True)
class Checkout:
    """The checkout; git knows no configuration but its own."""

    root: Path

    def git(self, *argv: str) -> str:
        """Run git and return what it prints."""
        done = subprocess.run(
            ["git", *argv], cwd=self.root, check=True, capture_output=True, text=True
        )
        return done.stdout

    def write(self, path: str, text: str) -> Path:
        """Write a file."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def subjects(self) -> list[str]:
        """Return the subjects of all commits, the newest first."""
        return self.git("log", "--format=%s").splitlines()

    def state(self) -> tuple[str, str, dict[str, bytes]]:
        """Return the last commit, what differs from it, and every file."""
        files = {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and ".git" not in path.relative_to(self.root).parts
        }
        return self.git("rev-parse", "HEAD"), self.git("status", "--porcelain"), files


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """Return a checkout with one commit."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    made = Checkout(tmp_path / "nixpkgs")
    made.write("pkgs/by-name/hi/him/package.nix", "{ ... }: null\n")
    made.write("pkgs/top-level/all-packages.nix", "{\n  her = 1;\n}\n")
    made.write("maintainers/maintainer-list.nix", LIST)
    made.git("init", "--quiet", "--initial-branch=master")
    for key, value in WHO.items():
        made.git("config", f"user.{key}", value)
    made.git("add", ".")
    made.git("commit", "--quiet", "-m", "nixpkgs: begin")
    return made
