from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import subprocess
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Literal

import pytest

from pkggen.errors import Faults, InputError, PkggenError
from pkggen.record import binary_package
from pkggen.record.artifact import FileContent, measure
from pkggen.record.binary_package import read_package
from pkggen.record.model import Artifact
from tests.test_compression import frame, skippable, zstd

if TYPE_CHECKING:
    from collections.abc import Iterable

SCRIPT: Final = "#!/bin/sh\ntouch /pkggen-was-here\n"


def entry(name: str, data: bytes = b"x", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    info.size = len(data) if info.isreg() else 0
    return info, data


def tar(
    entries: Iterable[tuple[tarfile.TarInfo, bytes]], mode: Literal["w", "w:gz", "w:xz"]
) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return target.getvalue()


def ar(members: Iterable[tuple[str, bytes]]) -> bytes:
    whole = b"!<arch>\n"
    for name, data in members:
        whole += b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name.encode(), 0, 0, 0, b"100644", len(data))
        whole += data + b"\n" * (len(data) % 2)
    return whole


def deb(
    *entries: tuple[tarfile.TarInfo, bytes],
    control: tuple[str, ...] = ("control",),
    packing: Literal["xz", "zst"] = "xz",
) -> bytes:
    scripts = [entry(f"./{name}", SCRIPT.encode(), mode=0o755) for name in control]
    if packing == "zst":  # as in Ubuntu
        return ar(
            [
                ("debian-binary", b"2.0\n"),
                ("control.tar.zst", zstd(tar(scripts, "w"))),
                ("data.tar.zst", zstd(tar(entries, "w"))),
            ]
        )
    return ar(
        [
            ("debian-binary", b"2.0\n"),
            ("control.tar.gz", tar(scripts, "w:gz")),
            ("data.tar.xz", tar(entries, "w:xz")),
        ]
    )


def artifact(directory: Path, data: bytes, name: str = "bin/tool.deb") -> Artifact:
    path = directory / PurePosixPath(name).name
    path.write_bytes(data)
    with path.open("rb") as file:
        found = measure(file, name)
    return Artifact(
        path=PurePosixPath(name), size=found.size, sha256=found.sha256, content=FileContent(path)
    )


def faults_of(directory: Path, data: bytes, name: str = "bin/tool.deb") -> list[str]:
    with pytest.raises(PkggenError) as caught:
        read_package(artifact(directory, data, name))
    found = caught.value
    return [str(one) for one in (found.faults if isinstance(found, Faults) else [found])]


@pytest.mark.parametrize("packing", ["xz", "zst"])
def test_files_of_a_deb_are_files_of_a_prefix(
    tmp_path: Path, packing: Literal["xz", "zst"]
) -> None:
    data = deb(
        entry("./", type=tarfile.DIRTYPE),
        entry("./usr/bin/tool", b"program", mode=0o755),
        entry("./usr/libexec/tool/toold", b"daemon", mode=0o755),
        entry("./etc/tool/a.conf", b"a=1\n"),
        entry("./usr/share/doc/tool/examples/x", b"y"),
        packing=packing,
    )
    found = read_package(artifact(tmp_path, data))
    assert [str(file.path) for file in found.files] == [
        "bin/tool",
        "doc/tool/examples/x",
        "etc/tool/a.conf",
        "libexec/tool/toold",
    ]
    assert found.members[0] == "./usr/bin/tool"
    assert found.left_out == ()
    with found.files[3].content.open() as stream:
        assert stream.read() == b"daemon"
    assert found.files[3].size == 6


PKG: Final = tar(
    [
        entry("+COMPACT_MANIFEST", b"{}"),
        entry("+MANIFEST", b"{}"),
        entry("/usr/local/bin/tool", b"program", mode=0o755),
        entry("/usr/local/etc/tool.conf", b"a=1\n"),
        entry("/usr/local/etc/rc.d/tool", b"#!/bin/sh\n"),
    ],
    "w",
)


@pytest.mark.parametrize(
    "data",
    [
        PKG,
        gzip.compress(PKG),
        bz2.compress(PKG),
        lzma.compress(PKG),
        zstd(PKG),
        zstd(PKG[:999]) + skippable(b"x") + zstd(PKG[999:]),
    ],
    ids=["plain", "gzip", "bzip2", "xz", "zstd", "frames of zstd"],
)
def test_files_of_a_pkg_are_files_of_a_prefix(tmp_path: Path, data: bytes) -> None:
    found = read_package(artifact(tmp_path, data, "bin/tool.pkg"))
    assert [str(file.path) for file in found.files] == ["bin/tool", "etc/tool.conf"]
    assert len(found.left_out) == 1
    with found.files[0].content.open() as stream:
        assert stream.read() == b"program"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (zstd(PKG)[:-1], "damaged: the compressed data breaks off"),
        (zstd(PKG) + b"more", "damaged"),
        (zstd(PKG) + bytes(512), "damaged"),
        (frame(256 * 1024 * 1024, PKG), "too much memory"),
        (zstd(PKG + bytes(20_000) + b"x"), "there is more behind its end"),
    ],
)
def test_a_damaged_pkg_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (found,) = faults_of(tmp_path, data, "bin/tool.pkg")
    assert message in found


@pytest.mark.parametrize("number", range(5))
def test_what_is_behind_a_damaged_header_is_not_passed_over(tmp_path: Path, number: int) -> None:
    """Each entry has a header and one block."""
    data = bytearray(PKG)
    data[1024 * number] ^= 1
    (found,) = faults_of(tmp_path, bytes(data), "bin/tool.pkg")
    assert "damaged" in found


def test_a_tar_archive_without_an_end_is_read(tmp_path: Path) -> None:
    """As bsdtar and dpkg-deb do."""
    found = read_package(artifact(tmp_path, PKG[: 5 * 1024], "bin/tool.pkg"))
    assert len(found.files) == 2


def test_a_pkg_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binary_package, "_MAX_UNPACKED_BYTES", 3_000_000)
    data = zstd(tar([entry("/usr/local/bin/tool", bytes(4_000_000))], "w"))
    assert len(data) < 10_000
    (found,) = faults_of(tmp_path, data, "bin/tool.pkg")
    assert "larger than 3000000 bytes when unpacked" in found


@pytest.mark.parametrize("part", ["control", "data"])
def test_dpkg_and_we_read_the_same_of_a_deb(tmp_path: Path, part: str) -> None:
    """dpkg stops at the end of the first frame of zstd, which pkggen does not pass over."""
    parts = {
        "control": tar([entry("./control", SCRIPT.encode())], "w"),
        "data": tar([entry("./usr/bin/tool", bytes(range(256)) * 300)], "w"),
    }

    def package(**packed: bytes) -> bytes:
        members = [("debian-binary", b"2.0\n")]
        members += [
            (f"{name}.tar.zst", packed.get(name, zstd(data))) for name, data in parts.items()
        ]
        return ar(members)

    assert len(read_package(artifact(tmp_path, package())).files) == 1
    half = len(parts[part]) // 2
    halves = zstd(parts[part][:half]) + zstd(parts[part][half:])
    for packed in (halves, zstd(parts[part]) + zstd(b""), zstd(parts[part]) + b"\0"):
        (found,) = faults_of(tmp_path, package(**{part: packed}))
        assert "which dpkg does not read" in found
    if shutil.which("dpkg-deb") is None:
        pytest.skip("NOT COMPARED WITH dpkg-deb: install dpkg")
    command = {"control": ["--ctrl-tarfile"], "data": ["--fsys-tarfile"]}[part]
    for data, complete in ((package(), True), (package(**{part: halves}), False)):
        (tmp_path / "x.deb").write_bytes(data)
        done = subprocess.run(
            ["dpkg-deb", *command, str(tmp_path / "x.deb")], capture_output=True, check=False
        )
        assert (done.stdout == parts[part]) == complete


def test_what_upstream_does_as_root_is_left_out_and_said(tmp_path: Path) -> None:
    data = deb(
        entry("./usr/bin/tool", mode=0o4755),
        entry("./usr/lib/systemd/system/tool.service", b"[Unit]\n"),
        entry("./usr/share/doc/tool/copyright", b"ISC\n"),
        control=("control", "postinst", "md5sums"),
    )
    found = read_package(artifact(tmp_path, data))
    assert [str(file.path) for file in found.files] == ["bin/tool"]
    assert [sentence.split()[0] for sentence in found.left_out] == [
        "./usr/bin/tool",
        "./usr/lib/systemd/system/tool.service",
        "./usr/share/doc/tool/copyright",
        "postinst",
    ]
    assert "does not keep its mode 4755" in found.left_out[0]


@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        (entry("/usr/bin/tool"), "its path is absolute"),
        (entry("./../usr/bin/tool"), "its path leads out"),
        (entry("./usr/bin/../../etc/x"), "its path leads out"),
        (entry("./usr/bin/x", type=tarfile.SYMTYPE, linkname="/etc/shadow"), "it is a link to"),
        (entry("./usr/bin/x", type=tarfile.LNKTYPE, linkname="./usr/bin/t"), "it is a link to"),
        (entry("./usr/bin/x", type=tarfile.CHRTYPE), "it is neither a file nor a directory"),
        (entry("./usr/bin/x", type=tarfile.FIFOTYPE), "it is neither a file nor a directory"),
        (entry("./usr/bin/$(x)"), "its path has other characters"),
        (entry("./root/.ssh/authorized_keys"), "no package may have a file there"),
        (entry("./usr/bin/tool"), "it is there twice"),
    ],
)
def test_hostile_entries_are_refused_together(
    tmp_path: Path, hostile: tuple[tarfile.TarInfo, bytes], message: str
) -> None:
    data = deb(entry("./usr/bin/tool"), hostile, entry("./opt/x"))
    found = faults_of(tmp_path, data)
    assert len(found) == 2
    assert any(message in fault for fault in found)
    assert any("./opt/x" in fault for fault in found)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a Debian package"),
        (b"!<arch>\nx", "damaged at byte 8"),
        (ar([("debian-binary", b"2.0\n")]), "no control.tar"),
        (ar([("control.tar.gz", tar([], "w:gz"))]), "no data.tar"),
        (deb(entry("./usr/bin/tool"))[:-20], "breaks off"),
        (deb(), "holds no file"),
        (ar([("control.tar.zst", b"\x28\xb5\x2f\xfd" + bytes(600))]), "damaged"),
        (ar([("control.tar.xz", b"\xfd7zXZ\0junk")]), "damaged"),
    ],
)
def test_damaged_packages_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (found,) = faults_of(tmp_path, data)
    assert message in found


def test_dpkg_deb_agrees(tmp_path: Path) -> None:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("NO dpkg-deb: install dpkg")
    root = tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        "Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: N <n@example.org>\n"
        "Description: x\n"
    )
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/tool").write_text(SCRIPT)
    for kind in ("xz", "gzip", "zstd", "none"):
        subprocess.run(
            ["dpkg-deb", f"-Z{kind}", "--root-owner-group", "--build", str(root), "tool.deb"],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
        found = read_package(artifact(tmp_path, (tmp_path / "tool.deb").read_bytes()))
        with found.files[0].content.open() as stream:
            assert stream.read().decode() == SCRIPT


def test_a_name_of_a_package_says_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a Debian package"):
        read_package(artifact(tmp_path, tar([entry("x")], "w:xz")))
