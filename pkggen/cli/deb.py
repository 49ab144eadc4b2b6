"""`pkggen deb`: Debian source packages of recorded builds."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen.cli.common import load_overrides, source_licences, source_opener
from pkggen.cli.packages import Made, fetched_distfiles, fetched_sources, package_sources
from pkggen.cli.talk import talk
from pkggen.errors import InputError, UsageError, raise_all
from pkggen.publish.signing import users_keyring
from pkggen.rebuild.here import needed_tools
from pkggen.recipe.build import package_recipe, past_version
from pkggen.recipe.depexts import depexts, without_names
from pkggen.recipe.model import ToolRecipe
from pkggen.recipe.parts import all_sources, every_part, linked_in
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.recipe.release import release_source
from pkggen.recipe.tool_reader import described_tool
from pkggen.record.elf import elf_files
from pkggen.record.manifest import write_manifest
from pkggen.targets.deb.components import components
from pkggen.targets.deb.model import Earlier, Inputs, Rebuild
from pkggen.targets.deb.overlay import read_overlay
from pkggen.targets.deb.render import HINT
from pkggen.targets.deb.source_package import source_package
from pkggen.tree import CopiedFile, Tree
from pkggen.writer import with_edited_beside

if TYPE_CHECKING:
    import argparse
    from datetime import datetime

    from pkggen.recipe.overrides import Overrides
    from pkggen.record.model import Record

TARGET: Final = "debian"


def run(arguments: argparse.Namespace) -> int:
    """Make a source package of each source."""
    if arguments.previous and len(arguments.sources) > 1:
        raise UsageError("--previous is for one SOURCE")
    if arguments.components and not arguments.rebuild:
        raise UsageError("--components is about sources: add --rebuild")
    if arguments.components and arguments.unpacked:
        raise UsageError(
            "--components leaves the unpacking to Debian",
            hint="leave out --unpacked, and use `dpkg-source -x`",
        )
    with source_opener(arguments) as opened:
        overrides = load_overrides(arguments.config)
        earlier = [_earlier(opened(source), overrides) for source in arguments.previous]
        earlier.sort(key=lambda one: one.version.built, reverse=True)

        def made(record: Record, overrides: Overrides) -> Made:
            return _made(record, overrides, tuple(earlier), arguments)

        return package_sources(arguments, made)


def _made(
    record: Record,
    overrides: Overrides,
    earlier: tuple[Earlier, ...],
    arguments: argparse.Namespace,
) -> Made:
    tool = described_tool(record.switch.root.name)
    native = tool is not None and tool.build is not None
    rebuild = _rebuild(record, arguments) if arguments.rebuild and not native else None
    stated = source_licences(record, overrides, arguments, None if rebuild is None else every_part)
    recipe = package_recipe(record, overrides, stated)
    later = recipe.version.built
    for one in earlier:
        if one.record.job != record.job or one.version.built >= later:
            raise InputError(
                f"it is no earlier build of {record.job}, or one that is named twice",
                where=one.record.source,
            )
        later = one.version.built
    packed = recipe.package if isinstance(recipe, ToolRecipe) else None
    for reason in () if packed is None else packed.left_out:
        talk(f"{recipe.name}: {reason}")
    overlay = None if arguments.overlay is None else Path(arguments.overlay)
    package = source_package(
        Inputs(
            recipe=recipe,
            record=record,
            manifest=write_manifest(record),
            parts=(linked_in if rebuild is None else all_sources)(record, overrides, stated),
            programs=elf_files(record.artifacts if packed is None else packed.files),
            rebuild=rebuild,
            release=fetched_sources((release_source(record),), arguments)[0] if native else None,
            earlier=earlier,
            overlay=None if overlay is None else read_overlay(overlay, recipe.name),
        )
    )
    tree = package.packed
    if arguments.sign is not None:
        tree = _signed(tree, package.dsc, arguments.sign, recipe.version.built)
    if arguments.unpacked:
        below = {package.directory / path: file for path, file in package.unpacked.items()}
        tree |= with_edited_beside(Tree(below), Path(arguments.output), HINT)
    return Made(name=recipe.name, tree=tree, facts={"dsc": str(package.dsc)})


def _signed(tree: Tree, dsc: PurePosixPath, fingerprint: str, time: datetime) -> Tree:
    """Return the files of a source package with its `.dsc` inside of a signature."""
    keyring = users_keyring()
    key = keyring.key(fingerprint.replace(" ", "").upper())
    with tree[dsc].content.open() as content:
        inline, _ = keyring.sign(content.read(), key, max(int(time.timestamp()), key.created))
    return Tree({**tree, dsc: CopiedFile.of(inline)})


def _earlier(record: Record, overrides: Overrides) -> Earlier:
    version, provenance = past_version(record, overrides)
    return Earlier(version=version, provenance=provenance, record=record)


def _rebuild(record: Record, arguments: argparse.Namespace) -> Rebuild:
    """Return how a record is built in Debian; its sources are fetched."""
    plan = rebuild_plan(record, TARGET)
    names = [package.name for package in plan.packages]
    raise_all(without_names(record, names, TARGET))
    if not plan.expected:
        raise InputError(
            "the record holds no built file to compare with",
            where=record.source,
        )
    tools = needed_tools(plan).values()
    distfiles = fetched_distfiles(plan, arguments)
    return Rebuild(
        plan=plan,
        distfiles=distfiles,
        depends=tuple(sorted({*depexts(record, names, TARGET), *tools})),
        components=components(distfiles, record.source) if arguments.components else (),
    )
