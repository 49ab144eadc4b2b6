"""No recorded file is put where a system looks for orders."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.errors import Faults, InputError
from pkggen.recipe.build import package_recipe
from pkggen.recipe.overrides import Overrides
from pkggen.recipe.places import place_faults
from pkggen.recipe.tool_reader import described_tool
from tests.rebuild.made import Package, make

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.recipe.model import AnyRecipe

STARTED: Final = datetime(2026, 8, 20, 12, tzinfo=UTC)
ORDERS: Final = (
    *("etc/cron.d/x", "etc/sudoers.d/x", "etc/profile.d/x.sh", "etc/ld.so.preload", "etc/x"),
    *("etc/passwd", "etc/init.d/greet", "lib/systemd/system/x.service", "lib/udev/rules.d/x.rules"),
    *("lib/tmpfiles.d/x.conf", "lib/sysusers.d/x.conf", "lib/modules/x.ko", "lib/apt/methods/x"),
    *("lib/x86_64-linux-gnu/libc.so.6", "lib/libc.so.6", "lib/ld-linux-x86-64.so.2"),
    *(
        "share/dbus-1/system.d/x.conf",
        "share/keyrings/x.gpg",
        "share/bash-completion/completions/x",
    ),
    *("share/polkit-1/rules.d/x", "lib/python3/dist-packages/x.pth"),
)
OWN: Final = (
    *("bin/greet", "sbin/greet", "libexec/greet/x", "lib/greet/words.txt", "lib/foo", "share/TAGS"),
    *("share/greet/x.d/y", "etc/greet.conf", "etc/greet/x", "man/man1/greet.1", "doc/greet/README"),
)


def recipe(directory: Path, *paths: str, name: str = "greet") -> AnyRecipe:
    made = make(
        directory,
        [Package(name, 'synopsis: "Greets"\n  license: "ISC"')],
        built=dict.fromkeys(paths, b"x"),
        environment={"ORB_BUILDING_PACKAGE": name},
    )
    return package_recipe(replace(made.read(), started=STARTED, finished=STARTED), Overrides())


@pytest.mark.parametrize("path", ORDERS)
def test_places_of_the_system_are_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError) as caught:
        recipe(tmp_path, "bin/greet", path)
    assert str(caught.value).startswith(f"{path}: no package may have a file there\n")


def test_all_of_them_are_named(tmp_path: Path) -> None:
    with pytest.raises(Faults) as caught:
        recipe(tmp_path, *ORDERS)
    assert {fault.where for fault in caught.value.faults} == set(ORDERS)


def test_places_of_a_package_are_its_own(tmp_path: Path) -> None:
    assert {str(file.path) for file in recipe(tmp_path, *OWN).payload} == set(OWN)


@pytest.mark.parametrize(
    ("name", "path"),
    [("passwd", "etc/passwd"), ("ld", "etc/ld.so.preload"), ("systemd", "etc/systemd/system/x")],
)
def test_a_name_opens_no_place_of_the_system(tmp_path: Path, name: str, path: str) -> None:
    with pytest.raises(InputError, match="no package may have a file there"):
        recipe(tmp_path, path, name=name)


def test_what_a_description_places_is_right(tmp_path: Path) -> None:
    files = recipe(tmp_path, "bin/x").payload
    moved = [replace(files[0], path=files[0].path.parent.parent / "etc/builder/orb-build.template")]
    assert not list(place_faults(moved, described_tool("builder"), {"other"}))
    assert len(list(place_faults(moved, None, {"other"}))) == 1
