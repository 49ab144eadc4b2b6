"""The committed example: its record reads back, and make.sh makes it again."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.record.elf import solo5_image
from pkggen.record.manifest import write_manifest
from pkggen.record.model import Solo5Device, Solo5Image

if TYPE_CHECKING:
    from pkggen.record.model import Record

HELLO: Final = Path(__file__).resolve().parent.parent / "examples" / "hello"
NOTES: Final = Solo5Image(
    target="hvt",
    abi_version=2,
    machine="x86_64",
    devices=(
        Solo5Device(name="service", kind="NET_BASIC"),
        Solo5Device(name="storage", kind="BLOCK_BASIC"),
    ),
)
TOOLS: Final = ("opam", "gcc", "make", "tar", "gzip", "sha256sum")


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def record() -> Record:
    return assemble(read_directory(HELLO / "record", "hello"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the output of make.sh, made anew."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"EXAMPLE NOT REMADE: {', '.join(missing)} not found")
    version = subprocess.run(["opam", "--version"], check=True, capture_output=True, text=True)
    if not version.stdout.startswith("2.1."):
        pytest.skip(f"EXAMPLE NOT REMADE: opam {version.stdout.strip()} is not 2.1")
    output = tmp_path_factory.mktemp("hello")
    run = subprocess.run(
        [HELLO / "make.sh", output], check=False, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return output


def test_the_record_is_as_pkggen_would_save_it(record: Record) -> None:
    assert write_manifest(record) == (HELLO / "record" / "record.json").read_bytes()
    assert record.job == "hello-unikernel"
    assert record.platform == "debian-12"
    assert record.started == datetime(2026, 8, 20, 12, tzinfo=UTC)
    assert record.origin is None
    assert [str(file.path) for file in record.metadata] == [
        "build-environment",
        "hello-unikernel.build-hashes",
        "opam-switch",
        "system-packages",
    ]


def test_the_image_is_small_and_its_notes_are_right(record: Record) -> None:
    assert record.solo5 == NOTES
    assert [str(file.path) for file in record.artifacts] == ["bin/hello.hvt"]
    assert record.image == record.artifacts[0]
    assert record.image.size < 20_000


def test_the_build_hashes_name_the_image() -> None:
    md5 = hashlib.md5((HELLO / "record/bin/hello.hvt").read_bytes()).hexdigest()  # noqa: S324
    text = (HELLO / "record/hello-unikernel.build-hashes").read_text()
    assert text == f'opam-version: "2.0"\nadded: "bin/hello.hvt" {{"F:{md5}"}}\n'


def test_the_switch_holds_no_path_of_the_machine_that_made_it() -> None:
    text = (HELLO / "record/opam-switch").read_text()
    assert "file://" not in text
    assert "/tmp" not in text  # noqa: S108
    assert text.count('src: "https://pkggen.test/releases/') == 2


def test_every_tarball_is_stored_under_the_checksums_of_the_switch() -> None:
    switch = (HELLO / "record/opam-switch").read_text()
    stored = files(HELLO / "download-cache")
    assert len(stored) == 4
    for path, data in stored.items():
        algorithm, prefix, digest = path.split("/")
        assert hashlib.new(algorithm, data).hexdigest() == digest
        assert digest.startswith(prefix)
        assert f'"{algorithm}={digest}"' in switch


def test_make_is_clean_for_shellcheck() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("SHELL SCRIPT NOT CHECKED: shellcheck not found")
    run = subprocess.run(
        ["shellcheck", HELLO / "make.sh"], check=False, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout


@pytest.mark.slow
def test_make_gives_the_same_switch_and_notes(made: Path) -> None:
    assert files(made / "download-cache") == files(HELLO / "download-cache")
    for name in ("opam-switch", "build-environment", "system-packages"):
        assert (made / "record" / name).read_bytes() == (HELLO / "record" / name).read_bytes()
    with (made / "record/bin/hello.hvt").open("rb") as image:
        assert solo5_image(image, "remade") == NOTES
    assemble(read_directory(made / "record", "remade"))


@pytest.mark.slow
def test_make_gives_the_same_image_with_the_same_compiler(made: Path) -> None:
    if shutil.which("dpkg-query") is None:
        pytest.skip("IMAGE NOT COMPARED: dpkg-query not found")
    recorded = (HELLO / "system-packages").read_text().splitlines()
    tools = [line for line in recorded if line.startswith(("gcc-12=", "binutils="))]
    assert len(tools) == 2
    installed = subprocess.run(
        ["dpkg-query", "--showformat=${Package}=${Version}\n", "-W", "binutils", "gcc-12"],
        check=False,
        capture_output=True,
        text=True,
    )
    if sorted(installed.stdout.splitlines()) != sorted(tools):
        pytest.skip(f"IMAGE NOT COMPARED: recorded {tools}, here {installed.stdout.split()}")
    assert files(made / "record") == files(HELLO / "record")
