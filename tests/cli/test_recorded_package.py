"""A record whose artefact is upstream's own .deb: used, neutralised or refused; and rebuilt."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING, Final, Literal

import pytest

from pkggen.recipe.rebuild import rebuild_plan
from tests.cli.conftest import STARTED
from tests.rebuild.made import Package, make
from tests.record.test_binary_package import deb, entry
from tests.tools import albatross

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

DAEMONS: Final = tuple(
    entry(f"./usr/libexec/albatross/{name}", name.encode(), mode=0o755)
    for name in albatross.DAEMONS
)
CONFIG: Final = "maintainer: {name: Jane Doe, email: jane@example.org, nixpkgs: janedoe}\n"


def saved(run: Run, data: bytes) -> None:
    made = albatross.record(run.here / "made", {"bin/albatross.deb": data}, run.here / "prefix")
    (run.here / "pkggen.yaml").write_text(CONFIG)
    run("record", made.record, *STARTED, "-o", "saved")


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (entry("/etc/cron.d/x"), "its path is absolute"),
        (entry("./usr/../../etc/x"), "its path leads out of the package"),
        (entry("./usr/bin/x", type=tarfile.SYMTYPE, linkname="../../etc"), "it is a link to"),
        (entry("./dev/sda", type=tarfile.BLKTYPE), "it is neither a file nor a directory"),
        (entry("./var/spool/cron/root"), "no package may have a file there"),
    ],
)
@pytest.mark.parametrize("target", ["deb", "nix"])
def test_hostile_content_is_refused(
    run: Run, target: str, hostile: tuple[tarfile.TarInfo, bytes], reason: str
) -> None:
    saved(run, deb(*DAEMONS, hostile))
    said = run(target, "saved", "-o", "out", code=3).err
    assert f"bin/albatross.deb: {hostile[0].name}: {reason}" in said
    assert not (run.here / "out").exists()


@pytest.mark.parametrize("path", ["etc/cron.d/root", "lib/udev/rules.d/x.rules"])
@pytest.mark.parametrize("target", ["deb", "nix"])
def test_orders_for_the_system_are_refused(run: Run, target: str, path: str) -> None:
    packed = path if path.startswith("etc/") else f"usr/{path}"
    saved(run, deb(*DAEMONS, entry(f"./{packed}")))
    said = run(target, "saved", "-o", "out", code=3).err
    assert f"{path}: no package may have a file there" in said
    assert not (run.here / "out").exists()


@pytest.mark.parametrize("target", ["deb", "nix"])
def test_two_files_at_one_place_are_refused(run: Run, target: str) -> None:
    """One of them would be lost: the description puts both below libexec."""
    saved(run, deb(*DAEMONS, entry("./usr/bin/albatrossd", b"another", mode=0o755)))
    options = ("--overlay",) if target == "nix" else ()
    said = run(target, "saved", "-o", "out", *options, code=3).err
    assert "is installed at the same place" in said
    assert not (run.here / "out").exists()


@pytest.mark.parametrize("target", ["deb", "nix"])
def test_what_runs_or_stays_as_root_is_neutralised(run: Run, target: str) -> None:
    content = deb(
        *DAEMONS,
        entry("./usr/bin/albatross-client", mode=0o6755),
        control=("control", "postinst", "prerm"),
    )
    saved(run, content)
    said = run(target, "saved", "-o", "out", *(("--unpacked",) if target == "deb" else ())).err
    assert "./usr/bin/albatross-client does not keep its mode 6755" in said
    assert "postinst is not run, which upstream's package runs as root" in said
    assert "prerm is not run" in said
    made = [path.read_text() for path in (run.here / "out").rglob("*") if is_text(path)]
    assert not any("pkggen-was-here" in text for text in made)
    assert any("--no-same-permissions" in text for text in made)


def is_text(path: Path) -> bool:
    return path.is_file() and path.suffix not in {".deb", ".xz", ".gz"}


@pytest.mark.parametrize("kind", ["package", "programs"])
def test_upstreams_script_is_not_run_in_a_rebuild(tmp_path: Path, kind: str) -> None:
    """Programs are compared, those in a recorded package too: who packs them is not their part."""
    files = {f"bin/{name}": name.encode() for name in albatross.PROGRAMS}
    if kind == "package":
        client = entry("./usr/bin/albatross-client", b"albatross-client", mode=0o755)
        unit = entry("./usr/lib/systemd/system/x.service")
        files = {"bin/albatross.deb": deb(*DAEMONS, client, unit)}
    plan = rebuild_plan(albatross.record(tmp_path, files, tmp_path / "prefix").read(), "debian")
    commands = [" ".join(str(word[0]) for word in words) for words in plan.root.package.commands]
    assert any(command.startswith("dune build") for command in commands)
    assert not any("create_package" in command for command in commands)
    assert [one.path for one in plan.expected] == sorted(
        f"bin/{name}" for name in albatross.PROGRAMS
    )
    assert {one.kind for one in plan.expected} == {"sha256"}


def test_what_upstream_packs_besides_is_not_compared(tmp_path: Path) -> None:
    """orb's own package has a script as opam that no build installs."""
    content = deb(entry("./usr/bin/orb", mode=0o755), entry("./usr/bin/opam", mode=0o755))
    fields = 'build: ["true"]'
    made = make(tmp_path, [Package("orb", fields, {})], built={"bin/orb.deb": content})
    assert [one.path for one in rebuild_plan(made.read(), "debian").expected] == ["bin/orb"]


@pytest.mark.slow
@pytest.mark.parametrize("packing", ["xz", "zst"])
def test_what_is_built_of_a_recorded_package_has_no_rights(
    run: Run, packing: Literal["xz", "zst"]
) -> None:
    """The bytes are the recorded ones; modes, owners and scripts are Debian's own."""
    if shutil.which("dh") is None:
        pytest.skip("NOTHING BUILT: install debhelper")
    client = entry("./usr/bin/albatross-client", b"client", mode=0o6777, uid=1000, uname="x")
    saved(run, deb(*DAEMONS, client, control=("control", "postinst"), packing=packing))
    run("deb", "saved", "-o", "out")
    (dsc,) = (run.here / "out").glob("*.dsc")
    run("build", "deb", "--here", dsc, "-o", "out")
    (built,) = (run.here / "out").glob("*.deb")
    listed = subprocess.run(
        ["dpkg-deb", "--contents", str(built)], capture_output=True, text=True, check=True
    ).stdout
    (line,) = (line for line in listed.splitlines() if line.endswith("/albatross-client"))
    assert line.startswith("-rwxr-xr-x root/root")
    scripts = subprocess.run(
        ["dpkg-deb", "--info", str(built), "postinst"], capture_output=True, text=True, check=True
    ).stdout
    assert "pkggen-was-here" not in scripts
