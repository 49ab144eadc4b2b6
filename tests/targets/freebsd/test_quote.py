"""What is quoted for make reads back as it was, whatever it holds."""

from __future__ import annotations

import random
import shlex
import string
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pkggen.errors import InputError
from pkggen.targets.freebsd import quote
from pkggen.targets.freebsd.quote import Make

if TYPE_CHECKING:
    from pathlib import Path

    from tests.targets.freebsd.conftest import Bmake

PIECES: Final = [
    *"$#\\{}()'\"`:=!+?@%,.;&|<>~^*[]/- aZ9äé\N{GRINNING FACE}",
    *("${X}", "$(X)", "$$", "\\#", "\\\\", "${:U", ":S/a/b/", "# ", "$X", "\\ ", ".if", ".include"),
]


def hostile(count: int) -> list[str]:
    rng = random.Random(20261125)  # noqa: S311 - the same texts in every run
    short = [a + b for a in PIECES for b in PIECES]
    longer = ["".join(rng.choices(PIECES, k=rng.randrange(3, 12))) for _ in range(count)]
    return [text for text in dict.fromkeys([*short, *longer]) if text and text == text.strip()]


def read_back(bmake: Bmake, directory: Path, texts: list[str]) -> list[str]:
    blocks = [quote.block([(f"V{i}", [quote.value(text)])]) for i, text in enumerate(texts)]
    (directory / "Makefile").write_text("X=\tmust not be seen\n" + "\n".join(blocks) + "\n")
    asked = [word for i in range(len(texts)) for word in ("-V", f"${{V{i}}}")]
    return bmake(directory, asked).removesuffix("\n").split("\n")


@pytest.mark.parametrize("count", [500, pytest.param(20_000, marks=pytest.mark.slow)])
def test_make_reads_values_back(bmake: Bmake, tmp_path: Path, count: int) -> None:
    texts = hostile(count)
    for start in range(0, len(texts), 2000):
        some = texts[start : start + 2000]
        assert read_back(bmake, tmp_path, some) == some


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(categories=("L", "N", "P", "S", "Zs"))), max_size=30))
def test_make_reads_any_printable_value_back(
    bmake: Bmake, tmp_path: Path, texts: list[str]
) -> None:
    good = [text for text in texts if text and text == text.strip() and text.isprintable()]
    if good:
        assert read_back(bmake, tmp_path, good) == good


@pytest.mark.parametrize("text", [" a", "a ", "a\nb", "a\tb", "\0", "a\x1b", "a\N{LINE SEPARATOR}"])
def test_what_no_value_can_hold_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="cannot be a value"):
        quote.value(text)


@pytest.mark.parametrize("text", ["", "a b", "a$b", "a#b", "a\\b", "a'b", 'a"b', "a`b", "ä", "a\n"])
def test_words_hold_nothing_that_make_interprets(text: str) -> None:
    with pytest.raises(InputError):
        quote.word(text)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-a", ".a", "a b", "a:b", "a" * 201, "a\n"])
def test_file_names(name: str) -> None:
    with pytest.raises(InputError, match="cannot be used in a port"):
        quote.file_name(name)
    with pytest.raises(InputError):
        quote.path(f"a/{name}" if "/" not in name else "a//b")


@given(st.text(string.printable))
def test_an_address_is_one_word_for_make_and_for_sh(text: str) -> None:
    url = f"https://example.org/{text}"
    try:
        made = quote.address(url)
    except InputError:
        assert " " in text.partition("#")[0] or not text.partition("#")[0].isprintable()
    else:
        assert not {*made} & {*"$#\\'\"`;|<>(){}*[]^! \n"}
        assert shlex.split(made, comments=True) == [made]


def test_addresses_keep_what_is_encoded_already_and_lose_fragments() -> None:
    assert quote.address("https://e.org/a%2Bb+c?x=1&y=2#z") == "https://e.org/a%2Bb+c?x=1&y=2"
    assert quote.address("https://e.org/a$(rm)b") == "https://e.org/a%24%28rm%29b"


def test_blocks_have_their_values_in_one_column_of_tabs(bmake: Bmake, tmp_path: Path) -> None:
    words = [Make("a"), Make("b")]
    made = quote.block([("A", words), ("A_LONG_VARIABLE_NAME", [Make("c d")]), ("E", [])])
    assert made == ("A=\t\t\ta \\\n\t\t\tb\nA_LONG_VARIABLE_NAME=\tc d\nE=\t\t\t# empty")
    (tmp_path / "Makefile").write_text(made + "\n")
    asked = ["-V", "${A}", "-V", "${A_LONG_VARIABLE_NAME}", "-V", "<${E}>"]
    assert bmake(tmp_path, asked) == "a  b\nc d\n<>\n"


def test_a_name_that_ends_in_plus_is_set_not_appended_to(bmake: Bmake, tmp_path: Path) -> None:
    made = quote.block([("LICENSE_NAME_LGPL21+", [quote.value("text")])])
    (tmp_path / "Makefile").write_text(made + "\n")
    assert bmake(tmp_path, ["-V", "${LICENSE_NAME_LGPL21+}"]) == "text\n"


@pytest.mark.parametrize("name", ["", "a", "A B", "A=", "A:", "A$B", "A\n"])
def test_names_of_variables(name: str) -> None:
    with pytest.raises(InputError, match="name of a variable"):
        quote.variable(name)


def test_no_comment_ends_before_its_line(bmake: Bmake, tmp_path: Path) -> None:
    texts = [*hostile(1000), "a\nB=1", "ends in \\", "\\"]
    lines = "".join(f"{quote.comment(text)}\nV+=\t{i}\n" for i, text in enumerate(texts))
    (tmp_path / "Makefile").write_text(lines)
    assert bmake(tmp_path, ["-V", "${V}"]).split() == [str(i) for i in range(len(texts))]


def test_only_marked_text_is_printed() -> None:
    assert quote.finalize(Make("a")) == "a"
    with pytest.raises(TypeError):
        quote.finalize("a")
