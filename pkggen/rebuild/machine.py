"""What a record tells of a building machine, asked of the machine at hand.

Sources: robur-coop/orb `src/orb.ml` (build-environment, system-packages), ocaml/opam
`src/state/opamSysPoll.ml` (names of systems and architectures).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pkggen.errors import ToolError
from pkggen.process import run
from pkggen.record.metadata import read_system_packages
from pkggen.record.model import Environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pkggen.record.model import SystemPackage

PROBE: Final = r"""
section() { printf '\036%s\n' "$1"; }
section kernel; uname -s; uname -m; uname -U 2>/dev/null
section release; cat /etc/os-release 2>/dev/null
if command -v dpkg-query >/dev/null; then
  section debian; dpkg-query --showformat='${Package}=${Version}\n' --show | sed '/=$/d'
elif command -v pkg >/dev/null; then
  section freebsd; pkg query %n-%v
fi
for tool in cc ld; do
  if command -v "$tool" >/dev/null; then section "$tool"; "$tool" --version; fi
done
:
"""
"""Script for sh that prints what `read_machine` reads."""

_ARCHITECTURES: Final = {"amd64": "x86_64", "aarch64": "arm64"}
_RELEASE: Final = re.compile(r"""^(ID|VERSION_ID)=["']?([^"'\n]*)["']?$""", re.MULTILINE)
_SECONDS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine that builds."""

    system: tuple[tuple[str, str], ...]
    """ARCH, OS, OS_DISTRIBUTION and OS_VERSION as orb records them; unknown ones are missing."""
    packages: tuple[SystemPackage, ...] | None
    """Installed packages; None when there is neither dpkg nor pkg."""
    compilers: tuple[tuple[str, str], ...]
    """First line that `cc --version` and `ld --version` print."""


def this_machine(environment: Mapping[str, str]) -> Machine:
    """Return what this machine is.

    Args:
        environment: Its PATH finds the compilers.

    Raises:
        ToolError: the package manager failed.
    """
    argv = ("sh", "-c", PROBE)
    said = run(
        argv, environment=environment, timeout=_SECONDS, install="sh is part of every system"
    )
    return read_machine(said.decode(errors="replace"))


def read_machine(text: str) -> Machine:
    """Return the machine whose `PROBE` printed `text`.

    Raises:
        ToolError: it printed something else.
    """
    sections = dict(part.partition("\n")[::2] for part in text.split("\036")[1:])
    kernel = sections.get("kernel", "").splitlines()
    if len(kernel) < (3 if kernel[:1] == ["FreeBSD"] else 2):
        raise ToolError("the machine does not tell what it is")
    release = dict(_RELEASE.findall(sections.get("release", "")))
    name = kernel[0].lower()
    system = {"ARCH": _ARCHITECTURES.get(kernel[1], kernel[1]), "OS": name}
    if name == "freebsd":
        system |= {"OS_DISTRIBUTION": name, "OS_VERSION": kernel[2]}
    else:
        keys = {"ID": "OS_DISTRIBUTION", "VERSION_ID": "OS_VERSION"}
        system |= {keys[key]: value for key, value in release.items()}
    return Machine(
        system=tuple(sorted(system.items())),
        packages=_packages(sections),
        compilers=tuple(
            (tool, sections[tool].partition("\n")[0]) for tool in ("cc", "ld") if tool in sections
        ),
    )


def _packages(sections: Mapping[str, str]) -> tuple[SystemPackage, ...] | None:
    for kind, variables in (
        ("debian", (("OS", "linux"), ("OS_FAMILY", "debian"))),
        ("freebsd", (("OS", "freebsd"),)),
    ):
        if kind in sections:
            listed = sections[kind].encode()
            return read_system_packages(listed, "this machine", Environment(variables=variables))
    return None
