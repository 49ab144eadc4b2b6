"""Original tarballs from Debian's source packages, through an apt configuration of their own."""

from __future__ import annotations

import hashlib
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ONE_LINE = re.compile(r"deb(?:-src)?\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tarball:
    """An original tarball that has the checksum that opam-repository states."""

    package: str
    """Source package and version, as `NAME=VERSION`."""
    file: str
    """Name of the tarball in Debian's archive."""
    name: str
    """Name of the file at the address that opam-repository states."""
    checksum: str
    """As opam-repository states it, `KIND=DIGEST`."""


def tarballs(wanted: Iterable[Tarball], place: Path) -> tuple[dict[str, bytes], list[str]]:
    """Return the contents by name, and what could not be had.

    Args:
        wanted: The tarballs.
        place: A directory of their own for apt's state and the downloads.
    """
    apt = _configured(place)
    _run([*apt, "update"], place)
    found: dict[str, bytes] = {}
    missing: list[str] = []
    for one in wanted:
        # apt fails when any file of the source package is missing, also one that is not wanted.
        _run([*apt, "source", "--download-only", "--only-source", one.package], place)
        path = place / one.file
        kind, _, digest = one.checksum.partition("=")
        data = path.read_bytes() if path.exists() else b""
        if hashlib.new(kind, data).hexdigest() == digest:
            found[one.name] = data
        else:
            missing.append(one.package + (" (other bytes than stated)" if data else ""))
    return found, missing


def _configured(place: Path) -> list[str]:
    """Write apt's configuration: the sources of what the host itself is installed from."""
    for directory in ("lists/partial", "cache/archives/partial"):
        (place / directory).mkdir(parents=True)
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    lines = [
        f"deb-src [signed-by={keys}] {uri} {suite} main\n"
        for uri, suite in sorted(set(_archives(Path("/etc/apt"))))
    ]
    (place / "sources.list").write_text("".join(lines))
    options = {
        "APT::Sandbox::User": "root",
        "Dir::Cache": place / "cache",
        "Dir::Etc::sourcelist": place / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": place / "lists",
    }
    return ["apt-get", "--quiet", *(f"--option={name}={value}" for name, value in options.items())]


def _archives(etc: Path) -> Iterator[tuple[str, str]]:
    """Yield address and suite of Debian's main archives."""
    pairs: list[tuple[str, str]] = []
    for path in (etc / "sources.list", *sorted(etc.glob("sources.list.d/*.list"))):
        if path.exists():
            pairs += re.findall(_ONE_LINE, path.read_text())
    for path in sorted(etc.glob("sources.list.d/*.sources")):
        for stanza in path.read_text().split("\n\n"):
            uris, suites = (
                re.findall(r"\S+", " ".join(re.findall(rf"^{key}:(.*)", stanza, re.MULTILINE)))
                for key in ("URIs", "Suites")
            )
            pairs += [(uri, suite) for uri in uris for suite in suites]
    yield from ((uri, suite) for uri, suite in pairs if uri.rstrip("/").endswith("/debian"))


def _run(command: list[str], place: Path) -> None:
    subprocess.run(
        command,
        cwd=place,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )
