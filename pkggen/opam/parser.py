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
_RELOP_STARTS: Final = ("=", "!", "<", ">", "~")
_ENDS: Final = ("]", "}", ")", "")

_FLAT_OPTION: Final = rf'\{{(?:[^{{}}"#\\\r]++|{PLAIN_STRING})*+\}}'
_FLAT_LIST: Final = rf'\[(?:[^][{{}}"#\\\r]++|{PLAIN_STRING}|{_FLAT_OPTION})*+\]'

_element = re.compile(
    rf"((?:{PLAIN_STRING}|{IDENT}|{_FLAT_LIST})(?>[ \n]*+{_FLAT_OPTION})?+){SKIP}"
    r'(?=["[\])}A-Za-z])'
).match
_item = re.compile(
    rf'({IDENT}){SKIP}(?::(?!=){SKIP}(?>"([^"\\\r]*+)"{SKIP}(?=[A-Za-z0-9_}}-]|\Z))?+'
    rf"|(?P<section>(?>{PLAIN_STRING})?+){SKIP}\{{{SKIP})"
).match
_odd_section = re.compile(rf'({IDENT}){SKIP}(?=")').match


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
    """The text, and the elements that were parsed before.

    Each position is that of a token: whatever reads a token reads the blanks behind it too.
    """

    __slots__ = ("file", "known", "original", "text")

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.original = text
        if (nul := text.find("\0")) >= 0:
            raise self.error(nul, "this is a NUL byte, not opam text")
        self.text = lexer.without_comments(file, text)
        self.known: dict[str, Value] = {}

    def error(self, offset: int, message: str, hint: str | None = None) -> InputError:
        place = Place.at(self.file, self.original, offset)
        return InputError(message, where=place, hint=hint or lexer.ADVICE)

    def unexpected(self, position: int, wanted: str) -> InputError:
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
        items, position = self.items(self.skip(0), 0)
        if position < len(self.text):
            raise self.unexpected(position, "a field `name:` or a section `name {`")
        return items

    def single_value(self) -> Value:
        value, position = self.value(self.skip(0), 0)
        if position < len(self.text):
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
                offset = position
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
                name, offset = found[1], position
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
            op = self.text[position : position + 1]
            if op != "&":
                alternatives = (
                    conjunction if alternatives is None else Logop("|", alternatives, conjunction)
                )
                conjunction = None
                if op != "|":
                    return alternatives, position
            position = self.skip(position + 1)
            if (chain := chain + 1) > MAX_DEPTH:
                raise self.too_deep(position)

    def operand(self, position: int, depth: int) -> tuple[Value, int]:
        """( "!" | "?" ) operand, or primary { "{" value* "}" }."""
        text = self.text
        op = text[position : position + 1]
        if op == "?" or (op == "!" and not text.startswith(("!=", "!~"), position)):
            if depth > MAX_DEPTH:
                raise self.too_deep(position)
            value, position = self.operand(self.skip(position + 1), depth + 1)
            return PrefixOp(op, value), position
        value, position = self.primary(position, depth)
        while text.startswith("{", position):
            options, position = self.values(position, "}", depth + 1)
            value = Option(value, options)
            if (depth := depth + 1) > MAX_DEPTH:
                raise self.too_deep(position)
        return value, position

    def primary(self, position: int, depth: int) -> tuple[Value, int]:
        text = self.text
        first = text[position : position + 1]
        if first == "[":
            return self.values(position, "]", depth + 1)
        if first == "(":
            values, position = self.values(position, ")", depth + 1)
            return Group(values), position
        if first in _RELOP_STARTS and (op := lexer.operator(text, position)) is not None:
            relop, envop = op.groups()
            if envop is not None:
                raise self.unexpected(position, "a value")
            right, position = self.atom(op.end())
            return PrefixRelop(relop, right), position
        left, position = self.atom(position)
        if (op := lexer.operator(text, position)) is None:
            return left, position
        relop, envop = op.groups()
        right, position = self.atom(op.end())
        if relop is not None:
            return Relop(relop, left, right), position
        return EnvUpdate(left, envop, right), position

    def values(self, position: int, closing: str, depth: int) -> tuple[tuple[Value, ...], int]:
        """The values between the bracket at the position and its closing bracket."""
        if depth > MAX_DEPTH:
            raise self.too_deep(position)
        text, known = self.text, self.known
        values: list[Value] = []
        position = self.skip(position + 1)
        while True:
            if (element := _element(text, position)) is not None:
                key = element[1]
                value = known.get(key)
                if value is None:
                    value, _ = self.operand(position, depth)
                    known[key] = value
                position = element.end()
            elif text.startswith(closing, position):
                return tuple(values), self.skip(position + 1)
            elif text[position : position + 1] in _ENDS:
                raise self.unexpected(position, f"`{closing}`")
            else:
                value, position = self.value(position, depth)
            values.append(value)

    def atom(self, position: int) -> tuple[Value, int]:
        text = self.text
        if (found := lexer.atom(text, position)) is None:
            if text.startswith('"', position):
                return self.string(position)
            raise self.unexpected(position, "a value")
        plain, name, digits = found.groups()
        if plain is not None:
            return plain, found.end()
        if digits is not None:
            return self.integer(position, digits), found.end()
        if name == "_":
            raise self.unexpected(position, "a value")
        return name == "true" if name in ("true", "false") else Ident(name), found.end()

    def integer(self, position: int, digits: str) -> int:
        digits = digits.replace("_", "")
        # int() refuses more than 4300 digits.
        if len(digits) > 4300 or int(digits) not in INTEGERS:
            raise self.error(position, "this number is too large for opam")
        return int(digits)

    def string(self, position: int) -> tuple[str, int]:
        text = self.text
        match = lexer.long_string if text.startswith('"""', position) else lexer.short_string
        found = match(text, position)
        if found is None:
            raise self.error(position, "the string that starts here has no end")
        return lexer.unescape(self.file, self.original, found.start(1), found[1]), found.end()

    def closing(self, position: int, bracket: str) -> int:
        """Step over a bracket that must come now."""
        if not self.text.startswith(bracket, position):
            raise self.unexpected(position, f"`{bracket}`")
        return self.skip(position + 1)

    def too_deep(self, position: int) -> InputError:
        return self.error(position, f"this is nested deeper than {MAX_DEPTH} levels")
