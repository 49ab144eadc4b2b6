"""Packages for a checkout of nixpkgs.

Source: nixpkgs `pkgs/README.md` and `CONTRIBUTING.md` (where a package goes, commit messages).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, raise_all
from pkggen.targets.nix import names
from pkggen.targets.nix.render import commit_message, image_tree

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.recipe.model import ImageRecipe
    from pkggen.tree import Tree

_VERSION: Final = re.compile(r'^  version = "([^"\\$]+)";$', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One package for nixpkgs."""

    tree: Tree
    """Its files, relative to the checkout."""
    commit_message: str
    """Subject of the commit that adds or updates it."""


def submission(recipe: ImageRecipe, checkout: Path, config: str | None) -> Submission:
    """Return what to add to a checkout of nixpkgs; nothing is written.

    Args:
        recipe: What to package.
        checkout: Root of the checkout.
        config: Text of the pkggen.yaml that was used; it is submitted too, for later updates.

    Raises:
        InputError: the directory is no checkout, the name is taken there, or the recipe does not
            meet nixpkgs' rules.
    """
    if not (checkout / names.BY_NAME).is_dir():
        raise InputError(
            f"there is no {names.BY_NAME} in it",
            where=str(checkout),
            hint="name the root of a checkout of nixpkgs",
        )
    tree = image_tree(recipe, nixpkgs=True, config=config)
    raise_all(names.taken(checkout, recipe.name))
    return Submission(
        tree=tree,
        commit_message=commit_message(recipe, old_version=_version_in(checkout, recipe.name)),
    )


def _version_in(checkout: Path, name: str) -> str | None:
    """Return the version that the checkout has of a package of ours."""
    expression = checkout / names.directory(name) / names.PACKAGE_FILE
    if not expression.is_file():
        return None
    found = _VERSION.search(expression.read_text(encoding="utf-8", errors="replace"))
    return found[1] if found else None
