"""`pkggen show`, on every kind of source."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.cli.conftest import EXAMPLE
from tests.conftest import ENVIRONMENT, REPOSITORY
from tests.record.builder_web_server import NEW_UUID

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run
    from tests.conftest import MakeRecord
    from tests.record.builder_web_server import BuilderWeb

IMAGELESS: Final = (
    "albatross",
    "albatross-1.5.1_repo2022-09",
    "builder",
    "dns-primary-git",
    "hello-spt",
    "lablgtk3-sourceview3",
    "mirage",
    "mirage-4.2.1_repo2022-09",
    "opam-graph",
    "orb",
    "solo5",
    "something",
    "something.full",
    "timestamp",
    "timestamp.full",
)
"""Real records, which hold no image."""
EXPORTS: Final = (
    "made/mirage-hosttools/opam-switch",
    "public/Furetur+itmo-stella-typechecker@frozen_switch",
    "public/hazelgrove+tylr@opam.export",
    "public/o1-labs+snarky@opam.export",
    "public/shlomenu+ahrefs_take_home_1@switch_meta.export",
    "public/xiaoxiangmoe+ocaml-helloworld@opam-switch-universe",
)
"""Real exports of switches that orb did not make."""

LABELS: Final = (
    "job",
    "root package",
    "platform",
    "system",
    "started",
    "finished",
    "origin",
    "image",
    "sha256",
    "tender",
    "devices",
    "packages",
    "built files",
    "weak sources",
    "licences",
)


def shown(run: Run, *argv: object) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the rows and the JSON of what is shown."""
    text = run("show", *argv).out
    rows = {line[:16].rstrip(): line[16:] for line in text.splitlines()}
    document: dict[str, Any] = json.loads(run("show", *argv, "--json").out)
    assert tuple(rows) == LABELS
    assert all(rows.values())
    return rows, document


def test_sources_with_an_image(run: Run, source: Path) -> None:
    rows, document = shown(run, source)
    assert rows["job"] == document["job"]
    assert rows["sha256"] == document["image_sha256"]
    assert len(rows["sha256"]) == 64
    assert rows["image"] == f"{document['image']} ({document['image_size']:,} bytes)"
    assert rows["tender"] == "hvt, ABI version 2, x86_64"
    assert rows["platform"] == "debian-12"


def test_the_example(run: Run) -> None:
    rows, document = shown(run, EXAMPLE)
    image = (EXAMPLE / "bin/hello.hvt").read_bytes()
    assert rows["sha256"] == hashlib.sha256(image).hexdigest()
    assert rows["devices"] == "service (NET_BASIC), storage (BLOCK_BASIC)"
    assert rows["packages"] == "3 installed, 0 vendored, 18 on the host"
    assert rows["licences"] == "1 of 0BSD, 1 of ISC"
    assert rows["origin"] == "not recorded"
    assert rows["weak sources"] == "none"
    assert document["started"] == rows["started"] == "2026-08-20T12:00:00Z"
    assert document["devices"] == [["service", "NET_BASIC"], ["storage", "BLOCK_BASIC"]]


@pytest.mark.parametrize("name", IMAGELESS)
def test_real_records(run: Run, records: Path, name: str) -> None:
    rows, document = shown(run, records / "made" / name)
    assert document["image"] is None
    assert rows["image"] == rows["sha256"] == rows["tender"] == "not recorded"
    assert rows["root package"].startswith(f"{document['job']}.")
    assert document["installed"] > 0


def test_what_real_records_hold(run: Run, records: Path) -> None:
    rows, _ = shown(run, records / "made/dns-primary-git")
    assert rows["packages"] == "41 installed, 84 vendored, 1025 on the host"
    assert "bigstringaf" in rows["weak sources"]
    assert "85 of none recorded" in rows["licences"]
    rows, _ = shown(run, records / "made/something.full")
    assert rows["started"] == "2026-08-23T09:00:00Z"
    assert rows["built files"] == "bin/foo"


@pytest.mark.parametrize("name", EXPORTS)
def test_real_exports_in_a_directory(run: Run, records: Path, tmp_path: Path, name: str) -> None:
    directory = tmp_path / "orb"
    directory.mkdir()
    (directory / "opam-switch").write_bytes((records / name).read_bytes())
    error = run("show", directory, code=3).err
    assert "there is no build-environment" in error
    (directory / "build-environment").write_text(ENVIRONMENT.format(name="tool"))
    rows, document = shown(run, directory)
    assert rows["job"] == "tool"
    assert document["installed"] > 1
    run("record", directory, "-o", "saved")
    assert shown(run, "saved")[1] == document


@pytest.mark.slow
@pytest.mark.parametrize("slashes", [False, True])
@pytest.mark.parametrize("form", ["JOB", "LATEST", "JOB/UUID", "SHA256", "URL", "URL/LATEST"])
def test_servers_of_both_ages(run: Run, web: BuilderWeb, form: str, *, slashes: bool) -> None:
    web.slashes = slashes
    digest = hashlib.sha256(web.builds[0].files["bin/hello.hvt"]).hexdigest()
    source = {
        "JOB": "hello-git",
        "LATEST": "hello-git/latest",
        "JOB/UUID": f"hello-git/{NEW_UUID}",
        "SHA256": f"sha256:{digest}",
        "URL": f"{web.url}/job/hello-git/build/{NEW_UUID}",
        "URL/LATEST": f"{web.url}/job/hello-git/build/latest",
    }[form]
    rows, _ = shown(run, source, "--server", web.url)
    assert rows["sha256"] == digest
    assert rows["origin"] == f"{web.url}/job/hello-git/build/{NEW_UUID}"
    assert rows["started"] == ("not recorded" if slashes else "2026-08-23T09:00:00Z")


def test_a_uuid_and_a_platform_on_a_server(run: Run, web: BuilderWeb) -> None:
    rows, _ = shown(run, NEW_UUID, "--server", web.url)
    assert rows["job"] == "hello-git"
    rows, _ = shown(run, "hello-git", "--server", web.url, "--platform", "debian-12")
    assert rows["platform"] == "debian-12"
    error = run("show", "hello-git", "--server", web.url, "--platform", "bsd", code=5).err
    assert "no finished build on bsd" in error


def test_downloads_are_kept(run: Run, web: BuilderWeb, tmp_path: Path) -> None:
    run("show", "hello-git", "--server", web.url)
    assert len(list((tmp_path / "cache").rglob("*"))) > 4
    run("show", "hello-git", "--server", web.url, "--cache", tmp_path / "other")
    assert (tmp_path / "other/artifacts").is_dir()


def on_terminal(source: Path, **environment: str) -> str:
    """Return what `show` prints to a terminal."""
    controller, terminal = pty.openpty()
    known = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    with os.fdopen(controller, "rb", buffering=0) as output:
        try:
            subprocess.run(
                [sys.executable, "-m", "pkggen", "show", source],
                stdout=terminal,
                check=True,
                cwd=REPOSITORY,
                env={**known, **environment},
            )
        finally:
            os.close(terminal)
        text = b""
        try:
            while piece := output.read(4096):
                text += piece
        except OSError:  # how Linux tells that nobody has the terminal open
            pass
    return text.decode().replace("\r\n", "\n")


@pytest.mark.slow
def test_colour_is_for_terminals(run: Run, tmp_path: Path, make_record: MakeRecord) -> None:
    saved = make_record(tmp_path / "saved")
    plain = run("show", saved).out
    assert "\x1b" not in plain
    assert on_terminal(saved, NO_COLOR="1") == plain
    for coloured in (on_terminal(saved), on_terminal(saved, NO_COLOR="")):
        assert coloured.count("\x1b[1m") == coloured.count("\x1b[0m") == len(LABELS)
        assert coloured.replace("\x1b[1m", "").replace("\x1b[0m", "") == plain
