"""orb's text files: build-environment, system-packages and build-hashes.

Sources: orb `src/orb.ml`; opam `src/format/opamFile.ml` (Changes) and `src/core/opamDirTrack.ml`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError
from pkggen.opam.parser import parse
from pkggen.opam.values import Field, Option
from pkggen.record.artifact import relative_path
from pkggen.record.model import Environment, SystemPackage

if TYPE_CHECKING:
    from pathlib import PurePosixPath

    from pkggen.opam.values import Value

_MAX_LINES: Final = 100_000
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_PACKAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:-]*")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:~,-]*")
_DIGEST: Final = re.compile(r"F:[0-9a-f]{32}")
_CHANGES: Final = {"added", "removed", "contents-changed", "perm-changed", "kind-changed"}


def read_environment(data: bytes, file: str) -> Environment:
    """Return the variables of a build-environment file.

    Args:
        data: The whole file: `NAME=value` lines without quoting, split at the first `=`.
        file: Its name for messages.

    Raises:
        InputError: it is not UTF-8, has control characters, or has a line without a name and `=`.
    """
    variables = []
    for number, line in _lines(data, file):
        name, equals, value = line.partition("=")
        if not equals or not name or not name.isprintable() or " " in name:
            raise InputError("not a NAME=value line", where=f"{file}:{number}")
        variables.append((name, value))
    return Environment(variables=tuple(variables))


def read_system_packages(
    data: bytes, file: str, environment: Environment
) -> tuple[SystemPackage, ...]:
    """Return the packages of the build host, sorted by name and version, each once.

    dpkg lists a package once per architecture, so equal lines are legal.

    Args:
        data: The whole file: `name-version` lines on FreeBSD (`pkg query %n-%v`), `name=version`
            lines on the Debian family (`dpkg-query`).
        file: Its name for messages.
        environment: Tells on which system the build ran.

    Raises:
        InputError: the system writes no such file, or a line does not have its form.
    """
    on_freebsd = environment.get("OS") == "freebsd"
    if not on_freebsd and environment.get("OS_FAMILY") != "debian":
        raise InputError(
            f"orb lists no packages on OS={environment.get('OS')}, "
            f"OS_FAMILY={environment.get('OS_FAMILY')}",
            where=file,
            hint="orb knows FreeBSD and the Debian family; see build-environment",
        )
    packages = set()
    for number, line in _lines(data, file):
        name, _, version = line.rpartition("-") if on_freebsd else line.partition("=")
        if not _PACKAGE.fullmatch(name) or not _VERSION.fullmatch(version):
            form = "name-version" if on_freebsd else "name=version"
            raise InputError(f"not a {form} line: {line[:200]!r}", where=f"{file}:{number}")
        packages.add((name, version))
    return tuple(SystemPackage(name=name, version=version) for name, version in sorted(packages))


def read_build_hashes(data: bytes, file: str) -> dict[PurePosixPath, str]:
    """Return the md5 of each regular file that the build added or changed.

    Args:
        data: The whole file, in opam's Changes format.
        file: Its name for messages.

    Returns:
        Path to 32 lower-case hexadecimal digits. Directories, links and removed files are left out.

    Raises:
        InputError: it is not such a file, or names a file twice.
    """
    found: dict[PurePosixPath, str] = {}
    for item in parse(_text(data, file), file).items:
        if not isinstance(item, Field) or item.name not in {"opam-version", *_CHANGES}:
            raise InputError("not opam's list of changes", where=file)
        if item.name not in {"added", "contents-changed"}:
            continue
        for entry in item.value if isinstance(item.value, tuple) else (item.value,):
            path, digest = _change(entry, file)
            if digest.startswith("F:"):
                if path in found:
                    raise InputError(f"two digests for {path}", where=file)
                found[path] = digest.removeprefix("F:")
    return found


def _change(entry: Value, file: str) -> tuple[PurePosixPath, str]:
    match entry:
        case Option(value=str(path), options=(str(digest),)):
            if not digest.startswith("F:") or _DIGEST.fullmatch(digest):
                return relative_path(path, file), digest
            raise InputError(
                f"the digest {digest[:80]!r} of {path[:200]!r} is not an md5",
                where=file,
                hint="orb records md5 digests; opam's own .changes files do not",
            )
    raise InputError("an entry is not a path and its digest", where=file)


def _lines(data: bytes, file: str) -> list[tuple[int, str]]:
    """Return numbered lines; the final newline is optional."""
    text = _text(data, file)
    lines = text.removesuffix("\n").split("\n") if text else []
    if len(lines) > _MAX_LINES:
        raise InputError(f"more than {_MAX_LINES} lines", where=file)
    for number, line in enumerate(lines, 1):
        if _CONTROL.search(line):
            raise InputError("a control character", where=f"{file}:{number}")
    return list(enumerate(lines, 1))


def _text(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start}", where=file) from error
