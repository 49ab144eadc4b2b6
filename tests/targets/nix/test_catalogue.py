"""A thousand packages: what an evaluation of their overlay gives, and what it reads.

How long it takes is measured by `tests/bench/nix.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.targets.nix.large import COUNT, example_recipe, packages_of, write_catalogue

if TYPE_CHECKING:
    from pathlib import Path

    from tests.targets.nix.conftest import Nix

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a flake of many packages."""
    root = tmp_path_factory.mktemp("catalogue")
    write_catalogue(root, example_recipe())
    return root


def test_every_package_is_there(nix: Nix, catalogue: Path) -> None:
    every = packages_of(catalogue)
    assert nix.eval(f"builtins.length (builtins.attrNames {every})") == COUNT
    drvs = nix.eval(f"map (p: [ p.drvPath p.tests.image.drvPath ]) (builtins.attrValues {every})")
    assert len({drv for pair in drvs for drv in pair}) == 2 * COUNT


def test_only_what_is_wanted_is_read(nix: Nix, catalogue: Path) -> None:
    wanted = "unikernel-0500"
    for package in catalogue.glob("pkgs/by-name/*/*/package.nix"):
        if package.parent.name != wanted:
            package.write_text("this is no expression ;")
    assert nix.eval(f"{packages_of(catalogue)}.{wanted}.drvPath").endswith(".drv")
