"""Stanzas of Debian's control files: text to fields and back, and nothing in between lines.

A value is its logical text: lines joined by line ends, without the space in front of continuation
lines, and an empty line where the file has ` .`. What `render` writes, `parse` reads as the same
value.

Sources: deb822(5), Debian Policy 5.1.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NAME: Final = re.compile(r"[!-9;-~]+")
# What some reader takes for the end of a line, or a terminal for a command; a tab is neither.
_CONTROL: Final = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def render(fields: Mapping[str, str]) -> str:
    """Return a stanza, each line with its end, without the empty line between stanzas.

    Spaces at the end of lines and at the start of a value mean nothing and are left out.

    Args:
        fields: Names and logical values, in the order of the stanza.

    Raises:
        InputError: a name is none, or two differ in capitals only; a value holds a control
            character or, as a line of its own, the full stop that stands for an empty line.
    """
    if len({name.lower() for name in fields}) < len(fields):
        raise InputError(f"a field occurs twice among {', '.join(fields)}")
    return "".join(_field(name, value) for name, value in fields.items())


def _field(name: str, value: str) -> str:
    if not _NAME.fullmatch(name) or name[0] in "#-":
        raise InputError(f"{name!r} cannot be the name of a field")
    if (found := _CONTROL.search(value)) is not None:
        raise InputError(f"the value holds the control character {found[0]!r}", where=name)
    first, *others = (line.rstrip(" \t") for line in value.strip(" \t").split("\n"))
    if "." in others:
        raise InputError(
            "a line holds a full stop only, which stands for an empty line", where=name
        )
    lines = [f"{name}: {first}" if first else f"{name}:", *(f" {line or '.'}" for line in others)]
    return "".join(f"{line}\n" for line in lines)


def parse(text: str, where: str) -> Iterator[dict[str, str]]:
    """Yield the stanzas of a text, each with the names as they are written.

    Comments are not allowed; empty lines, also those of spaces, end a stanza.

    Args:
        text: The text; its lines end with a line feed.
        where: Its name, for errors.

    Raises:
        InputError: a line is neither a field nor its continuation, a field occurs twice in a
            stanza, in whatever capitals, or the text holds a control character.
    """
    if (found := _CONTROL.search(text)) is not None:
        place = Place.at(where, text, found.start())
        raise InputError(f"the control character {found[0]!r} is not allowed", where=place)
    fields: dict[str, list[str]] = {}
    seen: set[str] = set()
    last: list[str] | None = None
    offset = 0
    for line in text.split("\n"):
        content = line.rstrip(" \t")
        if not content:
            if fields:
                yield {name: "\n".join(lines) for name, lines in fields.items()}
            fields, seen, last = {}, set(), None
        elif content[0] in " \t":
            if last is None:
                raise InputError("a continuation of nothing", where=Place.at(where, text, offset))
            last.append("" if content[1:] == "." else content[1:])
        else:
            name, colon, value = content.partition(":")
            if not colon or not _NAME.fullmatch(name) or name[0] in "#-":
                raise InputError("not a field", where=Place.at(where, text, offset))
            if name.lower() in seen:
                place = Place.at(where, text, offset)
                raise InputError(f"the field {name} occurs twice", where=place)
            seen.add(name.lower())
            last = fields[name] = [value.strip(" \t")]
        offset += len(line) + 1
    if fields:
        yield {name: "\n".join(lines) for name, lines in fields.items()}
