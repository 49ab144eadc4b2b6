"""NAR hashes against Nix itself, on random trees, tars of them, and hostile tars."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkggen.errors import Faults, InputError
from pkggen.sources import nar
from pkggen.sources.hashes import CHUNK_BYTES, Sri

NIX_HASH: Final = shutil.which("nix-hash")
NIX: Final = shutil.which("nix")

needs_nix = pytest.mark.skipif(
    NIX_HASH is None or NIX is None, reason="NO NIX: install nix-bin to compare with Nix itself"
)

EMPTY_DIRECTORY: Final = "sha256-pQpattmS9VmO3ZIQUFn66az8GSmB4IvYhTTCFn6SUmo="
"""Known to everyone who ever fetched an empty source with Nix: 0sjjj9z1dhil…"""

Content = bytes | tuple[bytes, bool] | dict[bytes, "Content"]
"""Target of a link; bytes and executable bit of a file; entries of a directory."""

NAMES: Final = (
    st.binary(min_size=1, max_size=12)
    .map(lambda name: name.replace(b"/", b"_").replace(b"\0", b"\xff"))
    .filter(lambda name: name not in {b".", b".."})
) | st.sampled_from([b"a", b"a.b", b"a-", b"a0", b"A", b"\xc3\xa9", b"\xff", b"n" * 200])
FILES: Final = st.tuples(st.binary(max_size=20), st.booleans())
LINKS: Final = st.binary(min_size=1, max_size=20).map(
    lambda target: target.replace(b"\0", b"/")
) | st.just(b"t" * 150)
TREES: Final = st.dictionaries(
    NAMES,
    st.recursive(FILES | LINKS, lambda inner: st.dictionaries(NAMES, inner, max_size=4)),
    max_size=6,
)


def on_disk(path: bytes, content: Content) -> None:
    if isinstance(content, bytes):
        os.symlink(content, path)  # noqa: PTH211 - names are bytes
    elif isinstance(content, tuple):
        with open(path, "xb") as file:  # noqa: PTH123 - likewise
            file.write(content[0])
        os.chmod(path, 0o755 if content[1] else 0o644)  # noqa: PTH101 - likewise
    else:
        os.mkdir(path)  # noqa: PTH102 - likewise
        for name, inner in content.items():
            on_disk(path + b"/" + name, inner)


def nix_hash(paths: list[Path], *options: str) -> list[Sri]:
    said = subprocess.run(
        ["nix-hash", "--type", "sha256", "--base32", *options, *paths],
        check=True,
        capture_output=True,
        text=True,
    )
    return [nar.from_nix32(line) for line in said.stdout.split()]


@pytest.mark.slow
@needs_nix
@settings(max_examples=25)
@given(st.lists(TREES, min_size=1, max_size=4))
def test_directory_and_tar_hash_as_in_nix(trees: list[dict[bytes, Content]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        tops = [Path(place, f"top{number}") for number in range(len(trees))]
        for top, tree in zip(tops, trees, strict=True):
            on_disk(os.fsencode(top), tree)
        for top, known in zip(tops, nix_hash(tops), strict=True):
            assert nar.hash_path(top) == known
            packed = Path(place, "packed.tar")
            with tarfile.open(packed, "w", encoding="utf-8", errors="surrogateescape") as archive:
                archive.add(top, "top")
            assert nar.hash_tar(packed) == known


@needs_nix
@settings(max_examples=5)
@given(st.lists(st.tuples(st.binary(max_size=40), st.booleans()), min_size=1, max_size=10))
def test_file_hashes_as_in_nix(contents: list[tuple[bytes, bool]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        files = [Path(place, f"file{number}") for number in range(len(contents))]
        for file, content in zip(files, contents, strict=True):
            on_disk(os.fsencode(file), content)
        assert [nar.hash_path(file) for file in files] == nix_hash(files)
        assert [nar.hash_flat(file) for file in files] == nix_hash(files, "--flat")


@needs_nix
def test_written_form_is_that_of_nix(tmp_path: Path) -> None:
    on_disk(os.fsencode(tmp_path / "top"), {b"link": b"gone", b"empty": {}, b"file": (b"", False)})
    command = ["nix", "--extra-experimental-features", "nix-command", "hash", "path"]
    said = subprocess.run([*command, tmp_path / "top"], check=True, capture_output=True, text=True)
    assert str(nar.hash_path(tmp_path / "top")) == said.stdout.strip()


@needs_nix
@settings(max_examples=5)
@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=20))
def test_base32_is_that_of_nix(digests: list[bytes]) -> None:
    said = subprocess.run(
        ["nix-hash", "--type", "sha256", "--to-base32", *(digest.hex() for digest in digests)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert [nar.from_nix32(line).digest for line in said.stdout.split()] == digests


def test_known_hashes(tmp_path: Path) -> None:
    empty = "0sjjj9z1dhilhpc8pq4154czrb79z9cm044jvn75kxcjv6v5l2m5"
    (tmp_path / "empty").mkdir()
    assert str(nar.hash_path(tmp_path / "empty")) == EMPTY_DIRECTORY
    assert str(nar.from_nix32(empty)) == EMPTY_DIRECTORY


@pytest.mark.parametrize("text", ["", "0" * 51, "0" * 53, "e" * 52, "z" * 52, "0" * 51 + "\n"])
def test_what_is_no_base32(text: str) -> None:
    with pytest.raises(InputError, match="base 32"):
        nar.from_nix32(text)


def test_large_file_is_read_in_pieces(tmp_path: Path) -> None:
    file = tmp_path / "large"
    with file.open("wb") as sparse:
        sparse.truncate(3 * CHUNK_BYTES + 5)
    packed = tmp_path / "packed.tar"
    with tarfile.open(packed, "w") as archive:
        archive.add(file, "large")
    assert nar.hash_tar(packed) == nar.hash_path(file)


def test_depth_does_not_matter(tmp_path: Path) -> None:
    packed = tmp_path / "deep.tar"
    with tarfile.open(packed, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("/".join("d" * 5000)))
    shallow = tmp_path / "shallow.tar"
    with tarfile.open(shallow, "w") as archive:
        archive.addfile(tarfile.TarInfo("d"))
    assert nar.hash_tar(packed) != nar.hash_tar(shallow)


@pytest.mark.parametrize("special", ["pipe", "missing"])
def test_what_cannot_be_hashed_on_disk(tmp_path: Path, special: str) -> None:
    if special == "pipe":
        os.mkfifo(tmp_path / special)
    with pytest.raises(InputError, match=special):
        nar.hash_path(tmp_path / special)


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="NO /proc: it is not Linux")
def test_file_that_has_more_than_it_says() -> None:
    with pytest.raises(InputError, match="is damaged, or changes"):
        nar.hash_path(Path("/proc/version"))


# Tars


def member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    info.mode = mode
    return info


def tar(*members: tarfile.TarInfo) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info in members:
            data = b"content of a file"
            if info.isreg():
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


def test_compression_does_not_matter(tmp_path: Path) -> None:
    plain = tar(member("top/a"), member("top/b", mode=0o755))
    found = set()
    packings = {
        "tar": plain,
        "gz": gzip.compress(plain),
        "bz2": bz2.compress(plain),
        "xz": lzma.compress(plain),
        "lzma": lzma.compress(plain, format=lzma.FORMAT_ALONE),
    }
    for suffix, data in packings.items():
        (tmp_path / suffix).write_bytes(data)
        found.add(nar.hash_tar(tmp_path / suffix))
    on_disk(
        os.fsencode(tmp_path / "top"),
        {b"a": (b"content of a file", False), b"b": (b"content of a file", True)},
    )
    assert found == {nar.hash_path(tmp_path / "top")}


def test_several_members_at_the_top_are_one_directory(tmp_path: Path) -> None:
    (tmp_path / "tar").write_bytes(tar(member("./a"), member("./sub/b")))
    (tmp_path / "same").write_bytes(tar(member("top/a"), member("top/sub/b")))
    assert nar.hash_tar(tmp_path / "tar") == nar.hash_tar(tmp_path / "same")


def test_hard_link_is_another_file(tmp_path: Path) -> None:
    (tmp_path / "tar").write_bytes(tar(member("t/a"), member("t/b", tarfile.LNKTYPE, "t/a")))
    (tmp_path / "same").write_bytes(tar(member("t/a"), member("t/b")))
    assert nar.hash_tar(tmp_path / "tar") == nar.hash_tar(tmp_path / "same")


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        ([member("/etc/passwd")], "has an absolute path"),
        ([member("a/../../b")], "has '..' in its path"),
        ([member("a"), member("a")], "is there twice"),
        ([member("a"), member("./a/b")], "lies below something that is no directory"),
        ([member("a", tarfile.SYMTYPE, "/etc"), member("a/b")], "lies below something"),
        ([member("a/b"), member("a")], "is there twice"),
        ([member("a", tarfile.CHRTYPE)], "is neither file"),
        ([member("a", tarfile.FIFOTYPE)], "is neither file"),
        ([member("a", tarfile.LNKTYPE, "/etc/passwd")], "has an absolute path"),
        ([member("a", tarfile.LNKTYPE, "b"), member("b")], "is a hard link to no file"),
        ([member("./")], "has no name"),
    ],
)
def test_hostile_members(tmp_path: Path, members: list[tarfile.TarInfo], fault: str) -> None:
    (tmp_path / "tar").write_bytes(tar(*members))
    with pytest.raises(InputError) as caught:
        nar.hash_tar(tmp_path / "tar")
    assert fault in caught.value.message
    assert caught.value.where == str(tmp_path / "tar")


def test_sparse_member_is_refused(tmp_path: Path) -> None:
    """A few bytes could stand for any number of zeros."""
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(10_000_000)
    command = ["tar", "--sparse", "--format=gnu", "-cf", "packed.tar", "hole"]
    subprocess.run(command, cwd=tmp_path, check=True)
    with pytest.raises(InputError, match="is neither file"):
        nar.hash_tar(tmp_path / "packed.tar")


def test_all_hostile_members_are_named(tmp_path: Path) -> None:
    (tmp_path / "tar").write_bytes(tar(member("/a"), member("../b"), member("good")))
    with pytest.raises(Faults) as caught:
        nar.hash_tar(tmp_path / "tar")
    assert len(caught.value.faults) == 2


def test_damage(tmp_path: Path) -> None:
    whole = tar(member("a"), member("b"))
    damaged = {
        "text": b"no tar at all" * 100,
        "cut": whole[:520],
        "header": whole[:1024] + b"x" + whole[1025:],
        "gzip": gzip.compress(whole)[:-20],
        "xz": lzma.compress(whole)[:-20],
    }
    for name, data in damaged.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=name):
            nar.hash_tar(tmp_path / name)


def test_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nar, "MAX_TAR_BYTES", 10_000)
    (tmp_path / "bomb").write_bytes(gzip.compress(bytes(10_000_000)))
    with pytest.raises(InputError, match="unpacks to more than 10000 bytes"):
        nar.hash_tar(tmp_path / "bomb")
