"""What is quoted for Nix reads back as it was, whatever it holds."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkggen.errors import InputError
from pkggen.targets.nix import quote
from pkggen.targets.nix.quote import Nix as Quoted

if TYPE_CHECKING:
    from tests.targets.nix.conftest import Nix

PIECES = [
    *"\"$\\{}\n\r\t'`#*/;:=.-+ \x01\x7f\x1b\x85\u2028\u202e\ufeffä\U0001f600",
    *("${", "$${", "\\${", "''", "''$", "''\\", "''${", "/*", "*/", "\r\n", "abc", "let", "$$"),
]


def hostile_strings(count: int) -> list[str]:
    rng = random.Random(20261123)  # noqa: S311 - the same strings in every run
    short = [a + b for a in PIECES for b in PIECES]
    return short + [
        "".join(rng.choices(PIECES, k=rng.randrange(3, 12))) for _ in range(count - len(short))
    ]


@pytest.mark.parametrize("count", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_nix_reads_strings_back(nix: Nix, count: int) -> None:
    texts = hostile_strings(count)
    literals = quote.listing([quote.string(text) for text in texts], indent=0)
    assert nix.eval(literals) == texts


@pytest.mark.parametrize("count", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_nix_reads_attribute_names_back(nix: Nix, count: int) -> None:
    names = sorted({*hostile_strings(count), *quote.KEYWORDS, "a", "a-b'", "_", "1", "-", ""})
    body = "".join(f"{quote.attribute(name)} = {i};\n" for i, name in enumerate(names))
    assert nix.eval("{\n" + body + "}") == {name: i for i, name in enumerate(names)}


def test_no_comment_ends_before_its_line(nix: Nix) -> None:
    texts = hostile_strings(3_000)
    lines = "".join(f"{quote.comment(text)}\n{i}\n" for i, text in enumerate(texts))
    assert nix.eval(f"[\n{lines}]") == list(range(len(texts)))


def test_lists_of_each_length(nix: Nix) -> None:
    for length in range(4):
        items = [quote.number(i) for i in range(length)]
        assert nix.eval(quote.listing(items, indent=2)) == list(range(length))


@given(st.text())
def test_no_string_has_a_bare_quote_or_interpolation(text: str) -> None:
    if "\0" in text:
        return
    inside = re.sub(r"\\.", "", quote.string(text)[1:-1])
    assert not re.search(r'["\\\n\r\t]|\$\{', inside)


@given(st.text(alphabet=st.characters(min_codepoint=0, max_codepoint=0x10FFFF)))
def test_comments_are_one_printable_line(text: str) -> None:
    comment = quote.comment(text)
    assert comment.startswith("# ")
    assert comment.isprintable()


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("", '""'),
        ("plain $x $ {", '"plain $x $ {"'),
        ("${x}", r'"\${x}"'),
        ("$${x}", r'"$\${x}"'),
        ('a"b\\c', r'"a\"b\\c"'),
        ("a\nb\rc\td", r'"a\nb\rc\td"'),
    ],
)
def test_strings_are_escaped_no_more_than_needed(text: str, literal: str) -> None:
    assert quote.string(text) == literal


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "x\udfff"])
def test_what_no_string_can_hold_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no Nix string can hold"):
        quote.string(text)
    with pytest.raises(InputError):
        quote.attribute(text)


def test_lists_as_nixfmt_prints_them() -> None:
    a, b = quote.string("a"), quote.string("b")
    assert quote.listing([], indent=4) == "[ ]"
    assert quote.listing([a], indent=4) == '[ "a" ]'
    assert quote.listing([a, b], indent=4) == '[\n      "a"\n      "b"\n    ]'


@pytest.mark.parametrize("name", ["a", "dns-primary.hvt", "A_1-2.3", "0", "x" * 200])
def test_safe_file_names(name: str) -> None:
    assert quote.file_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hvt", "-rf", "a b", "a/b", "a'b", 'a"b', "a$b", "a\n", "ä", "a+b", "x" * 201],
)
def test_unsafe_file_names_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot be used in the Nix store"):
        quote.file_name(name)


def test_sri_is_the_hash_in_base64() -> None:
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert quote.sri(empty) == '"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="'


def test_numbers_are_natural() -> None:
    assert quote.number(2) == "2"
    with pytest.raises(ValueError, match="natural"):
        quote.number(-1)


@pytest.mark.parametrize("value", ["text", 1, None, True, ["x"]])
def test_finalize_refuses_what_was_not_quoted(value: object) -> None:
    with pytest.raises(TypeError, match="not quoted"):
        quote.finalize(value)


def test_finalize_lets_quoted_text_through() -> None:
    assert quote.finalize(Quoted("x")) == "x"


def test_joined_text_is_not_quoted_any_more() -> None:
    joined = quote.string("a") + quote.string("b")
    with pytest.raises(TypeError):
        quote.finalize(joined)
