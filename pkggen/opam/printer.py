"""Printer of the opam file syntax: parsing what it prints gives the same values again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pkggen.opam.values import (
    EnvUpdate,
    Field,
    Group,
    Ident,
    Logop,
    Option,
    PrefixOp,
    PrefixRelop,
    Relop,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pkggen.opam.values import Section, Value

_UNPRINTABLE: Final = re.compile(r'["\\\x00-\x08\x0b-\x1f\x7f]')


def print_items(items: Iterable[Field | Section], indent: str = "") -> str:
    """Return the text of a file or of a section's content, one item after the other."""
    lines: list[str] = []
    for item in items:
        if isinstance(item, Field):
            lines.append(f"{indent}{item.name}: {print_value(item.value)}\n")
        else:
            name = "" if item.name is None else f"{_string(item.name)} "
            lines += (
                f"{indent}{item.kind} {name}{{\n",
                print_items(item.items, indent + "  "),
                f"{indent}}}\n",
            )
    return "".join(lines)


def print_value(value: Value) -> str:  # noqa: C901, PLR0911 - one case a kind of value
    """Return the text of one value."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _string(value)
        case int():
            return str(value)
        case Ident(name):
            return name
        case tuple():
            return f"[{_values(value)}]"
        case Group(values):
            return f"({_values(values)})"
        case Option(inner, options):
            return f"{print_value(inner)} {{{_values(options)}}}"
        case Relop(op, left, right) | Logop(op, left, right) | EnvUpdate(left, op, right):
            return f"{print_value(left)} {op} {print_value(right)}"
        case PrefixRelop(op, right):
            return f"{op} {print_value(right)}"
        case PrefixOp(op, inner):
            printed = print_value(inner)
            # `!` and `= 1` are not `!= 1`.
            return f"{op} {printed}" if printed.startswith(("=", "~")) else f"{op}{printed}"


def _values(values: Iterable[Value]) -> str:
    return " ".join(map(print_value, values))


def _string(text: str) -> str:
    return '"' + _UNPRINTABLE.sub(_escape, text) + '"'


def _escape(character: re.Match[str]) -> str:
    return f"\\{character[0]}" if character[0] in '"\\' else f"\\x{ord(character[0]):02x}"
