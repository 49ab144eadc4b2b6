"""The tool chain's real records, with stand-ins for what they built and for what they fetched."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.cli import deb, freebsd, nix_rebuild
from pkggen.recipe.distfiles import Distfile, carried_distfile
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.sources.fetch import Fetched
from pkggen.sources.hashes import Hashes
from pkggen.sources.model import collect_sources
from pkggen.tree import Bytes
from tests.cli.conftest import STARTED
from tests.rebuild.made import Package, archive
from tests.tools import solo5

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from pkggen.recipe.plan import RebuildPlan
    from pkggen.sources.model import Source
    from tests.cli.conftest import Run

PROGRAMS: Final = {
    "albatross": (
        *("albatrossd", "albatross-client", "albatross-console", "albatross-stats"),
        *("albatross-influx", "albatross-tls-endpoint"),
    ),
    "builder": ("builder-server", "builder-client", "builder-worker", "builder-inspect"),
    "opam-graph": ("opam-graph",),
    "orb": ("orb", "opam"),
}
CONFIG: Final = """\
maintainer: {name: Jane Doe, email: jane@example.org, nixpkgs: janedoe}
packages:
  opam-graph: {licence: ISC}
  orb: {licence: ISC}
  albatross: {licence: ISC}
  builder: {licence: ISC}
"""


@pytest.fixture(params=sorted(PROGRAMS))
def tool(request: pytest.FixtureRequest, records: Path, run: Run) -> str:
    """Save a real record of a tool with programs that stand in for its own, and return its name."""
    name: str = request.param
    orb = run.here / name
    shutil.copytree(records / "made" / name, orb)
    (orb / "bin").mkdir()
    for program in PROGRAMS[name]:
        (orb / "bin" / program).write_text("#!/bin/sh\n")
    (run.here / "pkggen.yaml").write_text(CONFIG)
    run("record", orb, *STARTED, "-o", "saved")
    return name


def unpacked(run: Run, name: str) -> Path:
    (found,) = (run.here / "deb").glob(f"{name}-[0-9]*")
    return found / "debian"


def test_a_debian_package_of_the_programs(tool: str, run: Run) -> None:
    run("deb", "saved", "-o", "deb", "--unpacked")
    debian = unpacked(run, tool)
    installed = [line.split()[0] for line in (debian / "install").read_text().splitlines()]
    assert {name.removeprefix("bin/") for name in installed if name.startswith("bin/")} == (
        set(PROGRAMS[tool]) - {"opam"}
    )
    assert f"Package: {tool}\n" in (debian / "control").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--rebuild",)], ids=["recorded", "rebuilt"])
def test_lintian_is_content(
    tool: str, run: Run, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    if shutil.which("lintian") is None:
        pytest.skip("NOT LINTED: install lintian")
    monkeypatch.setattr(deb, "fetched_distfiles", fetched)
    run("deb", "saved", "-o", "deb", *options)
    if not options:
        (dsc,) = (run.here / "deb").glob(f"{tool}_*.dsc")
        run("build", "deb", "--here", dsc, "-o", "deb")
    run("lint", "deb", "deb")


def fetched(plan: RebuildPlan, _: argparse.Namespace) -> tuple[Distfile, ...]:
    """Return files that stand in for the recorded sources."""
    found = [
        Distfile(
            name=source.file_name,
            sha256=hashlib.sha256(source.file_name.encode()).hexdigest(),
            size=len(source.file_name),
            content=Bytes(source.file_name.encode()),
            source=source,
            commit=source.commit,
        )
        for source in plan.sources
    ]
    found += [carried_distfile(carried, Bytes(carried.content)) for carried in plan.carried]
    return tuple(sorted(found, key=lambda one: one.name))


def fetched_files(sources: Iterable[Source], *_: object) -> tuple[Fetched, ...]:
    """Return files that stand in for the recorded sources, none of which is a commit."""
    return tuple(
        Fetched(
            source=source,
            path=Path("/nonexistent"),
            hashes=Hashes(
                md5=None,
                sha256=hashlib.sha256(source.file_name.encode()).hexdigest(),
                sha512=hashlib.sha512(source.file_name.encode()).hexdigest(),
                size=len(source.file_name),
            ),
            origin=None,
            commit=None,
        )
        for source in sources
    )


def test_a_debian_rebuild_lists_exactly_the_recorded_sources(
    tool: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deb, "fetched_distfiles", fetched)
    run("deb", "saved", "-o", "deb", "--unpacked", "--rebuild")
    debian = unpacked(run, tool)
    listed = {line.split()[1] for line in (debian / "distfiles").read_text().splitlines()}
    switch = assemble(read_directory(run.here / tool, tool)).switch
    recorded = {source.file_name for source in collect_sources(switch)}
    carried = {
        name for name in listed - recorded if re.fullmatch(r".*-[0-9a-f]{8}-.*", name) is not None
    }
    assert listed - carried == recorded
    script = (debian / "rebuild.sh").read_text()
    assert "create_package.sh" not in script, "upstream's packaging is not run"


def test_a_nix_package_of_the_programs(tool: str, run: Run) -> None:
    said = json.loads(run("nix", "saved", "-o", "nix", "--overlay", "--json").out)
    assert said["results"][0]["name"] == tool
    run("lint", "nix", "nix")
    (package,) = (run.here / "nix").rglob("package.nix")
    text = package.read_text()
    for program in set(PROGRAMS[tool]) - {"opam"}:
        assert re.search(rf'"\$out/(bin|libexec/\w+)/{program}"', text)
    assert '"$out/bin/opam"' not in text


def test_a_nix_rebuild_lists_exactly_the_recorded_sources(
    tool: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nix_rebuild, "fetch", fetched_files)
    run("nix", "saved", "-o", "nix", "--overlay", "--rebuild")
    run("lint", "nix", "nix")
    (package,) = (run.here / "nix").rglob("rebuild.nix")
    deps = json.loads((package.parent / "deps.json").read_text())
    listed = {name for part in ("switch", "root") for name, *rest in deps[part] if rest}
    switch = assemble(read_directory(run.here / tool, tool)).switch
    assert listed == {source.file_name for source in collect_sources(switch)}
    text = package.read_text()
    for program in set(PROGRAMS[tool]) - {"opam"}:
        assert re.search(rf'"(bin|libexec/\w+)/{program}" = "bin/{program}";', text)
    assert '"bin/opam"' not in text
    assert "create_package.sh" not in (package.parent / "root.sh").read_text()


@pytest.fixture
def on_freebsd(tool: str, run: Run) -> str:
    """Save the record as if it had been made on FreeBSD."""
    orb = run.here / tool
    environment = (orb / "build-environment").read_text()
    for name, value in (("OS_FAMILY", "bsd"), ("OS_DISTRIBUTION", "freebsd"), ("OS", "freebsd")):
        environment = re.sub(rf"^{name}=.*", f"{name}={value}", environment, flags=re.MULTILINE)
    (orb / "build-environment").write_text(environment)
    (orb / "system-packages").write_text("gmp-6.3.0\n")
    run("record", orb, *STARTED, "-o", "freebsd")
    return tool


def test_a_port_of_the_programs(on_freebsd: str, run: Run) -> None:
    origins = run.here / "origins"
    origins.write_text('{"name": "libnl", "origin": "net/libnl"}\n')
    run("freebsd", "freebsd", "--overlay", "ports", "--distdir", "dist", "--origins", origins)
    run("lint", "freebsd", "ports")
    makefile = (run.here / "ports/sysutils" / on_freebsd / "Makefile").read_text()
    for program in set(PROGRAMS[on_freebsd]) - {"opam"}:
        assert f"bin/{program} " in makefile
    assert "bin/opam " not in makefile


def test_a_port_that_rebuilds_lists_exactly_the_recorded_sources(
    on_freebsd: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freebsd, "fetched_distfiles", fetched)
    origins = run.here / "origins"
    origins.write_text('{"name": "libnl", "origin": "net/libnl"}\n')
    run("freebsd", "freebsd", "--overlay", "ports", "--rebuild", "--origins", origins)
    run("lint", "freebsd", "ports")
    port = run.here / "ports/sysutils" / on_freebsd
    listed = set(re.findall(r"\(mirage/(\S+)\)", (port / "distinfo").read_text()))
    switch = assemble(read_directory(run.here / on_freebsd, on_freebsd)).switch
    assert listed == {source.file_name for source in collect_sources(switch)}
    assert "create_package.sh" not in (port / "files/rebuild.sh").read_text()


def test_solo5_is_built_from_its_release(run: Run, records: Path) -> None:
    release = gzip.compress(archive(Package("solo5", "", solo5.FILES, solo5.VERSION)), mtime=0)
    digest = hashlib.sha256(release).hexdigest()
    mirror = run.here / "mirror"
    (mirror / "sha256" / digest[:2]).mkdir(parents=True)
    (mirror / "sha256" / digest[:2] / digest).write_bytes(release)
    orb = run.here / "solo5"
    shutil.copytree(records / "made/solo5", orb)
    real = (orb / "opam-switch").read_text()
    text, count = re.subn(r"sha512=168026[0-9a-f]{122}", f"sha256={digest}", real)
    assert count == 1
    (orb / "opam-switch").write_text(text)
    (run.here / "pkggen.yaml").write_text(CONFIG)
    run("record", orb, *STARTED, "-o", "saved")
    run("deb", "saved", "-o", "deb", "--unpacked", "--mirror", mirror, "--offline")
    debian = unpacked(run, "solo5")
    packages = re.findall(r"^Package: (.*)", (debian / "control").read_text(), re.MULTILINE)
    assert packages == ["solo5-hvt", "solo5-spt", "solo5-tools", "solo5-dev"]
    sources = [path for path in (debian.parent / "distfiles").rglob("*") if path.is_file()]
    assert [path.name for path in sources] == [digest]
    where = ("--overlay", "ports", "--mirror", mirror, "--offline")
    run("freebsd", "saved", *where)
    run("lint", "freebsd", "ports")
    makefile = (run.here / "ports/sysutils/solo5/Makefile").read_text()
    assert "releases/download/v0.12.1/solo5-v0.12.1.tar.gz" in makefile
    assert digest in (run.here / "ports/sysutils/solo5/distinfo").read_text()
    run("nix", "saved", "-o", "nix", "--overlay")
    run("lint", "nix", "nix")
    text = (run.here / "nix/pkgs/by-name/so/solo5/package.nix").read_text()
    assert re.findall(r'(?:url|hash) = "(.*)";', text) == [
        "https://github.com/Solo5/solo5/releases/download/v0.12.1/solo5-v0.12.1.tar.gz",
        f"sha256-{base64.b64encode(bytes.fromhex(digest)).decode()}",
    ]


def test_an_archive_of_a_tag_is_no_release(run: Run, records: Path) -> None:
    orb = run.here / "solo5"
    shutil.copytree(records / "made/solo5", orb)
    switch = orb / "opam-switch"
    switch.write_text(
        re.sub(
            r"https://github.com/Solo5/solo5/releases/[^\"]*",
            "https://github.com/Solo5/solo5/archive/v0.12.1.tar.gz",
            switch.read_text(),
        )
    )
    (run.here / "pkggen.yaml").write_text(CONFIG)
    run("record", orb, *STARTED, "-o", "saved")
    said = run("deb", "saved", "-o", "deb", code=3).err
    assert "no https address of a release's own archive is recorded for solo5" in said
    assert not (run.here / "deb").exists()
