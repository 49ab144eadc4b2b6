"""builder's `full` files, encoded by pyasn1: an oracle of its own for the reader's DER."""

from __future__ import annotations

from typing import Any, Final

from pyasn1.codec.der.encoder import encode
from pyasn1.type import char, namedtype, tag, univ, useful

UUID_BYTES: Final = bytes.fromhex("084552148a9b413ab116a65353dc0743")
UUID: Final = "08455214-8a9b-413a-b116-a65353dc0743"


class Bytes(univ.OctetString):  # type: ignore[misc]
    """Raw bytes under the tag of UTF8String, as builder writes every string."""

    tagSet = char.UTF8String.tagSet  # noqa: N815 - the name that pyasn1 reads


def _named(*parts: univ.OctetString) -> univ.Sequence:
    """Return a sequence of these values in this order."""
    sequence = univ.Sequence(
        componentType=namedtype.NamedTypes(
            *(namedtype.NamedType(f"p{i}", part.clone()) for i, part in enumerate(parts))
        )
    )
    for index, part in enumerate(parts):
        sequence[index] = part
    return sequence


def _list(values: list[Any]) -> univ.Any:
    """Return a SEQUENCE OF these values."""
    return univ.Any(_tlv(0x30, b"".join(encode(value) for value in values)))


def _tlv(kind: int, content: bytes) -> bytes:
    outer: bytes = encode(univ.OctetString(content))
    return bytes([kind]) + outer[1:]


def _explicit(number: int, content: bytes) -> bytes:
    tagged = univ.Any(content).subtype(
        explicitTag=tag.Tag(tag.tagClassContext, tag.tagFormatConstructed, number)
    )
    result: bytes = encode(tagged)
    return result


def file_entry(path: str | bytes, data: bytes) -> univ.Sequence:
    name = path.encode() if isinstance(path, str) else path
    return _named(Bytes(name), Bytes(data))


def full(
    files: dict[str, bytes],
    *,
    job: str = "hello",
    platform: str | None = "debian-12",
    times: tuple[str, str] = ("20260823090000Z", "20260823090012Z"),
    result: tuple[int, Any] = (0, univ.Integer(0)),
    uuid: bytes = UUID_BYTES,
    console: tuple[bytes, ...] = (b"second line\n", b"first line\n"),
) -> bytes:
    """Return a `full` file; times of 13 characters are written as UTCTime."""
    parts: list[Any] = [Bytes(job.encode()), Bytes(b"#!/bin/sh\n"), _list([])]
    if platform is not None:
        parts.append(Bytes(platform.encode()))
    stamps = [
        useful.UTCTime(text) if len(text) == 13 else useful.GeneralizedTime(text) for text in times
    ]
    number, value = result
    body = b"".join(
        (
            _tlv(0x30, b"".join(encode(part) for part in parts)),
            encode(Bytes(uuid)),
            encode(_list([_named(univ.Integer(10**9), Bytes(line)) for line in console])),
            encode(_named(*stamps)),
            _explicit(number, encode(value)),
            encode(_list([file_entry(path, data) for path, data in files.items()])),
        )
    )
    return _explicit(0, _tlv(0x30, body))
