"""Releases of tools: which record is one, and which address and checksum count."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.errors import Faults, InputError, PkggenError
from pkggen.opam.package import Checksum
from pkggen.opam.switch import read_switch
from pkggen.recipe.release import is_tool, tool_release
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.record.model import Record
    from tests.conftest import MakeRecord

ASSET: Final = "https://github.com/Solo5/solo5/releases/download/v0.12.1/solo5-v0.12.1.tar.gz"
SHA256: Final = "a" * 64
SHA512: Final = "b" * 128
URL: Final = f'url {{ src: "{ASSET}" checksum: "sha512={SHA512}" }}'


@pytest.fixture
def record(tmp_path: Path, make_record: MakeRecord) -> Record:
    return assemble(read_directory(make_record(tmp_path / "record", saved=False), "a-record"))


def of(record: Record, fields: str = URL, full: str = "solo5.0.12.1") -> Record:
    name, _, version = full.partition(".")
    text = f"""roots: ["{full}"] installed: ["{full}"]
        package "{name}" {{ version: "{version}" {fields} }}"""
    return replace(record, switch=read_switch(text.encode(), "opam-switch"))


def faults_of(record: Record) -> set[str]:
    with pytest.raises(PkggenError) as caught:
        tool_release(record)
    found = caught.value
    faults = found.faults if isinstance(found, Faults) else (found,)
    assert all(isinstance(fault, InputError) and fault.hint for fault in faults)
    return {fault.message for fault in faults}


def test_which_records_are_of_tools(record: Record) -> None:
    assert is_tool(of(record))
    assert not is_tool(record)
    for roots in ("", '"solo5.1" "other.1"', '"solo5-hvt.1"'):
        text = f'roots: [{roots}] installed: ["solo5.1" "other.1" "solo5-hvt.1"]'
        assert not is_tool(replace(record, switch=read_switch(text.encode(), "opam-switch")))


def test_release(record: Record) -> None:
    release = tool_release(of(record))
    assert (release.name, release.version, release.urls) == ("solo5", "0.12.1", (ASSET,))
    assert release.checksums == (Checksum("sha512", SHA512),)
    assert release.provenance.root == "solo5.0.12.1"
    assert tool_release(of(record, full="solo5.v0.12.1")).version == "0.12.1"


def test_the_real_record(records: Path) -> None:
    release = tool_release(assemble(read_directory(records / "made" / "solo5", "solo5")))
    assert (release.version, release.urls) == ("0.12.1", (ASSET,))
    assert [checksum.kind for checksum in release.checksums] == ["sha512"]


def test_sha256_comes_first_and_md5_never(record: Record) -> None:
    sums = f'"md5={"c" * 32}" "sha512={SHA512}" "sha256={SHA256}"'
    release = tool_release(of(record, f'url {{ src: "{ASSET}" checksum: [{sums}] }}'))
    assert [checksum.kind for checksum in release.checksums] == ["sha256", "sha512"]


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/Solo5/solo5/archive/v0.12.1.tar.gz",
        "https://github.com/Solo5/solo5/archive/refs/tags/v0.12.1.tar.gz",
        "https://github.com/Solo5/solo5/tarball/v0.12.1",
        "https://codeload.github.com/Solo5/solo5/tar.gz/v0.12.1",
        "https://api.github.com/repos/Solo5/solo5/x/v0.12.1",
        "https://gitlab.com/solo5/solo5/-/archive/v0.12.1/solo5-v0.12.1.tar.gz",
        "https://codeberg.org/solo5/solo5/archive/v0.12.1.tar.gz",
        "https://bitbucket.org/solo5/solo5/get/v0.12.1.tar.gz",
        "http://example.org/solo5-v0.12.1.tar.gz",
        "git+https://github.com/Solo5/solo5#0123456",
        "https://example.org/${version}.tar.gz",
    ],
)
def test_addresses_that_do_not_count(record: Record, address: str) -> None:
    fields = f'url {{ src: "{address}" checksum: "sha512={SHA512}" }}'
    no_address = "no https address of a release's own archive is recorded for solo5 0.12.1"
    assert faults_of(of(record, fields)) == {no_address}
    mirrored = fields.replace("checksum", f'mirrors: "{ASSET}" checksum')
    assert tool_release(of(record, mirrored)).urls == (ASSET,)


def test_all_that_is_missing_is_said_at_once(record: Record) -> None:
    no_checksum = "neither sha256 nor sha512 is recorded for solo5 dev"
    no_address = "no https address of a release's own archive is recorded for solo5 dev"
    no_release = "solo5 dev is no release"
    assert faults_of(of(record, "", "solo5.dev")) == {no_release, no_address, no_checksum}
    weak = f'url {{ src: "{ASSET}" checksum: "md5={"c" * 32}" }}'
    assert faults_of(of(record, weak, "solo5.dev")) == {no_release, no_checksum}
