"""The Nix tools agree with us, or that is told."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from pkggen.errors import (
    ToolError,
    VerificationError,
)
from pkggen.sources.prefetch import confirm, prefetch_git, prefetch_tar
from tests.sources.conftest import Repo, fetch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let Nix work in a store of its own."""
    for variable in ("STORE", "STATE", "LOG", "CONF"):
        monkeypatch.setenv(f"NIX_{variable}_DIR", str(tmp_path / "nix" / variable.lower()))
    monkeypatch.setenv("PRINT_PATH", "1")
    monkeypatch.setenv("NIX_HASH_ALGO", "md5")
    return tmp_path / "nix"


needs_nix = pytest.mark.skipif(
    shutil.which("nix-prefetch-url") is None, reason="NO NIX: install nix-bin to compare with it"
)


@needs_nix
def test_nix_prefetch_url_agrees(repo: Repo, out: Path, store: Path) -> None:
    (repo.path / "link").symlink_to("nowhere")
    run = repo.path / "run me"
    run.write_bytes(b"x")
    run.chmod(0o755)
    commit = repo.commit({"dir/été": b"e", "dir.txt": b"", "a" * 150: b"long"})
    tree = fetch(repo, commit, out.with_name("é ~%41.tar"))
    assert prefetch_tar(tree.tar) == tree.nar
    assert confirm(tree) == ("nix-prefetch-url",)
    assert (store / "store").is_dir()


@needs_nix
def test_failing_nix_is_an_error(store: Path, tmp_path: Path) -> None:  # noqa: ARG001
    with pytest.raises(
        ToolError, match=r"nix-prefetch-url failed with status 1: (?s:.*)error: unable to download"
    ):
        prefetch_tar(tmp_path / "missing.tar")


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Put a script that prints what nix-prefetch-git prints into an otherwise empty PATH.

    It stands in for the real one, which is in nixpkgs only; it checks its arguments as that does.
    """

    cat = shutil.which("cat")

    def put(printed: str) -> Path:
        place = tmp_path / "tools"
        place.mkdir(exist_ok=True)
        script = place / "nix-prefetch-git"
        script.write_text(
            "#!/bin/sh\n"
            'printf "%s\\n" "$@" > "$0.arguments"\n'
            'echo "$GIT_CONFIG_GLOBAL $GIT_ALLOW_PROTOCOL $NIX_HASH_ALGO"'
            ' "$NIX_PREFETCH_GIT_CHECKOUT_HOOK"'
            ' > "$0.env"\n'
            "while [ $# -gt 0 ]; do case $1 in --url|--rev) shift 2;;\n"
            "--quiet|--fetch-submodules) shift;; *) exit 1;; esac; done\n"
            f"{cat} <<'END'\n{printed}\nEND\n"
        )
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(place))
        monkeypatch.setenv("NIX_PREFETCH_GIT_CHECKOUT_HOOK", "touch hooked")
        return script

    return put


@needs_nix
def test_nix_prefetch_git_agrees_or_fails(
    repo: Repo, out: Path, stand_in: Callable[[str], Path]
) -> None:
    commit = repo.commit({"a": b"1"})
    tree = fetch(repo, commit, out)
    options = ["--type", "sha256", "--to-base32", tree.nar.digest.hex()]
    known = subprocess.run(["nix-hash", *options], check=True, capture_output=True, text=True)
    # With a Nix older than `nix-hash --to-sri` it prints an empty hash beside the sha256.
    facts = {"url": repo.url, "rev": commit, "sha256": known.stdout.strip(), "hash": ""}
    script = stand_in(json.dumps(facts))
    assert confirm(tree) == ("nix-prefetch-git",)
    arguments = script.with_name("nix-prefetch-git.arguments").read_text().split()
    assert arguments == ["--quiet", "--fetch-submodules", "--url", repo.url, "--rev", commit]
    assert script.with_name("nix-prefetch-git.env").read_text() == ("/dev/null file sha256 \n")
    stand_in(json.dumps(facts | {"sha256": "0" * 52}))
    with pytest.raises(VerificationError, match="nix-prefetch-git says sha256-AAAA"):
        confirm(tree)


@pytest.mark.parametrize(
    "printed",
    [
        "",
        "{}",
        "[]",
        '"x"',
        '{"rev": "REV", "sha256": 5}',
        '{"rev": "REV", "sha256": "sha256-x"}',
        '{"rev": "other", "sha256": "%s"}' % ("0" * 52),
    ],
)
def test_nix_prefetch_git_that_prints_something_else(
    stand_in: Callable[[str], Path], printed: str
) -> None:
    stand_in(printed.replace("REV", "d" * 40))
    with pytest.raises(ToolError, match="nix-prefetch-git"):
        prefetch_git("https://example.org/a", "d" * 40)


def test_hint_when_a_checkout_differs(
    repo: Repo, out: Path, stand_in: Callable[[str], Path]
) -> None:
    commit = repo.commit({".gitattributes": b"a ident\n", "a": b"$Id$"})
    tree = fetch(repo, commit, out)
    stand_in(json.dumps({"rev": commit, "sha256": "0" * 52}))
    with pytest.raises(VerificationError) as caught:
        confirm(tree)
    assert caught.value.hint == ("its .gitattributes make a checkout differ from the commit in: a")


def test_without_nix_there_is_no_answer(
    repo: Repo, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = fetch(repo, repo.commit({"a": b"1"}), out)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert prefetch_tar(out) is None
    assert confirm(tree) == ()
