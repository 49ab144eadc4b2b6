"""`pkggen record`: what it saves is as good as what it read, and bad input leaves nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import EXAMPLE, STARTED, archived, contents, snapshot
from tests.cli.test_show import IMAGELESS
from tests.record.builder_web_server import NEW_UUID

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run
    from tests.conftest import MakeRecord
    from tests.record.builder_web_server import BuilderWeb


def nix_tree(run: Run, source: object, output: str, *options: object) -> dict[str, bytes]:
    """Return the package that `pkggen nix` makes of a source."""
    run("nix", source, "-o", output, *options)
    return contents(run.here / output)


@pytest.mark.slow
def test_nix_makes_the_same_of_a_saved_record(run: Run, source: Path) -> None:
    direct = nix_tree(run, source, "direct")
    assert len(direct) >= 1
    assert run("record", source, "-o", "saved").out == "saved\n"
    assert nix_tree(run, "saved", "again") == direct
    before = snapshot(run.here / "saved")
    run("record", "saved", "-o", "twice")
    assert contents(run.here / "twice") == contents(run.here / "saved")
    run("record", source, "-o", "saved")
    assert snapshot(run.here / "saved") == before


def test_a_build_of_a_server_remembers_where_it_was(run: Run, web: BuilderWeb) -> None:
    url = f"{web.url}/job/hello-git/build/{NEW_UUID}"
    direct = nix_tree(run, "hello-git", "direct", "--server", web.url)
    assert list(direct) == ["pkgs/by-name/he/hello/package.nix"]
    package = direct["pkgs/by-name/he/hello/package.nix"].decode()
    assert f'url = "{url}/f/bin/hello.hvt";' in package
    run("record", url, "-o", "saved")
    web.requests.clear()
    assert nix_tree(run, "saved", "again") == direct
    assert web.requests == []
    archived(run.here / "saved", run.here / "saved.tar.gz", "gz")
    assert nix_tree(run, "saved.tar.gz", "packed") == direct


def test_an_old_server_states_no_time(run: Run, web: BuilderWeb) -> None:
    web.slashes = True
    error = run("nix", "hello-git", "--server", web.url, "-o", "nix", code=3).err
    assert "does not say when the build was started" in error
    assert "--started TIME" in error
    run("record", "hello-git", "--server", web.url, *STARTED, "-o", "saved")
    package = nix_tree(run, "saved", "nix")["pkgs/by-name/he/hello/package.nix"]
    assert b"1.0-unstable-2026-08-23" in package
    assert f"{web.url}/job/hello-git/build/{NEW_UUID}/f/".encode() in package


@pytest.mark.parametrize("kind", ["directory", "tar"])
def test_what_orb_left_needs_a_time(
    run: Run, tmp_path: Path, make_record: MakeRecord, kind: str
) -> None:
    source = make_record(tmp_path / "orb", saved=False)
    if kind == "tar":
        source = archived(source, tmp_path / "orb.tar.gz", "gz")
    error = run("nix", source, "-o", "nix", code=3).err
    assert "`pkggen record SOURCE --started TIME -o DIR`" in error
    run("record", source, "--started", "2026-08-23T11:00:00+02:00", "-o", "saved")
    stated = json.loads((run.here / "saved/record.json").read_text())
    assert stated["started"] == stated["finished"] == "2026-08-23T09:00:00Z"
    assert sorted(nix_tree(run, "saved", "nix")) == [
        "pkgs/by-name/he/hello/hello.hvt",
        "pkgs/by-name/he/hello/package.nix",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--started", "soon"), "'soon' is no time with a time zone"),
        (("--started", "2026-08-23T09:00:00"), "no time with a time zone"),
        (("--started", "0001-01-01T00:00:00+23:59"), "no time with a time zone"),
        (("--finished", "2026-08-23T09:00:00Z"), "--finished needs --started"),
        (
            ("--started", "2026-08-23T09:00:01Z", "--finished", "2026-08-23T09:00:00Z"),
            "--finished is before --started",
        ),
    ],
)
def test_times_that_cannot_be(
    run: Run, tmp_path: Path, make_record: MakeRecord, options: tuple[str, ...], message: str
) -> None:
    orb = make_record(tmp_path / "orb", saved=False)
    assert message in run("record", orb, *options, "-o", "saved", code=2).err
    assert not (run.here / "saved").exists()


def test_a_recorded_time_is_not_replaced(run: Run) -> None:
    error = run("record", EXAMPLE, *STARTED, "-o", "saved", code=2).err
    assert "has its times recorded" in error
    assert not (run.here / "saved").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", IMAGELESS)
def test_real_records_are_saved(run: Run, records: Path, name: str) -> None:
    before = run("show", records / "made" / name, "--json").out
    run("record", records / "made" / name, "-o", "saved")
    assert run("show", "saved", "--json").out == before


def test_another_directory_is_left_alone(run: Run, tmp_path: Path) -> None:
    (run.here / "saved").mkdir()
    (run.here / "saved/mine").write_text("mine")
    error = run("record", EXAMPLE, "-o", "saved", code=3).err
    assert "already holds something else" in error
    assert contents(run.here / "saved") == {"mine": b"mine"}
    (tmp_path / "file").write_text("")
    assert "cannot save" in run("record", EXAMPLE, "-o", tmp_path / "file/x", code=3).err


@pytest.mark.parametrize("part", ["bin/hello.hvt", "opam-switch", "system-packages"])
def test_a_damaged_record_is_refused(
    run: Run, tmp_path: Path, make_record: MakeRecord, part: str
) -> None:
    saved = make_record(tmp_path / "saved")
    stated = json.loads((saved / "record.json").read_text())["artifacts"]
    data = bytearray((saved / part).read_bytes())
    data[-1] ^= 1
    (saved / part).write_bytes(data)
    for command in ("record", "nix"):
        error = run(command, saved, "-o", "out", code=4).err
        assert f"{part}: recorded sha256" in error
        assert ", found " in error
    assert stated
    assert not (run.here / "out").exists()
