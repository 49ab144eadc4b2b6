"""The tokens of Nix, the attributes of sets, and the texts of strings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkggen.errors import InputError, Place
from pkggen.targets.nix import quote
from pkggen.targets.nix.syntax import Kind, attributes, inside, literal, tokens, without_texts

if TYPE_CHECKING:
    from tests.targets.nix.conftest import Nix


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b or c", "word operator word word word"),
        ("a // b", "word operator word"),
        ("a//b", "word operator word"),
        ("a/b", "path"),
        ("./a ../b ~/c /d e/f", "path path path path path"),
        ("./${a}/b", "path open word close path"),
        ("<nixpkgs/lib> a < b", "search word operator word"),
        ("x: y", "word operator word"),
        ("x:y", "url"),
        ("# a\n1.5 /* b\n */ -x'-", "comment word comment operator word"),
        ('"a${b}c"', "open text open word close text close"),
        ('"$${a}$$"', "open text close"),
        ('"$$${a}"', "open text open word close close"),
        (r'"\${a}\""', "open escape text escape close"),
        ('"${"${a}"}"', "open open open open word close close close close"),
        ("''a ' $b ''' ''${c} ''\\n''", "open text escape text escape text escape close"),
        (
            "''${{ a = ''b''; }}''",
            f"{'open ' * 3} word operator open text close operator {'close ' * 3}",
        ),
    ],
)
def test_tokens(text: str, expected: str) -> None:
    found = tokens("x", text)
    assert [token.kind.value for token in found] == expected.split()
    blank = 0
    for token in found:
        assert text[token.start : token.end] == token.text
        assert token.start >= blank
        blank = token.end


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("{ a = [ } ]", 9, "nothing is closed"),
        ("a }", 3, "nothing is closed"),
        ("a ^ b", 3, "no token"),
        ('a "b', 3, "never closed"),
        ("a (b", 3, "never closed"),
        ('"${a"', 5, "never closed"),
    ],
)
def test_what_is_not_nix(text: str, column: int, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        tokens("x", text)
    assert isinstance(caught.value.where, Place)
    assert caught.value.where.column == column


def read(text: str) -> dict[str, tuple[str, bool]]:
    """Return names, values and whether they are explained, of the set in a text."""
    found = attributes(inside(tokens("x", text), 0))
    return {a.name: (" ".join(t.text for t in a.value), a.explained) for a in found}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ }", {}),
        ("{ a = 1; b.c = x; }", {"a": ("1", False), "b.c": ("x", False)}),
        ('{ "a b".c = 1; }', {"a b.c": ("1", False)}),
        ("{ a = with b; c; d = 1; }", {"a": ("with b ; c", False), "d": ("1", False)}),
        ("{ a = assert b; c; d = 1; }", {"a": ("assert b ; c", False), "d": ("1", False)}),
        (
            "{ a = let b = with c; 1; d = 2; in b; e = 1; }",
            {"a": ("let b = with c ; 1 ; d = 2 ; in b", False), "e": ("1", False)},
        ),
        ("{ a = { b = 1; }; }", {"a": ("{ b = 1 ; }", False)}),
        ("{ a = x: y == z; }", {"a": ("x : y == z", False)}),
        ("{ inherit a b; }", {"a": ("", False), "b": ("", False)}),
        ("{ inherit (x) a; c = 1; }", {"a": ("", False), "c": ("1", False)}),
        (
            "{ # why\n a = 1; b = [ # why\n ]; c = 1; }",
            {"a": ("1", True), "b": ("[ ]", True), "c": ("1", False)},
        ),
    ],
)
def test_attributes(text: str, expected: dict[str, tuple[str, bool]]) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('""', ""),
        (r'"a\n\t\r\"\\\${b}$${c}"', 'a\n\t\r"\\${b}$${c}'),
        ("''a''\\n'''b''${c}''", "a\n''b${c}"),
        ('"${a}"', None),
        ("a", None),
        ("[ ]", None),
    ],
)
def test_literals(text: str, expected: str | None) -> None:
    assert literal(tokens("x", text)) == expected


def test_nothing_is_a_literal_of_nothing() -> None:
    assert literal(()) is None


@given(st.text(alphabet=st.sampled_from("a$${}\"'\\\n\t\r#/ ") | st.characters(codec="utf-8")))
def test_quoted_texts_are_read_back(text: str) -> None:
    if "\0" in text:
        return
    assert literal(tokens("x", quote.string(text))) == text


@given(st.text(alphabet="ab=;:/.{}[]()<>\"'$\\#*~ \n", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = tokens("x", text)
    except InputError:
        return
    assert sum(token.kind is Kind.OPEN for token in found) == sum(
        token.kind is Kind.CLOSE for token in found
    )
    list(attributes(found))
    assert len(without_texts(text, found)) == len(text)


def test_without_texts() -> None:
    text = '{ a = "x\n${b "c"}" # d\n; }'
    assert without_texts(text, tokens("x", text)) == '{ a = "_\n${b "_"}" ###\n; }'


def test_nix_reads_literals_alike(nix: Nix) -> None:
    texts = [r'"a\n\q\"$${b}\\"', "''a ''' $${b} ''\\n ''${c} $''", '"$a$$"']
    assert nix.eval(f"[ {' '.join(texts)} ]") == [literal(tokens("x", text)) for text in texts]
