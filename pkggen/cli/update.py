"""`pkggen update`: what `passthru.updateScript` of a package in nixpkgs runs.

Source: nixpkgs `pkgs/README.md` (Automatic package updates, the feature `commit`) and
`maintainers/scripts/update.py`, which sets the variables and reads the result.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pkggen.cli.common import load_overrides, source_licences, source_opener
from pkggen.cli.nix import updated_tool
from pkggen.cli.nix_rebuild import rebuild_files
from pkggen.errors import InputError, raise_all
from pkggen.publish.nixpkgs import submission
from pkggen.recipe.build import image_recipe
from pkggen.recipe.release import is_tool
from pkggen.targets.nix import names
from pkggen.writer import write

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from pkggen.publish.nixpkgs import Submission


def run(arguments: argparse.Namespace) -> int:
    """Generate the package anew and print what changed; nothing is committed."""
    checkout = Path(arguments.nixpkgs)
    overrides = load_overrides(arguments.config)
    with source_opener(arguments) as opened:
        record = opened(arguments.source)
        if is_tool(record):
            submitted = updated_tool(record, arguments)
        else:
            recipe = image_recipe(record, overrides, source_licences(record, overrides, arguments))
            rebuild = rebuild_files(record, recipe, arguments) if arguments.rebuild else None
            submitted = submission(recipe, checkout, overrides, rebuild=rebuild)
        raise_all(_faults(submitted, checkout))
        changes = write(submitted.tree, checkout)
    files = [str(change.path) for change in changes if change.kind != "unchanged"]
    change = {
        "attrPath": names.attribute(submitted.name),
        "oldVersion": submitted.old_version,
        "newVersion": submitted.new_version,
        "files": files,
        "commitMessage": submitted.commit_message,
    }
    json.dump([change] if files else [], sys.stdout, indent=2)
    print()
    return 0


def _faults(submitted: Submission, checkout: Path) -> Iterator[InputError]:
    """Yield what is not as the update was asked for."""
    if submitted.old_version is None:
        yield InputError(
            f"there is no package {submitted.name} to update",
            where=str(checkout),
            hint="add it with `pkggen nix --nixpkgs`",
        )
    expected = {
        "UPDATE_NIX_ATTR_PATH": names.attribute(submitted.name),
        "UPDATE_NIX_PNAME": submitted.name,
        "UPDATE_NIX_OLD_VERSION": submitted.old_version,
    }
    for variable, value in expected.items():
        stated = os.environ.get(variable)
        if stated is not None and value is not None and stated != value:
            yield InputError(
                f"{variable} is {stated!r}, but the package has {value!r}",
                hint="the build or pkggen.yaml is that of another package",
            )
