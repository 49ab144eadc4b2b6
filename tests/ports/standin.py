"""Ports run with the stand-in for bsd.port.mk."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE: Final = Path(__file__).resolve().parent
TARGETS: Final = (
    *("fetch", "checksum", "extract", "patch", "build", "stage", "check-plist", "package"),
)
"""What a port must get through, in this order."""
TOOLS: Final = ("bmake", "bsdtar", "unshare")


def need_stand_in() -> None:
    """Skip the test where ports cannot be run."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"NO PORT IS RUN: install {', '.join(missing)} (bmake, libarchive-tools)")
    if subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode:
        pytest.skip("NO PORT IS RUN: `unshare -n` is not permitted here")


@dataclass
class Built:
    """A port, and where it is built."""

    port: Path
    """Its directory."""
    base: Path
    """Where work and distfiles go."""
    variables: dict[str, str] = field(default_factory=dict)
    """More variables of make."""

    @property
    def overlay(self) -> Path:
        """The root that the port is in."""
        return self.port.parents[1]

    @property
    def distdir(self) -> Path:
        """DISTDIR."""
        return self.base / "distfiles"

    @property
    def work(self) -> Path:
        """WRKDIR."""
        return Path(f"{self.base}/work{self.port}/work")

    @property
    def stage(self) -> Path:
        """What is installed, below PREFIX."""
        return self.work / "stage/usr/local"

    @property
    def package(self) -> Path:
        """The package."""
        (found,) = (self.work / "pkg").iterdir()
        return found

    def make(self, *targets: str, network: bool = False, status: int = 0, **variables: str) -> str:
        """Run targets, demand an exit status, and return what was printed."""
        assert self.port.is_dir()
        given: Mapping[str, str] = {
            "WRKDIRPREFIX": f"{self.base}/work",
            "DISTDIR": str(self.distdir),
            "PORTSDIR": str(self.base / "tree"),
            "UID_FILES": str(self.overlay / "UIDs"),
            "GID_FILES": str(self.overlay / "GIDs"),
            **self.variables,
            **variables,
        }
        command = ["bmake", "-m", str(HERE / "mk"), *targets]
        done = subprocess.run(
            [*(() if network else ("unshare", "-n")), *command]
            + [f"{name}={value}" for name, value in given.items()],
            cwd=self.port,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        )
        assert done.returncode == status, done.stdout[-6000:]
        return done.stdout

    def value(self, variable: str) -> str:
        """Return the value of a variable."""
        return self.make("-V", f"${{{variable}}}").strip()

    def all_targets(self) -> None:
        """Run every target, each on its own, without network."""
        for target in TARGETS:
            self.make(target)

    def packed(self) -> dict[str, bytes]:
        """Return the files in the package."""
        found = {}
        with tarfile.open(self.package) as tar:
            for member in tar:
                file = tar.extractfile(member)
                found[member.name] = b"" if file is None else file.read()
        return found
