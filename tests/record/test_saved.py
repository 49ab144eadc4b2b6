from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pkggen.errors import Faults, InputError, PkggenError, VerificationError
from pkggen.record import assemble
from pkggen.record.artifact import FileContent, Measure, measure
from pkggen.record.manifest import read_manifest
from pkggen.record.saved import save
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.record.model import Record
    from tests.conftest import MakeRecord
    from tests.record.conftest import Open


@pytest.fixture
def saved(tmp_path: Path, make_record: MakeRecord) -> Path:
    return make_record(tmp_path / "saved")


def tree(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def comparable(record: Record) -> object:
    return replace(
        record,
        source="",
        switch=replace(record.switch, file=""),
        image=None,
        artifacts=tuple(replace(f, content=FileContent(None)) for f in record.artifacts),  # type: ignore[arg-type]
        metadata=tuple(replace(f, content=FileContent(None)) for f in record.metadata),  # type: ignore[arg-type]
    )


def test_what_is_saved_is_read_back(saved: Path, tmp_path: Path, opened: Open) -> None:
    record = opened(saved)
    assert record.origin is not None
    assert record.started is not None
    assert record.image is not None
    save(record, tmp_path / "deep" / "again")
    again = opened(tmp_path / "deep" / "again")
    assert comparable(again) == comparable(record)
    assert tree(tmp_path / "deep" / "again") == tree(saved)


def test_saving_is_deterministic_json(saved: Path) -> None:
    text = (saved / "record.json").read_text()
    document = json.loads(text)
    assert text == json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert document["schema"] == "1.0.0"
    assert document["started"] == "2026-08-23T09:00:00Z"
    assert document["finished"] == "2026-08-23T09:00:12Z"
    assert document["image"] == "bin/hello.hvt"
    assert [entry["path"] for entry in document["artifacts"]] == ["bin/hello.hvt"]


def test_saving_again_touches_nothing(saved: Path, opened: Open) -> None:
    before = {path: path.stat().st_mtime_ns for path in saved.rglob("*")}
    os.utime(saved / "record.json", ns=(1, 1))
    before[saved / "record.json"] = 1
    save(opened(saved), saved)
    assert {path: path.stat().st_mtime_ns for path in saved.rglob("*")} == before


def test_an_empty_directory_is_taken(saved: Path, tmp_path: Path, opened: Open) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    save(opened(saved), tmp_path / "link")
    assert tree(tmp_path / "empty") == tree(saved)
    assert (tmp_path / "link").is_symlink()


def test_something_else_is_never_touched(
    saved: Path, tmp_path: Path, opened: Open, make_record: MakeRecord
) -> None:
    other = make_record(tmp_path / "other", name="other")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for target in ("other", "full", "file"):
        with pytest.raises(InputError, match="already holds something else"):
            save(opened(saved), tmp_path / target)
    assert (tmp_path / "full" / "x").read_text() == "mine"
    assert opened(other).job == "other"


def test_a_damaged_copy_is_told_when_saved_again(saved: Path, tmp_path: Path, opened: Open) -> None:
    save(opened(saved), tmp_path / "copy")
    (tmp_path / "copy" / "bin" / "hello.hvt").write_bytes(b"damaged")
    with pytest.raises(VerificationError, match="recorded size"):
        save(opened(saved), tmp_path / "copy")


def test_a_failure_leaves_nothing(saved: Path, tmp_path: Path, opened: Open) -> None:
    record = opened(saved)
    image = saved / "bin" / "hello.hvt"
    image.write_bytes(image.read_bytes()[::-1])
    before = sorted(tmp_path.iterdir())
    with pytest.raises(VerificationError, match="changed since it was read"):
        save(record, tmp_path / "copy")
    image.unlink()
    with pytest.raises(InputError, match="No such file"):
        save(record, tmp_path / "copy")
    assert sorted(tmp_path.iterdir()) == before


KILLED = """\
import os, signal, sys
from pathlib import Path
from pkggen.record import saved
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory

copy = saved._copy

def copy_one_then_die(file, target):
    if any(target.parent.iterdir() if target.parent.exists() else ()):
        os.kill(os.getpid(), signal.SIGKILL)
    copy(file, target)

saved._copy = copy_one_then_die
saved.save(assemble(read_directory(Path(sys.argv[1]), "x")), Path(sys.argv[2]))
"""


def test_a_killed_run_leaves_no_half_record(saved: Path, tmp_path: Path, opened: Open) -> None:
    target = tmp_path / "copy"
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(saved), str(target)],
        cwd=REPOSITORY,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    assert not target.exists()
    save(opened(saved), target)
    assert tree(target) == tree(saved)


def test_a_place_that_cannot_be_written_is_told(saved: Path, tmp_path: Path, opened: Open) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot save the record"):
        save(opened(saved), tmp_path / "file" / "below")


def test_damaged_files_are_all_told(saved: Path, opened: Open) -> None:
    for name in ("bin/hello.hvt", "system-packages"):
        data = bytearray((saved / name).read_bytes())
        data[-1] ^= 1
        (saved / name).write_bytes(bytes(data))
    with pytest.raises(Faults) as caught:
        opened(saved)
    assert [fault.where for fault in caught.value.faults] == [
        f"{saved}: bin/hello.hvt",
        f"{saved}: system-packages",
    ]
    assert caught.value.exit_code == 4
    assert "recorded sha256" in str(caught.value)


def test_missing_and_extra_files_are_all_told(saved: Path, opened: Open) -> None:
    (saved / "system-packages").unlink()
    (saved / "README.md").write_text("x")
    (saved / "build").mkdir()
    (saved / "build" / "x").write_text("x")
    with pytest.raises(Faults) as caught:
        opened(saved)
    assert [fault.message for fault in caught.value.faults] == [
        "system-packages is missing",
        "README.md is not listed in record.json",
        "build/x is not listed in record.json",
    ]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("schema",), "2.0.0", r"\$\.schema: schema 2\.0\.0 is not one"),
        (("schema",), "1", r"\$\.schema: not a version"),
        (("schema",), 1, r"\$\.schema: not a string"),
        (("job",), None, r"\$\.job: not a string"),
        (("job",), "../x", "is not the name of a job"),
        (("platform",), 3, r"\$\.platform: not a string"),
        (("started",), "yesterday", r"\$\.started: not a time"),
        (("started",), "2026-08-23T09:00:00", r"\$\.started: not a time"),
        (("finished",), 3, r"\$\.finished: not a string"),
        (("origin",), [], r"\$\.origin: not an object"),
        (("origin", "server"), "http://example.org", "not an https URL"),
        (("origin", "server"), "https://u:p@example.org", "not the URL of a server"),
        (("origin", "job"), "a/b", r"\$\.origin\.job: 'a/b' is not the name"),
        (("origin", "build"), "X", r"\$\.origin\.build: not a UUID"),
        (("image",), "/bin/x", "is absolute"),
        (("image",), None, "says that the main image is None"),
        (("image",), "bin/other", "says that the main image is bin/other"),
        (("artifacts",), {}, r"\$\.artifacts: not a list"),
        (("artifacts", 0), "x", r"\$\.artifacts\[0\]: not an object"),
        (("artifacts", 0, "size"), "1", r"\$\.artifacts\[0\]\.size: not a whole number"),
        (("artifacts", 0, "size"), True, r"\$\.artifacts\[0\]\.size: not a whole number"),
        (("artifacts", 0, "size"), 1.5, r"\$\.artifacts\[0\]\.size: not a whole number"),
        (("artifacts", 0, "size"), -1, r"\$\.artifacts\[0\]\.size: negative"),
        (("artifacts", 0, "sha256"), "A" * 64, r"\$\.artifacts\[0\]\.sha256: not 64 lower"),
        (("metadata", 1, "path"), None, r"\$\.metadata\[1\]\.path: not a string"),
    ],
)
def test_wrong_values_are_told_with_their_place(
    saved: Path, opened: Open, place: tuple[Any, ...], value: object, message: str
) -> None:
    document = json.loads((saved / "record.json").read_text())
    parent = document
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    (saved / "record.json").write_text(json.dumps(document))
    with pytest.raises(InputError) as caught:
        opened(saved)
    caught.match(message)


def test_a_path_twice_is_refused(saved: Path, opened: Open) -> None:
    document = json.loads((saved / "record.json").read_text())
    document["artifacts"] *= 2
    (saved / "record.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="two files have the path"):
        opened(saved)


@pytest.mark.parametrize("key", ["schema", "job", "platform", "origin", "image", "artifacts"])
def test_missing_keys_are_told(saved: Path, opened: Open, key: str) -> None:
    document = json.loads((saved / "record.json").read_text())
    del document[key]
    (saved / "record.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=f"has no '{key}'"):
        opened(saved)


def test_a_later_minor_schema_is_read(saved: Path, opened: Open) -> None:
    document = json.loads((saved / "record.json").read_text())
    document |= {"schema": "1.7.3", "later": [1]}
    (saved / "record.json").write_text(json.dumps(document))
    assert opened(saved).platform == "debian-12"


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "null", "[]", '"x"', "\udcff", "NaN"])
def test_what_is_no_object_is_refused(saved: Path, opened: Open, text: str) -> None:
    (saved / "record.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError):
        opened(saved)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["schema", "job", "origin", "artifacts", "path", "size"]), inner
        )
    ),
    max_leaves=8,
)


@given(document=JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_never_a_bug(document: object) -> None:
    with pytest.raises(PkggenError):
        read_manifest(json.dumps(document).encode(), "record.json")


def test_a_key_that_is_given_twice(saved: Path, opened: Open) -> None:
    place = saved / "record.json"
    place.write_text(place.read_text().replace('"job":', '"job": "other",\n  "job":', 1))
    with pytest.raises(InputError, match="the key 'job' is given twice"):
        opened(saved)


@pytest.mark.parametrize("name", ["opam-switch", "build-environment"])
def test_metadata_that_changes_between_hash_and_use(
    saved: Path, opened: Open, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def changing(file: BinaryIO, where: str, limit: int) -> Measure:
        found = measure(file, where, limit)
        if where.endswith(name):
            with (saved / name).open("a") as more:
                more.write("\n")
        return found

    monkeypatch.setattr(assemble, "measure", changing)
    with pytest.raises(VerificationError, match="changed since it was read"):
        opened(saved)
