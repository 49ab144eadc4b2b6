"""Ports of tools: their programs, users, directories and rc.d scripts; Solo5 from its release."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import re
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING, Final

import pytest

from tests.ports.standin import Built, need_stand_in
from tests.rebuild.made import ENVIRONMENT, Package, make
from tests.record.test_binary_package import entry
from tests.test_compression import zstd
from tests.tools import albatross, solo5

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Run

STARTED: Final = ("--started", "2026-08-20T12:00:00Z")
CONFIG: Final = "maintainer: {name: Jane Doe, email: jane@example.org}\n"
FREEBSD: Final = {"OS": "freebsd", "OS_FAMILY": "bsd", "OS_DISTRIBUTION": "freebsd"}
PROGRAMS: Final = {name: f"#!/bin/sh\necho {name}\n".encode() for name in albatross.PROGRAMS}
SCRIPTS: Final = (
    *("albatross_console", "albatross_daemon", "albatross_influx", "albatross_stats"),
    "albatross_tls_endpoint",
)


def pkg(pack: Callable[[bytes], bytes]) -> bytes:
    """Return a package as upstream's script makes it on FreeBSD."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        entries = [entry("+COMPACT_MANIFEST", b"{}"), entry("+MANIFEST", b"{}")]
        entries += [
            entry(
                f"/usr/local/{'bin' if name.endswith('client') else 'libexec/albatross'}/{name}",
                data,
                mode=0o755,
            )
            for name, data in PROGRAMS.items()
        ]
        entries.append(entry("/usr/local/etc/rc.d/albatross_console", b"#!/bin/sh\n"))
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return pack(target.getvalue())


PACKERS: Final = {"xz": lzma.compress, "zstd": zstd}
"""As old and as new versions of pkg pack."""


@pytest.fixture(params=["programs", *PACKERS])
def port(request: pytest.FixtureRequest, run: Run, tmp_path: Path) -> Built:
    """Return the port of a suite that was recorded on FreeBSD."""
    need_stand_in()
    files = {f"bin/{name}": data for name, data in PROGRAMS.items()}
    if (pack := PACKERS.get(request.param)) is not None:
        files = {"bin/albatross.pkg": pkg(pack)}
    environment = {**ENVIRONMENT, **FREEBSD, "ORB_BUILDING_PACKAGE": "albatross"}
    made = make(
        tmp_path / "made",
        [Package("albatross", albatross.FIELDS, albatross.FILES, albatross.VERSION)],
        built=files,
        environment=environment,
        system_packages="gmp-6.3.0\n",
    )
    (run.here / "pkggen.yaml").write_text(CONFIG)
    run("record", made.record, *STARTED, "-o", "saved")
    built = Built(run.here / "overlay/sysutils/albatross", tmp_path / "built")
    run("freebsd", "saved", "--overlay", "overlay", "--distdir", built.distdir)
    run("lint", "freebsd", "overlay")
    return built


def test_a_suite_of_daemons(port: Built) -> None:
    port.all_targets()
    assert port.value("RUN_DEPENDS") == "solo5>=0.8.0:sysutils/solo5"
    packed = port.packed()
    for name, data in PROGRAMS.items():
        place = "bin" if name == "albatross-client" else "libexec/albatross"
        assert packed[f"{place}/{name}"] == data
    scripts = {name for name in packed if name.startswith("etc/rc.d/")}
    assert scripts == {f"etc/rc.d/{name}" for name in SCRIPTS}
    page = gzip.decompress(packed["share/man/man1/albatross-client.1.gz"]).decode()
    assert "albatross\\-client \\- manage unikernels" in page
    assert not [name for name in packed if name.startswith("share/man/man8")]
    plist = (port.port / "pkg-plist").read_text()
    assert "share/man/man1/albatross-client.1.gz\n" in plist
    assert "@dir(albatross,albatross,0700) /var/db/albatross/block\n" in plist
    assert "/var/run" not in plist, "it is empty after a restart"
    assert re.search(r"^albatross:\*:63\d\d\d:", (port.overlay / "UIDs").read_text(), re.MULTILINE)
    message = (port.work / "pkg-message").read_text()
    assert "Members of the group albatross" in message


STUBS: Final = """\
load_rc_config() { :; }
run_rc_command() { "$start_precmd" && "$start_cmd"; }
"""


def test_rc_scripts_run_what_is_described(port: Built, tmp_path: Path) -> None:
    """With stubs for rc.subr and the programs of FreeBSD."""
    if shutil.which("bwrap") is None:
        pytest.skip("NO SCRIPT IS RUN: install bubblewrap")
    port.make("stage")
    (tmp_path / "rc.subr").write_text(STUBS)
    for name in ("install", "daemon"):
        stub = tmp_path / name
        stub.write_text(f'#!/bin/sh\nprintf "%s|" {name} "$@"; echo\n')
        stub.chmod(0o755)

    def said(name: str, **variables: str) -> list[str]:
        script = (port.stage / "etc/rc.d" / name).read_text()
        script = script.replace("/etc/rc.subr", str(tmp_path / "rc.subr"))
        for program in ("/usr/bin/install", "/usr/sbin/daemon"):
            script = script.replace(program, str(tmp_path / program.rpartition("/")[2]))
        done = subprocess.run(
            ["sh", "-eu", "-c", f"{name}_flags=\n{script}", "sh", "start"],
            capture_output=True,
            text=True,
            check=True,
            env={"PATH": os.environ["PATH"], **variables},
        )
        return done.stdout.splitlines()

    console = said("albatross_console")
    assert console[0] == "install|-d|-o|root|-g|albatross|-m|0755|/var/run/albatross|"
    assert console[-1].endswith(
        "|-u|albatross|/usr/local/libexec/albatross/albatross-console|--tmpdir=/var/run/albatross|"
    )
    assert "--systemd" not in console[-1]
    influx = said("albatross_influx", albatross_influx_influx="10.0.0.1:1")
    assert "|--influx=10.0.0.1:1|" in influx[-1]
    endpoint = said("albatross_tls_endpoint")
    assert endpoint[-1].endswith(
        "|/usr/local/etc/albatross/cacert.pem|/usr/local/etc/albatross/server.pem"
        "|/usr/local/etc/albatross/server.key|"
    )


def test_scripts_are_what_shellcheck_accepts(port: Built) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("SCRIPTS NOT CHECKED: install shellcheck")
    port.make("stage")
    scripts = sorted((port.stage / "etc/rc.d").iterdir())
    done = subprocess.run(
        ["shellcheck", "--norc", "--shell=sh", *map(str, scripts)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_solo5_from_its_release(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five programs: no seccomp tender, no toolchain, and GNU's makefile."""
    need_stand_in()
    if shutil.which("pkg-config") is None:
        pytest.skip("NOTHING BUILT: install pkg-config and libseccomp-dev")
    made = solo5.record(tmp_path / "made")
    (run.here / "pkggen.yaml").write_text(CONFIG)
    run("record", made.record, *STARTED, "-o", "saved")
    built = Built(run.here / "overlay/sysutils/solo5", tmp_path / "built")
    where = ("--overlay", "overlay", "--distdir", built.distdir)
    run("freebsd", "saved", *where, "--offline", "--mirror", made.mirror)
    run("lint", "freebsd", "overlay")
    compiler = tmp_path / "bin/cc"
    compiler.parent.mkdir()
    compiler.write_text(
        '#!/bin/sh\nif [ "$1" = -dumpmachine ]; then echo x86_64-unknown-freebsd14.1; exit; fi\n'
        'exec /usr/bin/cc "$@"\n'
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{compiler.parent}:{os.environ['PATH']}")
    built.all_targets()
    programs = sorted(name for name in built.packed() if name.startswith("bin/"))
    assert programs == [
        *("bin/solo5-elftool", "bin/solo5-hvt", "bin/solo5-hvt-debug"),
        *("bin/solo5-virtio-mkimage", "bin/solo5-virtio-run"),
    ]
    pages = {name for name in built.packed() if name.startswith("share/man/")}
    assert pages == {f"share/man/man1/{name.removeprefix('bin/')}.1.gz" for name in programs}
    said = subprocess.run(
        [built.stage / "bin/solo5-hvt", "--version"], capture_output=True, text=True, check=True
    )
    assert "ABI version 2" in said.stderr.splitlines()
