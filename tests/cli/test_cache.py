from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pkggen.cli import main
from pkggen.sources.cache import Cache
from tests.sources.make import Package, checksum, export_text, tar_gz, write_record

if TYPE_CHECKING:
    from pathlib import Path

DATA = tar_gz(b"wanted")
OTHER = tar_gz(b"other")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a `--cache` that holds two archives."""
    root = tmp_path / "cache"
    for data in (DATA, OTHER):
        (tmp_path / "file").write_bytes(data)
        Cache(root / "download-cache").add(tmp_path / "file")
    return root


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Return a record that needs one of them."""
    package = Package("a", "https://x.org/a.tgz", (str(checksum("sha256", DATA)),))
    return write_record(tmp_path / "record", export_text(package))


def run(root: Path, *arguments: str) -> int:
    return main(["cache", *arguments, "--cache", str(root)])


def test_list(root: Path, record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, "list", str(record)) == 0
    digest, other = checksum("sha256", DATA), checksum("sha256", OTHER)
    expected = [
        f"{digest}  {len(DATA)}  a.1-{digest.digest[:8]}.tgz",
        f"{other}  {len(OTHER)}",
    ]
    assert sorted(capsys.readouterr().out.splitlines()) == sorted(expected)
    assert run(root, "list", "--json", str(record)) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert {file["file_name"] for file in files} == {f"a.1-{digest.digest[:8]}.tgz", None}
    assert {file["size"] for file in files} == {len(DATA), len(OTHER)}
    assert any(str(checksum("sha512", DATA)) in file["checksums"] for file in files)


def test_verify(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, "verify") == 0
    assert capsys.readouterr().out == "2 files, 0 wrong names\n"
    place = Cache(root / "download-cache").place(checksum("sha256", DATA))
    place.write_bytes(b"changed")
    assert run(root, "verify") == 4
    told = capsys.readouterr()
    assert told.out == "2 files, 2 wrong names\n"
    assert checksum("sha256", DATA).digest in told.err
    assert run(root, "verify", "--remove") == 0
    assert not place.exists()
    assert run(root, "verify") == 0


def test_gc(root: Path, record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = Cache(root / "download-cache")
    with cache.part("dead") as part:
        part.file.write(b"12345")
    assert run(root, "gc", "--dry-run") == 0
    told = capsys.readouterr()
    assert told.out == f"{part.path}\n"
    assert "would free 5 bytes" in told.err
    assert run(root, "gc") == 0
    assert len(list(cache.entries())) == 2
    assert not part.path.exists()
    assert run(root, "gc", str(record), "--dry-run") == 0
    assert len(list(cache.entries())) == 2
    capsys.readouterr()
    assert run(root, "gc", str(record)) == 0
    assert f"freed {len(OTHER)} bytes" in capsys.readouterr().err
    assert [entry.size for entry in cache.entries()] == [len(DATA)]
    empty = write_record(record.parent / "empty", export_text(Package("a", None)))
    assert run(root, "gc", str(empty)) == 2
    assert len(list(cache.entries())) == 1


def test_export(
    root: Path, record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(root, "export", str(tmp_path / "one"), str(record)) == 0
    assert [entry.size for entry in Cache(tmp_path / "one").entries()] == [len(DATA)]
    assert run(root, "export", str(tmp_path / "all")) == 0
    assert len(list(Cache(tmp_path / "all").entries())) == 2
    assert f"2 files in {tmp_path / 'all'}" in capsys.readouterr().out


def test_a_git_source_is_needed_by_its_commit(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("pkggen.sources.git")
    package = Package("a", "git+https://x.org/r#0123456789abcdef0123456789abcdef01234567")
    record = write_record(tmp_path / "git", export_text(package))
    # Nothing of it was fetched, so everything else may go.
    assert run(root, "gc", str(record)) == 0
    assert list(Cache(root / "download-cache").entries()) == []
