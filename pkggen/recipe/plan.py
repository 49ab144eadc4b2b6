"""The rebuild plan: every step from recorded sources to recorded bytes, all decisions made.

All filters and variables are evaluated; two things stay open until the plan runs: the prefix, which
a packager may have to choose (the bytes are the recorded ones only below the recorded prefix), and
the number of jobs.

Sources: robur-coop/orb `src/orb.ml` (build and rebuild), ocaml/opam `src/client/opamAction.ml` (one
package).
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import TypeAlias

from pkggen.sources.model import Source


class Runtime(Enum):
    """What is known only when the plan runs."""

    PREFIX = "PREFIX"
    JOBS = "JOBS"


Text: TypeAlias = tuple[str | Runtime, ...]
"""A text with holes."""


def as_json(value: object) -> object:
    """Return a plan or a part of it as what JSON can hold.

    A text is a list of strings and of objects such as `{"runtime": "PREFIX"}`. A distfile is its
    file name; the content of a carried file is base64.
    """
    if isinstance(value, Runtime):
        return {"runtime": value.value}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Source):
        return value.file_name
    if isinstance(value, tuple):
        return [as_json(part) for part in value]
    if is_dataclass(value):
        return {part.name: as_json(getattr(value, part.name)) for part in fields(value)}
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One update of an environment variable."""

    name: str
    """Variable, `[A-Za-z_][A-Za-z0-9_]*`."""
    op: str
    """One of `= += =+ := =: =+=`, as in opam."""
    value: Text
    """What is set, prepended or appended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A file that the record itself carries; it is put beside the distfiles."""

    file_name: str
    """Name there, unique in the plan."""
    content: bytes
    """The bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A distfile or a carried file that is copied into a build directory."""

    path: str
    """Relative path below the build directory."""
    source: Source | Carried
    """Where its bytes are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendored:
    """A distfile that is unpacked below the root's own sources."""

    path: str
    """Relative directory, e.g. `duniverse/logs`."""
    source: Source
    """The distfile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagePlan:
    """How one package is built."""

    name: str
    """Name."""
    version: str
    """Version."""
    after: tuple[str, ...]
    """Packages of the plan that must be installed before, sorted."""
    source: Source | None
    """Distfile that is unpacked into the build directory, without its first directory level."""
    placed: tuple[Placed, ...]
    """Files copied there, in order."""
    substs: tuple[str, ...]
    """Files made from `NAME.in` by replacing `%{…}%`, in order."""
    patches: tuple[str, ...]
    """Patches applied with `patch -p1`, in order."""
    inherits: tuple[str, ...]
    """Packages whose `exports` hold for its commands, of all that it depends on, in order."""
    environment: tuple[Setting, ...]
    """What it sets for its own commands, before that."""
    commands: tuple[tuple[Text, ...], ...]
    """Argument lists, run in the build directory, in order: build, then install."""
    exports: tuple[Setting, ...]
    """What it sets for packages that depend on it."""

    @property
    def full_name(self) -> str:
        """`name.version`."""
        return f"{self.name}.{self.version}"

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do for it."""
        return not (self.source or self.placed or self.commands)


@dataclass(frozen=True, slots=True, kw_only=True)
class RootPlan:
    """How the package that the record is about is built, after all others."""

    package: PackagePlan
    """Its own steps."""
    directory: str | None
    """Absolute build directory; None for opam's own below the prefix."""
    vendored: tuple[Vendored, ...]
    """Sources unpacked below it."""
    dune_file: str | None
    """Relative path of the file that tells dune about them; None without."""
    configure: tuple[Text, ...] | None
    """Command that runs in the build directory before all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A built file and what it must be."""

    path: str
    """Relative to the prefix, e.g. `bin/hello.hvt`."""
    kind: str
    """`sha256`, or `md5` for a file that only orb's build-hashes know."""
    digest: str
    """Hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildPlan:
    """Everything that a rebuild does."""

    job: str
    """Name of the job."""
    target: str
    """Whose variables were used: `record`, `debian`, `freebsd` or `nixos`."""
    variables: tuple[tuple[str, Text], ...]
    """opam's global variables, the versions of all packages as `NAME:version`, and what else a file
    to be substituted may name that does not follow from the prefix; sorted."""
    prefix: str
    """Recorded prefix, absolute."""
    environment: tuple[tuple[str, str], ...]
    """Variables that every command gets, sorted; PATH and the prefix's own are not among them."""
    search_path: str
    """Recorded PATH, without the prefix."""
    switch: tuple[PackagePlan, ...]
    """Packages of the switch in the order of their dependencies, without the root."""
    root: RootPlan
    """The root package."""
    expected: tuple[Expected, ...]
    """Built files and their hashes, sorted by path."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every distfile, each once, sorted by file name."""
        sources = (
            *(package.source for package in self.packages),
            *(placed.source for package in self.packages for placed in package.placed),
            *(vendored.source for vendored in self.root.vendored),
        )
        found = {source.file_name: source for source in sources if isinstance(source, Source)}
        return tuple(found[name] for name in sorted(found))

    @property
    def carried(self) -> tuple[Carried, ...]:
        """Every file that the record carries, each once, sorted by file name."""
        found = {
            placed.source.file_name: placed.source
            for package in self.packages
            for placed in package.placed
            if isinstance(placed.source, Carried)
        }
        return tuple(found[name] for name in sorted(found))

    @property
    def packages(self) -> tuple[PackagePlan, ...]:
        """All packages in their order, the root last."""
        return (*self.switch, self.root.package)

    @property
    def switch_id(self) -> str:
        """Identity of the switch: equal for plans whose switches are built by the same steps."""
        part: dict[str, object] = {
            "prefix": self.prefix,
            "search_path": self.search_path,
            "environment": self.environment,
            "switch": [as_json(package) for package in self.switch],
        }
        if any(package.substs for package in self.switch):
            own = f"{self.root.package.name}:"
            others = [(k, as_json(v)) for k, v in self.variables if not k.startswith(own)]
            part["variables"] = others
        return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()
