"""The port that builds a dune suite of daemons again from its sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.ports.standin import Built, need_stand_in
from tests.rebuild.made import Made, Package, make, need_tools
from tests.tools import albatross

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

pytestmark = pytest.mark.slow

STARTED: Final = ("--started", "2026-08-20T12:00:00Z")
FREEBSD: Final = {"OS": "freebsd", "OS_FAMILY": "bsd", "OS_DISTRIBUTION": "freebsd"}
CONFIG: Final = "maintainer: {name: Jane Doe, email: jane@example.org}\n"


def recorded(directory: Path, prefix: Path, programs: dict[str, bytes]) -> Made:
    return make(
        directory,
        [Package("albatross", albatross.FIELDS, albatross.FILES, albatross.VERSION)],
        prefix=prefix,
        built={f"bin/{name}": data for name, data in programs.items()},
        environment={**FREEBSD, "ORB_BUILDING_PACKAGE": "albatross"},
        system_packages="gmp-6.3.0\n",
    )


def port_of(run: Run, tmp_path: Path, made: Made) -> Built:
    need_stand_in()
    need_tools()
    (run.here / "pkggen.yaml").write_text(CONFIG)
    run("record", made.record, *STARTED, "-o", "saved")
    built = Built(run.here / "overlay/sysutils/albatross", tmp_path / "built")
    where = ("--overlay", "overlay", "--distdir", built.distdir)
    run("freebsd", "saved", "--rebuild", *where, "--offline", "--mirror", made.mirror)
    run("lint", "freebsd", "overlay")
    return built


def test_the_programs_are_the_recorded_ones(run: Run, tmp_path: Path, prefix: Path) -> None:
    programs = albatross.programs(prefix)
    port = port_of(run, tmp_path, recorded(tmp_path / "made", prefix, programs))
    port.all_targets()
    packed = port.packed()
    for name, data in programs.items():
        place = "bin" if name == "albatross-client" else "libexec/albatross"
        assert packed[f"{place}/{name}"] == data
    assert "etc/rc.d/albatross_daemon" in packed


def test_another_program_is_not_installed(run: Run, tmp_path: Path, prefix: Path) -> None:
    programs = albatross.programs(prefix) | {"albatross-stats": b"something else"}
    port = port_of(run, tmp_path, recorded(tmp_path / "made", prefix, programs))
    said = port.make("build", status=1)
    assert "differs  bin/albatross-stats" in said
