from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkggen.errors import InputError, Place
from pkggen.opam import lexer

ESCAPES = [
    (r"\\", "\\"),
    (r"\"", '"'),
    (r"\'", "'"),
    (r"\n", "\n"),
    (r"\r", "\r"),
    (r"\t", "\t"),
    (r"\b", "\b"),
    (r"\ ", " "),
    (r"\065", "A"),
    (r"\001", "\x01"),
    (r"\127", "\x7f"),
    (r"\x41\x4a", "AJ"),
    (r"\x4A", "J"),
    (r"\195\169", "é"),
    (r"\xc3\xA9", "é"),
    (r"é\xc3\xa9", "éé"),
    (r"\240\159\x90\xab", "🐫"),
    ("a\\\nb", "ab"),
    ("a\\\n \t b", "ab"),
    ("a\\\r\n\tb", "ab"),
    ("a\\\n\nb", "a\nb"),
    ("a\r\nb", "a\nb"),
    ("a\rb", "a\rb"),
    ("a\nb", "a\nb"),
    (r"\\n", r"\n"),
    (r"\\\n", "\\\n"),
    ("%{a}% # (* x *)", "%{a}% # (* x *)"),
]

BAD_ESCAPES = [
    (r"\z", 1, "stands for nothing"),
    (r"ab\0", 3, "stands for nothing"),
    (r"\12", 1, "stands for nothing"),
    (r"\256", 1, "stands for nothing"),
    (r"\999", 1, "stands for nothing"),
    (r"\000", 1, "stands for nothing"),
    (r"\x00", 1, "stands for nothing"),
    (r"\x4", 1, "stands for nothing"),
    (r"\xg1", 1, "stands for nothing"),
    ("\\\r", 1, "stands for nothing"),
    ("a\\\n  \\q", 6, "stands for nothing"),
    (r"\255", 1, "not make UTF-8"),
    (r"\xc3", 1, "not make UTF-8"),
    (r"\xc3 \xa9", 1, "not make UTF-8"),
    (r"\237\160\128", 1, "not make UTF-8"),
    ("\ud800\\n", 1, "not make UTF-8"),
]

COMMENTS = [
    ("a b", "a b"),
    ("a(* b *)c", "a       c"),
    ("a (* (* b *) *) c", "a               c"),
    ("(**)a", "    a"),
    ("(*)*)a", "     a"),
    ("(* \n b *)a", "   \n     a"),
    ('(* " *) a', "        a"),
    ("(* # *) a", "        a"),
    ("# (* \na", "# (* \na"),
    ('"(* a *)"', '"(* a *)"'),
    ('"\\"(*" (*a*)', '"\\"(*"      '),
    ('"""(* " *)""" (*a*)', '"""(* " *)"""      '),
    ('"""\\"""(*""" (*a*)', '"""\\"""(*"""      '),
    ('"" (*"*) ""', '""       ""'),
    ('"no end (* a *)', '"no end (* a *)'),
    ('"""no end" (* a *)', '"""no end" (* a *)'),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "value"), ESCAPES)
def test_what_a_string_stands_for(raw: str, value: str) -> None:
    assert lexer.unescape("f", f'"{raw}"', 1, raw) == value


@pytest.mark.parametrize(("raw", "column", "message"), BAD_ESCAPES)
def test_bad_escapes_are_placed(raw: str, column: int, message: str) -> None:
    text = f'first: 1\n"{raw}"'
    start = text.index('"') + 1
    with pytest.raises(InputError, match=message) as caught:
        lexer.unescape("f", text, start, raw)
    assert caught.value.where == Place.at("f", text, start + column - 1)


@given(st.binary().map(lambda data: data.replace(b"\0", b"")))
def test_decimal_escapes_make_bytes(data: bytes) -> None:
    raw = "".join(f"\\{byte:03d}" for byte in data)
    try:
        expected = data.decode()
    except UnicodeDecodeError:
        with pytest.raises(InputError, match="UTF-8"):
            lexer.unescape("f", raw, 0, raw)
    else:
        assert lexer.unescape("f", raw, 0, raw) == expected


@pytest.mark.parametrize(("text", "expected"), COMMENTS)
def test_comments_become_blanks(text: str, expected: str) -> None:
    assert lexer.without_comments("f", text) == expected


@pytest.mark.parametrize("text", ["\n a (* b", "\n a (* (* *)", "\n a (*)", '\n a (* "*")'])
def test_a_comment_without_end_is_placed(text: str) -> None:
    with pytest.raises(InputError, match="comment that starts here has no end") as caught:
        lexer.without_comments("f", text)
    assert isinstance(caught.value.where, Place)
    assert (caught.value.where.line, caught.value.where.column) == (2, 4)


@given(st.lists(st.sampled_from(["(*", "*)", '"', '"""', "\\", "#", "\n", "a"])).map("".join))
def test_offsets_and_lines_stay(text: str) -> None:
    try:
        blanked = lexer.without_comments("f", text)
    except InputError:
        return
    assert len(blanked) == len(text)
    assert [c == "\n" for c in blanked] == [c == "\n" for c in text]
    assert all(new in (old, " ") for old, new in zip(text, blanked, strict=True))
