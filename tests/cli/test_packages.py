"""What `pkggen deb` shares with other targets: many sources, careful writing, results, codes."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Final

import pytest

from tests.cli.conftest import EXAMPLE, contents, snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run
    from tests.conftest import MakeRecord

CONFIG: Final = "maintainer: {name: Jane Doe, email: jane@example.org}\n"
STEM: Final = "hello_1.0-20260823090000Z"
FILES: Final = (f"{STEM}-0pkggen1.debian.tar.xz", f"{STEM}-0pkggen1.dsc", f"{STEM}.orig.tar.xz")


@pytest.fixture
def saved(tmp_path: Path, run: Run, make_record: MakeRecord) -> Path:
    """Return a record of the job `hello`, with a pkggen.yaml where the commands run."""
    (run.here / "pkggen.yaml").write_text(CONFIG)
    return make_record(tmp_path / "saved")


def test_every_source_with_an_image(run: Run, source: Path) -> None:
    (run.here / "pkggen.yaml").write_text(CONFIG)
    out = run("deb", source, "-o", "out").out
    made = snapshot(run.here / "out")
    assert len(made) == 3
    assert [line.split() for line in out.splitlines()] == [["create", name] for name in made]
    again = run("deb", source, "-o", "out").out
    assert [line.split() for line in again.splitlines()] == [["unchanged", name] for name in made]
    assert snapshot(run.here / "out") == made


def test_the_current_directory_is_the_default(run: Run, saved: Path) -> None:
    run("deb", saved)
    assert sorted(contents(run.here)) == [*FILES, "pkggen.yaml"]


def test_a_failing_source_does_not_lose_the_others(
    run: Run, tmp_path: Path, saved: Path, make_record: MakeRecord
) -> None:
    other = make_record(tmp_path / "other", name="other")
    damaged = make_record(tmp_path / "damaged", name="damaged")
    with (damaged / "opam-switch").open("ab") as switch:
        switch.write(b"\n")
    ran = run("deb", saved, damaged, "./gone", other, "-o", "out", code=4)
    names = list(contents(run.here / "out"))
    assert names == [*FILES, *(name.replace("hello", "other") for name in FILES)]
    assert ran.err.count("pkggen: ") == 2
    assert "recorded size" in ran.err
    assert "./gone: no such path" in ran.err
    run("deb", "./gone", damaged, "-o", "none", code=3)
    assert not (run.here / "none").exists()


def test_one_name_for_two_packages(run: Run, tmp_path: Path, saved: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(saved, copy)
    ran = run("deb", saved, copy, "-o", "out", code=3)
    assert f"{saved} gives a package hello already" in ran.err
    assert "another name in pkggen.yaml" in ran.err
    assert list(contents(run.here / "out")) == list(FILES)


@pytest.mark.parametrize("option", ["--dry-run", "--diff", "--check"])
def test_nothing_is_written_unless_wanted(run: Run, saved: Path, option: str) -> None:
    found = 1 if option == "--check" else 0
    ran = run("deb", saved, "-o", "out", option, code=found)
    assert not (run.here / "out").exists()
    assert FILES[1] in ran.out
    assert (f"+++ b/{FILES[1]}" in ran.out) is (option == "--diff")
    run("deb", saved, "-o", "out")
    before = snapshot(run.here / "out")
    ran = run("deb", saved, "-o", "out", option)
    assert ("unchanged" in ran.out) is (option != "--diff")
    (run.here / "out" / FILES[2]).unlink()
    assert FILES[2] in run("deb", saved, "-o", "out", option, code=found).out
    before.pop(FILES[2])
    assert snapshot(run.here / "out") == before


def test_check_tells_errors_from_changes(run: Run, saved: Path) -> None:
    run("deb", saved, "./gone", "-o", "out", "--check", code=3)
    assert not (run.here / "out").exists()


def test_json(run: Run, saved: Path) -> None:
    good, bad = json.loads(run("deb", saved, "./gone", "-o", "out", "--json", code=3).out)[
        "results"
    ]
    assert good == {
        "source": str(saved),
        "name": "hello",
        "dsc": FILES[1],
        "files": [{"path": name, "change": "create"} for name in FILES],
    }
    assert (bad["source"], bad["exit_code"]) == ("./gone", 3)
    assert bad["error"].startswith("./gone: no such path")
    document = json.loads(run("deb", saved, "-o", "new", "--json", "--diff").out)
    diffs = {file["path"]: file["diff"] for file in document["results"][0]["files"]}
    assert diffs[FILES[1]].startswith(f"--- /dev/null\n+++ b/{FILES[1]}\n")
    assert "binary files differ" in diffs[FILES[0]]
    assert not (run.here / "new").exists()


def test_one_version_is_never_overwritten_unasked(run: Run, saved: Path) -> None:
    run("deb", saved, "-o", "out")
    before = snapshot(run.here / "out")
    (run.here / "pkggen.yaml").write_text(CONFIG.replace("Jane", "John"))
    error = run("deb", saved, "-o", "out", code=3).err
    assert "nothing was written" in error
    assert snapshot(run.here / "out") == before
    (run.here / "pkggen.yaml").write_text(
        f"{CONFIG}packages: {{hello: {{revision: 2}}}}\n".replace("Jane", "John")
    )
    run("deb", saved, "-o", "out")
    assert f"{STEM}-0pkggen2.dsc" in snapshot(run.here / "out")
    (run.here / "pkggen.yaml").write_text(CONFIG.replace("Jane", "John"))
    run("deb", saved, "-o", "out", "--force")
    assert b"John Doe" in (run.here / "out" / FILES[1]).read_bytes()


@pytest.mark.parametrize("blocker", ["out", f"out/{FILES[1]}"])
def test_what_is_in_the_way(run: Run, saved: Path, blocker: str) -> None:
    place = run.here / blocker
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to("/dev/null")
    error = run("deb", saved, "-o", "out", code=3).err
    assert "not a directory" in error or "not a regular file" in error
    assert list(contents(run.here)) == ["pkggen.yaml"]


def test_a_place_that_cannot_be_written(run: Run, saved: Path) -> None:
    error = run("deb", saved, "-o", "/proc/deb", code=6).err
    assert "the system refused" in error


def test_a_config_that_is_wrong(run: Run) -> None:
    (run.here / "pkggen.yaml").write_text("maintainers: {}\n")
    assert "unknown key 'maintainers'" in run("deb", EXAMPLE, "-o", "out", code=3).err
    assert not (run.here / "out").exists()
