"""Commits as tars: own repositories, made by git itself."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pkggen.errors import (
    InputError,
)
from pkggen.sources import git
from pkggen.sources.git import fetch_git
from pkggen.sources.nar import hash_path
from tests.sources.conftest import COMMITTED, Repo, content, fetch, members


def test_tree_is_packed(repo: Repo, out: Path, tmp_path: Path) -> None:
    run = repo.path / "bin" / "run"
    run.parent.mkdir()
    run.write_bytes(b"#!/bin/sh\n")
    run.chmod(0o775)
    (repo.path / "link").symlink_to("bin/run")
    long = "/".join(["d" * 60] * 4)
    commit = repo.commit({"bin.txt": b"", "été": b"e", "bin/a": b"a", long: b"long"})
    tree = fetch(repo, commit, out)
    found = members(tree)
    assert list(found)[:6] == ["", "bin", "bin.txt", "bin/a", "bin/run", "d" * 60]
    assert {long, "été", "link"} <= set(found)
    assert {(i.uid, i.gid, i.uname, i.gname, i.mtime) for i in found.values()} == {
        (0, 0, "", "", COMMITTED)
    }
    assert [found[name].mode for name in ("", "bin", "bin.txt", "bin/run", "link")] == [
        0o755, 0o755, 0o644, 0o755, 0o777,
    ]  # fmt: skip
    assert found["link"].linkname == "bin/run"
    assert content(tree, "bin/a") == b"a"
    assert (tree.url, tree.commit, tree.tar) == (repo.url, commit, out)
    assert tree.committed == datetime.fromtimestamp(COMMITTED, UTC)
    assert tree.hashes.sha256 == hashlib.sha256(out.read_bytes()).hexdigest()
    assert tree.hashes.size == out.stat().st_size
    shutil.copytree(
        repo.path, tmp_path / "checkout", symlinks=True, ignore=shutil.ignore_patterns(".git")
    )
    assert tree.nar == hash_path(tmp_path / "checkout")
    assert [file.name for file in out.parent.iterdir()] == ["lib.tar"], "nothing is left behind"


def test_other_tools_unpack_the_same(repo: Repo, out: Path, tmp_path: Path) -> None:
    name = b"caf\xe9"
    (Path(os.fsdecode(os.fsencode(repo.path) + b"/" + name))).write_bytes(b"latin")
    commit = repo.commit({"été/" + "x" * 120: b"1", "plain": b"2"})
    tree = fetch(repo, commit, out)
    subprocess.run(["tar", "-xf", out, "-C", tmp_path], check=True, env={"PATH": os.defpath})
    assert hash_path(tmp_path / f"lib-{commit[:8]}") == tree.nar


def test_bytes_of_the_tar_are_for_ever(repo: Repo, out: Path) -> None:
    (repo.path / "link").symlink_to("été")
    tree = fetch(repo, repo.commit({"été": b"summer\n", "a/" * 60 + "b": b""}), out)
    assert tree.commit == "0d9bb114ce53322820ff11c4efbb49a04788d47e"
    assert tree.hashes.sha256 == (
        "07f6f1b78f8f5b08700efc93a270762d89b506a703dbabdaf1e5517ef7beb47a"
    )


def test_surroundings_do_not_matter(
    repo: Repo, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repo.commit({"a": b"a\n", "été": b"", ".gitattributes": b"a text\n"})
    known = fetch(repo, commit, out)
    home = tmp_path / "home"
    (home / ".config" / "git").mkdir(parents=True)
    (home / ".config" / "git" / "attributes").write_text("* ident eol=crlf\n")
    (home / ".gitconfig").write_text(
        f"[core]\n\tautocrlf = true\n\thooksPath = {home}\n\tabbrev = 4\n"
        '[url "https://example.invalid/"]\n\tinsteadOf = file://\n'
        "[log]\n\tshowSignature = true\n"
    )
    changed = {"HOME": home, "XDG_CONFIG_HOME": home / ".config", "TZ": "Pacific/Chatham"}
    changed |= {"LC_ALL": "tr_TR.UTF-8", "GIT_DIR": "/nonexistent", "GIT_TRACE": "1"}
    for name, value in changed.items():
        monkeypatch.setenv(name, str(value))
    old = os.umask(0o077)
    try:
        other = fetch(repo, commit, out.with_name("other"))
    finally:
        os.umask(old)
    assert (other.hashes, other.nar, other.converted) == (known.hashes, known.nar, ())


def test_attributes_for_archives_are_not_obeyed(repo: Repo, out: Path) -> None:
    attributes = b"hidden export-ignore\nversion export-subst\n"
    files = {".gitattributes": attributes, "hidden": b"h", "version": b"$Format:%H$\n"}
    commit = repo.commit(files)
    tree = fetch(repo, commit, out)
    assert "hidden" in members(tree)
    assert content(tree, "version") == b"$Format:%H$\n"
    theirs = out.with_name("theirs")
    repo.git("archive", f"--output={theirs}", commit)
    with tarfile.open(theirs) as archive:
        assert "hidden" not in archive.getnames()
        version = archive.extractfile("version")
        assert version is not None
        assert version.read() == f"{commit}\n".encode()


def test_what_a_checkout_converts_is_reported(repo: Repo, out: Path) -> None:
    attributes = (
        b"id ident\n*.bat eol=crlf\n*.u working-tree-encoding=UTF-16\nlf eol=lf\n*.c text\n"
    )
    files = {"id": b"$Id$", "a.bat": b"dir\n", "lf": b"\n", "a.c": b"\n", "plain": b"\n"}
    repo.commit({"sub/.gitattributes": attributes} | {f"sub/{n}": d for n, d in files.items()})
    blob = repo.git("hash-object", "-w", "--stdin", stdin=b"text\n")
    repo.git("update-index", "--add", "--cacheinfo", f"100644,{blob},sub/t.u")
    tree = fetch(repo, repo.commit_index(), out)
    assert tree.converted == ("sub/a.bat", "sub/id", "sub/t.u")
    assert content(tree, "sub/a.bat") == b"dir\n"
    assert content(tree, "sub/id") == b"$Id$"


def test_lfs_pointers_are_reported_and_kept(repo: Repo, out: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 5\n" % (b"0" * 64)
    about = b"see version https://git-lfs.github.com/spec/v1\n"
    (repo.path / "link").symlink_to(pointer.decode())
    tree = fetch(repo, repo.commit({"big.bin": pointer, "text": about}), out)
    assert tree.lfs_pointers == ("big.bin",)
    assert content(tree, "big.bin") == pointer


def test_group_writable_file_of_old_repositories(repo: Repo, out: Path) -> None:
    blob = repo.git("hash-object", "-w", "--stdin", stdin=b"x")
    assert members(fetch(repo, repo.raw_tree((b"100664", b"old", blob)), out))["old"].mode == 0o644


def test_commit_without_files(repo: Repo, out: Path) -> None:
    tree = fetch(repo, repo.commit_index(), out)
    assert list(members(tree)) == [""]


@pytest.mark.slow
def test_large_file_is_not_held_in_memory(repo: Repo, out: Path) -> None:
    size = 64 * 1024 * 1024
    repo.git("config", "core.bigFileThreshold", "1m")
    with (repo.path / "large").open("wb") as sparse:
        sparse.truncate(size)
    commit = repo.commit({})
    code = (
        "import sys; from pathlib import Path; from pkggen.sources.git import fetch_git\n"
        "fetch_git(sys.argv[1], sys.argv[2], Path(sys.argv[3]), name='lib', local=True)\n"
        "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, repo.url, commit, out],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(git.__file__).parent.parent.parent,
    )
    assert out.stat().st_size > size
    assert int(run.stdout) < 48 * 1024


def test_place_that_cannot_be_written(repo: Repo, out: Path) -> None:
    commit = repo.commit({"a": b""})
    with pytest.raises(InputError, match="cannot be written: No such file"):
        fetch(repo, commit, out.parent / "missing" / "lib.tar")
    out.mkdir()
    with pytest.raises(InputError, match="cannot be written: Is a directory"):
        fetch(repo, commit, out)


@pytest.mark.parametrize("name", ["", "..", "a/b", "-a", ".a", "a" * 300])
def test_names_of_the_top_directory(repo: Repo, out: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of a directory"):
        fetch_git(repo.url, "d" * 40, out, name=name, local=True)
