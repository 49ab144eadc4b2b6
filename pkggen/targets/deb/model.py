"""What a source package is made from, as the command line puts it together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pkggen.recipe.model import ToolRecipe
from pkggen.targets.deb.components import cached

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pkggen.recipe.distfiles import Distfile
    from pkggen.recipe.model import AnyRecipe, Provenance, Version
    from pkggen.recipe.parts import Part
    from pkggen.recipe.plan import RebuildPlan
    from pkggen.recipe.tool import Tool
    from pkggen.record.model import Program, Record
    from pkggen.targets.deb.components import Component
    from pkggen.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """How the payload is built from its sources."""

    plan: RebuildPlan
    """The steps, with Debian's values of opam's variables."""
    distfiles: tuple[Distfile, ...]
    """Every file that the plan starts from, sorted by name."""
    depends: tuple[str, ...]
    """Debian packages that the steps and the script need, sorted."""
    components: tuple[Component, ...] = ()
    """Those of the files that are tarballs of their own; the others share one."""

    @property
    def cached(self) -> tuple[Distfile, ...]:
        """The files that share one tarball."""
        own = {one.distfile.name for one in self.components}
        return tuple(one for one in self.distfiles if one.name not in own)

    def place(self, distfile: Distfile) -> PurePosixPath:
        """Return where a file, or what is in it, is in the source package."""
        own = {one.distfile.name: PurePosixPath(one.name) for one in self.components}
        return own.get(distfile.name) or cached(distfile.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """An earlier build, for the changelog."""

    version: Version
    """Its version."""
    provenance: Provenance
    """Which build it was."""
    record: Record
    """The build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything that goes into a source package."""

    recipe: AnyRecipe
    """What is packaged."""
    record: Record
    """The build that it comes from."""
    manifest: bytes
    """record.json of the saved record."""
    parts: tuple[Part, ...]
    """What the payload or, with `rebuild`, the source package is made of."""
    programs: Mapping[PurePosixPath, Program]
    """The ELF files of the record, by path."""
    rebuild: Rebuild | None = None
    """None for a package of the recorded files themselves."""
    release: Distfile | None = None
    """Release tarball of a tool that is built natively."""
    earlier: tuple[Earlier, ...] = ()
    """Builds before this one, the newest first."""
    overlay: Tree | None = None
    """Files below `debian/` that a maintainer has written."""

    @property
    def tool(self) -> Tool | None:
        """What is known about a tool; None for an image, and for a tool without description."""
        return self.recipe.tool if isinstance(self.recipe, ToolRecipe) else None

    @property
    def in_cache(self) -> tuple[Distfile, ...]:
        """The sources that are in the source package in the layout of opam's download cache."""
        native = () if self.release is None else (self.release,)
        return native if self.rebuild is None else self.rebuild.cached
