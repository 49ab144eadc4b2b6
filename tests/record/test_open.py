from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pkggen.errors import DownloadError, InputError
from pkggen.record import builder_web
from pkggen.web import Patience

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeImage, MakeRecord
    from tests.record.conftest import Open


def test_an_image_alone_is_no_source(make_image: MakeImage, tmp_path: Path, opened: Open) -> None:
    with pytest.raises(InputError, match="an image alone") as caught:
        opened(make_image(tmp_path / "hello.hvt"))
    assert "sha256:HEX" in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04"])
def test_other_files_are_no_source(tmp_path: Path, opened: Open, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(InputError, match="neither a tar archive nor"):
        opened(tmp_path / "file")


def test_a_pipe_is_no_source(tmp_path: Path, opened: Open) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="neither a file nor a directory"):
        opened(tmp_path / "pipe")


@pytest.mark.parametrize("source", ["", "./gone", "a/b/c", "x" * 5000, "a\0b", "dir/file.tar"])
def test_what_is_nothing_is_told_with_the_forms(opened: Open, source: str) -> None:
    with pytest.raises(InputError, match="no such path, and no name of a build") as caught:
        opened(source)
    assert "NAME/UUID" in str(caught.value)


def test_a_name_is_asked_of_the_server(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder_web, "Patience", lambda: Patience(retries=0))
    with pytest.raises(DownloadError, match="the transfer failed") as caught:
        opened("hello", server="http://127.0.0.1:1")
    assert caught.value.where == "http://127.0.0.1:1/job/hello/build/latest"
    assert caught.value.hint == "there is no path 'hello' here, so a server was asked for a build"
    with pytest.raises(DownloadError, match="the transfer failed") as caught:
        opened("http://127.0.0.1:1/job/hello")
    assert caught.value.hint is None


def test_the_platform_of_a_local_record(
    make_record: MakeRecord, tmp_path: Path, opened: Open
) -> None:
    saved = make_record(tmp_path / "saved")
    assert opened(saved, platform="debian-12").platform == "debian-12"
    with pytest.raises(InputError, match="platform is debian-12, not freebsd-14"):
        opened(saved, platform="freebsd-14")
    orb = make_record(tmp_path / "orb", saved=False)
    with pytest.raises(InputError, match="platform is not recorded, not debian-12"):
        opened(orb, platform="debian-12")
