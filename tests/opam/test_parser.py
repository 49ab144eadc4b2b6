from __future__ import annotations

import contextlib
import random
import re
import time
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkggen.errors import InputError, PkggenError, Place
from pkggen.opam.parser import MAX_DEPTH, parse, parse_value
from pkggen.opam.switch import read_opam, read_switch
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
    from collections.abc import Callable

    from pkggen.opam.values import Value

A, B, C, D = map(Ident, "abcd")

VALUES: Final[list[tuple[str, Value]]] = [
    # atoms
    ('"x y"', "x y"),
    ('""', ""),
    (r'"a\"b\\c\n\065"', 'a"b\\c\nA'),
    ('"a\nb"', "a\nb"),
    ('"a\r\nb"', "a\nb"),
    ('"a \\\n   b"', "a b"),
    ('"""a "b" ""c"""', 'a "b" ""c'),
    ('"""\\\n  a\n b"""', "a\n b"),
    ('"""a\\"""b"""', 'a"""b'),
    ('""""a"""', '"a'),
    ('""""""', ""),
    ('"# (* é *)"', "# (* é *)"),
    ("true", True),
    ("false", False),
    ("0", 0),
    ("-12", -12),
    ("1_000_", 1000),
    ("007", 7),
    ("4611686018427387903", 2**62 - 1),
    ("-4611686018427387904", -(2**62)),
    ("a", A),
    ("with-test", Ident("with-test")),
    ("0install", Ident("0install")),
    ("-a", Ident("-a")),
    ("_a", Ident("_a")),
    ("truer", Ident("truer")),
    ("true+a", Ident("true+a")),
    ("ocaml:native", Ident("ocaml:native")),
    ("_:name", Ident("_:name")),
    ("a+b:enable", Ident("a+b:enable")),
    ("a+_+c", Ident("a+_+c")),
    ("a:1b", Ident("a:1b")),
    # lists, groups, options
    ("[]", ()),
    ("()", Group(())),
    ("[a]", (A,)),
    ("[[a] [] [[b]]]", ((A,), (), ((B,),))),
    ('["x""y"]', ("x", "y")),
    ('["x"a"y"1]', ("x", A, "y", 1)),
    ("[a[b](c)d]", (A, (B,), Group((C,)), D)),
    ("(a b)", Group((A, B))),
    ("[a+_1]", (Ident("a+_"), 1)),
    ("[a-1 -1]", (Ident("a-1"), -1)),
    ('"x" {}', Option("x", ())),
    ('"x" {a}', Option("x", (A,))),
    ('"x"{a}{b c}', Option(Option("x", (A,)), (B, C))),
    ("[a] {b}", Option((A,), (B,))),
    ("(a) {b}", Option(Group((A,)), (B,))),
    ('["x" {a} "y"]', (Option("x", (A,)), "y")),
    ('["x" {"}"} "y" {"{"}]', (Option("x", ("}",)), Option("y", ("{",)))),
    ('["x" {a {b}}]', (Option("x", (Option(A, (B,)),)),)),
    # comparisons
    ("a = b", Relop("=", A, B)),
    ('a!="x"', Relop("!=", A, "x")),
    ("a<b", Relop("<", A, B)),
    ("a <= 1", Relop("<=", A, 1)),
    ("a > true", Relop(">", A, right=True)),
    ('"x" >= a', Relop(">=", "x", A)),
    ("a ~ b", Relop("~", A, B)),
    ("a !~ b", Relop("!~", A, B)),
    ('>= "4.08"', PrefixRelop(">=", "4.08")),
    ("= a", PrefixRelop("=", A)),
    ("!= a", PrefixRelop("!=", A)),
    ("< a", PrefixRelop("<", A)),
    ("<= a", PrefixRelop("<=", A)),
    ("> a", PrefixRelop(">", A)),
    ("~ a", PrefixRelop("~", A)),
    ("!~ a", PrefixRelop("!~", A)),
    ("[a = b = c]", (Relop("=", A, B), PrefixRelop("=", C))),
    ("[a < b c]", (Relop("<", A, B), C)),
    ("a = b {c}", Option(Relop("=", A, B), (C,))),
    # environment updates
    ('A += "x"', EnvUpdate(Ident("A"), "+=", "x")),
    ('A=+"x"', EnvUpdate(Ident("A"), "=+", "x")),
    ('A:="x"', EnvUpdate(Ident("A"), ":=", "x")),
    ('A =: "x"', EnvUpdate(Ident("A"), "=:", "x")),
    ('A =+= "x"', EnvUpdate(Ident("A"), "=+=", "x")),
    ('A = "x"', Relop("=", Ident("A"), "x")),
    ('[[A += "x"] [B = ""]]', ((EnvUpdate(Ident("A"), "+=", "x"),), (Relop("=", Ident("B"), ""),))),
    # logic and its precedence
    ("a & b", Logop("&", A, B)),
    ("a|b", Logop("|", A, B)),
    ("a & b & c", Logop("&", Logop("&", A, B), C)),
    ("a | b | c", Logop("|", Logop("|", A, B), C)),
    ("a | b & c", Logop("|", A, Logop("&", B, C))),
    ("a & b | c", Logop("|", Logop("&", A, B), C)),
    ("a & b | c & d", Logop("|", Logop("&", A, B), Logop("&", C, D))),
    ("a & (b | c)", Logop("&", A, Group((Logop("|", B, C),)))),
    ("!a", PrefixOp("!", A)),
    ("?a", PrefixOp("?", A)),
    ("!!a", PrefixOp("!", PrefixOp("!", A))),
    ("! ?a", PrefixOp("!", PrefixOp("?", A))),
    ("!!=a", PrefixOp("!", PrefixRelop("!=", A))),
    ("! = a", PrefixOp("!", PrefixRelop("=", A))),
    ("!a & b", Logop("&", PrefixOp("!", A), B)),
    ("!a = b", PrefixOp("!", Relop("=", A, B))),
    ("!a {b}", PrefixOp("!", Option(A, (B,)))),
    ("a & !b | ?c", Logop("|", Logop("&", A, PrefixOp("!", B)), PrefixOp("?", C))),
    ("a & b {c}", Logop("&", A, Option(B, (C,)))),
    ("a = b & c != d", Logop("&", Relop("=", A, B), Relop("!=", C, D))),
    ("[a & b c | d]", (Logop("&", A, B), Logop("|", C, D))),
    ('["x" | "y" {a}]', (Logop("|", "x", Option("y", (A,))),)),
    # blanks and comments
    (" \t\r\n a # b\n", A),
    ('(* a *) b (* (* c *) " *) ', B),
    ("[a # ]\n b]", (A, B)),
    ("[a(* ] *)b]", (A, B)),
    ('["x" (* {a} *) {b}]', (Option("x", (B,)),)),
    ('["x" # c\n {b} # d\n"y"]', (Option("x", (B,)), "y")),
    ("a# no end of line", A),
]  # fmt: skip

FILES: Final[list[tuple[str, tuple[Field | Section, ...]]]] = [
    ("", ()),
    ("# nothing\n(* here *)\r\n", ()),
    ('a: "x"', (Field("a", "x", 0),)),
    ('a:"x"b: c d:[e]', (Field("a", "x", 0), Field("b", C, 5), Field("d", (Ident("e"),), 10))),
    ('a :\n "x"\n b: "y" {c}', (Field("a", "x", 0), Field("b", Option("y", (C,)), 10))),
    ('a: "x" & b', (Field("a", Logop("&", "x", B), 0),)),
    ('a: "x" = b', (Field("a", Relop("=", "x", B), 0),)),
    ("a:b:c", (Field("a:b", C, 0),)),
    ("a: b:c", (Field("a", Ident("b:c"), 0),)),
    ("a:-1", (Field("a", -1, 0),)),
    ("x-y+z: 1", (Field("x-y+z", 1, 0),)),
    ("a: true b: false", (Field("a", value=True, offset=0), Field("b", value=False, offset=8))),
    ("s {}", (Section("s", None, (), 0),)),
    ('s "n" {}', (Section("s", "n", (), 0),)),
    ('s "" {}', (Section("s", "", (), 0),)),
    ('s"n"{a:1}', (Section("s", "n", (Field("a", 1, 5),), 0),)),
    (r's "\"\x41" {}', (Section("s", '"A', (), 0),)),
    ('s "a\r\nb" {}', (Section("s", "a\nb", (), 0),)),
    ('s """n "m" """ {}', (Section("s", 'n "m" ', (), 0),)),
    ("s # c\n{ # d\n}", (Section("s", None, (), 0),)),
    ('s (* c *) "n" (* d *) {}', (Section("s", "n", (), 0),)),
    ('a: "x" s {b: "y"}', (Field("a", "x", 0), Section("s", None, (Field("b", "y", 10),), 7))),
    ("a: b s {c {}}", (Field("a", B, 0), Section("s", None, (Section("c", None, (), 8),), 5))),
    ('a: b s "n" {}', (Field("a", B, 0), Section("s", "n", (), 5))),
    ('a: "é" b: "x"', (Field("a", "é", 0), Field("b", "x", 7))),
    ("a: 1 a: 2", (Field("a", 1, 0), Field("a", 2, 5))),
]  # fmt: skip

BAD: Final = [
    # the text ends too early
    ("a", 1, 1, "a field `name:` or a section"),
    ("a:", 1, 3, "the text ends where a value should be"),
    ('\na: ["x"', 2, 8, "the text ends where `]` should be"),
    ('a: "x" {b', 1, 10, "the text ends where `}` should be"),
    ("a: (b ", 1, 7, "the text ends where `)` should be"),
    ('a: ["x" {b', 1, 11, "the text ends where `}` should be"),
    ("s {", 1, 4, "the text ends where `}` should be"),
    ('s "n"', 1, 6, "the text ends where `{` should be"),
    ("a: b &", 1, 7, "the text ends where a value should be"),
    ("a: b =", 1, 7, "the text ends where a value should be"),
    ("a: !", 1, 5, "the text ends where a value should be"),
    ('a: "x', 1, 4, "string that starts here has no end"),
    ('a: "x\\"', 1, 4, "string that starts here has no end"),
    ('a: "x\\', 1, 4, "string that starts here has no end"),
    ('a:\n ["b" """x"" "]', 2, 7, "string that starts here has no end"),
    ('s "n {}', 1, 3, "string that starts here has no end"),
    ("a: 1 (* b", 1, 6, "comment that starts here has no end"),
    # brackets
    ("a: ]", 1, 4, "a value should be here"),
    ("a: b]", 1, 5, "a field `name:` or a section"),
    ("a: [b)]", 1, 6, "`]` should be here"),
    ("a: (b]", 1, 6, "`)` should be here"),
    ('a: "x" {b]', 1, 10, "`}` should be here"),
    ("s {a: 1]", 1, 8, "`}` should be here"),
    ("s [", 1, 1, "a field `name:` or a section"),
    ("}", 1, 1, "a field `name:` or a section"),
    ("a: {b}", 1, 4, "a value should be here"),
    ('a: ["x" "y")]', 1, 12, "`]` should be here"),
    # operators
    ("a:= 1", 1, 1, "a field `name:` or a section"),
    ("a: & b", 1, 4, "a value should be here"),
    ("a: b & | c", 1, 8, "a value should be here"),
    ("a: b = = c", 1, 8, "a value should be here"),
    ("a: b = [c]", 1, 8, "a value should be here"),
    ("a: += b", 1, 4, "a value should be here"),
    ("a: b =:= c", 1, 8, "a value should be here"),
    ("a: (b) = c", 1, 8, "a field `name:` or a section"),
    ("a: [b, c]", 1, 6, "a value should be here"),
    # words
    ("a: _", 1, 4, "a value should be here"),
    ("a: [b _1]", 1, 7, "a value should be here"),
    ("a: -", 1, 4, "a value should be here"),
    ("_: 1", 1, 1, "a name should be here"),
    ("true: 1", 1, 1, "a name should be here"),
    ("a: 1 false {}", 1, 6, "a name should be here"),
    ('true "\\x41" {}', 1, 1, "a name should be here"),
    ('"a": 1', 1, 1, "or this string has no end"),
    ("1: 1", 1, 1, "a field `name:` or a section"),
    ("a: 1 2", 1, 6, "a field `name:` or a section"),
    ("é: 1", 1, 1, "a field `name:` or a section"),
    ("a: é", 1, 4, "a value should be here"),
    ("a: 4611686018427387904", 1, 4, "too large"),
    ("a: -4611686018427387905", 1, 4, "too large"),
    ("a: " + "1" * 5000, 1, 4, "too large"),
    # characters
    ("a: \0", 1, 4, "NUL"),
    ('b: 1\na: "x\0"', 2, 6, "NUL"),
    ("# \0", 1, 3, "NUL"),
    ("a: 1\r", 1, 5, "a field `name:` or a section"),
    ("a: \x0b1", 1, 4, "a value should be here"),
    ("a: \xa01", 1, 4, "a value should be here"),
    ("\ufeffa: 1", 1, 1, "a field `name:` or a section"),
    ('a: "b" "\\z"', 1, 8, "a field `name:` or a section"),
    ('c: 1\na: "b\\z"', 2, 6, "escape in a string stands for nothing"),
    ('a: ["b" "c\\xff"]', 1, 10, "do not make UTF-8"),
    ("\x7fELF\x02\x01", 1, 1, "a field `name:` or a section"),
    ("\x1f\x8b\x08", 1, 1, "a field `name:` or a section"),
    ("<!DOCTYPE html>", 1, 1, "a field `name:` or a section"),
    ('{"a": 1}', 1, 1, "a field `name:` or a section"),
]  # fmt: skip

DEEP: Final = 10_000

NESTED: Final = [
    *("a: " + opening * DEEP for opening in ("[", "(", "!", "?", "! ", "[(", "b {", "b {[")),
    *("a: " + op.join("b" * DEEP) for op in ("&", "|", " & ", "&!")),
    *(
        "a: " + left * DEEP + "b" + right * DEEP
        for left, right in (("[", "]"), ("(", ")"), ("b {", "}"), ("[b & ", "]"), ("(b|!", ")"))
    ),
    "a: b" + "{}" * DEEP,
    "a: [b" + "{}" * DEEP + "]",
    "a: " + "b & c | " * DEEP + "b",
    "s {" * DEEP,
    's "n" {' * DEEP + "}" * DEEP,
    's """n""" {' * DEEP + "}" * DEEP,
]

LONG: Final = 1_000_000

HOSTILE: Final = [
    '"' * LONG,
    'a: "' + "x" * LONG,
    'a: "' + "\\" * LONG,
    'a: "' + "\\" * (LONG + 1),
    'a: "' + '\\"' * (LONG // 2) + "(*",
    '(**) a: """' + '\\"""' * (LONG // 4),
    'a: """' + '""\\"' * (LONG // 4) + "(*",
    "[" * LONG,
    "a: " + "[" * LONG,
    "a: [" * (LONG // 4),
    "a: [" + "[b" * (LONG // 2),
    "a: b " + "{" * LONG,
    "a: [" + "b {" * (LONG // 3),
    "a: [" + '"b" {"c" ' * (LONG // 9),
    "a" * LONG,
    "1" * LONG,
    "_" * LONG,
    "a: " + "1" * LONG,
    "a: " + "_" * LONG,
    "a: " + "-" * LONG,
    "a:" * (LONG // 2),
    "a: " + "a+" * (LONG // 2),
    "(*" * 100_000,
    "(*)" * 100_000,
    "(**)" * 100_000 + "(*",
    "#" * LONG + "\n!",
    "#\n" * (LONG // 2) + "!",
    "\r" * LONG,
    " " * LONG + "!",
    "a: [" + '"b" ' * 100_000 + "(",
    "a: " + "[b " * 60 + '"c" ' * 50_000 + "]" * 61,
    "a: " + "[b {" * 30 + '"c" ' * 50_000 + "}]" * 29,
    "a: " + "=" * LONG,
    "a: b " + "+=" * (LONG // 2),
    "a: [" + "<" * LONG,
    "s {" * (LONG // 3),
    "s {a:" * (LONG // 5),
]

WORDS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[A-Za-z0-9_+-]+|\s+|.', re.DOTALL)

PACKAGE: Final = """\
opam-version: "2.0"
installed: ["a.1" "b.2~x"]
roots: ["a.1"]
extra-files: ["md5=d41d8cd98f00b204e9800998ecf8427e" ""]
package "a" {
  version: "1"
  license: ["ISC" "MIT"]
  depends: ["b" {>= "2" & build} "c" {with-test} | "d" & ("e" | "f")]
  build: [["dune" "build" "-p" name "-j" jobs] [make "x"] {!dev & os != "win32"}]
  setenv: [PATH += "%{bin}%" {os = "linux"}]
  depexts: [["libx"] {os-family = "debian"} ["x"] {os = "freebsd"}]
  patches: ["p" {os = "x"}]
  extra-files: ["f" "md5=d41d8cd98f00b204e9800998ecf8427e"]
  x-opam-monorepo-duniverse-dirs: [["git+https://e.org#1" "x"] ["https://e.org/y" "y" []]]
  x-orb-dependencies: [["a" ["b"]] ["b" []]]
  url {
    src: "https://example.org/a.tbz"
    checksum: ["md5=00000000000000000000000000000000"]
    mirrors: "https://example.org/b"
  }
  extra-source "g" {
    src: "https://example.org/g"
  }
}
"""


def nested_call(depth: int, action: Callable[[], None]) -> None:
    if depth:
        nested_call(depth - 1, action)
    else:
        action()


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_values(text: str, value: Value) -> None:
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_values_in_a_list_and_in_a_field(text: str, value: Value) -> None:
    assert parse_value(f"[{text}\n]") == (value,)
    assert parse_value(f"(({text}\n))") == Group((Group((value,)),))
    assert parse(f"x: {text}\ny: 1", "f").items == (
        Field("x", value, 0),
        Field("y", 1, len(f"x: {text}\n")),
    )


@pytest.mark.parametrize(("text", "items"), FILES)
def test_files(text: str, items: tuple[Field | Section, ...]) -> None:
    parsed = parse(text, "name")
    assert parsed.items == items
    assert (parsed.file, parsed.text) == ("name", text)


def test_true_is_no_number() -> None:
    assert [type(v) for v in parse_value("[1 true 0 false]")] == [int, bool, int, bool]  # type: ignore[union-attr]


@pytest.mark.parametrize("text", [text for text, _ in FILES])
def test_carriage_returns_change_nothing_but_offsets(text: str) -> None:
    unix = text.replace("\r\n", "\n")

    def shape(items: tuple[Field | Section, ...]) -> list[object]:
        return [
            (i.name, i.value) if isinstance(i, Field) else (i.kind, i.name, shape(i.items))
            for i in items
        ]

    assert shape(parse(unix.replace("\n", "\r\n"), "f").items) == shape(parse(unix, "f").items)


@pytest.mark.parametrize(("text", "line", "column", "message"), BAD)
def test_errors_say_what_and_where(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        parse(text, "name")
    place = caught.value.where
    assert isinstance(place, Place)
    assert (place.file, place.line, place.column) == ("name", line, column)


@pytest.mark.parametrize("text", ["", " # a", "a b", '"x" "y"', "a: b", "a)", "[a] [b]", "a,"])
def test_a_single_value_is_exactly_one(text: str) -> None:
    with pytest.raises(InputError, match="should be"):
        parse_value(text)


@pytest.mark.parametrize("depth", [0, 400])
@pytest.mark.parametrize("text", NESTED, ids=lambda text: text[:12])
def test_deep_nesting_is_refused_at_any_depth_of_the_stack(text: str, depth: int) -> None:
    def refused() -> None:
        with pytest.raises(InputError, match="nested deeper than"):
            parse(text, "f")

    start = time.process_time()
    nested_call(depth, refused)
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 50 + "]" * 50,
        "a: " + "(" * 50 + ")" * 50,
        "a: " + "!" * 100 + "b",
        "a: " + "&".join("b" * 100),
        "a: " + "|".join("b" * 100),
        "a: b" + "{}" * 100,
        "s {" * 100 + "}" * 100,
    ],
    ids=lambda text: text[:6],
)
def test_reasonable_nesting_is_accepted(text: str) -> None:
    assert len(parse(text, "f").items) == 1
    assert MAX_DEPTH > 100


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: f"{text[:12]!r}")
def test_hostile_texts_are_refused_quickly(text: str) -> None:
    start = time.process_time()
    with pytest.raises(InputError):
        parse(text, "f")
    assert time.process_time() - start < 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    [
        '"x%d" {>= "%d"} ',
        "[x%d %d] ",
        "(x%d | y%d) ",
        "x%d # %d\n",
        '"x%d" (* %d *) ',
        "x%d{a} {%d} ",
    ],
)
def test_time_is_linear(piece: str) -> None:
    def took(count: int) -> float:
        text = "a: [" + "".join(piece % (n, n) for n in range(count)) + "]"
        times = []
        for _ in range(3):
            start = time.process_time()
            parse(text, "f")
            times.append(time.process_time() - start)
        return min(times)

    # Twice the expected factor, for a loaded machine; a quadratic parser has 64.
    assert took(4000) < 24 * took(500)


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for read in (lambda: parse(text, "f"), lambda: parse_value(text)):
        with contextlib.suppress(PkggenError):
            read()


@settings(max_examples=300)
@given(st.integers())
def test_a_mutated_export_is_read_or_refused(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    words = WORDS.findall(PACKAGE)
    for _ in range(chance.randint(1, 5)):
        here, there = chance.randrange(len(words)), chance.randrange(len(words))
        match chance.randrange(4):
            case 0:
                del words[here]
            case 1:
                words[here], words[there] = words[there], words[here]
            case 2:
                words.insert(here, words[there])
            case _:
                words.insert(
                    here, chance.choice(["é", "\0", '"', "[", "}", "!", "1", "{", "(*", "\\"])
                )
    data = "".join(words).encode()
    for read in (lambda: read_switch(data, "f"), lambda: read_opam(data, "f", "a")):
        with contextlib.suppress(PkggenError):
            read()


def test_the_mutated_export_is_good() -> None:
    assert read_switch(PACKAGE.encode(), "f").root.name == "a"


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(PkggenError):
        read_switch(data, "f")


@given(st.lists(st.sampled_from([text for text, _ in VALUES]), max_size=8), st.randoms())
def test_elements_parsed_before_are_the_same(texts: list[str], chance: random.Random) -> None:
    texts = texts * 3
    chance.shuffle(texts)
    text = "".join(f"[{text}\n] [{text}\n]\n" for text in texts)
    expected = tuple(parse_value(f"[{text}\n]") for text in texts for _ in range(2))
    assert parse_value(f"[{text}]") == expected
