"""The only place that escapes for the page of a repository.

Whatever these functions return is marked as `Html`; the template prints nothing else (`finalize`).
"""

from __future__ import annotations

import html
import shlex


class Html(str):
    """Text of HTML, safe to print as the content of an element or between double quotes."""

    __slots__ = ()


def finalize(value: object) -> Html:
    """Let only marked text through.

    Raises:
        TypeError: the template prints something that was not quoted (a bug).
    """
    if not isinstance(value, Html):
        raise TypeError(f"not quoted for HTML: {value!r}")
    return value


def text(value: str) -> Html:
    """Return a text as HTML; what is invisible becomes U+FFFD."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)
    return Html(html.escape(shown))


def command(*words: str) -> Html:
    """Return a shell command as HTML."""
    return text(shlex.join(words))
