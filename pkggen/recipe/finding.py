"""What linters of packages read and report, the same for every target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pkggen.errors import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What lies at a path."""

    data: bytes | None = None
    """Content of a text; None for whatever else, which no rule reads."""
    executable: bool = False
    """Whether its owner may execute it."""
    link: str | None = None
    """Target of a symbolic link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A breach of a rule; each target has its own rules."""

    sources: ClassVar[Mapping[str, str]] = {}
    """Names of the target's rules and who made them."""

    path: PurePosixPath
    """The file, relative to the directory that was looked at."""
    line: int = 1
    """From 1."""
    column: int = 1
    """From 1, in characters."""
    rule: str
    """A key of `sources`."""
    message: str
    """What is wrong, in one sentence without a final full stop."""

    @property
    def source(self) -> str:
        """Who made the rule."""
        return self.sources[self.rule]

    def key(self) -> tuple[PurePosixPath, int, int, str]:
        """Return what breaches are sorted by."""
        return self.path, self.line, self.column, self.rule

    def __str__(self) -> str:
        text = f"{self.path}:{self.line}:{self.column} {self.rule} {self.message}"
        return printable(f"{text} ({self.source})".replace("\n", " "))
