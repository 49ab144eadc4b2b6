"""Indices of an apt repository: packages to Packages, Sources and Release, and back.

The published indices are all that the repository knows about its packages. They are read back with
the hashes of Release, and Release with its signature, so what is signed again was signed before or
has just been verified.

Sources: Debian Wiki, DebianRepository/Format; apt-ftparchive(1).
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import re
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, VerificationError
from pkggen.publish.apt.names import pool_directory, without_epoch
from pkggen.targets.deb.deb822 import parse, render

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pkggen.publish.apt.deb_file import Deb
    from pkggen.publish.apt.listing import Dsc

SOURCE: Final = "source"
"""What a source package has in place of an architecture."""
COMPONENT: Final = "main"
"""The only component."""
SOURCES: Final = f"{COMPONENT}/source/Sources"
"""Path of the index of source packages below a suite."""

_FILENAME: Final = re.compile(r"^Filename: (.+)$", re.MULTILINE)
_LISTED: Final = re.compile(r"([0-9a-f]{64}) +([0-9]+) (main/[a-z0-9-]+/[A-Za-z]+(?:\.[gx]z)?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFile:
    """A file of the pool."""

    path: str
    """Relative to the root of the repository."""
    size: int
    """Bytes."""
    sha256: str
    """Digest, hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A package in an index."""

    name: str
    """Of the package."""
    version: str
    """With its epoch, if any."""
    architecture: str
    """Of Debian, `all`, or `source`."""
    fields: dict[str, str]
    """Its stanza."""
    files: tuple[PoolFile, ...]
    """What it consists of, at least one file."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies it in a suite; also the order of indices."""
        return self.name, self.version, self.architecture

    def __str__(self) -> str:
        return " ".join(self.key)


def deb_path(deb: Deb) -> str:
    """Return the place of a binary package."""
    name = f"{deb.name}_{without_epoch(deb.version)}_{deb.architecture}.deb"
    return f"{pool_directory(deb.source)}/{name}"


def dsc_path(dsc: Dsc) -> str:
    """Return the place of a .dsc."""
    return f"{pool_directory(dsc.name)}/{dsc.name}_{without_epoch(dsc.version)}.dsc"


def binary_entry(deb: Deb, size: int, sha256: str) -> Entry:
    """Return a binary package as the index lists it."""
    path = deb_path(deb)
    fields = {**deb.fields, "Filename": path, "Size": str(size), "SHA256": sha256}
    return _binary(fields)


def source_entry(dsc: Dsc, size: int, digests: Mapping[str, str]) -> Entry:
    """Return a source package as the index lists it.

    Args:
        dsc: The package.
        size: Bytes of the .dsc.
        digests: Its `md5` and `sha256`.
    """
    directory, _, name = dsc_path(dsc).rpartition("/")
    own = {"Source", "Files"}
    fields = {"Package": dsc.name}
    fields |= {
        name: value
        for name, value in dsc.listing.fields.items()
        if name not in own and not name.startswith("Checksums-")
    }
    fields["Directory"] = directory
    for field, kind in (("Files", "md5"), ("Checksums-Sha256", "sha256")):
        lines = [f"{digests[kind]} {size} {name}"]
        lines += [f"{file.digests[kind]} {file.size} {file.name}" for file in dsc.listing.files]
        fields[field] = "\n" + "\n".join(lines)
    return _source(fields)


def read_index(text: str, where: str) -> Iterator[Entry]:
    """Yield what an index of ours lists."""
    source = where.endswith(SOURCES)
    for fields in parse(text, where):
        yield _source(fields) if source else _binary(fields)


def used_paths(text: str, where: str) -> Iterator[str]:
    """Yield the paths of the pool that an index of ours lists."""
    if not where.endswith(SOURCES):
        yield from _FILENAME.findall(text)  # ten times faster than reading all of it
        return
    for entry in read_index(text, where):
        yield from (file.path for file in entry.files)


def _binary(fields: dict[str, str]) -> Entry:
    file = PoolFile(path=fields["Filename"], size=int(fields["Size"]), sha256=fields["SHA256"])
    return Entry(
        name=fields["Package"],
        version=fields["Version"],
        architecture=fields["Architecture"],
        fields=fields,
        files=(file,),
    )


def _source(fields: dict[str, str]) -> Entry:
    lines = [line.split(" ") for line in fields["Checksums-Sha256"].split("\n") if line]
    return Entry(
        name=fields["Package"],
        version=fields["Version"],
        architecture=SOURCE,
        fields=fields,
        files=tuple(
            PoolFile(path=f"{fields['Directory']}/{name}", size=int(size), sha256=digest)
            for digest, size, name in lines
        ),
    )


def packages_path(architecture: str) -> str:
    """Return the path of an index of binary packages below a suite."""
    return f"{COMPONENT}/binary-{architecture}/Packages"


def index_files(entries: Iterable[Entry], architectures: Sequence[str]) -> dict[str, bytes]:
    """Return all indices of a suite by their paths below it, plain, .gz and .xz.

    Args:
        entries: The packages of the suite.
        architectures: Of the repository; packages for `all` are in the index of each.
    """
    stanzas: dict[str, list[str]] = {packages_path(name): [] for name in architectures}
    stanzas[SOURCES] = []
    for entry in sorted(entries, key=lambda entry: entry.key):
        if entry.architecture == SOURCE:
            paths = [SOURCES]
        elif entry.architecture == "all":
            paths = [packages_path(name) for name in architectures]
        else:
            paths = [packages_path(entry.architecture)]
        text = render(entry.fields)
        for path in paths:
            stanzas[path].append(text)
    files = {}
    for path, texts in stanzas.items():
        data = "\n".join(texts).encode()
        files[path] = data
        files[f"{path}.gz"] = gzip.compress(data, mtime=0)
        files[f"{path}.xz"] = lzma.compress(data)
    return files


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What Release says of a suite."""

    date: int
    """In seconds since 1970."""
    listed: dict[str, tuple[int, str]]
    """Size and sha256 of the indices by their paths below the suite."""


def release_text(
    origin: str, suite: str, date: int, architectures: Sequence[str], files: Mapping[str, bytes]
) -> str:
    """Return the text of Release."""
    lines = (
        f"{hashlib.sha256(data).hexdigest()} {len(data)} {path}"
        for path, data in sorted(files.items())
    )
    fields = {
        "Origin": origin,
        "Label": origin,
        "Suite": suite,
        "Codename": suite,
        "Date": formatdate(date, usegmt=True).replace("GMT", "UTC"),
        "Acquire-By-Hash": "yes",
        "Architectures": " ".join(architectures),
        "Components": COMPONENT,
        "SHA256": "\n" + "\n".join(lines),
    }
    return render(fields)


def read_release(text: str, where: str) -> Release:
    """Read a Release of ours.

    Raises:
        InputError: it is none.
    """
    try:
        (fields,) = parse(text, where)
        listed = {}
        for line in filter(None, fields["SHA256"].split("\n")):
            digest, size, path = _LISTED.fullmatch(line).groups()  # type: ignore[union-attr]
            listed[path] = (int(size), digest)
        date = int(parsedate_to_datetime(fields["Date"].replace("UTC", "GMT")).timestamp())
    except (ValueError, KeyError, AttributeError) as error:
        raise InputError("not a Release file of pkggen", where=where) from error
    return Release(date=date, listed=listed)


def verified(data: bytes, release: Release, path: str, where: str) -> bytes:
    """Return the bytes of an index that Release lists.

    Raises:
        VerificationError: they are others.
    """
    if release.listed.get(path) != (len(data), hashlib.sha256(data).hexdigest()):
        raise VerificationError(
            "the index is not the one that was signed",
            where=where,
            hint="the published files are not as pkggen left them; restore them from a backup",
        )
    return data
