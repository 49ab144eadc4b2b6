from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.errors import InputError
from pkggen.opam.switch import read_switch
from pkggen.recipe.overrides import Overrides, read_overrides
from pkggen.recipe.parts import all_sources, linked_in
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.sources.model import Use

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.record.model import Record
    from tests.conftest import MakeRecord

SUM: Final = f'checksum: "sha256={"0" * 64}"'
SWITCH: Final = f"""roots: ["app.1"] installed: ["app.1" "lib.2" "dune.3" "conf-x.1"]
package "app" {{ version: "1" license: "ISC" authors: ["A  B <a@b.c>"] depends: ["lib" "dune"]
  x-mirage-opam-lock-location: "mirage/app.opam.locked"
  x-opam-monorepo-duniverse-dirs: [["https://e.org/v.tbz" "vend" ["sha256={"1" * 64}"]]]
  url {{ src: "https://e.org/app.tbz" {SUM} }} }}
package "lib" {{ version: "2" license: "MIT" url {{ src: "https://e.org/lib.tbz" {SUM} }} }}
package "dune" {{ version: "3" license: "0BSD" url {{ src: "https://e.org/dune.tbz" {SUM} }} }}
package "conf-x" {{ version: "1" license: "CC0-1.0" flags: conf }}
"""
VENDORED: Final = Use("vendored", "app", "vend")


@pytest.fixture
def record(tmp_path: Path, make_record: MakeRecord) -> Record:
    found = assemble(read_directory(make_record(tmp_path / "r", saved=False), "r"))
    return replace(found, switch=read_switch(SWITCH.encode(), "opam-switch"))


def test_what_is_linked_in(record: Record) -> None:
    parts = linked_in(record, Overrides(), {VENDORED: ("Zlib",)})
    shown = [(part.name, part.version, part.licences.expression) for part in parts]
    assert shown == [("app", "1", "ISC"), ("lib", "2", "MIT"), ("vend", None, "Zlib")]
    assert parts[0].authors == ("A B <a@b.c>",)
    assert parts[2].source == "https://e.org/v.tbz"


def test_all_sources_are_more(record: Record) -> None:
    parts = all_sources(record, Overrides(), {VENDORED: ("Zlib",)})
    assert [part.name for part in parts] == ["app", "dune", "lib", "vend"]


def test_an_unknown_licence_is_refused(record: Record) -> None:
    with pytest.raises(InputError, match="nothing is recorded for vend"):
        linked_in(record, Overrides())


def test_a_stated_licence_of_the_whole_holds_where_nothing_is_known(record: Record) -> None:
    text = f"packages: {{{record.job}: {{licence: Zlib, licences: {{lib: 0BSD}}}}}}"
    parts = linked_in(record, read_overrides(text.encode(), "pkggen.yaml"))
    assert [part.licences.expression for part in parts] == ["ISC", "0BSD", "Zlib"]
