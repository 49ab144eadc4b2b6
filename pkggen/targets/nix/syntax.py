"""Just enough of the Nix language for `lint`: tokens, attributes and texts, but no expressions.

Source: NixOS/nix `src/libexpr/lexer.l`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Kind(StrEnum):
    """What a token is."""

    COMMENT = auto()
    """From `#` to the end of the line, or from `/*` to `*/`."""
    OPEN = auto()
    """A bracket, `${`, or the beginning of a string."""
    CLOSE = auto()
    """The end of what the last one opened."""
    TEXT = auto()
    """Part of a string that stands for itself."""
    ESCAPE = auto()
    """Part of a string that stands for something else."""
    PATH = auto()
    """A path, up to its first interpolation."""
    SEARCH = auto()
    """A search path, `<...>`."""
    URL = auto()
    """A URL that is not in a string."""
    WORD = auto()
    """A name, a keyword or a number."""
    OPERATOR = auto()
    """Anything else."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an expression."""

    kind: Kind
    """What it is."""
    text: str
    """As it is written."""
    start: int
    """Offset of its first character."""
    depth: int
    """How many brackets and strings are open around it."""

    @property
    def end(self) -> int:
        """Offset behind its last character."""
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """`name = value;` in a set, or a name that is inherited."""

    name: str
    """Names joined with dots."""
    start: int
    """Offset of the name."""
    value: tuple[Token, ...]
    """Without comments; empty when it is inherited."""
    explained: bool
    """Whether a comment stands before it or in it."""


_CODE: Final = re.compile(
    r"""
    (?P<blank>\s+)
  | (?P<comment>\#[^\n]*|/\*.*?\*/)
  | (?P<url>[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9%/?:@&=+$,_.!~*'-]+)
  | (?P<search><[A-Za-z0-9._+-]+(?:/[A-Za-z0-9._+-]+)*>)
  | (?P<path>(?:~|[A-Za-z0-9._+-]*)(?:(?:/[A-Za-z0-9._+-]+)+/?|/(?=\$\{)))
  | (?P<word>[A-Za-z_][A-Za-z0-9_'-]*|[0-9]+(?:\.[0-9]+)?)
  | (?P<open>\$\{|[\[({]|"|'')
  | (?P<close>[\])}])
  | (?P<operator>\.\.\.|==|!=|<=|>=|&&|\|\||->|//|\+\+|\|>|<\||[-+*/<>!=;:,.?@])
    """,
    re.VERBOSE | re.DOTALL,
)
_STRING: Final = re.compile(
    r'(?P<close>")|(?P<open>\$\{)|(?P<escape>\\.)|(?P<text>(?:[^"\\$]|\$\$|\$(?!\{))+)', re.DOTALL
)
_INDENTED: Final = re.compile(
    r"(?P<escape>'''|''\$|''\\.)|(?P<close>'')|(?P<open>\$\{)"
    r"|(?P<text>(?:[^'$]|\$\$|\$(?!\{)|'(?!'))+)",
    re.DOTALL,
)
_MODES: Final = {'"': _STRING, "''": _INDENTED}
_CLOSING: Final = {"[": "]", "(": ")", "{": "}", "${": "}", '"': '"', "''": "''"}
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t"}


def tokens(file: str, text: str) -> tuple[Token, ...]:
    """Return the tokens of an expression.

    Args:
        file: Its name, for messages.
        text: The expression.

    Raises:
        InputError: it is not Nix; brackets and strings are balanced in whatever is returned.
    """
    found: list[Token] = []
    opened: list[Token] = []
    position = 0
    while position < len(text):
        mode = _MODES.get(opened[-1].text, _CODE) if opened else _CODE
        match = mode.match(text, position)
        if match is None or match.lastgroup is None:
            raise InputError("no token of Nix", where=Place.at(file, text, position))
        if match.lastgroup != "blank":
            kind = Kind(match.lastgroup)
            if kind is Kind.CLOSE and (not opened or _CLOSING[opened.pop().text] != match[0]):
                raise InputError("nothing is closed by it", where=Place.at(file, text, position))
            token = Token(kind, match[0], position, len(opened))
            found.append(token)
            if kind is Kind.OPEN:
                opened.append(token)
        position = match.end()
    if opened:
        raise InputError("it is never closed", where=Place.at(file, text, opened[-1].start))
    return tuple(found)


def inside(code: Sequence[Token], opening: int) -> tuple[Token, ...]:
    """Return what is between the opening token at an index and the one that closes it."""
    depth = code[opening].depth
    end = next(i for i in range(opening + 1, len(code)) if code[i].depth == depth)
    return tuple(code[opening + 1 : end])


def attributes(content: Sequence[Token]) -> Iterator[Attribute]:
    """Yield the attributes of a set.

    Args:
        content: What is between its braces.
    """
    part: list[Token] = []
    inner = 0  # semicolons that end no attribute: of `with`, `assert` and between `let` and `in`
    lets = 0
    for token in content:
        part.append(token)
        if token.depth != content[0].depth:
            continue
        if token.kind is Kind.WORD:
            lets += (token.text == "let") - (token.text == "in")
            inner += token.text in {"with", "assert"}
        elif token.text == ";" and token.kind is Kind.OPERATOR:
            if inner:
                inner -= 1
            elif not lets:
                yield from _attribute(part)
                part = []


def _attribute(part: Sequence[Token]) -> Iterator[Attribute]:
    code = [token for token in part if token.kind is not Kind.COMMENT][:-1]
    explained = len(code) + 1 < len(part)
    equals = next((i for i, t in enumerate(code) if t.text == "=" and t.kind is Kind.OPERATOR), 0)
    if equals:
        yield Attribute(
            name="".join(token.text for token in code[:equals] if token.text != '"'),
            start=code[0].start,
            value=tuple(code[equals + 1 :]),
            explained=explained,
        )
        return
    for token in code[1:]:  # behind `inherit`
        if token.kind is Kind.WORD and token.depth == code[0].depth:
            yield Attribute(name=token.text, start=token.start, value=(), explained=explained)


def literal(value: Sequence[Token]) -> str | None:
    """Return what a string stands for; None if the value is no string or has interpolations.

    The margin of a string between `''` is kept.
    """
    if len(value) < 2 or value[0].text not in _MODES or value[0].kind is not Kind.OPEN:
        return None
    pieces = value[1:-1]
    if any(piece.kind not in {Kind.TEXT, Kind.ESCAPE} for piece in pieces):
        return None
    return "".join(p.text if p.kind is Kind.TEXT else _unescaped(p.text) for p in pieces)


def _unescaped(escape: str) -> str:
    if escape == "'''":
        return "''"
    return _ESCAPED.get(escape[-1], escape[-1]) if "\\" in escape else "$"


def without_texts(text: str, code: Sequence[Token]) -> str:
    """Return the expression, of equal length, with `_` for texts in strings and `#` for comments.

    Line ends stay, so that offsets and lines are those of the expression itself.
    """
    pieces: list[str] = []
    position = 0
    for token in code:
        if token.kind in {Kind.TEXT, Kind.ESCAPE, Kind.COMMENT}:
            filler = "#" if token.kind is Kind.COMMENT else "_"
            pieces += (text[position : token.start], re.sub(r"[^\n]", filler, token.text))
            position = token.end
    return "".join((*pieces, text[position:]))
