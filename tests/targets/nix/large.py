"""Large outputs: a catalogue of a thousand packages, and the source build of the largest record."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pkggen.recipe.plan import Expected
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.targets.nix import quote
from pkggen.targets.nix.rebuild import Inputs, Pin, rebuild_tree
from pkggen.targets.nix.render import flake_tree, image_tree
from pkggen.writer import write
from tests.rebuild.made import EXAMPLE, Made
from tests.targets.nix.conftest import STAND_IN
from tests.targets.nix.rebuilds import Packaged, tree_of

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.recipe.model import ImageRecipe

COUNT: Final = 1000


def write_catalogue(root: Path, recipe: ImageRecipe) -> None:
    """Write a flake of many packages of one image."""
    write(flake_tree(), root)
    for number in range(COUNT):
        write(image_tree(replace(recipe, name=f"unikernel-{number:04}"), nixpkgs=False), root)


def packages_of(catalogue: Path) -> str:
    """Return the expression of all packages of a catalogue."""
    stand_in = f"import {quote.string(str(STAND_IN))} {{ }}"
    return f"(import {quote.string(str(catalogue / 'default.nix'))} {{ pkgs = {stand_in}; }})"


def example_recipe() -> ImageRecipe:
    """Return the recipe of the example."""
    recipe, _ = tree_of(Made(EXAMPLE / "record", EXAMPLE / "download-cache").read())
    return recipe


def write_largest(records: Path, root: Path) -> tuple[Packaged, int]:
    """Write the source build of the largest record, which has no image, with that of the example.

    Returns:
        The package, and the number of its sources.
    """
    record = Made(records / "made/dns-primary-git", root).read()
    plan = rebuild_plan(record)
    digits = hashlib.sha256(b"").hexdigest()
    pins = {source.file_name: Pin(sha256=digits, commit=None, nar=None) for source in plan.sources}
    recipe = example_recipe()
    image = Expected(path=str(recipe.image.path), kind="sha256", digest=recipe.image.sha256)
    tree = rebuild_tree(
        recipe,
        replace(plan, expected=(image,)),
        pins,
        Inputs(switch=(), root=()),
        record.system_packages or (),
    )
    write(tree, root)
    (root / "package.nix").write_text("{ callPackage }: callPackage ./rebuild.nix { }")
    return Packaged(root, {}), len(plan.sources)
