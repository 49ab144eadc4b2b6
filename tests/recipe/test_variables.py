"""opam's variables, as the steps of a plan see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pkggen.recipe.rebuild import rebuild_plan
from pkggen.recipe.variables import TARGETS
from tests.rebuild.made import Package, make
from tests.recipe.test_rebuild import PREFIX, faults_of, plan_of, record_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("record", "make linux debian debian 12 x86_64"),
        ("debian", "make linux debian debian 12 x86_64"),
        ("freebsd", "gmake freebsd freebsd bsd 1401000 x86_64"),
        ("nixos", "make linux nixos nixos 26.05 x86_64"),
    ],
)
def test_variables_of_the_target(target: str, expected: str, tmp_path: Path) -> None:
    names = "make os os-distribution os-family os-version arch"
    record = record_of(tmp_path, Package("root", f"build: [[{names}]]"))
    (command,) = rebuild_plan(record, target).root.package.commands
    assert " ".join(str(part) for word in command for part in word) == expected


def test_every_target_is_tried() -> None:
    assert set(TARGETS) == {"debian", "freebsd", "nixos"}


def test_ocaml_says_what_its_config_file_would(tmp_path: Path) -> None:
    build = 'build: [["%{ocaml:native}%" "%{ocaml:preinstalled}%" "%{ocaml:stubsdir}%"]]'
    for compiler, preinstalled in (("ocaml-base-compiler", "false"), ("ocaml-system", "true")):
        packages = (Package("ocaml"), Package(compiler), Package("root", build))
        (command,) = plan_of(tmp_path, *packages).root.package.commands
        stubs = (PREFIX, "/lib/ocaml/stublibs:", PREFIX, "/lib/ocaml")
        assert command == (("true",), (preinstalled,), stubs)


def test_a_record_of_an_unknown_system(tmp_path: Path) -> None:
    made = make(tmp_path, (Package("root", "build: [os]"),))
    recorded = made.record / "build-environment"
    recorded.write_text(recorded.read_text().replace("\nOS_VERSION=12", ""))
    record = made.read()
    assert faults_of(record) == ["build-environment does not record OS_VERSION"]
    assert rebuild_plan(record, "debian").root.package.commands == ((("linux",),),)


def test_arch_was_not_always_recorded(tmp_path: Path) -> None:
    made = make(tmp_path, (Package("root", "build: [arch]"),))
    recorded = made.record / "build-environment"
    recorded.write_text(recorded.read_text().replace("\nARCH=x86_64", ""))
    assert rebuild_plan(made.read()).root.package.commands == ((("x86_64",),),)
