"""A dune-built suite of daemons with the shape of albatross, and a package as upstream makes it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.rebuild.made import Made, Package, make

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = "2.8.0"
DAEMONS: Final = (
    *("albatrossd", "albatross-console", "albatross-stats", "albatross-influx"),
    "albatross-tls-endpoint",
)
PROGRAMS: Final = (*DAEMONS, "albatross-client")


def _module(name: str) -> str:
    return name.replace("-", "_")


TREE: Final = Path(__file__).parent / "trees" / "albatross"
FILES: Final[dict[str, str | bytes]] = {
    **{str(file.relative_to(TREE)): file.read_text() for file in TREE.rglob("*") if file.is_file()},
    **{f"{_module(name)}.ml": f'let () = Service.main "{name}"\n' for name in PROGRAMS},
}

FIELDS: Final = """\
synopsis: "Albatross - orchestrate and manage MirageOS unikernels with Solo5"
  description: "The goal of albatross is deployment."
  maintainer: "nobody@example.org"
  authors: "Nobody <nobody@example.org>"
  license: "ISC"
  homepage: "https://example.org/albatross"
  build: [
    ["dune" "subst"] {dev}
    ["dune" "build" "-p" name "-j" jobs]
    ["dune" "runtest" "-p" name "-j" jobs] {with-test}
    ["sh" "-ex" "packaging/FreeBSD/create_package.sh"] {os = "freebsd"}
    ["sh" "-ex" "packaging/debian/create_package.sh"] {os-family = "debian"}
  ]"""

_UNIT: Final = """\
[Unit]
Description=upstream's {name}
[Service]
ExecStart=/usr/libexec/albatross/{program}
[Install]
WantedBy=multi-user.target
"""
_POSTINST: Final = """\
#!/bin/sh
touch /upstream-postinst-was-here
if ! getent group albatross >/dev/null; then groupadd -g 496 albatross; fi
if ! getent passwd albatross >/dev/null; then
  useradd -g 496 -u 496 -d /nonexistent -s /usr/sbin/nologin albatross
fi
mkdir -m 0700 -p /var/lib/albatross/block
chown albatross:albatross /var/lib/albatross /var/lib/albatross/block
"""


def programs(prefix: Path) -> dict[str, bytes]:
    """Return what a build below a prefix gives, by name; the prefix is part of the bytes."""
    missing = [tool for tool in ("dune", "ocamlfind", "cc") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"NO DAEMONS BUILT: {', '.join(missing)} not found")
    directory = prefix / ".opam-switch/build" / f"albatross.{VERSION}"
    for name, content in FILES.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(content))
    subprocess.run(
        ["dune", "build", "-p", "albatross"],
        cwd=directory,
        check=True,
        capture_output=True,
    )
    built = directory / "_build/install/default/bin"
    found = {name: (built / name).read_bytes() for name in PROGRAMS}
    shutil.rmtree(prefix)
    return found


def upstream_deb(
    directory: Path, built: Mapping[str, bytes], version: str = VERSION, packing: str = "xz"
) -> bytes:
    """Return a package as upstream's script makes it, published under a version as upstream's.

    Ubuntu's dpkg-deb packs with zstd, Debian's with xz.
    """
    if shutil.which("dpkg-deb") is None:
        pytest.skip("NO UPSTREAM PACKAGE: dpkg-deb not found")
    root = directory / "root"
    files: dict[str, tuple[bytes, int]] = {
        "DEBIAN/control": (
            f"Package: albatross\nVersion: {version}\nArchitecture: amd64\n"
            "Maintainer: Robur Team <team@robur.coop>\nDescription: Albatross\n".encode(),
            0o644,
        ),
        "DEBIAN/postinst": (_POSTINST.encode(), 0o755),
        "usr/bin/albatross-client": (built["albatross-client"], 0o755),
    }
    for name in DAEMONS:
        files[f"usr/libexec/albatross/{name}"] = (built[name], 0o755)
        unit = f"albatross_{name.removeprefix('albatross').strip('-').replace('-', '_')}"
        unit = {"albatross_d": "albatross_daemon"}.get(unit, unit)
        text = _UNIT.format(name=unit, program=name).encode()
        files[f"usr/lib/systemd/system/{unit}.service"] = (text, 0o644)
    for name, (data, mode) in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(mode)
    subprocess.run(
        [
            *("dpkg-deb", "--root-owner-group", f"-Z{packing}", "--build"),
            *(str(root), str(directory / "albatross.deb")),
        ],
        check=True,
        capture_output=True,
    )
    return (directory / "albatross.deb").read_bytes()


def record(directory: Path, built: Mapping[str, bytes], prefix: Path) -> Made:
    """Return a record with these files."""
    return make(
        directory,
        [Package("albatross", FIELDS, FILES, VERSION)],
        prefix=prefix,
        built=built,
        environment={"ORB_BUILDING_PACKAGE": "albatross"},
    )
