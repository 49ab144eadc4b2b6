"""Whatever a record holds, a shell reads back as it was."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkggen.errors import InputError
from pkggen.recipe import shell
from pkggen.recipe.plan import Runtime

if TYPE_CHECKING:
    from pathlib import Path

SHELLS: Final = (("dash",), ("busybox", "sh"), ("bash",), ("bash", "--posix"))
PREFIX: Final = "/the prefix/'\"$x"
NASTY: Final = (
    *("", " ", "'", "''", '"', "\\", "\\'", "$", "$PREFIX", "${PREFIX}", "$(id)", "`id`", "*", "~"),
    *("#", "!", "a b", "a\nb", "\n", "\n\n", "\t", "\r", "-n", "--", "-", "=", "a=b", "{a,b}", "&"),
    *(";", "|", ">x", "<x", "(", ")", "[a]", "?", "\x7f", "\x81\x88", "é", "\u202e", "END", "%s"),
    *("\\n", "\\0", "\x01", "if", "do", "\N{GRINNING FACE}", "\ufeff", "$'\\n'", "a\\\nb"),
)


@cache
def texts(excluded: str) -> tuple[str, ...]:
    """Return what Hypothesis thinks of, and the usual suspects, without some characters."""
    found = [text for text in NASTY if not set(excluded) & set(text)]
    alphabet = st.characters(exclude_characters=excluded, exclude_categories=["Cs"])

    @settings(max_examples=400, database=None, derandomize=True)
    @given(st.text(alphabet))
    def collect(text: str) -> None:
        found.append(text)

    collect()
    return tuple(found)


def output(argv: tuple[str, ...], script: str, directory: Path) -> bytes:
    if shutil.which(argv[0]) is None:
        pytest.skip(f"NOT TRIED WITH {argv[0]}: not found")
    file = directory / "script"
    file.write_bytes(script.encode())
    done = subprocess.run(
        [*argv, str(file)],
        env={"PREFIX": PREFIX, "JOBS": "7", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    return done.stdout


@pytest.mark.parametrize("argv", SHELLS, ids=" ".join)
def test_words_are_read_back(argv: tuple[str, ...], tmp_path: Path) -> None:
    found = texts("\0")
    assert len(found) > 400
    script = "".join(f"printf '%s\\000' {shell.word(text)}\n" for text in found)
    assert output(argv, script, tmp_path).split(b"\0")[:-1] == [text.encode() for text in found]


@pytest.mark.parametrize("argv", SHELLS, ids=" ".join)
def test_holes_are_filled_and_never_split(argv: tuple[str, ...], tmp_path: Path) -> None:
    parts = [(text, Runtime.PREFIX, text, Runtime.JOBS) for text in NASTY]
    script = f"printf '%s\\000' {shell.words(parts)}\n"
    expected = [f"{text}{PREFIX}{text}7".encode() for text in NASTY]
    assert output(argv, script, tmp_path).split(b"\0")[:-1] == expected


@pytest.mark.parametrize("argv", SHELLS, ids=" ".join)
def test_lines_of_a_here_document_are_read_back(argv: tuple[str, ...], tmp_path: Path) -> None:
    found = texts("\0\n")
    assert len(found) > 400
    lines = "".join(f"{shell.here_document_line((f'x={text}',))}\n" for text in found)
    script = f"cat <<END\n{lines}END\n"
    assert output(argv, script, tmp_path) == "".join(f"x={text}\n" for text in found).encode()


@pytest.mark.parametrize("argv", SHELLS, ids=" ".join)
def test_holes_of_a_here_document_are_filled(argv: tuple[str, ...], tmp_path: Path) -> None:
    line = shell.here_document_line(("a=$(id)`id`\\", Runtime.PREFIX, "/b$", Runtime.JOBS))
    expected = f"a=$(id)`id`\\{PREFIX}/b$7\n"
    assert output(argv, f"cat <<END\n{line}\nEND\n", tmp_path) == expected.encode()


@pytest.mark.parametrize("argv", SHELLS, ids=" ".join)
@pytest.mark.parametrize(
    ("op", "unset", "empty", "full"),
    [
        ("=", "new", "new", "new"),
        ("+=", "new", "new", "new:o;ld"),
        ("=+", "new", "new", "o;ld:new"),
        (":=", "new:", "new:", "new:o;ld"),
        ("=:", ":new", ":new", "o;ld:new"),
        ("=+=", "new", "new", "new:o;ld"),
    ],
)
def test_assignments_do_what_opams_operators_do(  # noqa: PLR0917 - one row of the table
    argv: tuple[str, ...],
    op: str,
    unset: str,
    empty: str,
    full: str,
    tmp_path: Path,
) -> None:
    command = shell.assignment("X", op, ("n", "ew"))
    script = "".join(
        f"(set -u; {before}; {command}; printenv X)\n" for before in ("unset X", "X=", "X='o;ld'")
    )
    assert output(argv, script, tmp_path) == f"{unset}\n{empty}\n{full}\n".encode()


def test_a_comment_is_one_line() -> None:
    assert shell.comment("a\nrm -rf /\x1b[2J") == "# a\ufffdrm -rf /\ufffd[2J"


def test_what_no_shell_can_hold_is_refused() -> None:
    with pytest.raises(InputError, match="NUL"):
        shell.word("a\0b")
    for text in ("a\0", "a\nb"):
        with pytest.raises(InputError, match="no single line"):
            shell.here_document_line((text,))
    for name in ("", "1a", "a-b", "a b", "a\n", "é"):
        with pytest.raises(InputError, match="no name"):
            shell.assignment(name, "=", ("x",))


def test_nothing_unquoted_is_printed() -> None:
    assert shell.finalize(shell.word("a b")) == "'a b'"
    for value in ("plain", 1, None):
        with pytest.raises(TypeError, match="not quoted"):
            shell.finalize(value)
