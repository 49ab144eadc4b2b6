"""What is said about files that are not the recorded ones."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.rebuild.machine import Machine
from pkggen.rebuild.report import Report, Stripped, compare, describe, package_differences
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.record.model import SystemPackage
from tests.rebuild.made import Package, make

if TYPE_CHECKING:
    from pathlib import Path

HERE: Final = Machine(
    system=(
        ("ARCH", "x86_64"),
        ("OS", "linux"),
        ("OS_DISTRIBUTION", "debian"),
        ("OS_VERSION", "12"),
    ),
    packages=(SystemPackage(name="gcc", version="4:12.2.0-3"),),
    compilers=(("cc", "cc 12.2.0"), ("ld", "GNU ld 2.40")),
)
PATH: Final = "/usr/bin:/bin"


def report_of(
    directory: Path,
    recorded: bytes,
    rebuilt: bytes | None,
    machine: Machine = HERE,
    path: str = PATH,
    **environment: str,
) -> Report:
    made = make(
        directory, (Package("root"),), built={"bin/root": recorded}, environment=environment
    )
    result = directory / "result"
    if rebuilt is not None:
        (result / "bin").mkdir(parents=True)
        (result / "bin/root").write_bytes(rebuilt)
    record = made.read()
    return compare(
        record,
        rebuild_plan(record),
        machine,
        result=result,
        originals=directory / "recorded",
        offline=True,
        environment={"PATH": path},
    )


def compiled(directory: Path, place: str, *options: str, value: int = 1) -> bytes:
    if shutil.which("gcc") is None or shutil.which("strip") is None:
        pytest.skip("OBJECT FILES NOT COMPARED: gcc or strip not found")
    source = directory / place / "x.c"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(
        f"static int hidden(int x) {{ return x * x + {value}; }}\n"
        "int f(int x) { return hidden(x); }\n"
    )
    target = source.with_suffix(".o")
    subprocess.run(["gcc", "-c", *options, "-o", str(target), str(source)], check=True)
    return target.read_bytes()


def test_equal_files(tmp_path: Path) -> None:
    report = report_of(tmp_path, b"same", b"same")
    assert report.same
    lines = list(describe(report))
    assert lines[0].startswith("same     bin/root  sha256 0967115f2813")
    assert not (tmp_path / "recorded").exists()


def test_a_missing_file(tmp_path: Path) -> None:
    report = report_of(tmp_path, b"x", None)
    assert not report.same
    assert next(describe(report)).startswith("missing  bin/root  sha256 2d711642b726b04")


def test_paths_in_debug_information(tmp_path: Path) -> None:
    recorded, rebuilt = (compiled(tmp_path, place, "-g", "-O1") for place in ("one", "other"))
    report = report_of(tmp_path, recorded, rebuilt)
    assert report.files[0].stripped == Stripped(debug=True, symbols=True)
    text = "\n".join(describe(report))
    assert "equal after `strip -g`: only debug information differs" in text
    sides = f"{tmp_path}/recorded/bin/root {tmp_path}/result/bin/root"
    assert f"diffoscope {sides}" in text
    assert (tmp_path / "recorded/bin/root").read_bytes() == recorded


def test_another_symbol_table(tmp_path: Path) -> None:
    if shutil.which("objcopy") is None:
        pytest.skip("SYMBOLS NOT COMPARED: objcopy not found")
    one = compiled(tmp_path, "one", "-O0")
    (tmp_path / "in.o").write_bytes(one)
    argv = ["objcopy", "--redefine-sym", "hidden=renamed", "in.o", "out.o"]
    subprocess.run(argv, cwd=tmp_path, check=True)
    report = report_of(tmp_path, one, (tmp_path / "out.o").read_bytes())
    assert report.files[0].stripped == Stripped(debug=False, symbols=True)
    assert "only debug information and the symbol table differ" in "\n".join(describe(report))


def test_other_code(tmp_path: Path) -> None:
    recorded, rebuilt = (compiled(tmp_path, f"v{n}", "-g", value=n) for n in (1, 2))
    report = report_of(tmp_path, recorded, rebuilt)
    assert report.files[0].stripped == Stripped(debug=False, symbols=False)
    assert "different even after `strip`: code or data differ" in "\n".join(describe(report))


def test_texts_cannot_be_stripped(tmp_path: Path) -> None:
    report = report_of(tmp_path, b"a", b"b")
    assert report.files[0].stripped is None
    assert "not both object files" in "\n".join(describe(report))


def test_digests_without_bytes(tmp_path: Path) -> None:
    made = make(tmp_path, (Package("root"),), built={})
    (made.record / "root.build-hashes").write_text(
        f'opam-version: "2.0"\nadded: "doc/x" {{"F:{"1" * 32}"}}\n'
    )
    (tmp_path / "doc").mkdir()
    (tmp_path / "doc/x").write_text("x")
    record = made.read()
    report = compare(
        record,
        rebuild_plan(record),
        HERE,
        result=tmp_path,
        originals=tmp_path / "o",
        offline=True,
        environment={"PATH": PATH},
    )
    text = "\n".join(describe(report))
    assert "recorded md5 1111" in text
    assert "the record has its digest only" in text


def test_conditions(tmp_path: Path) -> None:
    report = report_of(tmp_path, b"a", b"b", OS_VERSION="11", ARCH="arm64")
    lines = [line.strip() for line in describe(report)]
    for line in (
        "OS_VERSION: recorded 11, here 12",
        "ARCH: recorded arm64, here x86_64",
        "OS: linux",
        "PREFIX: /nonexistent/prefix",
        "build directory: not recorded, here /nonexistent/prefix/.opam-switch/build/root.1",
        "SOURCE_DATE_EPOCH: 1589138087",
        "cc of the rebuild: cc 12.2.0",
        "ld of the rebuild: GNU ld 2.40",
    ):
        assert line in lines
    assert not any("not deterministic" in line for line in lines)


def test_nothing_differs_but_the_bytes(tmp_path: Path) -> None:
    text = "\n".join(describe(report_of(tmp_path, b"a", b"b")))
    assert "perhaps the build is not deterministic" in text


def packages(**versions: str) -> tuple[SystemPackage, ...]:
    return tuple(
        SystemPackage(name=name.replace("_", "-"), version=version)
        for name, version in versions.items()
    )


def test_packages_that_differ_are_named_compilers_first(tmp_path: Path) -> None:
    recorded = packages(aaa="1", binutils="1", gcc_12="1", gone="1", libc6_dev="1", same="1")
    here = packages(aaa="2", binutils="2", gcc_12="2", libc6_dev="2", same="1", new="1", gcc="1")
    found = package_differences(recorded, here)
    assert found is not None
    assert [(one.name, one.recorded, one.here) for one in found] == [
        ("gcc", None, "1"),
        ("gcc-12", "1", "2"),
        ("binutils", "1", "2"),
        ("libc6-dev", "1", "2"),
        ("aaa", "1", "2"),
        ("gone", "1", None),
        ("new", None, "1"),
    ]
    report = replace(report_of(tmp_path, b"a", b"b"), packages=found)
    text = "\n".join(describe(report))
    assert (
        "system packages: 4 of another version, 1 recorded ones not here, "
        "2 here that were not recorded" in text
    )
    assert text.index("gcc-12: recorded 1, here 2") < text.index("aaa: recorded 1, here 2")
    assert "gone: recorded 1, here not installed" in text


def test_long_lists_are_cut(tmp_path: Path) -> None:
    old, new = (packages(**{f"p{n}": version for n in range(50)}) for version in "12")
    report = replace(report_of(tmp_path, b"a", b"b"), packages=package_differences(old, new))
    lines = list(describe(report))
    assert sum(": recorded 1, here 2" in line for line in lines) == 20
    assert "    … and 30 more (--json names all)" in lines


def test_unknown_packages(tmp_path: Path) -> None:
    report = report_of(tmp_path, b"a", b"b", replace(HERE, packages=None))
    assert report.packages is None
    assert "system packages: not recorded, or not known here" in "\n".join(describe(report))


def test_it_is_json(tmp_path: Path) -> None:
    report = report_of(tmp_path, b"a", b"b")
    assert json.loads(json.dumps(asdict(report)))["files"][0]["path"] == "bin/root"


def test_what_a_record_holds_cannot_steer_the_terminal(tmp_path: Path) -> None:
    report = report_of(tmp_path, b"a", b"b")
    evil = replace(report, compilers=(("cc", "\x1b[2J"),))
    assert "\x1b" not in "\n".join(describe(evil))


@pytest.mark.parametrize("link", ["bin", "bin/root"])
def test_a_link_is_no_built_file(tmp_path: Path, link: str) -> None:
    made = make(tmp_path, (Package("root"),), built={"bin/root": b"x"})
    place = tmp_path / "result" / link
    place.parent.mkdir(parents=True)
    place.symlink_to(made.record / link)
    record = made.read()
    report = compare(
        record,
        rebuild_plan(record),
        HERE,
        result=tmp_path / "result",
        originals=tmp_path / "recorded",
        offline=True,
        environment={"PATH": PATH},
    )
    assert [file.found for file in report.files] == [None]
