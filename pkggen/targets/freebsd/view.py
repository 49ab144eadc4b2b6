"""All decisions about a port, before anything is quoted or laid out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from pkggen.errors import InputError, PkggenError, raise_all
from pkggen.recipe.model import ImageRecipe
from pkggen.recipe.service import SOLO5_WITH_ABI_2, Service, service
from pkggen.recipe.versions import port_version
from pkggen.targets.freebsd import distfiles, names, quote
from pkggen.targets.freebsd.distfiles import Listed, Mirrors
from pkggen.targets.freebsd.licences import Licensing, licensing
from pkggen.targets.freebsd.origins import Dependencies, dependencies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import PurePosixPath

    from pkggen.recipe.distfiles import Distfile
    from pkggen.recipe.model import AnyRecipe
    from pkggen.recipe.plan import RebuildPlan
    from pkggen.record.model import Artifact

T = TypeVar("T")

TENDER_PORT: Final = "sysutils/solo5"
"""Port of the tenders, unless another one is named."""
FEW_FILES: Final = 6
"""So many lines make a pkg-plist; fewer stand in the Makefile (portlint)."""
_PROGRAMS: Final = {"hvt": "solo5-hvt", "virtio": "solo5-virtio-run"}
"""Solo5 targets that FreeBSD can run, and what runs them."""
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "aarch64", "ppc64le": "powerpc64le"}
_PLACES: Final = {
    "bin": ("bin", "PROGRAM"),
    "sbin": ("sbin", "PROGRAM"),
    "lib": ("lib", "DATA"),
    "share": ("share", "DATA"),
    "etc": ("etc", "DATA"),
    "man": ("share/man", "DATA"),
    "doc": ("share/doc", "DATA"),
}
"""First directory of a recorded path, where it goes below PREFIX, and how it is installed."""
_IMAGES: Final = "share/mirage"


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
    made_from: str
    """Where the recorded build is, for headers."""
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
    def timestamp(self) -> int:
        """Seconds since 1970 at the start of the recorded build."""
        return int(self.recipe.version.built.timestamp())


def port_view(
    recipe: AnyRecipe, wanted: Wanted, depexts: Sequence[str] = (), sources: Sources | None = None
) -> PortView:
    """Decide everything about the port of a recorded build.

    Args:
        recipe: What to package.
        wanted: What the user wants.
        depexts: FreeBSD's names of what a tool needs when it is not built.
        sources: What it is built from; None to install what was recorded.

    Raises:
        InputError: the recipe cannot become a port; all reasons are given together.
    """
    faults: list[PkggenError] = [*_faults(recipe, wanted)]

    def tried(make: Callable[[], T]) -> T | None:
        try:
            return make()
        except PkggenError as error:
            faults.append(error)
            return None

    image = recipe if isinstance(recipe, ImageRecipe) else None
    version = tried(lambda: str(port_version(recipe.version)))
    licences = tried(lambda: licensing(recipe.licences))
    described = None
    if image is not None and image.solo5.target == "hvt":
        described = tried(lambda: service(image))
    needs = tried(
        lambda: dependencies(
            depexts if sources is None else sources.depexts,
            wanted.origins,
            built=sources is not None,
            linked=image is None,
        )
    )
    payload = tried(lambda: _payload(recipe))
    if sources is None:
        subdirectory = f"{distfiles.SUBDIRECTORY}/{recipe.name}-{version}"
        files = _recorded(recipe)
        faults += () if wanted.distdir or recipe.provenance.origin else distfiles.faults(files)
    else:
        subdirectory = distfiles.SUBDIRECTORY
        found = (distfiles.listed(one, wanted.mirrors) for one in sources.distfiles)
        files = tuple(one for one in found if one is not None)
        faults += _rebuild_faults(recipe, sources.plan)
        faults += sources.unnamed
        faults += () if wanted.distdir else distfiles.faults(files)
    raise_all(faults)
    assert version is not None  # noqa: S101 - it would be among the faults
    assert licences is not None  # noqa: S101 - likewise
    assert needs is not None  # noqa: S101 - likewise
    assert payload is not None  # noqa: S101 - likewise
    origin, maintainer = recipe.provenance.origin, recipe.maintainer
    return PortView(
        directory=names.directory(wanted.category, recipe.name),
        made_from=f"job {recipe.provenance.job}" if origin is None else origin.url,
        recipe=recipe,
        version=version,
        site=_site(recipe) if sources is None else None,
        subdirectory=subdirectory,
        files=files,
        maintainer=names.NO_MAINTAINER if maintainer is None else maintainer.email,
        licensing=licences,
        architecture=_ARCHITECTURES[recipe.machine],
        dependencies=_with_tools(needs, image, wanted.tender, sources),
        payload=payload,
        service=described,
        rebuilt=None if sources is None else sources.plan,
    )


def _faults(recipe: AnyRecipe, wanted: Wanted) -> Iterator[InputError]:
    yield from names.category_faults(wanted.category)
    if recipe.machine not in _ARCHITECTURES:
        yield InputError(
            f"no FreeBSD architecture is known for the machine {recipe.machine!r}",
            where=recipe.name,
        )
    if isinstance(recipe, ImageRecipe) and recipe.solo5.target not in _PROGRAMS:
        yield InputError(
            f"nothing on FreeBSD runs an image for {recipe.solo5.target!r}",
            where=str(recipe.image.path),
            hint=f"ports can be made of images for {' and '.join(_PROGRAMS)}; solo5-spt needs"
            " Linux's seccomp",
        )
    if wanted.submitted and recipe.maintainer is None:
        yield InputError(
            "the ports tree takes no new port without a maintainer",
            where=recipe.name,
            hint="set maintainer in pkggen.yaml",
        )


def _rebuild_faults(recipe: AnyRecipe, plan: RebuildPlan) -> Iterator[InputError]:
    made = {expected.path for expected in plan.expected}
    for artifact in recipe.payload:
        if str(artifact.path) not in made:
            yield InputError(
                f"a rebuild of this record does not make {artifact.path}", where=plan.job
            )


def recorded_name(recipe: AnyRecipe, artifact: Artifact) -> str:
    """Return the name of a recorded file as a distfile: an image's own, a path of others."""
    return artifact.path.name if isinstance(recipe, ImageRecipe) else str(artifact.path)


def _recorded(recipe: AnyRecipe) -> tuple[Listed, ...]:
    files = (
        Listed(name=recorded_name(recipe, one), sha256=one.sha256, size=one.size)
        for one in recipe.payload
    )
    return tuple(sorted(files, key=lambda file: file.name))


def _site(recipe: AnyRecipe) -> str | None:
    origin = recipe.provenance.origin
    if origin is None:
        return None
    base = f"{origin.url}/f/"
    if isinstance(recipe, ImageRecipe):
        return f"{base}{recipe.image.path.parent}/"
    return base


def _payload(recipe: AnyRecipe) -> tuple[Installed, ...]:
    if isinstance(recipe, ImageRecipe):
        name = quote.file_name(recipe.file_name.name)
        return (_installed(recipe.image, "DATA", f"{_IMAGES}/{name}"),)
    faults: list[PkggenError] = []
    found: dict[str, Installed] = {}
    for artifact in recipe.payload:
        try:
            one = _placed(artifact)
        except InputError as error:
            faults.append(error)
            continue
        if found.setdefault(one.place, one) is not one:
            faults.append(InputError("two recorded files go there", where=one.place))
    raise_all(faults)
    return tuple(found[place] for place in sorted(found))


def _placed(artifact: Artifact) -> Installed:
    top, _, rest = str(quote.path(str(artifact.path))).partition("/")
    if top not in _PLACES or not rest:
        raise InputError(
            f"a port cannot install {artifact.path}",
            hint=f"it knows the directories {', '.join(_PLACES)}",
        )
    directory, how = _PLACES[top]
    return _installed(artifact, how, f"{directory}/{rest}")


def _installed(artifact: Artifact, how: str, place: str) -> Installed:
    return Installed(path=str(artifact.path), sha256=artifact.sha256, how=how, place=place)


def _with_tools(
    needs: Dependencies, image: ImageRecipe | None, tender: str, sources: Sources | None
) -> Dependencies:
    """Return the dependencies with those that the port itself has."""
    build, run, uses = {*needs.build}, {*needs.run}, {*needs.uses}
    if sources is not None:
        build.add("opam-installer:devel/ocaml-opam")
        uses |= {"gmake"} if _calls_gmake(sources.plan) else set()
    if image is not None:
        run.add(f"{_tender(image, tender)}:{tender}")
    return Dependencies(
        build=tuple(sorted(build)),
        lib=needs.lib,
        run=tuple(sorted(run)),
        uses=tuple(sorted(uses)),
    )


def _calls_gmake(plan: RebuildPlan) -> bool:
    """Tell whether a step names the make that opam's variable `make` is on FreeBSD."""
    configure = () if plan.root.configure is None else (plan.root.configure,)
    commands = (*configure, *(one for package in plan.packages for one in package.commands))
    words = (part for command in commands for text in command for part in text)
    return any(isinstance(word, str) and "gmake" in word for word in words)


def _tender(image: ImageRecipe, tender: str) -> str:
    """Return the package, or the program, that runs an image."""
    if image.solo5.abi_version == 2:
        return f"{tender.rpartition('/')[2]}>={SOLO5_WITH_ABI_2}"
    return _PROGRAMS[image.solo5.target]
