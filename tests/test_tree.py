"""Trees of files in memory: paths and seals."""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkggen.errors import Faults, InputError
from pkggen.tree import SEAL, CopiedFile, File, TextFile, Tree, is_sealed, sealed

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = f"# made by a test; {SEAL}\n"


class Bytes:
    """Content in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        yield io.BytesIO(self.data)


def copied(data: bytes) -> CopiedFile:
    return CopiedFile(Bytes(data), hashlib.sha256(data).hexdigest(), len(data))


def tree(**texts: str) -> Tree:
    return Tree({PurePosixPath(name): TextFile(text) for name, text in texts.items()})


def one(path: str, text: str = "x\n", *, executable: bool = False) -> Tree:
    return Tree({PurePosixPath(path): TextFile(text, executable)})


# paths


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../b", "", ".", "a\nb", "a\0b", "a\x1b[2Jb"])
def test_a_path_that_is_not_plain_and_relative_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="not a plain relative path"):
        one(path)


def test_a_file_cannot_be_a_directory_too() -> None:
    with pytest.raises(InputError, match="inside of a/b, which is a file"):
        Tree({PurePosixPath("a/b/c/d"): TextFile(""), PurePosixPath("a/b"): TextFile("")})


def test_all_faults_of_a_tree_are_reported_together() -> None:
    with pytest.raises(Faults) as caught:
        Tree({PurePosixPath("/x"): TextFile(""), PurePosixPath("y"): TextFile("\ud800")})
    assert "/x" in str(caught.value)
    assert "y: the text cannot be encoded" in str(caught.value)


@given(st.sets(st.text("ab/.", min_size=1, max_size=6).map(PurePosixPath), max_size=6))
def test_whatever_a_tree_accepts_stays_below_its_root(paths: set[PurePosixPath]) -> None:
    root = Path("/root/of/tree")
    try:
        made = Tree({path: TextFile("") for path in paths})
    except (InputError, Faults):
        bad = any(p.is_absolute() or not p.parts or ".." in p.parts for p in paths)
        assert bad or any(parent in paths for path in paths for parent in path.parents)
    else:
        assert list(made) == sorted(paths)
        for path in made:
            assert Path(os.path.normpath(root / path)).is_relative_to(root)
            assert Path(os.path.normpath(root / path)) != root
            assert not paths.intersection(path.parents)


def test_union_of_trees() -> None:
    assert tree(a="1") | tree(b="2") == tree(a="1", b="2")
    assert tree(a="1") | tree(a="1") == tree(a="1")
    same = Tree({PurePosixPath("i"): copied(b"1")}) | Tree({PurePosixPath("i"): copied(b"1")})
    assert len(same) == 1
    with pytest.raises(InputError, match="a: two different files"):
        tree(a="1") | tree(a="2")
    with pytest.raises(InputError, match="which is a file"):
        tree(a="1") | one("a/b")


def test_a_tree_does_not_change_with_the_mapping_it_was_made_of() -> None:
    files: dict[PurePosixPath, File] = {PurePosixPath("a"): TextFile("1")}
    made = Tree(files)
    files[PurePosixPath("../b")] = TextFile("2")
    assert list(made) == [PurePosixPath("a")]


# seals


def test_the_seal_is_the_digest_of_the_text_with_the_placeholder() -> None:
    digits = hashlib.sha256(HEADER.encode()).hexdigest()[:16]
    assert sealed(HEADER) == f"# made by a test; seal: {digits}\n"


@given(before=st.text(), after=st.text())
def test_a_sealed_text_is_intact_and_any_edit_breaks_it(before: str, after: str) -> None:
    text = f"{before}{SEAL}{after}"
    if any(0xD800 <= ord(c) < 0xE000 for c in text):
        with pytest.raises(InputError):
            one("a", text)
        return
    data = one("a", text)[PurePosixPath("a")]
    assert isinstance(data, TextFile)
    assert is_sealed(data.data)
    assert not is_sealed(data.data + b" ")
    assert not is_sealed(data.data[1:] if before else b"." + data.data)
    assert sealed(sealed(text)) == sealed(text)


def test_text_without_placeholder_is_left_alone_and_not_sealed() -> None:
    assert sealed("{}\n") == "{}\n"
    assert not is_sealed(b"{}\n")
    assert not is_sealed(HEADER.encode())
    assert not is_sealed(b"\xff\0")


def test_a_file_with_two_seals_is_not_intact() -> None:
    digits = hashlib.sha256(f"{SEAL}\n{SEAL}\n".encode()).hexdigest()[:16]
    assert not is_sealed(f"seal: {digits}\nseal: 0123456789abcdef\n".encode())


@pytest.mark.parametrize("imitation", [SEAL, "seal: 0123456789abcdef"])
def test_a_recorded_value_that_imitates_a_seal_is_refused(imitation: str) -> None:
    with pytest.raises(InputError, match="a: the text holds more than one seal"):
        tree(a=HEADER + f"description = {imitation}\n")
