"""What a commit holds: submodules at any depth, hostile trees."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from pkggen.errors import (
    DownloadError,
    Faults,
    InputError,
    PkggenError,
)
from pkggen.sources import commit_tree, repository
from pkggen.sources.nar import hash_path
from tests.sources.conftest import Repo, content, fetch, members

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


# Submodules


@pytest.mark.slow
def test_submodules_at_any_depth(make: Callable[[str], Repo], out: Path, tmp_path: Path) -> None:
    inner, middle, outer = make("inner"), make("middle"), make("outer")
    deep = inner.commit({"deep": b"1"})
    inner.commit({"deep": b"2"})
    middle.commit({".gitmodules": b'[submodule "i"]\n\tpath = ext/inner\n\turl = ../inner\n'})
    middle.link("ext/inner", deep)
    between = middle.commit_index()
    modules = f'[submodule "m"]\n\tpath = sub\n\turl = {middle.url}\n\tupdate = none\n'
    outer.commit({".gitmodules": modules.encode(), "sub.txt": b"beside"})
    outer.link("sub", between)
    commit = outer.commit_index()
    tree = fetch(outer, commit, out)
    assert [(s.path, s.url, s.commit) for s in tree.submodules] == [
        ("sub", middle.url, between),
        ("sub/ext/inner", inner.url, deep),
    ]
    assert list(members(tree)) == [
        "", ".gitmodules", "sub", "sub.txt", "sub/.gitmodules", "sub/ext", "sub/ext/inner",
        "sub/ext/inner/deep",
    ]  # fmt: skip
    assert content(tree, "sub/ext/inner/deep") == b"1"
    checkout = tmp_path / "checkout"
    clone = ["clone", "--quiet", "-c", "protocol.file.allow=always", outer.url, str(checkout)]
    outer.git(*clone)
    update = "git -c protocol.file.allow=always submodule update --quiet --init --recursive"
    Repo(checkout).git("config", "submodule.m.update", "checkout")
    Repo(checkout).git(*update.split()[1:])
    for git in sorted(checkout.rglob(".git"), reverse=True):
        shutil.rmtree(git) if git.is_dir() else git.unlink()
    assert hash_path(checkout) == tree.nar


@pytest.mark.slow
def test_submodule_without_files_is_a_directory(make: Callable[[str], Repo], out: Path) -> None:
    empty, outer = make("empty"), make("outer")
    outer.commit({".gitmodules": b'[submodule "e"]\n\tpath = e/f\n\turl = ../empty\n'})
    outer.link("e/f", empty.commit_index())
    assert list(members(fetch(outer, outer.commit_index(), out))) == [
        "", ".gitmodules", "e", "e/f",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("modules", "fault"),
    [
        (b"", "has no addresses in .gitmodules"),
        (b'[submodule "s"]\n\tpath = other\n\turl = ../x\n', "has no addresses"),
        (b'[submodule "s"]\n\tpath = sub\n', "has no addresses"),
        (b'[submodule "s"]\n\tpath = sub\n\turl = ../a\n\turl = ../b\n', "has 2 addresses"),
        (b'[submodule "s"]\n\tpath = sub\n\turl = ssh://example.org/a\n', "repositories by ssh"),
        (b'[submodule "s"]\n\tpath = sub\n\turl = git@example.org:a\n', "repositories by path"),
        (b'[submodule "s"]\n\tpath = sub\n\turl = http://example.org/a\n', "repositories by http"),
        (b'[submodule "s"]\n\tpath = sub\n\turl = /etc\n', "repositories by path"),
        (b'[submodule "s"]\n\tpath = sub\n\turl = "ext::sh -c id"\n', "is no address"),
        (b'[submodule "s"]\n\tpath = sub\n\turl = ' + b"../" * 40 + b"a\n", "leaves the server"),
    ],
)
def test_bad_submodules(repo: Repo, out: Path, modules: bytes, fault: str) -> None:
    repo.commit({".gitmodules": modules} if modules else {"a": b""})
    repo.link("sub", "d" * 40)
    with pytest.raises(InputError) as caught:
        fetch(repo, repo.commit_index(), out)
    assert "submodule sub" in caught.value.message
    assert fault in caught.value.message
    assert not out.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "modules",
    [
        b'[submodule "s"]\n\tpath = sub\n\turl = --upload-pack=id\n',
        b'[submodule "s"]\n\tpath = sub\n\turl = -u./payload\n',
        b'[submodule "../../hooks"]\n\tpath = sub\n\turl = ../x\n',
        b'[submodule "s"]\n\tpath = -sub\n\turl = ../x\n',
        b'[submodule "s"]\n\tpath = sub\n\turl = ../x\n\tupdate = !id\n',
        b"[submodule\n",
    ],
)
def test_hostile_submodules_are_refused_by_git_or_by_us(
    repo: Repo, out: Path, modules: bytes
) -> None:
    repo.commit({".gitmodules": modules})
    repo.link("-sub" if b"-sub" in modules else "sub", "d" * 40)
    commit = repo.commit_index()
    with pytest.raises(PkggenError) as caught:
        fetch(repo, commit, out)
    assert isinstance(caught.value, InputError | DownloadError)
    assert not out.exists()


@pytest.mark.slow
def test_all_bad_submodules_are_named(repo: Repo, out: Path) -> None:
    repo.commit({"a": b""})
    repo.link("one", "d" * 40)
    repo.link("two", "e" * 40)
    with pytest.raises(Faults) as caught:
        fetch(repo, repo.commit_index(), out)
    assert ["one" in str(caught.value), "two" in str(caught.value)] == [True, True]


@pytest.mark.slow
def test_gitmodules_that_is_a_link_is_not_read(
    repo: Repo, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = repo.git("hash-object", "-w", "--stdin", stdin=b"../../etc/passwd")
    commit = repo.raw_tree((b"120000", b".gitmodules", blob), (b"160000", b"sub", "d" * 40))
    with pytest.raises(DownloadError, match="gitmodulesSymlink"):
        fetch(repo, commit, out)
    monkeypatch.setattr(repository, "_CONFIG", "")
    with pytest.raises(InputError, match="has no addresses"):
        fetch(repo, commit, out)


@pytest.mark.slow
def test_gitmodules_that_is_too_long(repo: Repo, out: Path) -> None:
    stated = b'[submodule "s"]\n' + b"\tpath = sub\n" * 100_000
    repo.commit({".gitmodules": stated})
    repo.link("sub", "d" * 40)
    with pytest.raises(InputError, match="printed more than"):
        fetch(repo, repo.commit_index(), out)


@pytest.mark.slow
def test_missing_commit_of_a_submodule(make: Callable[[str], Repo], out: Path) -> None:
    inner, outer = make("inner"), make("outer")
    inner.commit({"a": b""})
    outer.commit({".gitmodules": b'[submodule "s"]\n\tpath = sub\n\turl = ../inner\n'})
    outer.link("sub", "d" * 40)
    with pytest.raises(DownloadError, match="there is no commit dddd") as caught:
        fetch(outer, outer.commit_index(), out)
    assert caught.value.where == inner.url


@pytest.mark.slow
def test_number_of_submodules_is_limited(
    make: Callable[[str], Repo], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, outer = make("inner"), make("outer")
    commit = inner.commit({"a": b""})
    stated = [f'[submodule "{n}"]\n\tpath = s{n}\n\turl = ../inner\n' for n in range(3)]
    outer.commit({".gitmodules": "".join(stated).encode()})
    for number in range(3):
        outer.link(f"s{number}", commit)
    monkeypatch.setattr(commit_tree, "_MAX_SUBMODULES", 2)
    with pytest.raises(InputError, match="has more than 2 submodules"):
        fetch(outer, outer.commit_index(), out)


# Hostile trees


@pytest.mark.slow
@pytest.mark.parametrize("name", [b"..", b".", b".git", b".GiT", b"a/b"])
def test_names_that_no_tree_may_have(
    repo: Repo, out: Path, name: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With git's own check, and with ours alone."""
    blob = repo.git("hash-object", "-w", "--stdin", stdin=b"x")
    commit = repo.raw_tree((b"100644", name, blob))
    with pytest.raises(DownloadError, match="git cannot fetch it"):
        fetch(repo, commit, out)
    monkeypatch.setattr(repository, "_CONFIG", "")
    if name != b"a/b":  # for git itself this is then an honest path
        with pytest.raises(InputError):
            fetch(repo, commit, out)
    assert not out.exists()


@pytest.mark.slow
def test_duplicate_entries(repo: Repo, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = repo.git("hash-object", "-w", "--stdin", stdin=b"x")
    inner = repo.git("mktree", stdin=f"100644 blob {blob}\tinner\n".encode())
    link = (b"120000", b"a", blob)
    commit = repo.raw_tree(link, (b"40000", b"a", inner))
    with pytest.raises(DownloadError):
        fetch(repo, commit, out)
    monkeypatch.setattr(repository, "_CONFIG", "")
    with pytest.raises(InputError, match="a is there twice"):
        fetch(repo, commit, out)


@pytest.mark.slow
@pytest.mark.parametrize("target", [b"", b"a\0b", b"x" * 5000])
def test_links_that_lead_nowhere(repo: Repo, out: Path, target: bytes) -> None:
    blob = repo.git("hash-object", "-w", "--stdin", stdin=target)
    repo.git("update-index", "--add", "--cacheinfo", f"120000,{blob},link")
    with pytest.raises(PkggenError) as caught:
        fetch(repo, repo.commit_index(), out)
    assert caught.value.exit_code in {3, 5}
    assert list(out.parent.iterdir()) == []


@pytest.mark.slow
def test_tree_bomb(repo: Repo, out: Path) -> None:
    """Ten directories with ten times the same directory, ten deep: 10**10 files in 11 objects."""
    blob = repo.git("hash-object", "-w", "--stdin", stdin=b"boom")
    tree = repo.git(
        "mktree", stdin=b"".join(b"100644 blob %s\tf%d\n" % (blob.encode(), n) for n in range(10))
    )
    for _ in range(9):
        entries = b"".join(b"040000 tree %s\td%d\n" % (tree.encode(), n) for n in range(10))
        tree = repo.git("mktree", stdin=entries)
    commit = repo.git("commit-tree", "-m", "bomb", tree)
    repo.git("update-ref", "refs/heads/main", commit)
    with pytest.raises(InputError, match="has too many files"):
        fetch(repo, commit, out)


@pytest.mark.slow
def test_size_is_limited(repo: Repo, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_tree, "_MAX_BYTES", 10)
    with pytest.raises(InputError, match="its files have 12 bytes, more than 10"):
        fetch(repo, repo.commit({"a": b"123456", "b": b"123456"}), out)


@pytest.mark.slow
def test_time_that_cannot_be(repo: Repo, out: Path) -> None:
    tree = repo.git("mktree")
    who = f"A <a> {10**17} +0000"
    data = f"tree {tree}\nauthor {who}\ncommitter {who}\n\nlate\n".encode()
    commit = repo.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=data)
    repo.git("update-ref", "refs/heads/main", commit)
    with pytest.raises(InputError, match="states no time"):
        fetch(repo, commit, out)


@pytest.mark.slow
def test_hooks_and_filters_are_not_run(repo: Repo, out: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for hook in ("post-checkout", "reference-transaction", "post-merge"):
        file = repo.path / ".git" / "hooks" / hook
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\ntouch {mark}\n")
        file.chmod(0o755)
    commit = repo.commit({".gitattributes": b"* filter=evil\n", "a": b"a"})
    mark.unlink(missing_ok=True)
    repo.git("config", "filter.evil.smudge", f"touch {mark}")
    fetch(repo, commit, out)
    assert not mark.exists()


@pytest.mark.slow
def test_a_path_of_hostile_depth(make: Callable[[str], Repo], out: Path) -> None:
    repo = make("deep")
    repo.commit({"file": b""})
    blob = repo.git("rev-parse", "HEAD:file")
    path = f"{'/'.join(['d' * 250] * 17)}/file"
    repo.git("update-index", "--index-info", stdin=f"100644 {blob}\t{path}\n".encode())
    commit = repo.commit_index()
    with pytest.raises(InputError, match="is a path of more than 4096 bytes") as caught:
        fetch(repo, commit, out)
    assert not out.exists(), caught.value
