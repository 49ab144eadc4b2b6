from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.opam.switch import read_switch
from pkggen.recipe.changes import changes
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pkggen.record.model import Record
    from tests.conftest import MakeRecord

SUM: Final = f"sha256={'0' * 64}"
OTHER_SUM: Final = f"sha256={'1' * 64}"


@pytest.fixture
def record(tmp_path: Path, make_record: MakeRecord) -> Callable[..., Record]:
    """Return a function that makes a record of packages and vendored directories."""
    base = assemble(read_directory(make_record(tmp_path / "r", saved=False), "r"))

    def made(*packages: str, vendored: str = "", root: str = "", version: str = "1") -> Record:
        names = [f'"app.{version}"', *(f'"{text.split()[0]}"' for text in packages)]
        lock = 'x-mirage-opam-lock-location: "mirage/app.opam.locked"'
        dirs = f"x-opam-monorepo-duniverse-dirs: [{vendored}]"
        sections = [f'package "app" {{ version: "{version}" {root} {lock} {dirs} }}\n']
        for text in packages:
            full, _, fields = text.partition(" ")
            name, _, of = full.partition(".")
            sections.append(f'package "{name}" {{ version: "{of}" {fields} }}\n')
        head = f'roots: ["app.{version}"] installed: [{" ".join(names)}]\n'
        text = head + "".join(sections)
        return replace(base, switch=read_switch(text.encode(), "opam-switch"))

    return made


def directory(name: str, checksum: str = SUM) -> str:
    return f'["https://e.org/{name}.tbz" "{name}" ["{checksum}"]]'


def test_nothing_changed(record: Callable[..., Record]) -> None:
    one = record("lib.1", vendored=directory("v"))
    assert list(changes(one, record("lib.1", vendored=directory("v")))) == []


def test_packages(record: Callable[..., Record]) -> None:
    url = f'url {{ src: "https://e.org/c.tbz" checksum: "{SUM}" }}'
    other = f'url {{ src: "https://e.org/c.tbz" checksum: "{OTHER_SUM}" }}'
    old = record("a.1", "b.1", f"c.1 {url}", "e.1")
    new = record("a.1", "b.2~beta", f"c.1 {other}", "d.1", version="2")
    assert list(changes(old, new)) == [
        "app: 1 -> 2",
        "b: 1 -> 2~beta",
        "c 1: other sources or build steps",
        "New: d 1",
        "Gone: e 1",
    ]


def test_words_for_people_are_no_change(record: Callable[..., Record]) -> None:
    assert list(changes(record('a.1 synopsis: "x"'), record('a.1 synopsis: "other"'))) == []


def test_other_build_steps(record: Callable[..., Record]) -> None:
    old, new = record("a.1 build: [make]"), record('a.1 build: [make "all"]')
    assert list(changes(old, new)) == ["a 1: other sources or build steps"]


def test_the_root_is_not_compared_by_its_fields(record: Callable[..., Record]) -> None:
    assert list(changes(record(root="build: [make]"), record(root="build: [name]"))) == []


def test_vendored_directories(record: Callable[..., Record]) -> None:
    old = record(vendored=f"{directory('a')} {directory('b')} {directory('c')}")
    new = record(vendored=f"{directory('b', OTHER_SUM)} {directory('c')} {directory('d')}")
    assert list(changes(old, new)) == [
        "Gone source: a",
        "Other source: b from https://e.org/b.tbz",
        "New source: d",
    ]


def test_both_directions(record: Callable[..., Record]) -> None:
    old, new = record("a.1"), record("b.1")
    assert list(changes(old, new)) == ["Gone: a 1", "New: b 1"]
    assert list(changes(new, old)) == ["New: a 1", "Gone: b 1"]


def test_a_package_without_section(record: Callable[..., Record]) -> None:
    one = record("a.1")
    bare = replace(one.switch, installed=(*one.switch.installed, "base-unix.base"))
    assert list(changes(one, replace(one, switch=bare))) == ["New: base-unix base"]
