"""Recipes and records of ports, and bmake."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest

from pkggen.recipe.build import package_recipe
from pkggen.recipe.model import ImageRecipe, Licences, Provenance, ToolRecipe
from pkggen.recipe.overrides import Overrides
from pkggen.record.model import Artifact
from pkggen.record.open import open_record
from pkggen.targets.freebsd.distfiles import Mirrors
from pkggen.targets.freebsd.model import Wanted
from pkggen.tree import Bytes, CopiedFile, Tree
from pkggen.writer import write

if TYPE_CHECKING:
    from pkggen.recipe.model import AnyRecipe
    from pkggen.record.model import Record
    from tests.conftest import MakeRecord

Bmake = Callable[..., str]
MakePortRecipe = Callable[..., ImageRecipe]
WANTED = Wanted(origins={}, mirrors=Mirrors())


def read(source: Path, spool: Path) -> Record:
    """Open a record on disk."""
    return open_record(
        str(source), server="", platform=None, cache=lambda: spool, spool=spool, note=lambda _: None
    )


@pytest.fixture(scope="session")
def make_port_recipe(
    make_record: MakeRecord, tmp_path_factory: pytest.TempPathFactory
) -> MakePortRecipe:
    """Return a function that makes the recipe of an image; keywords replace fields."""

    def make(
        name: str = "dns-primary",
        tender: str = "hvt",
        devices: tuple[tuple[str, str], ...] = (("service", "NET_BASIC"),),
        **fields: Any,  # noqa: ANN401 - whatever dataclasses.replace takes
    ) -> ImageRecipe:
        place = tmp_path_factory.mktemp("recipe")
        record = read(make_record(place / "record", name, tender, devices), place)
        recipe = package_recipe(record, Overrides())
        assert isinstance(recipe, ImageRecipe)
        return replace(recipe, **fields)

    return make


def tool(image: ImageRecipe, files: Mapping[str, bytes]) -> ToolRecipe:
    """Return a recipe like that of an image, of other files."""
    payload = []
    for path, data in files.items():
        copied = CopiedFile.of(data)
        payload.append(
            Artifact(
                path=PurePosixPath(path),
                size=copied.size,
                sha256=copied.sha256,
                content=Bytes(data),
            )
        )
    return ToolRecipe(
        name="albatross",
        version=image.version,
        description="Orchestrates unikernels",
        homepage="https://example.org/albatross",
        licences=image.licences,
        maintainer=image.maintainer,
        provenance=image.provenance,
        payload=tuple(payload),
        machine="x86_64",
    )


def without_origin(recipe: AnyRecipe) -> AnyRecipe:
    """Return the recipe of a build that is on no server."""
    provenance: Provenance = replace(recipe.provenance, origin=None)
    return replace(recipe, provenance=provenance)


def licences(*expressions: str) -> Licences:
    """Return licences."""
    from pkggen.recipe.licences import all_of  # noqa: PLC0415 - few tests need it

    return all_of(expressions)


@pytest.fixture(scope="session")
def bmake() -> Bmake:
    """Return a function that runs bmake in a directory and returns what it prints."""
    if shutil.which("bmake") is None:
        pytest.skip("NO bmake: what make reads is not tested")

    def run(directory: Path, arguments: Iterable[str]) -> str:
        done = subprocess.run(
            ["bmake", "-r", *arguments],
            cwd=directory,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout

    return run


def written(tree: Tree, directory: Path) -> Path:
    """Write a tree and return the directory of its only port."""
    write(tree, directory)
    (makefile,) = directory.glob("*/*/Makefile")
    return makefile.parent
