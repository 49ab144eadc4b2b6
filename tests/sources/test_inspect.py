from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from pkggen.errors import Faults, InputError, PkggenError
from pkggen.sources import inspect
from pkggen.sources.inspect import inspect_archive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOISE = random.Random(2).randbytes(300_000)  # noqa: S311 - the same in every run

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".tar": bytes,
    ".tar.gz": lambda data: gzip.compress(data, mtime=0),
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
}


def member(name: str, kind: bytes = tarfile.REGTYPE, **more: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in more.items():
        setattr(info, key, value)
    return info


def tar(*members: tarfile.TarInfo, form: int = tarfile.PAX_FORMAT) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=form) as archive:
        for info in members:
            archive.addfile(info, io.BytesIO(NOISE[: info.size]))
    return data.getvalue()


def link(name: str, target: str) -> tarfile.TarInfo:
    return member(name, tarfile.SYMTYPE, linkname=target)


def hard(name: str, target: str) -> tarfile.TarInfo:
    return member(name, tarfile.LNKTYPE, linkname=target)


GOOD = (
    member("top", tarfile.DIRTYPE, mode=0o2755),
    member("top/a", size=3000),
    member("top/" + "long/" * 60 + "b", size=1),
    link("top/c", "a"),
    link("top/d/e", "../a"),
    link("top/d/f", "./../x/y"),
    hard("top/g", "top/a"),
    member("top", tarfile.DIRTYPE),
    member("./top/h", size=0),
)


def check(tmp_path: Path, data: bytes, suffix: str = ".tar") -> str:
    path = tmp_path / "archive"
    path.write_bytes(data)
    return inspect_archive(path, suffix, "archive")


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_good_archives(tmp_path: Path, suffix: str, form: int) -> None:
    data = PACKERS[suffix](tar(*GOOD, form=form))
    assert check(tmp_path, data, suffix) == suffix.removeprefix(".")
    assert check(tmp_path, data, "") == suffix.removeprefix(".")


@pytest.mark.parametrize("suffix", [".tgz", ".tbz", ".tbz2", ".txz"])
def test_short_suffixes(tmp_path: Path, suffix: str) -> None:
    long = {".tgz": ".tar.gz", ".txz": ".tar.xz"}.get(suffix, ".tar.bz2")
    assert check(tmp_path, PACKERS[long](tar(*GOOD)), suffix) == long.removeprefix(".")


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("other", PACKERS)
def test_a_wrong_suffix_names_both(tmp_path: Path, suffix: str, other: str) -> None:
    data = PACKERS[other](tar(*GOOD))
    if suffix != other:
        with pytest.raises(InputError) as caught:
            check(tmp_path, data, suffix)
        assert f"called {suffix}" in str(caught.value)
        assert f"those of {other.removeprefix('.')}" in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"text", b"\x28\xb5\x2f\xfd zstd", b"\0" * 1024])
def test_what_is_no_archive(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InputError, match="no archive that pkggen knows"):
        check(tmp_path, data)


BAD = [
    ((member("/etc/passwd"),), "has an absolute path"),
    ((member("../x"),), "has `..` in its path"),
    ((member("a/../../x"),), "has `..` in its path"),
    ((member("d/..", tarfile.DIRTYPE),), "has `..` in its path"),
    ((link("a", "/etc/passwd"),), "is a link to '/etc/passwd'"),
    ((link("a", ".."),), "may leave the archive"),
    ((link("a/b", "../../x"),), "may leave the archive"),
    ((link("a/b", "c/../../x"),), "may leave the archive"),
    ((link("a/l", "."), link("a/m", "l/l/../../../x")), "may leave the archive"),
    ((link("a", "b"), member("a/x")), "lies behind 'a'"),
    ((member("a/x"), link("a", "b")), "lies behind 'a'"),
    ((member("a"), member("a/x")), "lies behind 'a'"),
    ((hard("a", "/etc/passwd"),), "is no file before it"),
    ((hard("a", "../x"),), "is no file before it"),
    ((link("l", "x"), hard("a", "l")), "is no file before it"),
    ((hard("a", "b"), member("b")), "is no file before it"),
    ((member("a", tarfile.CHRTYPE),), "is a device"),
    ((member("a", tarfile.BLKTYPE),), "is a device"),
    ((member("a", tarfile.FIFOTYPE),), "is a device, a pipe"),
    ((member("a", mode=0o4755),), "is set-user-ID"),
    ((member("a", mode=0o2755),), "is set-user-ID"),
    ((member("a"), member("./a")), "is there twice"),
    ((member("a"), link("a", "b")), "is there twice"),
    ((member("a", tarfile.DIRTYPE), link("a", "b")), "is both a directory and something else"),
]


@pytest.mark.parametrize(("members", "told"), BAD, ids=range(len(BAD)))
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_unsafe_members(
    tmp_path: Path, members: tuple[tarfile.TarInfo, ...], told: str, suffix: str
) -> None:
    with pytest.raises(PkggenError) as caught:
        check(tmp_path, PACKERS[suffix](tar(member("top/x"), *members)), suffix)
    assert caught.value.exit_code == 3
    assert told in str(caught.value)


def test_all_unsafe_members_are_told(tmp_path: Path) -> None:
    with pytest.raises(Faults) as caught:
        check(tmp_path, tar(member("/a"), member("../b"), link("c", "/d"), member("e")))
    assert len(caught.value.faults) == 3


@pytest.mark.parametrize("suffix", PACKERS)
def test_damaged_archives(tmp_path: Path, suffix: str) -> None:
    data = PACKERS[suffix](tar(member("a", size=100_000), member("b", size=50_000)))
    for size in (600, len(data) // 2, len(data) - 11_000):
        with pytest.raises(InputError, match="archive"):
            check(tmp_path, data[:size], suffix)
    middle = len(data) // 2
    if suffix != ".tar":
        with pytest.raises(InputError, match="archive"):
            check(tmp_path, data[:middle] + b"?" + data[middle + 1 :], suffix)


def test_a_damaged_header_is_not_the_end(tmp_path: Path) -> None:
    data = bytearray(tar(member("a", size=512), member("../b", size=512)))
    data[1024] ^= 1
    with pytest.raises(InputError, match="breaks off or is damaged"):
        check(tmp_path, bytes(data))


def test_several_compressed_streams_in_a_row(tmp_path: Path) -> None:
    plain = tar(*GOOD)
    data = gzip.compress(plain[:2000]) + gzip.compress(plain[2000:])
    assert check(tmp_path, data, ".tar.gz") == "tar.gz"


def test_headers_of_hostile_size(tmp_path: Path) -> None:
    header = member("x", tarfile.XHDTYPE, size=8 << 30).tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(InputError, match="a header of"):
        check(tmp_path, header + b"\0" * 4096)


def test_sparse_files(tmp_path: Path) -> None:
    header = bytearray(member("x", tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
    header[386:398] = header[483:495] = b"77777777777\0"
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    with pytest.raises(InputError, match="sparse"):
        check(tmp_path, bytes(header) + b"\0" * 1024)


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.bz2", ".tar.xz", ".zip"])
def test_bombs(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "RATIO_FREE_BYTES", 1_000_000)
    zeros = bytes(8_000_000)
    if suffix == ".zip":
        data = make_zip(("a", 0, zeros))
    else:
        head = member("a", size=len(zeros)).tobuf()
        data = PACKERS[suffix](head + zeros + bytes(1024))
    with pytest.raises(InputError, match="more than 200 times larger when unpacked"):
        check(tmp_path, data, suffix)


def test_the_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "MAX_UNPACKED_BYTES", 100_000)
    with pytest.raises(InputError, match="larger than 100000 bytes when unpacked"):
        check(tmp_path, tar(member("a", size=200_000)))


def test_the_number_of_members_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "MAX_MEMBERS", 5)
    with pytest.raises(InputError, match="more than 5 members"):
        check(tmp_path, tar(*(member(str(number)) for number in range(6))))


# zip


def make_zip(*members: tuple[str, int, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, mode, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return data.getvalue()


def test_a_good_zip(tmp_path: Path) -> None:
    data = make_zip(
        ("top/", 0o40755, b""), ("top/a", 0o100644, NOISE), ("b", 0, b""), ("c", 0o120777, b"top/a")
    )
    assert check(tmp_path, data, ".zip") == "zip"
    with pytest.raises(InputError, match=r"called \.tar\.gz, but its bytes are those of zip"):
        check(tmp_path, data, ".tar.gz")


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ((("/a", 0, b""),), "has an absolute path"),
        ((("../a", 0, b""),), "has `..` in its path"),
        ((("a", 0o120777, b"/etc"),), "is a link to '/etc'"),
        ((("a", 0o120777, b"../x"),), "may leave the archive"),
        ((("a", 0o120777, b"b"), ("a/x", 0, b"")), "lies behind 'a'"),
        ((("a", 0o020666, b""),), "is a device or a pipe"),
        ((("a", 0o104755, b""),), "is set-user-ID"),
    ],
)
def test_an_unsafe_zip(
    tmp_path: Path, members: tuple[tuple[str, int, bytes], ...], told: str
) -> None:
    with pytest.raises(InputError) as caught:
        check(tmp_path, make_zip(*members), ".zip")
    assert told in str(caught.value)


def test_a_zip_with_a_name_twice(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = make_zip(("a", 0, b"1"), ("a", 0, b"2"))
    with pytest.raises(InputError, match="is there twice"):
        check(tmp_path, data, ".zip")


def test_a_damaged_zip(tmp_path: Path) -> None:
    data = make_zip(("a", 0, NOISE))
    with pytest.raises(InputError, match="cannot be read"):
        check(tmp_path, data[:-30], ".zip")
    with pytest.raises(InputError, match="cannot be read"):
        check(tmp_path, data[:1000] + b"?" + data[1001:], ".zip")


def test_an_encrypted_zip(tmp_path: Path) -> None:
    data = bytearray(make_zip(("a", 0, b"x")))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(InputError, match="is encrypted"):
        check(tmp_path, bytes(data), ".zip")


def test_paths_of_hostile_depth(tmp_path: Path) -> None:
    place = tmp_path / "a.tar"
    place.write_bytes(tar(member("a/" * 200_000 + "b")))
    with pytest.raises(InputError, match="has a path of more than 4096 characters"):
        inspect_archive(place, ".tar", "a.tar")
