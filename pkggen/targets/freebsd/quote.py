"""The only place that escapes for make.

Whatever these functions return is marked as `Make`; templates print nothing else (`finalize`).

Sources: make(1) of FreeBSD (comments, `$`, `:U`), its parse.c (a `#` ends a line unless a backslash
is before it, and backslashes are taken in pairs), freebsd-ports `Mk/Scripts/do-fetch.sh` (addresses
become words of sh).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urldefrag

from pkggen import templating
from pkggen.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SPECIAL: Final = re.compile(r"[$#\\]")
# A lone backslash before `#` or the end of the line would be taken for an escape.
_ESCAPED: Final = {"$": "$$", "#": r"\#", "\\": r"${:U\\}"}
_WORD: Final = re.compile(r"[A-Za-z0-9@%_+=:,./<>()?&~-]+")
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}")
_VARIABLE: Final = re.compile(r"[A-Z][A-Za-z0-9_+.-]*\??")
_TAB: Final = 8
_NARROWEST: Final = 2 * _TAB


class Make(str):
    """Text of the make language, safe to print where it was made for."""

    __slots__ = ()


finalize: Final = templating.only("make", Make)
"""Lets only marked text through."""


def value(text: str) -> Make:
    """Return a whole value, which may hold blanks.

    Raises:
        InputError: the text holds what no value can hold, or has a blank at one of its ends.
    """
    if not text.isprintable() or text != text.strip():
        raise InputError(
            f"{text!r} cannot be a value in a Makefile: it is no line of printable text without"
            " blanks at its ends",
            hint="override the value in pkggen.yaml",
        )
    return Make(_SPECIAL.sub(lambda match: _ESCAPED[match[0]], text))


def word(text: str) -> Make:
    """Return one word of a list.

    Raises:
        InputError: the text is empty, or holds blanks, quotes or what make would interpret.
    """
    if not _WORD.fullmatch(text):
        raise InputError(f"{text!r} cannot be a word in a list of a Makefile")
    return Make(text)


def file_name(name: str) -> Make:
    """Return a file name that means nothing else to make, to sh and in a list of distfiles.

    Raises:
        InputError: it does.
    """
    if not _FILE_NAME.fullmatch(name):
        raise InputError(
            f"the file name {name!r} cannot be used in a port",
            hint="it may hold letters, digits, `.`, `_`, `+` and `-`, must begin with a letter, a"
            " digit or `_`, and be at most 200 characters long",
        )
    return Make(name)


def path(text: str) -> Make:
    """Return a relative path of `file_name`s.

    Raises:
        InputError: it is none.
    """
    return Make("/".join(file_name(part) for part in text.split("/")))


def address(url: str) -> Make:
    """Return a URL without fragment, percent-encoded where make or sh would interpret it.

    Raises:
        InputError: it holds white space or control characters.
    """
    plain = urldefrag(url).url
    if not plain.isprintable() or " " in plain:
        raise InputError(f"{url!r} is no address that a port can fetch from")
    return word(quote(plain, safe="%_+=:,./?&~@-"))


def variable(text: str) -> Make:
    """Return a name of a variable.

    Raises:
        InputError: it is none.
    """
    if not _VARIABLE.fullmatch(text):
        raise InputError(f"{text!r} cannot be the name of a variable in a Makefile")
    return Make(text)


def block(variables: Sequence[tuple[str, Sequence[Make]]]) -> Make:
    """Return lines that set variables, their values in one column, lists over several lines.

    Args:
        variables: Names, and values without blank or words; no value at all is an empty list.
    """
    names = [_assigned(name) for name, _ in variables]
    width = max(_NARROWEST, *(-(-(len(name) + 1) // _TAB) * _TAB for name in names))
    joint = " \\\n" + "\t" * (width // _TAB)
    lines: list[str] = []
    for name, (_, values) in zip(names, variables, strict=True):
        gap = "\t" * -(-(width - len(name)) // _TAB)
        lines.append(f"{name}{gap}{joint.join(values) or '# empty'}")
    return Make("\n".join(lines))


def comment(text: str) -> Make:
    """Return a comment on one line, which nothing can end before its end.

    Everything invisible becomes U+FFFD, and so does a backslash, which would join the next line.
    """
    shown = (c if c.isprintable() and c != "\\" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return Make("# " + "".join(shown))


def _assigned(name: str) -> str:
    # `LGPL21+=` would append.
    return f"{variable(name)} =" if name.endswith("+") else f"{variable(name)}="
