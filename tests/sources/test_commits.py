"""Git sources in the cache, and what is said of them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from pkggen.errors import VerificationError
from pkggen.sources import prefetch
from pkggen.sources.cache import Cache
from pkggen.sources.commits import fetch_commit, find_commit
from pkggen.sources.hashes import Sri
from pkggen.sources.model import Source, Use

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sources.conftest import Repo


def source(repo: Repo, commit: str) -> Source:
    return Source(
        kind="git",
        file_name="x.tar",
        checksums=(),
        urls=(repo.url,),
        users=(Use("package", "x"),),
        commit=commit,
    )


def test_a_plain_commit_needs_no_remark(repo: Repo, tmp_path: Path) -> None:
    wanted = source(repo, repo.commit({"file": b"x\n"}))
    cache = Cache(tmp_path / "cache")
    fetched = fetch_commit(wanted, cache, local=True)
    assert fetched.remarks == ()
    assert find_commit(wanted, cache) == fetched


def test_what_a_checkout_would_change_is_said(repo: Repo, tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1\n"
    commit = repo.commit(
        {".gitattributes": b"*.bat eol=crlf\n", "a.bat": b"x\n", "large.bin": pointer}
    )
    fetched = fetch_commit(source(repo, commit), Cache(tmp_path / "cache"), local=True)
    assert fetched.remarks[0].endswith("a checkout writes other bytes for a.bat")
    assert fetched.remarks[1].endswith("git-lfs keeps the content of large.bin")


def test_nix_must_agree(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Sri.from_hex("sha256", "0" * 64)
    monkeypatch.setattr(prefetch, "prefetch_tar", lambda *_, **__: other)
    wanted = source(repo, repo.commit({"file": b"x\n"}))
    cache = Cache(tmp_path / "cache")
    with pytest.raises(VerificationError, match="nix-prefetch-url says"):
        fetch_commit(wanted, cache, local=True)
    assert find_commit(wanted, cache) is None


def test_a_failing_tool_of_nix_is_said(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "nix-prefetch-url").write_text("#!/bin/sh\necho no store >&2\nexit 1\n")
    (tools / "nix-prefetch-url").chmod(0o755)
    git = shutil.which("git")
    assert git is not None
    (tools / "git").symlink_to(git)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    wanted = source(repo, repo.commit({"file": b"x\n"}))
    fetched = fetch_commit(wanted, Cache(tmp_path / "cache"), local=True)
    assert fetched.remarks == (
        "its hash is pkggen's alone: nix-prefetch-url failed with status 1: no store",
    )
