"""`pkggen nix`: package recorded images for Nix."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pkggen.cli.common import (
    load_overrides,
    source_licences,
    source_opener,
)
from pkggen.cli.packages import (
    FOUND_CHANGES,
    applied,
    as_json,
    differ,
    error_as_json,
    print_changes,
)
from pkggen.cli.talk import talk
from pkggen.errors import InputError, PkggenError, ToolError, UsageError
from pkggen.recipe.build import package_recipe
from pkggen.recipe.depexts import depexts
from pkggen.recipe.model import ImageRecipe, ToolRecipe
from pkggen.recipe.release import is_tool, tool_release
from pkggen.targets.nix.native import native_tree
from pkggen.targets.nix.render import flake_tree, image_tree, overlay_tree
from pkggen.targets.nix.tool import tool_tree

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from pkggen.publish.checkout import Commit
    from pkggen.publish.nixpkgs import Submission
    from pkggen.recipe.model import AnyRecipe
    from pkggen.recipe.overrides import Overrides
    from pkggen.record.model import Record
    from pkggen.tree import Tree
    from pkggen.writer import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What became of one source, or of the overlay."""

    source: str | None
    """As the user wrote it; None for the overlay."""
    recipe: AnyRecipe | None = None
    """Of what could be packaged."""
    changes: tuple[Change, ...] = ()
    """Of its files."""
    submitted: Submission | None = None
    """For nixpkgs."""
    commits: tuple[Commit, ...] = ()
    """Made by --commit."""
    error: PkggenError | None = None
    """Why nothing was written."""


def run(arguments: argparse.Namespace) -> int:
    """Package each source; one that fails does not lose the others."""
    if arguments.nixpkgs and (arguments.overlay or arguments.flake):
        raise UsageError("--overlay and --flake are for packages outside of nixpkgs")
    _require_nixpkgs(arguments)
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
    if arguments.pr_text is not None:
        _write_pull_request(outcomes, arguments)
    for outcome in outcomes:
        if outcome.error is not None:
            return outcome.error.exit_code
    changed = any(differ(outcome.changes) for outcome in outcomes)
    return FOUND_CHANGES if arguments.check and changed else 0


def _require_nixpkgs(arguments: argparse.Namespace) -> None:
    if arguments.nixpkgs is None and (arguments.commit or arguments.pr_text is not None):
        raise UsageError("--commit and --pr-text are for a checkout of nixpkgs: add --nixpkgs")
    if arguments.commit and (arguments.dry_run or arguments.diff or arguments.check):
        raise UsageError("--commit writes, and goes with none of --dry-run, --diff and --check")
    if arguments.pr_text == "-" and arguments.json:
        raise UsageError("--json and the text of a pull request cannot share the output")


def _write_pull_request(outcomes: list[_Outcome], arguments: argparse.Namespace) -> None:
    from pkggen.publish.pull_request import pull_request  # noqa: PLC0415 - only --nixpkgs needs it

    submissions = [outcome.submitted for outcome in outcomes if outcome.submitted is not None]
    if not submissions:
        return
    text = pull_request(submissions)
    if arguments.pr_text == "-":
        print(text, end="")
        return
    path = Path(arguments.pr_text)
    try:
        with path.open("w" if arguments.force else "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(
            "it exists, and has been kept", where=str(path), hint="`--force` overwrites it"
        ) from None
    except OSError as error:
        raise ToolError(
            f"the system refused to write the file: {error.strerror}", where=str(path)
        ) from error


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
    if is_tool(record) and arguments.nixpkgs is not None:
        return _tool(source, record, arguments, done)
    recipe = package_recipe(record, overrides, source_licences(record, overrides, arguments))
    _require_free(recipe.name, done)
    if isinstance(recipe, ToolRecipe):
        tree = _tool_package(record, recipe, arguments)
        outcome = _Outcome(source=source, recipe=recipe, changes=_apply(tree, arguments))
        done[recipe.name] = source
        return outcome
    rebuild = _rebuild(record, recipe, arguments)
    if arguments.nixpkgs is None:
        tree = image_tree(recipe, nixpkgs=False, rebuild=rebuild)
        outcome = _Outcome(source=source, recipe=recipe, changes=_apply(tree, arguments))
    else:
        from pkggen.publish.nixpkgs import submission  # noqa: PLC0415 - only --nixpkgs needs it

        checkout = Path(arguments.nixpkgs)
        submitted = submission(
            recipe, checkout, overrides, committed=arguments.commit, rebuild=rebuild
        )
        outcome = replace(_submit(source, submitted, arguments), recipe=recipe)
    done[recipe.name] = source
    return outcome


def _tool_package(record: Record, recipe: ToolRecipe, arguments: argparse.Namespace) -> Tree:
    """Return the package of a tool, of its recorded files or built from its release."""
    if arguments.nixpkgs is not None:
        raise InputError(
            f"{recipe.name} is no unikernel, and nixpkgs wants tools built from source only",
            where=record.source,
            hint="--output writes a package of the recorded files, for an overlay or a flake",
        )
    if recipe.tool is not None and recipe.native is not None:
        return native_tree(recipe, recipe.tool, tool_release(record))
    for reason in () if recipe.package is None else recipe.package.left_out:
        talk(f"{recipe.name}: {reason}")
    installed = sorted(record.switch.installed_names)
    rebuild = _rebuild(record, recipe, arguments)
    return tool_tree(recipe, depexts(record, installed, "nixos"), rebuild=rebuild)


def _tool(
    source: str, record: Record, arguments: argparse.Namespace, done: dict[str, str]
) -> _Outcome:
    """Update what nixpkgs has of a tool."""
    submitted = updated_tool(record, arguments, committed=arguments.commit)
    _require_free(submitted.name, done)
    outcome = _submit(source, submitted, arguments)
    done[submitted.name] = source
    return outcome


def updated_tool(
    record: Record, arguments: argparse.Namespace, *, committed: bool = False
) -> Submission:
    """Return the update of a tool's package in a checkout of nixpkgs."""
    from pkggen.publish.nixpkgs import release_submission  # noqa: PLC0415 - only --nixpkgs needs it

    release = tool_release(record)
    if arguments.rebuild:
        raise InputError(
            f"nixpkgs builds {release.name} from its release already",
            where=record.source,
            hint="leave --rebuild out",
        )
    return release_submission(release, Path(arguments.nixpkgs), committed=committed)


def _require_free(name: str, done: dict[str, str]) -> None:
    if name in done:
        raise InputError(
            f"{done[name]} gives a package {name} already",
            hint="give one of them another name in pkggen.yaml",
        )


def _submit(source: str, submitted: Submission, arguments: argparse.Namespace) -> _Outcome:
    from pkggen.publish.maintainers import MAINTAINERS  # noqa: PLC0415 - only --nixpkgs needs it
    from pkggen.publish.nixpkgs import write_and_commit  # noqa: PLC0415 - only --nixpkgs needs it

    commits: tuple[Commit, ...] = ()
    if arguments.commit:
        checkout = Path(arguments.nixpkgs)
        changes, commits = write_and_commit(submitted, checkout, force=arguments.force)
    else:
        changes = _apply(submitted.tree, arguments)
        if submitted.new_maintainer is not None:
            talk(
                f"{MAINTAINERS} has no {submitted.new_maintainer.attribute}; `--commit` adds, in a "
                f"commit before the package's:\n{submitted.new_maintainer.text}".rstrip()
            )
    return _Outcome(source=source, changes=changes, submitted=submitted, commits=commits)


def _rebuild(record: Record, recipe: AnyRecipe, arguments: argparse.Namespace) -> Tree | None:
    if not arguments.rebuild:
        return None
    from pkggen.cli.nix_rebuild import rebuild_files  # noqa: PLC0415 - only --rebuild needs it

    return rebuild_files(record, recipe, arguments)


def _extra(tree: Tree, arguments: argparse.Namespace) -> _Outcome:
    return _Outcome(source=None, changes=_apply(tree, arguments))


def _extra_tree(arguments: argparse.Namespace) -> Tree | None:
    if arguments.flake:
        return flake_tree()
    return overlay_tree() if arguments.overlay else None


def _apply(tree: Tree, arguments: argparse.Namespace) -> tuple[Change, ...]:
    return applied(tree, Path(arguments.nixpkgs or arguments.output), arguments)


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
        print_changes(outcome.changes, diff=arguments.diff)
        for commit in outcome.commits:
            print(f"committed {commit.id} {commit.subject}")
        due = differ(outcome.changes) and not arguments.commit
        if outcome.submitted is not None and due and not arguments.diff:
            print(f"commit    {outcome.submitted.commit_message}")


def _as_json(outcome: _Outcome, *, diff: bool) -> dict[str, object]:
    if outcome.error is not None:
        return error_as_json(outcome.source, outcome.error)
    result = as_json(outcome.source, outcome.changes, diff=diff)
    if outcome.recipe is not None:
        result["name"] = outcome.recipe.name
        if isinstance(outcome.recipe, ImageRecipe):
            result["image_sha256"] = outcome.recipe.image.sha256
    if outcome.submitted is not None:
        result["name"] = outcome.submitted.name
        if differ(outcome.changes):
            result["commit_message"] = outcome.submitted.commit_message
        if outcome.commits:
            result["commits"] = [{"id": c.id, "subject": c.subject} for c in outcome.commits]
        if outcome.submitted.new_maintainer is not None:
            result["maintainer_entry"] = outcome.submitted.new_maintainer.text
    return result
