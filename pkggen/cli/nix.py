"""`pkggen nix`: package recorded images for Nix."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pkggen.cli.common import load_overrides, source_licences, source_opener, talk
from pkggen.errors import InputError, PkggenError, UsageError, printable
from pkggen.publish.nixpkgs import submission
from pkggen.recipe.build import image_recipe
from pkggen.targets.nix.render import flake_tree, image_tree, overlay_tree
from pkggen.tree import plan, write

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from pkggen.recipe.model import ImageRecipe
    from pkggen.recipe.overrides import Overrides
    from pkggen.record.model import Record
    from pkggen.tree import Change, Tree

FOUND_CHANGES: Final = 1
"""Exit code of --check when something would change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What became of one source, or of the overlay."""

    source: str | None
    """As the user wrote it; None for the overlay."""
    recipe: ImageRecipe | None = None
    """Of a source that could be packaged."""
    changes: tuple[Change, ...] = ()
    """Of its files."""
    commit_message: str | None = None
    """For nixpkgs."""
    error: PkggenError | None = None
    """Why nothing was written."""


def run(arguments: argparse.Namespace) -> int:
    """Package each source; one that fails does not lose the others."""
    if arguments.nixpkgs and (arguments.overlay or arguments.flake):
        raise UsageError("--overlay and --flake are for packages outside of nixpkgs")
    overrides = load_overrides(arguments.config)
    outcomes: list[_Outcome] = []
    done: dict[str, str] = {}
    with source_opener(arguments) as opened:
        for source in arguments.sources:
            package = partial(_package, source, opened, overrides, arguments, done)
            outcomes.append(_attempt(source, package))
        if done and (extra := _extra_tree(arguments)) is not None:
            write_extra = partial(_extra, extra, arguments)
            outcomes.append(_attempt(None, write_extra))
    _print(outcomes, arguments)
    for outcome in outcomes:
        if outcome.error is not None:
            return outcome.error.exit_code
    changed = any(change.kind != "unchanged" for outcome in outcomes for change in outcome.changes)
    return FOUND_CHANGES if arguments.check and changed else 0


def _attempt(source: str | None, make: Callable[[], _Outcome]) -> _Outcome:
    try:
        return make()
    except PkggenError as error:
        talk(str(error))
        return _Outcome(source=source, error=error)


def _package(
    source: str,
    opened: Callable[[str], Record],
    overrides: Overrides,
    arguments: argparse.Namespace,
    done: dict[str, str],
) -> _Outcome:
    record = opened(source)
    recipe = image_recipe(record, overrides, source_licences(record, overrides, arguments))
    if recipe.name in done:
        raise InputError(
            f"{done[recipe.name]} gives a package {recipe.name} already",
            hint="give one of them another name in pkggen.yaml",
        )
    message = None
    if arguments.nixpkgs:
        submitted = submission(recipe, Path(arguments.nixpkgs), overrides.text)
        tree, message = submitted.tree, submitted.commit_message
    else:
        tree = image_tree(recipe, nixpkgs=False)
    changes = _apply(tree, arguments)
    done[recipe.name] = source
    return _Outcome(source=source, recipe=recipe, changes=changes, commit_message=message)


def _extra(tree: Tree, arguments: argparse.Namespace) -> _Outcome:
    return _Outcome(source=None, changes=_apply(tree, arguments))


def _extra_tree(arguments: argparse.Namespace) -> Tree | None:
    if arguments.flake:
        return flake_tree()
    return overlay_tree() if arguments.overlay else None


def _apply(tree: Tree, arguments: argparse.Namespace) -> tuple[Change, ...]:
    root = Path(arguments.nixpkgs or arguments.output)
    if arguments.dry_run or arguments.diff or arguments.check:
        return plan(tree, root)
    return write(tree, root, force=arguments.force)


def _print(outcomes: list[_Outcome], arguments: argparse.Namespace) -> None:
    if arguments.json:
        json.dump(
            {"results": [_as_json(outcome, diff=arguments.diff) for outcome in outcomes]},
            sys.stdout,
            indent=2,
        )
        print()
        return
    for outcome in outcomes:
        for change in outcome.changes:
            if arguments.diff:
                print(change.diff, end="")
            else:
                print(f"{change.kind:<9} {change.path}")
        if outcome.commit_message is not None and not arguments.diff:
            print(f"commit    {outcome.commit_message}")


def _as_json(outcome: _Outcome, *, diff: bool) -> dict[str, object]:
    if outcome.error is not None:
        return {
            "source": outcome.source,
            "error": printable(str(outcome.error)),
            "exit_code": outcome.error.exit_code,
        }
    result: dict[str, object] = {
        "source": outcome.source,
        "files": [
            {"path": str(c.path), "change": str(c.kind)} | ({"diff": c.diff} if diff else {})
            for c in outcome.changes
        ],
    }
    if outcome.recipe is not None:
        result["name"] = outcome.recipe.name
        result["image_sha256"] = outcome.recipe.image.sha256
    if outcome.commit_message is not None:
        result["commit_message"] = outcome.commit_message
    return result
