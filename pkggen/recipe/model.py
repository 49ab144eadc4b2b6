"""The recipe, as `recipe.build` makes it and every target reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeAlias

from pkggen.recipe.tool import prefix_path

if TYPE_CHECKING:
    from datetime import datetime

    from pkggen.opam.package import Checksum
    from pkggen.recipe.tool import Build, Tool
    from pkggen.record.model import Artifact, Origin, RecordedPackage, Solo5Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintainer:
    """Who answers for a generated package."""

    name: str
    """Full name."""
    email: str
    """Address, as in a Debian changelog or a FreeBSD MAINTAINER line."""
    nixpkgs: str | None
    """Attribute in nixpkgs' `lib.maintainers`; None when there is none."""
    github: str | None = None
    """Name of the account on GitHub, for a new entry in nixpkgs' list."""
    github_id: int | None = None
    """Number of that account; stated together with its name or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What every target makes its version of (`recipe.versions`)."""

    release: str | None
    """Version of the root package, e.g. `1.5.2`; None for `dev` and the like."""
    built: datetime
    """Start of the recorded build, UTC."""


@dataclass(frozen=True, slots=True)
class LicenceTerm:
    """One licence that holds for (a part of) a package."""

    spdx: str
    """SPDX licence identifier in its canonical spelling, e.g. `LGPL-2.1-only`."""
    exception: str | None = None
    """SPDX exception identifier behind `WITH`."""

    def __str__(self) -> str:
        return self.spdx if self.exception is None else f"{self.spdx} WITH {self.exception}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Licences:
    """The licences of everything that is linked into an image."""

    expression: str
    """One SPDX expression, canonical spelling."""
    terms: tuple[LicenceTerm, ...]
    """Every licence that occurs in the expression, each once, sorted by its text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Which recorded build a package comes from."""

    job: str
    """Name of the job."""
    platform: str | None
    """Name of the build platform."""
    origin: Origin | None
    """Where anybody can fetch the build."""
    root: str
    """Root package of the switch as `name.version`."""
    switch_sha256: str
    """sha256 of the recorded opam-switch, hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What is the same for every recorded build that is packaged."""

    name: str
    """Package name, `[a-z0-9][a-z0-9+.-]+`."""
    version: Version
    """Release and build time."""
    description: str
    """One line: capitalised, no leading article, no final full stop, at most 70 characters."""
    homepage: str | None
    """http or https URL."""
    licences: Licences
    """Union over everything that is linked in."""
    maintainer: Maintainer | None
    """From pkggen.yaml."""
    provenance: Provenance
    """The recorded build."""
    revision: int = 1
    """Number of this packaging of the build, from 1; from pkggen.yaml."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecipe(Recipe):
    """How to package the recorded image of a unikernel."""

    image: Artifact
    """The recorded image."""
    solo5: Solo5Image
    """Tender, ABI, machine and devices."""

    @property
    def file_name(self) -> PurePosixPath:
        """Name under which the image is installed, as recorded."""
        return PurePosixPath(self.image.path.name)

    @property
    def payload(self) -> tuple[Artifact, ...]:
        """The recorded files that are installed."""
        return (self.image,)

    def built_path(self, file: Artifact) -> PurePosixPath | None:
        """Return where a rebuild has a file of the payload, below the prefix."""
        return file.path

    @property
    def machine(self) -> str:
        """Machine that runs them, as ELF and `uname -m` name it."""
        return self.solo5.machine


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRecipe(Recipe):
    """How to package the recorded files of anything that is no unikernel."""

    payload: tuple[Artifact, ...]
    """The recorded files that are installed; paths are relative to the prefix. At least one, unless
    the tool is built natively."""
    machine: str
    """Machine that they were built for, as ELF and `uname -m` name it."""
    tool: Tool | None = None
    """What is known about it; None if it has no description."""
    package: RecordedPackage | None = None
    """The recorded binary package that the payload is in; None if it is recorded file by file."""

    def built_path(self, file: Artifact) -> PurePosixPath | None:
        """Return where a rebuild has a file of the payload, below the prefix; None if nowhere."""
        return file.path if self.package is None else prefix_path(self.tool, file.path)

    @property
    def native(self) -> Build | None:
        """How it is built from its release tarball; None if the recorded files are installed."""
        return None if self.tool is None else self.tool.build


AnyRecipe: TypeAlias = ImageRecipe | ToolRecipe
"""How to package a recorded build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release of a tool that distributions have by a package of their own."""

    name: str
    """Name of its opam package."""
    version: str
    """Starts with a digit."""
    urls: tuple[str, ...]
    """https addresses of its archive, at least one; none of an archive that a forge makes of a tag
    each time anew."""
    checksums: tuple[Checksum, ...]
    """sha256 and sha512 of the archive, as far as recorded, sha256 first; at least one."""
    provenance: Provenance
    """The recorded build."""
