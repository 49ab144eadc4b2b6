"""What a source package is made from, as the command line puts it together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import PurePosixPath

    from pkggen.recipe.distfiles import Distfile
    from pkggen.recipe.model import AnyRecipe, Provenance, Version
    from pkggen.recipe.parts import Part
    from pkggen.recipe.plan import RebuildPlan
    from pkggen.record.model import Program, Record
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
    earlier: tuple[Earlier, ...] = ()
    """Builds before this one, the newest first."""
    overlay: Tree | None = None
    """Files below `debian/` that a maintainer has written."""
