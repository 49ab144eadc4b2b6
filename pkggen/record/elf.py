"""The notes of a Solo5 image, and what is to be known about any other ELF file.

Source: Solo5 `include/elf_abi.h`, `include/mft_abi.h` and `tenders/common/elf.c`: a tender finds
the notes through PT_NOTE program headers, so section headers do not matter there either.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from pkggen.errors import InputError
from pkggen.record.model import Program, Solo5Device, Solo5Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import PurePosixPath

    from pkggen.record.model import Artifact, Record

ELF_MAGIC: Final = b"\x7fELF"

_OWNER: Final = b"Solo5\0"
_ABI_TYPE: Final = 0x31494241
_MANIFEST_TYPE: Final = 0x3154464D
_TARGETS: Final = {1: "hvt", 2: "spt", 3: "virtio", 4: "muen", 5: "genode", 6: "xen"}
_KINDS: Final = {1: "BLOCK_BASIC", 2: "NET_BASIC"}
_RESERVED_KIND: Final = 1 << 30
_MACHINES: Final = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64", "EM_PPC64": "ppc64le"}
_ENTRY: Final = struct.Struct("<68sI32x")
_MAX_ENTRIES: Final = 64
_MAX_SEGMENTS: Final = 256
_MAX_NOTE_BYTES: Final = 64 * 1024


def solo5_image(file: BinaryIO, name: str) -> Solo5Image | None:
    """Return what the notes of an image say, None when the file is no Solo5 image.

    Args:
        file: Seekable; its position does not matter.
        name: Name of the file for messages.

    Raises:
        InputError: it is an ELF file that breaks off or contradicts itself, or its Solo5 notes do.
    """
    file.seek(0)
    if file.read(len(ELF_MAGIC)) != ELF_MAGIC:
        return None
    size = file.seek(0, os.SEEK_END)
    header, segments = _headers(file, name)
    notes: dict[int, bytes] = {}
    for segment in segments:
        if segment["p_type"] != "PT_NOTE":
            continue
        for owner, kind, description in _notes(_segment_bytes(file, segment, size, name), name):
            if owner == _OWNER and kind in notes:
                raise InputError(f"two Solo5 notes of type {kind:#x}", where=name)
            if owner == _OWNER:
                notes[kind] = description
    if _ABI_TYPE not in notes:
        return None
    ends = [int(part["p_offset"]) + int(part["p_filesz"]) for part in segments]
    ends.append(int(header["e_shoff"]) + int(header["e_shnum"]) * int(header["e_shentsize"]))
    if max(ends) > size:
        raise InputError(f"breaks off: {size} of at least {max(ends)} bytes", where=name)
    target, version = _abi(notes[_ABI_TYPE], name)
    return Solo5Image(
        target=target,
        abi_version=version,
        machine=_machine(header, name),
        devices=_devices(notes.get(_MANIFEST_TYPE), name),
    )


def programs(record: Record) -> Mapping[PurePosixPath, Program]:
    """Return the built files that are ELF files, by path."""
    return elf_files(record.artifacts)


def elf_files(files: Iterable[Artifact]) -> Mapping[PurePosixPath, Program]:
    """Return those files that are ELF files, by path."""
    found = {}
    for file in files:
        with file.content.open() as content:
            if content.read(len(ELF_MAGIC)) == ELF_MAGIC:
                found[file.path] = _program(content)
    return found


def _program(file: BinaryIO) -> Program:
    from elftools.elf.dynamic import DynamicSegment  # noqa: PLC0415 - takes 50 ms
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415

    try:
        elf = ELFFile(file)
        types = {elf.get_section(index)["sh_type"] for index in range(elf.num_sections())}
        needed = any(
            tag.entry.d_tag == "DT_NEEDED"
            for segment in elf.iter_segments()
            if isinstance(segment, DynamicSegment)
            for tag in segment.iter_tags()
        )
        static = elf.header["e_type"] == "ET_EXEC" and not needed
    except Exception:  # noqa: BLE001 - whatever a hostile header provokes; nothing can be said of it
        return Program(symbols=False, static=False)
    return Program(symbols="SHT_SYMTAB" in types, static=static)


def _headers(file: BinaryIO, name: str) -> tuple[Any, list[Any]]:
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415 - takes 50 ms

    try:
        elf = ELFFile(file)
        # One more than allowed is enough to see that there are too many.
        count = min(elf.num_segments(), _MAX_SEGMENTS + 1)
        segments = [elf.get_segment(index).header for index in range(count)]
    except Exception as error:  # pyelftools lets through whatever a hostile header provokes
        raise InputError(f"not a readable ELF file: {error}", where=name) from error
    if count > _MAX_SEGMENTS:
        raise InputError(f"more than {_MAX_SEGMENTS} program headers", where=name)
    return elf.header, segments


def _segment_bytes(file: BinaryIO, segment: Any, size: int, name: str) -> bytes:  # noqa: ANN401
    start, length = int(segment["p_offset"]), int(segment["p_filesz"])
    if start + length > size:
        raise InputError("breaks off inside a note segment", where=name)
    if length > _MAX_NOTE_BYTES:
        raise InputError(f"a note segment of more than {_MAX_NOTE_BYTES} bytes", where=name)
    file.seek(start)
    return file.read(length)


def _notes(data: bytes, name: str) -> Iterator[tuple[bytes, int, bytes]]:
    """Yield owner with its NUL, type and description of each note of a little-endian segment."""
    position = 0
    while len(data) - position >= 12:
        owner_size, size, kind = struct.unpack_from("<III", data, position)
        start = position + 12 + owner_size + -owner_size % 4
        if start + size > len(data):
            # A foreign note may be big-endian or aligned to 8 bytes; Solo5's must be sound.
            if data[position + 12 :].startswith(_OWNER):
                raise InputError("a Solo5 note is longer than its segment", where=name)
            return
        yield data[position + 12 : position + 12 + owner_size], kind, data[start : start + size]
        position = start + size + -size % 4


def _abi(description: bytes, name: str) -> tuple[str, int]:
    if len(description) != 16:
        raise InputError(f"Solo5 ABI note of {len(description)} bytes, not 16", where=name)
    target, version = struct.unpack_from("<II", description)
    if target not in _TARGETS:
        raise InputError(f"unknown Solo5 target {target}", where=name)
    return _TARGETS[target], version


def _machine(header: Any, name: str) -> str:  # noqa: ANN401
    machine = _MACHINES.get(header["e_machine"])
    ident = header["e_ident"]
    if (ident["EI_CLASS"], ident["EI_DATA"]) != ("ELFCLASS64", "ELFDATA2LSB") or machine is None:
        raise InputError(
            f"Solo5 image for an unknown machine: {header['e_machine']}, "
            f"{ident['EI_CLASS']}, {ident['EI_DATA']}",
            where=name,
        )
    return machine


def _devices(description: bytes | None, name: str) -> tuple[Solo5Device, ...]:
    if description is None:
        raise InputError("Solo5 image without a manifest note", where=name)
    if len(description) < 12:
        raise InputError("Solo5 manifest note without a header", where=name)
    # Four bytes of padding come first: the structure is aligned to 8 behind a 20-byte note header.
    _, version, count = struct.unpack_from("<III", description)
    if version != 1:
        raise InputError(f"Solo5 manifest of version {version}, not 1", where=name)
    if not 1 <= count <= _MAX_ENTRIES:
        raise InputError(f"Solo5 manifest of {count} entries, not 1 to {_MAX_ENTRIES}", where=name)
    if len(description) != 12 + count * _ENTRY.size:
        raise InputError(
            f"Solo5 manifest of {len(description)} bytes for {count} entries", where=name
        )
    reserved, *entries = _ENTRY.iter_unpack(description[12:])
    if reserved != (b"\0" * 68, _RESERVED_KIND):
        raise InputError("Solo5 manifest without its reserved first entry", where=name)
    devices = tuple(_device(text, kind, name) for text, kind in entries)
    if len({device.name for device in devices}) != len(devices):
        raise InputError("two devices of the Solo5 manifest have the same name", where=name)
    return devices


def _device(text: bytes, kind: int, name: str) -> Solo5Device:
    label, end, padding = text.partition(b"\0")
    if not label or not end or padding.strip(b"\0"):
        raise InputError(f"device name {text!r} is empty or not ended by NUL", where=name)
    if not (label.isascii() and label.decode("ascii").isprintable()):
        raise InputError(f"device name {label!r} is not printable ASCII", where=name)
    if kind not in _KINDS:
        raise InputError(f"device {label.decode()} has the unknown type {kind}", where=name)
    return Solo5Device(name=label.decode(), kind=_KINDS[kind])
