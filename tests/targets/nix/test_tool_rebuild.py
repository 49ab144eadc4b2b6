"""The source build of a tool in Nix: the recorded programs, each at its place."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from pkggen.errors import InputError
from pkggen.recipe.build import package_recipe
from pkggen.recipe.model import ToolRecipe
from pkggen.sources.model import collect_sources
from pkggen.targets.nix.lint import entries, lint
from pkggen.targets.nix.tool import tool_tree
from tests.rebuild.made import Made, Package, make
from tests.record.test_binary_package import deb, entry
from tests.targets.nix.rebuilds import STARTED, new_prefix, packaged, source_build
from tests.targets.nix.test_tool import OVERRIDES
from tests.tools import albatross

if TYPE_CHECKING:
    from pkggen.record.model import Record
    from pkggen.sources.model import Source
    from tests.targets.nix.conftest import Nix

PLACES: Final = {
    "bin/albatross-client",
    *(f"libexec/albatross/{name}" for name in albatross.DAEMONS),
}


class Suite(NamedTuple):
    """A recorded suite of daemons."""

    made: Made
    programs: dict[str, bytes]


def read(made: Made) -> tuple[Record, ToolRecipe]:
    record = replace(made.read(), started=STARTED, finished=STARTED)
    recipe = package_recipe(record, OVERRIDES)
    assert isinstance(recipe, ToolRecipe)
    return record, recipe


@pytest.fixture(params=["programs", "package"])
def suite(request: pytest.FixtureRequest, tmp_path: Path) -> Suite:
    """Record what a build below a prefix of its own gives: programs, or a package with them."""
    prefix = new_prefix()
    programs = albatross.programs(prefix)
    files = {f"bin/{name}": data for name, data in programs.items()}
    if request.param == "package":
        (tmp_path / "upstream").mkdir()
        files = {"bin/albatross.deb": albatross.upstream_deb(tmp_path / "upstream", programs)}
    return Suite(albatross.record(tmp_path, files, prefix), programs)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["nix", "sandboxed_nix"])
def test_gives_the_recorded_programs(
    request: pytest.FixtureRequest, which: str, suite: Suite, tmp_path: Path
) -> None:
    nix: Nix = request.getfixturevalue(which)
    record, recipe = read(suite.made)
    package = packaged(nix, tmp_path / "tree", record, suite.made.mirror, recipe=recipe)
    output = Path(nix.build(package.expression(), timeout=300))
    found = {str(file.relative_to(output)) for file in output.rglob("*") if file.is_file()}
    assert found == PLACES | {"report"}
    for place in PLACES:
        assert (output / place).read_bytes() == suite.programs[Path(place).name]
        assert (output / place).stat().st_mode & 0o777 == 0o555
    report = (output / "report").read_text()
    assert report.startswith("What was rebuilt is what was recorded.\n")
    assert report.count("  same     bin/albatross") == len(PLACES)
    nix.build(package.expression("tests.reproduces"))
    assert not lint(entries(tmp_path / "tree"), submitted=False)


@pytest.mark.slow
@pytest.mark.parametrize("suite", ["programs"], indirect=True)
def test_what_differs_is_said(suite: Suite, nix: Nix, tmp_path: Path) -> None:
    """One program among several is another."""
    recorded = b"something else"
    (suite.made.record / "bin/albatross-stats").write_bytes(recorded)
    record, recipe = read(suite.made)
    package = packaged(nix, tmp_path / "tree", record, suite.made.mirror, recipe=recipe)
    output = Path(nix.build(package.expression(), timeout=300))
    report = (output / "report").read_text()
    assert report.startswith("What was rebuilt differs from what was recorded.\n")
    digest = hashlib.sha256(recorded).hexdigest()
    assert f"recorded {digest}\n" in report
    assert report.count("  differs  ") == 1
    error = nix.build(package.expression("tests.reproduces"), status=100)
    assert "ERROR: what was rebuilt differs from the recorded sha256" in error
    assert "libexec/albatross/albatross-stats: FAILED" in error


def plain(tmp_path: Path, built: dict[str, bytes]) -> Made:
    """Return the record of a tool that nothing is known about."""
    fields = 'synopsis: "Some tool"\n  license: "ISC"\n  build: ["true"]'
    return make(
        tmp_path,
        [Package("some-tool", fields, {"x": ""})],
        prefix=new_prefix(),
        built=built,
        environment={"ORB_BUILDING_PACKAGE": "some-tool"},
    )


def test_the_files(tmp_path: Path) -> None:
    record, recipe = read(plain(tmp_path, {"bin/tool": b"x", "doc/tool/README": b"y"}))
    tree = source_build(record, recipe)
    assert sorted(map(str, tree)) == ["deps.json", "rebuild.nix", "root.sh", "switch.sh"]
    files = {str(path): file.data.decode() for path, file in tree.items() if hasattr(file, "data")}
    text = files["rebuild.nix"]
    assert '"bin/tool" = "bin/tool";\n' in text
    assert '"share/doc/tool/README" = "doc/tool/README";\n' in text
    assert f"    {hashlib.sha256(b'x').hexdigest()}  bin/tool\n" in text
    assert "fixedOutput" not in text, "several files are no fixed output"
    assert [name for name, *_ in json.loads(files["deps.json"])["root"]] == [
        source.file_name for source in record_sources(record)
    ]


def record_sources(record: Record) -> list[Source]:
    return sorted(collect_sources(record.switch), key=lambda source: source.file_name)


@pytest.mark.parametrize("name", ["package.nix", "module.nix", "x.NIX"])
def test_no_recorded_file_is_taken_for_an_expression(tmp_path: Path, name: str) -> None:
    _, recipe = read(plain(tmp_path, {"bin/tool": b"x", f"share/{name}": b"abort ''"}))
    with pytest.raises(InputError, match=f"{name}: a recorded file beside Nix expressions"):
        tool_tree(recipe, ())


@pytest.mark.parametrize("name", ["deps.json", "root.sh"])
def test_no_recorded_file_takes_the_place_of_a_generated_one(tmp_path: Path, name: str) -> None:
    record, recipe = read(plain(tmp_path, {"bin/tool": b"x", f"share/{name}": b"y"}))
    with pytest.raises(InputError, match="two different files are generated for one path"):
        tool_tree(recipe, (), rebuild=source_build(record, recipe))


@pytest.mark.parametrize("path", ["report", "bin", "nix-support/setup-hook", "lib64/x"])
def test_other_directories_than_the_usual_ones_are_refused(tmp_path: Path, path: str) -> None:
    """Nix itself, and the report, have places below `$out` too."""
    _, recipe = read(plain(tmp_path, {path: b"x"}))
    with pytest.raises(InputError, match=f"a Nix package cannot install {path}"):
        tool_tree(recipe, ())


def test_a_package_without_programs(tmp_path: Path) -> None:
    """Nothing of it is what a build gives."""
    data = deb(entry("./usr/share/some-tool/data", b"x"))
    record, recipe = read(plain(tmp_path, {"bin/some-tool.deb": data}))
    with pytest.raises(InputError, match="nothing of what is packaged is built"):
        source_build(record, recipe)
