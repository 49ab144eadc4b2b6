"""Archives: the same bytes everywhere, read by other programs, and nothing that was changed."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import os
import subprocess
import sys
import tarfile
import tracemalloc
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkggen.errors import VerificationError
from pkggen.targets.deb.tarball import StoredTarGz, tar_chunks, tar_xz
from pkggen.tree import Bytes, CopiedFile, TextFile, Tree
from pkggen.writer import write
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pkggen.tree import File

TIME: Final = 1_787_000_000
NAMES = st.text(st.sampled_from("ab\xe9\u20ac -_.#"), min_size=1, max_size=40).filter(
    lambda name: name not in {".", ".."} and name.isprintable()
)
PATHS = st.lists(NAMES | st.just("d" * 120), min_size=1, max_size=4).map(
    lambda parts: PurePosixPath(*parts)
)
FILES = st.binary(max_size=1500).map(CopiedFile.of) | st.builds(
    TextFile, st.text(st.characters(codec="utf-8"), max_size=50), executable=st.booleans()
)


def usable(files: Mapping[PurePosixPath, File]) -> bool:
    return not any(parent in files for path in files for parent in path.parents)


TREES = st.dictionaries(PATHS, FILES, max_size=6).filter(usable)


def data_of(file: File) -> bytes:
    with file.content.open() as stream:
        return stream.read()


def members(plain: bytes) -> dict[str, tuple[bytes, int]]:
    """Read a tar with Python's reader; check what all members have in common."""
    found = {}
    seen: list[str] = []
    with tarfile.open(fileobj=io.BytesIO(plain), encoding="utf-8") as tar:
        for member in tar:
            assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
            assert member.mtime == TIME
            seen.append(member.name)
            parent = str(PurePosixPath(member.name).parent)
            assert parent == "." or parent in seen
            if member.isfile():
                stream = tar.extractfile(member)
                assert stream is not None
                found[member.name] = (stream.read(), member.mode)
            else:
                assert (member.isdir(), member.mode) == (True, 0o755)
    assert len(seen) == len(set(seen))
    return found


@given(TREES)
@settings(max_examples=15)
def test_other_readers_find_the_files(files: dict[PurePosixPath, File]) -> None:
    plain = b"".join(tar_chunks(files.items(), TIME))
    assert len(plain) % 512 == 0
    assert members(plain) == {
        str(path): (data_of(file), 0o755 if file.executable else 0o644)
        for path, file in files.items()
    }
    assert lzma.decompress(tar_xz(files.items(), TIME)) == plain
    with StoredTarGz(tuple(files.items()), TIME).open() as stream:
        assert gzip.decompress(stream.read()) == plain


@given(st.lists(st.integers(1, 200_000), max_size=4), st.integers(1, 300_000))
@settings(max_examples=10)
def test_it_can_be_read_in_pieces(sizes: list[int], at_once: int) -> None:
    files = {PurePosixPath(str(n)): CopiedFile.of(bytes(size)) for n, size in enumerate(sizes)}
    content = StoredTarGz(tuple(files.items()), TIME)
    with content.open() as whole, content.open() as stream:
        pieces = list(iter(lambda: stream.read(at_once), b""))
        assert b"".join(pieces) == whole.read()
        assert all(len(piece) == at_once for piece in pieces[:-1])


def test_gzip_xz_and_tar_accept_them(tmp_path: Path) -> None:
    files: dict[PurePosixPath, File] = {
        PurePosixPath("top/a \u20ac"): CopiedFile.of(b"a" * 200_000),
        PurePosixPath("top", "d" * 150, "b"): TextFile("#!/bin/sh\n", executable=True),
    }
    with StoredTarGz(tuple(files.items()), TIME).open() as stream:
        (tmp_path / "a.tar.gz").write_bytes(stream.read())
    (tmp_path / "a.tar.xz").write_bytes(tar_xz(files.items(), TIME))
    for tool, name in (("gzip", "a.tar.gz"), ("xz", "a.tar.xz")):
        subprocess.run([tool, "--test", name], cwd=tmp_path, check=True)
        to = tmp_path / tool
        to.mkdir()
        subprocess.run(["tar", "-xf", f"../{name}"], cwd=to, check=True)
        for path, file in files.items():
            place = to / path
            assert place.read_bytes() == data_of(file)
            assert bool(place.stat().st_mode & 0o100) == file.executable
            assert int(place.stat().st_mtime) == TIME


MAKE: Final = """
import hashlib, os, pathlib, sys
os.umask(int(sys.argv[1], 8))
os.chdir(sys.argv[2])
if os.getuid() == 0 and len(sys.argv) > 3:
    os.setuid(int(sys.argv[3]))
from pkggen.targets.deb.tarball import StoredTarGz, tar_xz
from pkggen.tree import CopiedFile, TextFile
files = {
    pathlib.PurePosixPath("t/\\u20ac" * 20): CopiedFile.of(b"x" * 100_000),
    pathlib.PurePosixPath("t/run"): TextFile("y", executable=True),
}
digest = hashlib.sha256(tar_xz(files.items(), 1_787_000_000))
with StoredTarGz(tuple(files.items()), 1_787_000_000).open() as stream:
    digest.update(stream.read())
print(digest.hexdigest())
"""


def test_the_bytes_do_not_depend_on_who_makes_them_where(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    ways: tuple[tuple[tuple[str, ...], dict[str, str]], ...] = (
        (("022", "/"), {"TZ": "UTC", "PYTHONHASHSEED": "1"}),
        (
            ("077", str(tmp_path)),
            {
                "TZ": "Pacific/Kiritimati",
                "PYTHONHASHSEED": "2",
                "LC_ALL": "C",
                "PYTHONUTF8": "0",
                "PYTHONCOERCECLOCALE": "0",
            },
        ),
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", MAKE, *arguments],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), **environment},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for arguments, environment in ways
    }
    assert len(made) == 1


class Streamed:
    """A large content that is never in memory as a whole."""

    def __init__(self, size: int) -> None:
        self.size = size

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        with Path("/dev/zero").open("rb") as zeros:
            yield _Head(zeros, self.size)  # type: ignore[misc]


class _Head(io.RawIOBase):
    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream, self.left = stream, size

    def read(self, size: int = -1) -> bytes:
        data = self.stream.read(min(size, self.left))
        self.left -= len(data)
        return data


def test_large_members_are_streamed() -> None:
    size = 48 * 1024 * 1024
    digest = hashlib.sha256()
    for _ in range(48):
        digest.update(bytes(1024 * 1024))
    large = CopiedFile(content=Streamed(size), sha256=digest.hexdigest(), size=size)
    content = StoredTarGz(((PurePosixPath("large"), large),), TIME)
    tracemalloc.start()
    try:
        with content.open() as stream:
            while stream.read(1024 * 1024):
                pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * 1024 * 1024


@pytest.mark.parametrize("found", [b"other", b"longer than before", b"", b"ab"])
def test_a_changed_member_is_refused_and_nothing_written(found: bytes, tmp_path: Path) -> None:
    was = CopiedFile.of(b"this!")
    changed = CopiedFile(content=Bytes(found), sha256=was.sha256, size=was.size)
    files = ((PurePosixPath("t/x"), changed),)
    with pytest.raises(VerificationError, match="t/x: changed since it was read"):
        tar_xz(files, TIME)
    packed = StoredTarGz(files, TIME)
    with pytest.raises(VerificationError, match="t/x: changed"), packed.open() as stream:
        stream.read()
    archive = CopiedFile(content=packed, sha256="0" * 64, size=1)
    tree = Tree({PurePosixPath("a"): CopiedFile.of(b"a"), PurePosixPath("x.tar.gz"): archive})
    with pytest.raises(VerificationError):
        write(tree, tmp_path / "out")
    assert not (tmp_path / "out").exists()
