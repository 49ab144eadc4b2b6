"""`pkggen plan`: print how a recorded build is done again."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from pkggen.cli.common import source_opener
from pkggen.recipe import shell
from pkggen.recipe.plan import as_json
from pkggen.recipe.rebuild import rebuild_plan

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from pkggen.recipe.plan import PackagePlan, RebuildPlan, RootPlan, Setting
    from pkggen.sources.model import Source

_SCHEMA = "1.0.0"


def run(arguments: argparse.Namespace) -> int:
    """Print one plan."""
    with source_opener(arguments) as opened:
        plan = rebuild_plan(opened(arguments.source), arguments.target)
    if arguments.json:
        json.dump(_as_json(plan), sys.stdout, indent=2)
        print()
    else:
        for line in lines(plan):
            print(
                "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
            )
    return 0


def lines(plan: RebuildPlan) -> Iterator[str]:
    """Yield the plan for people: one fact on each line, values quoted as for sh."""
    yield f"job {plan.job}"
    yield f"target {plan.target}"
    yield f"switch {plan.switch_id}"
    yield f"prefix {plan.prefix}"
    yield f"path {plan.search_path}"
    for name, value in plan.environment:
        yield f"environment {name}={shell.word(value)}"
    if any(package.substs for package in plan.packages):
        for name, text in plan.variables:
            yield f"variable {name}={shell.word(text)}"
    for source in plan.sources:
        yield f"source {source.file_name} {_identity(source)}"
    for carried in plan.carried:
        yield f"carried {carried.file_name} {len(carried.content)} bytes"
    for package in plan.switch:
        yield from _package("package", package)
    yield from _root(plan.root)
    for expected in plan.expected:
        yield f"expect {shell.word(expected.path)} {expected.kind} {expected.digest}"


def _identity(source: Source) -> str:
    if source.commit is not None:
        return f"commit={source.commit}"
    return " ".join(map(str, source.checksums))


def _root(root: RootPlan) -> Iterator[str]:
    package = root.package
    steps = list(_package("root", package))
    yield steps[0]
    if root.directory is not None:
        yield f"  directory {root.directory}"
    if root.dune_file is not None:
        yield f"  vendored-dirs {shell.word(root.dune_file)}"
    for vendored in root.vendored:
        yield f"  vendor {vendored.source.file_name} {shell.word(vendored.path)}"
    if root.configure is not None:
        yield f"  configure {shell.words(root.configure)}"
    yield from steps[1:]


def _package(kind: str, package: PackagePlan) -> Iterator[str]:
    yield f"{kind} {package.full_name}"
    if package.after:
        yield f"  after {' '.join(package.after)}"
    if package.source is not None:
        yield f"  unpack {package.source.file_name}"
    for placed in package.placed:
        yield f"  place {placed.source.file_name} {shell.word(placed.path)}"
    for name in package.substs:
        yield f"  subst {shell.word(name)}"
    for name in package.patches:
        yield f"  patch {shell.word(name)}"
    if package.inherits:
        yield f"  inherit {' '.join(package.inherits)}"
    yield from _settings("set", package.environment)
    for command in package.commands:
        yield f"  run {shell.words(command)}"
    yield from _settings("export", package.exports)


def _settings(kind: str, settings: Iterable[Setting]) -> Iterator[str]:
    for setting in settings:
        yield f"  {kind} {setting.name} {setting.op} {shell.word(setting.value)}"


def _as_json(plan: RebuildPlan) -> dict[str, object]:
    shown = as_json(plan)
    assert isinstance(shown, dict)  # noqa: S101 - a plan is a dataclass
    return {
        "schema": _SCHEMA,
        "switch_id": plan.switch_id,
        "sources": [
            {
                "file_name": source.file_name,
                "kind": source.kind,
                "urls": source.urls,
                "checksums": [str(checksum) for checksum in source.checksums],
                "commit": source.commit,
            }
            for source in plan.sources
        ],
        **shown,
    }
