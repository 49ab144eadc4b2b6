"""opam's variables for the steps of a build, on each target.

Sources: ocaml/opam `src/state/opamPackageVar.ml` (variables), robur-coop/orb `src/orb.ml` (which of
the system's variables build-environment records).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, PkggenError
from pkggen.opam.filter import Variables
from pkggen.recipe.plan import Runtime, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pkggen.opam.filter import Variable
    from pkggen.opam.package import OpamPackage
    from pkggen.record.model import Record

SYSTEM_KEYS: Final = {
    "arch": "ARCH",
    "os": "OS",
    "os-distribution": "OS_DISTRIBUTION",
    "os-family": "OS_FAMILY",
    "os-version": "OS_VERSION",
}
"""opam's variables and the keys of build-environment that record them."""
TARGETS: Final[Mapping[str, Mapping[str, str]]] = {
    "debian": {
        "os": "linux",
        "os-distribution": "debian",
        "os-family": "debian",
        "os-version": "12",
    },
    "freebsd": {
        "os": "freebsd",
        "os-distribution": "freebsd",
        "os-family": "bsd",
        "os-version": "1401000",
    },
    "nixos": {
        "os": "linux",
        "os-distribution": "nixos",
        "os-family": "nixos",
        "os-version": "26.05",
    },
}
"""Values of opam's system variables on each target; `record` takes the recorded ones instead."""
_DIRECTORIES: Final = ("bin", "sbin", "lib", "share", "doc", "etc", "man")
_PER_PACKAGE: Final = ("lib", "share", "doc", "etc")
# NUL cannot be in any opam text, so what stands between two of them is ours.
_HOLES: Final = {f"\0{hole.value}\0": hole for hole in Runtime}
_HOLE: Final = re.compile("(\0[A-Z]+\0)")
_PREFIX: Final = "\0PREFIX\0"
_JOBS: Final = "\0JOBS\0"


@dataclass(slots=True)
class Scope:
    """opam's variables for the steps of one package; notes what it does not know."""

    tables: Variables
    """What is defined."""
    installed: frozenset[str]
    """Names of the packages of which all variables are known, if they have them."""
    unknown: set[str] = field(default_factory=set)
    """Variables that only opam knows and somebody asked for."""

    def __call__(self, package: str | None, variable: str) -> Variable | None:
        """Return a variable of a package, or a global one; None when it is not defined."""
        found = self.tables(package, variable)
        itself = package in {None, "_"}
        if found is None and (itself or package in self.installed):
            self.unknown.add(variable if itself else f"{package}:{variable}")
        return found


class SwitchVariables:
    """What opam and the packages of a switch define; holes are where only the build knows."""

    def __init__(self, record: Record, target: str) -> None:
        """Collect them.

        Args:
            record: The build.
            target: `record`, or a key of `TARGETS`.
        """
        self.faults: list[PkggenError] = []
        """What the record should state and does not."""
        self.versions = dict(full.split(".", 1) for full in record.switch.installed)
        """Versions of all installed packages by name."""
        self.globals: dict[str, Variable] = self._globals(record, target)
        """Those that belong to no package."""
        self.packages: dict[str, dict[str, Variable]] = {
            name: self._package(name, record.switch.packages.get(name)) for name in self.versions
        }
        """Those of each installed package by its name."""

    def scope(self, name: str) -> Scope:
        """Return what the steps of a package may ask for."""
        tables = {**self.packages, name: {**self.packages[name], "installed": False}}
        return Scope(
            tables=Variables(globals=self.globals, packages=tables, itself=name),
            installed=frozenset(self.packages),
        )

    def substitutions(self) -> tuple[tuple[str, Text], ...]:
        """Return the variables that have no rule: global ones, and the odd ones of packages."""
        # opam defines these for filters of commands only, and in a file they are empty.
        found = self.globals | {name: "" for name in self.globals if name.startswith("with-")}
        for package, variables in self.packages.items():
            found[f"{package}:version"] = variables["version"]
            ruled = {*_DIRECTORIES, "build", "installed", "name", "pinned", "stublibs", "toplevel"}
            for variable in variables.keys() - ruled:
                found[f"{package}:{variable}"] = variables[variable]
        return tuple((key, text(_shown(found[key]))) for key in sorted(found))

    def _system(self, record: Record, target: str) -> dict[str, str]:
        """Return opam's system variables for the target."""
        recorded = {
            name: value
            for name, key in SYSTEM_KEYS.items()
            if (value := record.environment.get(key)) is not None
        }
        if target != "record":
            return {"arch": recorded.get("arch", "x86_64"), **TARGETS[target]}
        missing = [SYSTEM_KEYS[name] for name in SYSTEM_KEYS if name not in recorded]
        if missing == ["ARCH"]:
            # orb records ARCH since 2024-08; before, all of robur's builders were x86_64.
            return {"arch": "x86_64", **recorded}
        if missing:
            self.faults.append(
                InputError(
                    f"build-environment does not record {', '.join(missing)}",
                    where=record.source,
                    hint="say for which system: --target debian, freebsd or nixos",
                )
            )
        return recorded

    def _globals(self, record: Record, target: str) -> dict[str, Variable]:
        system = self._system(record, target)
        return {
            **system,
            **{name: f"{_PREFIX}/{name}" for name in _DIRECTORIES},
            "dev": False,
            "jobs": _JOBS,
            "make": "make" if system.get("os") == "linux" else "gmake",
            "opam-version": "2.1.2",
            "pinned": False,
            "prefix": _PREFIX,
            "stublibs": f"{_PREFIX}/lib/stublibs",
            "switch": record.environment.get("SWITCH_PATH") or "default",
            "toplevel": f"{_PREFIX}/lib/toplevel",
            "with-dev-setup": False,
            "with-doc": False,
            "with-test": False,
        }

    def _package(self, name: str, package: OpamPackage | None) -> dict[str, Variable]:
        found: dict[str, Variable] = {
            "build": f"{_PREFIX}/.opam-switch/build/{name}.{self.versions[name]}",
            "dev": package is not None and _is_dev(package),
            "installed": True,
            "name": name,
            "pinned": False,
            "version": self.versions[name],
            **{variable: f"{_PREFIX}/{variable}" for variable in _DIRECTORIES},
            **{variable: f"{_PREFIX}/{variable}/{name}" for variable in _PER_PACKAGE},
            "stublibs": f"{_PREFIX}/lib/stublibs",
            "toplevel": f"{_PREFIX}/lib/toplevel",
        }
        if name == "ocaml":
            # opam reads these from ocaml.config, which the package writes while it is built.
            system = "ocaml-system" in self.versions
            found |= {
                "native": True,
                "native-tools": True,
                "native-dynlink": True,
                "preinstalled": system,
                "stubsdir": f"{_PREFIX}/lib/ocaml/stublibs:{_PREFIX}/lib/ocaml",
            }
        return found


def text(value: str) -> Text:
    """Split a text at its holes."""
    parts = (part for part in _HOLE.split(value) if part)
    return tuple(_HOLES.get(part, part) for part in parts)


def _shown(value: Variable) -> str:
    if isinstance(value, tuple):
        return " ".join(value)
    return str(value).lower() if isinstance(value, bool) else value


def _is_dev(package: OpamPackage) -> bool:
    """Return opam's `dev` (`opamPackageVar.ml`, `is_dev_package`): version control, no checksum."""
    url = package.url
    return url is not None and not url.checksums and not url.src.startswith(("http:", "https:"))
