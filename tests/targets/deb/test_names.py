"""What Debian itself has."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import PurePosixPath

import pytest

from pkggen.targets.deb.names import OF_THE_SYSTEM


def printed(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_programs_of_required_packages_are_known() -> None:
    """dpkg would not see that they are overwritten, where /bin is a link to /usr/bin."""
    if shutil.which("dpkg-query") is None:
        pytest.skip("NOT COMPARED WITH DEBIAN: dpkg-query not found")
    rows = printed("dpkg-query", "-W", "-f", "${Package} ${Essential} ${Priority}\n").splitlines()
    packages = [row.split()[0] for row in rows if re.search(r" yes | required$", row)]
    files = map(PurePosixPath, printed("dpkg-query", "-L", *packages).splitlines())
    found = {file.name for file in files if file.parent.as_posix() in {"/bin", "/sbin"}}
    assert {"sh", "mount"} <= found <= OF_THE_SYSTEM
