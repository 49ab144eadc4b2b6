"""Files of a build on their way into a `Record`: paths, where the bytes are, and hashes."""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Final

from pkggen.errors import InputError, PkggenError, raise_all
from pkggen.record.model import MAX_ARTIFACT_BYTES, MAX_ARTIFACTS, Content, Origin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

RECORD_FILE: Final = "record.json"
"""Reserved for what `save` writes; no artefact may have this path or lie below it."""

CHUNK_BYTES: Final = 1024 * 1024
_MAX_PATH_BYTES: Final = 4096
_MAX_COMPONENT_BYTES: Final = 255


@dataclass(frozen=True, slots=True)
class FileContent:
    """All bytes of a file."""

    path: Path
    """The file."""

    def open(self) -> AbstractContextManager[BinaryIO]:
        """Open the file.

        Raises:
            InputError: it cannot be opened any more.
        """
        return open_file(self.path)


@dataclass(frozen=True, slots=True)
class SliceContent:
    """Some consecutive bytes of a file, such as a member of an archive."""

    path: Path
    """The file."""
    offset: int
    """Where they start, in bytes from 0."""
    length: int
    """How many they are."""

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the bytes; what the file holds around them cannot be read.

        Raises:
            InputError: the file cannot be opened any more.
        """
        with open_file(self.path) as file, io.BufferedReader(_Slice(file, self)) as part:
            yield part


class _Slice(io.RawIOBase):
    """Read-only, seekable view of the bytes of a `SliceContent`."""

    def __init__(self, file: BinaryIO, content: SliceContent) -> None:
        self._file = file
        self._content = content
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._content.length}
        self._position = base[whence] + offset
        if self._position < 0:
            raise ValueError("seek to before the first byte")
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        wanted = max(0, min(len(buffer), self._content.length - self._position))
        self._file.seek(self._content.offset + self._position)
        data = self._file.read(wanted)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFile:
    """A file of a build before it is hashed."""

    path: str
    """Path as recorded; not checked yet."""
    content: Content
    """Where the bytes are."""
    size: int | None = None
    """Bytes that the source states; None when it states nothing."""
    sha256: str | None = None
    """Hash that the source states, in lower case; None when it states nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawBuild:
    """What a reader finds: the one interface between the kinds of source and `assemble`."""

    source: str
    """What the user named: a path or URL, for messages."""
    files: tuple[RawFile, ...]
    """Every file of the build, metadata included."""
    job: str | None = None
    """Name of the job; None when only the metadata can tell."""
    platform: str | None = None
    """Name of the build platform; None when the source does not state it."""
    started: datetime | None = None
    """Start of the build in UTC; None when the source does not state it."""
    finished: datetime | None = None
    """End of the build in UTC; None when the source does not state it."""
    origin: Origin | None = None
    """Where anybody can fetch the build; None for one that only exists here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Size and hashes of some bytes."""

    size: int
    """Bytes."""
    sha256: str
    """Lower-case hexadecimal digits."""
    md5: str
    """Lower-case hexadecimal digits; only for orb's build-hashes, never trusted alone."""


@contextmanager
def open_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading.

    Raises:
        InputError: it cannot be opened.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    with file:
        yield file


def measure(file: BinaryIO, where: str, limit: int = MAX_ARTIFACT_BYTES) -> Measure:
    """Return size and hashes of the rest of a file, read once and in pieces.

    Args:
        file: Open at the first byte to read.
        where: Name of the file for messages.
        limit: Most bytes to accept.

    Raises:
        InputError: there are more than `limit` bytes, or they cannot be read.
    """
    sha256 = hashlib.sha256()
    md5 = hashlib.md5(usedforsecurity=False)
    size = 0
    try:
        while chunk := file.read(CHUNK_BYTES):
            size += len(chunk)
            if size > limit:
                raise InputError(f"larger than the {limit} bytes that pkggen accepts", where=where)
            sha256.update(chunk)
            md5.update(chunk)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=where) from error
    return Measure(size=size, sha256=sha256.hexdigest(), md5=md5.hexdigest())


def relative_path(text: str, where: str) -> PurePosixPath:
    """Return the path of an artefact once it is safe to use below any directory.

    Args:
        text: Path as recorded.
        where: Name of what holds the file, for messages.

    Raises:
        InputError: it is absolute, empty, too long, leaves its directory, or has characters that
            no artefact needs.
    """
    if fault := _path_fault(text):
        shown = text if text.isprintable() else ascii(text)
        raise InputError(f"the path {shown[:200]!r} of an artefact {fault}", where=where)
    return PurePosixPath(text)


def _path_fault(text: str) -> str | None:
    components = text.split("/")
    lengths = [len(part.encode(errors="replace")) for part in components]
    faults = (
        (not text.isprintable(), "has control characters or is not UTF-8"),
        ("\\" in text, "has a backslash"),
        (text.startswith("/"), "is absolute"),
        (bool({"", ".", ".."} & set(components)), "has an empty component, `.` or `..`"),
        (sum(lengths) + len(lengths) > _MAX_PATH_BYTES, f"is longer than {_MAX_PATH_BYTES} bytes"),
        (
            max(lengths) > _MAX_COMPONENT_BYTES,
            f"has a component longer than {_MAX_COMPONENT_BYTES} bytes",
        ),
        (components[0] == RECORD_FILE, f"uses the reserved name {RECORD_FILE}"),
    )
    return next((fault for holds, fault in faults if holds), None)


def distinct_paths(texts: tuple[str, ...], where: str) -> tuple[PurePosixPath, ...]:
    """Return the checked paths of all files of one build, in the given order.

    Args:
        texts: Paths as recorded.
        where: Name of what holds the files, for messages.

    Raises:
        InputError: a path is not safe, occurs twice, or is a file and a directory.
        Faults: several of these.
    """
    if len(texts) > MAX_ARTIFACTS:
        raise InputError(f"more than {MAX_ARTIFACTS} files", where=where)
    faults: list[PkggenError] = []
    paths: dict[PurePosixPath, None] = {}
    for text in texts:
        try:
            path = relative_path(text, where)
        except InputError as fault:
            faults.append(fault)
            continue
        if path in paths:
            faults.append(InputError(f"two files have the path {path}", where=where))
        paths[path] = None
    directories = {parent for path in paths for parent in path.parents}
    faults += [
        InputError(f"{path} is both a file and a directory", where=where)
        for path in paths
        if path in directories
    ]
    raise_all(faults)
    return tuple(paths)
