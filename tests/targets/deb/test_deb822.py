from __future__ import annotations

import pytest
from debian.deb822 import Deb822
from hypothesis import given
from hypothesis import strategies as st

from pkggen.errors import InputError
from pkggen.targets.deb.deb822 import parse, render

CHARACTERS = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), include_characters="\t")
LINES = st.text(CHARACTERS, max_size=8)
VALUES = st.lists(LINES, min_size=1, max_size=4).map("\n".join)
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":"))
USABLE = NAMES.filter(lambda name: name != "" and name[0] not in "#-")
STANZAS = st.dictionaries(USABLE, VALUES, min_size=1, max_size=4).filter(
    lambda fields: len({name.lower() for name in fields}) == len(fields)
)


def logical(value: str) -> str:
    """Return a value without the spaces that mean nothing."""
    return "\n".join(line.rstrip(" \t") for line in value.strip(" \t").split("\n"))


@given(STANZAS)
def test_what_is_written_is_read_back(fields: dict[str, str]) -> None:
    if any("." in logical(value).split("\n")[1:] for value in fields.values()):
        with pytest.raises(InputError, match="full stop"):
            render(fields)
        return
    text = render(fields)
    assert list(parse(text, "t")) == [{name: logical(value) for name, value in fields.items()}]
    assert "\n\n" not in text


@given(st.text(CHARACTERS | st.sampled_from("\n: .#")))
def test_what_is_read_is_written_back(text: str) -> None:
    try:
        stanzas = list(parse(text, "t"))
    except InputError:
        return
    assert list(parse("\n".join(map(render, stanzas)), "t")) == stanzas


def test_the_form_of_a_stanza() -> None:
    fields = {
        "Package": "a",
        "Description": "one\ntwo\n\n  three ",
        "Files": "\nx 1 f",
        "Empty": "",
    }
    text = render(fields)
    assert text == ("Package: a\nDescription: one\n two\n .\n   three\nFiles:\n x 1 f\nEmpty:\n")
    oracle = Deb822(text)
    assert oracle["Description"] == "one\n two\n .\n   three"
    assert oracle["Files"] == "\n x 1 f"
    assert list(oracle) == list(fields)


def test_stanzas_are_separated() -> None:
    stanzas = list(parse("\nA: 1\n \t\n\nB:2\n\tmore\n", "t"))
    assert stanzas == [{"A": "1"}, {"B": "2\nmore"}]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"A": "1\r\nB: 2"}, r"control character '\\r'"),
        ({"A": "1\n\x85B"}, "control character"),
        ({"A": "1\u2028B: 2"}, "control character"),
        ({"A": "\ud800"}, "control character"),
        ({"A": "1\n."}, "full stop"),
        ({"": "1"}, "name of a field"),
        ({"A:": "1"}, "name of a field"),
        ({"A\n": "1"}, "name of a field"),
        ({"#A": "1"}, "name of a field"),
        ({"-A": "1"}, "name of a field"),
        ({"A": "1", "a": "2"}, "twice"),
    ],
)
def test_what_is_not_written(fields: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        render(fields)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" a\n", "continuation of nothing"),
        ("A: 1\n\n b\n", "continuation of nothing"),
        ("A\n", "not a field"),
        ("# comment\n", "not a field"),
        ("-----BEGIN PGP: x\n", "not a field"),
        ("A b: 1\n", "not a field"),
        ("A: 1\nB: 2\na: 3\n", "t:3:1: the field a occurs twice"),
        ("A: 1\rB: 2\n", "control character"),
        ("A: \0\n", "control character"),
    ],
)
def test_what_is_not_read(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(parse(text, "t"))
