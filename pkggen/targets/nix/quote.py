"""The only place that escapes for Nix.

Whatever these functions return is marked as `Nix`; templates print nothing else (`finalize`).

Source: NixOS/nix `src/libexpr/lexer.l` (strings, identifiers, paths, comments) and
`src/libstore/path.cc` (`checkName`: names in the store); layout of lists as NixOS/nixfmt prints it.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final

from pkggen import templating
from pkggen.errors import InputError, raise_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import PurePosixPath

_ESCAPES: Final = re.compile(r'[\\"\n\r\t]|\$(?=\{)')
_ESCAPED: Final = {
    "\\": r"\\",
    '"': r"\"",
    "$": r"\$",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
}
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_'-]*")
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")

KEYWORDS: Final = frozenset(
    {"assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with"}
)
"""Words that are no identifiers."""


class Nix(str):
    """Text of the Nix language, safe to print where it was made for."""

    __slots__ = ()


finalize: Final = templating.only("Nix", Nix)
"""Lets only marked text through."""


def string(text: str) -> Nix:
    """Return a string literal between double quotes.

    Raises:
        InputError: the text holds a character that no Nix string can hold.
    """
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise InputError(
            f"{text!r} holds a NUL or an unpaired surrogate, which no Nix string can hold",
            hint="override the value in pkggen.yaml",
        )
    escaped = _ESCAPES.sub(lambda match: _ESCAPED[match[0]], text)
    return Nix(f'"{escaped}"')


def attribute(name: str) -> Nix:
    """Return the name of an attribute, between double quotes where it is no identifier.

    Raises:
        InputError: see `string`.
    """
    if _IDENTIFIER.fullmatch(name) and name not in KEYWORDS:
        return Nix(name)
    return string(name)


def shell(words: str) -> Nix:
    """Return words of a shell command in an indented string, which nothing there interprets.

    Raises:
        InputError: they hold other characters than letters, digits, blanks and `_+.~/-`.
    """
    if not re.fullmatch(r"[A-Za-z0-9_+.~/ -]*", words):
        raise InputError(f"{words!r} cannot be used in a Nix package")
    return Nix(words)


def script(words: str) -> Nix:
    """Return words quoted for a shell, in an indented string, which leaves them as they are.

    Raises:
        InputError: they hold what ends or interpolates such a string, or an end of a line.
    """
    if "''" in words or "${" in words or not words.isprintable():
        raise InputError(f"{words!r} cannot be used in a script of a Nix package")
    return Nix(words)


def shell_pattern(pattern: str) -> Nix:
    """Return a pattern of relative paths for a shell in an indented string.

    Raises:
        InputError: it holds other characters than letters, digits and `_+.*/-`, or leads upwards.
    """
    if not re.fullmatch(r"[A-Za-z0-9_+.*-]+(/[A-Za-z0-9_+.*-]+)*", pattern) or (
        ".." in pattern.split("/")
    ):
        raise InputError(f"the pattern {pattern!r} cannot be used in a Nix package")
    return Nix(pattern)


def number(value: int) -> Nix:
    """Return a natural number."""
    if value < 0:
        raise ValueError(f"not a natural number: {value}")
    return Nix(str(value))


def file_name(name: str) -> Nix:
    """Return a file name that is safe unquoted in a path, in a string and in a shell command.

    Raises:
        InputError: it is not.
    """
    raise_all(file_name_faults(name))
    return Nix(name)


def file_name_faults(name: str) -> Iterator[InputError]:
    """Yield an error if `file_name` would refuse the name."""
    if not _FILE_NAME.fullmatch(name):
        yield InputError(
            f"the file name {name!r} cannot be used in the Nix store",
            hint="it may hold letters, digits, `.`, `_` and `-`, must begin with a letter or digit,"
            " and be at most 200 characters long",
        )


def path(relative: PurePosixPath) -> Nix:
    """Return a relative path of file names, safe where `file_name` is.

    Raises:
        InputError: a part of it is no such name.
    """
    return Nix("/".join(map(file_name, relative.parts)))


def sri(digest: str, algorithm: str = "sha256") -> Nix:
    """Return the string literal of a hash as `fetchurl` takes it.

    Args:
        digest: Hexadecimal digits.
        algorithm: `sha256` or `sha512`.
    """
    return string(f"{algorithm}-{base64.b64encode(bytes.fromhex(digest)).decode()}")


def listing(items: Sequence[Nix], *, indent: int) -> Nix:
    """Return a list: inline up to one element, else one element per line.

    Args:
        items: The elements.
        indent: Column of the line that the list begins on, in spaces.
    """
    if len(items) <= 1:
        return Nix(f"[ {''.join(f'{item} ' for item in items)}]")
    margin = " " * indent
    return Nix("\n".join(["[", *(f"{margin}  {item}" for item in items), f"{margin}]"]))


def comment(text: str) -> Nix:
    """Return a comment on one line, which nothing can end before its end.

    Everything invisible, such as line ends and bidirectional controls, becomes U+FFFD.
    """
    return Nix("# " + "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))
