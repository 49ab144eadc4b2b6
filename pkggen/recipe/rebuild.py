"""From a record to its rebuild plan.

What opam and orb do with a frozen switch is done here at generation time: order, filters,
environment. What cannot be known without opam is refused, all of it at once.

Sources: ocaml/opam `src/client/opamAction.ml` (environment and steps of one package),
robur-coop/orb `src/orb.ml` (rebuild).
"""

from __future__ import annotations

import hashlib
import heapq
import re
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, TypeVar

from pkggen.errors import InputError, PkggenError, raise_all
from pkggen.opam.filter import expand_command, holds, interpolate
from pkggen.recipe.dependencies import dependency_names
from pkggen.recipe.expected import expected_files
from pkggen.recipe.plan import (
    Carried,
    PackagePlan,
    Placed,
    RebuildPlan,
    RootPlan,
    Setting,
    Text,
    Vendored,
)
from pkggen.recipe.variables import SYSTEM_KEYS, Scope, SwitchVariables, text
from pkggen.sources.model import Use, collect_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pkggen.opam.filter import Variable
    from pkggen.opam.package import Command, EnvSetting, ExtraFile, Filtered, OpamPackage
    from pkggen.opam.values import Value
    from pkggen.record.model import Record
    from pkggen.sources.model import Source

T = TypeVar("T")

ORB_BUILD: Final = "/tmp/orb-build"  # noqa: S108 - orb's own place, which is in the debug info
"""Where orb builds a root with vendored sources (`src/orb.ml`)."""


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
_PACKAGING: Final = re.compile(r"packaging/(debian|FreeBSD)/create_package\.sh")
_VARIABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ABSOLUTE: Final = re.compile(r"(/[A-Za-z0-9_+.~-]*[A-Za-z0-9_+~-][A-Za-z0-9_+.~-]*)+")
_NOT_EDGES: Final = frozenset({"post", "with-test", "with-doc", "with-dev-setup"})


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


class _Planner:
    """A record on its way to a plan, and the faults found on the way."""

    def __init__(self, record: Record, target: str) -> None:
        self.record = record
        self.target = target
        self.switch = record.switch
        self.root = record.switch.root
        self.variables = SwitchVariables(record, target)
        self.versions = self.variables.versions
        self.faults: list[PkggenError] = [*self.variables.faults]
        self.sources: dict[Use, Source] = {}

    def fault(self, message: str, hint: str | None = None) -> None:
        self.faults.append(InputError(message, where=self.record.source, hint=hint))

    def plan(self) -> RebuildPlan:
        prefix = self._recorded_path("PREFIX")
        search_path = self._search_path(prefix)
        self._note_missing_sections()
        self._collect()
        edges = {name: self._edges(name) for name in self.versions}
        order = self._ordered(edges)
        plans = self._packages(edges, order)
        root = self._root(plans)
        raise_all(self.faults)
        return RebuildPlan(
            job=self.record.job,
            target=self.target,
            variables=self.variables.substitutions(),
            prefix=prefix,
            environment=self._environment(),
            search_path=search_path,
            switch=tuple(plan for plan in plans if plan.name != self.root.name),
            root=root,
            expected=expected_files(self.record),
        )

    def _collect(self) -> None:
        """Index the sources by who uses them."""
        try:
            sources = collect_sources(self.switch)
        except PkggenError as error:
            self.faults.append(error)
            return
        self.sources = {use: source for source in sources for use in source.users}

    def _note_missing_sections(self) -> None:
        missing = sorted(
            full
            for full in self.switch.installed
            if full.partition(".")[0] not in self.switch.packages and not full.startswith("base-")
        )
        if missing:
            self.fault(
                f"nothing says how {', '.join(missing)} is built: there is no section for it"
            )

    def _edges(self, name: str) -> tuple[str, ...]:
        """Return the installed packages that must be there before `name`, sorted."""
        if name == self.root.name and self.root.vendored:
            return tuple(sorted(self.versions.keys() - {name}))
        package = self.switch.packages.get(name)
        if package is None:
            return ()

        def scope(package: str | None, variable: str) -> Variable | None:
            if package is None and variable in _NOT_EDGES:
                return False
            return True if variable == "build" else self.variables.globals.get(variable)

        names = {
            dependency
            for formula in (package.depends, package.depopts)
            for dependency in dependency_names(formula, scope)
        }
        return tuple(sorted(names & self.versions.keys() - {name}))

    def _ordered(self, edges: Mapping[str, tuple[str, ...]]) -> list[str]:
        """Return all names, each after what it needs; of those that could come next the first."""
        waiting = {name: len(needs) for name, needs in edges.items()}
        users: dict[str, list[str]] = {name: [] for name in edges}
        for name, needs in edges.items():
            for need in needs:
                users[need].append(name)
        ready = sorted(name for name, count in waiting.items() if not count)
        order: list[str] = []
        while ready:
            name = heapq.heappop(ready)
            order.append(name)
            for user in users[name]:
                waiting[user] -= 1
                if not waiting[user]:
                    heapq.heappush(ready, user)
        if len(order) < len(edges):
            stuck = sorted(edges.keys() - set(order))
            self.fault(f"these packages need each other: {', '.join(stuck)}")
        return order

    def _packages(
        self, edges: Mapping[str, tuple[str, ...]], order: list[str]
    ) -> list[PackagePlan]:
        """Return the plans of all packages; each inherits what its dependencies export."""
        closures: dict[str, set[str]] = {}
        plans: dict[str, PackagePlan] = {}
        for name in order:
            closures[name] = set(edges[name]).union(*(closures[need] for need in edges[name]))
            # opam folds a set of names into a list (`OpamEnv.compute_updates`): the last one first.
            backwards = sorted(closures[name], key=lambda other: (other.lower(), other))[::-1]
            inherits = tuple(other for other in backwards if plans[other].exports)
            plans[name] = self._package(name, edges[name], inherits)
        return list(plans.values())

    def _settings(
        self, package: OpamPackage, settings: tuple[EnvSetting, ...]
    ) -> tuple[Setting, ...]:
        scope = self.variables.scope(package.name)
        found = []
        for setting in settings:
            if _VARIABLE_NAME.fullmatch(setting.name) is None:
                self.fault(f"{package.name} sets a variable with the name {setting.name!r}")
            elif self._holds(package, setting.filter, scope):
                evaluate = partial(interpolate, setting.value, scope)
                value = self._evaluated(package, scope, evaluate) or ""
                found.append(Setting(name=setting.name, op=setting.op, value=text(value)))
        return tuple(found)

    def _package(
        self,
        name: str,
        after: tuple[str, ...],
        inherits: tuple[str, ...],
    ) -> PackagePlan:
        package = self.switch.packages.get(name)
        if package is None:
            return PackagePlan(
                name=name, version=self.versions[name], after=after, source=None, placed=(),
                substs=(), patches=(), inherits=(), environment=(), commands=(), exports=(),
            )  # fmt: skip
        if package.url is not None and package.url.subpath is not None:
            self.fault(f"{name} is in a directory of its source: {package.url.subpath}")
        scope = self.variables.scope(name)
        commands = [
            words
            for command in (*package.build, *package.install)
            if (words := self._command(package, command, scope)) and not _is_packaging(words)
        ]
        return PackagePlan(
            name=name,
            version=package.version.text,
            after=after,
            source=self.sources.get(Use("package", name)),
            placed=self._placed(package),
            substs=self._names(package, package.substs, scope),
            patches=self._names(package, package.patches, scope),
            inherits=inherits,
            environment=self._settings(package, package.build_env),
            commands=tuple(commands),
            exports=self._settings(package, package.setenv),
        )

    def _placed(self, package: OpamPackage) -> tuple[Placed, ...]:
        downloads = (
            Placed(path=extra.name, source=source)
            for extra in package.extra_sources
            if (source := self.sources.get(Use("extra", package.name, extra.name))) is not None
        )
        carried = (
            Placed(path=extra.name, source=_carried(package, extra))
            for extra in package.extra_files
        )
        return (*downloads, *carried)

    def _names(
        self, package: OpamPackage, names: tuple[Filtered, ...], scope: Scope
    ) -> tuple[str, ...]:
        return tuple(name.name for name in names if self._holds(package, name.filter, scope))

    def _command(
        self, package: OpamPackage, command: Command, scope: Scope
    ) -> tuple[Text, ...] | None:
        words = self._evaluated(package, scope, partial(expand_command, command, scope))
        return None if words is None else tuple(map(text, words))

    def _holds(self, package: OpamPackage, condition: Value | None, scope: Scope) -> bool:
        return bool(self._evaluated(package, scope, partial(holds, condition, scope)))

    def _evaluated(self, package: OpamPackage, scope: Scope, evaluate: Callable[[], T]) -> T | None:
        """Return what `evaluate` gives; a fault if it asked for what only opam knows."""
        scope.unknown.clear()
        try:
            found = evaluate()
        except PkggenError as error:
            self.fault(f"{package.name}: {error.message}", error.hint)
            return None
        for variable in sorted(scope.unknown):
            self.fault(
                f"{package.name}: a step needs the variable {variable}, which only opam knows"
            )
        return found

    def _root(self, plans: list[PackagePlan]) -> RootPlan:
        root, plan = self.root, next((p for p in plans if p.name == self.root.name), None)
        if plan is None:
            raise_all(self.faults)
            raise AssertionError(root.name)
        if not root.vendored:
            return RootPlan(
                package=plan, directory=None, vendored=(), dune_file=None, configure=None
            )
        configure = None
        if root.mirage_configure is not None:
            configure = self._command(root, root.mirage_configure, self.variables.scope(root.name))
        below = _below(root)
        vendored = tuple(
            Vendored(path=below + entry.directory, source=source)
            for entry in root.vendored
            if (source := self.sources.get(Use("vendored", root.name, entry.directory))) is not None
        )
        return RootPlan(
            package=plan,
            directory=ORB_BUILD,
            vendored=vendored,
            dune_file=f"{below}dune" if below.endswith("duniverse/") else None,
            configure=configure,
        )

    def _recorded_path(self, key: str) -> str:
        path = self.record.environment.get(key) or ""
        if not _is_absolute(path):
            self.fault(f"build-environment records no usable {key}: {path!r}")
        return path

    def _search_path(self, prefix: str) -> str:
        """Return the recorded PATH; what is built must not become the tools of whoever looks."""
        path = self.record.environment.get("PATH") or "/bin:/usr/bin"
        built = tuple(f"{place}/" for place in (prefix, ORB_BUILD) if place)
        for directory in path.split(":"):
            inside = f"{directory}/".startswith(built)
            if inside or not _is_absolute(directory):
                self.fault(f"build-environment records no usable PATH: {path!r}")
                break
        return path

    def _environment(self) -> tuple[tuple[str, str], ...]:
        fixed = {
            "CDPATH": "",
            "HOME": "/nonexistent",
            "LC_ALL": "C",
            "MAKEFLAGS": "",
            "MAKELEVEL": "",
            "OPAMCLI": "2.0",
            "OPAMSWITCH": self.record.environment.get("SWITCH_PATH") or "default",
            "TZ": "UTC",
        }
        recorded = {
            name: value
            for name, value in self.record.environment.variables
            if name not in _NOT_EXPORTED and _VARIABLE_NAME.fullmatch(name)
        }
        return tuple(sorted((recorded | fixed).items()))


def _is_packaging(words: tuple[Text, ...]) -> bool:
    """Tell whether a command is upstream's script that makes a .deb or .pkg of what was built.

    It is not run: its result depends on who runs it (owners of files, dpkg's version), and takes
    the place of the programs themselves in the list of what is installed. Without it they are
    installed, and each is compared with the one in the recorded package.
    """
    return words[:1] == (("sh",),) and any(
        isinstance(part, str) and _PACKAGING.fullmatch(part) is not None
        for word in words
        for part in word
    )


def _is_absolute(path: str) -> bool:
    return _ABSOLUTE.fullmatch(path) is not None and "/../" not in f"{path}/"


def _carried(package: OpamPackage, extra: ExtraFile) -> Carried:
    name = re.sub(r"[^A-Za-z0-9._+-]", "_", PurePosixPath(extra.name).name)
    digest = hashlib.sha256(extra.content).hexdigest()
    return Carried(
        file_name=f"{package.name}.{package.version}-{digest[:8]}-{name}", content=extra.content
    )


def _below(root: OpamPackage) -> str:
    """Return the directory of vendored sources, relative to the root's, with a final slash."""
    if root.lock_location is None:
        return "vendors/"
    return "".join(f"{part}/" for part in root.lock_location.split("/")[:-2]) + "duniverse/"
