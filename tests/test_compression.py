"""Streams of zstd; those of gzip, bzip2 and xz are tried where they are used."""

from __future__ import annotations

import hashlib
import io
import shutil
import struct
import subprocess
import tracemalloc
from typing import Final

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pkggen.compression import ERRORS, MAGICS, unpacked

MIB: Final = 1024 * 1024
PIECE_BYTES: Final = 256 * 1024
DATA: Final = hashlib.shake_128().digest(300_000) + bytes(400_000)


def zstd(data: bytes) -> bytes:
    """Return one frame with a checksum, as the program zstd makes."""
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def skippable(data: bytes) -> bytes:
    """Return a frame that holds nothing for who unpacks."""
    return struct.pack("<II", 0x184D2A50, len(data)) + data


def frame(window: int, data: bytes = b"x") -> bytes:
    """Return a frame of a raw block that demands a window (RFC 8878, 3.1.1.1.2)."""
    power = window.bit_length() - 1
    mantissa = (window - (1 << power)) * 8 >> power
    block = (len(data) << 3 | 1).to_bytes(3, "little") + data
    return MAGICS["zst"] + bytes([0, power - 10 << 3 | mantissa]) + block


def bomb(blocks: int) -> bytes:
    """Return a frame of blocks that each say 128 KiB in 4 bytes (RFC 8878, 3.1.1.2)."""
    block = (128 * 1024 << 3 | 1 << 1).to_bytes(3, "little") + b"x"
    return MAGICS["zst"] + bytes([0, 7 << 3]) + block * blocks + b"\1\0\0"


def whole(packed: bytes, *, single: bool = False) -> bytes:
    pieces = list(unpacked(io.BytesIO(packed), "zst", single=single))
    assert all(len(piece) <= PIECE_BYTES for piece in pieces)
    return b"".join(pieces)


def program(packed: bytes) -> bytes | None:
    """Return what the program zstd unpacks; None if it refuses."""
    if shutil.which("zstd") is None:
        pytest.skip("NOT COMPARED WITH zstd: install zstd")
    done = subprocess.run(["zstd", "-dqc"], input=packed, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


HALVES: Final = zstd(DATA[:350_000]), zstd(DATA[350_000:])
GOOD: Final = {
    "one frame": (zstd(DATA), DATA),
    "two frames": (b"".join(HALVES), DATA),
    "an empty frame": (zstd(b""), b""),
    "an empty frame between": (HALVES[0] + zstd(b"") + HALVES[1], DATA),
    "skippable frames": (
        skippable(b"a" * 300) + HALVES[0] + skippable(b"") + HALVES[1] + skippable(b"c"),
        DATA,
    ),
    "a long skippable frame": (skippable(bytes(300_000)) + zstd(DATA), DATA),
    "largest window": (frame(128 * MIB), b"x"),
}
BAD: Final = {
    "empty": (b"", "breaks off"),
    "magic only": (MAGICS["zst"], "breaks off"),
    "cut": (zstd(DATA)[:-50_000], "breaks off"),
    "cut checksum": (zstd(DATA)[:-1], "breaks off"),
    "second frame cut": (HALVES[0] + HALVES[1][:-5], "breaks off"),
    "skippable frame cut": (zstd(DATA) + skippable(b"abc")[:-1], "breaks off"),
    "garbage": (b"garbage that is long enough", "Unknown frame descriptor"),
    "garbage behind": (zstd(DATA) + b"garbage", "Unknown frame descriptor"),
    "zeros behind": (zstd(DATA) + bytes(512), "Unknown frame descriptor"),
    "wrong checksum": (zstd(DATA)[:-1] + bytes([zstd(DATA)[-1] ^ 1]), "checksum"),
    "window": (frame(144 * MIB), "too much memory"),
    # A frame in one segment has a window of its size: here 4 GiB.
    "segment": (MAGICS["zst"] + b"\xa0" + b"\xff" * 4 + b"\x09\0\0x", "too much memory"),
}


@pytest.mark.parametrize(("packed", "data"), GOOD.values(), ids=GOOD.keys())
def test_what_zstd_unpacks_is_unpacked(packed: bytes, data: bytes) -> None:
    assert whole(packed) == data
    assert program(packed) == data


@pytest.mark.parametrize(("packed", "message"), BAD.values(), ids=BAD.keys())
def test_what_zstd_refuses_is_refused(packed: bytes, message: str) -> None:
    with pytest.raises(ERRORS, match=message):
        whole(packed)
    # What `zstd -dc < /dev/null` does differs between versions.
    assert not packed or program(packed) is None


@pytest.mark.parametrize("options", [["-1"], ["-19"], ["--long=27"], ["-T2"], ["--no-check"]])
def test_what_zstd_packs_is_unpacked(options: list[str]) -> None:
    if shutil.which("zstd") is None:
        pytest.skip("NOT COMPARED WITH zstd: install zstd")
    done = subprocess.run(["zstd", "-qc", *options], input=DATA, capture_output=True, check=True)
    assert whole(done.stdout, single=True) == DATA


@pytest.mark.parametrize(
    "rest", [zstd(b"x"), skippable(b"x"), b"\0", b"x"], ids=["frame", "skippable", "zero", "junk"]
)
def test_a_single_frame_has_nothing_behind_it(rest: bytes) -> None:
    assert whole(zstd(DATA), single=True) == DATA
    with pytest.raises(OSError, match="more follows the first compressed stream"):
        whole(zstd(DATA) + rest, single=True)


def test_a_bomb_is_unpacked_in_bounded_memory() -> None:
    assert whole(bomb(100)) == b"x" * (100 * 128 * 1024)
    assert program(bomb(100)) == b"x" * (100 * 128 * 1024)
    packed = io.BytesIO(bomb(65_536))  # 8 GiB in the first read
    tracemalloc.start()
    pieces = unpacked(packed, "zst")
    for _ in range(100):
        assert next(pieces) == b"x" * PIECE_BYTES
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32 * MIB


@given(st.lists(st.binary(max_size=2000), max_size=5), st.integers(1, 400))
def test_any_frames_come_out_as_they_went_in(parts: list[bytes], repeat: int) -> None:
    data = [part * repeat for part in parts]
    packed = b"".join(map(zstd, data)) or zstd(b"")
    assert whole(packed) == b"".join(data)


@given(st.data())
def test_damage_is_an_error_or_does_not_matter(data: st.DataObject) -> None:
    packed = bytearray(zstd(b"abc" * 300))
    for _ in range(data.draw(st.integers(1, 3))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert whole(bytes(packed)) == b"abc" * 300
    except ERRORS:
        return
