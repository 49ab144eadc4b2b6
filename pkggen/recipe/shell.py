"""The only place that escapes for POSIX sh.

Whatever these functions return is marked as `Shell`; templates print nothing else (`finalize`).

Source: POSIX.1-2017, Shell Command Language, 2.2 Quoting.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pkggen import templating
from pkggen.errors import InputError
from pkggen.recipe.plan import Runtime
from pkggen.recipe.tool import HOLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pkggen.recipe.plan import Text

_PLAIN: Final = re.compile(r"[A-Za-z0-9_@%+,./:-][A-Za-z0-9_@%+=,./:-]*")


class Shell(str):
    """Text of the shell language, safe to print where it was made for."""

    __slots__ = ()


finalize: Final = templating.only("sh", Shell)
"""Lets only marked text through."""


def word(text: Text | str) -> Shell:
    """Return one word, its holes as variables in double quotes.

    Raises:
        InputError: the text holds NUL, which no argument can hold.
    """
    parts = (text,) if isinstance(text, str) else text
    return Shell("".join(map(_part, parts)) or "''")


def words(texts: Iterable[Text | str]) -> Shell:
    """Return words with blanks between them."""
    return Shell(" ".join(map(word, texts)))


def in_make(text: str, holes: Mapping[str, str]) -> Shell:
    """Return one word in a recipe of make.

    Args:
        text: The word; only its holes, such as `{jobs}`, are expanded by make.
        holes: What fills them: variables of make, whose values hold no single quote.

    Raises:
        InputError: nothing fills a hole.
    """
    parts = HOLE.split(text)
    if unknown := set(parts[1::2]) - holes.keys():
        raise InputError(f"nothing is known for {min(unknown)!r} here", where=text)
    if len(parts) == 3 and not parts[0] and not parts[2] and parts[1] == "make":
        return Shell(holes["make"])  # which may be a program with arguments
    if len(parts) == 1:
        return Shell(word(text).replace("$", "$$"))
    filled = (
        holes[part] if index % 2 else part.replace("'", "'\\''").replace("$", "$$")
        for index, part in enumerate(parts)
    )
    return Shell(f"'{''.join(filled)}'")


def in_script(text: str, holes: Mapping[str, Shell]) -> Shell:
    """Return one word of a script, its holes, such as `{jobs}`, filled.

    Args:
        text: The word.
        holes: What fills them, quoted.

    Raises:
        InputError: nothing fills a hole.
    """
    parts = HOLE.split(text)
    if unknown := set(parts[1::2]) - holes.keys():
        raise InputError(f"nothing is known for {min(unknown)!r} here", where=text)
    filled = (
        holes[part] if index % 2 else word(part) if part else "" for index, part in enumerate(parts)
    )
    return Shell("".join(filled) or "''")


def comment(text: str) -> Shell:
    """Return a comment on one line; what is invisible becomes U+FFFD."""
    return Shell(
        "# " + "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    )


def here_document_line(text: Text) -> Shell:
    """Return a line of a here-document whose delimiter is not quoted.

    Raises:
        InputError: the text holds NUL or the end of a line.
    """
    if any("\0" in part or "\n" in part for part in text if isinstance(part, str)):
        raise InputError(f"{text!r} is no single line")
    return Shell(
        "".join(
            f"${part.value}" if isinstance(part, Runtime) else re.sub(r"[$`\\]", r"\\\g<0>", part)
            for part in text
        )
    )


def assignment(name: str, op: str, value: Text) -> Shell:
    """Return a command that updates a variable of the environment as opam's operators say.

    Args:
        name: Variable, `[A-Za-z_][A-Za-z0-9_]*`.
        op: One of `= += =+ := =: =+=`.
        value: What is set, prepended or appended.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise InputError(f"{name!r} is no name of an environment variable")
    new = word(value)
    forms = {
        "=": new,
        "+=": f'{new}"${{{name}:+:${name}}}"',
        "=+=": f'{new}"${{{name}:+:${name}}}"',
        "=+": f'"${{{name}:+${name}:}}"{new}',
        ":=": f'{new}:"${{{name}-}}"',
        "=:": f'"${{{name}-}}":{new}',
    }
    return Shell(f"export {name}={forms[op]}")


def _part(part: str | Runtime) -> str:
    if isinstance(part, Runtime):
        return f'"${part.value}"'
    if "\0" in part:
        raise InputError(f"{part!r} holds NUL, which no argument can hold")
    if _PLAIN.fullmatch(part):
        return part
    return "'" + part.replace("'", "'\\''") + "'"
