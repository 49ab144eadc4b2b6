"""Generated ports go through every phase of a build, with a stand-in for FreeBSD's framework."""

from __future__ import annotations

import hashlib
import tarfile
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.recipe.build import package_recipe
from pkggen.recipe.overrides import Overrides
from pkggen.targets.freebsd.distfiles import Mirrors
from pkggen.targets.freebsd.lint import lint
from pkggen.targets.freebsd.model import Wanted
from pkggen.targets.freebsd.render import port_tree
from pkggen.targets.freebsd.view import port_view
from pkggen.writer import write
from tests.ports.inputs import BUILT, every_kind
from tests.ports.standin import Built, need_stand_in
from tests.rebuild.made import EXAMPLE, Made, Package, example, make, need_tools
from tests.sources.server import FileServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Run
    from tests.conftest import MakeRecord

IMAGE: Final = (EXAMPLE / "record/bin/hello.hvt").read_bytes()
SHA256: Final = hashlib.sha256(IMAGE).hexdigest()
STARTED: Final = ("--started", "2026-08-20T12:00:00Z")
MANY: Final = 210


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as running:
        yield running


@pytest.fixture
def image_port(run: Run, tmp_path: Path) -> Built:
    """Return the port of the example's image, with its distfile where `make fetch` looks."""
    need_stand_in()
    built = Built(run.here / "overlay/sysutils/hello-unikernel", tmp_path / "built")
    run("freebsd", EXAMPLE / "record", "--overlay", "overlay", "--distdir", built.distdir)
    return built


def rebuild_port(run: Run, tmp_path: Path, made: Made, name: str, *options: str) -> Built:
    """Return the port that rebuilds a record, with its distfiles where `make fetch` looks."""
    need_stand_in()
    built = Built(run.here / f"overlay/sysutils/{name}", tmp_path / "built")
    saved = tmp_path / "saved"
    run("record", made.record, *STARTED, "-o", saved)
    where = ("--overlay", "overlay", *options)
    run("freebsd", saved, "--rebuild", *where, "--offline", "--mirror", made.mirror)
    return built


def test_the_image_of_the_example(image_port: Built) -> None:
    image_port.all_targets()
    assert (image_port.stage / "share/mirage/hello.hvt").read_bytes() == IMAGE
    packed = image_port.packed()
    assert packed["share/mirage/hello.hvt"] == IMAGE
    assert sorted(name for name in packed if "licenses" not in name) == [
        "etc/rc.d/unikernel_hello_unikernel",
        "share/mirage/hello.hvt",
    ]
    with tarfile.open(image_port.package) as tar:
        assert tar.getmember("share/mirage/hello.hvt").mtime == 1787227200
    script = packed["etc/rc.d/unikernel_hello_unikernel"].decode()
    assert "%%" not in script
    assert "/usr/local/bin/solo5-hvt" in script
    message = (image_port.work / "pkg-message").read_text()
    assert "/usr/local/etc/unikernels/hello-unikernel.arguments" in message


@pytest.mark.slow
def test_what_make_reads(image_port: Built) -> None:
    for variable, value in {
        "PKGNAME": "hello-unikernel-1.0.0.0.20260820120000",
        "COMMENT": "Unikernel that prints a greeting and stops",
        "DISTFILES": "hello.hvt",
        "EXTRACT_ONLY": "",
        "STRIP": "",
        "ONLY_FOR_ARCHS": "amd64",
        "NO_ARCH": "yes",
        "RUN_DEPENDS": "solo5>=0.8.0:sysutils/solo5",
        "LICENSE": "BSD0CLAUSE ISCL",
        "LICENSE_COMB": "multi",
    }.items():
        assert image_port.value(variable) == value, variable
    assert "is only for amd64" in image_port.make("fetch", status=1, ARCH="aarch64")


@pytest.mark.slow
def test_distinfo_is_what_makesum_writes(image_port: Built) -> None:
    distinfo = image_port.port / "distinfo"
    before = distinfo.read_bytes()
    image_port.make("makesum")
    assert distinfo.read_bytes() == before
    distinfo.unlink()
    image_port.make("makesum")
    assert distinfo.read_bytes().split(b"\n")[1:] == before.split(b"\n")[1:]


@pytest.mark.slow
def test_a_tampered_distfile_stops_checksum(image_port: Built) -> None:
    (file,) = image_port.distdir.rglob("hello.hvt")
    file.write_bytes(IMAGE[:-1] + b"x")
    assert "Checksum mismatch for hello.hvt" in image_port.make("checksum", status=1)
    assert "Checksum mismatch" in image_port.make("package", status=1)
    assert not image_port.work.exists()


@pytest.mark.slow
def test_a_missing_distfile_stops_fetch(image_port: Built) -> None:
    (file,) = image_port.distdir.rglob("hello.hvt")
    file.unlink()
    assert "Couldn't fetch it" in image_port.make("fetch", status=1)


@pytest.mark.slow
def test_an_image_that_changes_after_the_checksum_is_not_installed(image_port: Built) -> None:
    image_port.make("build")
    (image_port.work / "recorded/bin/hello.hvt").write_bytes(b"other")
    said = image_port.make("stage", status=1)
    assert "bin/hello.hvt is not what was recorded" in said
    assert not (image_port.stage / "share/mirage").exists()


@pytest.mark.slow
def test_fetch_from_a_file_and_from_a_server(image_port: Built, server: FileServer) -> None:
    (file,) = image_port.distdir.rglob("hello.hvt")
    kept = image_port.base / "kept"
    kept.mkdir()
    file.replace(kept / "hello.hvt")
    image_port.make("fetch", MASTER_SITE_OVERRIDE=f"{kept.as_uri()}/")
    assert file.read_bytes() == IMAGE
    file.unlink()
    server.add("/f/hello.hvt", IMAGE + b"longer")
    assert "size mismatch" in image_port.make(
        "fetch", network=True, status=1, MASTER_SITE_OVERRIDE=f"{server.url}/f/"
    )
    server.add("/f/hello.hvt", IMAGE)
    image_port.make("checksum", network=True, MASTER_SITE_OVERRIDE=f"{server.url}/f/")
    assert file.read_bytes() == IMAGE


@pytest.mark.slow
def test_a_recorded_server_is_the_master_site(
    run: Run, tmp_path: Path, make_record: MakeRecord
) -> None:
    need_stand_in()
    run("freebsd", make_record(tmp_path / "record"), "--output", "ports")
    built = Built(run.here / "ports/sysutils/hello", tmp_path / "built")
    page = "https://builds.example.org/job/hello/build/08455214-8a9b-413a-b116-a65353dc0743"
    assert built.value("MASTER_SITES") == f"{page}/f/bin/"
    assert f"Attempting to fetch {page}/f/bin/hello.hvt\n" in built.make("fetch", status=1)


@pytest.mark.slow
def test_two_packages_of_one_port_hold_the_same_image_and_times(image_port: Built) -> None:
    contents = []
    for _ in range(2):
        image_port.make("clean")
        image_port.make("package")
        with tarfile.open(image_port.package) as tar:
            member = tar.getmember("share/mirage/hello.hvt")
            contents.append((member.mtime, member.mode, member.size))
    assert contents[0] == contents[1]


@pytest.mark.slow
def test_running_again_touches_nothing(image_port: Built, run: Run) -> None:
    before = {p: p.stat().st_mtime_ns for p in image_port.overlay.rglob("*")}
    again = ("freebsd", EXAMPLE / "record", "--overlay", "overlay", "--distdir")
    out = run(*again, image_port.distdir).out
    assert {line.split()[0] for line in out.splitlines()} == {"unchanged"}
    assert {p: p.stat().st_mtime_ns for p in image_port.overlay.rglob("*")} == before
    run(*again, image_port.distdir, "--check")


@pytest.mark.slow
def test_the_example_is_rebuilt_to_the_recorded_bytes(
    run: Run, tmp_path: Path, prefix: Path
) -> None:
    need_tools()
    made = example(tmp_path / "hello", prefix)
    distdir = str(tmp_path / "built/distfiles")
    built = rebuild_port(run, tmp_path, made, "hello-unikernel", "--distdir", distdir)
    built.all_targets()
    built.make("clean")
    assert f"same     bin/hello.hvt  sha256 {SHA256}" in built.make("build")
    built.make("package")
    assert built.packed()["share/mirage/hello.hvt"] == IMAGE
    assert not prefix.exists()
    before = (built.port / "distinfo").read_bytes()
    built.make("makesum")
    assert (built.port / "distinfo").read_bytes() == before
    assert run("lint", "freebsd", "overlay").out == ""


@pytest.mark.slow
@pytest.mark.slow  # it asks for a name that does not exist
def test_the_sources_of_a_rebuild_come_from_a_mirror(
    run: Run, tmp_path: Path, prefix: Path, server: FileServer
) -> None:
    need_stand_in()
    made = example(tmp_path / "hello", prefix)
    server.directory = made.mirror
    saved = tmp_path / "saved"
    run("record", made.record, *STARTED, "-o", saved)
    options = ("--no-public-caches", "--mirror", server.url, "--insecure-http")
    run("freebsd", saved, "--rebuild", "--overlay", "overlay", *options)
    built = Built(run.here / "overlay/sysutils/hello-unikernel", tmp_path / "built")
    sites = built.value("MASTER_SITES").split()
    assert [site.partition("?")[0].partition("/sha256/")[0] for site in sites] == [
        "https://pkggen.test/releases/greeting-0.1.tar.gz",
        server.url,
        "https://pkggen.test/releases/hello-unikernel-1.0.0.tar.gz",
        server.url,
    ]
    server.requests.clear()
    built.make("checksum", network=True)
    assert [request.path.partition("?dummy=/")[2] for request in server.requests] == (
        built.value("_NAMES").split()
    )


@pytest.mark.slow
def test_an_occupied_prefix_is_left_alone(run: Run, tmp_path: Path, prefix: Path) -> None:
    made = example(tmp_path / "hello", prefix)
    distdir = str(tmp_path / "built/distfiles")
    built = rebuild_port(run, tmp_path, made, "hello-unikernel", "--distdir", distdir)
    prefix.mkdir()
    (prefix / "mine").touch()
    assert f"something else is built in {prefix}" in built.make("build", status=1)
    assert [path.name for path in prefix.iterdir()] == ["mine"]


@pytest.mark.slow
def test_a_rebuild_that_differs_is_not_installed(run: Run, tmp_path: Path, prefix: Path) -> None:
    need_tools()
    packages = [Package("root", 'license: "ISC" install: ["sh" "-c" "echo other >$0/root" bin]')]
    made = make(tmp_path / "made", packages, prefix=prefix)
    distdir = str(tmp_path / "built/distfiles")
    built = rebuild_port(run, tmp_path, made, "root", "--distdir", distdir)
    said = built.make("package", status=1)
    assert "differs  bin/root" in said
    assert not prefix.exists()
    assert not built.stage.exists()


@pytest.mark.slow
def test_every_kind_of_source(tmp_path: Path, prefix: Path, server: FileServer) -> None:
    need_stand_in()
    need_tools()
    record, sources, served = every_kind(tmp_path / "inputs", prefix)
    for digest, data in served.items():
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        server.add(f"/sha256/{digest[:2]}/{digest}", data)
        server.add(f"/md5/{md5[:2]}/{md5}", data)

    wanted = Wanted(origins={}, mirrors=Mirrors(own=(server.url,)))
    recipe = package_recipe(record, Overrides())
    view = port_view(recipe, wanted, (), sources)
    overlay = tmp_path / "overlay"
    write(port_tree(view, sources), overlay)
    assert lint(overlay) == ()
    built = Built(overlay / "sysutils/root", tmp_path / "built")
    kinds = {name.rpartition(".")[2].partition("-")[0] for name in built.value("_NAMES").split()}
    assert kinds == {"zip", "tbz", "xz", "tar", "patch"}
    before = (built.port / "distinfo").read_bytes()
    built.make("makesum", network=True)
    assert (built.port / "distinfo").read_bytes() == before
    built.all_targets()
    assert built.packed()["bin/root"] == BUILT


@pytest.mark.slow
def test_more_than_two_hundred_distfiles(
    run: Run, tmp_path: Path, prefix: Path, server: FileServer
) -> None:
    need_stand_in()
    need_tools()
    packages = [
        Package(
            f"p{i:03}", 'license: "ISC" install: ["cp" "a" "%{share}%/%{_:name}%"]', {"a": f"{i}\n"}
        )
        for i in range(MANY)
    ]
    depends = " ".join(f'"{package.name}"' for package in packages)
    install = 'install: ["sh" "-c" "cat $0/p??? >$1/root" "%{share}%" "%{bin}%"]'
    root = Package("root", f'license: "ISC" depends: [{depends}] {install}')
    expected = b"".join(b"%d\n" % i for i in range(MANY))
    made = make(tmp_path / "made", [*packages, root], prefix=prefix, built={"bin/root": expected})
    server.directory = made.mirror
    options = ("--mirror", server.url, "--insecure-http", "--no-public-caches")
    built = rebuild_port(run, tmp_path, made, "root", *options)
    assert len(built.value("DISTFILES").split()) == MANY
    sites = [word for word in built.value("MASTER_SITES").split() if word.startswith(server.url)]
    assert len(sites) == MANY
    before = (built.port / "distinfo").read_bytes()
    built.make("makesum", network=True, MASTER_SITES=" ".join(sites))
    assert (built.port / "distinfo").read_bytes() == before
    built.all_targets()
    assert built.packed()["bin/root"] == expected
    assert run("lint", "freebsd", "overlay").out == ""
