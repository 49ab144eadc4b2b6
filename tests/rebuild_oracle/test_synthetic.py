"""Own tiny packages with every feature: the script makes of a record what opam makes of it."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Final

import pytest

from tests.rebuild_oracle import oracle
from tests.rebuild_oracle.conftest import HERE, make_case
from tests.rebuild_oracle.oracle import FailedError, VendoredRoot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rebuild_oracle.conftest import Case
    from tests.rebuild_oracle.oracle import Tree, World

pytestmark = pytest.mark.slow

PACKAGES: Final = HERE / "packages"
VENDORED: Final = {"cloud": "cloud-1.tbz", "rain": "rain-2.tar.gz"}
ROOTS: Final = {
    "tool": None,
    "sky": VendoredRoot(
        archive="sky-0.2.tar.gz",
        below="tutorial/sky/",
        vendored=VENDORED,
        commands=(
            ("sh", "-exc", "cd tutorial/sky && sh ./configure.sh --name 'sky 1' --target spt"),
            ("make", "-Ctutorial/sky/", "build"),
            ("cp", "tutorial/sky/dist/sky.bin", "@PREFIX@/bin/sky.bin"),
            ("cp", "tutorial/sky/key_gen.ml", "@PREFIX@/etc/sky-key_gen.ml"),
        ),
    ),
    "plain": VendoredRoot(
        archive="plain-0.2.tar.gz",
        below="",
        vendored=VENDORED,
        commands=(
            ("sh", "-exc", "sh ./configure.sh --name 'plain 1' --target spt"),
            ("make", "build"),
            ("cp", "dist/plain.bin", "@PREFIX@/bin/plain.bin"),
            ("cp", "key_gen.ml", "@PREFIX@/etc/plain-key_gen.ml"),
        ),
    ),
}
BUILT: Final = {
    "tool": {"bin/tool", "bin/tool-3", "doc/tool/notes", "lib/tool/source/tool.c"},
    "sky": {"bin/sky.bin", "etc/sky-key_gen.ml"},
    "plain": {"bin/plain.bin", "etc/plain-key_gen.ml"},
}


@pytest.fixture(scope="module")
def world(base: Path) -> World:
    return oracle.new_world(base, [PACKAGES], {})


@pytest.fixture(scope="module")
def cases(world: World) -> dict[str, Case]:
    return {root: make_case(world, root, vendored) for root, vendored in ROOTS.items()}


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("first", ["dash", "busybox", "bmake"])
@pytest.mark.parametrize("root", ROOTS)
def test_the_script_makes_what_opam_makes(
    cases: dict[str, Case], shells: dict[str, Path], root: str, first: str, jobs: int
) -> None:
    case, place = cases[root], shells[first]
    shell = str(place / "sh") if (place / "sh").exists() else "sh"
    found, _, printed = case.script.run(case.world, jobs=jobs, shell=shell, first_in_path=place)
    assert not oracle.differences(case.by_opam, found)
    same = set(re.findall(r"^same +(\S+)  sha256 [0-9a-f]{64}$", printed, re.MULTILINE))
    assert same == BUILT[root]


def test_the_packages_of_the_record_show_what_they_are_for(cases: dict[str, Case]) -> None:
    tree = cases["tool"].by_opam
    sections = {
        "bin/registry": ("file", "0o755"),
        "bin/registry-helper.sh": ("file", "0o755"),
        "doc/registry/deep/er/root.txt": ("file", "0o644"),
        "etc/registry/registry.conf": ("file", "0o644"),
        "lib/countdown/countdown.cmxa": ("file", "0o644"),
        "lib/registry-helper": ("file", "0o755"),
        "lib/registry-root.txt": ("file", "0o644"),
        "lib/registry/helper.sh": ("file", "0o755"),
        "lib/registry/sub/dir/interface.mli": ("file", "0o644"),
        "lib/stublibs/dllcountdown_stubs.so": ("file", "0o755"),
        "lib/toplevel/registry_top.ml": ("file", "0o644"),
        "man/man1/registry.1": ("file", "0o644"),
        "man/man3/registry.3x": ("file", "0o644"),
        "man/man5/registry.5": ("file", "0o644"),
        "sbin/registry-admin": ("file", "0o755"),
        "share/greet/greet.conf": ("file", "0o600"),
        "share/registry/a b.txt": ("file", "0o644"),
        "share/registry/from-root.txt": ("file", "0o644"),
    }
    assert {name: tree[name][:2] for name in sections} == sections
    assert tree["lib/greet/libgreeting.a"] == ("link", "libgreet.a")
    plan = cases["tool"].script.plan
    assert {source.suffix for source in plan.sources if source.kind == "archive"} == {
        *(".tar.bz2", ".tar.gz", ".tar.xz", ".tbz", ".tgz", ".zip"),
    }
    assert plan.carried
    assert [source for source in plan.sources if source.kind == "file"]


def test_a_rebuild_that_was_interrupted_goes_on(cases: dict[str, Case]) -> None:
    case = cases["tool"]
    _, _, first = case.script.run(case.world, stage="switch", keep=True)
    assert "countdown.2.0" in first
    done = case.world.prefix / ".opam-switch" / "done"
    (done / "patched.1.0").unlink()
    shutil.rmtree(case.world.prefix / "lib" / "patched")
    found, _, second = case.script.run(case.world)
    assert "countdown.2.0" not in second
    assert "patched.1.0" in second
    assert not oracle.differences(case.by_opam, found)


def test_what_differs_from_the_record_is_noticed(cases: dict[str, Case]) -> None:
    case = cases["tool"]
    script = case.script.path
    right = script.read_text()
    step = "run make GREET="
    assert step in right
    try:
        script.write_text(right.replace(step, "run make CC='gcc -DCHANGED=1 -g3' GREET="))
        with pytest.raises(FailedError, match=r"differs  bin/tool  sha256 .*(?s:.*)2 file\(s\)"):
            case.script.run(case.world)
    finally:
        script.write_text(right)
        case.world.clear()


def test_a_damaged_source_is_not_used(cases: dict[str, Case]) -> None:
    case = cases["tool"]
    name = next(s.file_name for s in case.script.plan.sources if s.file_name.startswith("greet."))
    source = case.script.distfiles / name
    right = source.read_bytes()
    try:
        source.write_bytes(right[:-1] + b"?")
        with pytest.raises(FailedError, match=f"{re.escape(name)} does not have the sha256"):
            case.script.run(case.world)
    finally:
        source.write_bytes(right)
        case.world.clear()


def test_files_for_any_place_are_refused(world: World) -> None:
    # opam-installer asks before it installs such a file, and leaves it out without a terminal.
    case = make_case(world, "odd")
    assert "odd/place" in case.by_opam
    with pytest.raises(FailedError, match=r"odd\.install has a section misc"):
        case.script.run(world)
    world.clear()


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"a": ("file", "0o755", "1")},
        {"a": ("file", "0o644", "2")},
        {"a": ("link", "1")},
        {"a": ("file", "0o644", "1"), "b": ("directory", "0o755")},
    ],
)
def test_every_difference_counts(other: Tree) -> None:
    one: Tree = {"a": ("file", "0o644", "1")}
    assert not oracle.differences(one, one)
    assert len(oracle.differences(one, other)) == 1
    assert len(oracle.differences(other, one)) == 1
