"""What a machine says of itself."""

from __future__ import annotations

import platform
import shutil
import subprocess
from typing import Final

import pytest

from pkggen.errors import ToolError
from pkggen.rebuild.machine import read_machine, this_machine

DEBIAN: Final = """\x1ekernel
Linux
aarch64
\x1erelease
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
VERSION_ID="12"
ID=debian
\x1edebian
gcc=4:12.2.0-3
libc6=2.36-9
\x1ecc
cc (Debian 12.2.0-14) 12.2.0
Copyright
"""
FREEBSD: Final = """\x1ekernel
FreeBSD
amd64
1401000
\x1erelease
NAME=FreeBSD
ID=freebsd
VERSION_ID=14.1
\x1efreebsd
py39-six-1.16.0
"""


def test_debian() -> None:
    machine = read_machine(DEBIAN)
    assert dict(machine.system) == {
        "ARCH": "arm64",
        "OS": "linux",
        "OS_DISTRIBUTION": "debian",
        "OS_VERSION": "12",
    }
    assert machine.packages is not None
    assert [(one.name, one.version) for one in machine.packages] == [
        ("gcc", "4:12.2.0-3"),
        ("libc6", "2.36-9"),
    ]
    assert machine.compilers == (("cc", "cc (Debian 12.2.0-14) 12.2.0"),)


def test_freebsd() -> None:
    machine = read_machine(FREEBSD)
    assert dict(machine.system) == {
        "ARCH": "x86_64",
        "OS": "freebsd",
        "OS_DISTRIBUTION": "freebsd",
        "OS_VERSION": "1401000",
    }
    assert machine.packages is not None
    assert (machine.packages[0].name, machine.packages[0].version) == ("py39-six", "1.16.0")
    assert machine.compilers == ()


def test_a_system_without_package_manager() -> None:
    machine = read_machine("\x1ekernel\nLinux\nx86_64\n\x1erelease\n")
    assert machine.packages is None
    assert dict(machine.system) == {"ARCH": "x86_64", "OS": "linux"}


def test_this_machine() -> None:
    machine = this_machine({"PATH": "/usr/bin:/bin"})
    assert dict(machine.system)["OS"] == platform.system().lower()
    if shutil.which("dpkg-query") is None:
        pytest.skip("PACKAGES NOT COMPARED: dpkg-query not found")
    asked = subprocess.run(
        ["dpkg-query", "--showformat=${Package}=${Version}\n", "-W"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert machine.packages is not None
    found = {f"{one.name}={one.version}" for one in machine.packages}
    assert found == {line for line in asked.stdout.split() if not line.endswith("=")}


@pytest.mark.parametrize(
    "text", ["", "x", "\x1ekernel\n", "\x1ekernel\nLinux\n", "\x1ekernel\nFreeBSD\nx\n"]
)
def test_what_no_machine_says(text: str) -> None:
    with pytest.raises(ToolError, match="does not tell what it is"):
        read_machine(text)
