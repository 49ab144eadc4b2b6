r"""The only place that escapes for troff, the language of manual pages.

Whatever these functions return is marked as `Roff`; templates print nothing else (`finalize`).

Source: groff_man(7), groff_char(7).
"""

from __future__ import annotations

from typing import Final

from pkggen import templating


class Roff(str):
    """Text of a manual page, safe to print where it was made for."""

    __slots__ = ()


finalize: Final = templating.only("a manual page", Roff)
"""Lets only marked text through."""


def line(text: str) -> Roff:
    """Return one line of text."""
    escaped = _printable(text).replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq")
    return Roff(rf"\&{escaped}" if escaped.startswith(".") else escaped)


def comment(text: str) -> Roff:
    """Return one line of comment."""
    return Roff(rf".\" {_printable(text)}")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
