"""All decisions about a port, before anything is quoted or laid out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from pkggen.errors import InputError, PkggenError, raise_all
from pkggen.recipe.model import ImageRecipe, ToolRecipe
from pkggen.recipe.service import SOLO5_WITH_ABI_2, service
from pkggen.recipe.versions import port_version
from pkggen.targets.freebsd import distfiles, names, quote
from pkggen.targets.freebsd.distfiles import Listed
from pkggen.targets.freebsd.licences import licensing
from pkggen.targets.freebsd.model import TENDER_PORT, Installed, PortView
from pkggen.targets.freebsd.origins import ORIGIN, Dependencies, dependencies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import PurePosixPath

    from pkggen.recipe.model import AnyRecipe
    from pkggen.recipe.plan import RebuildPlan
    from pkggen.record.model import Artifact
    from pkggen.targets.freebsd.model import Sources, Wanted

T = TypeVar("T")

_PROGRAMS: Final = {"hvt": "solo5-hvt", "virtio": "solo5-virtio-run"}
"""Solo5 targets that FreeBSD can run, and what runs them."""
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "aarch64", "ppc64le": "powerpc64le"}
_PLACES: Final = {
    "bin": ("bin", "PROGRAM"),
    "sbin": ("sbin", "PROGRAM"),
    "lib": ("lib", "DATA"),
    "libexec": ("libexec", "PROGRAM"),
    "include": ("include", "DATA"),
    "share": ("share", "DATA"),
    "etc": ("etc", "DATA"),
    "man": ("share/man", "DATA"),
    "doc": ("share/doc", "DATA"),
}
"""First directory of a recorded path, where it goes below PREFIX, and how it is installed."""
_IMAGES: Final = "share/mirage"


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
    payload = tried(lambda: _payload(recipe, built=sources is not None))
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
    maintainer = recipe.maintainer
    return PortView(
        directory=names.directory(wanted.category, recipe.name),
        recipe=recipe,
        version=version,
        site=_site(recipe) if sources is None else None,
        subdirectory=subdirectory,
        files=files,
        maintainer=names.NO_MAINTAINER if maintainer is None else maintainer.email,
        licensing=licences,
        architecture=_ARCHITECTURES[recipe.machine],
        dependencies=_with_tools(needs, recipe, wanted.tender, sources),
        payload=payload,
        service=described,
        rebuilt=None if sources is None else sources.plan,
    )


def _faults(recipe: AnyRecipe, wanted: Wanted) -> Iterator[InputError]:
    yield from names.category_faults(wanted.category)
    if not ORIGIN.fullmatch(wanted.tender):
        yield InputError(
            f"{wanted.tender!r} is no origin of a port, such as {TENDER_PORT}",
            hint="name the port of the tenders with --tender-port",
        )
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
        path = _obtained(recipe, artifact, built=True)
        if path is not None and path not in made:
            yield InputError(f"a rebuild of this record does not make {path}", where=plan.job)


def _obtained(recipe: AnyRecipe, artifact: Artifact, *, built: bool) -> str | None:
    """Return where a file is after the build; None for what only upstream's own package has."""
    if built:
        path = recipe.built_path(artifact)
        return None if path is None else str(path)
    package = recipe.package if isinstance(recipe, ToolRecipe) else None
    return str(artifact.path) if package is None else package.unpacked_path(artifact)


def recorded_files(recipe: AnyRecipe) -> tuple[Artifact, ...]:
    """Return the recorded files that a port fetches."""
    package = recipe.package if isinstance(recipe, ToolRecipe) else None
    return recipe.payload if package is None else (package.archive,)


def recorded_name(recipe: AnyRecipe, artifact: Artifact) -> str:
    """Return the name of a recorded file as a distfile: an image's own, a path of others."""
    return artifact.path.name if isinstance(recipe, ImageRecipe) else str(artifact.path)


def _recorded(recipe: AnyRecipe) -> tuple[Listed, ...]:
    files = (
        Listed(name=recorded_name(recipe, one), sha256=one.sha256, size=one.size)
        for one in recorded_files(recipe)
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


def _payload(recipe: AnyRecipe, *, built: bool) -> tuple[Installed, ...]:
    if isinstance(recipe, ImageRecipe):
        name = quote.file_name(recipe.file_name.name)
        return (_installed(recipe.image, "DATA", f"{_IMAGES}/{name}"),)
    faults: list[PkggenError] = []
    found: dict[str, Installed] = {}
    for artifact in recipe.payload:
        place = artifact.path if recipe.tool is None else recipe.tool.place_of(artifact.path)
        obtained = _obtained(recipe, artifact, built=built)
        if place is None or obtained is None:
            continue
        try:
            one = _placed(artifact, place, obtained)
        except InputError as error:
            faults.append(error)
            continue
        if found.setdefault(one.place, one) is not one:
            faults.append(InputError("two recorded files go there", where=one.place))
    raise_all(faults)
    return tuple(found[place] for place in sorted(found))


def _placed(artifact: Artifact, path: PurePosixPath, obtained: str) -> Installed:
    top, _, rest = str(quote.path(str(path))).partition("/")
    if top not in _PLACES or not rest:
        raise InputError(
            f"a port cannot install {artifact.path}",
            hint=f"it knows the directories {', '.join(_PLACES)}",
        )
    directory, how = _PLACES[top]
    quote.path(obtained)
    return Installed(path=obtained, sha256=artifact.sha256, how=how, place=f"{directory}/{rest}")


def _installed(artifact: Artifact, how: str, place: str) -> Installed:
    return Installed(path=str(artifact.path), sha256=artifact.sha256, how=how, place=place)


def _with_tools(
    needs: Dependencies, recipe: AnyRecipe, tender: str, sources: Sources | None
) -> Dependencies:
    """Return the dependencies with those that the port itself has."""
    build, run, uses = {*needs.build}, {*needs.run}, {*needs.uses}
    if sources is not None:
        build.add("opam-installer:devel/ocaml-opam")
        uses |= {"gmake"} if _calls_gmake(sources.plan) else set()
    if isinstance(recipe, ImageRecipe):
        run.add(f"{_tender(recipe, tender)}:{tender}")
    elif recipe.tool is not None:
        run |= {*recipe.tool.packages[0].freebsd}
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
