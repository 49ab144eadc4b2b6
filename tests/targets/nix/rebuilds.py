"""Source builds for Nix, with their sources as files of this machine."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen.recipe.build import image_recipe
from pkggen.recipe.depexts import depexts
from pkggen.recipe.model import ToolRecipe
from pkggen.recipe.overrides import Overrides
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.targets.nix import quote
from pkggen.targets.nix.rebuild import Inputs, Pin, rebuild_tree
from pkggen.targets.nix.render import image_tree
from pkggen.targets.nix.tool import tool_tree
from pkggen.writer import write
from tests.rebuild.made import EXAMPLE
from tests.targets.nix.conftest import STAND_IN, Nix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pkggen.recipe.model import AnyRecipe, ImageRecipe
    from pkggen.recipe.plan import RebuildPlan
    from pkggen.record.model import Record
    from pkggen.tree import Tree

STARTED: Final = datetime(2026, 8, 20, 12, tzinfo=UTC)
IMAGE_SHA256: Final = hashlib.sha256((EXAMPLE / "record/bin/hello.hvt").read_bytes()).hexdigest()


def new_prefix() -> Path:
    """Return a place that no other test builds in."""
    return Path("/tmp") / f"pkggen-{uuid.uuid4().hex[:12]}"  # noqa: S108 - as orb does


def recorded_pins(plan: RebuildPlan) -> dict[str, Pin]:
    """Return what the recorded sha256 of each source says."""
    return {
        source.file_name: Pin(sha256=source.checksums[0].digest, commit=None, nar=None)
        for source in plan.sources
    }


@dataclass(frozen=True, slots=True)
class Packaged:
    """A package with its source build."""

    directory: Path
    """Where package.nix is."""
    urls: Mapping[str, str]
    """What stands in for recorded URLs."""

    def expression(self, wanted: str = "rebuild", compiler: Path | None = None) -> str:
        """Return the expression of an attribute, or of what a chain of them leads to."""
        served = " ".join(
            f"{quote.string(url)} = {quote.string(file)};" for url, file in self.urls.items()
        )
        other = (
            ""
            if compiler is None
            else (f"compiler = builtins.path {{ path = {quote.string(str(compiler))}; }};")
        )
        package = quote.string(str(self.directory / "package.nix"))
        return (
            f"((import {quote.string(str(STAND_IN))} {{ urlMap = {{ {served} }}; {other} }})"
            f".callPackage {package} {{ }}).{wanted}"
        )


def serve(nix: Nix, data: bytes) -> str:
    """Put a source where builds in the sandbox may read it, and return its URL."""
    file = nix.root / "sources" / hashlib.sha256(data).hexdigest()
    file.write_bytes(data)
    return file.as_uri()


def recipe_for(record: Record, path: str = "bin/root") -> ImageRecipe:
    """Return a recipe for a record whose image is none of Solo5."""
    hello = image_recipe(assemble(read_directory(EXAMPLE / "record", "hello")), Overrides(), {})
    image = next(one for one in record.artifacts if str(one.path) == path)
    return replace(hello, name="root", image=image)


def tree_of(
    record: Record, recipe: ImageRecipe | None = None, pins: Mapping[str, Pin] | None = None
) -> tuple[ImageRecipe, Tree]:
    """Return the recipe of a record, and the files of its source build."""
    if record.started is None:
        record = replace(record, started=STARTED, finished=STARTED)
    recipe = recipe or image_recipe(record, Overrides(), {})
    return recipe, source_build(record, recipe, pins)


def source_build(record: Record, recipe: AnyRecipe, pins: Mapping[str, Pin] | None = None) -> Tree:
    """Return the files of the source build of a record."""
    plan = rebuild_plan(record)
    inputs = Inputs(
        switch=depexts(record, [package.name for package in plan.switch], "nixos"),
        root=depexts(record, [plan.root.package.name], "nixos"),
    )
    pins = recorded_pins(plan) if pins is None else pins
    return rebuild_tree(recipe, plan, pins, inputs, record.system_packages or ())


def packaged(
    nix: Nix,
    root: Path,
    record: Record,
    mirror: Path,
    *,
    recipe: AnyRecipe | None = None,
    pins: Mapping[str, Pin] | None = None,
) -> Packaged:
    """Write the package of a record whose sources are in a download cache."""
    urls, found = {}, {}
    for source in rebuild_plan(record).sources:
        for checksum in source.checksums:
            file = mirror / checksum.kind / checksum.digest[:2] / checksum.digest
            if file.exists():
                data = file.read_bytes()
                urls[source.urls[0]] = serve(nix, data)
                digest = hashlib.sha256(data).hexdigest()
                found[source.file_name] = Pin(sha256=digest, commit=None, nar=None)
    pins = found if pins is None else pins
    if isinstance(recipe, ToolRecipe):
        tree = tool_tree(recipe, (), rebuild=source_build(record, recipe, pins))
    else:
        recipe, rebuild = tree_of(record, recipe, pins)
        tree = image_tree(recipe, nixpkgs=False, rebuild=rebuild)
    shutil.rmtree(root, ignore_errors=True)
    write(tree, root)
    directory = root / next(root.rglob("package.nix")).parent.relative_to(root)
    return Packaged(directory.resolve(), urls)


def image_in(output: str) -> Path:
    """Return the image of a source build."""
    found = sorted(Path(output, "share/mirage").iterdir())
    assert len(found) == 1
    return found[0]


def sha256_of(path: Path | PurePosixPath) -> str:
    """Return the digest of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
