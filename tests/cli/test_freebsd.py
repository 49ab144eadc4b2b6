"""`pkggen freebsd` and `pkggen lint freebsd`."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Final

import pytest

from tests.cli.conftest import EXAMPLE, STARTED
from tests.rebuild.made import Package, make

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run
    from tests.conftest import MakeRecord

PORT: Final = "sysutils/hello-unikernel"
CACHE: Final = EXAMPLE.parent / "download-cache"
FETCH: Final = ("--mirror", CACHE, "--offline")
MAINTAINED: Final = "maintainer: {name: Jane Doe, email: jane@example.org}\n"


def test_an_overlay(run: Run) -> None:
    out = run("freebsd", EXAMPLE, "--overlay", "o", "--distdir", "d").out
    assert f"create    {PORT}/Makefile\n" in out
    assert "create    UIDs\n" in out
    assert (run.here / "d/mirage/hello-unikernel-1.0.0.0.20260820120000/hello.hvt").is_file()
    assert run("lint", "freebsd", "o").out == ""


def test_only_ports(run: Run) -> None:
    run("freebsd", EXAMPLE, "-o", "ports", "--category", "misc", "--distdir", "d")
    assert sorted(path.name for path in (run.here / "ports").iterdir()) == ["misc"]
    assert not (run.here / "ports/misc/Makefile").exists()


def test_what_is_on_no_server_is_refused(run: Run) -> None:
    err = run("freebsd", EXAMPLE, code=3).err
    assert "on no server" in err
    assert "--distdir" in err
    assert not list(run.here.iterdir())


def test_json(run: Run) -> None:
    out = run("freebsd", EXAMPLE, "--overlay", "o", "--distdir", "d", "--json").out
    first, second = json.loads(out)["results"]
    assert first["name"] == "hello-unikernel"
    assert first["version"] == "1.0.0.0.20260820120000"
    assert first["directory"] == PORT
    assert second["source"] is None


@pytest.mark.parametrize("how", ["--dry-run", "--diff", "--check"])
def test_nothing_is_written_unless_it_shall_be(run: Run, how: str) -> None:
    options = ("--overlay", "o", "--distdir", "d", how)
    run("freebsd", EXAMPLE, *options, code=1 if how == "--check" else 0)
    assert not list(run.here.iterdir())


def test_hand_edits_are_kept(run: Run) -> None:
    options = ("--overlay", "o", "--distdir", "d")
    run("freebsd", EXAMPLE, *options)
    makefile = run.here / "o" / PORT / "Makefile"
    makefile.write_text(makefile.read_text().replace("PORTNAME", "# mine\nPORTNAME"))
    assert "edited by hand" in run("freebsd", EXAMPLE, *options, code=3).err
    run("freebsd", EXAMPLE, *options, "--force")
    assert "# mine" not in makefile.read_text()


def test_lines_of_others_in_an_overlay_are_kept(run: Run) -> None:
    options = ("--overlay", "o", "--distdir", "d")
    run("freebsd", EXAMPLE, *options)
    category = run.here / "o/sysutils/Makefile"
    category.write_text(category.read_text().replace("    SUBDIR", "    SUBDIR += a\n    SUBDIR"))
    run("freebsd", EXAMPLE, *options)
    assert "    SUBDIR += a\n    SUBDIR += hello-unikernel\n" in category.read_text()


def test_a_rebuild(run: Run) -> None:
    done = run("freebsd", EXAMPLE, "--rebuild", "--overlay", "o", *FETCH)
    assert "recorded on linux" in done.err
    for name in ("Makefile.distfiles", "files/rebuild.sh"):
        assert (run.here / "o" / PORT / name).is_file()
    sites = (run.here / "o" / PORT / "Makefile.distfiles").read_text()
    assert "https://opam.ocaml.org/cache/sha256/" in sites
    assert str(CACHE) not in sites
    assert run("lint", "freebsd", "o").out == ""


def test_no_public_caches(run: Run) -> None:
    run("freebsd", EXAMPLE, "--rebuild", *FETCH, "--no-public-caches")
    assert "opam.ocaml.org" not in (run.here / PORT / "Makefile.distfiles").read_text()


def checkout(run: Run) -> Path:
    tree = run.here / "tree"
    (tree / "Mk").mkdir(parents=True)
    (tree / "Mk/bsd.port.mk").touch()
    (tree / "sysutils").mkdir()
    text = "    COMMENT = x\n\n    SUBDIR += z\n\n.include <bsd.port.subdir.mk>\n"
    (tree / "sysutils/Makefile").write_text(text)
    return tree


def test_a_checkout_of_the_ports_tree(run: Run, tmp_path: Path, make_record: MakeRecord) -> None:
    tree = checkout(run)
    record = make_record(tmp_path / "record")
    assert "without a maintainer" in run("freebsd", record, "--ports", tree, code=3).err
    (run.here / "pkggen.yaml").write_text(MAINTAINED)
    done = run("freebsd", record, "--ports", tree)
    assert "commit    sysutils/hello: New port: Unikernel made for a test\n" in done.out
    assert "UIDs: _unikernel-hello:*:N:N:" in done.err
    listed = (tree / "sysutils/Makefile").read_text()
    assert "    SUBDIR += hello\n    SUBDIR += z\n" in listed
    again = json.loads(run("freebsd", record, "--ports", tree, "--json").out)
    assert "commit_message" not in again["results"][0]
    (run.here / "pkggen.yaml").write_text(MAINTAINED.replace("jane@", "someone@"))
    again = json.loads(run("freebsd", record, "--ports", tree, "--json").out)
    assert again["results"][0]["commit_message"] == "sysutils/hello: Generate the port anew"
    found = run("lint", "freebsd", tree, code=1).out
    assert found.splitlines() == [
        "sysutils/Makefile:1:1 subdir there is no port z (freebsd-ports Mk/bsd.port.subdir.mk)"
    ]


def test_a_port_of_somebody_else(run: Run) -> None:
    (run.here / "o/misc/hello-unikernel").mkdir(parents=True)
    (run.here / "o/misc/hello-unikernel/Makefile").write_text("PORTNAME=\thello-unikernel\n")
    err = run("freebsd", EXAMPLE, "--overlay", "o", "--distdir", "d", code=3).err
    assert "there is a port hello-unikernel already, and not pkggen's" in err


def test_no_checkout(run: Run) -> None:
    assert "no checkout" in run("freebsd", EXAMPLE, "--ports", ".", code=3).err


def test_files_that_freebsd_cannot_run(run: Run, tmp_path: Path) -> None:
    root = Package("root", 'license: "ISC" synopsis: "Tool of a test"')
    for system, host, code in (("linux", "gcc=12\n", 3), ("freebsd", "gmp-6.3.0\n", 0)):
        made = make(tmp_path / system, [root], environment={"OS": system}, system_packages=host)
        run("record", made.record, *STARTED, "-o", f"saved-{system}")
        done = run("freebsd", f"saved-{system}", "--distdir", "d", "-o", "o", code=code)
        assert ("built for linux" in done.err) == bool(code)
    assert (run.here / "o/sysutils/root/Makefile").is_file()


def test_unknown_system_packages_are_listed_at_once(run: Run, tmp_path: Path) -> None:
    def asking(name: str, *depexts: str) -> Package:
        return Package(name, f'license: "ISC" depexts: [{" ".join(depexts)}]')

    debian = '["libx-dev"] {os-family = "debian"}'
    packages = [
        asking("conf-a", '["gtk3" "gmp"] {os = "freebsd"}', debian),
        asking("conf-b", '["graphics/x"] {os-family = "bsd"}'),
        asking("conf-c", debian),
        asking("conf-which", debian),
        Package("root", 'license: "ISC" synopsis: "Tool of a test"'),
    ]
    made = make(tmp_path / "made", packages)
    run("record", made.record, *STARTED, "-o", "saved")
    options = ("--rebuild", "-o", "o", "--offline")
    err = run("freebsd", "saved", *options, code=3).err
    assert "no FreeBSD port is known for 2 system package(s): graphics/x, gtk3" in err
    assert "conf-c needs libx-dev of the recorded host" in err
    assert "conf-which" not in err
    assert not (run.here / "o").exists()
    index = run.here / "packagesite.yaml"
    index.write_text(
        '{"name": "gtk3", "origin": "x11-toolkits/gtk30"}\n{"name": "x", "origin": "graphics/x"}\n'
    )
    err = run("freebsd", "saved", *options, "--origins", index, code=3).err
    assert "no FreeBSD port" not in err
    assert "conf-c" in err


def test_findings_as_json(run: Run) -> None:
    run("freebsd", EXAMPLE, "-o", "o", "--distdir", "d")
    (run.here / "o" / PORT / "extra").touch()
    found = json.loads(run("lint", "freebsd", "o", "--json", code=1).out)
    assert found["findings"] == [
        {
            "path": f"{PORT}/extra",
            "line": 1,
            "column": 1,
            "rule": "empty-file",
            "message": "the file is empty",
            "source": "portlint",
        }
    ]
    shutil.rmtree(run.here / "o")
    (run.here / "o").mkdir()
    assert "no port in it" in run("lint", "freebsd", "o", code=3).err
