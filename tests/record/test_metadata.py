from __future__ import annotations

import contextlib
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkggen.errors import Faults, InputError
from pkggen.record.metadata import read_build_hashes, read_environment, read_system_packages
from pkggen.record.model import Environment
from tests.conftest import ENVIRONMENT

DEBIAN = Environment(variables=(("OS", "linux"), ("OS_FAMILY", "debian")))
FREEBSD = Environment(variables=(("OS", "freebsd"), ("OS_FAMILY", "bsd")))
MD5 = "d41d8cd98f00b204e9800998ecf8427e"


@pytest.mark.parametrize("end", ["", "\n"])
def test_environment(end: str) -> None:
    data = f"A=1\nPATH=/bin:/usr/bin\nEMPTY=\nFLAGS=-DX=1 -DY=é\nA=2{end}".encode()
    environment = read_environment(data, "build-environment")
    assert environment.variables == (
        ("A", "1"),
        ("PATH", "/bin:/usr/bin"),
        ("EMPTY", ""),
        ("FLAGS", "-DX=1 -DY=é"),
        ("A", "2"),
    )
    assert environment.get("A") == "2"
    assert environment.get("NONE") is None


def test_a_whole_environment_of_orb() -> None:
    environment = read_environment(ENVIRONMENT.format(name="hello").encode(), "f")
    assert environment.get("OS") == "linux"
    assert len(environment.variables) == 14


def test_an_empty_environment_is_empty() -> None:
    assert read_environment(b"", "f").variables == ()


@pytest.mark.parametrize(
    "data", [b"A", b"=1", b"A=1\n\nB=2", b"A=\0", b"A=\x1b[2J", b"A=\xff", b"A B=1", b"A=1\r\nB=2"]
)
def test_broken_environments_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        read_environment(data, "f")


def test_a_fault_names_its_line() -> None:
    with pytest.raises(InputError, match="not a NAME=value line") as caught:
        read_environment(b"A=1\nB", "build-environment")
    assert caught.value.where == "build-environment:2"


def test_packages_of_debian_split_at_the_first_equals_sign() -> None:
    data = b"libc6=2.36-9+deb12u10\nadduser=3.134\nlibc6=2.36-9+deb12u10\ng++=4:12.2.0-3~x\n"
    packages = read_system_packages(data, "f", DEBIAN)
    assert [(package.name, package.version) for package in packages] == [
        ("adduser", "3.134"),
        ("g++", "4:12.2.0-3~x"),
        ("libc6", "2.36-9+deb12u10"),
    ]


def test_packages_of_freebsd_split_at_the_last_hyphen() -> None:
    data = b"opam-2.1.2\nca_root_nss-3.93\nfoo-bar-1.0_2,1\n"
    packages = read_system_packages(data, "f", FREEBSD)
    assert [(package.name, package.version) for package in packages] == [
        ("ca_root_nss", "3.93"),
        ("foo-bar", "1.0_2,1"),
        ("opam", "2.1.2"),
    ]


@pytest.mark.parametrize("line", [b"nothing", b"=1", b"a=", b"a=1 2", b"../a=1", b"a=$(x)"])
def test_broken_package_lines_are_refused(line: bytes) -> None:
    with pytest.raises(InputError):
        read_system_packages(line + b"\n", "f", DEBIAN)


def test_an_unknown_system_has_no_package_list() -> None:
    with pytest.raises(InputError, match="OS=macos, OS_FAMILY=None"):
        read_system_packages(b"a=1\n", "f", Environment(variables=(("OS", "macos"),)))


def test_too_many_lines_are_refused() -> None:
    with pytest.raises(InputError, match="more than 100000 lines"):
        read_environment(b"A=1\n" * 100_001, "f")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('opam-version: "2.0"\n', {}),
        (f'added: "bin/foo" {{"F:{MD5}"}}', {"bin/foo": MD5}),
        (
            (
                f'added: [ "bin" {{"D"}} "bin/x" {{"F:{MD5}"}} "bin/y" {{"L:x"}} ]\n'
                f'removed: "old"\n'
                f'contents-changed: "lib/z" {{"F:{MD5}"}}'
            ),
            {"bin/x": MD5, "lib/z": MD5},
        ),
    ],
)
def test_build_hashes(text: str, expected: dict[str, str]) -> None:
    found = read_build_hashes(text.encode(), "x.build-hashes")
    assert found == {PurePosixPath(path): md5 for path, md5 in expected.items()}


@pytest.mark.parametrize(
    "text",
    [
        'name: "x"',
        f'package "x" {{ added: "a" {{"F:{MD5}"}} }}',
        'added: "a"',
        'added: "a" {"F:S12T34"}',
        f'added: "a" {{"F:{MD5}" "D"}}',
        f'added: "/a" {{"F:{MD5}"}}',
        f'added: "../a" {{"F:{MD5}"}}',
        f'added: ["a" {{"F:{MD5}"}} "a" {{"F:{MD5}"}}]',
        f'added: "a" {{"F:{MD5.upper()}"}}',
        "added: [",
    ],
)
def test_broken_build_hashes_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        read_build_hashes(text.encode(), "x.build-hashes")


@given(st.binary(max_size=100))
def test_bytes_are_never_a_bug(data: bytes) -> None:
    for read in (
        lambda: read_environment(data, "f"),
        lambda: read_system_packages(data, "f", DEBIAN),
        lambda: read_system_packages(data, "f", FREEBSD),
        lambda: read_build_hashes(data, "f"),
    ):
        with contextlib.suppress(InputError, Faults):
            assert read() is not None
