from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from debian.debfile import DebFile
from hypothesis import given
from hypothesis import strategies as st

from pkggen.errors import InputError
from pkggen.publish.apt.deb_file import MAX_ARCHIVE_BYTES, MAX_CONTROL_BYTES, Deb, read_deb
from tests.publish.apt.make import TIME, ar, control, deb_data, tar
from tests.test_compression import bomb, frame, zstd

if TYPE_CHECKING:
    from pathlib import Path

CONTROL = [("./control", control().encode())]


def read(data: bytes) -> Deb:
    return read_deb(io.BytesIO(data), "x.deb")


def test_what_python_debian_reads_is_read() -> None:
    text = control(version="2:1.0~rc1-1", more="Source: libgreet (1.5)\nDepends: libc6\n")
    data = deb_data(text, files=[("./md5sums", b"0  x\n")])
    deb = read(data)
    oracle = DebFile(fileobj=io.BytesIO(data)).debcontrol()
    assert (deb.name, deb.version, deb.architecture) == ("hello", "2:1.0~rc1-1", "amd64")
    assert deb.source == "libgreet"
    assert deb.newest == TIME
    assert list(deb.fields) == list(oracle)
    assert deb.fields["Depends"] == oracle["Depends"]


@pytest.mark.parametrize(
    "members",
    [
        {"control.tar": tar(CONTROL)},
        {"control.tar.gz": gzip.compress(tar(CONTROL))},
        {"control.tar.xz": lzma.compress(tar(CONTROL))},
        {"control.tar.zst": zstd(tar(CONTROL))},
        {"_extra": b"odd", "control.tar.gz/": gzip.compress(tar(CONTROL))},
    ],
)
def test_every_way_to_pack_it(members: dict[str, bytes]) -> None:
    assert read(deb_data(members=members)).name == "hello"


@pytest.mark.parametrize("packing", ["xz", "gzip", "zstd", "none"])
def test_what_dpkg_deb_builds(tmp_path: Path, packing: str) -> None:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("NOT COMPARED WITH dpkg-deb: install dpkg")
    (tmp_path / "tree/DEBIAN").mkdir(parents=True)
    (tmp_path / "tree/DEBIAN/control").write_text(control())
    built = tmp_path / "built.deb"
    words = ["--root-owner-group", f"-Z{packing}", "-b", str(tmp_path / "tree"), str(built)]
    subprocess.run(["dpkg-deb", *words], check=True, capture_output=True)
    assert read(built.read_bytes()).fields == read(deb_data()).fields
    members = {"control.tar.zst": zstd(tar(CONTROL))} if packing == "zstd" else None
    (tmp_path / "ours.deb").write_bytes(deb_data(members=members))
    words = ["--field", str(tmp_path / "ours.deb")]
    shown = subprocess.run(["dpkg-deb", *words], check=True, capture_output=True, text=True)
    assert shown.stdout == control()


def test_frames_that_dpkg_does_not_read_are_refused(tmp_path: Path) -> None:
    """Its first frame and all of them are two control files, of which dpkg reads the first."""
    first, both = tar(CONTROL), tar([*CONTROL, ("./postinst", b"#!/bin/sh\n")])
    end = len(first.rstrip(b"\0")) + 511 & ~511
    assert both.startswith(first[:end])
    data = deb_data(members={"control.tar.zst": zstd(both[:end]) + zstd(both[end:])})
    with pytest.raises(InputError, match="more follows the first compressed stream"):
        read(data)
    if shutil.which("dpkg-deb") is None:
        pytest.skip("NOT COMPARED WITH dpkg-deb: install dpkg")
    (tmp_path / "x.deb").write_bytes(data)
    words = ["--ctrl-tarfile", str(tmp_path / "x.deb")]
    shown = subprocess.run(["dpkg-deb", *words], check=True, capture_output=True)
    assert shown.stdout == both[:end]


def link(name: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    return packed.getvalue()


HOSTILE = {
    "empty": (b"", "not a Debian package"),
    "text": (b"hello", "not a Debian package"),
    "cut": (deb_data()[:-200], "breaks off"),
    "header cut": (deb_data()[:80], "damaged"),
    "no data": (ar([("debian-binary", b"2.0\n"), ("control.tar", tar(CONTROL))]), "members"),
    "twice": (deb_data(members={"control.tar": tar(CONTROL), "control.tar.gz": b""}), "members"),
    "foreign": (deb_data(members={"control.tar": tar(CONTROL), "evil": b""}), "members"),
    "version": (
        ar([("debian-binary", b"3.0\n"), ("control.tar", b""), ("data.tar", b"")]),
        "version 2",
    ),
    "bzip2": (deb_data(members={"control.tar.bz2": bz2.compress(tar(CONTROL))}), "-Zxz"),
    "bad zstd": (deb_data(members={"control.tar.zst": b"(\xb5/\xfdnothing"}), "damaged"),
    "cut zstd": (deb_data(members={"control.tar.zst": zstd(tar(CONTROL))[:-9]}), "breaks off"),
    "xz called zstd": (deb_data(members={"control.tar.zst": lzma.compress(b"")}), "damaged"),
    "zstd of a large window": (deb_data(members={"control.tar.zst": frame(2**28)}), "memory"),
    "bomb of zstd": (deb_data(members={"control.tar.zst": bomb(1000)}), "larger"),
    "bad xz": (deb_data(members={"control.tar.xz": b"\xfd7zXZ\0nothing"}), "damaged"),
    "bad gz": (deb_data(members={"control.tar.gz": gzip.compress(tar(CONTROL))[:-9]}), "damaged"),
    "bomb": (
        deb_data(members={"control.tar.gz": gzip.compress(b"\0" * (MAX_ARCHIVE_BYTES + 1), 1)}),
        "larger",
    ),
    "no control": (deb_data(members={"control.tar": tar([("./md5sums", b"")])}), "no file"),
    "two controls": (deb_data(files=[("control", b"")]), "one file"),
    "link": (deb_data(members={"control.tar": link("./control")}), "one file"),
    "outside": (deb_data(files=[("../../etc/passwd", b"")]), "holds '../../etc/passwd'"),
    "damaged tar": (
        deb_data(members={"control.tar": tar(CONTROL)[:1024] + b"x" * 512}),
        "damaged",
    ),
    "huge control": (deb_data(control() + "X: " + "y" * MAX_CONTROL_BYTES), "one file"),
    "latin-1": (deb_data(control().encode() + b"X: \xe9\n"), "damaged"),
    "two stanzas": (deb_data(control() + "\nPackage: evil\n"), "2 stanzas"),
    "injected by spaces": (deb_data(control() + " \nPackage: evil\n"), "2 stanzas"),
    "carriage return": (deb_data(control() + "X: 1\r\rPackage: evil\n"), "control character"),
    "double": (deb_data(control() + "package: evil\n"), "twice"),
    "no version": (deb_data("Package: hello\nArchitecture: all\n"), "no field Version"),
    "filename": (deb_data(control() + "filename: ../evil\n"), "must not have the field"),
    "sha256": (deb_data(control() + "SHA256: 00\n"), "must not have the field"),
    "name": (deb_data(control(name="../../hello")), "no package name"),
    "capitals": (deb_data(control(name="Hello")), "no package name"),
    "version with slash": (deb_data(control(version="1/../../2")), "no version"),
    "version with letter": (deb_data(control(version="a1")), "no version"),
    "empty revision": (deb_data(control(version="1-")), "no version"),
    "architecture": (deb_data(control(architecture="any")), "no architecture"),
    "source": (deb_data(control(more="Source: ../x\n")), "no package name"),
    "source version": (deb_data(control(more="Source: x (1/2)\n")), "no version"),
    "source words": (deb_data(control(more="Source: a b c\n")), "field Source"),
}


@pytest.mark.parametrize(("data", "message"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_packages_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(InputError) as refused:
        read(data)
    assert message in str(refused.value)


@given(st.integers(0, 700), st.binary(min_size=1, max_size=40))
def test_damage_is_an_error_of_ours_or_does_not_matter(offset: int, junk: bytes) -> None:
    data = bytearray(deb_data())
    data[offset : offset + len(junk)] = junk
    try:
        read(bytes(data))
    except InputError:
        return
