from __future__ import annotations

import hashlib
import io
import os
import tempfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkggen.errors import Faults, InputError
from pkggen.record import artifact
from pkggen.record.artifact import (
    FileContent,
    SliceContent,
    distinct_paths,
    measure,
    relative_path,
)


@pytest.mark.parametrize("text", ["a", "bin/x.hvt", "lib/a b/é", "..a/b..", "-x", ".hidden/$(x)"])
def test_good_paths(text: str) -> None:
    assert relative_path(text, "f") == PurePosixPath(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "/a",
        ".",
        "..",
        "a/..",
        "a/../b",
        "./a",
        "a//b",
        "a/",
        "a\0b",
        "a\nb",
        "a\\b",
        "\ud800",
        "a\u202eb",
        "a\x1b[2Jb",
        "x" * 256,
        "é" * 128,
        "a/" * 2048 + "a",
        "record.json",
        "record.json/a",
    ],
)
def test_bad_paths(text: str) -> None:
    with pytest.raises(InputError, match="of an artefact"):
        relative_path(text, "f")


@given(st.text(max_size=40))
def test_an_accepted_path_stays_below_its_directory(text: str) -> None:
    try:
        path = relative_path(text, "f")
    except InputError:
        return
    else:
        assert os.path.normpath(f"/top/{path}") == f"/top/{text}"
        assert text.isprintable()


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (("a", "a"), "two files"),
        (("a", "a/b"), "both a file and a directory"),
        (("a/b/c", "a"), "both a file and a directory"),
    ],
)
def test_contradicting_paths(paths: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        distinct_paths(paths, "f")


def test_all_bad_paths_are_told_together() -> None:
    with pytest.raises(Faults) as caught:
        distinct_paths(("/a", "b", "../c", "b"), "f")
    assert len(caught.value.faults) == 3


def test_too_many_files() -> None:
    with pytest.raises(InputError, match="more than 10000 files"):
        distinct_paths(tuple(str(number) for number in range(10_001)), "f")


def test_measure_reads_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "CHUNK_BYTES", 3)
    data = b"0123456789"
    found = measure(io.BytesIO(data), "f")
    assert found.size == 10
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.md5 == hashlib.md5(data, usedforsecurity=False).hexdigest()


def test_measure_stops_at_its_limit() -> None:
    assert measure(io.BytesIO(b"12345"), "f", 5).size == 5
    with pytest.raises(InputError, match="larger than the 5 bytes"):
        measure(io.BytesIO(b"123456"), "f", 5)


@given(st.integers(0, 20), st.integers(0, 20), st.data())
def test_a_slice_reads_like_its_bytes(offset: int, length: int, data: st.DataObject) -> None:
    whole = bytes(range(48))
    with tempfile.NamedTemporaryFile() as file:
        file.write(whole)
        file.flush()
        expected = io.BytesIO(whole[offset : offset + length])
        with SliceContent(Path(file.name), offset, length).open() as part:
            for _ in range(4):
                position = data.draw(st.integers(0, 25))
                assert part.seek(position) == expected.seek(position)
                size = data.draw(st.integers(-1, 25))
                assert part.read(size) == expected.read(size)
            assert part.seek(0, os.SEEK_END) == length


def test_what_is_gone_is_told(tmp_path: Path) -> None:
    for content in (FileContent(tmp_path / "x"), SliceContent(tmp_path / "x", 0, 1)):
        with pytest.raises(InputError, match="No such file"), content.open():
            pass
