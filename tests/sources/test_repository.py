"""What is fetched: commits by their digits, honest and hostile servers, addresses."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import ssl
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from pkggen.errors import (
    DownloadError,
    InputError,
    ToolError,
)
from pkggen.sources.git import fetch_git
from pkggen.sources.repository import submodule_address
from tests.sources.conftest import COMMITTED, ENVIRONMENT, Repo, content, fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


# Which commit


@pytest.mark.slow
def test_prefix_is_resolved(repo: Repo, out: Path) -> None:
    wanted = repo.commit({"a": b"1"})
    repo.commit({"a": b"2"})
    assert fetch(repo, wanted[:8], out).commit == wanted
    assert content(fetch(repo, wanted[:8], out), "a") == b"1"


@pytest.mark.slow
def test_prefix_of_a_tagged_commit_that_is_on_no_branch(repo: Repo, out: Path) -> None:
    wanted = repo.commit({"a": b"1"})
    repo.git("tag", "--annotate", "--message", "release", "v1")
    repo.git("checkout", "--quiet", "--orphan", "other")
    repo.commit({"b": b"2"})
    repo.git("branch", "--delete", "--force", "main")
    assert fetch(repo, wanted[:8], out).commit == wanted


@pytest.mark.slow
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


@pytest.mark.slow
def test_only_commits_count_as_candidates(repo: Repo, out: Path) -> None:
    commit = repo.commit({"a": b"1"})
    tree = repo.git("rev-parse", "HEAD^{tree}")
    with pytest.raises(DownloadError, match=f"there is no commit {tree[:8]}"):
        fetch(repo, tree[:8], out)
    with pytest.raises(InputError, match="is no commit"):
        fetch(repo, tree, out)
    assert fetch(repo, commit, out).commit == commit


@pytest.mark.slow
@pytest.mark.parametrize("digits", [8, 40])
def test_missing_commit(repo: Repo, out: Path, digits: int) -> None:
    repo.commit({"a": b"1"})
    with pytest.raises(DownloadError, match="there is no commit dddddddd"):
        fetch(repo, "d" * digits, out)
    assert not out.exists()


@pytest.mark.slow
def test_empty_repository(repo: Repo, out: Path) -> None:
    with pytest.raises(DownloadError, match="there is no commit"):
        fetch(repo, "d" * 8, out)


@pytest.mark.slow
def test_missing_repository(make: Callable[[str], Repo], out: Path) -> None:
    gone = make("gone")
    shutil.rmtree(gone.path)
    with pytest.raises(DownloadError, match=r"git cannot fetch it: .*does not appear"):
        fetch(gone, "d" * 40, out)
    assert list(out.parent.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "commit", ["main", "v1.0", "", "HEAD", "ABCDEF12", "--all", "d" * 41, "d" * 6]
)
def test_what_is_no_commit(repo: Repo, out: Path, commit: str) -> None:
    repo.commit({"a": b"1"})
    with pytest.raises(InputError) as caught:
        fetch(repo, commit, out)
    assert caught.value.hint == "a branch or tag can change: give the 40 digits of a commit"


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_what_the_server_said_is_told(repo: Repo, out: Path, server: str) -> None:
    repo.commit({"a": b"1"})
    with pytest.raises(DownloadError, match=r"asked for it alone, the server said: .*unadvertised"):
        fetch_git(f"{server}/lib", "d" * 40, out, name="lib", local=True)


@pytest.mark.slow
def test_full_commit_is_fetched_alone(repo: Repo, out: Path) -> None:
    repo.commit({"a": b"1"})
    wanted = repo.commit({"a": b"2"})
    shown: list[str] = []
    fetch_git(f"git+{repo.url}", wanted, out, name="lib", local=True, show=shown.append)
    assert [line.partition(" fetch ")[2] for line in shown if " fetch " in line] == [
        f"--quiet --no-tags --depth=1 -- {repo.url} {wanted}"
    ]


@pytest.mark.slow
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


@pytest.mark.slow
def test_git_is_missing(repo: Repo, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = repo.commit({"a": b""})
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ToolError, match="git is not installed") as caught:
        fetch(repo, commit, out)
    assert caught.value.hint is not None


# Addresses


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("url", ["file:///srv/a.git", "http://127.0.0.1/a.git"])
def test_local_addresses_have_to_be_allowed(out: Path, url: str) -> None:
    with pytest.raises(InputError, match="does not fetch git repositories by"):
        fetch_git(url, "d" * 40, out, name="lib", show=pytest.fail)


@pytest.mark.slow
def test_password_is_not_repeated(out: Path) -> None:
    with pytest.raises(InputError) as caught:
        fetch_git("https://me:hunter2@example.org/a", "d" * 40, out, name="lib")
    assert "hunter2" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("url", ["--upload-pack=id", "-u./x", "ext::sh", "file:///etc", "/etc"])
def test_submodule_addresses_without_the_help_of_git(url: str) -> None:
    with pytest.raises(InputError):
        submodule_address("https://example.org/a/b.git", url, local=True)


@pytest.mark.slow
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
