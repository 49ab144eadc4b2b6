from __future__ import annotations

import pytest
from debian.deb822 import Changes, Dsc
from hypothesis import given
from hypothesis import strategies as st

from pkggen.errors import InputError
from pkggen.publish.apt.listing import read_dsc, read_listing
from tests.publish.apt.make import changes_text, dsc_text, source_files

FILES = source_files()
DSC = dsc_text(FILES)


def signed(text: str) -> str:
    return (
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{text}\n"
        "-----BEGIN PGP SIGNATURE-----\n\niHUEARYKAB0=\n-----END PGP SIGNATURE-----\n"
    )


@pytest.mark.parametrize("text", [DSC, signed(DSC), signed(DSC.replace("Binary", "- Binary"))])
def test_a_dsc(text: str) -> None:
    oracle = Dsc(DSC)
    read = read_dsc(text.encode(), "x.dsc")
    assert (read.name, read.version) == (oracle["Source"], oracle["Version"])
    assert {(f.name, f.size, f.digests["sha256"]) for f in read.listing.files} == {
        (line["name"], int(line["size"]), line["sha256"]) for line in oracle["Checksums-Sha256"]
    }
    assert all(f.digests.keys() == {"md5", "sha1", "sha256"} for f in read.listing.files)
    assert list(read.listing.fields) == list(oracle)


def test_a_changes() -> None:
    text = changes_text({"a.deb": b"1", "b.dsc": b"2"})
    oracle = Changes(text)
    read = read_listing(text.encode(), "x.changes")
    assert [file.name for file in read.files] == [line["name"] for line in oracle["Files"]]
    assert read.date == 1_755_943_200


def damaged(old: str, new: str) -> str:
    assert old in DSC
    return DSC.replace(old, new)


NAME = "hello_1.0.orig.tar.xz"
HOSTILE = {
    "empty": ("", "0 stanzas"),
    "two stanzas": (DSC + "\nSource: evil\n", "2 stanzas"),
    "before the signed part": ("Source: evil\n\n" + signed(DSC), "outside"),
    "after the signed part": (signed(DSC) + "Source: evil\n", "outside"),
    "two signed parts": (signed(DSC) + signed(DSC), "outside"),
    "no end of signature": (signed(DSC).replace("-----END", "-----FIN"), "outside"),
    "no sha256": (damaged("Checksums-Sha256", "X-Sha256"), "no field Checksums-Sha256"),
    "no files": (damaged("Files:", "X-Files:"), "no field Files"),
    "no version": (damaged("Version:", "X:"), "no field Version"),
    "outside": (damaged(NAME, f"../{NAME}"), "no file name"),
    "absolute": (damaged(NAME, f"/etc/{NAME}"), "no file name"),
    "hidden": (damaged(NAME, f".{NAME}"), "no file name"),
    "other source": (damaged(NAME, "bye_1.0.orig.tar.xz"), "cannot be a file of the source"),
    "a deb": (damaged(NAME, "hello_1.0.deb"), "cannot be a file of the source"),
    "one list lacks it": (damaged("Files:\n", f"Files:\n {'0' * 32} 1 hello_x\n"), "not in all"),
    "two sizes": (DSC.replace(f" {len(FILES[NAME])} {NAME}", f" 1 {NAME}", 1), "in two ways"),
    "short digest": (damaged("Files:\n ", "Files:\n f "), "not a md5, a size and a name"),
    "negative": (damaged(f" {len(FILES[NAME])} {NAME}", f" -1 {NAME}"), "not a md5, a size"),
    "a word too many": (damaged(NAME, f"x {NAME}"), "not a md5, a size"),
    "directory": (damaged("Binary:", "Directory:"), "must not have the field"),
    "package": (damaged("Binary:", "Package:"), "must not have the field"),
    "source name": (damaged("Source: hello", "Source: ../x"), "no package name"),
    "control": (damaged("Binary: hello", "Binary: hello\x0bX: 1"), "control character"),
    "date": (damaged("Binary: hello", "Date: never"), "no date"),
}


@pytest.mark.parametrize(("text", "message"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_listings_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        read_dsc(text.encode(), "x.dsc")
    assert message in str(refused.value)


def test_not_utf_8() -> None:
    with pytest.raises(InputError, match="UTF-8"):
        read_dsc(DSC.encode() + b"X: \xe9\n", "x.dsc")


@given(st.text())
def test_anything_is_refused_in_our_way(text: str) -> None:
    with pytest.raises(InputError):
        read_dsc(text.encode(errors="replace"), "x.dsc")
