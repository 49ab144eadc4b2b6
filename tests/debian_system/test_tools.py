"""Tools on a booted system: installed over upstream's own package, started, upgraded, purged."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.debian_system.conftest import CONFIG, NAME, SUITE, pkggen
from tests.rebuild.made import EXAMPLE, Package, make
from tests.tools import albatross, solo5

if TYPE_CHECKING:
    from tests.debian_system.conftest import System

pytestmark = pytest.mark.slow

STARTED: Final = "2026-08-23T09:00:00Z"
LATER: Final = "2026-08-24T09:00:00Z"
UPSTREAM: Final = "2.8.0-0-g0000000-20260824100000-ffffffff"
"""As upstream's repository has it, of a later build than both of ours."""
UNITS: Final = "/etc/systemd/system"

CHECK: Final = Path(__file__).with_name("albatross.sh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """What is installed one after the other."""

    upstream: Path
    """As upstream makes it."""
    first: Path
    """Of the recorded package, built again from its sources."""
    second: Path
    """Of a later record, of recorded programs."""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """Build the packages of a suite of daemons."""
    for tool in ("dpkg-buildpackage", "dh"):
        if shutil.which(tool) is None:
            pytest.skip(f"DEBIAN PACKAGES NOT BUILT: {tool} not found")
    root = tmp_path_factory.mktemp("albatross")
    prefix = Path("/tmp") / f"pkggen-{uuid.uuid4().hex[:12]}"  # noqa: S108 - as orb does
    built = albatross.programs(prefix)
    (root / "upstream").mkdir()
    recorded = albatross.upstream_deb(root / "upstream", built)
    files = {f"bin/{name}": data for name, data in built.items()}
    first = build(root / "first", {"bin/albatross.deb": recorded}, prefix, STARTED, "--rebuild")
    second = build(root / "second", files, prefix, LATER)
    (root / "published").mkdir()
    albatross.upstream_deb(root / "published", built, UPSTREAM)
    return Packages(upstream=root / "published/albatross.deb", first=first, second=second)


def build(root: Path, files: dict[str, bytes], prefix: Path, started: str, *more: str) -> Path:
    made = albatross.record(root, files, prefix)
    (root / "pkggen.yaml").write_text(CONFIG)
    pkggen("record", made.record, "--started", started, "-o", root / "saved")
    options = ("--mirror", made.mirror, "--offline", "--cache", root / "cache")
    config = ("--config", root / "pkggen.yaml", "-o", root / "out")
    pkggen("deb", root / "saved", *config, *more, *(options if more else ()))
    (dsc,) = (root / "out").glob("*.dsc")
    pkggen("build", "deb", "--here", dsc, "-o", root / "out")
    (deb,) = (root / "out").glob("albatross_*.deb")
    lint(next((root / "out").glob("*.changes")))
    return deb


def lint(changes: Path) -> None:
    if shutil.which("lintian") is None:
        pytest.skip("NOT LINTED: lintian not found")
    argv = ["lintian", "--allow-root", "--fail-on", "error,warning", str(changes)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def installed(system: System, package: Path) -> str:
    shutil.copy(package, system.root / "root/package.deb")
    return system.run("dpkg", "--install", "/root/package.deb")


def test_daemons(system: System, packages: Packages) -> None:
    """Upstream's package, ours over it, a later one over that; nothing is lost on the way."""
    if shutil.which("systemd-nspawn") is None:
        pytest.skip("NOTHING BOOTED: install systemd-container")
    installed(system, packages.upstream)
    (system.root / "upstream-postinst-was-here").unlink()
    dropin = system.root / f"{UNITS[1:]}/albatross_tls_endpoint.service.d/override.conf"
    dropin.parent.mkdir(parents=True)
    dropin.write_text("[Service]\nEnvironment=CERT=/etc/albatross/server.pem X=kept\n")
    said = installed(system, packages.first)
    assert "downgrading" not in said
    assert not (system.root / "upstream-postinst-was-here").exists()
    units = sorted(path.name for path in (system.root / "lib/systemd/system").glob("albatross_*"))
    assert len(units) == 9, units
    user = system.run("getent", "passwd", "albatross").split(":")
    assert user[2] == "496", "the user of upstream's package is the one that is used"

    lines = boot(system)
    assert "console: active active " in lines
    assert "daemon: active active " in lines
    assert "stats: active active " in lines
    assert "influx: disabled" in lines
    assert "endpoint: disabled disabled " in lines
    modes = {line.split()[1]: line.split()[2:] for line in lines if line.startswith("mode ")}
    assert modes == {
        "/run/albatross": ["root:albatross", "755"],
        "/run/albatross/util": ["albatross:albatross", "755"],
        "/run/albatross/fifo": ["root:albatross", "2770"],
        "/run/albatross/util/console.sock": ["albatross:albatross", "660"],
        "/run/albatross/util/vmmd.sock": ["root:albatross", "660"],
        "/run/albatross/util/stat.sock": ["albatross:albatross", "660"],
        "/var/lib/albatross": ["albatross:albatross", "755"],
        "/var/lib/albatross/block": ["albatross:albatross", "700"],
    }
    assert "albatross-console 496 ready" in lines
    assert "albatrossd 0 wrote" in lines
    assert "albatross-stats 496 ready" in lines
    assert "albatross-tls-endpoint 496 ca cert secret" in lines
    assert any(line.startswith("Environment=") and "X=kept" in line for line in lines)
    assert "journal: 10.0.0.9:1" in lines
    assert "stopped: inactive" in lines
    exposures = {
        line.split()[1]: float(line.split()[2]) for line in lines if line[:9] == "exposure "
    }
    assert exposures.pop("daemon") < 8
    assert len(exposures) == 4
    assert max(exposures.values()) < 3
    assert not [line for line in lines if line.startswith("failed unit")]

    assert "INFLUX=10.0.0.9:1" in (system.root / "etc/albatross/influx.conf").read_text()
    installed(system, packages.second)
    assert "INFLUX=10.0.0.9:1" in (system.root / "etc/albatross/influx.conf").read_text()
    assert dropin.exists()
    system.run("dpkg", "--purge", "albatross")
    assert not (system.root / "etc/albatross/server.key").exists(), "secrets go with the package"
    assert (system.root / "var/lib/albatross/state").exists(), "what unikernels wrote does not"
    assert not list((system.root / "lib/systemd/system").glob("albatross_*"))


def boot(system: System) -> list[str]:
    shutil.copy(CHECK, system.root / "root/run.sh")
    return system.boot("bash /root/run.sh").splitlines()


WEB: Final = """\
#!/bin/sh
echo "$(id -un) $*" >/var/lib/builder-web/served
exec sleep 1000
"""
MIGRATE: Final = """\
#!/bin/sh
echo "$(id -un) $*" >>/var/lib/builder-web/migrated
: >/var/lib/builder-web/builder.sqlite3
"""


def test_builder_web(system: System, tmp_path: Path) -> None:
    """The database is made before the first start only, by the user of the service."""
    if shutil.which("systemd-nspawn") is None or shutil.which("dh") is None:
        pytest.skip("NOTHING BOOTED: install systemd-container and debhelper")
    programs = {"builder-web": WEB, "builder-db": MIGRATE, "builder-migrations": MIGRATE}
    fields = 'synopsis: "Web interface for builder"\n  license: "ISC"\n  build: ["true"]'
    made = make(
        tmp_path,
        [Package("builder-web", fields, {}, "0.2.0")],
        built={f"bin/{name}": text.encode() for name, text in programs.items()},
        environment={"ORB_BUILDING_PACKAGE": "builder-web"},
    )
    (tmp_path / "pkggen.yaml").write_text(CONFIG)
    pkggen("record", made.record, "--started", STARTED, "-o", tmp_path / "saved")
    out = tmp_path / "out"
    pkggen("deb", tmp_path / "saved", "--config", tmp_path / "pkggen.yaml", "-o", out)
    pkggen("build", "deb", "--here", next(out.glob("*.dsc")), "-o", out)
    lint(next(out.glob("*.changes")))
    installed(system, next(out.glob("*.deb")))
    assert (system.root / "etc/builder-web/upload-hooks").is_dir()
    said = system.boot(
        """\
systemctl start builder-web
echo PORT=3001 >>/etc/builder-web/builder-web.conf
systemctl restart builder-web
sleep 1
echo "active: $(systemctl is-active builder-web)"
cat /var/lib/builder-web/served /var/lib/builder-web/migrated
stat -c 'mode %U:%G %a' /var/lib/builder-web
"""
    ).splitlines()
    assert "active: active" in said
    assert said.count("builder migrate --datadir=/var/lib/builder-web") == 1
    assert "builder --host=127.0.0.1 --port=3001 --datadir=/var/lib/builder-web" in said
    assert "mode builder:builder 755" in said
    system.run("dpkg", "--purge", "builder-web")


def test_tenders(system: System, tmp_path: Path) -> None:
    """An image brings its tender out of one repository; all packages fit beside each other."""
    if shutil.which("dh") is None:
        pytest.skip("DEBIAN PACKAGES NOT BUILT: dh not found")
    made = solo5.record(tmp_path)
    (tmp_path / "pkggen.yaml").write_text(CONFIG)
    pkggen("record", made.record, "--started", STARTED, "-o", tmp_path / "saved")
    pkggen(
        *("deb", tmp_path / "saved", "--config", tmp_path / "pkggen.yaml", "-o", tmp_path / "out"),
        *("--mirror", made.mirror, "--offline", "--cache", tmp_path / "cache"),
    )
    (dsc,) = (tmp_path / "out").glob("*.dsc")
    pkggen("build", "deb", "--here", dsc, "-o", tmp_path / "out")
    lint(next((tmp_path / "out").glob("*.changes")))
    image = tmp_path / "image"
    pkggen("deb", EXAMPLE / "record", "--config", tmp_path / "pkggen.yaml", "-o", image)
    pkggen("build", "deb", "--here", next(image.glob("*.dsc")), "-o", image)
    repository = tmp_path / "repository"
    pkggen("apt", "init", repository, "--suite", SUITE, "--url", "file:///repository")
    pkggen("apt", "add", repository, *(tmp_path / "out").glob("*.deb"), *image.glob("*.deb"))
    shutil.copytree(repository / "public", system.root / "repository", symlinks=True)
    sources = system.root / "etc/apt/sources.list.d/pkggen.sources"
    shutil.copy(repository / "public/pkggen.sources", sources)
    system.run("apt-get", "--option=APT::Update::Error-Mode=any", "update")
    said = system.run("apt-get", "install", "--yes", "--no-install-recommends", NAME)
    assert "Setting up solo5-hvt" in said, "the image brings the tender of its ABI"
    system.run("apt-get", "install", "--yes", "--no-install-recommends", "solo5-spt", "solo5-tools")
    assert "ABI version 2" in system.run("solo5-hvt", "--version").splitlines()
    assert "ABI version 2" in system.run("solo5-spt", "--version").splitlines()
    assert "runs x" in system.run("solo5-virtio-run", "x")
    refused = system.run("dpkg", "--remove", "solo5-hvt", check=False)
    assert f"{NAME} depends on solo5-hvt-abi-2" in refused
    provided = system.run("dpkg-query", "-W", "-f", "${Provides}", "solo5-hvt")
    assert provided == "solo5-hvt-abi-2"
    system.run("apt-get", "purge", "--yes", "solo5-hvt", "solo5-spt", "solo5-tools")
