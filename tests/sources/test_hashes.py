from __future__ import annotations

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkggen.errors import InputError
from pkggen.opam.package import Checksum
from pkggen.sources.hashes import CHUNK_BYTES, Hasher, Sri, hash_stream


@given(st.lists(st.binary()))
def test_pieces_give_the_hashes_of_the_whole(pieces: list[bytes]) -> None:
    hasher = Hasher()
    for piece in pieces:
        hasher.update(piece)
    whole = b"".join(pieces)
    hashes = hasher.hashes()
    for kind in ("md5", "sha256", "sha512"):
        assert hashes.digest(kind) == hashlib.new(kind, whole).hexdigest()
    assert hashes.size == len(whole)
    assert hash_stream(io.BytesIO(whole)) == hashes


def test_files_larger_than_a_piece() -> None:
    data = bytes(range(256)) * (CHUNK_BYTES // 128)
    assert hash_stream(io.BytesIO(data)).sha256 == hashlib.sha256(data).hexdigest()


def test_the_form_that_nix_uses() -> None:
    # The empty input; both strings are in Nix's own documentation of hashes.
    hashes = Hasher().hashes()
    assert str(hashes.sri) == "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert Sri.parse(str(hashes.sri)) == hashes.sri
    assert Sri.from_hex("sha512", hashes.sha512).digest.hex() == hashes.sha512


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256-",
        "sha256-47DEQpj8HBSa",
        "md5-1B2M2Y8AsgTpgAmY7PhCfg==",
        "sha512-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "sha256-47DEQpj8HBSa é",
    ],
)
def test_what_is_no_such_hash(text: str) -> None:
    with pytest.raises(InputError, match="is no sha256"):
        Sri.parse(text)


def test_each_mismatch_is_told() -> None:
    hashes = Hasher().hashes()
    right = Checksum("sha512", hashes.sha512)
    wrong = [Checksum("md5", "0" * 32), Checksum("sha256", "1" * 64)]
    assert hashes.matches([right])
    assert not hashes.matches([right, wrong[0]])
    told = [str(error) for error in hashes.mismatches([right, *wrong], "https://x")]
    assert told == [
        f"https://x: the md5 is {hashes.md5}, recorded is {'0' * 32}",
        f"https://x: the sha256 is {hashes.sha256}, recorded is {'1' * 64}",
    ]


def test_md5_is_left_out_unless_it_is_asked_for() -> None:
    whole, quick = hash_stream(io.BytesIO(b"x")), hash_stream(io.BytesIO(b"x"), md5=False)
    assert (quick.sha256, quick.sha512, quick.size) == (whole.sha256, whole.sha512, 1)
    assert quick.md5 is None
    with pytest.raises(ValueError, match="md5 was not computed"):
        quick.digest("md5")
