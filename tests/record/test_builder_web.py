from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import pytest

from pkggen import __version__
from pkggen.errors import DownloadError, InputError, VerificationError
from pkggen.record import builder_web
from pkggen.record.assemble import assemble
from pkggen.record.builder_web import read_builder_web
from pkggen.record.query import parse_query
from pkggen.record.web import redirect_target
from tests.record.builder_web_server import (
    BSD_UUID,
    NEW_UUID,
    OLD_UUID,
    QUICK,
    Build,
    BuilderWeb,
    Handler,
    build_files,
    serving,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pkggen.record.model import Record
    from pkggen.web import Patience
    from tests.conftest import MakeImage


class Get(Protocol):
    def __call__(
        self, source: str, platform: str | None = None, patience: Patience = QUICK
    ) -> Record: ...


@pytest.fixture
def web(make_image: MakeImage, tmp_path: Path) -> Iterator[BuilderWeb]:
    images = [make_image(tmp_path / f"{abi}", abi=abi).read_bytes() for abi in (1, 2, 3)]
    builds = [
        Build(OLD_UUID, build_files(images[0])),
        Build(NEW_UUID, build_files(images[1])),
        Build(BSD_UUID, build_files(images[2]), job="other", platform="freebsd-14"),
    ]
    with serving(BuilderWeb(builds)) as state:
        yield state


@pytest.fixture
def get(web: BuilderWeb, tmp_path: Path, notes: list[str]) -> Get:
    def get(source: str, platform: str | None = None, patience: Patience = QUICK) -> Record:
        query = parse_query(source.replace("URL", web.url), web.url, platform)
        assert query is not None
        raw = read_builder_web(
            query, source, cache=tmp_path / "cache", note=notes.append, patience=patience
        )
        return assemble(raw)

    return get


def image_hash(web: BuilderWeb, index: int) -> str:
    return hashlib.sha256(web.builds[index].files["bin/hello.hvt"]).hexdigest()


@pytest.mark.parametrize("slashes", [False, True])
@pytest.mark.parametrize(
    ("source", "index"),
    [
        ("hello-git", 1),
        ("hello-git/latest", 1),
        (f"hello-git/{OLD_UUID}", 0),
        (f"hello-git/{OLD_UUID.upper()}", 0),
        ("URL/job/hello-git", 1),
        ("URL/job/hello-git/", 1),
        ("URL/job/hello-git/build/latest", 1),
        (f"URL/job/hello-git/build/{OLD_UUID}", 0),
        (f"URL/job/hello-git/build/{OLD_UUID}/", 0),
        ("sha256", 0),
    ],
)
def test_every_form_on_servers_of_both_ages(
    web: BuilderWeb, get: Get, source: str, index: int, *, slashes: bool
) -> None:
    web.slashes = slashes
    record = get(source.replace("sha256", f"sha256:{image_hash(web, 0).upper()}"))
    assert record.origin is not None
    assert record.origin.url == f"{web.url}/job/hello-git/build/{web.builds[index].uuid}"
    assert record.job == "hello-git"
    assert record.image is not None
    assert record.image.sha256 == image_hash(web, index)
    assert record.solo5 is not None
    assert record.solo5.abi_version == index + 1
    assert record.system_packages is not None
    assert len(record.system_packages) == 3


def test_what_a_new_server_states(web: BuilderWeb, get: Get, notes: list[str]) -> None:
    record = get("hello-git")
    assert record.platform == "debian-12"
    assert record.started == datetime(2026, 8, 23, 9, 0, tzinfo=UTC)
    assert record.finished == datetime(2026, 8, 23, 9, 0, 12, tzinfo=UTC)
    assert notes == []
    assert web.users == {f"pkggen/{__version__}"}


def test_what_an_old_server_does_not_state_is_said(
    web: BuilderWeb, get: Get, notes: list[str]
) -> None:
    web.slashes = True
    record = get("hello-git")
    assert (record.platform, record.started, record.finished) == (None, None, None)
    assert len(notes) == 1
    assert "does not state times and platform" in notes[0]


def test_a_uuid_alone(web: BuilderWeb, get: Get) -> None:
    record = get(BSD_UUID)
    assert (record.job, record.platform) == ("other", "freebsd-14")
    with pytest.raises(DownloadError, match="does not tell the job") as caught:
        get("44444444-4444-4444-8444-444444444444")
    assert "NAME/UUID" in str(caught.value)
    web.slashes = True
    with pytest.raises(DownloadError, match="does not tell the job"):
        get(BSD_UUID)


def test_a_platform(web: BuilderWeb, get: Get) -> None:
    assert get("other", "freebsd-14").platform == "freebsd-14"
    assert get("URL/job/other?platform=freebsd-14").platform == "freebsd-14"
    with pytest.raises(DownloadError, match="the job other has no finished build on debian-12"):
        get("other", "debian-12")
    with pytest.raises(DownloadError, match="platform is freebsd-14, not debian-12"):
        get(f"other/{BSD_UUID}", "debian-12")
    web.slashes = True
    with pytest.raises(DownloadError, match="platform is not stated, not freebsd-14"):
        get("other", "freebsd-14")


@pytest.mark.parametrize("bare_names", [False, True])
@pytest.mark.parametrize("source", ["hello", f"hello/{NEW_UUID}"])
def test_the_git_job_of_a_name(
    web: BuilderWeb, get: Get, notes: list[str], source: str, *, bare_names: bool
) -> None:
    web.bare_names = bare_names
    assert get(source).job == "hello-git"
    assert notes == [f"{web.url} has no job hello; taking hello-git"]


def test_an_unknown_job(web: BuilderWeb, get: Get) -> None:
    with pytest.raises(DownloadError, match="there is no job helo-gt") as caught:
        get("helo-gt")
    assert caught.value.hint == "did you mean hello-git?"
    with pytest.raises(DownloadError) as caught:
        get("zzz")
    assert caught.value.hint == f"the jobs are on {web.url}/"


def test_an_unknown_build(get: Get) -> None:
    with pytest.raises(DownloadError, match="there is no build 4444"):
        get("hello-git/44444444-4444-4444-8444-444444444444")
    with pytest.raises(DownloadError, match="no build holds a file with sha256"):
        get("sha256:" + "0" * 64)


def test_the_hash_must_be_that_of_the_main_binary(web: BuilderWeb, get: Get) -> None:
    switch = hashlib.sha256(web.builds[2].files["opam-switch"]).hexdigest()
    with pytest.raises(VerificationError, match=f"not {switch}"):
        get(f"sha256:{switch}")


def test_metadata_that_may_be_missing(web: BuilderWeb, get: Get) -> None:
    del web.builds[1].files["system-packages"]
    assert get("hello-git").system_packages is None
    del web.builds[1].files["build-environment"]
    with pytest.raises(InputError, match="there is no build-environment"):
        get("hello-git")
    del web.builds[1].files["opam-switch"]
    with pytest.raises(DownloadError, match="has no opam-switch"):
        get("hello-git")


def test_a_build_without_main_binary(web: BuilderWeb, get: Get) -> None:
    del web.builds[1].files["bin/hello.hvt"]
    record = get(f"hello-git/{NEW_UUID}")
    assert (record.artifacts, record.image) == ((), None)


def test_a_server_without_main_binary_route(web: BuilderWeb, get: Get) -> None:
    web.main_route = False
    record = get("hello-git")
    assert record.image is not None
    assert str(record.image.path) == "bin/hello.hvt"


@pytest.mark.parametrize("statement", ["job_json", "etags"])
def test_one_statement_of_the_hash_is_enough(web: BuilderWeb, get: Get, statement: str) -> None:
    web.hash_route = web.job_json = web.etags = False
    setattr(web, statement, True)
    assert get("hello-git").image is not None
    assert not [path for path in web.requests if path.startswith("/hash")]


def test_without_statement_the_hash_is_looked_up(web: BuilderWeb, get: Get) -> None:
    web.job_json = web.etags = False
    assert get("hello-git").image is not None
    assert f"/hash?sha256={image_hash(web, 1)}" in web.requests
    web.hash_route = False
    with pytest.raises(VerificationError, match="knows no build of hello-git with sha256"):
        get("hello-git")


def test_a_hash_of_another_job_confirms_nothing(web: BuilderWeb, get: Get) -> None:
    web.job_json = web.etags = False
    web.builds.append(Build("5" * 8 + NEW_UUID[8:], web.builds[1].files, job="other"))
    with pytest.raises(VerificationError, match="knows no build of hello-git with sha256"):
        get(f"hello-git/{NEW_UUID}")


def test_files_have_a_limit(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder_web, "MAX_METADATA_BYTES", 100)
    with pytest.raises(DownloadError, match="longer than 100 bytes"):
        get("hello-git")


def test_a_bit_identical_later_build_confirms_a_hash(web: BuilderWeb, get: Get) -> None:
    web.job_json = web.etags = False
    web.builds.append(Build("5" * 8 + NEW_UUID[8:], web.builds[1].files))
    assert get(f"hello-git/{NEW_UUID}").image is not None


@pytest.mark.parametrize("file", ["bin/hello.hvt", "opam-switch"])
def test_wrong_bytes_are_refused(
    web: BuilderWeb, get: Get, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    stated = hashlib.sha256(web.builds[1].files[file]).digest()
    original = Handler.file

    def wrong(self: Handler, query: dict[str, str], uuid: str, path: str) -> None:
        if path != file:
            return original(self, query, uuid, path)
        return self.answer(200, b"wrong", ETag=base64.b64encode(stated).decode())

    monkeypatch.setattr(Handler, "file", wrong)
    with pytest.raises(VerificationError) as caught:
        get("hello-git")
    assert stated.hex() in caught.value.message
    assert hashlib.sha256(b"wrong").hexdigest() in caught.value.message
    assert not [path for path in (tmp_path / "cache").rglob("*") if "partial" in path.name]


def test_a_wrong_binary_is_refused_by_the_job_page(web: BuilderWeb, get: Get) -> None:
    web.etags = False
    web.faults["/f/bin/hello.hvt"] = "wrong"
    with pytest.raises(VerificationError, match=image_hash(web, 1)):
        get("hello-git")


def test_the_cache_saves_the_second_download(web: BuilderWeb, get: Get, tmp_path: Path) -> None:
    digest = image_hash(web, 1)
    kept = tmp_path / "cache" / "artifacts" / digest[:2] / digest
    get("hello-git")
    assert kept.read_bytes() == web.builds[1].files["bin/hello.hvt"]
    web.requests.clear()
    get("hello-git")
    assert not [path for path in web.requests if path.endswith("/f/bin/hello.hvt")]
    kept.write_bytes(b"damaged")
    record = get("hello-git")
    assert record.image is not None
    assert record.image.sha256 == digest
    assert kept.read_bytes() == web.builds[1].files["bin/hello.hvt"]


def test_a_cache_that_cannot_be_used_is_told(get: Get, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(InputError, match="the cache cannot be used"):
        get("hello-git")


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:1/job/hello-git/build/latest",
        "http://localhost/",
        "https://127.0.0.1/",
        "//evil.example/",
        "ftp://127.0.0.1/",
        "http://[",
    ],
)
@pytest.mark.parametrize("page", ["/latest", "/f/opam-switch", "/main-binary"])
def test_redirects_to_elsewhere_are_refused(
    web: BuilderWeb, get: Get, page: str, target: str
) -> None:
    web.faults[page] = f"redirect {target}"
    with pytest.raises(DownloadError, match="redirect") as caught:
        get("hello-git")
    assert target in caught.value.message


def test_a_redirect_from_https_to_http_is_refused() -> None:
    with pytest.raises(DownloadError, match=r"redirects from https://example\.org to .http:"):
        redirect_target("https://example.org/a", "http://example.org/a")
    assert redirect_target("https://example.org/a/b", "../c") == "https://example.org/c"
    assert redirect_target("https://example.org/a", "/c?d") == "https://example.org/c?d"


@pytest.mark.slow
@pytest.mark.parametrize("page", ["/latest", "/f/opam-switch"])
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("loop", "more than 5 redirects"),
        ("nowhere", "a redirect without a target"),
        ("status 500", "the server answered 500"),
        ("status 503", "the server answered 503"),
        ("status 403", "the server answered 403"),
        ("short", "the transfer failed|breaks off"),
        ("gzip", "compressed although"),
        ("drop", "the transfer failed"),
        ("endless", "longer than|too slow"),
        ("drip", "too slow"),
        ("header", "too slow|transfer failed"),
    ],
)
def test_faults_of_the_server(
    web: BuilderWeb, get: Get, page: str, fault: str, message: str
) -> None:
    web.faults[page] = fault
    with pytest.raises(DownloadError, match=message) as caught:
        get("hello-git")
    assert str(caught.value.where).startswith(web.url)


def test_a_passing_fault_is_tried_again(web: BuilderWeb, get: Get) -> None:
    web.faults["/f/opam-switch"] = "once 503"
    assert get("hello-git").image is not None
    assert len([path for path in web.requests if path.endswith("/f/opam-switch")]) == 2


def test_no_server(web: BuilderWeb, tmp_path: Path) -> None:
    query = parse_query("hello", "http://127.0.0.1:1", None)
    assert query is not None
    with pytest.raises(DownloadError, match="the transfer failed"):
        read_builder_web(query, "hello", cache=tmp_path, note=print, patience=QUICK)
    assert web.requests == []


def test_another_build_than_asked_for_is_refused(
    web: BuilderWeb, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Handler, "build", lambda self, *_: self.json({"uuid": OLD_UUID, "platform": "x"})
    )
    with pytest.raises(DownloadError, match="describes another build"):
        get("hello-git")
    assert web.requests


@pytest.mark.parametrize("target", ["/", "/job/a/build/x", "/job/a b/build/" + NEW_UUID])
def test_latest_must_lead_to_a_build(web: BuilderWeb, get: Get, target: str) -> None:
    web.faults["/latest"] = f"redirect {target}"
    with pytest.raises((DownloadError, InputError)):
        get("hello-git")


def test_hostile_main_binary_path(web: BuilderWeb, get: Get) -> None:
    base = f"/job/hello-git/build/{NEW_UUID}"
    for path in (f"{base}/f/bin/%2e%2e/%2e%2e/x", f"{base}/f/bin/%00x", f"{base}/f/bin/"):
        web.faults["/main-binary"] = f"redirect {path}"
        with pytest.raises(InputError, match="of an artefact"):
            get("hello-git")
    for path in (f"{base}/f/opam-switch", "/", "/job/other"):
        web.faults["/main-binary"] = f"redirect {path}"
        with pytest.raises(DownloadError, match="does not lead to a file under bin/"):
            get("hello-git")


def test_the_body_of_a_redirect_is_not_read(web: BuilderWeb, get: Get) -> None:
    web.faults["/latest"] = f"fat-redirect /job/hello-git/build/{NEW_UUID}"
    assert get("hello-git").image is not None


def test_a_stated_size_counts_for_a_kept_file_too(
    web: BuilderWeb, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    get("hello-git")
    monkeypatch.setattr(
        Handler,
        "stated",
        lambda _, build: {
            "uuid": build.uuid,
            "main_binary": {"filename": "hello.hvt", "sha256": image_hash(web, 1), "size": 7},
        },
    )
    with pytest.raises(VerificationError, match="recorded size 7"):
        get("hello-git")
