"""`record.json`: what a saved record adds to orb's own files, and the sum over all of them.

Its shape, version 1.x: later minor versions may add keys, which this reader skips.

    {"schema": "1.0.0", "job": str, "platform": str|null, "started": TIME|null,
     "finished": TIME|null, "origin": {"server": str, "job": str, "build": UUID}|null,
     "image": PATH|null, "metadata": [FILE], "artifacts": [FILE]}
    FILE = {"path": PATH, "size": int, "sha256": HEX}      TIME = RFC 3339 in UTC
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from pkggen.errors import InputError, PkggenError, raise_all
from pkggen.record.artifact import RECORD_FILE, RawBuild, relative_path
from pkggen.record.identity import SHA256, UUID, identifier, parse_time, server_url
from pkggen.record.model import Artifact, Origin, Record

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable
    from pathlib import PurePosixPath

SCHEMA: Final = "1.0.0"
"""Version that `write_manifest` writes; every version with the same first number is read."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A checked `record.json`."""

    job: str
    """Name of the job."""
    platform: str | None
    """Name of the build platform; None when it was not recorded."""
    started: datetime | None
    """Start of the build in UTC; None when it was not recorded."""
    finished: datetime | None
    """End of the build in UTC; None when it was not recorded."""
    origin: Origin | None
    """Where anybody can fetch the build."""
    image: PurePosixPath | None
    """Path of the main image."""
    files: tuple[tuple[str, int, str], ...]
    """Path, size in bytes and sha256 of every file, metadata included."""

    def apply(self, raw: RawBuild) -> RawBuild:
        """Return the build with what this file states, its own file left out.

        Raises:
            InputError: a listed file is missing, or one is there that is not listed.
            Faults: several of these.
        """
        present = {file.path: file for file in raw.files if file.path != RECORD_FILE}
        listed = {path for path, _, _ in self.files}
        faults: list[PkggenError] = [
            InputError(f"{path} is missing", where=raw.source)
            for path in sorted(listed - present.keys())
        ]
        faults += [
            InputError(f"{path} is not listed in {RECORD_FILE}", where=raw.source)
            for path in sorted(present.keys() - listed)
        ]
        raise_all(faults)
        return RawBuild(
            source=raw.source,
            job=self.job,
            platform=self.platform,
            started=self.started,
            finished=self.finished,
            origin=self.origin,
            files=tuple(
                replace(present[path], size=size, sha256=sha256)
                for path, size, sha256 in self.files
            ),
        )


def write_manifest(record: Record) -> bytes:
    """Return the `record.json` of a record: the same bytes for the same record."""
    origin = record.origin
    document = {
        "schema": SCHEMA,
        "job": record.job,
        "platform": record.platform,
        "started": _rfc3339(record.started),
        "finished": _rfc3339(record.finished),
        "origin": origin and {"server": origin.server, "job": origin.job, "build": origin.build},
        "image": record.image and str(record.image.path),
        "metadata": _entries(record.metadata),
        "artifacts": _entries(record.artifacts),
    }
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def read_manifest(data: bytes, file: str) -> Manifest:
    """Return a checked `record.json`.

    Args:
        data: The whole file.
        file: Its name for messages.

    Raises:
        InputError: it is not JSON, has another schema, or a value has the wrong type or form; the
            message names the value's place, e.g. `$.artifacts[3].size`.
    """
    try:
        document = json.loads(data, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}", where=file) from error
    top = _Node(document, "$", file)
    _check_schema(top.key("schema"))
    return Manifest(
        job=top.key("job").a(str),
        platform=top.key("platform").optional(lambda node: node.a(str)),
        started=top.key("started").optional(_Node.time),
        finished=top.key("finished").optional(_Node.time),
        origin=top.key("origin").optional(_origin),
        image=top.key("image").optional(lambda node: relative_path(node.a(str), file)),
        files=tuple(
            _file(node) for key in ("metadata", "artifacts") for node in top.key(key).elements()
        ),
    )


@dataclass(frozen=True, slots=True)
class _Node:
    """A value of the document, its place in it, and the name of the file."""

    value: object
    place: str
    file: str

    def a(self, kind: type[_T]) -> _T:
        # bool is a subclass of int, but `true` is no size.
        if not isinstance(self.value, kind) or isinstance(self.value, bool):
            raise self.fault(f"not {_KIND_NAMES[kind]}")
        return self.value

    def key(self, name: str) -> _Node:
        document = self.a(dict)
        if name not in document:
            raise self.fault(f"has no {name!r}")
        return _Node(document[name], f"{self.place}.{name}", self.file)

    def elements(self) -> list[_Node]:
        return [
            _Node(value, f"{self.place}[{index}]", self.file)
            for index, value in enumerate(self.a(list))
        ]

    def optional(self, read: Callable[[_Node], _T]) -> _T | None:
        return None if self.value is None else read(self)

    def matching(self, pattern: re.Pattern[str], what: str) -> str:
        text = self.a(str)
        if not pattern.fullmatch(text):
            raise self.fault(f"not {what}")
        return text

    def time(self) -> datetime:
        return parse_time(self.a(str), f"{self.file}: {self.place}")

    def fault(self, message: str) -> InputError:
        return InputError(message, where=f"{self.file}: {self.place}")


_KIND_NAMES: Final[dict[type, str]] = {
    str: "a string",
    int: "a whole number",
    list: "a list",
    dict: "an object",
}


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in found if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:80]!r} is given twice")
    return found


def _check_schema(node: _Node) -> None:
    from semver import VersionInfo  # noqa: PLC0415 - takes 30 ms

    try:
        version = VersionInfo.parse(node.a(str))
    except ValueError as error:
        raise node.fault("not a version such as 1.0.0") from error
    if version.major != VersionInfo.parse(SCHEMA).major:
        raise InputError(
            f"schema {version} is not one that this pkggen reads ({SCHEMA})",
            where=f"{node.file}: {node.place}",
            hint="fetch the build again with `pkggen record`, or use the pkggen that wrote it",
        )


def _origin(node: _Node) -> Origin:
    return Origin(
        server=server_url(node.key("server").a(str), f"{node.file}: {node.place}.server"),
        job=identifier(node.key("job").a(str), "job", f"{node.file}: {node.place}.job"),
        build=node.key("build").matching(UUID, "a UUID in lower case"),
    )


def _file(node: _Node) -> tuple[str, int, str]:
    size = node.key("size").a(int)
    if size < 0:
        raise node.key("size").fault("negative")
    return (
        node.key("path").a(str),
        size,
        node.key("sha256").matching(SHA256, "64 lower-case hexadecimal digits"),
    )


def _entries(files: Iterable[Artifact]) -> list[dict[str, str | int]]:
    return [{"path": str(file.path), "size": file.size, "sha256": file.sha256} for file in files]


def _rfc3339(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat().replace("+00:00", "Z")
