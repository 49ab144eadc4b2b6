from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkggen.errors import InputError
from pkggen.opam.version import OpamVersion
from pkggen.recipe.model import Version
from pkggen.recipe.versions import (
    DebVersion,
    NixVersion,
    PortVersion,
    deb_version,
    nix_version,
    port_version,
    release_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Compare = Callable[[Sequence[tuple[str, str]]], list[int]]

BUILT: Final = datetime(2026, 8, 23, 12, 0, 0, tzinfo=UTC)
SHA: Final = "5f6896cb" * 8


def version(release: str | None, built: datetime = BUILT) -> Version:
    return Version(release=release, built=built)


def dpkg_compare(pairs: Sequence[tuple[str, str]]) -> list[int]:
    if shutil.which("dpkg") is None:
        pytest.skip("NO dpkg: the order of Debian versions is not tested")

    def holds(left: str, op: str, right: str) -> bool:
        run = subprocess.run(
            ["dpkg", "--compare-versions", left, op, right], check=False, capture_output=True
        )
        assert not run.stderr, run.stderr
        return run.returncode == 0

    return [holds(*pair_with(pair, "gt")) - holds(*pair_with(pair, "lt")) for pair in pairs]


def pair_with(pair: tuple[str, str], op: str) -> tuple[str, str, str]:
    return pair[0], op, pair[1]


def nix_compare(pairs: Sequence[tuple[str, str]]) -> list[int]:
    if shutil.which("nix-instantiate") is None:
        pytest.skip("NO nix-instantiate: the order of Nix versions is not tested")
    calls = (f'(builtins.compareVersions "{left}" "{right}")' for left, right in pairs)
    run = subprocess.run(
        ["nix-instantiate", "--eval", "--strict", "--json", "-E", f"[ {' '.join(calls)} ]"],
        check=True,
        capture_output=True,
    )
    orders: list[int] = json.loads(run.stdout)
    return orders


STAGES: Final = {"pl": 0, "alpha": 1, "beta": 2, "pre": 16, "rc": 18}


def pkg_components(block: str) -> list[tuple[int, int, int]]:
    """Cut a version into (number, letter, patch level) as pkg does.

    A number that is missing counts -1, a letter 0; a word counts as its first letter, except that
    pl, alpha, beta, pre and rc start a component of their own.
    """
    found = []
    rest = block.lower()
    while rest:
        match = re.match(r"([0-9]*)([a-z]*)([0-9]*)[^0-9a-z]*", rest)
        assert match is not None
        number, letters, patch = match.groups()
        if number and letters in STAGES:
            found.append((int(number), 0, 0))
            rest = rest[len(number) :]
            continue
        letter = STAGES.get(letters, ord(letters[0]) - 96) if letters else 0
        level = (int(patch) if patch else -1) if letters else 0
        found.append((int(number) if number else -1, letter, level))
        rest = rest[match.end() :]
    return found


def pkg_compare(pairs: Sequence[tuple[str, str]]) -> list[int]:
    def order(left: str, right: str) -> int:
        for blocks in zip_longest(left.split("+"), right.split("+"), fillvalue=""):
            for ours, theirs in zip_longest(*map(pkg_components, blocks), fillvalue=(0, 0, 0)):
                if ours != theirs:
                    return 1 if ours > theirs else -1
        return 0

    return [order(*pair) for pair in pairs]


def assert_ascending(compare: Compare, versions: Sequence[str]) -> None:
    pairs = [(a, b) for i, a in enumerate(versions) for b in versions[i + 1 :]]
    wrong = [pair for pair, found in zip(pairs, compare(pairs), strict=True) if found != -1]
    assert wrong == []


def test_the_pkg_comparer_follows_the_rules_that_pkg_documents() -> None:
    below = [
        ("10", "10a"),
        ("10a", "10b"),
        ("10alpha", "10"),
        ("10.a", "10"),
        ("a", "0"),
        ("pl11", "alpha3"),
        ("alpha3", "0.1beta2"),
        ("0.1beta2", "0.1"),
        ("2pl1", "2alpha3"),
        ("2alpha3", "2.9f7"),
        ("1.0.1:2003.09.16", "1.0.2:2003.09.16"),
        ("1.5.0.0.g0000000.20260823120000." + SHA, "1.5.0"),
        ("1.5.0", "1.5.0.20260823120000"),
        ("1.5", "1.5+1"),
    ]
    equal = [
        ("10", "10.0.0"),
        ("10..1", "10.1"),
        ("10a1b2", "10a1.b2"),
        ("1.d2", "1.dev2"),
        ("1.0:2003.09.16", "1.0.2003.09.16"),
        ("0.1beta2", "0.1.b2"),
    ]
    assert pkg_compare(below) == [-1] * len(below)
    assert pkg_compare([(right, left) for left, right in below]) == [1] * len(below)
    assert pkg_compare(equal) == [0] * len(equal)


@pytest.mark.parametrize(
    ("release", "nix", "deb", "port"),
    [
        (
            "1.5.2",
            "1.5.2-unstable-2026-08-23",
            "1.5.2-20260823120000Z-0pkggen1",
            "1.5.2.0.20260823120000",
        ),
        (
            "v0.16.0",
            "0.16.0-unstable-2026-08-23",
            "0.16.0-20260823120000Z-0pkggen1",
            "0.16.0.0.20260823120000",
        ),
        (
            None,
            "0-unstable-2026-08-23",
            "0~20260823120000Z-0pkggen1",
            "0.0.0.20260823120000",
        ),
    ],
)
def test_forms(release: str | None, nix: str, deb: str, port: str) -> None:
    made = version(release)
    assert str(nix_version(made)) == nix
    assert str(deb_version(made)) == deb
    assert str(deb_version(made, 2)) == f"{deb.removesuffix('1')}2"
    assert str(port_version(made)) == port


def test_the_time_is_written_in_utc() -> None:
    later_zone = datetime(2026, 8, 24, 1, 0, 0, tzinfo=timezone(timedelta(hours=2)))
    made = version("1.0", later_zone)
    assert nix_version(made).text == "1.0-unstable-2026-08-23"
    assert deb_version(made).upstream == "1.0-20260823230000Z"
    assert port_version(made).text == "1.0.0.20260823230000"


@pytest.mark.parametrize(
    ("release", "refused_by"),
    [
        ("1.0_1", {deb_version, port_version}),
        ("2.0.0~beta3", {nix_version, port_version}),
        ("1.0+dune", {port_version}),
        ("1.0-1", {port_version}),
        ("1.5a", {port_version}),
        ("1..5", {port_version}),
        ("1" * 19, {port_version}),
        ("1.0\n", {nix_version, deb_version, port_version}),
        ("1.0 ", {nix_version, deb_version, port_version}),
        ("1.0;true", {nix_version, deb_version, port_version}),
        ("¹", {nix_version, deb_version, port_version}),
        ("vv1", {nix_version, deb_version, port_version}),
        ("", {nix_version, deb_version, port_version}),
    ],
)
def test_a_release_that_a_target_cannot_write_is_refused_with_the_way_out(
    release: str, refused_by: set[Callable[[Version], object]]
) -> None:
    for make in (nix_version, deb_version, port_version):
        if make in refused_by:
            with pytest.raises(InputError) as caught:
                make(version(release))
            assert "pkggen.yaml" in (caught.value.hint or "")
        else:
            make(version(release))


@pytest.mark.parametrize(
    "make",
    [
        lambda: NixVersion("v1"),
        lambda: NixVersion("1/2"),
        lambda: DebVersion("1:2", "1"),
        lambda: DebVersion("a", "1"),
        lambda: DebVersion("1", "1-2"),
        lambda: PortVersion("1.0_1"),
        lambda: PortVersion("1,1"),
        lambda: PortVersion("1."),
    ],
)
def test_the_types_hold_valid_texts_only(make: Callable[[], object]) -> None:
    with pytest.raises(InputError):
        make()


def deb(release: str | None, built: datetime = BUILT) -> str:
    return str(deb_version(version(release, built)))


def port(release: str | None, built: datetime = BUILT) -> str:
    return str(port_version(version(release, built)))


def nix(release: str | None, built: datetime = BUILT) -> str:
    return str(nix_version(version(release, built)))


NEXT_BUILD: Final = BUILT + timedelta(days=1)


def test_debian_order_of_a_release() -> None:
    assert_ascending(
        dpkg_compare,
        [
            deb(None),
            deb("1.5.2~beta1"),
            "1.5.2-1",
            "1.5.2+dfsg-1",
            f"1.5.2-20260823120000-{SHA}",
            deb("1.5.2"),
            f"1.5.2-{NEXT_BUILD:%Y%m%d%H%M%S}-{SHA}",
            deb("1.5.2", NEXT_BUILD),
            "1.5.2.1-1",
            deb("1.5.2.1"),
            "1.5.3-1",
            deb("1.5.10"),
            "2-1",
        ],
    )


@pytest.mark.parametrize("snapshot", ["0~git20200101-1", "0+git1-1", "0.0~git20200101-1", "0.1-1"])
def test_debian_order_without_release(snapshot: str) -> None:
    assert_ascending(dpkg_compare, [deb(None), deb(None, NEXT_BUILD), snapshot])


def test_freebsd_order() -> None:
    assert_ascending(
        pkg_compare,
        [
            port(None),
            port(None, NEXT_BUILD),
            "0.0.1",
            f"1.5.2.0.g0000000.20260823120000.{SHA}",
            "1.5.2",
            port("1.5.2"),
            port("1.5.2", NEXT_BUILD),
            "1.5.2.1",
            port("1.5.2.1"),
            "1.5.3",
            port("1.5.10"),
        ],
    )


def test_freebsd_the_next_release_is_above_also_when_its_number_is_longer() -> None:
    assert_ascending(pkg_compare, [port("1.5", NEXT_BUILD), "1.5.1", port("1.5.1")])
    assert pkg_compare([("1.5.20260823120000", "1.5.1")]) == [1]  # hence the 0 in between


def test_freebsd_official_snapshots_of_a_release_with_plus_stay_below_the_next_release() -> None:
    assert pkg_compare([("1.5.2+1", port("1.5.3"))]) == [-1]


def test_nix_order() -> None:
    assert_ascending(
        nix_compare,
        [
            nix(None),
            nix(None, NEXT_BUILD),
            "0.1",
            "1.5.2",
            nix("1.5.2"),
            nix("1.5.2", NEXT_BUILD),
            "1.5.2.1",
            nix("1.5.2.1"),
            "1.5.3",
            nix("1.5.10"),
        ],
    )


RELEASES: Final = st.none() | st.tuples(*3 * [st.integers(0, 120)]).filter(any)
TIMES: Final = st.datetimes(datetime(2019, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis wants naive bounds
BUILDS: Final = st.tuples(RELEASES, TIMES.map(lambda time: time.replace(microsecond=0)))


def text_of(release: tuple[int, ...] | None) -> str | None:
    return None if release is None else ".".join(map(str, release))


@pytest.mark.slow
@settings(max_examples=25)
@given(st.lists(st.tuples(BUILDS, BUILDS), min_size=1, max_size=20))
def test_releases_come_first_and_then_build_times(
    pairs: list[
        tuple[
            tuple[tuple[int, ...] | None, datetime],
            tuple[tuple[int, ...] | None, datetime],
        ]
    ],
) -> None:
    def expected(*, day_only: bool) -> list[int]:
        def key(build: tuple[tuple[int, ...] | None, datetime]) -> tuple[tuple[int, ...], datetime]:
            return build[0] or (), build[1].replace(
                hour=0, minute=0, second=0
            ) if day_only else build[1]

        keys = [(key(left), key(right)) for left, right in pairs]
        return [(left > right) - (left < right) for left, right in keys]

    def made(make: Callable[[str | None, datetime], str]) -> list[tuple[str, str]]:
        return [
            (make(text_of(left[0]), left[1]), make(text_of(right[0]), right[1]))
            for left, right in pairs
        ]

    assert pkg_compare(made(port)) == expected(day_only=False)
    assert nix_compare(made(nix)) == expected(day_only=True)
    assert dpkg_compare(made(deb)) == expected(day_only=False)


@pytest.mark.parametrize(
    "text", ["1.5.2", "0", "v0.16.0", "2.0.0~beta3", "1.0+dune", "1.0-1", "20240101", "1.devel"]
)
def test_releases(text: str) -> None:
    assert release_of(OpamVersion(text)) == text
    assert release_of(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "dev",
        "~dev",
        "master",
        "1.0~dev",
        "1.0.dev",
        "1.0+git",
        "1.0-dev3",
        "DEV",
        "v",
        "version1",
        "base",
        "1.0 ",
        "1.0\n",
        "",
        "-1",
        "1.0~~master",
        "٣.0",
    ],
)
def test_no_releases(text: str) -> None:
    assert release_of(text) is None
