from __future__ import annotations

import random
import shutil
import ssl
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from pkggen.errors import DownloadError, Faults, InputError, ToolError, VerificationError
from pkggen.sources import git
from pkggen.sources.addresses import Choices
from pkggen.sources.cache import Cache
from pkggen.sources.commits import commit_checksum
from pkggen.sources.fetch import Event, fetch
from pkggen.sources.model import Source, Use
from pkggen.web import Answer, Patience, redirect_target
from tests.sources.make import checksum, source, tar_gz
from tests.sources.server import Fault, FileServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IMPATIENT = Patience(
    connect_seconds=2, silence_seconds=0.5, grace_seconds=0.8, retries=2, pause_seconds=0.01
)
DATA = random.Random(1).randbytes(200_000)  # noqa: S311 - the same in every run


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as one:
        yield one


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def choices(
    *mirrors: str, jobs: int = 16, per_host: int = 6, offline: bool = False, insecure: bool = False
) -> Choices:
    return Choices(
        mirrors=mirrors,
        public_caches=(),
        jobs=jobs,
        per_host=per_host,
        offline=offline,
        insecure_http=insecure,
        patience=IMPATIENT,
    )


def is_clean(cache: Cache) -> bool:
    """Whether every name belongs to its bytes."""
    return all(not wrong for _, wrong in cache.verify())


def parts(cache: Cache) -> list[Path]:
    return sorted(cache.directory.glob(".part-*"))


def test_bytes_come_with_all_their_hashes(server: FileServer, cache: Cache) -> None:
    wanted = source(DATA, server.add("/x", DATA), kinds=("sha256", "sha512", "md5"))
    (got,) = fetch([wanted], cache, choices())
    assert got.path.read_bytes() == DATA
    assert got.hashes.matches(checksum(kind, DATA) for kind in ("md5", "sha256", "sha512"))
    assert got.hashes.size == len(DATA)
    assert got.origin == server.url + "/x"
    names = [cache.place(one) for one in wanted.checksums]
    assert all(name.samefile(got.path) for name in names)
    assert parts(cache) == []


def test_a_second_run_asks_nobody(server: FileServer, cache: Cache) -> None:
    wanted = [
        source(DATA[:size], server.add(f"/{size}", DATA[:size])) for size in range(1000, 1020)
    ]
    fetch(wanted, cache, choices())
    asked = len(server.requests)
    again = fetch(wanted, cache, choices())
    assert asked == 20
    assert len(server.requests) == 20
    assert [got.origin for got in again] == [None] * 20
    assert fetch(wanted, cache, choices(offline=True)) == again


@pytest.mark.parametrize("kind", ["md5", "sha256", "sha512"])
def test_every_recorded_checksum_counts(server: FileServer, cache: Cache, kind: str) -> None:
    right = [checksum(one, DATA) for one in ("sha256", "sha512", "md5") if one != kind]
    other = checksum(kind, b"other")
    wanted = source(DATA, server.add("/x", DATA))
    wanted = Source(
        kind="file",
        file_name="x",
        checksums=(*right, other),
        urls=wanted.urls,
        users=wanted.users,
        commit=None,
    )
    with pytest.raises(VerificationError) as caught:
        fetch([wanted], cache, choices())
    told = str(caught.value)
    assert f"the {kind} is {checksum(kind, DATA).digest}, recorded is {other.digest}" in told
    assert server.url + "/x" in told
    assert list(cache.entries()) == []


def test_wrong_bytes_are_replaced_by_those_of_a_mirror(server: FileServer, cache: Cache) -> None:
    good = source(DATA, server.add("/x", b"something else"))
    place = checksum("sha256", DATA).digest
    server.add(f"/mirror/sha256/{place[:2]}/{place}", DATA)
    events: list[Event] = []
    (got,) = fetch([good], cache, choices(f"{server.url}/mirror/"), events.append)
    assert got.path.read_bytes() == DATA
    assert [event.kind for event in events] == ["trouble", "fetched"]
    assert "recorded is" in events[0].detail


def test_recorded_addresses_come_before_mirrors(server: FileServer, cache: Cache) -> None:
    place = checksum("sha256", DATA).digest
    server.add(f"/m/sha256/{place[:2]}/{place}", DATA)
    gone, there = server.url + "/gone", server.add("/there", DATA)
    (got,) = fetch([source(DATA, gone, there)], cache, choices(f"{server.url}/m"))
    assert got.origin == there
    assert [request.path for request in server.requests] == ["/gone", "/there"]


def test_a_directory_is_asked_before_the_network(
    server: FileServer, cache: Cache, tmp_path: Path
) -> None:
    other = Cache(tmp_path / "other")
    file = tmp_path / "file"
    file.write_bytes(DATA)
    other.add(file)
    wanted = source(DATA, server.url + "/gone")
    (got,) = fetch([wanted], cache, choices(str(other.directory), offline=True))
    assert got.origin is not None
    assert got.origin.startswith(str(other.directory))
    assert server.requests == []


def test_a_damaged_directory_does_not_help(cache: Cache, tmp_path: Path) -> None:
    place = tmp_path / "m" / "sha256" / checksum("sha256", DATA).digest[:2]
    place.mkdir(parents=True)
    (place / checksum("sha256", DATA).digest).write_bytes(b"damaged")
    with pytest.raises(VerificationError, match="recorded is"):
        fetch(
            [source(DATA, "https://0.0.0.0/x")], cache, choices(str(tmp_path / "m"), offline=True)
        )
    assert list(cache.entries()) == []
    assert parts(cache) == []


def test_files_of_this_machine(cache: Cache, tmp_path: Path) -> None:
    file = tmp_path / "a b.tar"
    file.write_bytes(DATA)
    (got,) = fetch([source(DATA, file.as_uri())], cache, choices(offline=True))
    assert got.path.read_bytes() == DATA


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=503, headers={"Retry-After": "0"}),
        Fault(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Fault(cut=0),
        Fault(cut=1000),
        Fault(stall=1.0),
    ],
    ids=repr,
)
def test_passing_failures_are_tried_again(server: FileServer, cache: Cache, fault: Fault) -> None:
    url = server.add("/x", DATA)
    server.faults["/x"].append(fault)
    (got,) = fetch([source(DATA, url)], cache, choices())
    assert got.path.read_bytes() == DATA
    assert len(server.requests) == 2


@pytest.mark.slow
def test_retry_after_counts(server: FileServer, cache: Cache) -> None:
    url = server.add("/x", DATA)
    server.faults["/x"].append(Fault(status=503, headers={"Retry-After": "1"}))
    began = time.monotonic()
    fetch([source(DATA, url)], cache, choices())
    assert time.monotonic() - began >= 1.0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_final_failures_are_not_tried_again(server: FileServer, cache: Cache, status: int) -> None:
    url = server.add("/x", DATA)
    server.always["/x"] = Fault(status=status)
    with pytest.raises(DownloadError, match=f"the server answered {status}"):
        fetch([source(DATA, url)], cache, choices())
    assert len(server.requests) == 1


def test_attempts_are_bounded(server: FileServer, cache: Cache) -> None:
    url = server.add("/x", DATA)
    server.always["/x"] = Fault(status=500)
    with pytest.raises(DownloadError, match="the server answered 500"):
        fetch([source(DATA, url)], cache, choices())
    assert len(server.requests) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", [Fault(drip=0.2), Fault(drip_head=0.2), Fault(stall=10)], ids=repr
)
def test_nobody_holds_us_up(server: FileServer, cache: Cache, fault: Fault) -> None:
    url, good = server.add("/x", DATA), server.add("/good", DATA)
    server.always["/x"] = fault
    began = time.monotonic()
    (got,) = fetch([source(DATA, url, good)], cache, choices())
    assert got.origin == good
    assert time.monotonic() - began < 8


# Resuming


@pytest.mark.parametrize("etag", [None, '"v1"'])
def test_what_broke_off_is_continued(server: FileServer, cache: Cache, etag: str | None) -> None:
    url = server.add("/x", DATA)
    if etag:
        server.etags["/x"] = etag
    server.faults["/x"].append(Fault(cut=150_000))
    fetch([source(DATA, url)], cache, choices())
    first, second = server.requests
    assert first.range is None
    assert second.range is not None
    start = int(second.range.removeprefix("bytes=").rstrip("-"))
    assert 0 < start <= 150_000
    assert second.if_range == etag
    assert server.sent <= 1.05 * len(DATA) + 65536


def test_a_changed_file_is_fetched_from_its_start(server: FileServer, cache: Cache) -> None:
    url = server.add("/x", DATA)
    server.etags["/x"] = '"v1"'
    server.faults["/x"].append(Fault(cut=150_000, body=b"x" * len(DATA)))
    server.faults["/x"].append(Fault(headers={"ETag": '"v2"'}, no_range=True))
    (got,) = fetch([source(DATA, url)], cache, choices())
    assert got.path.read_bytes() == DATA


def test_a_beginning_of_other_bytes_is_dropped(server: FileServer, cache: Cache) -> None:
    url = server.add("/x", DATA)
    server.faults["/x"].append(Fault(cut=150_000, body=b"x" * len(DATA)))
    (got,) = fetch([source(DATA, url)], cache, choices())
    assert got.path.read_bytes() == DATA
    assert [request.range is None for request in server.requests] == [True, False, True]


@pytest.mark.parametrize("fault", [Fault(no_range=True), Fault(wrong_range=True)], ids=repr)
def test_servers_that_cannot_continue(server: FileServer, cache: Cache, fault: Fault) -> None:
    url = server.add("/x", DATA)
    server.faults["/x"] += [Fault(cut=150_000), fault]
    (got,) = fetch([source(DATA, url)], cache, choices())
    assert got.path.read_bytes() == DATA


@pytest.mark.parametrize("left", [DATA[:100_000], DATA, DATA + b"more", b"x" * 100])
def test_what_a_dead_process_left(server: FileServer, cache: Cache, left: bytes) -> None:
    wanted = source(DATA, server.add("/x", DATA))
    with cache.part(f"sha256-{wanted.checksums[0].digest}") as part:
        part.file.write(left)
    (got,) = fetch([wanted], cache, choices())
    assert got.path.read_bytes() == DATA
    assert parts(cache) == []
    if left == DATA:
        assert server.requests == []
    if left == DATA[:100_000]:
        assert [request.range for request in server.requests] == ["bytes=100000-"]


def test_without_a_length(server: FileServer, cache: Cache) -> None:
    url = server.add("/x", DATA)
    server.always["/x"] = Fault(no_length=True)
    (got,) = fetch([source(DATA, url)], cache, choices())
    assert got.path.read_bytes() == DATA


def test_a_compressed_answer_is_refused(server: FileServer, cache: Cache) -> None:
    url = server.add("/x", DATA)
    server.always["/x"] = Fault(headers={"Content-Encoding": "gzip"})
    with pytest.raises(DownloadError, match="compressed although not asked for"):
        fetch([source(DATA, url)], cache, choices())


# Redirects and what may be asked


def test_redirects_are_followed(server: FileServer, cache: Cache) -> None:
    server.add("/end", DATA)
    for at in range(4):
        target = "/end" if at == 3 else f"{server.url}/{at + 1}"
        server.always[f"/{at}"] = Fault(status=302, headers={"Location": target})
    (got,) = fetch([source(DATA, f"{server.url}/0")], cache, choices())
    assert got.path.read_bytes() == DATA


def test_circles_end(server: FileServer, cache: Cache) -> None:
    server.always["/x"] = Fault(status=302, headers={"Location": "/x"})
    with pytest.raises(DownloadError, match="more than 5 redirects"):
        fetch([source(DATA, f"{server.url}/x")], cache, choices())
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    "target",
    [
        "http://example.org/x",
        "file:///etc/passwd",
        "ftp://example.org/",
        "//u:p@h/",
        "http://[",
        "",
    ],
)
def test_where_redirects_may_not_lead(server: FileServer, cache: Cache, target: str) -> None:
    server.always["/x"] = Fault(status=302, headers={"Location": target} if target else {})
    with pytest.raises(DownloadError, match="redirect"):
        fetch([source(DATA, f"{server.url}/x")], cache, choices())


def test_https_is_not_left() -> None:
    def led(target: str) -> str:
        answer = Answer(status=302, headers={"Location": target})
        return redirect_target("https://example.org/a/b", answer)

    assert led("c") == "https://example.org/a/c"
    assert led("https://files.example.net/c") == "https://files.example.net/c"
    with pytest.raises(DownloadError, match="from https to"):
        led("http://example.org/c")
    with pytest.raises(DownloadError, match="from https to"):
        led("http://127.0.0.1/c")


def test_certificates_are_checked(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: FileServer
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("NO openssl: https is not tested")
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*made.split(), *names, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.add("/x", DATA)
    with FileServer() as secure:
        secure.socket = context.wrap_socket(secure.socket, server_side=True)
        secure.add("/x", DATA)
        secure.always["/down"] = Fault(status=302, headers={"Location": f"{server.url}/x"})
        base = f"https://localhost:{secure.server_address[1]}"
        with pytest.raises(DownloadError, match=r"(?i)certificate verify failed"):
            fetch([source(DATA, f"{base}/x")], cache, choices())
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        with pytest.raises(DownloadError, match="redirects from https to"):
            fetch([source(DATA, f"{base}/down")], cache, choices())
        (got,) = fetch([source(DATA, f"{base}/x")], cache, choices())
    assert got.origin == f"{base}/x"
    assert server.requests == []


def test_proxies_are_for_other_machines(
    server: FileServer, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    server.files["http://127.0.0.255:1/x"] = DATA
    with pytest.raises(DownloadError, match="the transfer failed"):
        fetch([source(DATA, "http://127.0.0.255:1/x")], cache, choices())
    server.files["http://files.invalid/x"] = DATA
    (got,) = fetch([source(DATA, "http://files.invalid/x")], cache, choices(insecure=True))
    assert got.origin == "http://files.invalid/x"


def test_plain_http_is_not_asked(cache: Cache) -> None:
    wanted = source(DATA, "http://example.invalid/x")
    with pytest.raises(DownloadError, match="--insecure-http allows it"):
        fetch([wanted], cache, choices())
    weak = source(DATA, "http://example.invalid/x", kinds=("md5",))
    with pytest.raises(DownloadError, match="md5 can be forged"):
        fetch([weak], cache, choices(insecure=True))
    with pytest.raises(DownloadError, match="the transfer failed"):
        fetch([wanted], cache, choices(insecure=True))


def test_md5_alone_is_fetched_and_told(server: FileServer, cache: Cache) -> None:
    (got,) = fetch([source(DATA, server.add("/x", DATA), kinds=("md5",))], cache, choices())
    assert not got.strong
    assert got.hashes.sha256 == checksum("sha256", DATA).digest
    assert cache.place(checksum("md5", DATA)).samefile(got.path)


# Many at a time


def test_no_server_gets_too_many_requests_at_a_time(server: FileServer, cache: Cache) -> None:
    server.latency = 0.05
    wanted = [source(DATA[:size], server.add(f"/{size}", DATA[:size])) for size in range(100, 130)]
    fetch(wanted, cache, choices())
    assert 2 <= server.most_at_once <= 6


def test_all_faults_are_told_with_what_each_address_did(server: FileServer, cache: Cache) -> None:
    sources = [source(b"1", f"{server.url}/a", f"{server.url}/b"), source(b"2", f"{server.url}/c")]
    sources.append(source(b"3", server.add("/wrong", b"4")))
    good = source(b"5", server.add("/good", b"5"))
    with pytest.raises(Faults) as caught:
        fetch([*sources, good], cache, choices())
    assert len(caught.value.faults) == 3
    assert caught.value.exit_code == 4
    for path in ("/a", "/b", "/c", "/wrong"):
        assert f"{server.url}{path}" in str(caught.value)
    assert cache.find(good.checksums) is not None


def test_two_fetchers_of_one_cache(server: FileServer, cache: Cache) -> None:
    wanted = [
        source(DATA[:size], server.add(f"/{size}", DATA[:size])) for size in range(150_000, 150_030)
    ]
    results: list[int] = []

    def work() -> None:
        results.append(len(fetch(wanted, Cache(cache.directory), choices())))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [30, 30, 30]
    assert is_clean(cache)
    assert parts(cache) == []


# Archives


def archive(data: bytes, url: str, name: str = "a.1-12345678.tar.gz") -> Source:
    return Source(
        kind="archive",
        file_name=name,
        checksums=(checksum("sha256", data),),
        urls=(url,),
        users=(Use("package", "a"),),
        commit=None,
    )


def test_archives_are_inspected_before_they_count(server: FileServer, cache: Cache) -> None:
    good, bad = tar_gz(b"good"), tar_gz(b"bad", "../escape")
    fetch([archive(good, server.add("/good", good))], cache, choices())
    wanted = archive(bad, server.add("/bad", bad))
    with pytest.raises(InputError, match=r"`\.\.` in its path"):
        fetch([wanted], cache, choices())
    assert cache.find(wanted.checksums) is None
    with pytest.raises(InputError, match=r"called \.tbz, but its bytes are those of tar\.gz"):
        fetch([archive(good, server.url + "/good", "a.tbz")], cache, choices())


# git


def test_commits_are_kept(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = tmp_path / "repo"
    options = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for command in (["init", "-q", str(repo)], ["commit", "-q", "--allow-empty", "-m", "x"]):
        place = [] if command[0] == "init" else ["-C", str(repo), *options]
        subprocess.run(["git", *place, *command], check=True)
    head = ["git", "-C", str(repo), "rev-parse", "HEAD"]
    commit = subprocess.run(head, check=True, capture_output=True, text=True).stdout.strip()
    real = git.fetch_git

    def fetch_local(url: str, commit: str, tar: Path, *, name: str, local: bool) -> git.GitTree:
        assert not local
        return real(url, commit, tar, name=name, local=True)

    monkeypatch.setattr(git, "fetch_git", fetch_local)
    wanted = Source(
        kind="git",
        file_name="a.tar",
        checksums=(),
        urls=(repo.as_uri(),),
        users=(Use("package", "a"),),
        commit=commit[:8],
    )
    with pytest.raises(DownloadError, match="not in the cache, and --offline"):
        fetch([wanted], cache, choices(offline=True))
    (got,) = fetch([wanted], cache, choices())
    assert got.commit == commit
    assert got.origin == repo.as_uri()
    assert got.path == cache.place(commit_checksum(wanted, cache) or checksum("md5", b""))
    (again,) = fetch([wanted], cache, choices(offline=True))
    assert (again.commit, again.hashes, again.origin) == (commit, got.hashes, None)
    assert parts(cache) == []
    for note in cache.directory.glob("git/*"):
        note.write_text('{"commit": "no"}')
    assert commit_checksum(wanted, cache) is None


# The disk


def test_a_full_disk_is_told(server: FileServer, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("MOUNTING NEEDS ROOT: a full disk is not tested")
    try:
        wanted = source(DATA, server.add("/x", DATA))
        with pytest.raises(ToolError, match="the disk is full"):
            fetch([wanted], Cache(small / "cache"), choices())
        assert list(Cache(small / "cache").entries()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_cache_that_cannot_be_written(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    wanted = source(DATA, server.add("/x", DATA))
    with pytest.raises(InputError, match="the cache cannot be used"):
        fetch([wanted], Cache(tmp_path / "file" / "cache"), choices())


# Hostile framing


@pytest.mark.parametrize(
    "date",
    ["Mon, 1 Jan 99999999999999999999 00:00:00 GMT", "Mon, 1 Jan 2020 00:00:00 +99999999999999999"],
)
def test_an_impossible_date_to_try_again(server: FileServer, cache: Cache, date: str) -> None:
    url = server.add("/x", DATA)
    server.faults["/x"].append(Fault(status=503, headers={"Retry-After": date}))
    (got,) = fetch([source(DATA, url)], cache, choices())
    assert got.path.read_bytes() == DATA


def test_a_chunk_of_negative_length_is_not_all_that_ever_comes(
    server: FileServer, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.add("/x", DATA)
    headers = {"Transfer-Encoding": "chunked"}
    server.always["/x"] = Fault(no_length=True, headers=headers, body=b"-1\r\n" + b"x" * 10_000_000)
    monkeypatch.setattr("pkggen.sources.fetch.MAX_SOURCE_BYTES", 100_000)
    with pytest.raises(DownloadError, match="longer than 100000 bytes"):
        fetch([source(DATA, url)], cache, choices())


def test_chunks_are_put_together(server: FileServer, cache: Cache) -> None:
    url = server.add("/x", DATA)
    body = b"%x\r\n%s\r\n1\r\n%s\r\n0\r\n\r\n" % (len(DATA) - 1, DATA[:-1], DATA[-1:])
    headers = {"Transfer-Encoding": "chunked"}
    server.always["/x"] = Fault(no_length=True, headers=headers, body=body)
    (got,) = fetch([source(DATA, url)], cache, choices())
    assert got.path.read_bytes() == DATA


def test_addresses_of_files_that_no_system_can_have(cache: Cache) -> None:
    far = source(DATA, f"file:///{'x' * 300}.tar", "file:///%00.tar")
    with pytest.raises(DownloadError, match="there is no such file"):
        fetch([far], cache, choices(offline=True))
