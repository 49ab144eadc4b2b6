from __future__ import annotations

from functools import partial, reduce
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkggen.opam.parser import parse, parse_value
from pkggen.opam.printer import print_items, print_value
from pkggen.opam.values import (
    EnvUpdate,
    Field,
    Group,
    Ident,
    Logop,
    Option,
    PrefixOp,
    PrefixRelop,
    Relop,
    Section,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.opam.values import Value

    Items = tuple[Field | Section, ...]

RELOPS = st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "~", "!~"])
ENVOPS = st.sampled_from(["+=", ":=", "=+", "=+=", "=:"])
WORDS = st.sampled_from(["a", "os", "with-test", "a+b", "a+_:c", "_:d", "0install", "x:-1y", "-a"])

STRINGS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
ATOMS: st.SearchStrategy[Value] = st.one_of(
    STRINGS, WORDS.map(Ident), st.booleans(), st.integers(-(2**62), 2**62 - 1)
)


def is_apart(parts: list[Value]) -> bool:
    """Say whether no comparison would take the value before it for its left side."""
    return not any(map(starts_with_relop, parts[1:]))


def starts_with_relop(value: Value) -> bool:
    match value:
        case PrefixRelop():
            return True
        case Option(inner, _) | Logop(_, inner, _):
            return starts_with_relop(inner)
    return False


@st.composite
def lists(draw: st.DrawFn, depth: int) -> tuple[Value, ...]:
    return tuple(draw(st.lists(trees(depth), max_size=2 + (depth == 0)).filter(is_apart)))


@st.composite
def primaries(draw: st.DrawFn, depth: int) -> Value:
    match draw(st.integers(0, 5 if depth else 3)):
        case 0:
            return draw(ATOMS)
        case 1:
            return Relop(draw(RELOPS), draw(ATOMS), draw(ATOMS))
        case 2:
            return PrefixRelop(draw(RELOPS), draw(ATOMS))
        case 3:
            return EnvUpdate(draw(ATOMS), draw(ENVOPS), draw(ATOMS))
        case 4:
            return draw(lists(depth - 1))
        case _:
            return Group(draw(lists(depth - 1)))


@st.composite
def operands(draw: st.DrawFn, depth: int) -> Value:
    operand = draw(primaries(depth))
    if depth:
        for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2]))):
            operand = Option(operand, draw(lists(depth - 1)))
    for op in draw(st.sampled_from(["", "", "", "!", "?", "!?", "!!"])):
        operand = PrefixOp(op, operand)
    return operand


@st.composite
def trees(draw: st.DrawFn, depth: int = 2) -> Value:
    """Return values as the parser builds them: `&` binds closer, both to the left."""
    sizes = st.sampled_from([1, 1, 1, 1, 2, 3])
    alternatives = [
        reduce(partial(Logop, "&"), [draw(operands(depth)) for _ in range(draw(sizes))])
        for _ in range(draw(sizes))
    ]
    return reduce(partial(Logop, "|"), alternatives)


@st.composite
def items(draw: st.DrawFn, depth: int = 2) -> Items:
    found: list[Field | Section] = []
    for _ in range(draw(st.integers(0, 2))):
        if depth and draw(st.booleans()):
            name = draw(st.none() | STRINGS)
            found.append(Section(draw(WORDS), name, draw(items(depth - 1)), 0))
        else:
            found.append(Field(draw(WORDS), draw(trees(1)), 0))
    return tuple(found)


def unplaced(content: Items) -> Items:
    """Return items with all offsets 0."""
    return tuple(
        Field(item.name, item.value, 0)
        if isinstance(item, Field)
        else Section(item.kind, item.name, unplaced(item.items), 0)
        for item in content
    )


@settings(max_examples=25)
@given(trees())
def test_a_value_is_parsed_as_it_was_printed(value: Value) -> None:
    printed = print_value(value)
    again = parse_value(printed)
    assert again == value
    assert type(again) is type(value)
    assert print_value(again) == printed


@settings(max_examples=25)
@given(items())
def test_items_are_parsed_as_they_were_printed(content: Items) -> None:
    assert unplaced(parse(print_items(content), "f").items) == content


def test_real_files_are_parsed_as_they_were_printed(records: Path) -> None:
    files = [*records.glob("made/*/opam-switch"), *records.glob("public/*")]
    assert files
    for file in files:
        content = parse(file.read_text(), str(file)).items
        assert unplaced(parse(print_items(content), "printed").items) == unplaced(content)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ('"a"', '"a"'),
        (r'"\"\\"', r'"\"\\"'),
        ('"""a"b"""', r'"a\"b"'),
        ('"a\nb\tc"', '"a\nb\tc"'),
        (r'"\r\b\027"', r'"\x0d\x08\x1b"'),
        (r'"\195\169"', '"é"'),
        ("[1 -2 3_0]", "[1 -2 30]"),
        ("[ true(false ) ]", "[true (false)]"),
        ('"x"{>="1"&<"2"}{dev}', '"x" {>= "1" & < "2"} {dev}'),
        ("!a|?b", "!a | ?b"),
        ("! ! ?b", "!!?b"),
        ("! = 1", "! = 1"),
        ("! ~ 1", "! ~ 1"),
        ("! != 1", "!!= 1"),
        ("? = 1", "? = 1"),
        ("a=b", "a = b"),
        ('P+="x"', 'P += "x"'),
        ("[[] {} ()]", "[[] {} ()]"),
    ],
)  # fmt: skip
def test_how_values_are_printed(text: str, printed: str) -> None:
    assert print_value(parse_value(text)) == printed


def test_how_items_are_printed() -> None:
    text = 'a:"b" c{d:[e]f "g \\"" {}} """h"i"""{j:1}'.replace('}} "', '}} k "')
    assert print_items(parse(text, "f").items) == (
        'a: "b"\nc {\n  d: [e]\n  f "g \\"" {\n  }\n}\nk "h\\"i" {\n  j: 1\n}\n'
    )
