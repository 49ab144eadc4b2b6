"""What can go wrong, where it went wrong, and what to do next.

Every error that a user can cause or meet is a `PkggenError`; its class decides the exit code of
the command line:

    2  usage            the command line or its combination of options is wrong
    3  bad input        a record, configuration or existing output is not acceptable
    4  verification     bytes do not have the recorded hash
    5  download         a server or the network failed
    6  external tool    a program that pkggen runs failed
    70 bug              anything else; please report it
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

BUG_EXIT_CODE: Final = 70

_EXCERPT_WIDTH: Final = 96


def printable(text: str) -> str:
    """Return text that cannot steer a terminal: control characters are escaped, line ends kept."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a text, for error messages."""

    file: str
    """Name of the text: a path, a URL, or a member of an archive."""
    line: int
    """Line number, from 1."""
    column: int
    """Column in characters, from 1."""
    excerpt: str
    """The line itself, without its end."""

    @classmethod
    def at(cls, file: str, text: str, offset: int) -> Place:
        """Return the place of the character at `offset` (from 0) of `text`."""
        start = text.rfind("\n", 0, offset) + 1
        end = text.find("\n", offset)
        return cls(
            file=file,
            line=text.count("\n", 0, start) + 1,
            column=offset - start + 1,
            excerpt=text[start:] if end < 0 else text[start:end],
        )

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def marked(self) -> str:
        """Return the line with a caret under the column; long lines are cut around it."""
        first = max(0, self.column - 1 - _EXCERPT_WIDTH // 2)
        cut = self.excerpt[first : first + _EXCERPT_WIDTH]
        shown = "".join(c if c.isprintable() else "·" for c in cut)
        return f"  {shown}\n  {' ' * (self.column - 1 - first)}^"


class PkggenError(Exception):
    """An error to be shown to the user: what, where, and what to do next."""

    exit_code: ClassVar[int] = BUG_EXIT_CODE

    def __init__(
        self, message: str, *, where: Place | str | None = None, hint: str | None = None
    ) -> None:
        """Keep the parts of the message.

        Args:
            message: What is wrong, in one sentence without a final full stop.
            where: Place in a text, or the name of the file, URL or package.
            hint: What to do next.
        """
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        """Return the message with its place, caret and hint, over several lines."""
        lines = [self.message if self.where is None else f"{self.where}: {self.message}"]
        if isinstance(self.where, Place):
            lines.append(self.where.marked())
        if self.hint is not None:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class UsageError(PkggenError):
    """The command line is wrong."""

    exit_code = 2


class InputError(PkggenError):
    """A record, a configuration or an existing file is not acceptable."""

    exit_code = 3


class VerificationError(PkggenError):
    """Bytes do not have the hash that was recorded for them."""

    exit_code = 4


class DownloadError(PkggenError):
    """A server did not give what it should have given."""

    exit_code = 5


class ToolError(PkggenError):
    """A program that pkggen ran failed."""

    exit_code = 6


class Faults(PkggenError):  # noqa: N818 - it is many errors, not one
    """Several errors found in one pass and reported together."""

    def __init__(self, faults: Iterable[PkggenError]) -> None:
        """Keep at least one fault; the exit code is that of the first."""
        self.faults = tuple(faults)
        super().__init__("; ".join(fault.message for fault in self.faults))

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """Exit code of the first fault."""
        return self.faults[0].exit_code

    def __str__(self) -> str:
        """Return all faults, one after the other."""
        return "\n".join(str(fault) for fault in self.faults)


def raise_all(faults: Iterable[PkggenError]) -> None:
    """Raise nothing, the single fault, or all of them as `Faults`."""
    found = tuple(faults)
    if len(found) == 1:
        raise found[0]
    if found:
        raise Faults(found)
