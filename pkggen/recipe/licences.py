"""The licences of what is linked into an image, as one SPDX expression.

The identifiers are SPDX's own, as license-expression ships them, deprecated ones of the GNU
licences included (`GPL-2.0` is read as `GPL-2.0-only`, `GPL-2.0+` as `GPL-2.0-or-later`). Its other
aliases are guesses (it takes `GPL` for `GPL-1.0-or-later`) and are refused here, and so are
`LicenseRef-…` and `NOASSERTION`, which name no licence that a package could state. A `+` behind
another identifier (`CC0-1.0+`) is refused as well: it promises later versions under an identifier
that nobody has defined.

Source: SPDX specification 2.3, annex D (expressions) and the SPDX licence list.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from pkggen.errors import InputError
from pkggen.recipe.model import Licences, LicenceTerm

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from license_expression import LicenseExpression, Licensing

    from pkggen.recipe.linked import LinkedPart

_ADVICE: Final = (
    "sources that `pkggen fetch` has got may state theirs; put the others into pkggen.yaml:"
)
_MAX_CHARACTERS: Final = 1000
_DEPRECATED_GNU: Final = re.compile(r"(GPL|LGPL|AGPL|GFDL)-[0-9]\.[0-9]\+?")
_PLAIN_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9+._-]*")
_YAML_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_URL: Final = re.compile(r"[!-~]{1,200}")


def all_of(expressions: Iterable[str]) -> Licences:
    """Return the licences of something to which all of the SPDX expressions apply.

    Equal parts are named once and in alphabetic order: `MIT AND ISC` and `mit` give
    `ISC AND MIT`. A choice stays a choice, also next to one of its members.

    Args:
        expressions: At least one SPDX expression, in any case of letters.

    Raises:
        InputError: one of them is no SPDX expression.
    """
    operands = {str(operand): operand for text in expressions for operand in _operands(text)}
    if not operands:
        raise InputError("there is no licence")
    licensing = _licensing()
    symbols = {
        symbol
        for operand in operands.values()
        for symbol in licensing.license_symbols(operand, decompose=False)
    }
    return Licences(
        expression=" AND ".join(
            f"({text})" if len(operands) > 1 and isinstance(operands[text], licensing.OR) else text
            for text in sorted(operands)
        ),
        terms=tuple(LicenceTerm(*text.split(" WITH ")) for text in sorted(map(str, symbols))),
    )


def choices(licences: Licences) -> tuple[tuple[tuple[LicenceTerm, ...], ...], ...]:
    """Return the expression as what all holds: of each its alternatives, of these what they join.

    `A AND (B OR C AND D)` is `(((A,),), ((B,), (C, D)))`.

    Raises:
        InputError: the expression has a choice inside of a choice's part.
    """
    licensing = _licensing()

    def parts(expression: Any, joint: Any) -> tuple[Any, ...]:  # noqa: ANN401 - it has no types
        return tuple(expression.args) if isinstance(expression, joint) else (expression,)

    def term(expression: object) -> LicenceTerm:
        if isinstance(expression, licensing.OR | licensing.AND):
            raise InputError(
                f"the licence {licences.expression!r} is too deeply nested",
                hint="state one that is not in pkggen.yaml",
            )
        return LicenceTerm(*str(expression).split(" WITH "))

    return tuple(
        tuple(
            tuple(map(term, parts(alternative, licensing.AND)))
            for alternative in parts(operand, licensing.OR)
        )
        for operand in _operands(licences.expression)
    )


def image_licences(parts: Iterable[LinkedPart], stated: Mapping[str, str], job: str) -> Licences:
    """Return the union of the licences of everything that is linked into an image.

    Args:
        parts: What is linked in.
        stated: SPDX expression by name of a part; goes before what is recorded.
        job: Name of the job, for the hint.

    Raises:
        InputError: parts have no licence or none that SPDX knows; the hint is a text for
            pkggen.yaml with a line for each of them.
    """
    texts: set[str] = set()
    unknown: dict[str, LinkedPart] = {}
    reasons = []
    for part in parts:
        found = (stated[part.name],) if part.name in stated else part.licences
        try:
            all_of(found)
        except InputError as error:
            unknown.setdefault(part.name, part)
            if found:
                reasons.append(f"{part.name}: {error.message}")
        texts.update(found)
    if unknown:
        silent = [_key(name) for name, part in unknown.items() if not part.licences]
        if silent:
            reasons.append(f"nothing is recorded for {', '.join(silent)}")
        raise InputError(
            f"the licence of {len(unknown)} linked-in part(s) is not known: {'; '.join(reasons)}",
            where=job,
            hint=_snippet(job, unknown.values()),
        )
    return all_of(texts)


def _operands(text: str) -> tuple[LicenseExpression, ...]:
    """Parse one SPDX expression into what its outermost ANDs join."""
    from license_expression import ExpressionError  # noqa: PLC0415 - 26 ms, for few commands

    if len(text) > _MAX_CHARACTERS:
        raise InputError(f"more than {_MAX_CHARACTERS} characters are no licence")
    try:
        parsed = _licensing().parse(text, validate=True, strict=True)
    except (ExpressionError, AssertionError, IndexError) as error:  # the latter for `()`, `( OR`
        raise InputError(f"{text!r} is not an SPDX expression") from error
    if parsed is None:
        raise InputError("it is empty")
    return tuple(_conjuncts(parsed))


def _conjuncts(expression: LicenseExpression) -> Iterator[LicenseExpression]:
    # AND is not simplified as a whole, because that drops `A OR B` next to `A`.
    both = _licensing().AND
    if not isinstance(expression, both):
        expression = expression.simplify()
    if isinstance(expression, both):
        for argument in expression.args:
            yield from _conjuncts(argument)
    else:
        yield expression


@cache
def _licensing() -> Licensing:
    """Return the parser, with SPDX's identifiers only."""
    from license_expression import (  # noqa: PLC0415 - 26 ms, for few commands
        LicenseSymbol,
        Licensing,
        get_license_index,
    )

    return Licensing(
        LicenseSymbol(
            licence["spdx_license_key"],
            aliases=tuple(filter(_DEPRECATED_GNU.fullmatch, licence["other_spdx_license_keys"])),
            is_exception=licence["is_exception"],
        )
        for licence in get_license_index()
        if not licence["is_deprecated"]
        and not (licence["spdx_license_key"] or "LicenseRef-").startswith("LicenseRef-")
    )


def _snippet(job: str, parts: Iterable[LinkedPart]) -> str:
    """Return the lines of pkggen.yaml in which the licences are to be filled in."""
    lines = [_ADVICE, "packages:"]
    lines += [f"  {_key(job)}:", "    licences:"]
    for part in parts:
        source = part.source is not None and _URL.fullmatch(part.source)
        lines.append(f"      {_key(part.name)}:{f'  # {part.source}' if source else ''}")
    return "\n".join(lines)


def _key(name: str) -> str:
    plain = _PLAIN_KEY.fullmatch(name) and name.lower() not in _YAML_WORDS
    return name if plain else json.dumps(name)
