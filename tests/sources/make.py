"""Archives, exports and records for the tests of sources."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from typing import TYPE_CHECKING, NamedTuple

from pkggen.opam.package import Checksum
from pkggen.opam.switch import SwitchExport, read_switch
from pkggen.sources.model import Source, Use

if TYPE_CHECKING:
    from pathlib import Path


class Package(NamedTuple):
    """One package of an export."""

    name: str
    url: str | None
    checksums: tuple[str, ...] = ()
    more: str = ""
    inside: str = ""
    """More lines of the `url` section."""


def checksum(kind: str, data: bytes) -> Checksum:
    return Checksum(kind, hashlib.new(kind, data, usedforsecurity=False).hexdigest())


def tar_gz(content: bytes, name: str = "top/file") -> bytes:
    """Return a gzipped tar of one file; equal contents give equal bytes."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), compresslevel=1, mtime=0)


def source(data: bytes, *urls: str, kinds: tuple[str, ...] = ("sha256",)) -> Source:
    """Return a source that is a single file."""
    sums = tuple(checksum(kind, data) for kind in kinds)
    return Source(
        kind="file",
        file_name=f"a.1-file-{sums[0].digest[:16]}",
        checksums=sums,
        urls=urls,
        users=(Use("extra", "a", "file"),),
        commit=None,
    )


def export_text(*packages: Package, root: str | None = None, installed: bool = True) -> str:
    """Return the text of an export in which every package is of version 1."""
    names = [f'"{package.name}.1"' for package in packages]
    lines = ['opam-version: "2.0"']
    if installed and names:
        lines += [f'roots: ["{root or packages[0].name}.1"]', f"installed: [{' '.join(names)}]"]
    for package in packages:
        lines += [f'package "{package.name}" {{', '  version: "1"', package.more]
        if package.url is not None:
            sums = " ".join(f'"{text}"' for text in package.checksums)
            stated = f"checksum: [{sums}]" if sums else ""
            lines.append(f'  url {{ src: "{package.url}" {stated} {package.inside} }}')
        lines.append("}")
    return "\n".join(lines) + "\n"


def export(*packages: Package, root: str | None = None, installed: bool = True) -> SwitchExport:
    text = export_text(*packages, root=root, installed=installed)
    return read_switch(text.encode(), "opam-switch")


def write_record(directory: Path, text: str) -> Path:
    """Write the files that orb leaves."""
    directory.mkdir(parents=True)
    (directory / "opam-switch").write_text(text)
    (directory / "build-environment").write_text(
        "PREFIX=/tmp/myswitch\nSOURCE_DATE_EPOCH=1\nOS_FAMILY=debian\nOS=linux"
    )
    (directory / "system-packages").write_text("gcc=4:12.2.0-3\n")
    return directory
