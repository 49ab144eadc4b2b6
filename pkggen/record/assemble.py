"""From the files that a reader found to a checked `Record`."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, PkggenError, VerificationError, raise_all
from pkggen.opam.switch import read_switch
from pkggen.record.artifact import RECORD_FILE, distinct_paths, measure
from pkggen.record.elf import solo5_image
from pkggen.record.identity import identifier
from pkggen.record.manifest import read_manifest
from pkggen.record.metadata import read_build_hashes, read_environment, read_system_packages
from pkggen.record.model import (
    BUILD_HASHES_SUFFIX,
    ENVIRONMENT_FILE,
    MAX_ARTIFACT_BYTES,
    MAX_METADATA_BYTES,
    SWITCH_FILE,
    SYSTEM_PACKAGES_FILE,
    Artifact,
    Record,
    Solo5Image,
)

if TYPE_CHECKING:
    from pkggen.record.artifact import RawBuild
    from pkggen.record.model import Content

_METADATA_FILES: Final = frozenset({SWITCH_FILE, ENVIRONMENT_FILE, SYSTEM_PACKAGES_FILE})
_NOT_BUILT: Final = frozenset({"README", "README.md"})
"""About the job or left by whoever keeps the directory; builder-web drops README.md as well."""
_BINARIES: Final = PurePosixPath("bin")


def assemble(raw: RawBuild) -> Record:
    """Return the record of a build, every file of it hashed and every stated hash checked.

    Args:
        raw: What a reader found; when `record.json` is among the files, they must be exactly the
            ones it lists.

    Raises:
        InputError: a file is missing, not readable, or not what its name says.
        VerificationError: bytes do not have a stated size or hash.
        Faults: several of these.
    """
    image_path: PurePosixPath | None = None
    saved = next((file for file in raw.files if file.path == RECORD_FILE), None)
    if saved is not None:
        where = f"{raw.source}: {RECORD_FILE}"
        manifest = read_manifest(_metadata_bytes(saved.content, where), where)
        raw = manifest.apply(raw)
        image_path = manifest.image
    else:
        raw = replace(raw, files=tuple(file for file in raw.files if file.path not in _NOT_BUILT))
    paths = distinct_paths(tuple(file.path for file in raw.files), raw.source)
    files, md5s = _measured(raw, paths)
    metadata = tuple(file for file in files if is_metadata(file.path))
    artifacts = tuple(file for file in files if not is_metadata(file.path))
    contents = {
        str(file.path): verified_bytes(file, f"{raw.source}: {file.path}") for file in metadata
    }
    for required in (SWITCH_FILE, ENVIRONMENT_FILE):
        if required not in contents:
            raise InputError(
                f"there is no {required}",
                where=raw.source,
                hint="pkggen needs what `orb build` leaves: opam-switch, build-environment, "
                "system-packages and the built files",
            )
    switch = read_switch(contents[SWITCH_FILE], f"{raw.source}: {SWITCH_FILE}")
    environment = read_environment(contents[ENVIRONMENT_FILE], f"{raw.source}: {ENVIRONMENT_FILE}")
    hosted = contents.get(SYSTEM_PACKAGES_FILE)
    _check_build_hashes(raw.source, contents, md5s)
    image, solo5 = _main_image(artifacts, raw.source)
    if saved is not None and image_path != (image and image.path):
        raise InputError(
            f"{RECORD_FILE} says that the main image is {image_path}, the files say "
            f"{image and image.path}",
            where=raw.source,
        )
    job = raw.job if raw.job is not None else environment.get("ORB_BUILDING_PACKAGE")
    if job is None:  # only then must the switch have exactly one root
        job = switch.root.name
    return Record(
        source=raw.source,
        job=identifier(job, "job", raw.source),
        platform=None if raw.platform is None else identifier(raw.platform, "platform", raw.source),
        started=raw.started,
        finished=raw.finished,
        origin=raw.origin,
        switch=switch,
        environment=environment,
        system_packages=None
        if hosted is None
        else read_system_packages(hosted, f"{raw.source}: {SYSTEM_PACKAGES_FILE}", environment),
        artifacts=artifacts,
        metadata=metadata,
        image=image,
        solo5=solo5,
    )


def is_metadata(path: PurePosixPath) -> bool:
    """Return whether a file of this path describes the build and is not built by it."""
    name = str(path)
    return name in _METADATA_FILES or ("/" not in name and name.endswith(BUILD_HASHES_SUFFIX))


def verified_bytes(file: Artifact, where: str) -> bytes:
    """Return a metadata file, whose bytes may have changed since they were hashed.

    Raises:
        InputError: it cannot be read any more.
        VerificationError: it has changed.
    """
    data = _metadata_bytes(file.content, where)
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise VerificationError(
            f"changed since it was read: sha256 {file.sha256}, found {found}", where=where
        )
    return data


def no_image_reason(record: Record) -> str:
    """Return why a record has no main image, as a clause for a message."""
    binaries = [str(file.path) for file in record.artifacts if _BINARIES in file.path.parents]
    if not binaries:
        return "it holds no file under bin/"
    return f"not exactly one of its files under bin/ is a Solo5 image: {', '.join(binaries[:10])}"


def _measured(
    raw: RawBuild, paths: tuple[PurePosixPath, ...]
) -> tuple[list[Artifact], dict[PurePosixPath, str]]:
    """Return the files sorted by path, and their md5s."""
    faults: list[PkggenError] = []
    files, md5s = [], {}
    for path, file in sorted(zip(paths, raw.files, strict=True), key=lambda pair: pair[0].parts):
        where = f"{raw.source}: {path}"
        try:
            limit = MAX_METADATA_BYTES if is_metadata(path) else MAX_ARTIFACT_BYTES
            with file.content.open() as content:
                found = measure(content, where, limit)
            _compare("size", file.size, found.size, where)
            _compare("sha256", file.sha256, found.sha256, where)
        except PkggenError as fault:
            faults.append(fault)
            continue
        md5s[path] = found.md5
        files.append(
            Artifact(path=path, size=found.size, sha256=found.sha256, content=file.content)
        )
    raise_all(faults)
    return files, md5s


def _compare(what: str, stated: int | str | None, found: int | str, where: str) -> None:
    if stated is not None and stated != found:
        raise VerificationError(f"recorded {what} {stated}, found {found}", where=where)


def _metadata_bytes(content: Content, where: str) -> bytes:
    with content.open() as file:
        size = file.seek(0, os.SEEK_END)
        if size > MAX_METADATA_BYTES:
            raise InputError(
                f"larger than the {MAX_METADATA_BYTES} bytes that metadata may have", where=where
            )
        file.seek(0)
        return file.read(size)


def _check_build_hashes(
    source: str, contents: dict[str, bytes], md5s: dict[PurePosixPath, str]
) -> None:
    """Compare files with orb's md5s; builder-web keeps only some of the files that orb lists."""
    faults: list[PkggenError] = []
    for name in sorted(name for name in contents if name.endswith(BUILD_HASHES_SUFFIX)):
        stated = read_build_hashes(contents[name], f"{source}: {name}")
        faults += [
            VerificationError(
                f"md5 {digest} in {name}, found {md5s[path]}", where=f"{source}: {path}"
            )
            for path, digest in stated.items()
            if path in md5s and md5s[path] != digest
        ]
    raise_all(faults)


def _main_image(
    artifacts: tuple[Artifact, ...], source: str
) -> tuple[Artifact, Solo5Image] | tuple[None, None]:
    """Return the one Solo5 image under bin/; builder-web wants a single file there, orb may not."""
    images = []
    for artifact in artifacts:
        if _BINARIES in artifact.path.parents:
            with artifact.content.open() as content:
                if (solo5 := solo5_image(content, f"{source}: {artifact.path}")) is not None:
                    images.append((artifact, solo5))
    return images[0] if len(images) == 1 else (None, None)
