"""What ports are made of: what a user wants, what is decided, what is installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pkggen.recipe.model import ImageRecipe, ToolRecipe
from pkggen.targets.freebsd import names

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import PurePosixPath

    from pkggen.errors import PkggenError
    from pkggen.recipe.distfiles import Distfile
    from pkggen.recipe.model import AnyRecipe
    from pkggen.recipe.plan import RebuildPlan
    from pkggen.recipe.service import Service
    from pkggen.recipe.tool import Tool
    from pkggen.record.model import RecordedPackage
    from pkggen.targets.freebsd.distfiles import Listed, Mirrors
    from pkggen.targets.freebsd.licences import Licensing
    from pkggen.targets.freebsd.origins import Dependencies

TENDER_PORT: Final = "sysutils/solo5"
"""Port of the tenders, unless another one is named."""
FEW_FILES: Final = 6
"""So many lines make a pkg-plist; fewer stand in the Makefile (portlint)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a user wants of ports."""

    category: str = names.DEFAULT_CATEGORY
    """Directory of the ports tree."""
    tender: str = TENDER_PORT
    """Port of the tenders."""
    origins: Mapping[str, str]
    """Origins of packages by name, besides those that are known."""
    mirrors: Mirrors
    """Where distfiles are besides the recorded addresses."""
    distdir: bool = False
    """Whether all distfiles are put into a DISTDIR, so that none has to be fetched."""
    submitted: bool = False
    """Whether the port is for the ports tree itself, which wants a maintainer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What a rebuild starts from."""

    plan: RebuildPlan
    """How it is done."""
    distfiles: tuple[Distfile, ...]
    """All files of the plan."""
    depexts: tuple[str, ...]
    """FreeBSD's names of what the recorded packages ask of the system."""
    unnamed: tuple[PkggenError, ...] = ()
    """An error for each package that asks for something and does not say what FreeBSD calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A recorded file and where it goes."""

    path: str
    """As recorded."""
    sha256: str
    """64 hexadecimal digits."""
    how: str
    """`PROGRAM` or `DATA`, behind `INSTALL_`."""
    place: str
    """Below PREFIX."""

    @property
    def packed(self) -> str:
        """Where it is in the package: the framework compresses manual pages."""
        return f"{self.place}.gz" if self.place.startswith("share/man/man") else self.place


@dataclass(frozen=True, slots=True, kw_only=True)
class PortView:
    """What the templates print; every string is still unquoted."""

    directory: PurePosixPath
    """Category and name."""
    recipe: AnyRecipe
    """What is packaged."""
    version: str
    """PORTVERSION."""
    site: str | None
    """Directory on a server that has the recorded files; None in a rebuild, or if there is none."""
    subdirectory: str
    """DIST_SUBDIR."""
    files: tuple[Listed, ...]
    """Distfiles, sorted."""
    maintainer: str
    """Address."""
    licensing: Licensing
    """Licences."""
    architecture: str
    """FreeBSD's name of the machine that runs it."""
    dependencies: Dependencies
    """Other ports."""
    payload: tuple[Installed, ...]
    """What is installed."""
    service: Service | None
    """The service of an image that FreeBSD can run as one."""
    rebuilt: RebuildPlan | None
    """How it is built; None if what was recorded is installed as it is."""

    @property
    def is_image(self) -> bool:
        """Whether it is a unikernel, which runs below any version of FreeBSD."""
        return isinstance(self.recipe, ImageRecipe)

    @property
    def tool(self) -> Tool | None:
        """What is known about a tool; None for an image, and for a tool without description."""
        return self.recipe.tool if isinstance(self.recipe, ToolRecipe) else None

    @property
    def packed(self) -> RecordedPackage | None:
        """Upstream's own package, if what is installed is in one."""
        if self.rebuilt is not None or not isinstance(self.recipe, ToolRecipe):
            return None
        return self.recipe.package

    @property
    def timestamp(self) -> int:
        """Seconds since 1970 at the start of the recorded build."""
        return int(self.recipe.version.built.timestamp())
