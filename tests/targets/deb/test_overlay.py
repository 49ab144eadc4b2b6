from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Final

import pytest

from pkggen.errors import InputError
from pkggen.targets.deb import overlay
from pkggen.targets.deb.overlay import read_overlay
from pkggen.tree import CopiedFile, TextFile, Tree
from tests.targets.deb.made import write_files

RULES: Final = PurePosixPath("debian/rules")


def test_what_is_read(tmp_path: Path) -> None:
    write_files(tmp_path / "hello/debian", {"rules": b"#!/usr/bin/make -f\n", "a/b": b"\0\xff"})
    (tmp_path / "hello/debian/rules").chmod(0o755)
    write_files(tmp_path / "other/debian", {"x": b""})
    found = read_overlay(tmp_path, "hello")
    assert found == Tree(
        {
            RULES: TextFile("#!/usr/bin/make -f\n", executable=True),
            PurePosixPath("debian/a/b"): CopiedFile.of(b"\0\xff"),
        }
    )
    assert read_overlay(tmp_path, "nothing") is None
    (tmp_path / "empty/debian").mkdir(parents=True)
    assert read_overlay(tmp_path, "empty") is None


def test_no_such_overlay(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such directory"):
        read_overlay(tmp_path / "gone", "hello")


@pytest.mark.parametrize("name", ["hello/rules", "hello/x/rules"])
def test_only_debian_can_be_overlaid(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, {name: b""})
    with pytest.raises(InputError, match="only debian/ can be overlaid"):
        read_overlay(tmp_path, "hello")


@pytest.mark.parametrize("target", ["/etc/passwd", "rules", "/nonexistent", "/etc"])
def test_links_are_not_followed(tmp_path: Path, target: str) -> None:
    write_files(tmp_path / "hello/debian", {"rules": b""})
    (tmp_path / "hello/debian/link").symlink_to(target)
    with pytest.raises(InputError, match="is no regular file") as caught:
        read_overlay(tmp_path, "hello")
    assert "hello/debian/link" in str(caught.value)


@pytest.mark.parametrize("place", ["hello/debian", "hello"])
def test_a_directory_that_is_a_link(tmp_path: Path, place: str) -> None:
    write_files(tmp_path / "real/debian", {"rules": b""})
    link = tmp_path / place
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "real" / ("debian" if place.endswith("debian") else ""))
    with pytest.raises(InputError, match="is no regular file"):
        read_overlay(tmp_path, "hello")


def test_something_else_than_a_file(tmp_path: Path) -> None:
    write_files(tmp_path / "hello/debian", {"rules": b""})
    os.mkfifo(tmp_path / "hello/debian/pipe")
    with pytest.raises(InputError, match="is no regular file"):
        read_overlay(tmp_path, "hello")


def test_what_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay, "_MAX_BYTES", 3)
    write_files(tmp_path / "hello/debian", {"rules": b"four"})
    with pytest.raises(InputError, match="more than 3 bytes"):
        read_overlay(tmp_path, "hello")


def test_a_program_that_is_no_text(tmp_path: Path) -> None:
    write_files(tmp_path / "hello/debian", {"run": b"\x7fELF\xff"})
    (tmp_path / "hello/debian/run").chmod(0o755)
    with pytest.raises(InputError, match="an executable file of an overlay is text"):
        read_overlay(tmp_path, "hello")
