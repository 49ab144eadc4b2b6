"""Hashes of files, and their comparison with what a record states.

Sources: ocaml/opam `src/core/opamHash.ml` (kinds of checksums); Subresource Integrity, W3C, section
3.1 (the form `sha256-BASE64` that Nix uses).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final

from pkggen.errors import InputError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pkggen.opam.package import Checksum

CHUNK_BYTES: Final = 256 * 1024
"""How much of a file is in memory at a time."""

_SRI_BYTES: Final = {"sha256": 32, "sha512": 64}


@dataclass(frozen=True, slots=True, order=True)
class Sri:
    """A hash in the form of Subresource Integrity."""

    kind: str
    """`sha256` or `sha512`."""
    digest: bytes
    """32 or 64 bytes."""

    @classmethod
    def parse(cls, text: str) -> Sri:
        """Read `sha256-BASE64` or `sha512-BASE64`.

        Raises:
            InputError: it is neither.
        """
        kind, _, encoded = text.partition("-")
        try:
            digest = base64.b64decode(encoded, validate=True)
        except (ValueError, binascii.Error):
            digest = b""
        if not digest or len(digest) != _SRI_BYTES.get(kind):
            raise InputError(f"{text[:200]!r} is no sha256-… or sha512-… hash")
        return cls(kind, digest)

    @classmethod
    def from_hex(cls, kind: str, digits: str) -> Sri:
        """Return the hash whose digest has these hexadecimal digits, 64 or 128 of them."""
        return cls(kind, bytes.fromhex(digits))

    def __str__(self) -> str:
        return f"{self.kind}-{base64.b64encode(self.digest).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashes:
    """What is computed of each file in one pass."""

    md5: str | None = field(compare=False)
    """32 lower-case hexadecimal digits; for comparison with old records only. None when none of
    them was to be compared with, because it takes as long as the two others."""
    sha256: str
    """64 lower-case hexadecimal digits."""
    sha512: str
    """128 lower-case hexadecimal digits."""
    size: int
    """Bytes."""

    def digest(self, kind: str) -> str:
        """Return the digits of one kind: `md5`, `sha256` or `sha512`."""
        found = {"md5": self.md5, "sha256": self.sha256, "sha512": self.sha512}[kind]
        if found is None:
            raise ValueError(f"the {kind} was not computed")
        return found

    @property
    def sri(self) -> Sri:
        """The sha256 as Nix writes it."""
        return Sri.from_hex("sha256", self.sha256)

    def matches(self, checksums: Iterable[Checksum]) -> bool:
        """Return whether the file has every one of the checksums."""
        return all(self.digest(checksum.kind) == checksum.digest for checksum in checksums)

    def mismatches(self, checksums: Iterable[Checksum], where: str) -> list[VerificationError]:
        """Return an error for each checksum that the file does not have.

        Args:
            checksums: What is recorded.
            where: URL or path that the bytes came from.
        """
        return [
            VerificationError(
                f"the {checksum.kind} is {self.digest(checksum.kind)}, "
                f"recorded is {checksum.digest}",
                where=where,
            )
            for checksum in checksums
            if self.digest(checksum.kind) != checksum.digest
        ]


class Hasher:
    """Computes `Hashes` of bytes that come in pieces."""

    def __init__(self, *, md5: bool = True) -> None:
        """Start with nothing.

        Args:
            md5: Whether it is computed, too.
        """
        kinds = ("sha256", "sha512", *(("md5",) if md5 else ()))
        self._hashes = {kind: hashlib.new(kind, usedforsecurity=False) for kind in kinds}
        self._size = 0

    def update(self, data: bytes) -> None:
        """Add the next bytes."""
        self._size += len(data)
        for one in self._hashes.values():
            one.update(data)

    def hashes(self) -> Hashes:
        """Return the hashes of everything so far."""
        digits = {kind: one.hexdigest() for kind, one in self._hashes.items()}
        return Hashes(
            md5=digits.get("md5"),
            sha256=digits["sha256"],
            sha512=digits["sha512"],
            size=self._size,
        )


def hash_stream(stream: BinaryIO, *, md5: bool = True) -> Hashes:
    """Return the hashes of what is left of a stream, without holding it in memory.

    Args:
        stream: Bytes.
        md5: Whether it is computed, too.
    """
    hasher = Hasher(md5=md5)
    while data := stream.read(CHUNK_BYTES):
        hasher.update(data)
    return hasher.hashes()
