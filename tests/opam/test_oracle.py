from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pkggen.errors import InputError, PkggenError
from pkggen.opam.parser import parse
from pkggen.opam.switch import decoded
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

    from pkggen.opam.values import OpamFile, Value

    Oracle = Callable[[list[bytes]], list[Any]]

SOURCE: Final = Path(__file__).with_name("oracle") / "dump.ml"
PACKAGE: Final = "opam-file-format"

ERROR: Final = "error"
RULE: Final = "rule"

SNIPPETS: Final = (
    'opam-version: "2.0"\nsynopsis: "é — \\195\\169"\n',
    'build: [\n  ["dune" "subst"] {dev}\n  [make "-j" jobs {?jobs & !(os = "macos")}]\n]\n',
    'depends: ["ocaml" {>= "4.08" & < "5.0~"} "a" | "b" {build} & ("c" | "d") # note\n]\n',
    'setenv: [PATH += "%{bin}%" FOO =: "" BAR =+= "x"] {x:y}\n',
    'url {\n  src: "https://e.org/a.tbz" (* (* in *) out *)\n  checksum: ["md5=0" "sha256=1"]\n}\n',
    'description: """\\\nA "quoted" word \\"""and more\r\n"""\nextra-source "a" { x: -1_0 }\n',
    'flags: [ conf light-uninstall ] available: arch != "x86" | _+b:c = true\n',
    'x: [a+b a+_:c _+a 1 -2 3_ [[] ()] {} 4 {1 {2}}] y: ? ! ?z w {} v "q" {}\n',
)  # fmt: skip

TOKENS: Final = re.compile(r'"""|"(?:[^"\\\n]|\\.)*"|[A-Za-z0-9_+:-]+|\s+|.', re.DOTALL)

HOSTILE_TOKENS: Final = (
    *("a", "b:", "c+d", "_", "_:e", "f:g", "h+_", "_1", "a+_1", "true", "false:", "true+a", "1"),
    *("-2", "3_", "0_0", "__", "-", "--", "1a", "-a", "a-", "4611686018427387903"),
    *("4611686018427387904", "-4611686018427387904", "-4611686018427387905", '"s"', '""', '"'),
    *('"""', "\\", '"\\"', '"\\x41"', '"\\', '\\065"', '"\\256"', '"\\ "', '"\\z"', '"\\\n  t"'),
    *('"\\\r\n\t "', '"\r"', '"\r\n"', "é", '"é"', "#", "# c\n", "(*", "*)", "(*)", "(**)"),
    *('(* " *)', "\r", "\r\n", "\n", "\t", " ", "\f", "\v", "\x85", "~", "!~", "=", "!=", "<"),
    *("<=", ">", ">=", "+=", "=+", "=+=", ":=", "=:", "=:=", ":", "+", "&", "|", "!", "?", "["),
    *("]", "(", ")", "{", "}", "[a]", "{b}", "(c)", "[]", "{}", "()", "@", ",", ";", "$", "%", "'"),
    *("opam-version:", 'opam-version: "2.0"', 'opam-version: "2.1"', 'opam-version: "2.2"', "a: "),
)


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    """Build the oracle and return a function that asks it about many texts at once."""
    finder = shutil.which("ocamlfind")
    if finder is None:
        pytest.skip("the oracle needs OCaml: apt-get install ocaml-findlib")
    if subprocess.run([finder, "query", PACKAGE], capture_output=True, check=False).returncode:
        pytest.skip(f"the oracle needs {PACKAGE}: apt-get install lib{PACKAGE}-ocaml-dev")
    place = tmp_path_factory.mktemp("oracle")
    shutil.copy(SOURCE, place)
    subprocess.run(
        [finder, "ocamlopt", "-package", PACKAGE, "-linkpkg", SOURCE.name, "-o", "dump"],
        cwd=place,
        check=True,
    )

    def ask(texts: list[bytes]) -> list[Any]:
        question = b"".join(b"%d\n%s" % (len(text), text) for text in texts)
        answer = subprocess.run(
            [place / "dump"], input=question, stdout=subprocess.PIPE, check=True
        ).stdout.splitlines()
        assert len(answer) == len(texts)
        return [json.loads(line) for line in answer]

    return ask


class OtherwiseError(Exception):
    """A text with `!~`, which opam 2.0 knew and opam-file-format 2.1 takes for `!` and `~`."""


def string(latin: str) -> str:
    return latin.encode("latin-1").decode()


def values(nodes: list[Any]) -> tuple[Value, ...]:
    return tuple(map(value, nodes))


def value(node: Any) -> Value:  # noqa: ANN401, C901, PLR0911 - JSON
    match node:
        case bool():
            return node
        case str():
            return string(node)
        case ["int", digits]:
            return int(digits)
        case ["ident", name]:
            return Ident(name)
        case ["list", parts]:
            return values(parts)
        case ["group", parts]:
            return Group(values(parts))
        case ["option", inner, options]:
            return Option(value(inner), values(options))
        case ["relop", op, left, right]:
            return Relop(op, value(left), value(right))
        case ["prefix_relop", op, right]:
            return PrefixRelop(op, value(right))
        case ["logop", op, left, right]:
            return Logop(op, value(left), value(right))
        case ["prefix", op, inner]:
            return PrefixOp(op, value(inner))
        case ["env", left, op, right]:
            return EnvUpdate(value(left), op, value(right))
    raise AssertionError(node)


def items(nodes: list[Any]) -> list[object]:
    found: list[object] = []
    for node in nodes:
        match node:
            case ["field", name, content]:
                found.append((name, value(content)))
            case ["section", kind, name, content]:
                found.append((kind, name if name is None else string(name), items(content)))
            case _:
                raise AssertionError(node)
    return found


def as_2_1(node: Value) -> Value:  # noqa: PLR0911 - one case a kind of value
    """Return what opam-file-format 2.1 has for a value: it reads `~` as `>=`."""
    match node:
        case tuple():
            return tuple(map(as_2_1, node))
        case Group(parts):
            return Group(tuple(map(as_2_1, parts)))
        case Option(inner, options):
            return Option(as_2_1(inner), tuple(map(as_2_1, options)))
        case Relop("!~") | PrefixRelop("!~"):
            raise OtherwiseError
        case Relop(op, left, right):
            return Relop(">=" if op == "~" else op, left, right)
        case PrefixRelop(op, right):
            return PrefixRelop(">=" if op == "~" else op, right)
        case Logop(op, left, right):
            return Logop(op, as_2_1(left), as_2_1(right))
        case PrefixOp(op, inner):
            return PrefixOp(op, as_2_1(inner))
    return node


def unplaced(content: tuple[Field | Section, ...]) -> list[object]:
    """Return items without their offsets."""
    return [
        (item.name, as_2_1(item.value))
        if isinstance(item, Field)
        else (item.kind, item.name, unplaced(item.items))
        for item in content
    ]


def ours(text: bytes) -> OpamFile | InputError:
    try:
        return parse(decoded(text, "text"), "text")
    except InputError as error:
        return error


def is_stricter(text: bytes, error: InputError) -> bool:
    """Say whether pkggen refuses on purpose what opam accepts: NUL, other encodings, depth."""
    if b"\0" in text or "is not UTF-8" in error.message or "do not make UTF-8" in error.message:
        return True
    return "nested deeper than" in error.message or (
        "this escape" in error.message and re.search(rb"\\(?:000|x00)", text) is not None
    )


def assert_same(text: bytes, answer: Any) -> None:  # noqa: ANN401 - JSON
    mine = ours(text)
    if isinstance(mine, PkggenError):
        assert answer in (ERROR, RULE) or is_stricter(text, mine), (text, mine)
        return
    try:
        expected = unplaced(mine.items)
    except OtherwiseError:
        return
    assert answer != ERROR, text
    if answer != RULE:
        assert expected == items(answer), text


def check(oracle: Oracle, texts: list[bytes]) -> None:
    for text, answer in zip(texts, oracle(texts), strict=True):
        assert_same(text, answer)


def real_texts(records: Path) -> list[bytes]:
    made = [*records.glob("made/*/opam-switch"), *records.glob("made/*/*.build-hashes")]
    return [path.read_bytes() for path in sorted([*made, *records.glob("public/*")])]


def mutated(source: str, chance: random.Random) -> str:
    """Return a text with a few tokens or characters deleted, doubled, swapped or inserted."""
    parts = TOKENS.findall(source) if chance.random() < 0.7 else list(source)
    for _ in range(chance.randint(1, 4)):
        if not parts:
            break
        here, there = chance.randrange(len(parts)), chance.randrange(len(parts))
        match chance.randrange(5):
            case 0:
                del parts[here]
            case 1:
                parts.insert(here, parts[here])
            case 2:
                parts[here], parts[there] = parts[there], parts[here]
            case 3:
                parts.insert(here, parts[there])
            case _:
                parts.insert(here, chance.choice(HOSTILE_TOKENS))
    return "".join(parts)


def excerpts(text: str, chance: random.Random, count: int) -> list[str]:
    """Return runs of whole lines of a text."""
    lines = text.splitlines(keepends=True)
    starts = [chance.randrange(len(lines)) for _ in range(count)]
    return ["".join(lines[start : start + chance.randint(5, 30)]) for start in starts]


def test_the_snippets_are_understood_alike(oracle: Oracle) -> None:
    texts = [snippet.encode() for snippet in SNIPPETS]
    assert ERROR not in oracle(texts)
    check(oracle, texts)


def test_real_files_are_understood_alike(oracle: Oracle, records: Path) -> None:
    texts = real_texts(records)
    assert len(texts) > 20
    assert ERROR not in oracle(texts)
    check(oracle, texts)


def test_mutated_snippets_are_understood_alike(oracle: Oracle) -> None:
    chance = random.Random(2026)  # noqa: S311
    texts = [mutated(chance.choice(SNIPPETS), chance).encode() for _ in range(4000)]
    accepted = [answer != ERROR for answer in oracle(texts)]
    assert 400 < sum(accepted) < 3600
    check(oracle, texts)


def test_mutated_real_files_are_understood_alike(oracle: Oracle, records: Path) -> None:
    chance = random.Random(1138)  # noqa: S311
    sources = [text.decode() for text in real_texts(records)]
    cut = [part for source in sources for part in excerpts(source, chance, 30)]
    small = [source for source in sources if len(source) < 20_000]
    texts = [mutated(source, chance).encode() for source in [*cut, *small, *cut]]
    assert len(texts) > 1000
    check(oracle, texts)


def test_damaged_bytes_are_judged_alike(oracle: Oracle) -> None:
    chance = random.Random(7)  # noqa: S311
    texts = []
    for _ in range(500):
        damaged = bytearray(chance.choice(SNIPPETS).encode())
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        texts.append(bytes(damaged))
    check(oracle, texts)


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(
    batch=st.lists(
        st.lists(st.sampled_from(HOSTILE_TOKENS), max_size=12).map(
            lambda tokens: "a: [" * (len(tokens) % 2) + "".join(tokens) + "]" * (len(tokens) % 2)
        ),
        min_size=20,
        max_size=100,
    )
)
def test_hostile_tokens_are_judged_alike(oracle: Oracle, batch: list[str]) -> None:
    check(oracle, [text.encode() for text in batch])


PROBES: Final = (
    *("foo:=b", "a: [b ~ c ~ d !~ e]", "a: b !~ c", "a: ! ~ c", "a: !!=c", "a: [a+_1]", "_: 1"),
    *("true: 1", "false {}", 'true "x" {}', "a: 1_", "a: 1__2", "a: [_1]", "a: [1a 1_a a_1 -1-]"),
    *("a: -4611686018427387904", "a: 4611686018427387904", "a: 000000000000000000000000001"),
    *("a:b:c", "a:b:c:d", "a: b:c:d", "x: [a:b:c]", 'a: """"b"""', 'a: """b""""'),
    *('a: """""" ""', "", "a", "a:", "# x", "(**)", "(*)*)a: 1", "a: [b(*c*)d]", "a: b {c} {d}"),
    *('opam-version: "2.2" a: [', 'opam-version: "2.1" a: [', 'a: 1 opam-version: "2.1"'),
)


@pytest.mark.parametrize("text", PROBES)
def test_corner_cases_are_judged_alike(oracle: Oracle, text: str) -> None:
    check(oracle, [text.encode()])
