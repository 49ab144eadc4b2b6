"""The only place that escapes for the page of a repository.

Whatever these functions return is marked as `Html`; the template prints nothing else (`finalize`).
"""

from __future__ import annotations

import html
import shlex
from typing import Final

from pkggen import templating


class Html(str):
    """Text of HTML, safe to print as the content of an element or between double quotes."""

    __slots__ = ()


finalize: Final = templating.only("HTML", Html)
"""Lets only marked text through."""


def text(value: str) -> Html:
    """Return a text as HTML; what is invisible becomes U+FFFD."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)
    return Html(html.escape(shown))


def command(*words: str) -> Html:
    """Return a shell command as HTML."""
    return text(shlex.join(words))
