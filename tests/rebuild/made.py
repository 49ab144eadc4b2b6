"""Records that can be rebuilt: own packages, their archives, and what building them gives."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pkggen.record.model import Record

EXAMPLE: Final = Path(__file__).resolve().parent.parent.parent / "examples" / "hello"

ENVIRONMENT: Final = {
    "HOME": "/home/builder",
    "PATH": "/bin:/sbin:/usr/bin:/usr/sbin",
    "SOURCE_DATE_EPOCH": "1589138087",
    "ORB_BUILDING_PACKAGE": "root",
    "PREFIX": "/nonexistent/prefix",
    "SWITCH_PATH": "prefix",
    "ARCH": "x86_64",
    "OS_FAMILY": "debian",
    "OS_VERSION": "12",
    "OS_DISTRIBUTION": "debian",
    "OS": "linux",
}


class Package(NamedTuple):
    """One package of a switch; the last of a record is its root."""

    name: str
    fields: str = ""
    """opam's fields, without `version`."""
    files: Mapping[str, str | bytes] | None = None
    """Its source; None for a package without."""
    version: str = "1"


class Made(NamedTuple):
    """A record on disk, and a directory that has its sources."""

    record: Path
    mirror: Path

    def read(self) -> Record:
        return assemble(read_directory(self.record, "made"))


def need_tools() -> None:
    """Skip the test where nothing can be rebuilt."""
    missing = [tool for tool in ("cc", "make", "opam-installer", "patch") if not shutil.which(tool)]
    if missing:
        pytest.skip(f"NOTHING REBUILT: {', '.join(missing)} not found")


def archive(package: Package) -> bytes:
    """Return an uncompressed tar of a package's files."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, content in sorted((package.files or {}).items()):
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(f"{package.name}-{package.version}/{name}")
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    return plain.getvalue()


def make(
    directory: Path,
    packages: Sequence[Package],
    *,
    prefix: Path | str = "/nonexistent/prefix",
    built: Mapping[str, bytes] | None = None,
    system_packages: str = "gcc=4:12.2.0-3\n",
    environment: Mapping[str, str] | None = None,
) -> Made:
    """Write a record with the given built files, by default one that nobody can build."""
    record, mirror = directory / "record", directory / "mirror"
    shutil.rmtree(record, ignore_errors=True)
    record.mkdir(parents=True)
    sections = []
    for package in packages:
        url = ""
        if package.files is not None:
            data = archive(package)
            digest = hashlib.sha256(data).hexdigest()
            place = mirror / "sha256" / digest[:2] / digest
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
            src = f"https://pkggen.test/{package.name}.tar"
            url = f'url {{ src: "{src}" checksum: "sha256={digest}" }}'
        sections.append(
            f'package "{package.name}" {{\n  version: "{package.version}"\n'
            f"  {package.fields}\n  {url}\n}}\n"
        )
    full = [f"{package.name}.{package.version}" for package in packages]
    installed = " ".join(f'"{name}"' for name in full)
    head = f'opam-version: "2.0"\nroots: ["{full[-1]}"]\ninstalled: [{installed}]\n'
    (record / "opam-switch").write_text(head + "".join(sections))
    variables = {**ENVIRONMENT, "PREFIX": str(prefix), **(environment or {})}
    (record / "build-environment").write_text(
        "\n".join(f"{name}={value}" for name, value in variables.items())
    )
    (record / "system-packages").write_text(system_packages)
    for path, content in ({"bin/root": b"nobody builds this"} if built is None else built).items():
        (record / path).parent.mkdir(parents=True, exist_ok=True)
        (record / path).write_bytes(content)
    return Made(record, mirror)


def example(directory: Path, prefix: Path) -> Made:
    """Return the example's record, as if it had been built below another prefix."""
    record = directory / "record"
    shutil.copytree(EXAMPLE / "record", record)
    (record / "record.json").unlink()
    recorded = record / "build-environment"
    recorded.write_text(recorded.read_text().replace("=/tmp/myswitch", f"={prefix}"))
    return Made(record, EXAMPLE / "download-cache")


def programs(directory: Path, **others: str) -> str:
    """Return a search path with the usual programs, of which some are others."""
    directory.mkdir()
    for name, place in others.items():
        (directory / name).write_text(f'#!/bin/sh\nexec {place} "$@"\n')
        (directory / name).chmod(0o755)
    return f"{directory}{os.pathsep}/usr/bin{os.pathsep}/bin"
