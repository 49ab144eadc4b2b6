"""The only place that escapes for the languages of a `debian/` directory.

Whatever these functions return is marked as `Deb`; templates print nothing else (`finalize`). What
goes into control files is escaped by `deb822`, shell by `recipe.shell`.

Sources: GNU make manual, 3.1 (comments and their ends); systemd.unit(5) (specifiers) and
systemd.syntax(7) (lines); Debian Policy 4.4 (changelogs).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pkggen import templating
from pkggen.errors import InputError
from pkggen.recipe.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORD: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+.~:@=,/-]*")
_SETTING: Final = re.compile(r"[A-Za-z0-9_+.:@=,/${}-]*")
# At its start, programs take a hyphen for an option, and shells a tilde for a home.
_PATH: Final = re.compile(r"(?![~-])[A-Za-z0-9_+.~-]+(/[A-Za-z0-9_+.~-]+)*")


class Deb(str):
    """Text that is safe to print where it was made for."""

    __slots__ = ()


finalize: Final = templating.only("Debian", Deb, Shell)
"""Lets only marked text through."""


def word(text: str) -> Deb:
    """Return a word that means itself in make, shells, units and lists of files.

    Raises:
        InputError: it holds other characters than letters, digits and `_+.~:@=,/-`.
    """
    if not _WORD.fullmatch(text):
        raise InputError(
            f"{text!r} cannot be used in a Debian package",
            hint="letters, digits and `_+.~:@=,/-` can",
        )
    return Deb(text)


def path(text: str) -> Deb:
    """Return a relative path that debhelper, make and shells read as it is.

    Raises:
        InputError: it holds characters that one of them would interpret, or leads elsewhere.
    """
    if not _PATH.fullmatch(text) or {".", ".."} & set(text.split("/")):
        raise InputError(
            f"the path {text!r} cannot be used in a Debian package",
            hint="it may hold letters, digits and `_+.~-` between its slashes",
        )
    return Deb(text)


def absolute(text: str) -> Deb:
    """Return an absolute path; see `path`."""
    return Deb(f"/{path(text.removeprefix('/'))}")


def recipe(command: Shell) -> Deb:
    """Return a shell command for a line of a recipe of make."""
    if "\n" in command:
        raise InputError(f"{command!r} is no single line")
    return Deb(command.replace("$", "$$"))


def unit(text: str) -> Deb:
    """Return the value of a setting of systemd that is one free text."""
    line = _line(text).rstrip("\\ ")
    return Deb(line.replace("%", "%%"))


def setting(text: str) -> Deb:
    """Return a word of a command or a value in a unit; `${NAME}` and `$NAME` stay variables.

    Raises:
        InputError: it holds characters that systemd would interpret.
    """
    if not _SETTING.fullmatch(text):
        raise InputError(f"{text!r} cannot be used in a unit")
    return Deb(text)


def comment(text: str) -> Deb:
    """Return a comment on one line, in any language where `#` begins one."""
    # At its end, make would take a backslash for the start of another line of it.
    return Deb(f"# {_line(text)}".rstrip("\\ "))


def uncommented(header: str) -> list[str]:
    """Return the texts of comments that `comments` made."""
    return [text.removeprefix("# ") for text in header.splitlines()]


def comments(texts: Iterable[str]) -> Deb:
    """Return one line of comment for each text."""
    return Deb("\n".join(map(comment, texts)))


def prose(text: str) -> Deb:
    """Return one line of a text that people read."""
    return Deb(_line(text))


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
