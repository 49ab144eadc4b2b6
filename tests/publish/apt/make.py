"""Packages for the tests of the apt repository, made byte by byte, good and hostile ones."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import tarfile
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TIME: Final = 1_755_939_600
"""Of the files in packages, in seconds since 1970."""


def control(
    name: str = "hello", version: str = "1.0-0pkggen1", architecture: str = "amd64", more: str = ""
) -> str:
    """Return a control file."""
    return (
        f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
        f"Maintainer: Jane Doe <jane@example.org>\n{more}Description: a greeting\n"
        " It says more\n .\n than one line.\n"
    )


def tar(files: Sequence[tuple[str, bytes]], time: int = TIME) -> bytes:
    """Return a tar archive of regular files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), time
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def ar(members: Sequence[tuple[str, bytes]]) -> bytes:
    """Return an ar archive."""
    packed = b"!<arch>\n"
    for name, data in members:
        packed += f"{name:<16}{TIME:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode()
        packed += data + b"\n" * (len(data) % 2)
    return packed


def deb_data(
    text: str | bytes = "",
    *,
    content: bytes = b"greeting",
    time: int = TIME,
    members: Mapping[str, bytes] | None = None,
    files: Sequence[tuple[str, bytes]] = (),
) -> bytes:
    """Return a binary package that dpkg-deb can read.

    Args:
        text: The control file; `control()` if empty.
        content: Of /usr/share/hello.
        time: Of all files.
        members: In place of control.tar.xz.
        files: In control.tar besides the control file.
    """
    data = text if isinstance(text, bytes) else (text or control()).encode()
    if members is None:
        members = {"control.tar.xz": lzma.compress(tar([("./control", data), *files], time))}
    payload = gzip.compress(tar([("./usr/share/hello", content)], time), mtime=0)
    return ar([("debian-binary", b"2.0\n"), *members.items(), ("data.tar.gz", payload)])


def write_deb(
    directory: Path,
    name: str = "hello",
    version: str = "1.0-0pkggen1",
    architecture: str = "amd64",
    *,
    more: str = "",
    content: bytes = b"greeting",
    time: int = TIME,
) -> Path:
    """Write a binary package and return its path."""
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}_{version.replace(':', '_')}_{architecture}.deb"
    text = control(name, version, architecture, more)
    path.write_bytes(deb_data(text, content=content, time=time))
    return path


def listed(files: Mapping[str, bytes], *, upload: bool = False) -> str:
    """Return the fields of checksums for files, as in a .dsc or a .changes."""
    extra = "misc optional " if upload else ""
    text = ""
    for field, kind in (
        ("Checksums-Sha1", "sha1"),
        ("Checksums-Sha256", "sha256"),
        ("Files", "md5"),
    ):
        text += f"{field}:\n"
        for name, data in files.items():
            digest = hashlib.new(kind, data).hexdigest()
            text += f" {digest} {len(data)} {extra if kind == 'md5' else ''}{name}\n"
    return text


def source_files(name: str = "hello", version: str = "1.0") -> dict[str, bytes]:
    """Return the files of a source package that dpkg-source can unpack, without the .dsc."""
    top = f"{name}-{version}"
    debian = [
        ("debian/control", f"Source: {name}\nMaintainer: J <j@example.org>\n\n".encode()),
        ("debian/changelog", _CHANGELOG.format(name=name, version=version).encode()),
        ("debian/source/format", b"3.0 (quilt)\n"),
    ]
    return {
        f"{name}_{version}.orig.tar.xz": lzma.compress(tar([(f"{top}/README", b"read\n")])),
        f"{name}_{version}-1.debian.tar.xz": lzma.compress(tar(debian)),
    }


_CHANGELOG: Final = """\
{name} ({version}-1) stable; urgency=low

  * New.

 -- J <j@example.org>  Sat, 23 Aug 2025 09:00:00 +0000
"""


def dsc_text(
    files: Mapping[str, bytes], name: str = "hello", version: str = "1.0-1", more: str = ""
) -> str:
    """Return a .dsc."""
    return (
        f"Format: 3.0 (quilt)\nSource: {name}\nBinary: {name}\nArchitecture: any\n"
        f"Version: {version}\nMaintainer: Jane Doe <jane@example.org>\n{more}"
        f"Package-List:\n {name} deb misc optional arch=any\n{listed(files)}"
    )


def write_source(directory: Path) -> Path:
    """Write a source package and return the path of its .dsc."""
    directory.mkdir(exist_ok=True)
    files = source_files()
    for name, data in files.items():
        (directory / name).write_bytes(data)
    path = directory / "hello_1.0-1.dsc"
    path.write_text(dsc_text(files))
    return path


def changes_text(files: Mapping[str, bytes]) -> str:
    """Return a .changes."""
    return (
        "Format: 1.8\nDate: Sat, 23 Aug 2025 10:00:00 +0000\nSource: hello\nVersion: 1.0-1\n"
        "Architecture: source amd64\nDistribution: stable\n"
        f"Changes:\n hello (1.0-1) stable; urgency=low\n .\n   * New.\n{listed(files, upload=True)}"
    )
