"""The installed package on a booted system: its unit, with the real tender where there is one."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.recipe.service import (
    Block,
    Configuration,
    Network,
    Paths,
    Service,
    command_line,
)
from tests.debian_system.conftest import NAME

if TYPE_CHECKING:
    from tests.debian_system.conftest import Published, System

pytestmark = pytest.mark.slow

STATE: Final = f"/var/lib/unikernels/{NAME}"
USER: Final = f"_unikernel-{NAME}"
DEVICES: Final = ("/dev/kvm", "/dev/net/tun")
DISK: Final = f"{STATE}/disk.img"
TAP: Final = "vm-hell08f8e-0"
MAC: Final = "02:00:00:00:00:01"
CONFIGURED: Final = f"""\
net_service_bridge=br0
net_service_mac={MAC}
block_storage_file={DISK}
memory=4
"""
ARGUMENTS: Final = 'arguments="--name=a\\\\ b %h $x"\n'
SETUP: Final = f"""\
ip link add br0 type bridge
install -d -o {USER} {STATE}
truncate -s 1M {DISK}
chown {USER} {DISK}
cat /root/configured >>/etc/unikernels/{NAME}.conf
"""


def devices(place: Path) -> list[str]:
    """Return options that bind KVM and tun with the modes that udev gives them, or skip."""
    if shutil.which("systemd-nspawn") is None:
        pytest.skip("NOTHING BOOTED: install systemd-container")
    if missing := [device for device in DEVICES if not Path(device).exists()]:
        pytest.skip(f"NOTHING BOOTED: this machine has no {', '.join(missing)}")
    options = []
    for device in DEVICES:
        node = place / Path(device).name
        try:
            os.mknod(node, stat.S_IFCHR, Path(device).stat().st_rdev)
        except PermissionError:
            pytest.skip("NOTHING BOOTED: this user may not make devices")
        node.chmod(0o666)
        options.append(f"--bind={node}:{device}")
    return options


def install(system: System, *packages: Path) -> None:
    for package in packages:
        shutil.copy(package, system.root / "root")
        system.run("dpkg", "--install", f"/root/{package.name}")


def deb_of(directory: Path) -> Path:
    (found,) = directory.glob("*.deb")
    return found


def test_the_unit(system: System, published: Published, tmp_path: Path) -> None:
    options = devices(tmp_path)
    install(system, published.tender, deb_of(published.old))
    (system.root / "root/configured").write_text(CONFIGURED + ARGUMENTS)
    secret = f"/etc/unikernels/{NAME}.arguments"
    said = system.boot(
        f"""\
echo "enabled: $(systemctl is-enabled {NAME})"
systemctl start {NAME}
sleep 1
echo "unconfigured: $(systemctl is-failed {NAME})"
journalctl -u {NAME} -o cat --no-pager
{SETUP}
install -m 600 /dev/stdin {secret} <<END
--secret=x y
END
systemctl start {NAME}
sleep 1
echo "configured: $(systemctl is-active {NAME})"
sed 's/^/seen: /' {STATE}/seen
ip -o link show master br0
systemctl stop {NAME}
echo "stopped: $(systemctl is-failed {NAME})"
echo "taps: $(ls /sys/class/net | grep -c vm-)"
systemd-analyze security --no-pager {NAME} | tail -n 1
systemctl enable {NAME}
""",
        *options,
    )
    lines = said.splitlines()
    assert "enabled: disabled" in lines
    assert "unconfigured: failed" in lines
    where = f"/etc/unikernels/{NAME}.conf"
    assert (
        f"{where}: net_service_bridge is not set: Bridge that the tap becomes part of, or `none`"
        in lines
    )
    assert any(line.startswith(f"{where}: block_storage_file is not set") for line in lines)
    assert "configured: active" in lines
    seen = [line.removeprefix("seen: ") for line in lines if line.startswith("seen: ")]
    words = [line.removeprefix("word ") for line in seen if line.startswith("word ")]
    assert words == [*expected_words()[1:], "--name=a\\ b %h $x", "--secret=x y"]
    assert f"user {USER}" in seen
    assert f"groups {USER} kvm" in seen
    assert "NoNewPrivs 1" in seen
    assert "CapBnd 0000000000000000" in seen
    assert "writes everywhere" not in seen
    assert any(TAP in line for line in lines)
    assert "stopped: inactive" in lines
    assert "taps: 0" in lines
    (exposure,) = (line for line in lines if "Overall exposure level" in line)
    assert float(exposure.split(":")[1].split()[0]) <= 4.0
    assert (system.root / f"etc/systemd/system/multi-user.target.wants/{NAME}.service").is_symlink()


def expected_words() -> tuple[str, ...]:
    """Return what the one description of the service says, which NixOS runs as well."""
    described = Service(
        name=NAME, target="hvt", abi_version=2, networks=("service",), blocks=("storage",)
    )
    configuration = Configuration(
        memory="4",
        networks=(Network(device="service", tap=TAP, bridge="br0", mac=MAC),),
        blocks=(Block(device="storage", file=DISK, sector_size="512"),),
    )
    paths = Paths(
        image="/usr/lib/unikernels/hello.hvt",
        tender="/usr/bin/solo5-hvt",
        sh="/bin/sh",
        ip="/sbin/ip",
    )
    return command_line(described, configuration, paths)


def test_the_real_tender(system: System, published: Published, tmp_path: Path) -> None:
    """It runs the example under the unit's user and confinement."""
    tender = os.environ.get("PKGGEN_SOLO5_HVT") or shutil.which("solo5-hvt")
    if tender is None:
        pytest.skip("NO REAL TENDER RUN: set PKGGEN_SOLO5_HVT to a solo5-hvt, or put it in PATH")
    options = devices(tmp_path)
    install(system, published.tender, deb_of(published.old))
    shutil.copy(tender, system.root / "usr/bin/solo5-hvt")
    (system.root / "root/configured").write_text(CONFIGURED)
    said = system.boot(
        f"{SETUP}systemctl start {NAME}\nsleep 2\n"
        f"echo ended: $(systemctl is-failed {NAME})\njournalctl -b -u {NAME} -o cat --no-pager\n",
        *options,
    )
    assert "Hello from a unikernel" in said.splitlines()
    assert "ended: inactive" in said
