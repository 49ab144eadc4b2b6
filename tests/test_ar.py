from __future__ import annotations

import io

import pytest

from pkggen.ar import Member, members
from pkggen.errors import InputError
from tests.record.test_binary_package import ar


def read(data: bytes) -> list[Member]:
    return list(members(io.BytesIO(data), "x.deb"))


def test_members_have_their_places() -> None:
    data = ar([("debian-binary", b"2.0\n"), ("odd/", b"x"), ("even", b"xy")])
    found = read(data)
    assert [member.name for member in found] == ["debian-binary", "odd", "even"]
    assert [data[m.offset : m.offset + m.size] for m in found] == [b"2.0\n", b"x", b"xy"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"!<arch>", "not a Debian package"),
        (b"!<arch>\n" + b"x" * 60, "damaged at byte 8"),
        (ar([("a", b"xyz")])[:-2], "breaks off"),
        (ar([(str(n), b"") for n in range(33)]), "damaged at byte"),
    ],
)
def test_damaged_archives_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(data)
