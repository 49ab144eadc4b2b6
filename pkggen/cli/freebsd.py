"""`pkggen freebsd`: package recorded builds as FreeBSD ports."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pkggen.cli.common import source_licences
from pkggen.cli.packages import Made, fetched_distfiles, fetched_sources, package_sources
from pkggen.cli.talk import talk
from pkggen.errors import InputError, raise_all
from pkggen.publish.ports import (
    Port,
    account_lines,
    checkout_tree,
    commit_message,
    overlay_tree,
    require_checkout,
)
from pkggen.recipe.build import package_recipe
from pkggen.recipe.depexts import depexts, without_names
from pkggen.recipe.model import ImageRecipe, ToolRecipe
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.recipe.release import release_source
from pkggen.recipe.versions import port_version
from pkggen.targets.freebsd import names
from pkggen.targets.freebsd.distfiles import SUBDIRECTORY, Mirrors
from pkggen.targets.freebsd.model import Sources, Wanted
from pkggen.targets.freebsd.native import native_tree
from pkggen.targets.freebsd.origins import BASE_PACKAGES, read_origins
from pkggen.targets.freebsd.render import port_tree
from pkggen.targets.freebsd.view import port_view, recorded_files, recorded_name
from pkggen.tree import CopiedFile, Tree
from pkggen.writer import plan, write

if TYPE_CHECKING:
    import argparse

    from pkggen.recipe.model import AnyRecipe
    from pkggen.recipe.overrides import Overrides
    from pkggen.recipe.tool import Tool
    from pkggen.record.model import Record


def run(arguments: argparse.Namespace) -> int:
    """Package each source; one that fails does not lose the others."""
    if arguments.ports is not None:
        require_checkout(Path(arguments.ports))
    arguments.output = arguments.overlay or arguments.ports or arguments.output
    maker = _Maker(arguments)
    code = package_sources(arguments, maker.make, maker.common, merges=True)
    if not (arguments.json or arguments.diff):
        for message in maker.messages:
            print(f"commit    {message}")
    return code


class _Maker:
    """Makes ports, and remembers what they have in common."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.root = Path(arguments.output)
        self.wanted = Wanted(
            category=arguments.category,
            tender=arguments.tender_port,
            origins={} if arguments.origins is None else read_origins(Path(arguments.origins)),
            mirrors=_mirrors(arguments),
            distdir=arguments.distdir is not None,
            submitted=arguments.ports is not None,
        )
        self.ports: list[Port] = []
        self.messages: list[str] = []

    def make(self, record: Record, overrides: Overrides) -> Made:
        """Return the port of a record."""
        arguments, wanted = self.arguments, self.wanted
        licences = source_licences(record, overrides, arguments)
        recipe = package_recipe(record, overrides, licences)
        raise_all(names.taken(self.root, wanted.category, recipe.name))
        if isinstance(recipe, ToolRecipe) and recipe.tool is not None and recipe.native is not None:
            return self._native(record, recipe, recipe.tool)
        if isinstance(recipe, ToolRecipe) and recipe.package is not None:
            for reason in recipe.package.left_out:
                talk(f"{recipe.name}: {reason}")
        sources = self._sources(record, recipe)
        installed = sorted(record.switch.installed_names)
        needed = depexts(record, installed, "freebsd") if sources is None else ()
        view = port_view(recipe, wanted, needed, sources)
        tree = port_tree(view, sources)
        if arguments.distdir is not None:
            self._fill(recipe, view.subdirectory, sources)
        user = None if view.service is None else view.service.user
        if view.tool is not None and view.tool.users:
            user = view.tool.users[0].name
        return self._made(recipe, tree, Port(directory=view.directory, user=user))

    def _made(self, recipe: AnyRecipe, tree: Tree, port: Port) -> Made:
        """Remember a port, and return it with what is said of it."""
        self.ports.append(port)
        version = str(port_version(recipe.version))
        facts: dict[str, object] = {"directory": str(port.directory), "version": version}
        changed = any(change.kind != "unchanged" for change in plan(tree, self.root))
        if self.arguments.ports is not None and changed:
            message = commit_message(self.root, port.directory, version, recipe.description)
            facts["commit_message"] = message
            self.messages.append(message)
        return Made(name=recipe.name, tree=tree, facts=facts)

    def _native(self, record: Record, recipe: ToolRecipe, tool: Tool) -> Made:
        """Return the port of a tool that is built from its release tarball."""
        (release,) = fetched_sources((release_source(record),), self.arguments)
        tree = native_tree(recipe, tool, self.wanted, release)
        if self.arguments.distdir is not None:
            self._put(
                {
                    PurePosixPath(SUBDIRECTORY, release.name): CopiedFile(
                        content=release.content, sha256=release.sha256, size=release.size
                    )
                }
            )
        directory = names.directory(self.wanted.category, recipe.name)
        return self._made(recipe, tree, Port(directory=directory, user=None))

    def common(self) -> Tree | None:
        """Return the files that belong to all ports."""
        if self.arguments.overlay is not None:
            return overlay_tree(self.root, self.ports)
        if self.arguments.ports is not None:
            for line in account_lines(self.ports):
                talk(f"the ports tree needs, with a free number, this line in {line}")
            return checkout_tree(self.root, self.ports)
        return None

    def _sources(self, record: Record, recipe: AnyRecipe) -> Sources | None:
        """Return what a rebuild starts from, fetched; None without --rebuild."""
        system = record.environment.get("OS") or "another system"
        if not self.arguments.rebuild:
            if system != "freebsd" and not isinstance(recipe, ImageRecipe):
                raise InputError(
                    f"its files were built for {system}, and FreeBSD cannot run them",
                    where=record.source,
                    hint="name a build that was recorded on FreeBSD (`--platform`)",
                )
            return None
        if system != "freebsd":
            talk(
                f"{recipe.name} was recorded on {system}: built on FreeBSD its bytes are not the"
                " recorded ones, and `make build` stops"
            )
        steps = rebuild_plan(record, "freebsd")
        packages = [package.name for package in steps.packages]
        asking = [name for name in packages if name not in BASE_PACKAGES]
        return Sources(
            plan=steps,
            distfiles=fetched_distfiles(steps, self.arguments),
            depexts=depexts(record, packages, "freebsd"),
            unnamed=tuple(without_names(record, asking, "freebsd")),
        )

    def _fill(self, recipe: AnyRecipe, subdirectory: str, sources: Sources | None) -> None:
        """Put all distfiles of a port into the DISTDIR."""
        place = PurePosixPath(subdirectory)
        if sources is None:
            files = {
                place / recorded_name(recipe, one): CopiedFile(
                    content=one.content, sha256=one.sha256, size=one.size
                )
                for one in recorded_files(recipe)
            }
        else:
            files = {
                place / one.name: CopiedFile(content=one.content, sha256=one.sha256, size=one.size)
                for one in sources.distfiles
                if one.source is not None
            }
        self._put(files)

    def _put(self, files: dict[PurePosixPath, CopiedFile]) -> None:
        """Put files into the DISTDIR."""
        arguments = self.arguments
        if not (arguments.dry_run or arguments.diff or arguments.check):
            write(Tree({**files}), Path(arguments.distdir), force=arguments.force)


def _mirrors(arguments: argparse.Namespace) -> Mirrors:
    from pkggen.sources.addresses import PUBLIC_CACHES  # noqa: PLC0415 - few commands need it

    return Mirrors(
        own=tuple(mirror for mirror in arguments.mirror if "://" in mirror),
        public=() if arguments.no_public_caches else PUBLIC_CACHES,
    )
