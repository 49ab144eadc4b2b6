"""The directory of a rebuild."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from pkggen.errors import InputError, ToolError
from pkggen.rebuild import layout
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.sources.addresses import Choices
from pkggen.sources.cache import Cache
from pkggen.sources.fetch import fetch
from tests.rebuild.made import Package, make

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.recipe.plan import RebuildPlan
    from pkggen.sources.fetch import Fetched


@pytest.fixture
def ready(tmp_path: Path) -> tuple[RebuildPlan, tuple[Fetched, ...]]:
    digest = hashlib.sha256(b"hey").hexdigest()
    fields = f'extra-files: ["x.patch" "sha256={digest}"]'
    made = make(tmp_path, (Package("lib", "", {"a": "b"}), Package("root", fields, {"c": "d"})))
    with (made.record / "opam-switch").open("a") as switch:
        switch.write(f'extra-files: ["sha256={digest}" "{b64encode(b"hey").decode()}"]\n')
    plan = rebuild_plan(made.read())
    choices = Choices(mirrors=(str(made.mirror),), offline=True)
    return plan, fetch(plan.sources, Cache(tmp_path / "cache"), choices)


def test_everything_is_there(
    ready: tuple[RebuildPlan, tuple[Fetched, ...]], tmp_path: Path
) -> None:
    plan, fetched = ready
    directory = tmp_path / "deep" / "down"
    layout.lay_out(plan, fetched, directory)
    assert (directory / "rebuild.sh").stat().st_mode & 0o777 == 0o755
    names = {one.source.file_name for one in fetched} | {plan.carried[0].file_name}
    assert {path.name for path in (directory / "distfiles").iterdir()} == names
    for one in fetched:
        assert (directory / "distfiles" / one.source.file_name).samefile(one.path)
        assert one.hashes.sha256 in (directory / "rebuild.sh").read_text()
    assert (directory / "distfiles" / plan.carried[0].file_name).read_bytes() == b"hey"


def test_it_is_repaired_when_done_again(
    ready: tuple[RebuildPlan, tuple[Fetched, ...]], tmp_path: Path
) -> None:
    plan, fetched = ready
    layout.lay_out(plan, fetched, tmp_path)
    good = (tmp_path / "rebuild.sh").read_bytes()
    source = tmp_path / "distfiles" / fetched[0].source.file_name
    source.unlink()
    source.write_bytes(b"damaged")
    layout.lay_out(plan, fetched, tmp_path)
    assert (tmp_path / "rebuild.sh").read_bytes() == good
    assert source.samefile(fetched[0].path)


def test_a_script_edited_by_hand_is_kept(
    ready: tuple[RebuildPlan, tuple[Fetched, ...]], tmp_path: Path
) -> None:
    plan, fetched = ready
    layout.lay_out(plan, fetched, tmp_path)
    script = tmp_path / "rebuild.sh"
    script.write_text(script.read_text().replace("set -eu", "set -eux"))
    with pytest.raises(InputError, match=r"\+set -eu"):
        layout.lay_out(plan, fetched, tmp_path)
    assert "set -eux" in script.read_text()


def test_sources_are_copied_where_they_cannot_be_linked(
    ready: tuple[RebuildPlan, tuple[Fetched, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    plan, fetched = ready
    layout.lay_out(plan, fetched, tmp_path)
    copy = tmp_path / "distfiles" / fetched[0].source.file_name
    assert copy.read_bytes() == fetched[0].path.read_bytes()
    assert not copy.samefile(fetched[0].path)


def test_a_refusal_of_the_system_is_said(
    ready: tuple[RebuildPlan, tuple[Fetched, ...]], tmp_path: Path
) -> None:
    plan, fetched = ready
    layout.lay_out(plan, fetched, tmp_path)
    name = fetched[0].source.file_name
    (tmp_path / "distfiles" / name).unlink()
    (tmp_path / "distfiles" / name).mkdir()
    with pytest.raises(ToolError, match="the sources cannot be put there"):
        layout.lay_out(plan, fetched, tmp_path)
