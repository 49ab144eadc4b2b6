from __future__ import annotations

import os
import random
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.errors import InputError
from pkggen.opam.filter import (
    Variables,
    condition_holds,
    evaluate,
    expand_command,
    holds,
    interpolate,
)
from pkggen.opam.package import Argument, Command
from pkggen.opam.parser import parse_value
from pkggen.opam.values import EnvUpdate, Group, Ident, Logop, Option, PrefixOp, PrefixRelop, Relop
from pkggen.opam.version import OpamVersion

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pkggen.opam.filter import Variable
    from pkggen.opam.values import Value

GLOBALS: Final[dict[str, Variable]] = {
    "yes": True,
    "no": False,
    "word": "text",
    "raw": "a%%b%{word}%",
    "five": "5",
    "true_text": "true",
    "false_text": "false",
    "list": ("a", "b"),
    "single": ("true",),
}
PACKAGES: Final[dict[str, dict[str, Variable]]] = {
    "p": {"installed": True, "version": "1.2"},
    "q": {"installed": False},
    "s": {"installed": "true"},
    "bare": {},
    "g++": {"installed": True},
    "me": {"name": "me", "version": "1.0", "installed": False},
}
SCOPE: Final = Variables(globals=GLOBALS, packages=PACKAGES, itself="me")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("true", True),
        ("5", "5"),
        ("yes", True),
        ("word", "text"),
        ("list", "a b"),
        ("nope", None),
        ('"%{word}%!"', "text!"),
        ('"%{nope}%"', ""),
        ("raw", "a%btext"),
        ("(yes)", True),
        ("((no))", False),
        ("!yes", False),
        ("!nope", None),
        ("!word", None),
        ("!true_text", False),
        ("?yes", True),
        ("?nope", False),
        ("!?nope", True),
        ("?(nope & no)", True),
        ("?(nope & yes)", False),
        ("yes & yes", True),
        ("yes & no", False),
        ("nope & no", False),
        ("no & nope", False),
        ("nope & yes", None),
        ("word & yes", None),
        ("word & no", False),
        ("true_text & true_text", True),
        ("false_text & yes", False),
        ("false_text & nope", None),
        ("yes | nope", True),
        ("nope | yes", True),
        ("nope | no", None),
        ("true_text | nope", None),
        ("true_text | no", True),
        ("false_text | no", False),
        ("word | no", None),
        ("no & no | yes", True),
        ("no & (no | yes)", False),
        ('word = "text"', True),
        ("word != nope", None),
        ("nope = nope", None),
        ('yes = "true"', True),
        ("five < 10", True),
        ('"10" > "9"', True),
        ('"1.0" = "1.00"', True),
        ('"1.0~rc" < "1.0"', True),
        ('p:version >= "1.2~" & p:version < "1.10"', True),
        ("p:installed", True),
        ("q:installed", False),
        ("absent:installed", False),
        ("absent:pinned", False),
        ("absent:version", None),
        ("p:enable", "enable"),
        ("q:enable", "disable"),
        ("absent:enable", "disable"),
        ("p+s:installed", True),
        ("p+q:installed", False),
        ("absent+p:enable", "disable"),
        ("p+s:enable", "enable"),
        ("p+q:version", None),
        ("_:name", "me"),
        ("_:version", "1.0"),
        ("name", "me"),
        ("_+p:installed", False),
        ("q+bare:installed", False),
        ("bare+p:installed", None),
        ("bare+s:installed", True),
    ],
)
def test_evaluate(text: str, meaning: bool | str | None) -> None:  # noqa: FBT001
    found = evaluate(parse_value(text), SCOPE)
    assert (found, type(found)) == (meaning, type(meaning))


def test_empty_brackets_are_true() -> None:
    assert evaluate(Group(()), SCOPE) is True


def test_holds() -> None:
    assert holds(None, SCOPE)
    assert {t for t in ("yes", "no", "nope", "word", "true_text") if holds(Ident(t), SCOPE)} == {
        "yes",
        "true_text",
    }


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", ""),
        ("100%", "100%"),
        ("%%", "%"),
        ("%%{word}%%", "%{word}%"),
        ("%%%{word}%", "%text"),
        ("<%{word}%|%{yes}%|%{no}%|%{list}%>", "<text|true|false|a b>"),
        ("%{nope}%", ""),
        ("%{raw}%", "a%%b%{word}%"),
        ("%{p:version}%", "1.2"),
        ("%{p+s:enable}%", "enable"),
        ("%{yes?a:b}%", "a"),
        ("%{no?a:b}%", "b"),
        ("%{nope?a:b}%", "b"),
        ("%{word?a:b}%", "b"),
        ("%{true_text?a:b}%", "a"),
        ("%{single?a:b}%", "a"),
        ("%{list?a:b}%", "b"),
        ("%{p:installed?a:b}%", "a"),
        ("%{p+q:installed?a:b}%", "b"),
        ("%{yes?:b}%", ""),
        ("%{yes?a:}%", "a"),
        ("%{yes?x:y:z}%", "x:y"),
        ("%{no?x:y:z}%", "z"),
        ("%{yes?b?c:d}%", "d"),
        ("%{_:name}%.%{version}%", "me.1.0"),
        ("%{?g++:installed:}%", "true"),
        ("%{?:word}%", "text"),
        ("%{:word}%", "text"),
        ("%{word", "%{word"),
        ("%{word\n}%", "%{word\n}%"),
        ("%{word}", "%{word}"),
        ("%{a}}%", ""),
        ("%{a} b}%", ""),
        ("%{a}\n%{word}%", "%{a}\ntext"),
        ("%{}%", ""),
    ],
)
def test_interpolate(text: str, meaning: str) -> None:
    assert interpolate(text, SCOPE) == meaning


@pytest.mark.parametrize("text", ["%{a b:x}%", "%{7:x}%", "%{p+q.r:x}%", "%{?é:x:}%"])
def test_malformed_package_names_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not the name of an opam package"):
        interpolate(text, SCOPE)


@pytest.mark.parametrize("text", ["%{_:build-id}%", "%{p:build-id}%", "%{build-id}%"])
def test_build_id_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="only opam can compute"):
        interpolate(text, SCOPE)


@pytest.mark.parametrize(
    "value",
    [
        ("a", "b"),
        Option("a", ("b",)),
        PrefixRelop(">=", "1"),
        EnvUpdate(Ident("A"), "+=", "b"),
        Group(("a", "b")),
        Relop("~", "a", "b"),
        PrefixOp("!", PrefixRelop("=", "1")),
    ],
)
def test_what_is_no_filter_is_refused(value: Value) -> None:
    with pytest.raises(InputError):
        evaluate(value, SCOPE)


def test_variables_outside_a_package() -> None:
    scope = Variables(globals=GLOBALS, packages=PACKAGES, itself=None)
    assert scope("_", "name") is None
    assert scope(None, "name") is None
    assert scope(None, "word") == "text"


def test_global_variables_come_before_those_of_the_package_itself() -> None:
    scope = Variables(globals={"lib": "/lib"}, packages={"me": {"lib": "/lib/me"}}, itself="me")
    assert interpolate("%{lib}% %{_:lib}% %{me:lib}%", scope) == "/lib /lib/me /lib/me"


def test_long_chains_do_not_exhaust_the_stack() -> None:
    chain: Value = Ident("yes")
    for _ in range(20_000):
        chain = Logop("&", chain, Ident("yes"))
    assert holds(chain, SCOPE)
    assert condition_holds(chain, None, SCOPE)


def argument(value: str | Ident, condition: str | None = None) -> Argument:
    return Argument(value, None if condition is None else parse_value(condition))


def test_expand_command() -> None:
    command = Command(
        (
            argument(Ident("word")),
            argument("%{word}% $x *"),
            argument("dropped", "no"),
            argument("undefined", "nope"),
            argument("kept", "yes"),
            argument(Ident("nope")),
            argument(Ident("list")),
            argument(Ident("raw")),
            argument(Ident("no")),
            argument(Ident("p+q:enable")),
        ),
        parse_value('word = "text"'),
    )
    assert expand_command(command, SCOPE) == (
        *("text", "text $x *", "kept", "", "a", "b", "a%%b%{word}%", "false", "disable"),
    )


def test_commands_without_a_true_filter_or_arguments_are_dropped() -> None:
    assert expand_command(Command((argument("a"),), Ident("nope")), SCOPE) is None
    assert expand_command(Command((argument("a", "no"),), None), SCOPE) is None


@pytest.mark.parametrize(
    ("text", "version", "meaning"),
    [
        ('>= "1.2"', "1.2", True),
        ('>= "1.2"', "1.2~rc", False),
        ('>= "1" & < "2"', "1.9", True),
        ('>= "1" & < "2"', "2", False),
        ('< "1" | > "2"', "1.5", False),
        ('!(>= "1" & < "2")', "2", True),
        ('!(>= "1" & < "2")', "1", False),
        ("= version", "1.0", True),
        ("!= version", "1.00", False),
        ('>= "%{version}%~"', "1.0~~", False),
        ('yes & >= "1"', "1", True),
        ('no & >= "1"', "1", False),
        ('no | >= "1"', "1", True),
        ('nope | >= "1"', "1", True),
        ("nope", "1", False),
        ("!nope", "1", False),
        ("!(nope & no)", "1", True),
        ('!"false"', "1", True),
        ("word", "1", False),
        ("!word", "1", False),
        ('word = "text" & = "1"', "1", True),
        ('no & >= "1"', None, False),
        ('yes & >= "1"', None, True),
        ('!(>= "1")', None, True),
        ("= nope", None, True),
    ],
)
def test_condition_holds(text: str, version: str | None, meaning: bool) -> None:  # noqa: FBT001
    opam_version = None if version is None else OpamVersion(version)
    assert condition_holds(parse_value(text), opam_version, SCOPE) is meaning


def test_several_values_in_brackets_are_a_conjunction() -> None:
    both: Value = Group((PrefixRelop(">=", "1"), PrefixRelop("<", "2")))
    held = {t for t in ("0", "1", "2") if condition_holds(both, OpamVersion(t), SCOPE)}
    negated: Value = PrefixOp("!", both)
    assert held == {"1"}
    assert {t for t in ("0", "1", "2") if condition_holds(negated, OpamVersion(t), SCOPE)} == {
        "0",
        "2",
    }
    assert condition_holds(Group(()), OpamVersion("1"), SCOPE)
    assert condition_holds(None, OpamVersion("1"), SCOPE)


@pytest.mark.parametrize("text", ["= nope", '>= "%{nope}%"', '= "a b"', '~ "1"'])
def test_unusable_version_bounds_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        condition_holds(parse_value(text), OpamVersion("1"), SCOPE)


# The rest asks opam itself about random filters, strings and conditions.

OPAM_SCOPE: Final = Variables(
    globals={name: GLOBALS[name] for name in ("yes", "no", "word", "five", "raw")},
    packages={
        "p": {"installed": True, "version": "1.2"},
        "q": {"installed": False},
        "me": {"name": "me", "version": "1.0", "installed": False},
    },
    itself="me",
)
ATOMS: Final = (
    *("yes", "no", "word", "five", "raw", "nope", "true", "false", "5", "10", '"true"', '"false"'),
    *("p:installed", "q:installed", "r:installed", "p+q:installed", "p+r:enable", "p:enable"),
    *("p:version", "q:version", "_:name", "_:version", "version", "name", "r:nope", "p+q:nope"),
    *('"text"', '"%{word}%"', '"%{nope}%"', '"%{yes}%"', '"%{p:version?true:false}%"', '"%%"'),
    *('"1.2"', '"1.2~"', '"1.20"', '"1.02-0"', '"1.2+b"', '"1.2-1"', '"v1"', '""', '"/"'),
)
PIECES: Final = (
    *("%%", "%", "}%", "}", "x", " ", ":", "?", "$", "%{yes}%", "%{p:version}%", "%{raw}%"),
    *("%{p+q:installed?a:b}%", "%{nope?x:y:z}%", "%{yes?x:y:z}%", "%{yes?b?c:d}%", "%{_:name}%"),
    *("%{p+r:enable}%", "%{:word}%", "%{word?a:b}%", "%{version}%", "%{}%", "%{p:enable?a:b}%"),
)
RELOPS: Final = ("=", "!=", "<", "<=", ">", ">=")
OFFERED: Final = ("0.9", "1~rc", "1", "1.0.0", "1.2", "2", "10")


class Opam:
    """A throw-away opam root whose variables are those of `OPAM_SCOPE`."""

    def __init__(self, home: Path) -> None:
        self.repository = home / "repository"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "OPAMROOT": str(home / "root"),
            "OPAMROOTISOK": "1",
            "OPAMYES": "1",
            "OPAMCOLOR": "never",
            "OPAMNODEPEXTS": "1",
            "OPAMVAR_yes": "true",
            "OPAMVAR_no": "false",
            "OPAMVAR_word": "text",
            "OPAMVAR_five": "5",
            "OPAMVAR_raw": "a%%b%{word}%",
            "OPAMVAR_p_installed": "true",
            "OPAMVAR_p_version": "1.2",
            "OPAMVAR_q_installed": "false",
        }

    def add(self, name: str, version: str, fields: str) -> None:
        directory = self.repository / "packages" / name / f"{name}.{version}"
        directory.mkdir(parents=True)
        (directory / "opam").write_text(f'opam-version: "2.0"\n{fields}\n')

    def start(self) -> None:
        (self.repository / "repo").write_text('opam-version: "2.0"\n')
        quick = ("--bare", "--no-setup", "--disable-sandboxing", "--bypass-checks")
        self.run("init", *quick, "default", str(self.repository))
        self.run("switch", "create", "test", "--empty")

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            ["opam", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def opam(tmp_path: Path) -> Opam:
    if shutil.which("opam") is None:
        pytest.skip("the oracle opam is missing: apt-get install opam")
    return Opam(tmp_path)


def random_filter(dice: random.Random, depth: int) -> str:
    kind = dice.randrange(7 if depth else 2)
    if kind < 2:
        atoms = dice.choices(ATOMS, k=2)
        return atoms[0] if kind else f"{atoms[0]} {dice.choice(RELOPS)} {atoms[1]}"
    operands = [random_filter(dice, depth - 1) for _ in range(2)]
    match kind:
        case 2:
            return f"!{operands[0]}"
        case 3:
            return f"?{operands[0]}"
        case 4:
            return f"({operands[0]})"
        case 5:
            return f"{operands[0]} & {operands[1]}"
        case _:
            return f"{operands[0]} | {operands[1]}"


def random_condition(dice: random.Random, depth: int) -> str:
    kind = dice.randrange(7 if depth else 4)
    if kind < 3:
        bound = dice.choice((*OFFERED, "1.00", "1.0.0~", "%{version}%", "%{word}%"))
        return f'{dice.choice(RELOPS)} "{bound}"' if kind else f"{dice.choice(RELOPS)} version"
    if kind == 3:
        return dice.choice(("yes", "no", "nope", "word", "word = nope", 'version < "2"', "?nope"))
    operands = [random_condition(dice, depth - 1) for _ in range(2)]
    return (f"!({operands[0]})", " & ".join(operands), "({} | {})".format(*operands))[kind - 4]


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_filters_and_strings_mean_what_they_mean_to_opam(
    opam: Opam, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311
    filters = [random_filter(dice, 4) for _ in range(300)]
    strings = ["".join(dice.choices(PIECES, k=dice.randrange(1, 7))) for _ in range(300)]
    words = [value for value in map(parse_value, ATOMS) if isinstance(value, Ident)]
    arguments = [
        *(f'"{n} true" {{{text}}}' for n, text in enumerate(filters)),
        *(f'"{n} false" {{!({text})}}' for n, text in enumerate(filters)),
        *(f'"{n} defined" {{?({text})}}' for n, text in enumerate(filters)),
        *(quoted(text) for text in strings),
        *(word.name for word in words),
    ]
    output = tmp_path / "output"
    script = quoted(f"printf '%%s\\n' \"$@\" > '{output}'")
    opam.add("me", "1.0", "\n".join(['build: ["sh" "-c"', script, '"sh"', *arguments, "]"]))
    opam.start()
    opam.run("install", "me")

    def listed_if(word: str, kept: Callable[[str], bool]) -> list[str]:
        return [f"{n} {word}" for n, text in enumerate(filters) if kept(text)]

    answers = output.read_text().split("\n")[:-1]
    assert answers == [
        *listed_if("true", lambda text: holds(parse_value(text), OPAM_SCOPE)),
        *listed_if("false", lambda text: holds(parse_value(f"!({text})"), OPAM_SCOPE)),
        *listed_if("defined", lambda text: evaluate(parse_value(text), OPAM_SCOPE) is not None),
        *(interpolate(text, OPAM_SCOPE) for text in strings),
        *(
            expand_command(Command(tuple(Argument(word, None) for word in words), None), OPAM_SCOPE)
            or ()
        ),
    ]


@pytest.mark.slow
def test_conditions_mean_what_they_mean_to_opam(opam: Opam) -> None:
    dice = random.Random(1)  # noqa: S311
    conditions = [random_condition(dice, 3) for _ in range(80)]
    for version in OFFERED:
        opam.add("dependency", version, "")
    for n, text in enumerate(conditions):
        opam.add(f"me{n}", "1.0", f'depends: ["dependency" {{{text}}}]')
    opam.start()
    listing = ("list", "--all-versions", "--short", "--columns=version")
    answers = [
        set(opam.run(*listing, f"--required-by=me{n}").split()) for n in range(len(conditions))
    ]

    def accepted(condition: Value) -> set[str]:
        return {v for v in OFFERED if condition_holds(condition, OpamVersion(v), OPAM_SCOPE)}

    assert [accepted(parse_value(text)) for text in conditions] == answers
