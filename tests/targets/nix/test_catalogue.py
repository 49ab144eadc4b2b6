"""A thousand packages: what an evaluation of their overlay reads, and how long it takes."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.targets.nix import quote
from pkggen.targets.nix.render import flake_tree, image_tree
from pkggen.tree import write
from tests.targets.nix.conftest import STAND_IN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.targets.nix.conftest import MakeRecipe, Nix

COUNT: Final = 1000
MOST_SECONDS: Final = {"names": 0.25, "one": 0.25, "all": 2.0}
"""More than an empty expression takes; docs/catalogue.md says what was measured."""


@pytest.fixture(scope="session")
def catalogue(make_recipe: MakeRecipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a flake of many packages."""
    root = tmp_path_factory.mktemp("catalogue")
    write(flake_tree(), root)
    recipe = make_recipe()
    for number in range(COUNT):
        write(image_tree(replace(recipe, name=f"unikernel-{number:04}"), nixpkgs=False), root)
    return root


def seconds(nix: Nix, expression: str) -> tuple[float, str]:
    """Return the shortest of three evaluations, and what they print."""
    file = nix.write("catalogue.nix", expression)
    times = []
    for _ in range(3):
        started = time.perf_counter()
        printed = nix.run("nix-instantiate", "--eval", "--strict", file)
        times.append(time.perf_counter() - started)
    return min(times), printed


def packages(catalogue: Path) -> str:
    stand_in = f"import {quote.string(str(STAND_IN))} {{ }}"
    return f"(import {quote.string(str(catalogue / 'default.nix'))} {{ pkgs = {stand_in}; }})"


@pytest.mark.slow
def test_evaluation_of_a_thousand_packages(nix: Nix, catalogue: Path) -> None:
    every = packages(catalogue)
    nothing, _ = seconds(nix, "{ }")
    names, count = seconds(nix, f"builtins.length (builtins.attrNames {every})")
    assert count == str(COUNT)
    one, drv = seconds(nix, f"{every}.unikernel-0500.drvPath")
    assert drv.endswith('.drv"')
    total, count = seconds(
        nix,
        f"builtins.length (builtins.filter (p: p.drvPath != p.tests.image.drvPath)"
        f" (builtins.attrValues {every}))",
    )
    assert count == str(COUNT)
    measured = f"nothing {nothing:.3f} s, names {names:.3f} s, one {one:.3f} s, all {total:.3f} s"
    print(f"\n{measured}")  # noqa: T201 - a report, shown by -s
    assert names - nothing < MOST_SECONDS["names"]
    assert one - nothing < MOST_SECONDS["one"]
    assert total - nothing < MOST_SECONDS["all"]


@pytest.mark.slow
def test_only_what_is_wanted_is_read(nix: Nix, catalogue: Path) -> None:
    wanted = "unikernel-0500"
    for package in catalogue.glob("pkgs/by-name/*/*/package.nix"):
        if package.parent.name != wanted:
            package.write_text("this is no expression ;")
    _, drv = seconds(nix, f"{packages(catalogue)}.{wanted}.drvPath")
    assert drv.endswith('.drv"')
