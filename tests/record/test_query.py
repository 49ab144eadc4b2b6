from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkggen.errors import InputError, PkggenError
from pkggen.record.identity import parse_time, server_url
from pkggen.record.query import Query, parse_query

SERVER = "https://builds.example.org"
UUID = "08455214-8a9b-413a-b116-a65353dc0743"
HEX = "ab" * 32


def query(**parts: str | None) -> Query:
    every = {"server": SERVER, "job": None, "build": None, "sha256": None, "platform": None}
    return Query(**{**every, **parts})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("dns-primary-git", query(job="dns-primary-git")),
        ("dns-primary-git/latest", query(job="dns-primary-git")),
        (f"dns/{UUID}", query(job="dns", build=UUID)),
        (UUID, query(build=UUID)),
        (UUID.upper(), query(build=UUID)),
        (f"sha256:{HEX}", query(sha256=HEX)),
        ("https://x.example/job/a", query(server="https://x.example", job="a")),
        (
            "https://X.example:8443/job/a/?platform=debian-12",
            query(server="https://x.example:8443", job="a", platform="debian-12"),
        ),
        (
            f"http://localhost:80/job/a/build/{UUID}/",
            query(server="http://localhost:80", job="a", build=UUID),
        ),
        (
            "http://[::1]:80/job/a/build/latest",
            query(server="http://[::1]:80", job="a"),
        ),
    ],
)
def test_forms(source: str, expected: Query) -> None:
    assert parse_query(source, f"{SERVER}/", None) == expected


@pytest.mark.parametrize(
    "source", ["", "/abs/x", "./x", "a/b", "a/b/c", "a b", "é", "-x", "a/", "x" * 200, "a\n"]
)
def test_what_has_no_form(source: str) -> None:
    assert parse_query(source, SERVER, None) is None


@pytest.mark.parametrize(
    "source",
    [
        "sha256:",
        "sha256:abc",
        f"sha256:{HEX}0",
        "https://x.example/",
        "https://x.example/job/a/build/b",
        "https://x.example/job/a%2fb",
        "https://x.example/all-builds",
        "http://x.example/job/a",
        "ftp://x.example/job/a",
        "https://u:p@x.example/job/a",
        "https:///job/a",
        "https://x:y/job/a",
        "https://[/job/a",
        "https://x.example/job/a?platform=a/b",
    ],
)
def test_what_has_a_wrong_form(source: str) -> None:
    with pytest.raises(InputError):
        parse_query(source, SERVER, None)


def test_a_platform_said_twice_must_agree() -> None:
    source = "https://x.example/job/a?platform=debian-12"
    assert parse_query(source, SERVER, "debian-12") is not None
    with pytest.raises(InputError, match="about debian-12, --platform about freebsd-14"):
        parse_query(source, SERVER, "freebsd-14")
    with pytest.raises(InputError, match="is not the name of a platform"):
        parse_query("a", SERVER, "a/b")


@pytest.mark.parametrize(
    "server", ["http://example.org", "example.org", "https://example.org/x", "https://a?b", ""]
)
def test_wrong_servers(server: str) -> None:
    with pytest.raises(InputError):
        parse_query("a", server, None)


@given(st.text(max_size=60) | st.text(max_size=40).map(lambda tail: "https://" + tail))
def test_any_source_is_never_a_bug(source: str) -> None:
    try:
        found = parse_query(source, SERVER, None)
    except PkggenError as error:
        assert error.exit_code == 3  # noqa: PT017 - or it gives a query
    else:
        assert found is None or found.server.startswith(("https://", "http://"))


def test_servers_are_normalised() -> None:
    assert server_url("HTTPS://Builds.Example.ORG/", "f") == "https://builds.example.org"


@pytest.mark.parametrize(
    "text", ["2026-08-23T11:00:00+02:00", "2026-08-23T09:00:00Z", "2026-08-23T09:00:00-00:00"]
)
def test_times_are_in_utc(text: str) -> None:
    assert parse_time(text, "f").isoformat() == "2026-08-23T09:00:00+00:00"


@pytest.mark.parametrize("text", ["", "x", "2026-08-23", "0001-01-01T00:00:00+23:00"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="not a time with a zone"):
        parse_time(text, "f")
