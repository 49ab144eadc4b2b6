"""The file `full` of robur's builder as source.

It is ASN.1 DER that may hold gigabytes; it is walked in place instead of being decoded, and a file
in it becomes an offset and a length. Strings are raw bytes under the tag of UTF8String.

Source: builder `lib/builder.ml` (the ASN.1 grammar) and X.690 (DER).
"""

from __future__ import annotations

import mmap
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError
from pkggen.record.artifact import RawBuild, RawFile, SliceContent, open_file
from pkggen.record.model import MAX_ARTIFACTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_INTEGER: Final = 0x02
_UTF8: Final = 0x0C
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_SEQUENCE: Final = 0x30
_CONTEXT: Final = 0xA0
_OUTCOMES: Final = ("exited with", "was ended by signal", "was stopped by signal", "failed with")
_UNKNOWN_PLATFORM: Final = "no-platform"
_MAX_CONSOLE_ENTRIES: Final = 1_000_000
_MAX_INTEGER_BYTES: Final = 16
_SHOWN_LINES: Final = 5
_TIME: Final = re.compile(rb"(\d\d)?\d\d(\d\d){5}Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exec:
    """One run of a job."""

    job: str
    """Name of the job."""
    platform: str
    """Name of the platform; `no-platform` when the file is older than platforms."""
    uuid: str
    """UUID of the build, lower case with hyphens."""
    started: datetime
    """Start of the build in UTC."""
    finished: datetime
    """End of the build in UTC."""
    files: tuple[RawFile, ...]
    """What the build left, as slices of the file."""


def read_exec(path: Path, source: str) -> RawBuild:
    """Return the build that a `full` file holds.

    Args:
        path: The file; its artefacts stay inside it.
        source: How the user named it.

    Raises:
        InputError: it is not such a file, or the build failed.
    """
    run = parse_exec(path, source)
    return RawBuild(
        source=source,
        job=run.job,
        platform=run.platform,
        started=run.started,
        finished=run.finished,
        files=run.files,
    )


def parse_exec(path: Path, source: str) -> Exec:
    """Return everything that pkggen wants of a `full` file.

    Args:
        path: The file; its artefacts stay inside it.
        source: Its name for messages.

    Raises:
        InputError: it is not such a file, or the build failed.
    """
    with open_file(path) as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise InputError(f"cannot be read: {error}", where=source) from error
        with data:
            return _exec(_Walk(data, source), path)


@dataclass(frozen=True, slots=True)
class _Element:
    """Tag of an element and where its content lies."""

    tag: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Walk:
    """Strict DER over mapped bytes: definite, shortest lengths that stay inside the parent."""

    data: mmap.mmap
    source: str

    def element(self, position: int, end: int) -> _Element:
        if end - position < 2:
            raise self.fault(position, "an element is cut off")
        tag, length = self.data[position], self.data[position + 1]
        start = position + 2
        if length >= 0x80:
            start += length & 0x7F
            encoded = self.data[position + 2 : min(start, end)]
            length = int.from_bytes(encoded, "big")
            if not 1 <= len(encoded) <= 8 or length < 0x80 or encoded[0] == 0:
                raise self.fault(position, "a length is not DER")
        if length > end - start:
            raise self.fault(position, "an element is longer than what holds it")
        return _Element(tag, start, start + length)

    def children(self, parent: _Element, limit: int = 8) -> Iterator[_Element]:
        position = parent.start
        while position < parent.end:
            if not limit:
                raise self.fault(position, "too many elements")
            limit -= 1
            child = self.element(position, parent.end)
            yield child
            position = child.end

    def sequence(self, element: _Element, *tags: int) -> list[_Element]:
        """Return the children of a sequence whose tags must be these."""
        self.expect(element, _SEQUENCE)
        found = list(self.children(element))
        if tuple(child.tag for child in found) != tags:
            raise self.fault(element.start, "a sequence does not have the elements of builder's")
        return found

    def only_child(self, parent: _Element) -> _Element:
        found = list(self.children(parent, 1))
        if not found:
            raise self.fault(parent.start, "nothing inside")
        return found[0]

    def expect(self, element: _Element, *tags: int) -> _Element:
        if element.tag not in tags:
            raise self.fault(element.start, f"unexpected tag {element.tag:#04x}")
        return element

    def content(self, element: _Element, limit: int) -> bytes:
        if element.end - element.start > limit:
            raise self.fault(element.start, f"a value of more than {limit} bytes")
        return self.data[element.start : element.end]

    def text(self, element: _Element) -> str:
        self.expect(element, _UTF8)
        try:
            return self.content(element, 4096).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.fault(element.start, "a name is not UTF-8") from error

    def fault(self, position: int, message: str) -> InputError:
        return InputError(
            f"{message} (byte {position})",
            where=self.source,
            hint="expected the file `full` of a build of robur's builder",
        )


def _exec(walk: _Walk, path: Path) -> Exec:
    choice = walk.expect(walk.element(0, len(walk.data)), _CONTEXT)
    if choice.end != len(walk.data):
        raise walk.fault(choice.end, "bytes after the end")
    run = walk.expect(walk.only_child(choice), _SEQUENCE)
    parts = list(walk.children(run))
    if len(parts) != 6:
        raise walk.fault(run.start, "a run does not have 6 parts")
    job, identity, console, times, result, output = parts
    name, platform = _job(walk, job)
    started, finished = _times(walk, times)
    _check_success(walk, result, console)
    raw_uuid = walk.content(walk.expect(identity, _UTF8), 16)
    if len(raw_uuid) != 16:
        raise walk.fault(identity.start, "a UUID is not 16 bytes long")
    return Exec(
        job=name,
        platform=platform,
        uuid=str(uuid.UUID(bytes=raw_uuid)),
        started=started,
        finished=finished,
        files=tuple(_files(walk, output, path)),
    )


def _job(walk: _Walk, job: _Element) -> tuple[str, str]:
    tags = (_UTF8, _UTF8, _SEQUENCE)
    if len(list(walk.children(job))) == len(tags):
        name, _, _ = walk.sequence(job, *tags)
        return walk.text(name), _UNKNOWN_PLATFORM
    name, _, _, platform = walk.sequence(job, *tags, _UTF8)
    return walk.text(name), walk.text(platform)


def _times(walk: _Walk, times: _Element) -> tuple[datetime, datetime]:
    walk.expect(times, _SEQUENCE)
    found = [_time(walk, element) for element in walk.children(times, 2)]
    if len(found) != 2:
        raise walk.fault(times.start, "not two times")
    return found[0], found[1]


def _time(walk: _Walk, element: _Element) -> datetime:
    walk.expect(element, _UTC_TIME, _GENERALIZED_TIME)
    text = walk.content(element, 32)
    generalized = element.tag == _GENERALIZED_TIME
    if not _TIME.fullmatch(text) or len(text) != (15 if generalized else 13):
        raise walk.fault(element.start, "a time is not YYYYMMDDHHMMSSZ or YYMMDDHHMMSSZ")
    # Builds are younger than 2000, whatever the century rule of UTCTime says.
    digits = text[:-1].decode("ascii") if generalized else "20" + text[:-1].decode("ascii")
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise walk.fault(element.start, "a time that does not exist") from error


def _check_success(walk: _Walk, result: _Element, console: _Element) -> None:
    outcome = result.tag - _CONTEXT
    if not 0 <= outcome < len(_OUTCOMES):
        raise walk.fault(result.start, "an unknown kind of result")
    value = walk.only_child(result)
    kind, limit = (_UTF8, 4096) if outcome == 3 else (_INTEGER, _MAX_INTEGER_BYTES)
    content = walk.content(walk.expect(value, kind), limit)
    if (outcome, content) == (0, b"\0"):
        return
    what = (
        content.decode("utf-8", "replace")
        if outcome == 3
        else str(int.from_bytes(content, "big", signed=True))
    )
    raise InputError(
        f"the build {_OUTCOMES[outcome]} {what!r}; the end of its console:\n"
        + "\n".join(f"  {line}" for line in _last_lines(walk, console)),
        where=walk.source,
        hint="packages are made from successful builds only",
    )


def _last_lines(walk: _Walk, console: _Element) -> list[str]:
    """Return the last lines of the console, oldest first; it is recorded newest first."""
    walk.expect(console, _SEQUENCE)
    lines: list[str] = []
    for entry in walk.children(console, _MAX_CONSOLE_ENTRIES):
        _, text = walk.sequence(entry, _INTEGER, _UTF8)
        shown = walk.data[text.start : min(text.end, text.start + 500)].decode("utf-8", "replace")
        lines.insert(0, "".join(c if c.isprintable() else "·" for c in shown.rstrip()))
        if len(lines) == _SHOWN_LINES:
            break
    return lines


def _files(walk: _Walk, output: _Element, path: Path) -> Iterator[RawFile]:
    walk.expect(output, _SEQUENCE)
    for entry in walk.children(output, MAX_ARTIFACTS):
        name, data = walk.sequence(entry, _UTF8, _UTF8)
        yield RawFile(
            path=walk.text(name), content=SliceContent(path, data.start, data.end - data.start)
        )
