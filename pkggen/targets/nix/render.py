"""The files of a Nix package, and of an overlay and a flake with the NixOS module."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen import templating
from pkggen.recipe.overrides import OVERRIDES_FILE
from pkggen.targets.nix import names, quote
from pkggen.targets.nix.module import module_tree
from pkggen.targets.nix.view import PackageView, package_view
from pkggen.tree import SEAL, CopiedFile, TextFile, Tree

if TYPE_CHECKING:
    from pkggen.recipe.model import ImageRecipe

_OVERLAY: Final = ("overlay.nix", "default.nix")
_FLAKE: Final = ("flake.nix",)


def image_tree(
    recipe: ImageRecipe,
    *,
    nixpkgs: bool,
    config: str | None = None,
    rebuild: Tree | None = None,
) -> Tree:
    """Return the package of a recorded image.

    Args:
        recipe: What to package.
        nixpkgs: Whether it is meant for submission to nixpkgs; then the image is downloaded from
            its server and a maintainer is required.
        config: Text of the pkggen.yaml that was used; it is put beside the package, where the
            update script finds it. None if there was none.
        rebuild: Files of the source build, from `rebuild_tree`; they are put beside the package.

    Raises:
        InputError: the recipe cannot become such a package; all reasons are given together.
    """
    view = package_view(
        recipe, nixpkgs=nixpkgs, configured=config is not None, rebuilt=rebuild is not None
    )
    values = _quoted(view) | {"rebuild": rebuild is not None}
    text = templating.render("nix/package.nix.j2", values, finalize=quote.finalize)
    made = Tree({view.directory / names.PACKAGE_FILE: TextFile(text)})
    made |= Tree({view.directory / path: file for path, file in (rebuild or {}).items()})
    if config is not None:
        made |= Tree({view.directory / OVERRIDES_FILE: TextFile(config)})
    if view.url is None:
        image = recipe.image
        copy = CopiedFile(content=image.content, sha256=image.sha256, size=image.size)
        made |= Tree({view.directory / view.file_name: copy})
    return made


def overlay_tree() -> Tree:
    """Return an overlay and a `default.nix` of all packages beside them, and the NixOS module."""
    return _constant_tree(_OVERLAY) | module_tree()


def flake_tree() -> Tree:
    """Return `overlay_tree` and a `flake.nix`: packages, checks and Hydra's jobs per system."""
    return overlay_tree() | _constant_tree(_FLAKE)


def commit_message(recipe: ImageRecipe, *, old_version: str | None) -> str:
    """Return the subject of the commit that adds or updates a package in nixpkgs.

    Args:
        recipe: What is packaged.
        old_version: Version that the checkout has; None if it has none.

    Raises:
        InputError: see `image_tree`.
    """
    view = package_view(recipe, nixpkgs=True)
    name = names.attribute(view.pname)
    if old_version is None:
        return f"{name}: init at {view.version}"
    if old_version == view.version:
        return f"{name}: use another build of {view.version}"
    return f"{name}: {old_version} -> {view.version}"


def _constant_tree(files: tuple[str, ...]) -> Tree:
    header = _header("", "Packages are in pkgs/by-name; put your own changes into another overlay.")
    return Tree(
        {
            PurePosixPath(file): TextFile(
                templating.render(f"nix/{file}.j2", {"header": header}, finalize=quote.finalize)
            )
            for file in files
        }
    )


def _header(made_from: str, *lines: str) -> quote.Nix:
    first = f"{names.GENERATED} {made_from}".rstrip()
    return quote.Nix("\n".join(quote.comment(line) for line in (first, *lines, SEAL)))


def _quoted(view: PackageView) -> dict[str, object]:
    """Return the values of the template: each quoted for its one place there, or None or bool."""
    licence_list = [quote.attribute(licence) for licence in view.licences]
    return {
        "header": _header(
            f"from {view.origin}",
            f"opam-switch: sha256 {view.switch_sha256}",
            "Edit pkggen.yaml instead of this file, and generate it again.",
        ),
        "pname": quote.string(view.pname),
        "version": quote.string(view.version),
        "url": None if view.url is None else quote.string(view.url),
        "hash": quote.sri(view.sha256),
        "sha256": quote.file_name(view.sha256),
        "file_name": quote.file_name(view.file_name),
        "target": quote.file_name(view.target),
        "abi": quote.number(view.abi),
        "networks": quote.listing([quote.string(name) for name in view.networks], indent=6),
        "blocks": quote.listing([quote.string(name) for name in view.blocks], indent=6),
        "update": None
        if view.update is None
        else quote.listing([quote.string(word) for word in view.update], indent=6),
        "description": quote.string(view.description),
        "homepage": None if view.homepage is None else quote.string(view.homepage),
        "licence": licence_list[0] if len(licence_list) == 1 else None,
        "licences": quote.listing(licence_list, indent=4),
        "maintainers": quote.listing(
            []
            if view.maintainer is None
            else [quote.Nix(f"lib.maintainers.{quote.attribute(view.maintainer)}")],
            indent=4,
        ),
        "platform": quote.string(view.platform),
    }
