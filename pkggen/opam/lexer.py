r"""The tokens of the opam file syntax, as compiled patterns.

There is no token stream: the parser matches these patterns where it stands, which in CPython is
several times faster than making an object per token.

A group that is repeated possessively and can fail in its middle is atomic, `(?>…)*+`: Python before
3.11.5 goes on where a plain one failed instead of where it began (python/cpython#106052).

Source: ocaml/opam-file-format `src/opamLexer.mll` (2.1.5). Differences: text is UTF-8 and
NUL is refused; `~` and `!~` are comparisons of their own, as in opam 2.0.
"""

from __future__ import annotations

import re
from typing import Final

from pkggen.errors import InputError, Place

ADVICE: Final = "files that opam writes have no such fault: get the recorded file again"
"""What to do about text that cannot be read, when nothing better is known."""

SKIP: Final = r"(?:[ \t\n]++|\r\n|#[^\n]*+)*+"
"""Blanks and line comments; nested comments are blanked out by `without_comments`."""

_WORD: Final = r"(?:[0-9_-]*+[A-Za-z][A-Za-z0-9_-]*+|_)"
IDENT: Final = rf"(?>{_WORD}(?>\+{_WORD})*+(?>:[0-9_-]*+[A-Za-z][A-Za-z0-9_-]*+)?+)"
"""`id`, `a+b`, `a:b`, `_:b`; the longest match wins, so `a:b` is one word."""

PLAIN_STRING: Final = r'"[^"\\\r]*+"(?!")'
"""A string that stands for exactly what is between its quotes."""

_SHORT: Final = r'[^"\\]*+(?:\\.[^"\\]*+)*+'
_LONG: Final = r'[^"\\]*+(?>(?:\\.|"(?!""))[^"\\]*+)*+'

_RELOP: Final = r"(?:!=|<=|>=|<|>|!~|~|=(?![+:]))"
_ENVOP: Final = r"(?:\+=|:=|=\+=|=\+|=:)"

# A group holds the token; the blanks behind it are matched with it.
skip: Final = re.compile(SKIP).match
atom: Final = re.compile(rf'(?:"([^"\\\r]*+)"(?!")|({IDENT})|(-?[0-9][0-9_]*+)){SKIP}').match
operator: Final = re.compile(rf"(?:({_RELOP})|({_ENVOP})){SKIP}").match
long_string: Final = re.compile(rf'"""({_LONG})"""{SKIP}', re.DOTALL).match
short_string: Final = re.compile(rf'"({_SHORT})"{SKIP}', re.DOTALL).match

_ESCAPE: Final = re.compile(
    r"""\r\n|\\(?:(?P<fold>\r?\n[ \t]*)|(?P<char>[\\"'nrtb ])"""
    r"|(?P<decimal>[0-9]{3})|x(?P<hex>[0-9a-fA-F]{2})|(?P<bad>))"
)
_CHARACTERS: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b"}
_COMMENT_OR_STRING: Final = re.compile(
    # A string without end reaches to the end of the text, lest each of its quotes be tried again.
    rf'"""{_LONG}(?:""")?+|"{_SHORT}"?+|#[^\n]*+|\(\*',
    re.DOTALL,
)
_COMMENT_EDGE: Final = re.compile(r"\(\*|\*\)")
_NOT_NEWLINE: Final = re.compile(r"[^\n]")


def without_comments(file: str, text: str) -> str:
    """Return the text with every `(* … *)` overwritten by blanks; offsets stay as they are.

    Raises:
        InputError: a comment has no end.
    """
    if "(*" not in text:
        return text
    pieces: list[str] = []
    done = position = 0
    while (token := _COMMENT_OR_STRING.search(text, position)) is not None:
        position = token.end()
        if token[0] != "(*":
            continue
        depth = 1
        while depth:
            edge = _COMMENT_EDGE.search(text, position)
            if edge is None:
                raise InputError(
                    "the comment that starts here has no end",
                    where=Place.at(file, text, token.start()),
                    hint=ADVICE,
                )
            depth += 1 if edge[0] == "(*" else -1
            position = edge.end()
        pieces += text[done : token.start()], _NOT_NEWLINE.sub(" ", text[token.start() : position])
        done = position
    pieces.append(text[done:])
    return "".join(pieces)


def unescape(file: str, text: str, start: int, raw: str) -> str:
    """Return what a string stands for.

    Args:
        file: Name of the text, for messages.
        text: The whole text, for messages.
        start: Offset of `raw` in `text`.
        raw: What stands between the quotes.

    Raises:
        InputError: an escape is unknown, or the bytes that escapes make are not UTF-8 or hold NUL.
    """
    if "\\" not in raw and "\r" not in raw:
        return raw

    def replacement(escape: re.Match[str]) -> str:
        kind = escape.lastgroup
        if kind is None:
            return "\n"
        if kind == "fold":
            return ""
        if kind == "char":
            return _CHARACTERS.get(escape["char"], escape["char"])
        code = int(escape[kind] or "0", 16 if kind == "hex" else 10)
        if not 0 < code < 256:
            raise InputError(
                "this escape in a string stands for nothing that opam knows",
                where=Place.at(file, text, start + escape.start()),
                hint=r"known are \\ \" \' \n \r \t \b \DDD (001 to 255) \xHH and a line's end",
            )
        # Bytes above 127 wait as lone surrogates until their neighbours are known.
        return chr(code) if code < 128 else chr(0xDC00 + code)

    value = _ESCAPE.sub(replacement, raw)
    if value.isascii():
        return value
    try:
        return value.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        raise InputError(
            "the escapes of this string do not make UTF-8 text",
            where=Place.at(file, text, start),
            hint=ADVICE,
        ) from None
