from __future__ import annotations

import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pkggen.errors import InputError, ToolError, VerificationError
from pkggen.opam.package import Checksum
from pkggen.sources.cache import Cache
from pkggen.sources.hashes import hash_stream
from pkggen.sources.part import usable
from tests.sources.make import checksum

if TYPE_CHECKING:
    from pathlib import Path

DATA = b"some bytes\n" * 1000
ALL = tuple(checksum(kind, DATA) for kind in ("sha256", "sha512", "md5"))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "deep" / "cache")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


def names(cache: Cache) -> list[str]:
    return sorted(
        str(path.relative_to(cache.directory))
        for path in cache.directory.rglob("*")
        if path.is_file()
    )


def test_the_layout_is_that_of_opam(cache: Cache, file: Path) -> None:
    path, hashes = cache.add(file, ALL)
    with file.open("rb") as stream:
        assert hashes == hash_stream(stream)
    assert names(cache) == sorted(f"{c.kind}/{c.digest[:2]}/{c.digest}" for c in ALL)
    assert {cache.place(one).stat().st_ino for one in ALL} == {path.stat().st_ino}
    assert path == cache.place(ALL[0])
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_md5_is_a_name_only_when_recorded(cache: Cache, file: Path) -> None:
    cache.add(file)
    assert cache.find([ALL[2]]) is None
    assert cache.find([ALL[0]]) is not None


@pytest.mark.parametrize("known", ALL, ids=lambda one: one.kind)
def test_any_recorded_checksum_finds_it_and_adds_the_others(cache: Cache, known: Checksum) -> None:
    place = cache.place(known)
    place.parent.mkdir(parents=True)
    place.write_bytes(DATA)  # as opam leaves it
    found = cache.find(ALL)
    assert found is not None
    assert found[0].read_bytes() == DATA
    assert all(cache.place(one).samefile(place) for one in ALL)


def test_a_wrong_file_is_not_found_and_goes(cache: Cache, file: Path) -> None:
    path, _ = cache.add(file, ALL)
    path.unlink()
    path.write_bytes(DATA[:-1])
    found = cache.find(ALL)
    assert found is not None
    assert found[0].read_bytes() == DATA
    assert cache.place(ALL[0]).samefile(cache.place(ALL[1]))


def test_one_file_wrong_under_all_names(cache: Cache, file: Path) -> None:
    path, _ = cache.add(file, ALL)
    path.write_bytes(b"changed in place")
    assert cache.find(ALL) is None
    assert names(cache) == []


def test_all_checksums_have_to_match(cache: Cache, file: Path) -> None:
    cache.add(file, ALL)
    other = Checksum("md5", "0" * 32)
    assert cache.find([ALL[0], other]) is None
    assert cache.find([ALL[0]]) is not None


def test_nothing_is_added_that_does_not_match(cache: Cache, file: Path) -> None:
    with pytest.raises(VerificationError, match=f"the md5 is {ALL[2].digest}, recorded is 0+"):
        cache.add(file, [ALL[0], Checksum("md5", "0" * 32)])
    assert names(cache) == []


@pytest.mark.parametrize("make", ["directory", "pipe", "missing"])
def test_what_is_no_file_is_not_added(cache: Cache, tmp_path: Path, make: str) -> None:
    place = tmp_path / "odd"
    if make == "directory":
        place.mkdir()
    elif make == "pipe":
        os.mkfifo(place)
    with pytest.raises(InputError, match="odd"):
        cache.add(place)
    assert names(cache) == []


def test_a_pipe_in_place_of_a_file(cache: Cache) -> None:
    place = cache.place(ALL[0])
    place.parent.mkdir(parents=True)
    os.mkfifo(place)
    with pytest.raises(InputError, match="cannot be used"):
        cache.find(ALL)


def test_without_hard_links_files_are_copied(
    cache: Cache, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    cache.add(file, ALL)
    assert all(cache.place(one).read_bytes() == DATA for one in ALL)
    assert len(names(cache)) == 3


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, ToolError), (errno.EACCES, InputError)]
)
def test_errors_of_the_disk(tmp_path: Path, number: int, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=str(tmp_path)), usable(tmp_path):
        raise OSError(number, os.strerror(number))


# Incomplete files


def test_an_incomplete_file_is_kept_and_continued(cache: Cache) -> None:
    with cache.part("x") as part:
        part.file.write(DATA[:100])
    with cache.part("x") as part:
        assert part.size == 100
        hasher = part.hasher()
        part.file.write(DATA[100:])
        hasher.update(DATA[100:])
        cache.accept(part, hasher.hashes(), ALL)
    assert cache.find(ALL) is not None
    assert not list(cache.directory.glob(".part*"))


def test_an_empty_one_leaves_nothing(cache: Cache) -> None:
    cache.part("x").close()
    assert names(cache) == []


def test_two_writers_never_share_a_file(cache: Cache) -> None:
    with cache.part("x") as first, cache.part("x") as second:
        assert first.path != second.path
        first.file.write(b"1")
        second.file.write(b"2")
        assert first.path.read_bytes() == b"1"
    assert len(names(cache)) == 2


def test_garbage_is_what_nobody_writes(cache: Cache) -> None:
    with cache.part("dead") as part:
        part.file.write(b"1")
    with cache.part("alive") as part:
        part.file.write(b"22")
        told = list(cache.collect_garbage(None, dry_run=True))
        assert names(cache) == [".part-alive", ".part-dead"]
        assert list(cache.collect_garbage(None)) == told
        assert [(removal.path.name, removal.size) for removal in told] == [(".part-dead", 1)]
        assert names(cache) == [".part-alive"]


def test_a_workspace_goes_with_its_process(cache: Cache) -> None:
    with cache.workspace() as mine:
        (mine / "file").write_bytes(b"123")
        assert list(cache.collect_garbage(None)) == []
    assert names(cache) == []
    script = (
        "import os, sys, pathlib; from pkggen.sources.cache import Cache;"
        "work = Cache(pathlib.Path(sys.argv[1])).workspace(); place = work.__enter__();"
        "(place / 'file').write_bytes(b'123'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(cache.directory)], check=False)
    told = list(cache.collect_garbage(None, dry_run=True))
    assert sorted(removal.size for removal in told) == [0, 3]
    assert list(cache.collect_garbage(None)) == told
    assert list(cache.directory.iterdir()) == []


def test_a_process_that_is_killed_lets_go(cache: Cache) -> None:
    script = (
        "import os, sys, pathlib; from pkggen.sources.cache import Cache;"
        "part = Cache(pathlib.Path(sys.argv[1])).part('x'); part.file.write(b'123');"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(cache.directory)], check=False)
    assert done.returncode == -9
    with cache.part("x") as part:
        assert part.size == 3


# Keeping house


def test_verify_finds_and_removes_wrong_names(cache: Cache, file: Path) -> None:
    path, _ = cache.add(file, ALL)
    other = file.with_name("other")
    other.write_bytes(b"other")
    cache.add(other)
    assert [wrong for _, wrong in cache.verify()] == [[], []]
    stranger = cache.place(Checksum("md5", "ab" * 16))
    stranger.parent.mkdir(parents=True, exist_ok=True)
    stranger.hardlink_to(path)
    (told,) = [wrong for _, wrong in cache.verify(remove=True) if wrong]
    assert len(told) == 1
    assert f"the md5 is {ALL[2].digest}, recorded is {'ab' * 16}" in str(told[0])
    assert not stranger.exists()
    assert cache.find(ALL) is not None
    assert [wrong for _, wrong in cache.verify()] == [[], []]


def test_entries_are_files_not_names(cache: Cache, file: Path) -> None:
    cache.add(file, ALL)
    (cache.directory / "md5" / "README").write_text("not ours")
    (entry,) = cache.entries()
    assert entry.checksums == tuple(sorted(ALL))
    assert entry.size == len(DATA)


def test_garbage_by_need(cache: Cache, file: Path) -> None:
    cache.add(file, ALL)
    other = file.with_name("other")
    other.write_bytes(b"other")
    cache.add(other, [checksum("md5", b"other")])
    (removal,) = cache.collect_garbage([ALL[2]], dry_run=True)
    assert removal.size == 5
    assert len(list(cache.entries())) == 2
    assert list(cache.collect_garbage([ALL[2]])) == [removal]
    assert cache.find(ALL) is not None
    assert cache.find([checksum("sha256", b"other")]) is None
    assert len(names(cache)) == 3


def test_an_empty_cache_has_nothing(cache: Cache) -> None:
    assert list(cache.entries()) == []
    assert list(cache.verify()) == []
    assert list(cache.collect_garbage([])) == []
    assert cache.find(ALL) is None


def test_an_export_is_a_cache(cache: Cache, file: Path, tmp_path: Path) -> None:
    cache.add(file, ALL)
    other = file.with_name("other")
    other.write_bytes(b"other")
    cache.add(other)
    with cache.part("x") as part:
        part.file.write(b"incomplete")
    target = Cache(tmp_path / "export")
    assert len(list(cache.export(target.directory, [ALL[1]]))) == 1
    assert names(target) == sorted(f"{c.kind}/{c.digest[:2]}/{c.digest}" for c in ALL)
    assert len(list(cache.export(target.directory, None))) == 2
    assert target.find([checksum("sha256", b"other")]) is not None


def test_nothing_wrong_is_exported(cache: Cache, file: Path, tmp_path: Path) -> None:
    path, _ = cache.add(file, ALL)
    path.write_bytes(b"changed")
    with pytest.raises(VerificationError, match="does not have the hash in its name"):
        list(cache.export(tmp_path / "export", None))
    assert not (tmp_path / "export").exists()
