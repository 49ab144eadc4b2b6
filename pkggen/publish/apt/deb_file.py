"""What a .deb says of itself: its control file, read without unpacking anything else.

Sources: deb(5), ar(5), deb-control(5).
"""

from __future__ import annotations

import io
import re
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from pkggen import ar, compression
from pkggen.errors import InputError
from pkggen.publish.apt.names import check
from pkggen.targets.deb.deb822 import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pkggen.compression import Compression

MAX_CONTROL_BYTES: Final = 1024 * 1024
"""Largest control file; those of Debian's archive are below 64 KiB."""
MAX_ARCHIVE_BYTES: Final = 16 * 1024 * 1024
"""Largest control.tar, packed and unpacked; it also holds maintainer scripts and md5sums."""

INDEX_FIELDS: Final = frozenset(
    {"filename", "size", "md5sum", "sha1", "sha256", "sha512", "directory", "files", "status"}
    | {"config-version", "conffiles", "description-md5"}
)
"""Fields, in small letters, that only an index or dpkg itself may set."""

_COMPRESSIONS: Final[dict[str, Compression | None]] = {
    "control.tar": None,
    "control.tar.gz": "gz",
    "control.tar.xz": "xz",
    "control.tar.zst": "zst",
}
_SOURCE: Final = re.compile(r"(\S+)(?: \((\S+)\))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deb:
    """A binary package."""

    name: str
    """Of the package."""
    version: str
    """With its epoch, if any."""
    architecture: str
    """Of Debian, or `all`."""
    source: str
    """Name of the source package that it was built from."""
    fields: dict[str, str]
    """Its control file."""
    newest: int
    """Newest time of the files beside the control file, in seconds since 1970."""


def read_deb(file: BinaryIO, where: str) -> Deb:
    """Read a binary package.

    Args:
        file: The package, which can seek; it may be hostile.
        where: Its name, for errors.

    Raises:
        InputError: it is no package, or none that the repository takes.
    """
    try:
        members = dict(_members(file, where))
        control, newest = _control(_unpacked(file, members, where), where)
        text = control.decode()
    except (*compression.ERRORS, tarfile.TarError, ValueError, OverflowError) as error:
        raise InputError(f"the package is damaged: {error}", where=where) from error
    return _deb(text, newest, f"{where}: control")


def _members(file: BinaryIO, where: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield name, offset and size of every member."""
    names: list[str] = []
    for member in ar.members(file, where):
        names.append(member.name)
        yield member.name, (member.offset, member.size)
    known = [name for name in names if not name.startswith("_")]
    kinds = [name.split(".")[0] for name in known]
    if kinds != ["debian-binary", "control", "data"] or len(set(names)) < len(names):
        raise InputError(
            f"the package has the members {', '.join(names)}, not debian-binary, control.tar and "
            "data.tar",
            where=where,
        )


def _unpacked(file: BinaryIO, members: dict[str, tuple[int, int]], where: str) -> bytes:
    """Return control.tar."""
    if not re.match(rb"2\.[0-9]+\n", _read(file, members["debian-binary"], where)):
        raise InputError("not version 2 of the format of packages", where=where)
    name = next(name for name in members if name.startswith("control"))
    if name not in _COMPRESSIONS:
        raise InputError(
            f"{name} is packed in a way that is not supported",
            where=where,
            hint="pack it again with xz: `dpkg-deb -R`, then `dpkg-deb --root-owner-group -Zxz -b`",
        )
    packed = _read(file, members[name], where)
    kind = _COMPRESSIONS[name]
    if kind is None:
        return packed
    whole = bytearray()
    for chunk in compression.unpacked(io.BytesIO(packed), kind, single=kind == "zst"):
        whole += chunk
        if len(whole) > MAX_ARCHIVE_BYTES:
            raise InputError(f"{name} is larger than {MAX_ARCHIVE_BYTES} bytes", where=where)
    return bytes(whole)


def _read(file: BinaryIO, member: tuple[int, int], where: str) -> bytes:
    offset, size = member
    if size > MAX_ARCHIVE_BYTES:
        raise InputError(f"a member is larger than {MAX_ARCHIVE_BYTES} bytes", where=where)
    file.seek(offset)
    return file.read(size)


def _control(archive: bytes, where: str) -> tuple[bytes, int]:
    """Return the control file and the newest time in its archive."""
    control = None
    newest = 0
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if "/" in name or name == "..":
                raise InputError(f"control.tar holds {member.name!r}", where=where)
            newest = max(newest, int(member.mtime))
            if name != "control":
                continue
            stream = tar.extractfile(member) if member.isreg() else None
            if control is not None or stream is None or member.size > MAX_CONTROL_BYTES:
                raise InputError(
                    f"control.tar must hold one file control, at most {MAX_CONTROL_BYTES} bytes",
                    where=where,
                )
            control = stream.read()
        # tarfile takes a damaged header for the end.
        damaged = archive[tar.offset :].strip(b"\0") != b""
    if control is None or damaged:
        raise InputError("control.tar is damaged, or holds no file `control`", where=where)
    return control, newest


def _deb(text: str, newest: int, where: str) -> Deb:
    stanzas = list(parse(text, where))
    if len(stanzas) != 1:
        raise InputError(f"{len(stanzas)} stanzas instead of one", where=where)
    (fields,) = stanzas
    missing = [name for name in ("Package", "Version", "Architecture") if name not in fields]
    if missing:
        raise InputError(f"there is no field {missing[0]}", where=where)
    if forbidden := [name for name in fields if name.lower() in INDEX_FIELDS]:
        raise InputError(f"a package must not have the field {forbidden[0]}", where=where)
    name = check("package name", fields["Package"], where)
    found = _SOURCE.fullmatch(fields.get("Source", name))
    if found is None:
        raise InputError("the field Source is not NAME or NAME (VERSION)", where=where)
    if found[2] is not None:
        check("version", found[2], where)
    return Deb(
        name=name,
        version=check("version", fields["Version"], where),
        architecture=check("architecture", fields["Architecture"], where),
        source=check("package name", found[1], where),
        fields=fields,
        newest=newest,
    )
