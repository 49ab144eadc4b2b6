"""`pkggen plan`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.conftest import REPOSITORY
from tests.rebuild.made import EXAMPLE, Package, make

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

SHA256: Final = "0" * 64
IMAGE: Final = "5bfbbe733c8315cf4d28c04a7df7dc4f267c5f28fe096213cb4b687274035ff6"


def test_the_example_without_its_sources(run: Run) -> None:
    lines = run("plan", EXAMPLE / "record").out.split("\n")
    assert lines[:2] == ["job hello-unikernel", "target record"]
    start = lines.index("package greeting.0.1")
    assert lines[start:] == [
        "package greeting.0.1",
        "  after conf-gcc-hello",
        "  unpack greeting.0.1-e243d914.tar.gz",
        "  run make",
        '  run make install LIBDIR="$PREFIX"/lib/greeting',
        "root hello-unikernel.1.0.0",
        "  after conf-gcc-hello greeting",
        "  unpack hello-unikernel.1.0.0-f4f77e35.tar.gz",
        '  run make GREETING="$PREFIX"/lib/greeting',
        '  run cp hello.hvt "$PREFIX"/bin/hello.hvt',
        f"expect bin/hello.hvt sha256 {IMAGE}",
        "",
    ]


def test_every_kind_of_step_is_shown(run: Run, tmp_path: Path) -> None:
    extra = f'extra-source "x y" {{ src: "https://pkggen.test/x" checksum: "sha256={SHA256}" }}'
    entries = f'["https://pkggen.test/a.tbz" "a" ["sha256={"1" * 64}"]]'
    made = make(
        tmp_path,
        (
            Package("lib", 'setenv: [A += "%{lib}%"] build-env: [B = "it\'s"]'),
            Package(
                "root",
                f"x-opam-monorepo-duniverse-dirs: [{entries}]\n"
                'x-mirage-opam-lock-location: "mirage/x.opam"\n'
                f'x-mirage-configure: [make "all"] substs: "s" patches: "p" {extra}\n'
                'build: [["a\nb\x1b" jobs]]'.replace("\x1b", "\\027"),
                {"f": ""},
            ),
        ),
    )
    lines = run("plan", made.record).out.split("\n")
    assert 'variable lib="$PREFIX"/lib' in lines
    lib, root = lines.index("package lib.1"), lines.index("root root.1")
    assert lines[lib + 1 : root] == ["  set B = 'it'\\''s'", '  export A += "$PREFIX"/lib']
    assert [line.split()[0] for line in lines[root:-2]] == [
        *("root", "directory", "vendored-dirs", "vendor", "configure", "after", "unpack", "place"),
        *("subst", "patch", "inherit", "run"),
    ]
    assert lines[-3] == "  run 'a\\nb\\x1b' \"$JOBS\""


def test_json(run: Run) -> None:
    shown = json.loads(run("plan", EXAMPLE / "record", "--json").out)
    assert shown["schema"] == "1.0.0"
    assert len(shown["switch_id"]) == 64
    assert [source["file_name"] for source in shown["sources"]] == [
        "greeting.0.1-e243d914.tar.gz",
        "hello-unikernel.1.0.0-f4f77e35.tar.gz",
    ]
    assert shown["root"]["package"]["commands"][1] == [
        ["cp"],
        ["hello.hvt"],
        [{"runtime": "PREFIX"}, "/bin/hello.hvt"],
    ]


@pytest.mark.parametrize(("target", "make_"), [("freebsd", "gmake"), ("nixos", "make")])
def test_targets(run: Run, target: str, make_: str) -> None:
    lines = run("plan", EXAMPLE / "record", "--target", target).out.split("\n")
    assert lines[1] == f"target {target}"
    assert f"  run {make_}" in lines


def test_refusals(run: Run, tmp_path: Path) -> None:
    url = 'url { src: "https://pkggen.test/x.tgz" }'
    made = make(tmp_path, (Package("a", url), Package("root", 'build: ["%{nope}%"]')))
    said = run("plan", made.record, code=3).err
    assert "https://pkggen.test/x.tgz has no checksum" in said
    assert "root: a step needs the variable nope, which only opam knows" in said


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_the_bytes_depend_on_the_record_only(more: tuple[str, ...], tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "pkggen", "plan", str(EXAMPLE / "record"), *more]
    outputs = set()
    for seed, locale, directory in (
        ("0", "C", "/"),
        ("1", "C.UTF-8", tmp_path),
        ("2", "POSIX", "/usr"),
    ):
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONHASHSEED": seed,
            "LC_ALL": locale,
            "TZ": f"UTC+{seed}",
        }
        done = subprocess.run(argv, env=environment, cwd=directory, capture_output=True, check=True)
        outputs.add(done.stdout)
    assert len(outputs) == 1


@pytest.mark.slow
def test_real_records_are_printed(run: Run, records: Path) -> None:
    for name in ("hello-spt", "albatross", "timestamp.full"):
        run("plan", records / "made" / name, "--json")
        assert "\nroot " in run("plan", records / "made" / name).out
