"""Parser of the opam file syntax.

    file     = { item }
    item     = IDENT ":" value | IDENT [ STRING ] "{" { item } "}"
    value    = operand { ( "|" | "&" ) operand }         "&" binds closer; both to the left
    operand  = ( "!" | "?" ) operand | primary { "{" { value } "}" }
    primary  = atom [ ( RELOP | ENVOP ) atom ] | RELOP atom | "(" { value } ")" | "[" { value } "]"
    atom     = IDENT | "true" | "false" | INT | STRING

Real exports repeat the same few elements thousands of times (`"ocaml" {>= "4.08"}`), so elements
of a list are looked up by their text before they are parsed: that is what makes this as fast as a
compiled parser. Values carry no positions, hence may be shared.

Source: ocaml/opam-file-format `src/opamBaseParser.mly` (2.1.5).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, Place
from pkggen.opam import lexer
from pkggen.opam.lexer import IDENT, PLAIN_STRING, SKIP
from pkggen.opam.values import (
    EnvUpdate,
    Field,
    Group,
    Ident,
    Logop,
    OpamFile,
    Option,
    PrefixOp,
    PrefixRelop,
    Relop,
    Section,
)

if TYPE_CHECKING:
    from pkggen.opam.values import Value

MAX_DEPTH: Final = 128
"""Deepest accepted nesting of brackets, operators and sections; real files stay below 10."""
INTEGERS: Final = range(-(2**62), 2**62)
"""opam's numbers are OCaml's 63-bit integers."""

_NO_NAMES: Final = ("_", "true", "false")

_FLAT_OPTION: Final = rf'\{{(?:[^{{}}"#\\\r]++|{PLAIN_STRING})*+\}}'
_FLAT_LIST: Final = rf'\[(?:[^][{{}}"#\\\r]++|{PLAIN_STRING}|{_FLAT_OPTION})*+\]'

_element = re.compile(
    rf"{SKIP}((?:{PLAIN_STRING}|{IDENT}|{_FLAT_LIST})(?:[ \n]*+{_FLAT_OPTION})?+)"
    r'(?=[ \n]*+["[\])}A-Za-z])'
).match
_item = re.compile(
    rf'{SKIP}({IDENT}){SKIP}(?::(?!=)(?:{SKIP}"([^"\\\r]*+)"(?=\s*+(?:[A-Za-z0-9_}}-]|\Z)))?+'
    rf"|(?P<section>(?:{PLAIN_STRING})?+){SKIP}\{{)"
).match
_odd_section = re.compile(rf'{SKIP}({IDENT}){SKIP}(?=")').match


def parse(text: str, file: str) -> OpamFile:
    """Parse a whole opam file or switch export.

    Args:
        text: The text, up to any size the caller accepts.
        file: Name of the text, for messages.

    Raises:
        InputError: with the place of the first character that cannot be understood.
    """
    return OpamFile(file=file, text=text, items=_Parser(file, text).file_items())


def parse_value(text: str, file: str = "value") -> Value:
    """Parse a single value, e.g. a filter.

    Raises:
        InputError: with the place of the first character that cannot be understood.
    """
    return _Parser(file, text).single_value()


class _Parser:
    """The text, and the elements that were parsed before."""

    __slots__ = ("file", "known", "original", "text")

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.original = text
        if (nul := text.find("\0")) >= 0:
            raise self.error(nul, "this is a NUL byte, not opam text")
        self.text = lexer.without_comments(file, text)
        self.known: dict[str, Value] = {}

    def error(self, offset: int, message: str, hint: str | None = None) -> InputError:
        return InputError(message, where=Place.at(self.file, self.original, offset), hint=hint)

    def unexpected(self, position: int, wanted: str) -> InputError:
        position = self.skip(position)
        if position >= len(self.text):
            return self.error(
                position, f"the text ends where {wanted} should be", hint="is the file complete?"
            )
        if self.text[position] == '"':
            return self.error(position, f"{wanted} should be here, or this string has no end")
        return self.error(position, f"{wanted} should be here")

    def skip(self, position: int) -> int:
        found = lexer.skip(self.text, position)
        return found.end() if found else position

    def file_items(self) -> tuple[Field | Section, ...]:
        items, position = self.items(0, 0)
        position = self.skip(position)
        if position < len(self.text):
            raise self.unexpected(position, "a field `name:` or a section `name {`")
        return items

    def single_value(self) -> Value:
        value, position = self.value(0, 0)
        if self.skip(position) < len(self.text):
            raise self.unexpected(position, "the end of the value")
        return value

    def items(self, position: int, depth: int) -> tuple[tuple[Field | Section, ...], int]:
        """item* up to what is no item."""
        if depth > MAX_DEPTH:
            raise self.too_deep(position)
        text = self.text
        items: list[Field | Section] = []
        while True:
            if (found := _item(text, position)) is not None:
                name, plain, section = found.groups()
                offset = found.start(1)
                if name in _NO_NAMES:
                    raise self.unexpected(position, "a name")
                position = found.end()
                if plain is not None:
                    items.append(Field(name, plain, offset))
                    continue
                if section is None:
                    value, position = self.value(position, depth + 1)
                    items.append(Field(name, value, offset))
                    continue
                section_name = section[1:-1] if section else None
            elif (found := _odd_section(text, position)) is not None:
                name, offset = found[1], found.start(1)
                if name in _NO_NAMES:
                    raise self.unexpected(position, "a name")
                section_name, position = self.string(found.end())
                position = self.closing(position, "{")
            else:
                return tuple(items), position
            content, position = self.items(position, depth + 1)
            position = self.closing(position, "}")
            items.append(Section(name, section_name, content, offset))

    def value(self, position: int, depth: int) -> tuple[Value, int]:
        """Alternatives of conjunctions of operands."""
        if depth > MAX_DEPTH:
            raise self.too_deep(position)
        alternatives: Value | None = None
        conjunction: Value | None = None
        chain = depth
        while True:
            operand, position = self.operand(position, depth + 1)
            conjunction = operand if conjunction is None else Logop("&", conjunction, operand)
            position = self.skip(position)
            op = self.text[position : position + 1]
            if op != "&":
                alternatives = (
                    conjunction if alternatives is None else Logop("|", alternatives, conjunction)
                )
                conjunction = None
                if op != "|":
                    return alternatives, position
            position += 1
            if (chain := chain + 1) > MAX_DEPTH:
                raise self.too_deep(position)

    def operand(self, position: int, depth: int) -> tuple[Value, int]:
        """( "!" | "?" ) operand, or primary { "{" value* "}" }."""
        text = self.text
        position = self.skip(position)
        op = text[position : position + 1]
        if op == "?" or (op == "!" and not text.startswith(("!=", "!~"), position)):
            if depth > MAX_DEPTH:
                raise self.too_deep(position)
            value, position = self.operand(position + 1, depth + 1)
            return PrefixOp(op, value), position
        value, position = self.primary(position, depth)
        while True:
            position = self.skip(position)
            if not text.startswith("{", position):
                return value, position
            options, position = self.values(position + 1, depth + 1)
            position = self.closing(position, "}")
            value = Option(value, options)
            if (depth := depth + 1) > MAX_DEPTH:
                raise self.too_deep(position)

    def primary(self, position: int, depth: int) -> tuple[Value, int]:
        text = self.text
        first = text[position : position + 1]
        if first == "[":
            values, position = self.values(position + 1, depth + 1)
            return values, self.closing(position, "]")
        if first == "(":
            values, position = self.values(position + 1, depth + 1)
            return Group(values), self.closing(position, ")")
        if (op := lexer.relop(text, position)) is not None:
            right, position = self.atom(op.end())
            return PrefixRelop(op[0], right), position
        left, position = self.atom(position)
        after = self.skip(position)
        if (op := lexer.relop(text, after)) is not None:
            right, position = self.atom(op.end())
            return Relop(op[0], left, right), position
        if (op := lexer.envop(text, after)) is not None:
            right, position = self.atom(op.end())
            return EnvUpdate(left, op[0], right), position
        return left, position

    def values(self, position: int, depth: int) -> tuple[tuple[Value, ...], int]:
        """value* up to a closing bracket."""
        if depth > MAX_DEPTH:
            raise self.too_deep(position)
        text, known = self.text, self.known
        values: list[Value] = []
        while True:
            if (element := _element(text, position)) is not None:
                key = element[1]
                value = known.get(key)
                if value is None:
                    value, _ = self.operand(element.start(1), depth)
                    known[key] = value
                values.append(value)
                position = element.end()
                continue
            position = self.skip(position)
            if text[position : position + 1] in ("]", "}", ")", ""):
                return tuple(values), position
            value, position = self.value(position, depth)
            values.append(value)

    def atom(self, position: int) -> tuple[Value, int]:
        text = self.text
        position = self.skip(position)
        if text.startswith('"', position):
            return self.string(position)
        if (word := lexer.ident(text, position)) is not None:
            name = word[0]
            if name in ("true", "false"):
                return name == "true", word.end()
            if name != "_":
                return Ident(name), word.end()
        elif (digits := lexer.integer(text, position)) is not None:
            # int() refuses more than 4300 digits.
            number = digits[0].replace("_", "")
            if len(number) <= 4300 and int(number) in INTEGERS:
                return int(number), digits.end()
            raise self.error(position, "this number is too large for opam")
        raise self.unexpected(position, "a value")

    def string(self, position: int) -> tuple[str, int]:
        text = self.text
        match = lexer.long_string if text.startswith('"""', position) else lexer.short_string
        found = match(text, position)
        if found is None:
            raise self.error(position, "the string that starts here has no end")
        return lexer.unescape(self.file, self.original, found.start(1), found[1]), found.end()

    def closing(self, position: int, bracket: str) -> int:
        """Step over a bracket that must come now."""
        position = self.skip(position)
        if not self.text.startswith(bracket, position):
            raise self.unexpected(position, f"`{bracket}`")
        return position + 1

    def too_deep(self, position: int) -> InputError:
        return self.error(position, f"this is nested deeper than {MAX_DEPTH} levels")
