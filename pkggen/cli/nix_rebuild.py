"""What `--rebuild` adds to packages for Nix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkggen.cli.common import download_cache
from pkggen.cli.fetch import choices, progress
from pkggen.recipe.depexts import depexts
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.sources.fetch import fetch
from pkggen.sources.nar import hash_tar
from pkggen.targets.nix.rebuild import Inputs, Pin, rebuild_tree

if TYPE_CHECKING:
    import argparse

    from pkggen.recipe.model import AnyRecipe
    from pkggen.record.model import Record
    from pkggen.tree import Tree


def rebuild_files(record: Record, recipe: AnyRecipe, arguments: argparse.Namespace) -> Tree | None:
    """Return the files of the source build, None unless --rebuild is given.

    The sources are fetched, and kept in the cache.
    """
    if not arguments.rebuild:
        return None

    steps = rebuild_plan(record)
    with progress(len(steps.sources)) as tell:
        fetched = fetch(steps.sources, download_cache(arguments), choices(arguments), tell)
    pins = {
        one.source.file_name: Pin(
            sha256=one.hashes.sha256,
            commit=one.commit,
            nar=None if one.commit is None else hash_tar(one.path).digest.hex(),
        )
        for one in fetched
    }
    inputs = Inputs(
        switch=depexts(record, [package.name for package in steps.switch], "nixos"),
        root=depexts(record, [steps.root.package.name], "nixos"),
    )
    return rebuild_tree(recipe, steps, pins, inputs, record.system_packages or ())
