from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Final

import pytest
from debian.changelog import Changelog
from hypothesis import given
from hypothesis import strategies as st

from pkggen.errors import InputError
from pkggen.recipe.model import Maintainer, Provenance, Version
from pkggen.recipe.versions import deb_version
from pkggen.record.model import Origin
from pkggen.targets.deb.changelog import Entry, build_line, changelog, stamp
from tests.targets.deb.made import MAINTAINER

TIMES = st.datetimes(datetime(1980, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
CHANGES = st.text(
    st.characters(codec="utf-8") | st.sampled_from("- \n.*<>#:closes1LP ()"), max_size=120
)
PEOPLE: Final = (
    "Jane Doe",
    "Élodie d'Arc-Smith",
    "J. (Jim) Doe, Jr.",
    "\u4e2d",
)


def maintainer(name: str) -> Maintainer:
    return Maintainer(name=name, email="j.d+x@example.org", nixpkgs=None)


@given(
    st.lists(st.tuples(st.lists(CHANGES, min_size=1, max_size=3), TIMES), min_size=1, max_size=3),
    st.sampled_from(PEOPLE),
    st.integers(1, 9999),
)
def test_what_is_written_is_read_back(
    entries: list[tuple[list[str], datetime]], person: str, revision: int
) -> None:
    written = [
        Entry(
            version=deb_version(Version(release="1.2~rc1", built=time), revision),
            changes=tuple(changes),
            time=time,
        )
        for changes, time in entries
    ]
    text = changelog("hello", maintainer(person), written)
    read = list(Changelog(text, strict=True))
    assert len(read) == len(written)
    for found, entry in zip(read, written, strict=True):
        assert found.package == "hello"
        assert str(found.version) == str(entry.version)
        assert (found.distributions, found.urgency) == ("unstable", "medium")
        assert found.author == f"{person} <j.d+x@example.org>"
        assert parsedate_to_datetime(str(found.date)) == entry.time.replace(microsecond=0)
        assert found.bugs_closed == []
        assert found.lp_bugs_closed == []
        words = " ".join(line.strip() for line in found.changes()).replace(" :", ":").split()
        meant = [
            "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in change)
            for change in entry.changes
        ]
        expected = [word for change in meant if change.split() for word in ("*", *change.split())]
        assert "".join(words) == "".join(expected).replace(" :", ":")


def test_long_lines_are_wrapped_and_addresses_are_not() -> None:
    url = "https://builds.example.org/job/x/build/" + "0" * 60
    entry = Entry(
        version=deb_version(Version(release="1", built=datetime(2026, 1, 2, tzinfo=UTC))),
        changes=(f"Build of job x, {url}", "word " * 30),
        time=datetime(2026, 1, 2, tzinfo=UTC),
    )
    lines = changelog("x1", MAINTAINER, [entry]).splitlines()
    assert f"    {url}" in lines
    assert all(len(line) <= 80 for line in lines if url not in line)


def test_no_bug_is_closed() -> None:
    entry = Entry(
        version=deb_version(Version(release="1", built=datetime(2026, 1, 2, tzinfo=UTC))),
        changes=("Other source: x from https://e.org/Closes:#1", "closes:bug#2", "LP: #3"),
        time=datetime(2026, 1, 2, tzinfo=UTC),
    )
    (read,) = Changelog(changelog("x1", MAINTAINER, [entry]))
    assert (read.bugs_closed, read.lp_bugs_closed) == ([], [])


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (datetime(2026, 8, 20, 12, tzinfo=UTC), "Thu, 20 Aug 2026 12:00:00 +0000"),
        (
            datetime(2026, 3, 1, 1, 2, 3, tzinfo=timezone(timedelta(hours=2))),
            "Sat, 28 Feb 2026 23:02:03 +0000",
        ),
        (datetime(1980, 1, 1, tzinfo=UTC), "Tue, 01 Jan 1980 00:00:00 +0000"),
    ],
)
def test_times(time: datetime, text: str) -> None:
    assert stamp(time) == text


def test_times_that_debian_refuses() -> None:
    with pytest.raises(InputError, match="in 1979, which Debian refuses"):
        stamp(datetime(1980, 1, 1, tzinfo=timezone(timedelta(hours=1))))


def test_which_build_it_was() -> None:
    local = Provenance(
        job="hello", platform=None, origin=None, root="hello.1", switch_sha256="0" * 64
    )
    assert build_line(local) == "Build of job hello"
    origin = Origin(server="https://e.org", job="hello", build="uuid")
    served = Provenance(
        job="hello", platform="debian-12", origin=origin, root="hello.1", switch_sha256="0" * 64
    )
    assert build_line(served) == (
        "Build of job hello on debian-12, https://e.org/job/hello/build/uuid"
    )
