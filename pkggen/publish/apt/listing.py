"""Files that list others with their checksums: .dsc, .changes and .buildinfo.

A signature around them is taken off and not looked at: which keys may upload is not known here,
and whoever runs `pkggen apt add` vouches for what is added.

Sources: dsc(5), deb-changes(5), deb-buildinfo(5); RFC 9580, section 7 (the clear text of a
signature).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError
from pkggen.publish.apt.deb_file import INDEX_FIELDS
from pkggen.publish.apt.names import check
from pkggen.targets.deb.deb822 import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES: Final = 4 * 1024 * 1024
"""Largest of these files; a source package of 1,000 components has 0.5 MiB."""

CHECKSUMS: Final = {
    "Files": "md5",
    "Checksums-Md5": "md5",
    "Checksums-Sha1": "sha1",
    "Checksums-Sha256": "sha256",
    "Checksums-Sha512": "sha512",
}
"""Fields of checksums, and the hash that each of them holds."""

_SIGNED: Final = re.compile(
    r"-----BEGIN PGP SIGNED MESSAGE-----\n(?:[A-Za-z]+: [^\n]*\n)*\n(.*?)"
    r"\n-----BEGIN PGP SIGNATURE-----\n.*\n-----END PGP SIGNATURE-----\n*",
    re.DOTALL,
)
_MARK: Final = "-----BEGIN PGP"
_DIGITS: Final = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A file that is listed."""

    name: str
    """A plain file name."""
    size: int
    """Bytes."""
    digests: Mapping[str, str]
    """Hash and hexadecimal digits, at least `sha256`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A .dsc, .changes or .buildinfo."""

    fields: dict[str, str]
    """All of it."""
    files: tuple[Listed, ...]
    """What it lists, sorted by name, at least one."""
    date: int
    """Its own time in seconds since 1970; 0 if it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dsc:
    """A source package."""

    name: str
    """Of the source package."""
    version: str
    """With its epoch, if any."""
    listing: Listing
    """Its fields and files."""


def read_dsc(data: bytes, where: str) -> Dsc:
    """Read a .dsc, which may be hostile.

    Args:
        data: Its bytes.
        where: Its name, for errors.

    Raises:
        InputError: it is none.
    """
    listing = read_listing(data, where)
    fields = listing.fields
    missing = [name for name in ("Format", "Source", "Version", "Files") if name not in fields]
    if missing:
        raise InputError(f"there is no field {missing[0]}", where=where)
    forbidden = [n for n in fields if n.lower() in (INDEX_FIELDS | {"package"}) - {"files"}]
    if forbidden:
        raise InputError(f"a .dsc must not have the field {forbidden[0]}", where=where)
    name = check("package name", fields["Source"], where)
    for file in listing.files:
        if not file.name.startswith(f"{name}_") or file.name.endswith((".deb", ".dsc")):
            raise InputError(f"{file.name} cannot be a file of the source {name}", where=where)
    return Dsc(name=name, version=check("version", fields["Version"], where), listing=listing)


def read_listing(data: bytes, where: str) -> Listing:
    """Read a .changes, .buildinfo or .dsc, which may be hostile.

    Args:
        data: Its bytes.
        where: Its name, for errors.

    Raises:
        InputError: it is none of them, or lists files without sha256 or contradictorily.
    """
    stanzas = list(parse(_clear(data, where), where))
    if len(stanzas) != 1:
        raise InputError(f"{len(stanzas)} stanzas instead of one", where=where)
    (fields,) = stanzas
    if "Checksums-Sha256" not in fields:
        raise InputError("there is no field Checksums-Sha256", where=where)
    sizes: dict[str, int] = {}
    digests: dict[str, dict[str, str]] = {}
    stated = {field: kind for field, kind in CHECKSUMS.items() if field in fields}
    for field, kind in stated.items():
        for line in filter(None, fields[field].split("\n")):
            name, size, digest = _file(line, kind, f"{where}: {field}")
            known = digests.setdefault(name, {})
            if sizes.setdefault(name, size) != size or known.setdefault(kind, digest) != digest:
                raise InputError(f"{name} is listed in two ways", where=where)
    if not digests:
        raise InputError("it lists no files", where=where)
    for name, known in digests.items():
        if known.keys() != set(stated.values()):
            raise InputError(f"{name} is not in all of {', '.join(stated)}", where=where)
    files = (Listed(name=name, size=sizes[name], digests=digests[name]) for name in sorted(sizes))
    return Listing(fields=fields, files=tuple(files), date=_date(fields, where))


def _file(line: str, kind: str, where: str) -> tuple[str, int, str]:
    """Return name, size and digest; a .changes has section and priority before the name."""
    words = line.split()
    digits = _DIGITS[kind]
    if len(words) not in {3, 5} or not re.fullmatch(
        rf"[0-9a-f]{{{digits}}} [0-9]{{1,15}}", f"{words[0]} {words[1]}"
    ):
        raise InputError(f"not a {kind}, a size and a name: {line[:200]!r}", where=where)
    return check("file name", words[-1], where), int(words[1]), words[0]


def _date(fields: Mapping[str, str], where: str) -> int:
    stated = fields.get("Date")
    if stated is None:
        return 0
    try:
        return int(parsedate_to_datetime(stated).timestamp())
    except (ValueError, OverflowError) as error:
        raise InputError("the field Date holds no date", where=where) from error


def _clear(data: bytes, where: str) -> str:
    """Return the text without the signature around it; nothing may be outside of that."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InputError("it is not in UTF-8", where=where) from error
    if _MARK not in text:
        return text
    found = _SIGNED.fullmatch(text)
    if found is None or text.count(_MARK) != 2:
        raise InputError("there is text outside of the signed part", where=where)
    return re.sub("^- ", "", found[1], flags=re.MULTILINE)
