"""What the commands share that write packages: one source after the other, files, results."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pkggen.cli.common import download_cache, load_overrides, source_opener
from pkggen.cli.talk import talk
from pkggen.errors import InputError, PkggenError, printable
from pkggen.recipe.distfiles import Distfile, carried_distfile
from pkggen.record.artifact import FileContent
from pkggen.tree import Bytes, Tree
from pkggen.writer import plan, write

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

    from pkggen.recipe.overrides import Overrides
    from pkggen.recipe.plan import RebuildPlan
    from pkggen.record.model import Record
    from pkggen.sources.model import Source
    from pkggen.writer import Change

FOUND_CHANGES: Final = 1
"""Exit code of --check when something would change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The package of one source."""

    name: str
    """Of the package; no two of one run have the same."""
    tree: Tree
    """Its files."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What `--json` says besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What became of one source, or of files that belong to none."""

    source: str | None
    """As the user wrote it; None for what belongs to all."""
    made: Made | None = None
    """The package."""
    changes: tuple[Change, ...] = ()
    """Of its files."""
    error: PkggenError | None = None
    """Why nothing was written."""


def package_sources(
    arguments: argparse.Namespace,
    make: Callable[[Record, Overrides], Made],
    common: Callable[[], Tree | None] = lambda: None,
    *,
    merges: bool = False,
) -> int:
    """Package each source; one that fails does not lose the others.

    Args:
        arguments: With `sources`, `output`, `config`, `json`, how to write, and where builds are.
        make: Makes the package of one.
        common: Makes the files that belong to all, once any was made.
        merges: Whether these keep what others have written into them.

    Returns:
        The exit code: that of the first error, else 1 if `--check` found a change.
    """
    overrides = load_overrides(arguments.config)
    outcomes: list[_Outcome] = []
    done: dict[str, str] = {}
    with source_opener(arguments) as opened:
        for source in arguments.sources:

            def one(source: str = source) -> _Outcome:
                made = make(opened(source), overrides)
                if made.name in done:
                    raise InputError(
                        f"{done[made.name]} gives a package {made.name} already",
                        hint="give one of them another name in pkggen.yaml",
                    )
                changes = applied(made.tree, Path(arguments.output), arguments)
                done[made.name] = source
                return _Outcome(source=source, made=made, changes=changes)

            outcomes.append(_attempt(source, one))
        tree = common() if done else None
        if tree is not None:
            outcomes.append(_attempt(None, partial(_write_common, tree, arguments, merges=merges)))
    _print(outcomes, arguments)
    for outcome in outcomes:
        if outcome.error is not None:
            return outcome.error.exit_code
    changed = any(differ(outcome.changes) for outcome in outcomes)
    return FOUND_CHANGES if arguments.check and changed else 0


def applied(
    tree: Tree, root: Path, arguments: argparse.Namespace, *, force: bool = False
) -> tuple[Change, ...]:
    """Write the files below a directory, or only say what would be written, as the options say."""
    if arguments.dry_run or arguments.diff or arguments.check:
        return plan(tree, root)
    return write(tree, root, force=force or arguments.force)


def differ(changes: tuple[Change, ...]) -> bool:
    """Tell whether anything changed, or would."""
    return any(change.kind != "unchanged" for change in changes)


def print_changes(changes: tuple[Change, ...], *, diff: bool) -> None:
    """Print a line for each file, or how each differs."""
    for change in changes:
        if diff:
            print(change.diff, end="")
        else:
            print(f"{change.kind:<9} {change.path}")


def as_json(source: str | None, changes: tuple[Change, ...], *, diff: bool) -> dict[str, object]:
    """Return what `--json` says of any package."""
    return {
        "source": source,
        "files": [
            {"path": str(c.path), "change": str(c.kind)} | ({"diff": c.diff} if diff else {})
            for c in changes
        ],
    }


def error_as_json(source: str | None, error: PkggenError) -> dict[str, object]:
    """Return what `--json` says of a package that could not be made."""
    return {
        "source": source,
        "error": printable(str(error)),
        "exit_code": error.exit_code,
    }


def fetched_distfiles(plan: RebuildPlan, arguments: argparse.Namespace) -> tuple[Distfile, ...]:
    """Return every file that a rebuild starts from, sorted by name; fetched, and kept in the cache.

    Raises:
        PkggenError: see `sources.fetch.fetch`.
    """
    found = [
        *fetched_sources(plan.sources, arguments),
        *(carried_distfile(carried, Bytes(carried.content)) for carried in plan.carried),
    ]
    return tuple(sorted(found, key=lambda one: one.name))


def fetched_sources(
    sources: tuple[Source, ...], arguments: argparse.Namespace
) -> tuple[Distfile, ...]:
    """Return sources, fetched, verified and kept in the cache.

    Raises:
        PkggenError: see `sources.fetch.fetch`.
    """
    from pkggen.cli.fetch import choices, progress  # noqa: PLC0415 - few packages need it
    from pkggen.sources.fetch import fetch  # noqa: PLC0415 - likewise

    with progress(len(sources)) as tell:
        fetched = fetch(sources, download_cache(arguments), choices(arguments), tell)
    return tuple(
        Distfile(
            name=one.source.file_name,
            sha256=one.hashes.sha256,
            size=one.hashes.size,
            content=FileContent(one.path),
            source=one.source,
            commit=one.commit,
        )
        for one in fetched
    )


def _write_common(tree: Tree, arguments: argparse.Namespace, *, merges: bool) -> _Outcome:
    changes = applied(tree, Path(arguments.output), arguments, force=merges)
    return _Outcome(source=None, changes=changes)


def _attempt(source: str | None, make: Callable[[], _Outcome]) -> _Outcome:
    try:
        return make()
    except PkggenError as error:
        talk(str(error))
        return _Outcome(source=source, error=error)


def _print(outcomes: list[_Outcome], arguments: argparse.Namespace) -> None:
    if arguments.json:
        results = [_as_json(outcome, diff=arguments.diff) for outcome in outcomes]
        json.dump({"results": results}, sys.stdout, indent=2)
        print()
        return
    for outcome in outcomes:
        print_changes(outcome.changes, diff=arguments.diff)


def _as_json(outcome: _Outcome, *, diff: bool) -> dict[str, object]:
    if outcome.error is not None:
        return error_as_json(outcome.source, outcome.error)
    result = as_json(outcome.source, outcome.changes, diff=diff)
    if outcome.made is not None:
        result |= {"name": outcome.made.name, **outcome.made.facts}
    return result
