from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pkggen import compression
from pkggen.errors import InputError
from pkggen.record import archive
from pkggen.record.archive import is_archive, read_archive
from tests.test_compression import zstd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import MakeRecord
    from tests.record.conftest import Open

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd,
}


def tar(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w", format=form) as out:
        for member, data in members:
            member.size = len(data)
            out.addfile(member, io.BytesIO(data))
    return body.getvalue()


def entry(
    name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE
) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = "target"
    return member, data


def read(directory: Path, data: bytes) -> dict[str, bytes]:
    path = directory / "all.tar"
    path.write_bytes(data)
    found = {}
    for file in read_archive(path, "all.tar", directory).files:
        with file.content.open() as content:
            found[file.path] = content.read()
    return found


GOOD = tar(entry("./", kind=tarfile.DIRTYPE), entry("./a", b"one"), entry("b/" + "c" * 120, b"two"))
EXPECTED = {"a": b"one", "b/" + "c" * 120: b"two"}


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_kind_of_archive(tmp_path: Path, packer: str, form: int) -> None:
    data = tar(entry("./a", b"one"), entry("b/" + "c" * 90, b"two"), form=form)
    packed = PACKERS[packer](data)
    assert is_archive(packed[:512])
    assert read(tmp_path, packed) == {"a": b"one", "b/" + "c" * 90: b"two"}


@pytest.mark.parametrize("packer", ["gzip", "bzip2", "xz", "zstd"])
def test_archives_packed_in_parts(tmp_path: Path, packer: str) -> None:
    pack = PACKERS[packer]
    assert read(tmp_path, pack(GOOD[:700]) + pack(GOOD[700:])) == EXPECTED


@pytest.mark.parametrize("packer", ["gzip", "bzip2", "xz"])
def test_zeros_may_follow(tmp_path: Path, packer: str) -> None:
    pack = PACKERS[packer]
    assert read(tmp_path, pack(GOOD) + b"\0" * 512) == EXPECTED


@pytest.mark.parametrize("packer", ["gzip", "bzip2", "xz", "zstd"])
def test_damaged_compression_is_refused(tmp_path: Path, packer: str) -> None:
    packed = PACKERS[packer](GOOD)
    flipped = bytearray(packed)
    flipped[len(packed) // 2] ^= 0xFF
    for data in (packed[:-9], packed + b"rest", bytes(flipped)):
        with pytest.raises(InputError, match=r"damaged|breaks off"):
            read(tmp_path, data)


@pytest.mark.slow
@pytest.mark.parametrize("packer", ["gzip", "bzip2", "xz", "zstd"])
def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packer: str) -> None:
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 3_000_000)
    packed = PACKERS[packer](bytes(10_000_000))
    with pytest.raises(InputError, match="larger than 3000000 bytes when unpacked"):
        read(tmp_path, packed)
    assert max(path.stat().st_size for path in tmp_path.glob("*.tar")) <= 3_000_000


def test_xz_that_wants_much_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "_XZ_MEMORY_BYTES", 1024 * 1024)
    with pytest.raises(InputError, match="damaged"):
        read(tmp_path, lzma.compress(GOOD))


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.GNUTYPE_SPARSE,
        b"Z",
    ],
)
def test_other_members_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(InputError):
        read(tmp_path, tar(entry("a", b"x"), entry("bin/evil", kind=kind), form=tarfile.GNU_FORMAT))


def test_a_sparse_member_of_pax_is_refused(tmp_path: Path) -> None:
    member, data = entry("a", b"1\n0\n512\n" + b"\0" * 504 + b"x" * 512)
    member.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "a",
        "GNU.sparse.realsize": "512",
    }
    with pytest.raises(InputError, match="not a regular file"):
        read(tmp_path, tar((member, data)))


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (511, "not a readable tar archive"),
        (512, "is cut off"),
        (1023, "is cut off"),
        (1111, "is cut off"),
        (1112, "unexpected end of data"),
        (1536, "breaks off"),
        (2047, "breaks off"),
    ],
)
def test_a_cut_archive_is_refused(tmp_path: Path, length: int, message: str) -> None:
    data = tar(entry("a", b"x" * 600), form=tarfile.USTAR_FORMAT)
    assert read(tmp_path, data[:2048]) == {"a": b"x" * 600}
    with pytest.raises(InputError, match=message):
        read(tmp_path, data[:length])


def test_a_damaged_header_in_the_middle_is_refused(tmp_path: Path) -> None:
    data = bytearray(tar(entry("a", b"1"), entry("b", b"2"), form=tarfile.USTAR_FORMAT))
    data[1024 + 5] ^= 1
    with pytest.raises(InputError, match="breaks off or is damaged"):
        read(tmp_path, bytes(data))


@pytest.mark.parametrize("size", [-1, -512, -1024])
def test_a_negative_size_does_not_loop(tmp_path: Path, size: int) -> None:
    data = bytearray(tar(entry("a", b"1"), entry("b", b"2"), form=tarfile.USTAR_FORMAT))
    data[1024 + 124 : 1024 + 136] = b"\xff" + size.to_bytes(11, "big", signed=True)  # base 256
    header = bytes(data[1024 : 1024 + 148]) + b" " * 8 + bytes(data[1024 + 156 : 1536])
    data[1024 + 148 : 1024 + 156] = b"%06o\0 " % sum(header)
    # Python versions with CVE-2025-8194 fixed call the header invalid, which ends the archive.
    with pytest.raises(InputError, match=r"is cut off|breaks off or is damaged"):
        read(tmp_path, bytes(data))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_gigantic_extended_header_is_refused(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("x")
    member.type = kind
    member.size = 1 << 33
    with pytest.raises(InputError, match="a header of 8589934592 bytes"):
        read(tmp_path, member.tobuf(tarfile.GNU_FORMAT) + b"\0" * 4096)


def test_endless_extended_headers_are_refused(tmp_path: Path) -> None:
    member = tarfile.TarInfo("x")
    member.type = tarfile.XHDTYPE
    with pytest.raises(InputError, match="not a readable tar archive"):
        read(tmp_path, member.tobuf(tarfile.USTAR_FORMAT) * 3000)


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_MAX_MEMBERS", 2)
    with pytest.raises(InputError, match="more than 2 members"):
        read(tmp_path, tar(entry("a"), entry("b"), entry("c")))


@pytest.mark.slow
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_flipped_bytes_are_never_a_bug(tmp_path: Path, data: st.DataObject) -> None:
    for packer in PACKERS.values():
        whole = bytearray(packer(GOOD))
        for _ in range(data.draw(st.integers(1, 3))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        with contextlib.suppress(InputError):
            assert len(read(tmp_path, bytes(whole))) <= 2


@pytest.mark.parametrize("saved", [True, False])
@pytest.mark.parametrize("packer", PACKERS)
def test_as_source(
    tmp_path: Path, make_record: MakeRecord, opened: Open, packer: str, *, saved: bool
) -> None:
    directory = make_record(tmp_path / "hello", saved=saved)
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as out:
        out.add(directory, ".")
    path = tmp_path / "all.tar.x"
    path.write_bytes(PACKERS[packer](body.getvalue()))
    left, right = opened(path), opened(directory)
    assert left.solo5 == right.solo5
    assert left.solo5 is not None
    assert (left.job, left.platform, left.started, left.origin) == (
        right.job,
        right.platform,
        right.started,
        right.origin,
    )
    assert [(f.path, f.sha256) for f in left.artifacts] == [
        (f.path, f.sha256) for f in right.artifacts
    ]


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../a", "a/../../b", ".//etc/passwd", "a\nb", "a\\b", "\udcff"]
)
def test_hostile_paths_are_refused(tmp_path: Path, opened: Open, name: str) -> None:
    path = tmp_path / "all.tar"
    path.write_bytes(tar(entry(name, b"x"), form=tarfile.GNU_FORMAT))
    with pytest.raises(InputError, match="of an artefact"):
        opened(path)
    assert not (tmp_path.parent / "a").exists()


def test_a_member_twice_is_refused(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "all.tar"
    path.write_bytes(tar(entry("bin/a", b"1"), entry("./bin/a", b"2")))
    with pytest.raises(InputError, match="two files have the path bin/a"):
        opened(path)
