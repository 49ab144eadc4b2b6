"""Commits as tars: own repositories, made by git itself, honest and hostile ones."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import ssl
import subprocess
import sys
import tarfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.errors import (
    DownloadError,
    Faults,
    InputError,
    PkggenError,
    ToolError,
    VerificationError,
)
from pkggen.sources import git as module
from pkggen.sources.git import (
    GitTree,
    confirm,
    fetch_git,
    prefetch_git,
    prefetch_tar,
    submodule_address,
)
from pkggen.sources.nar import hash_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMMITTED: Final = 1_600_000_000
ENVIRONMENT: Final = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "1500000000 +0200",
    "GIT_COMMITTER_NAME": "C",
    "GIT_COMMITTER_EMAIL": "c@example.org",
    "GIT_COMMITTER_DATE": f"{COMMITTED} -0700",
}

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="NO GIT: install git")


@dataclass(frozen=True, slots=True)
class Repo:
    """A repository with a work tree."""

    path: Path

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def git(self, *arguments: str, stdin: bytes = b"", **environment: str) -> str:
        done = subprocess.run(
            ["git", "-C", self.path, *arguments],
            input=stdin,
            env=ENVIRONMENT | environment,
            capture_output=True,
            check=True,
        )
        return done.stdout.decode().strip()

    def commit(self, files: dict[str, bytes], message: str = "change") -> str:
        """Commit all that is there and these files; return all digits of the commit."""
        for name, data in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        self.git("add", "--all")
        return self.commit_index(message)

    def commit_index(self, message: str = "change") -> str:
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def link(self, path: str, commit: str) -> None:
        """Record a submodule in the index."""
        self.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")

    def raw_tree(self, *entries: tuple[bytes, bytes, str]) -> str:
        """Commit a tree that git itself would not make: mode, name and object of each entry."""
        tree = b"".join(
            mode + b" " + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries
        )
        oid = self.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", stdin=tree)
        made = self.git("commit-tree", "-m", "raw", oid)
        self.git("update-ref", "refs/heads/main", made)
        return made


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Repo]:
    def new(name: str) -> Repo:
        repo = Repo(tmp_path / "repositories" / name)
        repo.path.mkdir(parents=True)
        repo.git("init", "--quiet", "--initial-branch=main")
        return repo

    return new


@pytest.fixture
def repo(make: Callable[[str], Repo]) -> Repo:
    return make("lib")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    made = tmp_path / "out"
    made.mkdir()
    return made / "lib.tar"


def fetch(repo: Repo, commit: str, tar: Path) -> GitTree:
    return fetch_git(repo.url, commit, tar, name="lib", local=True)


def members(tree: GitTree) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(tree.tar, "r:", errors="surrogateescape") as archive:
        return {info.name.partition("/")[2]: info for info in archive}


def content(tree: GitTree, path: str) -> bytes:
    with tarfile.open(tree.tar, "r:") as archive:
        file = archive.extractfile(f"lib-{tree.commit[:8]}/{path}")
        assert file is not None
        return file.read()


# What is packed


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
        cwd=Path(module.__file__).parent.parent.parent,
    )
    assert out.stat().st_size > size
    assert int(run.stdout) < 48 * 1024


# Which commit


def test_prefix_is_resolved(repo: Repo, out: Path) -> None:
    wanted = repo.commit({"a": b"1"})
    repo.commit({"a": b"2"})
    assert fetch(repo, wanted[:8], out).commit == wanted
    assert content(fetch(repo, wanted[:8], out), "a") == b"1"


def test_prefix_of_a_tagged_commit_that_is_on_no_branch(repo: Repo, out: Path) -> None:
    wanted = repo.commit({"a": b"1"})
    repo.git("tag", "--annotate", "--message", "release", "v1")
    repo.git("checkout", "--quiet", "--orphan", "other")
    repo.commit({"b": b"2"})
    repo.git("branch", "--delete", "--force", "main")
    assert fetch(repo, wanted[:8], out).commit == wanted


def test_ambiguous_prefix_is_refused(repo: Repo, out: Path) -> None:
    """Two real commits that share 8 digits: a birthday search over their messages."""
    tree = repo.git("mktree")
    head = f"tree {tree}\nauthor A <a> {COMMITTED} +0000\ncommitter A <a> {COMMITTED} +0000\n\n"
    seen: dict[bytes, int] = {}
    for number in itertools.count():
        body = f"{head}{number}\n".encode()
        digest = hashlib.sha1(b"commit %d\0%s" % (len(body), body)).digest()  # noqa: S324
        other = seen.setdefault(digest[:4], number)
        if other != number:
            break
    twins = []
    for message in (other, number):
        data = f"{head}{message}\n".encode()
        twins.append(repo.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=data))
        repo.git("branch", f"twin-{message}", twins[-1])
    prefix = twins[0][:8]
    assert twins[1][:8] == prefix
    with pytest.raises(InputError) as caught:
        fetch(repo, prefix, out)
    assert caught.value.message == f"2 commits start with {prefix}: {', '.join(sorted(twins))}"
    assert fetch(repo, twins[1], out).commit == twins[1]


def test_only_commits_count_as_candidates(repo: Repo, out: Path) -> None:
    commit = repo.commit({"a": b"1"})
    tree = repo.git("rev-parse", "HEAD^{tree}")
    with pytest.raises(DownloadError, match=f"there is no commit {tree[:8]}"):
        fetch(repo, tree[:8], out)
    with pytest.raises(InputError, match="is no commit"):
        fetch(repo, tree, out)
    assert fetch(repo, commit, out).commit == commit


@pytest.mark.parametrize("digits", [8, 40])
def test_missing_commit(repo: Repo, out: Path, digits: int) -> None:
    repo.commit({"a": b"1"})
    with pytest.raises(DownloadError, match="there is no commit dddddddd"):
        fetch(repo, "d" * digits, out)
    assert not out.exists()


def test_empty_repository(repo: Repo, out: Path) -> None:
    with pytest.raises(DownloadError, match="there is no commit"):
        fetch(repo, "d" * 8, out)


def test_missing_repository(make: Callable[[str], Repo], out: Path) -> None:
    gone = make("gone")
    shutil.rmtree(gone.path)
    with pytest.raises(DownloadError, match=r"git cannot fetch it: .*does not appear"):
        fetch(gone, "d" * 40, out)
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize(
    "commit", ["main", "v1.0", "", "HEAD", "ABCDEF12", "--all", "d" * 41, "d" * 6]
)
def test_what_is_no_commit(repo: Repo, out: Path, commit: str) -> None:
    repo.commit({"a": b"1"})
    with pytest.raises(InputError) as caught:
        fetch(repo, commit, out)
    assert caught.value.hint == "a branch or tag can change: give the 40 digits of a commit"


def test_branch_named_like_a_commit_does_not_count(repo: Repo, out: Path) -> None:
    repo.commit({"a": b"1"})
    repo.git("branch", "dddddddd")
    with pytest.raises(DownloadError, match="there is no commit dddddddd"):
        fetch(repo, "d" * 8, out)


# Servers


class _Backend(BaseHTTPRequestHandler):
    """Smart HTTP by git's own CGI program, in protocol 0: it does not pass Git-Protocol on."""

    root: Path
    redirect: str | None

    def _serve(self, body: bytes) -> None:
        if self.redirect is not None or self.path.startswith("/private"):
            self.send_response(401 if self.redirect is None else 301)
            self.send_header("WWW-Authenticate", "Basic")
            self.send_header("Location", f"{self.redirect}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            check=True,
            env=ENVIRONMENT
            | {
                "GIT_PROJECT_ROOT": str(self.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            },
        )
        head, _, data = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


@contextmanager
def serving(root: Path, redirect: str | None, context: ssl.SSLContext | None) -> Iterator[str]:
    """Serve the repositories in a directory on loopback; give the address."""
    handler = type("Handler", (_Backend,), {"root": root, "redirect": redirect})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as made:
        if context is not None:
            made.socket = context.wrap_socket(made.socket, server_side=True)
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http{'s' if context else ''}://127.0.0.1:{made.server_port}"
        made.shutdown()


@pytest.fixture
def server(repo: Repo) -> Iterator[str]:
    with serving(repo.path.parent, None, None) as address:
        yield address


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Return a TLS context for 127.0.0.1 whose certificate git trusts."""
    if shutil.which("openssl") is None:
        pytest.skip("NO OPENSSL: install openssl to test https")
    made = tmp_path / "certificate.pem"
    new = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=test"
    subprocess.run(
        [*new.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", made, "-out", "cert"],
        check=True,
        capture_output=True,
        cwd=tmp_path,
    )
    with made.open("ab") as both:
        both.write((tmp_path / "cert").read_bytes())
    monkeypatch.setenv("GIT_SSL_CAINFO", str(tmp_path / "cert"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made)
    return context


def test_https_and_its_redirects(
    repo: Repo, out: Path, server: str, certificate: ssl.SSLContext
) -> None:
    commit = repo.commit({"a": b"1"})
    root = repo.path.parent
    with serving(root, None, certificate) as safe:
        tree = fetch_git(f"git+{safe}/lib", commit, out, name="lib")
        assert tree.hashes == fetch(repo, commit, out).hashes
        with serving(root, safe, certificate) as moved:
            assert fetch_git(f"{moved}/lib", commit, out, name="lib").hashes == tree.hashes
    out.unlink()
    with (
        serving(root, server, certificate) as downgrading,
        pytest.raises(DownloadError, match="git cannot fetch it"),
    ):
        fetch_git(f"{downgrading}/lib", commit, out, name="lib", local=True)


def test_untrusted_certificate(
    repo: Repo, out: Path, certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repo.commit({"a": b"1"})
    monkeypatch.delenv("GIT_SSL_CAINFO")
    monkeypatch.setenv("GIT_SSL_NO_VERIFY", "1")
    with (
        serving(repo.path.parent, None, certificate) as unknown,
        pytest.raises(DownloadError, match="certificate"),
    ):
        fetch_git(f"{unknown}/lib", commit, out, name="lib")


def test_server_that_wants_a_password(
    out: Path, server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    ask = tmp_path / "ask"
    ask.write_text(f"#!/bin/sh\ntouch {mark}\necho secret\n")
    ask.chmod(0o755)
    for variable in ("GIT_ASKPASS", "SSH_ASKPASS"):
        monkeypatch.setenv(variable, str(ask))
    with pytest.raises(DownloadError, match="terminal prompts disabled"):
        fetch_git(f"{server}/private", "d" * 40, out, name="lib", local=True)
    assert not mark.exists()


def test_submodules_of_servers_that_give_no_single_commit(
    make: Callable[[str], Repo], out: Path, server: str
) -> None:
    inner, outer = make("inner"), make("outer")
    within = inner.commit({"i": b"1"})
    inner.commit({"i": b"2"})
    inner.git("branch", "topic/clash")
    outer.commit({".gitmodules": b'[submodule "i"]\n\tpath = sub\n\turl = ../inner\n'})
    outer.git("branch", "topic")
    outer.link("sub", within)
    commit = outer.commit_index()
    shallow = fetch_git(f"{server}/outer", commit, out, name="lib", local=True)
    outer.commit_index()
    whole = fetch_git(f"{server}/outer", commit, out, name="lib", local=True)
    assert content(whole, "sub/i") == b"1"
    assert whole.hashes == shallow.hashes


def test_server_that_gives_no_single_commit(repo: Repo, out: Path, server: str) -> None:
    repo.git("config", "uploadpack.allowReachableSHA1InWant", "false")
    wanted = repo.commit({"a": b"1"})
    repo.commit({"a": b"2"})
    url = f"{server}/lib"
    shown: list[str] = []
    tree = fetch_git(url, wanted, out, name="lib", local=True, show=shown.append)
    assert (tree.url, tree.commit) == (url, wanted)
    fetches = [line for line in shown if " fetch " in line]
    assert len(fetches) == 2
    assert "--depth=1" in fetches[0]
    assert "refs/heads" in fetches[1]
    assert tree.hashes == fetch(repo, wanted, out).hashes


def test_what_the_server_said_is_told(repo: Repo, out: Path, server: str) -> None:
    repo.commit({"a": b"1"})
    with pytest.raises(DownloadError, match=r"asked for it alone, the server said: .*unadvertised"):
        fetch_git(f"{server}/lib", "d" * 40, out, name="lib", local=True)


def test_full_commit_is_fetched_alone(repo: Repo, out: Path) -> None:
    repo.commit({"a": b"1"})
    wanted = repo.commit({"a": b"2"})
    shown: list[str] = []
    fetch_git(f"git+{repo.url}", wanted, out, name="lib", local=True, show=shown.append)
    assert [line.partition(" fetch ")[2] for line in shown if " fetch " in line] == [
        f"--quiet --no-tags --depth=1 -- {repo.url} {wanted}"
    ]


def test_damaged_repository_is_noticed(repo: Repo, out: Path) -> None:
    commit = repo.commit({"a": b"good\n"})
    blob = repo.git("rev-parse", "HEAD:a")
    evil = repo.git("hash-object", "-w", "--stdin", stdin=b"evil\n")
    objects = repo.path / ".git" / "objects"
    place = objects / blob[:2] / blob[2:]
    place.unlink()
    shutil.copy(objects / evil[:2] / evil[2:], place)
    with pytest.raises(DownloadError):
        fetch(repo, commit, out)
    assert not out.exists()


def test_git_is_missing(repo: Repo, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = repo.commit({"a": b""})
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ToolError, match="git is not installed") as caught:
        fetch(repo, commit, out)
    assert caught.value.hint is not None


def test_place_that_cannot_be_written(repo: Repo, out: Path) -> None:
    commit = repo.commit({"a": b""})
    with pytest.raises(InputError, match="cannot be written: No such file"):
        fetch(repo, commit, out.parent / "missing" / "lib.tar")
    out.mkdir()
    with pytest.raises(InputError, match="cannot be written: Is a directory"):
        fetch(repo, commit, out)


# Addresses


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch /tmp/x",
        "-uhttps://example.org/a",
        "ext::sh -c 'touch x'",
        "git+ext::sh",
        "ext::https://example.org/x",
        "http://example.org/a.git",
        "git://example.org/a.git",
        "ssh://example.org/a.git",
        "git@example.org:a.git",
        "https://user:password@example.org/a.git",
        "https://token@example.org/a.git",
        "https:///a.git",
        "https://[::1/a.git",
        "https://example.org:port/a.git",
        "https://example.org/a.git#main",
        "https://example.org/a.git?ref=main",
        "https://example.org/a b",
        "https://example.org/a\n",
        "https://example.org/\u202e",
        "/srv/a.git",
        "../a.git",
        "file://server/a.git",
        "",
    ],
)
def test_addresses_that_git_does_not_get(out: Path, url: str) -> None:
    with pytest.raises(InputError):
        fetch_git(url, "d" * 40, out, name="lib", local=True, show=pytest.fail)


@pytest.mark.parametrize("url", ["file:///srv/a.git", "http://127.0.0.1/a.git"])
def test_local_addresses_have_to_be_allowed(out: Path, url: str) -> None:
    with pytest.raises(InputError, match="does not fetch git repositories by"):
        fetch_git(url, "d" * 40, out, name="lib", show=pytest.fail)


def test_password_is_not_repeated(out: Path) -> None:
    with pytest.raises(InputError) as caught:
        fetch_git("https://me:hunter2@example.org/a", "d" * 40, out, name="lib")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "..", "a/b", "-a", ".a", "a" * 300])
def test_names_of_the_top_directory(repo: Repo, out: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of a directory"):
        fetch_git(repo.url, "d" * 40, out, name=name, local=True)


# Submodules


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


def test_submodule_without_files_is_a_directory(make: Callable[[str], Repo], out: Path) -> None:
    empty, outer = make("empty"), make("outer")
    outer.commit({".gitmodules": b'[submodule "e"]\n\tpath = e/f\n\turl = ../empty\n'})
    outer.link("e/f", empty.commit_index())
    assert list(members(fetch(outer, outer.commit_index(), out))) == [
        "", ".gitmodules", "e", "e/f",
    ]  # fmt: skip


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


@pytest.mark.parametrize("url", ["--upload-pack=id", "-u./x", "ext::sh", "file:///etc", "/etc"])
def test_submodule_addresses_without_the_help_of_git(url: str) -> None:
    with pytest.raises(InputError):
        submodule_address("https://example.org/a/b.git", url, local=True)


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("../c.git", "https://example.org:8443/a/c.git"),
        ("./c", "https://example.org:8443/a/b.git/c"),
        ("../../x/y", "https://example.org:8443/x/y"),
        ("https://other.org/z", "https://other.org/z"),
    ],
)
def test_relative_addresses_of_submodules(url: str, resolved: str) -> None:
    for parent in ("https://example.org:8443/a/b.git", "https://example.org:8443/a/b.git/"):
        assert submodule_address(parent, url, local=False) == resolved


def test_all_bad_submodules_are_named(repo: Repo, out: Path) -> None:
    repo.commit({"a": b""})
    repo.link("one", "d" * 40)
    repo.link("two", "e" * 40)
    with pytest.raises(Faults) as caught:
        fetch(repo, repo.commit_index(), out)
    assert ["one" in str(caught.value), "two" in str(caught.value)] == [True, True]


def test_gitmodules_that_is_a_link_is_not_read(
    repo: Repo, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = repo.git("hash-object", "-w", "--stdin", stdin=b"../../etc/passwd")
    commit = repo.raw_tree((b"120000", b".gitmodules", blob), (b"160000", b"sub", "d" * 40))
    with pytest.raises(DownloadError, match="gitmodulesSymlink"):
        fetch(repo, commit, out)
    monkeypatch.setattr(module, "_CONFIG", "")
    with pytest.raises(InputError, match="has no addresses"):
        fetch(repo, commit, out)


def test_gitmodules_that_is_too_long(repo: Repo, out: Path) -> None:
    stated = b'[submodule "s"]\n' + b"\tpath = sub\n" * 100_000
    repo.commit({".gitmodules": stated})
    repo.link("sub", "d" * 40)
    with pytest.raises(InputError, match="printed more than"):
        fetch(repo, repo.commit_index(), out)


def test_missing_commit_of_a_submodule(make: Callable[[str], Repo], out: Path) -> None:
    inner, outer = make("inner"), make("outer")
    inner.commit({"a": b""})
    outer.commit({".gitmodules": b'[submodule "s"]\n\tpath = sub\n\turl = ../inner\n'})
    outer.link("sub", "d" * 40)
    with pytest.raises(DownloadError, match="there is no commit dddd") as caught:
        fetch(outer, outer.commit_index(), out)
    assert caught.value.where == inner.url


def test_number_of_submodules_is_limited(
    make: Callable[[str], Repo], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, outer = make("inner"), make("outer")
    commit = inner.commit({"a": b""})
    stated = [f'[submodule "{n}"]\n\tpath = s{n}\n\turl = ../inner\n' for n in range(3)]
    outer.commit({".gitmodules": "".join(stated).encode()})
    for number in range(3):
        outer.link(f"s{number}", commit)
    monkeypatch.setattr(module, "_MAX_SUBMODULES", 2)
    with pytest.raises(InputError, match="has more than 2 submodules"):
        fetch(outer, outer.commit_index(), out)


# Hostile trees


@pytest.mark.parametrize("name", [b"..", b".", b".git", b".GiT", b"a/b"])
def test_names_that_no_tree_may_have(
    repo: Repo, out: Path, name: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With git's own check, and with ours alone."""
    blob = repo.git("hash-object", "-w", "--stdin", stdin=b"x")
    commit = repo.raw_tree((b"100644", name, blob))
    with pytest.raises(DownloadError, match="git cannot fetch it"):
        fetch(repo, commit, out)
    monkeypatch.setattr(module, "_CONFIG", "")
    if name != b"a/b":  # for git itself this is then an honest path
        with pytest.raises(InputError):
            fetch(repo, commit, out)
    assert not out.exists()


def test_duplicate_entries(repo: Repo, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = repo.git("hash-object", "-w", "--stdin", stdin=b"x")
    inner = repo.git("mktree", stdin=f"100644 blob {blob}\tinner\n".encode())
    link = (b"120000", b"a", blob)
    commit = repo.raw_tree(link, (b"40000", b"a", inner))
    with pytest.raises(DownloadError):
        fetch(repo, commit, out)
    monkeypatch.setattr(module, "_CONFIG", "")
    with pytest.raises(InputError, match="a is there twice"):
        fetch(repo, commit, out)


@pytest.mark.parametrize("target", [b"", b"a\0b", b"x" * 5000])
def test_links_that_lead_nowhere(repo: Repo, out: Path, target: bytes) -> None:
    blob = repo.git("hash-object", "-w", "--stdin", stdin=target)
    repo.git("update-index", "--add", "--cacheinfo", f"120000,{blob},link")
    with pytest.raises(PkggenError) as caught:
        fetch(repo, repo.commit_index(), out)
    assert caught.value.exit_code in {3, 5}
    assert list(out.parent.iterdir()) == []


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


def test_size_is_limited(repo: Repo, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_BYTES", 10)
    with pytest.raises(InputError, match="its files have 12 bytes, more than 10"):
        fetch(repo, repo.commit({"a": b"123456", "b": b"123456"}), out)


def test_time_that_cannot_be(repo: Repo, out: Path) -> None:
    tree = repo.git("mktree")
    who = f"A <a> {10**17} +0000"
    data = f"tree {tree}\nauthor {who}\ncommitter {who}\n\nlate\n".encode()
    commit = repo.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=data)
    repo.git("update-ref", "refs/heads/main", commit)
    with pytest.raises(InputError, match="states no time"):
        fetch(repo, commit, out)


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


# What Nix says


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
