"""The values of the opam file syntax.

A string is a `str`, a list a `tuple`, a truth value a `bool`, a number an `int`; everything else
has a class of its own here. Values carry no positions, so that equal texts give equal values and
a parser may share them; an error finds its place again through the offset of the field.

Source: ocaml/opam-file-format `src/opamParserTypes.mli`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Ident:
    """A bare word such as `os`, `with-test`, `ocaml:native` or `a+b:enable`."""

    name: str
    """The word as written."""


@dataclass(frozen=True, slots=True)
class Group:
    """Values between round brackets."""

    values: tuple[Value, ...]
    """The values in their order; usually one."""


@dataclass(frozen=True, slots=True)
class Option:
    """A value followed by values in braces, e.g. `"dune" {>= "2.0"}`."""

    value: Value
    """What stands before the braces."""
    options: tuple[Value, ...]
    """What stands between the braces; may be empty."""


@dataclass(frozen=True, slots=True)
class Relop:
    """A comparison of two atoms, e.g. `os = "linux"`."""

    op: str
    """One of `= != < > <= >= ~ !~`."""
    left: Value
    """The left atom."""
    right: Value
    """The right atom."""


@dataclass(frozen=True, slots=True)
class PrefixRelop:
    """A comparison whose left side is understood, e.g. `>= "2.0"`."""

    op: str
    """One of `= != < > <= >= ~ !~`."""
    right: Value
    """The right atom."""


@dataclass(frozen=True, slots=True)
class Logop:
    """Two values joined by `&` or `|`."""

    op: str
    """`&` or `|`."""
    left: Value
    """The left value."""
    right: Value
    """The right value."""


@dataclass(frozen=True, slots=True)
class PrefixOp:
    """A value behind `!` (not) or `?` (is defined)."""

    op: str
    """`!` or `?`."""
    value: Value
    """What it stands before."""


@dataclass(frozen=True, slots=True)
class EnvUpdate:
    """An environment update, e.g. `PATH += "bin"`."""

    name: Value
    """The variable: an `Ident`, or a string."""
    op: str
    """One of `= += =+ := =: =+=`; plain `=` is parsed as `Relop`, as opam does."""
    value: Value
    """The right atom."""


Value: TypeAlias = (
    "str | bool | int | Ident | tuple[Value, ...] | Group | Option | Relop | PrefixRelop | Logop"
    " | PrefixOp | EnvUpdate"
)


@dataclass(frozen=True, slots=True)
class Field:
    """`name: value`."""

    name: str
    """The word before the colon."""
    value: Value
    """What stands behind it."""
    offset: int
    """Where the field starts in the text, in characters."""


@dataclass(frozen=True, slots=True)
class Section:
    """`kind { items }` or `kind "name" { items }`."""

    kind: str
    """The word before the braces, e.g. `package` or `url`."""
    name: str | None
    """The string before the braces."""
    items: tuple[Field | Section, ...]
    """The content in its order."""
    offset: int
    """Where the section starts in the text, in characters."""


@dataclass(frozen=True, slots=True)
class OpamFile:
    """A whole opam file."""

    file: str
    """Name of the text, for messages."""
    text: str
    """The text itself."""
    items: tuple[Field | Section, ...]
    """The content in its order."""
