"""From a record to its rebuild plan.

What opam and orb do with a frozen switch is done here at generation time: order, filters,
variables, environment. What cannot be known without opam is refused, all of it at once.

Sources: ocaml/opam `src/client/opamAction.ml` (environment and steps of one package),
`src/state/opamPackageVar.ml` (variables), robur-coop/orb `src/orb.ml` (rebuild).
"""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, PkggenError, raise_all
from pkggen.opam.filter import Variables, expand_command, holds, interpolate
from pkggen.recipe.dependencies import dependency_names
from pkggen.recipe.plan import (
    Expected,
    PackagePlan,
    Placed,
    RebuildPlan,
    RootPlan,
    Runtime,
    Setting,
    Text,
    Vendored,
)
from pkggen.record.metadata import build_hashes
from pkggen.sources.model import collect_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pkggen.opam.filter import Variable
    from pkggen.opam.package import Command, EnvSetting, Filtered, OpamPackage
    from pkggen.opam.values import Value
    from pkggen.record.model import Record
    from pkggen.sources.model import Source

ORB_BUILD: Final = "/tmp/orb-build"  # noqa: S108 - orb's own place, which is in the debug info
"""Where orb builds a root with vendored sources (`src/orb.ml`)."""

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

# orb keeps these for itself, or gives them to opam, and no package of the switch depends on them.
_NOT_EXPORTED: Final = frozenset(
    {
        *SYSTEM_KEYS.values(),
        "HOME",
        "OPAMERRLOGLEN",
        "OPAMSOLVERTIMEOUT",
        "ORB_BUILDING_PACKAGE",
        "ORB_DATA",
        "PATH",
        "PREFIX",
        "SWITCH_PATH",
    }
)
_VARIABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ABSOLUTE: Final = re.compile(r"(/[A-Za-z0-9_+.~-]*[A-Za-z0-9_+~-][A-Za-z0-9_+.~-]*)+")
_NOT_EDGES: Final = frozenset({"post", "with-test", "with-doc", "with-dev-setup"})
_DIRECTORIES: Final = ("bin", "sbin", "lib", "share", "doc", "etc", "man")
_PER_PACKAGE: Final = ("lib", "share", "doc", "etc")

# NUL cannot be in any opam text, so what stands between two of them is ours.
_HOLES: Final = {f"\0{hole.value}\0": hole for hole in Runtime}
_HOLE: Final = re.compile("(\0[A-Z]+\0)")
_PREFIX: Final = "\0PREFIX\0"
_JOBS: Final = "\0JOBS\0"


def rebuild_plan(record: Record, target: str = "record") -> RebuildPlan:
    """Return how to build the record's root again, from its recorded sources.

    Args:
        record: The build.
        target: `record`, or a key of `TARGETS`.

    Raises:
        InputError: the record has not exactly one root, no prefix, an installed package without
            section, a source without checksum or commit, a cycle, or a step that needs what only
            opam knows; all of them together as `Faults`.
    """
    return _Planner(record, target).plan()


@dataclass(slots=True)
class _Scope:
    """opam's variables for the steps of one package; notes what it does not know."""

    tables: Variables
    installed: frozenset[str]
    unknown: set[str] = field(default_factory=set)

    def __call__(self, package: str | None, variable: str) -> Variable | None:
        found = self.tables(package, variable)
        itself = package in {None, "_"}
        if found is None and (itself or package in self.installed):
            self.unknown.add(variable if itself else f"{package}:{variable}")
        return found


class _Planner:
    """A record on its way to a plan, and the faults found on the way."""

    def __init__(self, record: Record, target: str) -> None:
        self.record = record
        self.target = target
        self.switch = record.switch
        self.root = record.switch.root
        self.faults: list[PkggenError] = []
        self.sources: Mapping[str, Source] = {}
        self.system = self._system()
        self.globals = self._globals()
        self.tables = {name: self._package_variables(name) for name in self.versions()}

    def fault(self, message: str, hint: str | None = None) -> None:
        self.faults.append(InputError(message, where=self.record.source, hint=hint))

    def versions(self) -> dict[str, str]:
        """Return the versions of all installed packages by name."""
        return dict(full.split(".", 1) for full in self.switch.installed)

    def plan(self) -> RebuildPlan:
        prefix = self._recorded_path("PREFIX")
        self._note_missing_sections()
        try:
            self.sources = by_user(collect_sources(self.switch))
        except PkggenError as error:
            self.faults.append(error)
        edges = {name: self._edges(name) for name in self.versions()}
        order = self._ordered(edges)
        setenvs = self._setenvs(edges, order)
        plans = [self._package(name, edges[name], setenvs) for name in order]
        root = self._root(plans)
        raise_all(self.faults)
        return RebuildPlan(
            job=self.record.job,
            target=self.target,
            variables=tuple(sorted(self.system.items())),
            prefix=prefix,
            environment=self._environment(),
            search_path=self.record.environment.get("PATH") or "/bin:/usr/bin",
            switch=tuple(plan for plan in plans if plan.name != self.root.name),
            root=root,
            expected=self._expected(),
        )
