"""A tool for Nix: its recorded programs, and a NixOS module with its services.

Source: nixpkgs `pkgs/build-support/setup-hooks/auto-patchelf.sh` (libraries of foreign programs).
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen import templating
from pkggen.errors import InputError, PkggenError, raise_all
from pkggen.recipe import shell
from pkggen.recipe.model import ToolRecipe
from pkggen.recipe.tool import PLACES
from pkggen.recipe.versions import nix_version
from pkggen.targets.nix import inputs, licences, names, quote
from pkggen.targets.nix.tool_module import header, module_values
from pkggen.targets.nix.view import PLATFORMS
from pkggen.tree import CopiedFile, TextFile, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pkggen.recipe.model import AnyRecipe
    from pkggen.record.model import Artifact

MODULE_FILE: Final = "module.nix"
_ARGUMENTS: Final = frozenset(
    {"autoPatchelfHook", "callPackage", "dpkg", "fetchurl", "lib", "stdenv"}
)
BUILD_TOOLS: Final = frozenset(
    {"binutils", "gcc", "gnumake", "m4", "perl", "pkg-config", "pkgconfig", "which"}
)
"""Packages that only a build needs."""
_PROGRAMS: Final = ("bin", "sbin", "libexec")


def name_of(recipe: AnyRecipe) -> str:
    """Return the name in nixpkgs, where some are taken."""
    tool = recipe.tool if isinstance(recipe, ToolRecipe) else None
    stated = None if tool is None or recipe.name != tool.name else tool.nixpkgs_name
    return stated or recipe.name


def tool_tree(
    recipe: ToolRecipe, libraries: tuple[str, ...], *, rebuild: Tree | None = None
) -> Tree:
    """Return the package of a tool and, if it has services, a NixOS module beside it.

    Args:
        recipe: The tool.
        libraries: What nixpkgs calls the packages that its dependencies name.
        rebuild: Files of the source build, from `rebuild_tree`; they are put beside the package.

    Raises:
        InputError: it cannot become such a package; all reasons together.
    """
    raise_all(_faults(recipe, libraries))
    directory = names.directory(name_of(recipe))
    values = _values(recipe, libraries, rebuilt=rebuild is not None)
    text = templating.render("nix/tool.nix.j2", values, finalize=quote.finalize)
    made = Tree({directory / names.PACKAGE_FILE: TextFile(text), **module_files(recipe, directory)})
    made |= Tree({directory / path: file for path, file in (rebuild or {}).items()})
    if recipe.provenance.origin is not None:
        return made
    return made | Tree(
        {
            directory / file.path.name: CopiedFile(
                content=file.content, sha256=file.sha256, size=file.size
            )
            for file in _sources(recipe)
        }
    )


def module_files(recipe: ToolRecipe, directory: PurePosixPath) -> dict[PurePosixPath, TextFile]:
    """Return the NixOS module of a tool in the directory of its package; none without services."""
    if recipe.tool is None or not recipe.tool.daemons:
        return {}
    module = module_values(recipe, recipe.tool, name_of(recipe))
    text = templating.render("nix/tool-module.nix.j2", module, finalize=quote.finalize)
    return {directory / MODULE_FILE: TextFile(text)}


def about(recipe: ToolRecipe) -> dict[str, object]:
    """Return what every expression of a tool says about it, quoted."""
    terms = [quote.attribute(one) for one in licences.attributes(recipe.licences.terms)]
    maintainer = None if recipe.maintainer is None else recipe.maintainer.nixpkgs
    return {
        "header": header(recipe),
        "pname": quote.string(name_of(recipe)),
        "version": quote.string(str(nix_version(recipe.version))),
        "description": quote.string(recipe.description),
        "homepage": None if recipe.homepage is None else quote.string(recipe.homepage),
        "licence": terms[0] if len(terms) == 1 else None,
        "licences": quote.listing(terms, indent=4),
        "maintainers": quote.listing(
            []
            if maintainer is None
            else [quote.Nix(f"lib.maintainers.{quote.attribute(maintainer)}")],
            indent=4,
        ),
    }


def _faults(recipe: ToolRecipe, libraries: tuple[str, ...]) -> Iterator[PkggenError]:
    yield from inputs.faults(libraries, _ARGUMENTS | {name_of(recipe)}, recipe.provenance.job)
    yield from names.faults(name_of(recipe))
    yield from licences.faults(recipe.licences.terms)
    if recipe.machine not in PLATFORMS:
        yield InputError(f"no Nix system is known for the machine {recipe.machine!r}")
    sources = [file.path.name for file in _sources(recipe)]
    if len(set(sources)) < len(sources):
        yield InputError("two recorded files have the same name", where=recipe.name)
    for file in _sources(recipe):
        yield from names.recorded_file_faults(file.path.name)
        if file.path.suffix == ".pkg":
            yield InputError("programs of FreeBSD do not run on NixOS", where=str(file.path))
    taken: dict[PurePosixPath, Artifact] = {}
    for file, place in installed(recipe):
        other = taken.setdefault(place, file)
        if place.parts[0] not in PLACES or len(place.parts) == 1:
            yield InputError(
                f"a Nix package cannot install {file.path}",
                hint=f"it knows the directories {', '.join(PLACES)}",
            )
        if other is not file:
            yield InputError(f"{other.path} is installed at the same place", where=str(file.path))
    try:
        nix_version(recipe.version)
        for place in taken:
            quote.path(place)
    except InputError as error:
        yield error


def installed(recipe: ToolRecipe) -> Iterator[tuple[Artifact, PurePosixPath]]:
    """Yield the recorded files that are packaged, and their paths below `$out`."""
    for file in recipe.payload:
        place = file.path if recipe.tool is None else recipe.tool.place_of(file.path)
        if place is None:
            continue
        first, *rest = place.parts
        yield file, PurePosixPath("share", first, *rest) if first in {"doc", "man"} else place


def _sources(recipe: ToolRecipe) -> tuple[Artifact, ...]:
    return recipe.payload if recipe.package is None else (recipe.package.archive,)


def _values(recipe: ToolRecipe, libraries: tuple[str, ...], *, rebuilt: bool) -> dict[str, object]:
    packed = recipe.package
    members = {} if packed is None else dict(zip(packed.files, packed.members, strict=True))
    used = [library for library in libraries if library not in BUILD_TOOLS]
    remote = recipe.provenance.origin is not None
    arguments = sorted(
        {"lib", "stdenv", "autoPatchelfHook", *inputs.arguments(used)}
        | ({"fetchurl"} if remote else set())
        | ({"dpkg"} if packed is not None else set())
        | ({"callPackage"} if rebuilt else set())
    )
    tools = ["autoPatchelfHook", *(["dpkg"] if packed is not None else [])]
    return about(recipe) | {
        "rebuild": rebuilt,
        "arguments": [quote.attribute(one) for one in arguments],
        "tools": quote.listing([quote.attribute(one) for one in tools], indent=2),
        "libraries": inputs.listing(used, indent=2),
        "sources": [_source(recipe, file) for file in _sources(recipe)],
        "archive": None if packed is None else quote.attribute(packed.archive.path.name),
        "members": quote.shell(
            shell.words(members[file] for file, _ in installed(recipe) if file in members)
        ),
        "files": [
            {
                "source": quote.shell(shell.word(f"relaid/{packed.unpacked_path(file)}"))
                if packed is not None
                else quote.Nix(f"${{recorded.{quote.attribute(file.path.name)}}}"),
                "mode": quote.Nix("755" if place.parts[0] in _PROGRAMS else "644"),
                "place": quote.path(place),
                "sha256": quote.file_name(file.sha256),
            }
            for file, place in installed(recipe)
        ],
        "platform": quote.string(PLATFORMS[recipe.machine]),
    }


def _source(recipe: ToolRecipe, file: Artifact) -> dict[str, quote.Nix | None]:
    """Return the values of a recorded file, which is downloaded or lies beside the package."""
    origin = recipe.provenance.origin
    return {
        "attribute": quote.attribute(file.path.name),
        "name": quote.string(file.path.name),
        "local": quote.file_name(file.path.name),
        "url": None if origin is None else quote.string(origin.file_url(file.path)),
        "hash": quote.sri(file.sha256),
    }
