"""Rebuilding on this machine: what is checked, and what is left behind."""

from __future__ import annotations

import fcntl
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.errors import Faults, InputError, PkggenError, ToolError
from pkggen.rebuild import here
from pkggen.rebuild.here import check_directory, check_here, forget, needed_tools, run_here
from pkggen.rebuild.layout import lay_out
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.sources.addresses import Choices
from pkggen.sources.cache import Cache
from pkggen.sources.fetch import fetch
from tests.rebuild.made import Made, Package, make, need_tools

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.recipe.plan import RebuildPlan

INSTALL: Final = 'install: ["touch" "%{bin}%/root"]'


def plan_of(made: Made) -> RebuildPlan:
    return rebuild_plan(made.read())


def ready(directory: Path, *packages: Package) -> RebuildPlan:
    """Return a plan whose script is in `directory`, with a prefix beside it."""
    need_tools()
    made = make(directory, packages, prefix=directory / "p", built={"bin/root": b""})
    plan = plan_of(made)
    choices = Choices(mirrors=(str(made.mirror),), offline=True)
    lay_out(plan, fetch(plan.sources, Cache(directory / "cache"), choices), directory)
    return plan


def messages(caught: pytest.ExceptionInfo[PkggenError]) -> str:
    return str(caught.value)


def test_tools_follow_from_the_plan(tmp_path: Path) -> None:
    plain = plan_of(make(tmp_path, (Package("root"),)))
    assert {"sh", "awk", "make", "tar", "opam-installer", "cc"} <= needed_tools(plain).keys()
    assert not {"patch", "unzip", "xz", "bzip2"} & needed_tools(plain).keys()
    url = 'url {{ src: "https://pkggen.test/x{}" checksum: "md5={}" }}'
    suffixes = (".zip", ".tar.xz", ".tbz")
    packages = [
        Package(f"p{n}", url.format(suffix, str(n) * 32)) for n, suffix in enumerate(suffixes)
    ]
    full = plan_of(make(tmp_path, (*packages, Package("root", 'patches: "x"'))))
    added = {name: needed_tools(full)[name] for name in ("unzip", "xz", "bzip2", "patch")}
    assert added == {"unzip": "unzip", "xz": "xz-utils", "bzip2": "bzip2", "patch": "patch"}


def test_all_that_is_missing_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "programs").mkdir()
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "mine").touch()
    monkeypatch.setenv("REBUILD_PATH", str(tmp_path / "programs"))
    plan = plan_of(make(tmp_path, (Package("root"),), prefix=tmp_path / "p"))
    with pytest.raises(Faults) as caught:
        check_here(plan)
    assert caught.value.exit_code == ToolError.exit_code
    assert len(caught.value.faults) == len(needed_tools(plan)) + 1
    text = messages(caught)
    assert f"opam-installer is needed and not in {tmp_path}/programs" in text
    assert "(Debian: opam-installer)" in text
    assert f"{tmp_path}/p: the recorded PREFIX is in use by something else" in text


def test_a_prefix_that_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        plan = plan_of(make(tmp_path / "x", (Package("root"),), prefix=tmp_path / name))
        with pytest.raises(PkggenError) as caught:
            check_here(plan)
        assert "is no directory here" in messages(caught)


def test_a_prefix_below_a_file_or_a_place_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_tools()
    (tmp_path / "file").touch()
    plan = plan_of(make(tmp_path / "x", (Package("root"),), prefix=tmp_path / "file" / "p"))
    with pytest.raises(InputError, match="nothing can be written below"):
        check_here(plan)
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK | os.X_OK)
    with pytest.raises(InputError, match="nothing can be written below"):
        check_here(plan_of(make(tmp_path / "x", (Package("root"),), prefix=tmp_path / "new" / "p")))


def test_a_build_directory_of_somebody_else(tmp_path: Path) -> None:
    need_tools()
    plan = plan_of(make(tmp_path, (Package("root"),), prefix=tmp_path / "p"))
    directory = tmp_path / "orb-build"
    plan = replace(plan, root=replace(plan.root, directory=str(directory)))
    check_here(plan)
    directory.mkdir()
    with pytest.raises(InputError, match="no rebuild of pkggen made it"):
        check_here(plan)
    (tmp_path / "orb-build.lock").mkdir()
    check_here(plan)


def test_odd_directories_are_refused(tmp_path: Path) -> None:
    check_directory(tmp_path)
    for name in ("a b", "a'b", "ü", "a\nb", "$x"):
        with pytest.raises(InputError, match="letters, digits"):
            check_directory(tmp_path / name)


def test_the_prefix_is_removed_unless_it_is_kept(tmp_path: Path) -> None:
    plan = ready(tmp_path, Package("tool", 'build: "true"'), Package("root", INSTALL))
    lines: list[str] = []
    prefix = tmp_path / "p"
    run_here(plan, tmp_path, jobs=1, keep=False, progress=lines.append)
    assert lines[-3:-1] == ["tool.1", "root.1"]
    assert lines[-1].startswith("same     bin/root")
    assert not prefix.exists()
    run_here(plan, tmp_path, jobs=1, keep=True, progress=lines.append)
    assert (prefix / "bin/root").exists()
    check_here(plan)
    lines.clear()
    run_here(plan, tmp_path, jobs=1, keep=False, progress=lines.append)
    assert "tool.1" not in lines
    assert prefix.exists()


def test_a_failure_keeps_the_prefix_and_the_next_run_goes_on(tmp_path: Path) -> None:
    wish = tmp_path / "wish"
    plan = ready(
        tmp_path,
        Package("tool", 'build: "true"'),
        Package("root", f'build: ["test" "-e" "{wish}"] {INSTALL}'),
    )
    lines: list[str] = []
    with pytest.raises(ToolError) as caught:
        run_here(plan, tmp_path, jobs=1, keep=False, progress=lines.append)
    assert "root.1 failed; the whole log is" in messages(caught)
    assert "the same command goes on there" in messages(caught)
    wish.touch()
    check_here(plan)
    lines.clear()
    run_here(plan, tmp_path, jobs=1, keep=False, progress=lines.append)
    assert "tool.1" not in lines
    assert not (tmp_path / "p").exists()


def test_an_earlier_result_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    plan = ready(tmp_path, Package("root"))
    old = tmp_path / "result" / "bin" / "root"
    old.parent.mkdir(parents=True)
    old.touch()
    (tmp_path / "result" / "mine").touch()
    run_here(plan, tmp_path, jobs=1, keep=False, progress=lambda _: None)
    assert not old.exists()
    assert (tmp_path / "result" / "mine").exists()


def test_two_processes_do_not_share_a_prefix(tmp_path: Path) -> None:
    plan = ready(tmp_path, Package("root", INSTALL))
    prefix = tmp_path / "p"
    prefix.mkdir()
    descriptor = os.open(prefix, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another rebuild uses this PREFIX"):
            run_here(plan, tmp_path, jobs=1, keep=False, progress=lambda _: None)
    finally:
        os.close(descriptor)
    run_here(plan, tmp_path, jobs=1, keep=False, progress=lambda _: None)


def test_there_is_no_network(tmp_path: Path) -> None:
    script = "test $(wc -l </proc/net/route) -le 1"
    plan = ready(tmp_path, Package("root", f'build: ["sh" "-c" "{script}"] {INSTALL}'))
    lines: list[str] = []
    if not run_here(plan, tmp_path, jobs=1, keep=False, progress=lines.append):
        pytest.skip("NETWORK NOT TAKEN AWAY: no way to do it here")
    assert not any("network" in line for line in lines)


def test_it_is_said_when_the_network_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "_ISOLATION", (("no-such-program",), ("false",)))
    plan = ready(tmp_path, Package("root", INSTALL))
    lines: list[str] = []
    assert not run_here(plan, tmp_path, jobs=1, keep=False, progress=lines.append)
    assert "cannot take the network away" in lines[0]


def test_no_file_behind_a_link_is_removed(tmp_path: Path) -> None:
    plan = plan_of(make(tmp_path, (Package("root"),), built={"bin/root": b"x"}))
    (tmp_path / "result").mkdir()
    (tmp_path / "result/bin").symlink_to(tmp_path / "record/bin")
    forget(plan, tmp_path / "result")
    assert (tmp_path / "record/bin/root").exists()


@pytest.mark.parametrize("name", ["p", "orb-build", "orb-build.lock"])
def test_places_of_another_user_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    need_tools()
    plan = plan_of(make(tmp_path, (Package("root"),), prefix=tmp_path / "p"))
    plan = replace(plan, root=replace(plan.root, directory=str(tmp_path / "orb-build")))
    (tmp_path / "orb-build.lock").mkdir()
    (tmp_path / name).mkdir(exist_ok=True)
    check_here(plan)
    if os.geteuid() == 0:
        os.chown(tmp_path / name, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(PkggenError, match="belongs to another user"):
        check_here(plan)
