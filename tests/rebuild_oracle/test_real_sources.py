"""Real packages: original tarballs from Debian that have the checksums of opam-repository.

The metadata below `real/` is our own; addresses are made up, names and checksums are the stated
ones. The compiler is Debian's. The tarballs come to pkggen from a cache on loopback.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.cli import main
from tests.rebuild_oracle import debian, oracle
from tests.rebuild_oracle.conftest import HERE, make_case
from tests.rebuild_oracle.debian import Tarball
from tests.rebuild_oracle.oracle import VendoredRoot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.rebuild_oracle.oracle import World

pytestmark = pytest.mark.slow

OWN_COMPILER: Final = ("base-unix.base", "ocaml-system.4.13.1", "ocaml.4.13.1")
OCAML: Final = "4.13.1"
STARTED: Final = "2026-08-23T09:00:00Z"
# dune's bootstrap links in another order with one job than with two.
JOBS: Final = 2
DUNE: Final = Tarball(
    package="ocaml-dune=2.9.3-1",
    file="ocaml-dune_2.9.3.orig.tar.bz2",
    name="dune-site-2.9.3.tbz",
    checksum="sha256=3e65ec73ab2c80d50d4ffd6c46cbfb22eacd0e5587a4be8af8ae69547d5f88d6",
)
CPPO: Final = Tarball(
    package="cppo=1.6.9-1",
    file="cppo_1.6.9.orig.tar.gz",
    name="v1.6.9.tar.gz",
    checksum="md5=d23ffe85ac7dc8f0afd1ddf622770d09",
)
STRINGEXT: Final = Tarball(
    package="ocaml-stringext=1.6.0-1",
    file="ocaml-stringext_1.6.0.orig.tar.bz2",
    name="stringext-1.6.0.tbz",
    checksum="sha256=db41f5d52e9eab17615f110b899dfeb27dd7e7f89cd35ae43827c5119db206ea",
)
SEXPLIB0: Final = Tarball(
    package="ocaml-sexplib0=0.15.1-1",
    file="ocaml-sexplib0_0.15.1.orig.tar.gz",
    name="v0.15.1.tar.gz",
    checksum="sha256=e8cd817eb3bc3f84a2065fa0255ab2b986a24baf1cc329d05627c516464267b3",
)
OCPLIB_ENDIAN: Final = Tarball(
    package="ocplib-endian=1.2-1",
    file="ocplib-endian_1.2.orig.tar.gz",
    name="1.2.tar.gz",
    checksum="md5=8d5492eeb7c6815ade72a7415ea30949",
)
LIBRARIES: Final = (
    DUNE,
    CPPO,
    STRINGEXT,
    SEXPLIB0,
    OCPLIB_ENDIAN,
    Tarball(
        package="ppx-derivers=1.2.1-1",
        file="ppx-derivers_1.2.1.orig.tar.gz",
        name="1.2.1.tar.gz",
        checksum="sha256=b6595ee187dea792b31fc54a0e1524ab1e48bc6068d3066c45215a138cc73b95",
    ),
    Tarball(
        package="ocaml-pprint=20220103-1",
        file="ocaml-pprint_20220103.orig.tar.gz",
        name="archive.tar.gz",
        checksum="md5=6ace8d5113f937aa65873f6c9985fea4",
    ),
    Tarball(
        package="findlib=1.9.6-1",
        file="findlib_1.9.6.orig.tar.gz",
        name="findlib-1.9.6.tar.gz",
        checksum="md5=96c6ee50a32cca9ca277321262dbec57",
    ),
    Tarball(
        package="ocamlbuild=0.14.1-1",
        file="ocamlbuild_0.14.1.orig.tar.gz",
        name="0.14.1.tar.gz",
        checksum="md5=7027e507ed85f290923ad198f3d2cd1c",
    ),
    Tarball(
        package="ocaml-zarith=1.12-1",
        file="ocaml-zarith_1.12.orig.tar.gz",
        name="release-1.12.tar.gz",
        checksum="md5=bf368f3d9e20b6b446d54681afc05a04",
    ),
)
VENDORED: Final = (
    DUNE,
    CPPO,
    OCPLIB_ENDIAN,
    STRINGEXT,
    SEXPLIB0,
    Tarball(
        package="ocaml-trie=1.0.0-1",
        file="ocaml-trie_1.0.0.orig.tar.gz",
        name="1.0.0.tar.gz",
        checksum="sha256=c2f8054ea44216e6a3a961b28f7630e0e3dbfbd1b504ae741be230cbe32498ea",
    ),
)
VAULT: Final = VendoredRoot(
    archive="vault-1.tbz",
    below="",
    vendored={
        "cppo": CPPO.name,
        "ocplib-endian": OCPLIB_ENDIAN.name,
        "stringext": STRINGEXT.name,
        "sexplib0": SEXPLIB0.name,
        "trie": "1.0.0.tar.gz",
    },
    commands=(
        ("sh", "-exc", "sh ./configure.sh"),
        ("make", "build"),
        ("cp", "dist/vault.bin", "@PREFIX@/bin/vault.bin"),
    ),
)


@pytest.fixture(scope="module")
def world(base: Path) -> World:
    version = subprocess.run(["ocamlc", "-version"], check=True, capture_output=True, text=True)
    if version.stdout.strip() != OCAML:
        pytest.skip(f"REAL SOURCES NOT REBUILT: they need OCaml {OCAML} and not {version.stdout}")
    if not Path("/usr/include/gmp.h").exists() and not list(Path("/usr/include").glob("*/gmp.h")):
        pytest.skip("REAL SOURCES NOT REBUILT: gmp.h not found, install libgmp-dev")
    downloads, _ = debian.tarballs({*LIBRARIES, *VENDORED}, base / "apt")
    packages = base / "packages"
    packages.mkdir()
    for name in OWN_COMPILER:
        (packages / name).symlink_to(HERE / "packages" / name)
    return oracle.new_world(base, [packages, HERE / "real"], downloads)


class _Cache(SimpleHTTPRequestHandler):
    """Serves opam's cache and keeps what it was asked for."""

    asked: Final[list[str]] = []

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        self.asked.append(format % args)


@pytest.fixture(scope="module")
def mirror(world: World) -> Iterator[str]:
    handler = partial(_Cache, directory=str(world.cache))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def compare(
    world: World, mirror: str, root: str, vendored: VendoredRoot | None, wanted: tuple[Tarball, ...]
) -> None:
    """Let opam and the script build a root; what the script built is left there."""
    if missing := [one.package for one in wanted if one.name not in world.files]:
        pytest.skip(f"REAL SOURCES NOT REBUILT: the mirror does not have {', '.join(missing)}")
    _Cache.asked.clear()
    case = make_case(world, root, vendored, jobs=JOBS, mirror=mirror)
    asked = [line for line in _Cache.asked if '" 200 ' in line]
    assert len(asked) == len(case.script.plan.sources) == len(wanted) + 1
    found, _, printed = case.script.run(world, jobs=JOBS, keep=True)
    assert not oracle.differences(case.by_opam, found)
    assert {name.partition(".")[0] for name in printed.split("\n")} >= {"dune", "ocaml", root}
    program = root if vendored is None else f"{root}.bin"
    assert f"same     bin/{program}  sha256 " in printed


def answer(program: Path) -> str:
    return oracle.run([str(program)], environment={}).decode()


def test_libraries_and_tools_become_what_opam_makes_of_them(world: World, mirror: str) -> None:
    compare(world, mirror, "arith", None, LIBRARIES)
    said = answer(world.prefix / "bin" / "arith")
    assert said == "(AB / 1267650600228229401496703205376)\n"
    world.clear()


def test_vendored_libraries_become_what_orb_makes_of_them(world: World, mirror: str) -> None:
    compare(world, mirror, "vault", VAULT, VENDORED)
    assert answer(world.prefix / "bin" / "vault.bin") == "(away)+!\n"
    world.clear()


def test_a_debian_package_of_a_real_tool(world: World, tmp_path: Path) -> None:
    """Built from its sources by dpkg-buildpackage, without network; Debian's linter agrees."""
    if missing := [tool for tool in ("dpkg-buildpackage", "lintian") if not shutil.which(tool)]:
        pytest.skip(f"NO DEBIAN PACKAGE OF A REAL TOOL: {', '.join(missing)} not found")
    record = world.base / "arith.record"
    if not record.is_dir():  # when this test runs alone
        world.record("arith", None, JOBS)
        world.clear()
    saved, made, built = (tmp_path / name for name in ("saved", "made", "built"))
    config = tmp_path / "pkggen.yaml"
    config.write_text(
        "maintainer: {name: Jane Doe, email: jane@example.org}\n"
        "packages: {arith: {licence: ISC AND MIT}}\n"
    )
    options = ["--config", str(config), "--rebuild", "--offline", "--mirror", str(world.cache)]
    cache = ["--cache", str(tmp_path / "cache")]
    assert main(["record", str(record), "-o", str(saved), "--started", STARTED]) == 0
    assert main(["deb", str(saved), "-o", str(made), *options, *cache]) == 0
    (dsc,) = made.glob("*.dsc")
    assert main(["build", "deb", "--here", str(dsc), "-o", str(built)]) == 0
    (deb,) = built.glob("*.deb")
    root = tmp_path / "root"
    oracle.run(["dpkg-deb", "--extract", str(deb), str(root)])
    recorded = (record / "bin/arith").read_bytes()
    assert (root / "usr/bin/arith").read_bytes() == recorded
    assert answer(root / "usr/bin/arith").startswith("(AB / 1267650600228229401496703205376)")
    fields = oracle.run(["dpkg-deb", "--field", str(deb), "Depends"]).decode()
    assert "libgmp10" in fields
    lint = ("lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0")
    oracle.run([*lint, *map(str, (dsc, *built.glob("*.changes")))])
