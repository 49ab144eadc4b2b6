"""Decisions about a Nix package."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest

from pkggen.errors import Faults, InputError
from pkggen.recipe.model import Licences, LicenceTerm, Version
from pkggen.targets.nix.render import image_tree
from pkggen.targets.nix.view import package_view
from pkggen.tree import TextFile

if TYPE_CHECKING:
    from pkggen.recipe.model import ImageRecipe
    from tests.targets.nix.conftest import MakeRecipe


def test_package_for_nixpkgs(make_recipe: MakeRecipe) -> None:
    recipe = make_recipe()
    view = package_view(recipe, nixpkgs=True)
    build = "https://builds.example.org/job/dns-primary-git/build"
    assert view.origin == f"{build}/0b3b2f7c-8d30-4ad5-9a9b-5f1d3c2b1a00"
    assert view.url == f"{view.origin}/f/bin/dns-primary.hvt"
    assert view.sha256 == recipe.image.sha256
    assert view.version == "0-unstable-2026-08-20"
    assert view.maintainer == "example"
    assert view.update is not None
    assert view.update[-1] == "https://builds.example.org/job/dns-primary-git"


def test_package_outside_of_nixpkgs(local: ImageRecipe) -> None:
    view = package_view(local, nixpkgs=False)
    assert (view.origin, view.url) == ("job dns-primary-git", None)
    assert (view.maintainer, view.update, view.homepage) == (None, None, None)
    assert view.version == "1.5.2-unstable-2026-08-20"
    assert view.licences == ("lgpl21Only", "mit", "ocamlLgplLinkingException")


def test_only_nixpkgs_is_updated_in_place(make_recipe: MakeRecipe) -> None:
    assert package_view(make_recipe(), nixpkgs=False).update is None


def test_devices_keep_their_order_by_kind(make_recipe: MakeRecipe) -> None:
    devices = (("z", "NET_BASIC"), ("d", "BLOCK_BASIC"), ("a", "NET_BASIC"))
    view = package_view(make_recipe(devices=devices), nixpkgs=True)
    assert (view.networks, view.blocks) == (("z", "a"), ("d",))


@pytest.mark.parametrize(
    ("machine", "platform"),
    [
        ("x86_64", "x86_64-linux"),
        ("aarch64", "aarch64-linux"),
        ("ppc64le", "powerpc64le-linux"),
    ],
)
def test_platforms(make_recipe: MakeRecipe, machine: str, platform: str) -> None:
    assert package_view(make_recipe(machine=machine), nixpkgs=True).platform == platform


def test_unknown_machine_is_refused(make_recipe: MakeRecipe) -> None:
    recipe = make_recipe()
    odd = replace(recipe, solo5=replace(recipe.solo5, machine="riscv64"))
    with pytest.raises(InputError, match="no Nix system is known for the machine 'riscv64'"):
        package_view(odd, nixpkgs=False)


def test_nixpkgs_needs_a_server(make_recipe: MakeRecipe) -> None:
    recipe = make_recipe()
    alone = replace(recipe, provenance=replace(recipe.provenance, origin=None))
    with pytest.raises(InputError, match="nixpkgs could not download the image"):
        package_view(alone, nixpkgs=True)


def test_nixpkgs_needs_a_maintainer_of_its_own(make_recipe: MakeRecipe) -> None:
    recipe = make_recipe()
    assert recipe.maintainer is not None
    for maintainer in (None, replace(recipe.maintainer, nixpkgs=None)):
        with pytest.raises(InputError, match="without a maintainer"):
            package_view(replace(recipe, maintainer=maintainer), nixpkgs=True)


@pytest.mark.parametrize("name", ["a b.hvt", "$(x).hvt", "''.hvt", ".hvt", "package.nix", "ä.hvt"])
def test_unsafe_image_names_are_refused(make_recipe: MakeRecipe, name: str) -> None:
    with pytest.raises(InputError):
        package_view(make_recipe(file_name=name), nixpkgs=False)


def test_package_without_licence_is_refused(make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(licences=Licences(expression="", terms=()))
    with pytest.raises(InputError, match="no licence is known"):
        package_view(recipe, nixpkgs=False)


def test_all_faults_are_told_together(make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(
        name="A.b",
        file_name="a b",
        version=Version(release="1/2", built=datetime(2026, 1, 1, tzinfo=UTC)),
        licences=Licences(expression="X", terms=(LicenceTerm("X", "Y"),)),
        maintainer=None,
    )
    recipe = replace(recipe, provenance=replace(recipe.provenance, origin=None))
    with pytest.raises(Faults) as raised:
        package_view(recipe, nixpkgs=True)
    assert len(raised.value.faults) == 7
    assert raised.value.exit_code == 3


def test_updates_use_the_platform_and_the_configuration_of_the_package(
    make_recipe: MakeRecipe,
) -> None:
    view = package_view(make_recipe(), nixpkgs=True, configured=True)
    assert view.update == (
        *("pkggen", "update", "--nixpkgs", "."),
        *("--config", "pkgs/by-name/dn/dns-primary/pkggen.yaml"),
        *("--platform", "debian-12"),
        "https://builds.example.org/job/dns-primary-git",
    )
    assert "--config" not in (package_view(make_recipe(), nixpkgs=True).update or ())


def test_the_configuration_is_kept_beside_the_package(make_recipe: MakeRecipe) -> None:
    tree = image_tree(make_recipe(), nixpkgs=True, config="packages: {}\n")
    kept = tree[PurePosixPath("pkgs/by-name/dn/dns-primary/pkggen.yaml")]
    assert isinstance(kept, TextFile)
    assert kept.data == b"packages: {}\n"
