"""The licences that sources state themselves, in the opam files at the top of their archives.

A record has no opam file of a vendored directory, but it has the hash of its archive: what a
verified archive says of itself is as good as a recorded field.
"""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen import compression
from pkggen.errors import InputError, PkggenError
from pkggen.opam.switch import read_opam
from pkggen.sources.commits import find_commit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pkggen.sources.cache import Cache
    from pkggen.sources.model import Source, Use

_MAX_OPAM_BYTES: Final = 1024 * 1024


def cached_licences(sources: Iterable[Source], cache: Cache) -> dict[Use, tuple[str, ...]]:
    """Return what those sources state that are in the cache, by who uses them.

    Args:
        sources: From `collect_sources`.
        cache: Its archives were verified and inspected when they came in.

    Returns:
        Licences as written, each once, sorted. A source is left out when it is not in the cache,
        has no opam file, or has one without a licence or that cannot be read: then nobody can
        tell what holds for all of it.
    """
    found: dict[Use, tuple[str, ...]] = {}
    for source in sources:
        path = _path(source, cache)
        if path is not None and (licences := stated_licences(path, source.file_name)):
            found |= dict.fromkeys(source.users, licences)
    return found


def stated_licences(archive: Path, where: str) -> tuple[str, ...]:
    """Return the licences that all opam files at the top of an archive state together.

    Args:
        archive: A tar, compressed or not, or a zip.
        where: Its name, for messages.

    Returns:
        Licences as written, each once, sorted; empty if one of the opam files states none.

    Raises:
        InputError: the archive cannot be read.
    """
    licences: set[str] = set()
    try:
        for name, data in _opam_files(archive):
            try:
                stated = read_opam(data, f"{where}: {name}", name).licences
            except PkggenError:
                stated = ()
            if not stated:
                return ()
            licences.update(stated)
    except (
        *compression.ERRORS,
        *(tarfile.TarError, zipfile.BadZipFile, ValueError, OverflowError, RuntimeError),
    ) as error:
        raise InputError(f"the archive cannot be read: {error}", where=where) from error
    return tuple(sorted(licences))


def _path(source: Source, cache: Cache) -> Path | None:
    if source.kind == "git":
        commit = find_commit(source, cache)
        return None if commit is None else commit.path
    found = cache.find(source.checksums) if source.kind == "archive" else None
    return None if found is None else found[0]


def _opam_files(archive: Path) -> Iterator[tuple[str, bytes]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                if _is_opam(entry.filename) and entry.file_size <= _MAX_OPAM_BYTES:
                    yield entry.filename, packed.read(entry)
        return
    with tarfile.open(archive) as unpacked:
        for member in unpacked:
            if member.isfile() and _is_opam(member.name) and member.size <= _MAX_OPAM_BYTES:
                file = unpacked.extractfile(member)
                if file is not None:
                    yield member.name, file.read()


def _is_opam(name: str) -> bool:
    """Tell `top/opam`, `top/NAME.opam` and `top/opam/…`, where opam looks for packages."""
    parts = [part for part in PurePosixPath(name).parts if part != "."][1:]
    match parts:
        case [file]:
            return file == "opam" or file.endswith(".opam")
        case ["opam", file]:
            return file == "opam" or file.endswith(".opam")
    return False
