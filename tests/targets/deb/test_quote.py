"""What is quoted means itself to the programs that read it."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkggen.errors import InputError
from pkggen.recipe.shell import Shell
from pkggen.targets.deb import quote

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ANY = st.text(st.characters(codec="utf-8"), max_size=30)
NASTY = st.text(
    st.sampled_from("a \\#$%'\"`~*?[]{}!&|;<>()=:@/.-+\n\t\r\0\x1b\x85\u2028\u202e\xa0\xe9")
)
TEXTS = ANY | NASTY
HARMLESS = st.text(st.sampled_from("aZ09_+.~:@=,/-"), min_size=1, max_size=12)


def usable(quoted: Callable[[str], str], text: str) -> str | None:
    try:
        return quoted(text)
    except InputError:
        return None


@given(st.lists(HARMLESS, min_size=1, max_size=20), st.sampled_from([quote.word, quote.path]))
@settings(max_examples=20)
def test_words_mean_themselves_to_make_and_shells(
    texts: list[str], quoted: Callable[[str], str]
) -> None:
    found = [word for text in texts if (word := usable(quoted, text)) is not None]
    # The second one is where a tilde or a glob would be expanded, had it got through.
    rules = f"all:\n\t@printf '%s\\n' x{' '.join(['', *found])}\n"
    shown = subprocess.run(
        ["make", "-s", "-f", "-"],
        input=rules,
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "HOME": "/home-of-nobody"},
    )
    assert shown.stdout.splitlines() == ["x", *found]


@given(TEXTS)
def test_what_a_word_or_path_may_hold(text: str) -> None:
    for quoted in (quote.word, quote.path, quote.absolute):
        found = usable(quoted, text)
        if found is not None:
            assert found.isascii()
            assert not set(found) & set(" \t\n\\#$%'\"`*?[]{}!&|;<>()")
            assert not found.startswith(("-", "~"))


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a/..", "../a", "a//b", "a/./b", "/a", "a/", "-a", "~a", "a b", "a\n"]
)
def test_paths_that_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="cannot be used in a Debian package"):
        quote.path(text)


def test_absolute_paths() -> None:
    assert quote.absolute("/a/-b/c~") == "/a/-b/c~"
    for text in ("/", "//a", "/a/../b", "/-a"):
        with pytest.raises(InputError):
            quote.absolute(text)


@given(st.lists(TEXTS, min_size=1, max_size=6))
@settings(max_examples=20)
def test_make_takes_a_comment_for_nothing_else(texts: list[str]) -> None:
    comments = quote.comments(texts)
    rules = f"{comments}\nA := found\n{comments}\nall:\n\t@echo $(A)\n{comments}\n"
    shown = subprocess.run(
        ["make", "-s", "-f", "-"], input=rules, capture_output=True, text=True, check=True
    )
    assert shown.stdout == "found\n"
    assert len(comments.split("\n")) == len(texts)


@given(st.lists(TEXTS, min_size=1, max_size=6))
@settings(max_examples=20)
def test_sh_takes_a_comment_for_nothing_else(texts: list[str]) -> None:
    script = f"{quote.comments(texts)}\necho found\n"
    shown = subprocess.run(
        ["sh"], input=script, capture_output=True, text=True, check=True, errors="strict"
    )
    assert shown.stdout == "found\n"


def logical_lines(unit: str) -> list[str]:
    """Join lines as systemd.syntax(7) says: a backslash at the end continues it."""
    return unit.replace("\\\n", " ").split("\n")


@given(TEXTS)
def test_the_value_of_a_unit_is_one_line(text: str) -> None:
    value = quote.unit(text)
    unit = f"[Unit]\nDescription={value}\nAfter=x.service\n"
    assert logical_lines(unit) == ["[Unit]", f"Description={value}", "After=x.service", ""]
    meant = value.replace("%%", "\0")
    assert "%" not in meant
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    assert meant.replace("\0", "%") == printable.rstrip("\\ ")


def test_systemd_reads_descriptions_as_they_were_meant(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("UNITS NOT READ: systemd-analyze not found")
    texts = ["a%n", "100 %", "x \\", "\\", 'a "b', "a'b", "%%", "# a", "a;b", "\N{SNOWMAN} \\ \\"]
    for number, text in enumerate(texts):
        unit = tmp_path / f"u{number}.service"
        unit.write_text(
            f"[Unit]\nDescription={quote.unit(f'd {text}')}\n"
            "[Service]\nExecStart=/bin/true\nNoSuchSetting=1\n"
        )
    done = subprocess.run(
        ["systemd-analyze", "verify", *sorted(map(str, tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
    )
    # The line after the description is read as what it is in each of them.
    assert done.stderr.count("'NoSuchSetting'") == len(texts), done.stderr
    assert "specifier" not in done.stderr


@given(TEXTS)
def test_prose_is_one_line(text: str) -> None:
    assert quote.prose(text).isprintable()
    assert len(quote.prose(text)) == len(text)


def test_only_what_was_quoted_is_printed() -> None:
    for good in (quote.word("a"), quote.prose("a b"), Shell("a $b")):
        assert quote.finalize(good) == good
    for bad in ("a", 1, None, ["a"]):
        with pytest.raises(TypeError, match="not quoted for Debian"):
            quote.finalize(bad)
