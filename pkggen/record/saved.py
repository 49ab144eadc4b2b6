"""Writing a record to a directory that `read_directory` reads back."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from typing import TYPE_CHECKING

from pkggen.errors import InputError, VerificationError
from pkggen.record.artifact import CHUNK_BYTES, RECORD_FILE
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.record.manifest import write_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.record.model import Artifact, Record


def save(record: Record, directory: Path) -> None:
    """Write all files of a record and `record.json`, complete or not at all.

    The files are written and hashed in a new directory beside `directory`, which takes its place
    at the end. Saving the same record again changes nothing.

    Args:
        record: The record.
        directory: Where to; missing, empty, or holding this very record.

    Raises:
        InputError: the directory holds something else, or cannot be written.
        VerificationError: a file does not have its hash any more, or the saved ones are damaged.
    """
    manifest = write_manifest(record)
    try:
        if _holds(directory, manifest):
            return
        if os.path.lexists(directory) and (not directory.is_dir() or any(directory.iterdir())):
            raise InputError(
                "already holds something else",
                where=str(directory),
                hint="name another directory, or remove this one",
            )
        _write(record, manifest, directory)
    except OSError as error:
        raise InputError(
            f"cannot save the record: {error.strerror}", where=str(directory)
        ) from error


def _holds(directory: Path, manifest: bytes) -> bool:
    file = directory / RECORD_FILE
    if not file.is_file() or file.stat().st_size != len(manifest):
        return False
    if file.read_bytes() != manifest:
        return False
    assemble(read_directory(directory, str(directory)))
    return True


def _write(record: Record, manifest: bytes, directory: Path) -> None:
    target = directory.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    draft.mkdir()
    try:
        for file in (*record.metadata, *record.artifacts):
            _copy(file, draft / file.path)
        (draft / RECORD_FILE).write_bytes(manifest)
        draft.replace(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _copy(file: Artifact, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    sha256 = hashlib.sha256()
    with file.content.open() as source, target.open("xb") as copy:
        while chunk := source.read(CHUNK_BYTES):
            sha256.update(chunk)
            copy.write(chunk)
    if sha256.hexdigest() != file.sha256:
        raise VerificationError(
            f"changed since it was read: sha256 {file.sha256}, found {sha256.hexdigest()}",
            where=str(file.path),
        )
