"""Text of manual pages stays text."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkggen.recipe import roff


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a-b", r"a\-b"),
        ("it's", r"it\(aqs"),
        ("back\\slash", r"back\eslash"),
        (".TH x", r"\&.TH x"),
        ("a\nb", "a\N{REPLACEMENT CHARACTER}b"),
    ],
)
def test_text_is_text(text: str, expected: str) -> None:
    assert roff.line(text) == expected


@given(st.text())
def test_a_line_is_no_request(text: str) -> None:
    line = roff.line(text)
    assert "\n" not in line
    assert not line.startswith((".", "'"))
    assert roff.comment(text).count("\n") == 0


def test_only_what_was_quoted_is_printed() -> None:
    with pytest.raises(TypeError, match="not quoted for a manual page"):
        roff.finalize(".TH")


@pytest.mark.parametrize("text", ["plain", ".so /etc/passwd", "'so x", "\\*[x]", 'a\\"b', "-\\e-"])
def test_what_man_shows(text: str) -> None:
    if shutil.which("man") is None:
        pytest.skip("NO PAGE IS SHOWN: install man-db")
    page = f".TH X 1\n.SH NAME\nx \\- y\n.SH DESCRIPTION\n{roff.line(text)}\n"
    shown = subprocess.run(
        ["man", "--warnings", "--local-file", "-E", "ascii", "-"],
        input=page,
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "MANROFFOPT": "", "LC_ALL": "C.UTF-8", "MANWIDTH": "80"},
    )
    assert shown.stderr == ""
    assert f"       {text}\n" in shown.stdout
