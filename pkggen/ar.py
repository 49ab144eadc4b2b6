"""The outer shape of a .deb: an `ar` archive of a few members.

Sources: deb(5), ar(5).
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from pkggen.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC: Final = b"!<arch>\n"
_HEADER: Final = re.compile(
    rb"(.{16})[0-9 ]{12}[0-9 ]{6}[0-9 ]{6}[0-7 ]{8}([0-9]{1,10} *)`\n", re.DOTALL
)
_HEADER_BYTES: Final = 60
_MOST_MEMBERS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of the archive."""

    name: str
    """Name, without the slash that some writers put behind it."""
    offset: int
    """First byte."""
    size: int
    """Bytes."""


def members(file: BinaryIO, where: str) -> Iterator[Member]:
    """Yield every member.

    Args:
        file: The archive, which can seek; it may be hostile.
        where: Its name, for errors.

    Raises:
        InputError: it is no archive, is damaged, or has too many members.
    """
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    if file.read(len(_MAGIC)) != _MAGIC:
        raise InputError("not a Debian package", where=where)
    offset = len(_MAGIC)
    count = 0
    while offset < end:
        file.seek(offset)
        found = _HEADER.fullmatch(file.read(_HEADER_BYTES))
        if found is None or count == _MOST_MEMBERS:
            raise InputError(f"the package is damaged at byte {offset}", where=where)
        size = int(found[2])
        offset += _HEADER_BYTES
        if offset + size > end:
            raise InputError("the package breaks off", where=where)
        count += 1
        name = found[1].decode("ascii", "replace").rstrip(" ").removesuffix("/")
        yield Member(name=name, offset=offset, size=size)
        offset += size + size % 2
