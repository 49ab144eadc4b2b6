from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyasn1.type import univ

from pkggen.errors import Faults, InputError
from pkggen.record.exec import parse_exec
from tests.conftest import ENVIRONMENT, SWITCH, SYSTEM_PACKAGES
from tests.record.der import UUID, Bytes, full

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.record.exec import Exec
    from tests.record.conftest import Open

BINARY = b"\x00\xff\xfe" * 100


def parsed(directory: Path, data: bytes) -> Exec:
    path = directory / "full"
    path.write_bytes(data)
    return parse_exec(path, "full")


def contents(run: Exec) -> dict[str, bytes]:
    found = {}
    for file in run.files:
        with file.content.open() as content:
            found[file.path] = content.read()
    return found


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65_535, 65_536])
def test_files_of_every_length_form(tmp_path: Path, size: int) -> None:
    data = bytes(size)
    assert contents(parsed(tmp_path, full({"a": data, "b/c": b"x"}))) == {"a": data, "b/c": b"x"}


def test_everything_that_a_run_states(tmp_path: Path) -> None:
    run = parsed(tmp_path, full({"bin/x": BINARY}))
    assert (run.job, run.platform, run.uuid) == ("hello", "debian-12", UUID)
    assert run.started == datetime(2026, 8, 23, 9, 0, tzinfo=UTC)
    assert run.finished == datetime(2026, 8, 23, 9, 0, 12, tzinfo=UTC)
    assert contents(run) == {"bin/x": BINARY}


def test_an_old_file_has_utc_times_and_no_platform(tmp_path: Path) -> None:
    run = parsed(tmp_path, full({}, platform=None, times=("210624120000Z", "20210624120001Z")))
    assert run.platform == "no-platform"
    assert run.started == datetime(2021, 6, 24, 12, 0, tzinfo=UTC)
    assert run.finished == datetime(2021, 6, 24, 12, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ((0, univ.Integer(1)), "exited with '1'"),
        ((0, univ.Integer(-1)), "exited with '-1'"),
        ((1, univ.Integer(9)), "was ended by signal '9'"),
        ((2, univ.Integer(19)), "was stopped by signal '19'"),
        ((3, Bytes(b"timeout \x1b[2J")), "failed with 'timeout"),
    ],
)
def test_a_failed_build_is_told_with_its_last_lines(
    tmp_path: Path, result: tuple[int, Any], message: str
) -> None:
    lines = tuple(f"line {number}\x1b[2J\n".encode() for number in range(9, 0, -1))
    with pytest.raises(InputError, match=message) as caught:
        parsed(tmp_path, full({}, result=result, console=lines))
    text = str(caught.value)
    assert [line.strip()[:6] for line in text.splitlines() if "line" in line] == [
        f"line {number}" for number in range(5, 10)
    ]
    assert "\x1b" not in text


@pytest.mark.parametrize(
    "changed",
    [
        {"uuid": b"x" * 15},
        {"uuid": b"x" * 17},
        {"times": ("20260230000000Z", "20260823090012Z")},
        {"result": (4, univ.Integer(0))},
        {"result": (0, Bytes(b"\0"))},
        {"job": "x" * 5000},
    ],
)
def test_what_is_not_builders_is_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        parsed(tmp_path, full({}, **changed))
    assert "expected the file `full`" in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xa0",
        b"\xa0\x00",
        b"\xa1\x02\x05\x00",
        b"\xa0\x80\x00\x00",  # indefinite
        b"\xa0\x81\x02\x30\x00",  # not the shortest length
        b"\xa0\x82\x00\x02\x30\x00",
        b"\xa0\x89" + b"\x01" * 9,
        b"\xa0\xff",
        b"\xa0\x02\x30\x01",
        b"\xa0\x88" + b"\xff" * 8,
    ],
)
def test_bad_der_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InputError):
        parsed(tmp_path, data)


@pytest.mark.parametrize("text", [b"2026082309001+Z", b"20260823090012+", b"            12Z"])
def test_other_times_are_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(InputError, match="a time is not"):
        parsed(tmp_path, full({}).replace(b"20260823090012Z", text))


def test_a_trailing_byte_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="bytes after the end"):
        parsed(tmp_path, full({}) + b"\0")


def test_lengths_must_be_the_shortest(tmp_path: Path) -> None:
    whole = full({})
    assert whole[:2] == b"\xa0\x81"
    for data in (b"\xa0\x82\x00" + whole[2:], b"\xa0\x81\x02\x30\x00"):
        with pytest.raises(InputError, match="a length is not DER"):
            parsed(tmp_path, data)


def test_every_cut_is_refused(tmp_path: Path) -> None:
    whole = full({"a": b"x"})
    for length in range(len(whole)):
        with pytest.raises(InputError):
            parsed(tmp_path, whole[:length])


@pytest.mark.slow
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_flipped_bytes_are_never_a_bug(tmp_path: Path, data: st.DataObject) -> None:
    whole = bytearray(full({"bin/x": b"0123", "opam-switch": b""}))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        run = parsed(tmp_path, bytes(whole))
        assert sum(len(content) for content in contents(run).values()) < len(whole)
    except (InputError, Faults):
        return


@given(data=st.binary(max_size=120))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_is_never_a_bug(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InputError):
        parsed(tmp_path, b"\xa0" + data)


def whole_build(**more: bytes) -> dict[str, bytes]:
    return {
        "opam-switch": SWITCH.format(name="hello").encode(),
        "build-environment": ENVIRONMENT.format(name="hello").encode(),
        "system-packages": SYSTEM_PACKAGES.encode(),
        **more,
    }


def test_as_source(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "full"
    path.write_bytes(full({**whole_build(), "README.md": b"x", "lib/a": BINARY}, job="hello-git"))
    record = opened(path)
    assert (record.job, record.platform) == ("hello-git", "debian-12")
    assert [str(file.path) for file in record.artifacts] == ["lib/a"]
    assert record.origin is None


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "record.json", "a\0b", "bin//x"])
def test_hostile_paths_are_refused(tmp_path: Path, opened: Open, name: str) -> None:
    path = tmp_path / "full"
    path.write_bytes(full({**whole_build(), name: b"{}"}))
    with pytest.raises(InputError):
        opened(path)


@pytest.mark.parametrize("name", ["../x", "a b", "", "x" * 200, "a\nb"])
def test_hostile_names_are_refused(tmp_path: Path, opened: Open, name: str) -> None:
    path = tmp_path / "full"
    for changed in ({"job": name}, {"platform": name}):
        path.write_bytes(full(whole_build(), **changed))  # type: ignore[arg-type]
        with pytest.raises(InputError, match="is not the name of a"):
            opened(path)


@pytest.mark.parametrize("name", ["something", "timestamp"])
def test_the_real_files_hold_what_their_directories_hold(
    records: Path, opened: Open, name: str
) -> None:
    left = opened(records / "made" / f"{name}.full")
    right = opened(records / "made" / name)
    assert [(file.path, file.sha256) for file in (*left.metadata, *left.artifacts)] == [
        (file.path, file.sha256) for file in (*right.metadata, *right.artifacts)
    ]
    assert left.switch.root == right.switch.root
    assert left.started is not None
    assert (left.job, left.platform, left.started.year) == (name, "debian-12", 2026)


def test_a_status_of_thousands_of_digits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a value of more than 16 bytes"):
        parsed(tmp_path, full({}, result=(0, univ.Integer(1 << 30_000))))
