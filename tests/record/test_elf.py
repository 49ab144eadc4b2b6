from __future__ import annotations

import io
import shutil
import struct
import subprocess
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkggen.errors import Faults, InputError
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.record.elf import programs, solo5_image
from pkggen.record.model import Program, Solo5Device, Solo5Image
from tests.conftest import abi_note, elf, manifest_note, note

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Devices, MakeImage, MakeRecord

GOOD = [note(b"OpenBSD", 1, b"\0" * 4), manifest_note([(b"service", 2)]), abi_note(1, 2)]


def read(data: bytes) -> Solo5Image | None:
    return solo5_image(io.BytesIO(data), "image")


@pytest.mark.parametrize("tender", ["hvt", "spt", "virtio", "muen", "genode", "xen"])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "ppc64le"])
@pytest.mark.parametrize(
    "devices",
    [(), (("service", "NET_BASIC"),), (("disk", "BLOCK_BASIC"), ("a-b.c_1", "NET_BASIC"))],
)
def test_what_the_notes_say(
    make_image: MakeImage, tmp_path: Path, tender: str, machine: str, devices: Devices
) -> None:
    path = make_image(tmp_path / "image", tender, 3, devices, machine)
    with path.open("rb") as file:
        assert solo5_image(file, "image") == Solo5Image(
            target=tender,
            abi_version=3,
            machine=machine,
            devices=tuple(Solo5Device(name=name, kind=kind) for name, kind in devices),
        )


def test_the_position_of_the_file_does_not_matter() -> None:
    file = io.BytesIO(elf(GOOD))
    file.seek(17)
    assert solo5_image(file, "image") is not None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"#!/bin/sh\n",
        b"\x7fEL",
        elf([note(b"OpenBSD", 1, b"\0" * 4)]),
        elf([note(b"GNU", 0x31494241, b"\0" * 16)]),
        elf([manifest_note([])]),  # a .stub image has no ABI note
    ],
)
def test_no_solo5_image(data: bytes) -> None:
    assert read(data) is None


@pytest.mark.parametrize("machine", [0, 3, 243, 0xFFFF])
def test_other_machines_are_refused(machine: int) -> None:
    with pytest.raises(InputError, match="unknown machine"):
        read(elf(GOOD, machine))


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ([abi_note(1, 2)], "without a manifest"),
        ([abi_note(1, 2), abi_note(2, 2), manifest_note([])], "two Solo5 notes"),
        ([abi_note(0, 2), manifest_note([])], "unknown Solo5 target 0"),
        ([abi_note(7, 2), manifest_note([])], "unknown Solo5 target 7"),
        ([note(b"Solo5", 0x31494241, b"\1" * 12), manifest_note([])], "of 12 bytes, not 16"),
        ([abi_note(1, 2), note(b"Solo5", 0x3154464D, b"\0" * 8)], "without a header"),
        ([abi_note(1, 2), manifest_note([], version=2)], "version 2, not 1"),
        ([abi_note(1, 2), manifest_note([], version=0)], "version 0, not 1"),
        ([abi_note(1, 2), manifest_note([(b"d%d" % i, 1) for i in range(64)])], "65 entries"),
        (
            [abi_note(1, 2), note(b"Solo5", 0x3154464D, struct.pack("<III", 0, 1, 0))],
            "of 0 entries",
        ),
        (
            [abi_note(1, 2), note(b"Solo5", 0x3154464D, struct.pack("<III", 0, 1, 2) + b"\0" * 8)],
            "20 bytes for 2 entries",
        ),
        (
            [
                abi_note(1, 2),
                note(b"Solo5", 0x3154464D, struct.pack("<III68sI32x", 0, 1, 1, b"x", 2)),
            ],
            "reserved first entry",
        ),
        ([abi_note(1, 2), manifest_note([(b"x" * 68, 1)])], "not ended by NUL"),
        ([abi_note(1, 2), manifest_note([(b"", 1)])], "empty"),
        ([abi_note(1, 2), manifest_note([(b"a\0b", 1)])], "not ended by NUL"),
        ([abi_note(1, 2), manifest_note([(b"a\nb", 1)])], "not printable ASCII"),
        ([abi_note(1, 2), manifest_note([(b"\xc3\xa9", 1)])], "not printable ASCII"),
        ([abi_note(1, 2), manifest_note([(b"a", 3)])], "unknown type 3"),
        ([abi_note(1, 2), manifest_note([(b"a", 1), (b"a", 2)])], "the same name"),
        ([abi_note(1, 2)[:-8], manifest_note([])], "longer than its segment"),
    ],
)
def test_broken_notes_are_refused(notes: list[bytes], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(elf(notes))


@pytest.mark.slow
def test_every_cut_of_an_image_is_refused() -> None:
    whole = elf(GOOD)
    assert read(whole) is not None
    for length in range(4, len(whole)):
        with pytest.raises(InputError):
            read(whole[:length])


def test_missing_section_headers_are_a_cut() -> None:
    data = bytearray(elf(GOOD))
    struct.pack_into("<Q", data, 40, len(data))  # e_shoff
    struct.pack_into("<H", data, 60, 5)  # e_shnum
    with pytest.raises(InputError, match=r"breaks off|not a readable ELF"):
        read(bytes(data))


def test_many_program_headers_are_refused() -> None:
    with pytest.raises(InputError, match="more than 256 program headers"):
        read(elf([note(b"OpenBSD", 1, b"\0" * 4)] * 300))


def test_a_huge_note_segment_is_refused() -> None:
    with pytest.raises(InputError, match="more than 65536 bytes"):
        read(elf([note(b"Solo5", 1, b"\0" * 70_000)]))


@given(st.binary(max_size=200))
def test_garbage_behind_the_magic_is_never_a_bug(tail: bytes) -> None:
    try:
        assert read(b"\x7fELF" + tail) is None
    except (InputError, Faults):
        return


@given(st.data())
def test_flipped_bytes_are_never_a_bug(data: st.DataObject) -> None:
    image = bytearray(elf(GOOD))
    for _ in range(data.draw(st.integers(1, 4))):
        image[data.draw(st.integers(4, len(image) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read(bytes(image))
    except (InputError, Faults):
        return
    else:
        assert found is None or len(found.devices) <= 63


NOTES_SOURCE = """\
.section .note.solo5.not_openbsd, "a", @note
.long 8, 4, 1; .asciz "OpenBSD"; .long 0
.section .note.solo5.manifest, "a", @note
.long 6, 12 + 104 * 3, 0x3154464d; .asciz "Solo5"; .balign 4
.long 0, 1, 3
.zero 68; .long 1 << 30; .zero 32
.asciz "service"; .zero 60; .long 2; .zero 32
.asciz "storage"; .zero 60; .long 1; .zero 32
.section .note.solo5.abi, "a", @note
.long 6, 16, 0x31494241; .asciz "Solo5"; .balign 4
.long 2, 2, 0, 0
.text
.globl _start
_start: hlt
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_an_image_of_a_real_linker(tmp_path: Path) -> None:
    source = tmp_path / "image.S"
    source.write_text(NOTES_SOURCE)
    image = tmp_path / "image"
    subprocess.run(
        ["gcc", "-nostdlib", "-static", "-Wl,--build-id=none", "-o", str(image), str(source)],
        check=True,
    )
    with image.open("rb") as file:
        found = solo5_image(file, "image")
    assert found is not None
    assert (found.target, found.abi_version) == ("spt", 2)
    assert [(device.name, device.kind) for device in found.devices] == [
        ("service", "NET_BASIC"),
        ("storage", "BLOCK_BASIC"),
    ]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_an_ordinary_program_is_no_image(tmp_path: Path) -> None:
    source = tmp_path / "main.c"
    source.write_text("int main(void) { return 0; }\n")
    subprocess.run(["gcc", "-o", str(tmp_path / "main"), str(source)], check=True)
    with (tmp_path / "main").open("rb") as file:
        assert solo5_image(file, "main") is None


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_what_packagers_want_to_know(tmp_path: Path, make_record: MakeRecord) -> None:
    record = make_record(tmp_path / "r", saved=False)
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    (tmp_path / "start.S").write_text(".globl _start\n_start: hlt\n")
    ways = {
        "shared": ["main.c"],
        "stripped": ["-s", "main.c"],
        "static": ["-nostdlib", "-static", "start.S"],
        "object.o": ["-c", "main.c"],
    }
    for name, options in ways.items():
        command = ["gcc", "-o", str(record / "bin" / name), *options]
        subprocess.run(command, cwd=tmp_path, check=True)
    (record / "bin/script").write_text("#!/bin/sh\n")
    (record / "bin/broken").write_bytes(b"\x7fELF" + b"\xff" * 100)
    (record / "bin/broken").rename(record / "broken")
    found = programs(assemble(read_directory(record, "r")))
    assert found == {
        PurePosixPath("bin/hello.hvt"): Program(symbols=False, static=True),
        PurePosixPath("bin/shared"): Program(symbols=True, static=False),
        PurePosixPath("bin/stripped"): Program(symbols=False, static=False),
        PurePosixPath("bin/static"): Program(symbols=True, static=True),
        PurePosixPath("bin/object.o"): Program(symbols=True, static=False),
        PurePosixPath("broken"): Program(symbols=False, static=False),
    }
