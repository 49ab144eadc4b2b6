"""What verified archives state about their own licences."""

from __future__ import annotations

import io
import random
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from pkggen.errors import InputError
from pkggen.opam.switch import read_switch
from pkggen.sources.cache import Cache
from pkggen.sources.licences import cached_licences, stated_licences
from pkggen.sources.model import Use, collect_sources

if TYPE_CHECKING:
    from pathlib import Path

ISC = b'opam-version: "2.0"\nlicense: "ISC"\n'
BOTH = b'opam-version: "2.0"\nlicense: ["MIT" "ISC"]\n'
NONE = b'opam-version: "2.0"\nsynopsis: "x"\n'


def tar(path: Path, files: dict[str, bytes], mode: str = "w:bz2") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("files", "licences"),
    [
        ({"a-1/a.opam": ISC}, ("ISC",)),
        ({"./a-1/opam": ISC}, ("ISC",)),
        ({"a-1/opam/opam": ISC}, ("ISC",)),
        ({"a-1/a.opam": ISC, "a-1/b.opam": BOTH}, ("ISC", "MIT")),
        ({"a-1/opam/b.opam": BOTH}, ("ISC", "MIT")),
        ({"a-1/a.opam": ISC, "a-1/test.opam": NONE}, ()),
        ({"a-1/a.opam": ISC, "a-1/broken.opam": b"license: ["}, ()),
        ({"a-1/vendor/b/b.opam": ISC}, ()),
        ({"a-1/README": b"licence: ISC"}, ()),
        ({"a-1/a.opam": ISC, "a-1/vendor/b/b.opam": NONE}, ("ISC",)),
        ({}, ()),
    ],
)
def test_all_opam_files_at_the_top_must_state_one(
    tmp_path: Path, files: dict[str, bytes], licences: tuple[str, ...]
) -> None:
    assert stated_licences(tar(tmp_path / "a.tbz", files), "a") == licences
    packed = tmp_path / "a.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a-1/empty", b"")
        for name, data in files.items():
            archive.writestr(name, data)
    assert stated_licences(packed, "a") == licences


def test_a_damaged_archive_is_an_error(tmp_path: Path) -> None:
    whole = tar(tmp_path / "a.tar.gz", {"a/a.opam": ISC * 1000}, "w:gz").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be read"):
        stated_licences(tmp_path / "cut", "cut")


def test_only_what_is_in_the_cache_counts(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    there = tar(tmp_path / "there.tbz", {"there-1/there.opam": ISC})
    _, hashes = cache.add(there)
    absent = "0" * 64
    switch = read_switch(
        f"""
        opam-version: "2.0" roots: ["r.1"] installed: ["r.1"]
        package "r" {{
          version: "1"
          x-opam-monorepo-duniverse-dirs: [
            ["https://example.org/there.tbz" "there" ["sha256={hashes.sha256}"]]
            ["https://example.org/absent.tbz" "absent" ["sha256={absent}"]]
          ]
        }}
        """.encode(),
        "switch",
    )
    found = cached_licences(collect_sources(switch), cache)
    assert found == {Use("vendored", "r", "there"): ("ISC",)}


def test_a_damaged_archive_is_no_bug(tmp_path: Path) -> None:
    noise = random.Random(1).randbytes(50_000)  # noqa: S311 - the same in every run
    place = tar(tmp_path / "a", {"a/x": noise, "a/a.opam": ISC}, "w:xz")
    data = bytearray(place.read_bytes())
    data[30_000:30_040] = b"\xff" * 40
    place.write_bytes(data)
    with pytest.raises(InputError, match="the archive cannot be read"):
        stated_licences(place, "a")
