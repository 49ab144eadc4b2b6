"""The rebuild plan: every step from recorded sources to recorded bytes, with nothing left to decide.

All filters and variables are evaluated; two things stay open until the plan runs: the prefix, which
a packager may have to choose (the bytes are the recorded ones only below the recorded prefix), and
the number of jobs.

Sources: robur-coop/orb `src/orb.ml` (build and rebuild), ocaml/opam `src/client/opamAction.ml` (one
package).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pkggen.sources.model import Source


class Runtime(Enum):
    """What is known only when the plan runs."""

    PREFIX = "PREFIX"
    JOBS = "JOBS"


Text: TypeAlias = tuple[str | Runtime, ...]
"""A text with holes."""


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
class Placed:
    """A distfile or a carried file that is copied into a build directory."""

    path: str
    """Relative path below the build directory."""
    source: Source | None
    """The distfile; None for a file that the record carries itself."""
    content: bytes | None
    """What the record carries; None for a distfile."""


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
    variables: tuple[tuple[str, Text], ...]
    """What `%{…}%` may mean in `substs`; empty without them."""
    patches: tuple[str, ...]
    """Patches applied with `patch -p1`, in order."""
    environment: tuple[Setting, ...]
    """On top of the plan's own: what dependencies set, then what the package sets for itself."""
    commands: tuple[tuple[Text, ...], ...]
    """Argument lists, run in the build directory, in order: build, then install."""

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
    variables: tuple[tuple[str, str], ...]
    """`arch`, `os`, `os-distribution`, `os-family` and `os-version` as used, sorted."""
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
        found: dict[str, Source] = {}
        for package in (*self.switch, self.root.package):
            for source in (package.source, *(placed.source for placed in package.placed)):
                if source is not None:
                    found[source.file_name] = source
        for vendored in self.root.vendored:
            found[vendored.source.file_name] = vendored.source
        return tuple(found[name] for name in sorted(found))

    @property
    def switch_id(self) -> str:
        """Identity of the switch: equal for plans whose switches are built by the same steps."""
        part = {
            "prefix": self.prefix,
            "search_path": self.search_path,
            "environment": self.environment,
            "switch": [as_json(package) for package in self.switch],
        }
        return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()
