"""Fixtures that several rooms share: real records, crafted images, crafted records."""

from __future__ import annotations

import os
import shutil
import struct
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Protocol

import pytest
from hypothesis import settings

from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.record.model import Origin
from pkggen.record.saved import save
from pkggen.tree import File, TextFile, Tree
from pkggen.writer import write

# `make test` is a make of its own, which the makes of tests must not take for theirs.
for _name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
    os.environ.pop(_name, None)

# A loaded machine takes long for an example now and then.
settings.register_profile("pkggen", deadline=None)
settings.load_profile("pkggen")

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY: Final = Path(__file__).resolve().parent.parent

_MACHINES: Final = {"x86_64": 62, "aarch64": 183, "ppc64le": 21}
_TENDERS: Final = {"hvt": 1, "spt": 2, "virtio": 3, "muen": 4, "genode": 5, "xen": 6}
_DEVICES: Final = {"BLOCK_BASIC": 1, "NET_BASIC": 2}

Devices = tuple[tuple[str, str], ...]


class MakeImage(Protocol):
    """Write a tiny static ELF file with Solo5's notes."""

    def __call__(
        self,
        path: Path,
        tender: str = "hvt",
        abi: int = 2,
        devices: Devices = (("service", "NET_BASIC"),),
        machine: str = "x86_64",
    ) -> Path: ...


class MakeRecord(Protocol):
    """Write the record of a unikernel with one image, saved or as orb leaves it."""

    def __call__(
        self,
        directory: Path,
        name: str = "hello",
        tender: str = "hvt",
        devices: Devices = (("service", "NET_BASIC"),),
        *,
        saved: bool = True,
    ) -> Path: ...


@pytest.fixture(scope="session", autouse=True)
def own_nix_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tools of Nix that pkggen itself asks away from the store of this machine."""
    root = tmp_path_factory.mktemp("nix-of-tests")
    (root / "conf").mkdir()
    (root / "conf/nix.conf").write_text("build-users-group =\nsubstitute = false\n")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CONF", "STORE", "STATE", "LOG"):
            patch.setenv(f"NIX_{name}_DIR", str(root / name.lower()))
        yield


@pytest.fixture(scope="session")
def records() -> Path:
    """Return the directory of the real records, or skip: they are not part of the project."""
    place = Path(os.environ.get("PKGGEN_RECORDS", REPOSITORY.parent / "shared" / "records"))
    if not place.is_dir():
        pytest.skip(f"NO REAL RECORDS at {place}: set PKGGEN_RECORDS to test against them")
    return place


def note(owner: bytes, kind: int, description: bytes) -> bytes:
    """Return one ELF note, padded to 4 bytes."""
    name = owner + b"\0"
    head = struct.pack("<III", len(name), len(description), kind)
    return head + name + b"\0" * (-len(name) % 4) + description + b"\0" * (-len(description) % 4)


def abi_note(tender: int, abi: int) -> bytes:
    """Return Solo5's ABI note (Solo5 `include/elf_abi.h`)."""
    return note(b"Solo5", 0x31494241, struct.pack("<IIII", tender, abi, 0, 0))


def manifest_note(entries: list[tuple[bytes, int]], version: int = 1) -> bytes:
    """Return Solo5's manifest note with its reserved first entry (`include/mft_abi.h`)."""
    every = [(b"", 1 << 30), *entries]
    body = b"".join(struct.pack("<68sI32x", name, kind) for name, kind in every)
    return note(b"Solo5", 0x3154464D, struct.pack("<III", 0, version, len(every)) + body)


def elf(notes: list[bytes], machine: int = 62) -> bytes:
    """Return a little-endian ELF64 file without sections: one PT_LOAD, one PT_NOTE per note."""
    count = 1 + len(notes)
    start = 64 + 56 * count
    payload = b"\xf4" * 16
    offsets = []
    end = start + len(payload)
    for part in notes:
        offsets.append(end)
        end += len(part)
    base = 0x100000
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01", 2, machine, 1, base + start, 64, 0, 0, 64, 56, count, 64, 0, 0,
    )  # fmt: skip
    table = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, end, end, 0x1000)
    for offset, part in zip(offsets, notes, strict=True):
        table += struct.pack(
            "<IIQQQQQQ", 4, 4, offset, base + offset, base + offset, len(part), len(part), 4
        )
    return header + table + payload + b"".join(notes)


@pytest.fixture(scope="session")
def make_image() -> MakeImage:
    """Return a function that writes a deterministic Solo5 image of a few hundred bytes."""

    def make(
        path: Path,
        tender: str = "hvt",
        abi: int = 2,
        devices: Devices = (("service", "NET_BASIC"),),
        machine: str = "x86_64",
    ) -> Path:
        entries = [(name.encode(), _DEVICES[kind]) for name, kind in devices]
        notes = [
            note(b"OpenBSD", 1, b"\0\0\0\0"),
            manifest_note(entries),
            abi_note(_TENDERS[tender], abi),
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(elf(notes, _MACHINES[machine]))
        return path

    return make


@pytest.fixture(scope="session")
def make_record(make_image: MakeImage) -> MakeRecord:
    """Return a function that writes a record and returns its directory."""

    def make(
        directory: Path,
        name: str = "hello",
        tender: str = "hvt",
        devices: Devices = (("service", "NET_BASIC"),),
        *,
        saved: bool = True,
    ) -> Path:
        orb = directory.with_name(f"{directory.name}.orb") if saved else directory
        orb.mkdir(parents=True, exist_ok=True)
        (orb / "opam-switch").write_text(SWITCH.format(name=name))
        (orb / "build-environment").write_text(ENVIRONMENT.format(name=name))
        (orb / "system-packages").write_text(SYSTEM_PACKAGES)
        make_image(orb / "bin" / f"{name}.{tender}", tender=tender, devices=devices)
        if saved:
            record = replace(
                assemble(read_directory(orb, str(orb))),
                platform="debian-12",
                started=datetime(2026, 8, 23, 9, 0, tzinfo=UTC),
                finished=datetime(2026, 8, 23, 9, 0, 12, tzinfo=UTC),
                origin=Origin(
                    server="https://builds.example.org",
                    job=name,
                    build="08455214-8a9b-413a-b116-a65353dc0743",
                ),
            )
            save(record, directory)
            shutil.rmtree(orb)
        return directory

    return make


SWITCH: Final = """\
opam-version: "2.0"
roots: ["{name}.1.0"]
installed: ["base-unix.base" "{name}.1.0"]
package "{name}" {{
  opam-version: "2.0"
  version: "1.0"
  synopsis: "A unikernel made for a test"
  maintainer: "nobody@example.org"
  license: "ISC"
  depends: ["base-unix"]
  build: ["true"]
  url {{
    src: "https://example.org/{name}-1.0.tar.gz"
    checksum:
      "sha256=0000000000000000000000000000000000000000000000000000000000000000"
  }}
}}
"""

ENVIRONMENT: Final = """\
HOME=/home/builder
PATH=/bin:/sbin:/usr/bin:/usr/sbin
SOURCE_DATE_EPOCH=1589138087
OPAMERRLOGLEN=0
ORB_BUILDING_PACKAGE={name}
OPAMROOT=/tmp
PREFIX=/tmp/myswitch
SWITCH_PATH=myswitch
ORB_DATA=2
ARCH=x86_64
OS_FAMILY=debian
OS_VERSION=12
OS_DISTRIBUTION=debian
OS=linux"""

SYSTEM_PACKAGES: Final = "gcc=4:12.2.0-3\nlibc6=2.36-9+deb12u10\nmake=4.3-4.1\n"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag that refreshes what the tests compare with."""
    parser.addoption(
        "--update-goldens", action="store_true", help="write the golden trees anew, then review"
    )


class CheckGolden(Protocol):
    """Compare a tree with the files of a golden directory, or write them anew."""

    def __call__(self, tree: Tree, directory: Path) -> None: ...


@pytest.fixture(scope="session")
def check_golden(pytestconfig: pytest.Config) -> CheckGolden:
    """Return the function; the bytes, the set of files and their modes must be equal."""

    def check(tree: Tree, directory: Path) -> None:
        if pytestconfig.getoption("--update-goldens"):
            if directory.exists():
                shutil.rmtree(directory)
            write(tree, directory)
        made = {path: (_data(file), file.executable) for path, file in tree.items()}
        kept = {
            PurePosixPath(file.relative_to(directory)): (
                file.read_bytes(),
                bool(file.stat().st_mode & 0o100),
            )
            for file in sorted(directory.rglob("*"))
            if file.is_file()
        }
        assert made == kept, f"differs from {directory}; pytest --update-goldens, then review"

    return check


def _data(file: File) -> bytes:
    if isinstance(file, TextFile):
        return file.data
    with file.content.open() as stream:
        return stream.read()
