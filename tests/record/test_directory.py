from __future__ import annotations

import hashlib
import os
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from pkggen.errors import Faults, InputError, VerificationError
from pkggen.record import artifact, assemble
from pkggen.record.assemble import no_image_reason
from pkggen.record.saved import save

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeImage, MakeRecord
    from tests.record.conftest import Open


@pytest.fixture
def orb(tmp_path: Path, make_record: MakeRecord) -> Path:
    return make_record(tmp_path / "orb", saved=False)


def names(record_files: object) -> list[str]:
    return [str(file.path) for file in record_files]  # type: ignore[attr-defined]


def test_what_orb_leaves(orb: Path, opened: Open) -> None:
    (orb / "lib" / "hello").mkdir(parents=True)
    (orb / "lib" / "hello" / "META").write_text("x")
    (orb / "empty").mkdir()
    record = opened(orb)
    assert record.source == str(orb)
    assert record.job == "hello"
    assert (record.platform, record.started, record.finished, record.origin) == (None,) * 4
    assert names(record.artifacts) == ["bin/hello.hvt", "lib/hello/META"]
    assert names(record.metadata) == ["build-environment", "opam-switch", "system-packages"]
    assert record.image == record.artifacts[0]
    assert record.solo5 is not None
    assert record.solo5.target == "hvt"
    data = (orb / "bin" / "hello.hvt").read_bytes()
    assert record.image is not None
    assert record.image.size == len(data)
    assert record.image.sha256 == hashlib.sha256(data).hexdigest()
    assert record.system_packages is not None
    assert len(record.system_packages) == 3


def test_a_readme_and_the_build_directory_are_left_out(orb: Path, opened: Open) -> None:
    for name in ("README.md", "README", "build/x", "lib/README", "lib/build/y"):
        (orb / name).parent.mkdir(parents=True, exist_ok=True)
        (orb / name).write_text("x")
    record = opened(orb)
    assert names(record.artifacts) == ["bin/hello.hvt", "lib/README", "lib/build/y"]


def test_system_packages_may_be_missing(orb: Path, opened: Open) -> None:
    (orb / "system-packages").unlink()
    assert opened(orb).system_packages is None


@pytest.mark.parametrize("name", ["opam-switch", "build-environment"])
def test_what_must_not_be_missing(orb: Path, opened: Open, name: str) -> None:
    (orb / name).unlink()
    with pytest.raises(InputError, match=f"there is no {name}"):
        opened(orb)


def test_the_root_names_the_job_when_the_environment_does_not(orb: Path, opened: Open) -> None:
    file = orb / "build-environment"
    file.write_text(file.read_text().replace("ORB_BUILDING_PACKAGE=hello\n", ""))
    assert opened(orb).job == "hello"
    file.write_text(file.read_text() + "\nORB_BUILDING_PACKAGE=other")
    assert opened(orb).job == "other"
    file.write_text(file.read_text() + "\nORB_BUILDING_PACKAGE=../x")
    with pytest.raises(InputError, match="is not the name of a job"):
        opened(orb)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "/", "../.."])
def test_links_that_leave_are_refused(orb: Path, opened: Open, target: str) -> None:
    (orb.parent / "outside").write_text("secret")
    (orb / "bin" / "link").symlink_to(target)
    with pytest.raises(InputError, match="a link that leaves the directory"):
        opened(orb)


def test_links_inside_are_their_files(orb: Path, opened: Open) -> None:
    (orb / "lib").mkdir()
    (orb / "lib" / "link").symlink_to("../bin/hello.hvt")
    record = opened(orb)
    assert record.artifacts[0].sha256 == record.artifacts[1].sha256


@pytest.mark.parametrize("target", ["gone", "../bin", "link"])
def test_other_links_are_refused(orb: Path, opened: Open, target: str) -> None:
    (orb / "lib").mkdir()
    (orb / "lib" / "link").symlink_to(target)
    with pytest.raises(InputError):
        opened(orb)


def test_special_files_are_refused(orb: Path, opened: Open) -> None:
    os.mkfifo(orb / "bin" / "pipe")
    with pytest.raises(InputError, match="neither a regular file nor a directory"):
        opened(orb)


def test_names_that_are_not_utf8_are_refused(orb: Path, opened: Open) -> None:
    (orb / "bin" / os.fsdecode(b"\xff")).write_text("x")
    with pytest.raises(InputError, match="is not UTF-8"):
        opened(orb)


def test_all_faults_are_told_together(orb: Path, opened: Open) -> None:
    os.mkfifo(orb / "bin" / "pipe")
    (orb / "bin" / "link").symlink_to("/etc/passwd")
    with pytest.raises(Faults) as caught:
        opened(orb)
    assert len(caught.value.faults) == 2


def test_too_many_files_are_refused(
    orb: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact, "MAX_ARTIFACTS", 3)
    with pytest.raises(InputError, match="more than 3 files"):
        opened(orb)


def test_gigantic_files_are_refused(
    orb: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assemble, "MAX_METADATA_BYTES", 100)
    with pytest.raises(Faults) as caught:
        opened(orb)
    assert "larger than the 100 bytes" in str(caught.value)


def test_orbs_md5s_are_checked(orb: Path, opened: Open) -> None:
    image = (orb / "bin" / "hello.hvt").read_bytes()
    md5 = hashlib.md5(image, usedforsecurity=False).hexdigest()
    hashes = orb / "hello.build-hashes"
    hashes.write_text(f'added: [ "bin/hello.hvt" {{"F:{md5}"}} "bin/dropped" {{"F:{md5}"}} ]')
    assert names(opened(orb).metadata)[1] == "hello.build-hashes"
    hashes.write_text(f'added: "bin/hello.hvt" {{"F:{"0" * 32}"}}')
    with pytest.raises(VerificationError) as caught:
        opened(orb)
    assert caught.value.where == f"{orb}: bin/hello.hvt"
    assert "0" * 32 in caught.value.message
    assert md5 in caught.value.message


def test_the_main_image_is_the_only_one_under_bin(
    orb: Path, opened: Open, make_image: MakeImage
) -> None:
    (orb / "bin" / "tool").write_text("#!/bin/sh\n")
    make_image(orb / "lib" / "other.hvt")
    record = opened(orb)
    assert record.image is not None
    assert str(record.image.path) == "bin/hello.hvt"
    make_image(orb / "bin" / "second.spt", "spt")
    record = opened(orb)
    assert (record.image, record.solo5) == (None, None)
    assert "bin/hello.hvt, bin/second.spt, bin/tool" in no_image_reason(record)
    for file in (orb / "bin").iterdir():
        file.unlink()
    record = opened(orb)
    assert record.image is None
    assert no_image_reason(record) == "it holds no file under bin/"


def test_a_broken_image_is_refused(orb: Path, opened: Open) -> None:
    image = orb / "bin" / "hello.hvt"
    image.write_bytes(image.read_bytes()[:-1])
    with pytest.raises(InputError, match="breaks off"):
        opened(orb)


def test_files_are_never_held_in_memory(orb: Path, tmp_path: Path, opened: Open) -> None:
    size = 48 * 1024 * 1024
    with (orb / "bin" / "big").open("wb") as file:
        file.truncate(size)
    tracemalloc.start()
    record = opened(orb)
    save(record, tmp_path / "saved")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert record.artifacts[0].size == size
    assert (tmp_path / "saved" / "bin" / "big").stat().st_size == size
    assert peak < size / 4


def test_the_real_records(records: Path, opened: Open) -> None:
    read = [
        opened(path)
        for path in sorted((records / "made").iterdir())
        if (path / "build-environment").is_file()
    ]
    assert len(read) > 10
    for record in read:
        assert record.job == record.switch.root.name
        assert record.system_packages is not None
        assert len(record.system_packages) > 900
        assert record.environment.get("OS") == "linux"
    with pytest.raises(InputError, match="there is no build-environment"):
        opened(records / "made" / "mirage-hosttools")
