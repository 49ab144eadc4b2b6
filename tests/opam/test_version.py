from __future__ import annotations

import itertools
import shutil
import string
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkggen.errors import InputError
from pkggen.opam.version import OpamVersion, compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ASCENDING = (
    *("~~", "~", "0", "0a", "0.1", "1~~", "1~beta2", "1~beta10", "1", "1-1~", "1-1", "1-2", "1a"),
    *("1+b", "1.0~", "1.0", "1.0.0", "1.2", "1.10", "1_0", "2", "10", "A.1", "a~rc", "a~rc1", "a"),
    *("ab", "v0.9", "v0.15.1", "v0.15.1+x"),
)

EQUAL = [("1", "01"), ("1.0", "1.00"), ("1.0", "1."), ("1", "1-"), ("1", "1-0"), ("0", "-0")]

VERSION_TEXTS = st.from_regex(r"(?:[0-9]{1,9}|[A-Za-z]|[-+.~_]){1,9}", fullmatch=True)

DPKG = """
use Dpkg::Version;
$| = 1;
while (<STDIN>) {
    my ($left, $right) = map { Dpkg::Version->new($_) } split;
    print $left <=> $right, "\\n";
}
"""


@pytest.fixture(scope="module")
def dpkg_compare() -> Iterator[Callable[[str, str], int]]:
    probe = ["perl", "-MDpkg::Version", "-e", "1"]
    if shutil.which("perl") is None or subprocess.run(probe, check=False).returncode:
        pytest.skip("the oracle Dpkg::Version is missing: apt-get install libdpkg-perl")
    with subprocess.Popen(
        ["perl", "-e", DPKG], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        source, sink = process.stdout, process.stdin
        assert source is not None
        assert sink is not None

        def ask(left: str, right: str) -> int:
            print(left, right, file=sink, flush=True)
            return int(source.readline())

        yield ask


def sign(left: str, right: str) -> int:
    return compare(">", left, right) - compare("<", left, right)


def test_order_of_the_table() -> None:
    for lower, higher in itertools.combinations(map(OpamVersion, ASCENDING), 2):
        assert lower < higher, (lower, higher)
        assert not higher <= lower
        assert lower != higher


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_spellings_of_one_version_are_equal_and_hash_alike(left: str, right: str) -> None:
    assert OpamVersion(left) == OpamVersion(right)
    assert hash(OpamVersion(left)) == hash(OpamVersion(right))
    assert OpamVersion(left).text != OpamVersion(right).text


@given(VERSION_TEXTS, VERSION_TEXTS)
def test_order_is_that_of_dpkg(
    dpkg_compare: Callable[[str, str], int], left: str, right: str
) -> None:
    assert sign(left, right) == dpkg_compare(left, right)


@given(st.lists(VERSION_TEXTS, min_size=2, max_size=2).map("-".join), VERSION_TEXTS)
def test_order_of_revisions_is_that_of_dpkg(
    dpkg_compare: Callable[[str, str], int], left: str, right: str
) -> None:
    assert sign(left, right) == dpkg_compare(left, right)


@pytest.mark.parametrize(
    ("op", "holding"),
    [
        ("=", {"1.0"}),
        ("!=", {"0.9", "1.1"}),
        ("<", {"0.9"}),
        ("<=", {"0.9", "1.0"}),
        (">", {"1.1"}),
        (">=", {"1.0", "1.1"}),
    ],
)
def test_satisfies(op: str, holding: set[str]) -> None:
    bound = OpamVersion("1.0")
    assert {t for t in ("0.9", "1.0", "1.1") if OpamVersion(t).satisfies(op, bound)} == holding


@pytest.mark.parametrize("op", ["~", "!~", "==", ""])
def test_other_operators_are_refused(op: str) -> None:
    with pytest.raises(InputError, match="does not compare versions"):
        OpamVersion("1").satisfies(op, OpamVersion("1"))


@pytest.mark.parametrize("text", ["", " ", "1 0", "1:2", "1/2", "1\n", "1\0", "é", "٣", "1{", "$1"])
def test_other_characters_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not an opam version"):
        OpamVersion(text)


def test_every_allowed_character_is_accepted() -> None:
    text = string.ascii_letters + string.digits + "-_+.~"
    assert str(OpamVersion(text)) == text


def test_digits_beyond_the_limit_of_int_are_compared() -> None:
    assert OpamVersion("9" * 5000) < OpamVersion("1" + "0" * 5000)
    assert OpamVersion("0" * 5000 + "1") == OpamVersion("1")


def test_texts_that_are_no_versions_are_ordered_too() -> None:
    assert compare("<", "a b", "a:b")
    assert compare("<", "a/b", "aéb")
    assert compare("<", "a", "a\0")
    assert compare("<", "az", "a\x01")
