"""What filters, conditions and `%{…}%` mean.

A filter is a value of the opam syntax that is true, false, a text, or undefined, which is None
here. Undefined spreads, except that `&` needs one false side only and `|` one true side.

Source: ocaml/opam `src/format/opamFilter.ml` (evaluation), `opamFormat.ml` (which values are
filters and conditions), `opamTypesBase.ml` (`filter_ident_of_string`) and
`src/state/opamPackageVar.ml` (where variables come from).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from pkggen.errors import InputError
from pkggen.opam.values import Group, Ident, Logop, PrefixOp, PrefixRelop, Relop
from pkggen.opam.version import OpamVersion, compare

if TYPE_CHECKING:
    from pkggen.opam.package import Argument, Command
    from pkggen.opam.values import Value

Variable: TypeAlias = bool | str | tuple[str, ...]
"""Content of a variable, as in opam's `variable_contents`."""

Scope: TypeAlias = Callable[[str | None, str], Variable | None]
"""Where variables are looked up: by package (None for a global one, `_` for the package itself)
and name. None means undefined."""

_ABSENT: Final[Mapping[str, Variable]] = {"installed": False, "pinned": False}

_PACKAGE_NAME: Final = re.compile(r"[0-9_+-]*[A-Za-z][A-Za-z0-9_+-]*")

# `string_interp_regex`: a `}` without `%` behind it does not end a variable, the end of line does.
_INTERPOLATION: Final = re.compile(r"%%|%\{(?:[^}\n]|\}[^%\n])*(?:\}%)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """A scope made of tables; it is called with a package and a variable name."""

    globals: Mapping[str, Variable]
    """Variables without a package, such as `os` and `prefix`."""
    packages: Mapping[str, Mapping[str, Variable]]
    """Variables of each installed package, `installed` and `version` among them."""
    itself: str | None
    """The package that `_` means, and whose variables need no prefix; None outside a package."""

    def __call__(self, package: str | None, variable: str) -> Variable | None:
        """Return the content of a variable, or None when it is undefined.

        Args:
            package: Name, `_` for the package itself, or None for a global variable. A name that
                no global variable has is looked up in the package itself, as in `%{version}%`.
            variable: Name of the variable.
        """
        if package is None and variable in self.globals:
            return self.globals[variable]
        name = self.itself if package in {None, "_"} else package
        return None if name is None else self.packages.get(name, _ABSENT).get(variable)


def evaluate(value: Value, scope: Scope) -> bool | str | None:
    """Return what a filter means: a truth value, a text, or None when it is undefined.

    Raises:
        InputError: The value is not a filter, or needs a variable that only opam can compute.
    """
    match value:
        case bool():
            return value
        case int() | str():
            return interpolate(str(value), scope)
        case Ident(name):
            content = _resolve(name, scope)
            if isinstance(content, str | tuple):
                return interpolate(_text(content), scope)
            return content
        case Group(values=() | (_,) as values):
            return evaluate(values[0], scope) if values else True
        case _:
            return _operation(value, scope)


def holds(condition: Value | None, scope: Scope) -> bool:
    """Say whether a filter is absent or true; undefined and other texts count as false.

    Raises:
        InputError: As for `evaluate`.
    """
    return condition is None or _truth(evaluate(condition, scope)) is True


def interpolate(text: str, scope: Scope) -> str:
    """Return `text` with `%{…}%` replaced, undefined variables by nothing, and `%%` by `%`.

    `%{variable?then:else}%` is cut at its last `:` and, before that, at its last `?`. A `%{` that
    is not closed on its line stays as it is, as in opam.

    Raises:
        InputError: A package name is malformed, or only opam can compute the variable.
    """

    def replacement(match: re.Match[str]) -> str:
        found = match[0]
        if found == "%%":
            return "%"
        if not found.endswith("}%"):
            return found
        content = _resolve(found[2:-2], scope)
        return "" if content is None else _text(content)

    return _INTERPOLATION.sub(replacement, text)


def expand_command(command: Command, scope: Scope) -> tuple[str, ...] | None:
    """Return the program and arguments of a command, or None when its filter drops it.

    A variable that stands alone becomes one argument, several when it is a list, and an empty one
    when it is undefined; only strings are interpolated.

    Raises:
        InputError: As for `evaluate` and `interpolate`.
    """
    if not holds(command.filter, scope):
        return None
    return tuple(word for part in command.arguments for word in _words(part, scope)) or None


def condition_holds(condition: Value | None, version: OpamVersion | None, scope: Scope) -> bool:
    """Say whether the condition of a dependency holds: versions and filters joined by `& | !`.

    Undefined filters count as false. As in opam, `!` turns each version constraint and each filter
    around, so that an undefined filter stays false.

    Args:
        condition: What stands in the braces; None when there is nothing.
        version: Version of the dependency; None counts every version constraint as true, which
            asks whether the filters alone keep the dependency.
        scope: Variables.

    Raises:
        InputError: As for `evaluate`; or a version bound has no value or is not a version.
    """
    return condition is None or _condition(condition, version, scope, negated=False)


def _condition(value: Value, version: OpamVersion | None, scope: Scope, *, negated: bool) -> bool:
    match value:
        case PrefixRelop():
            return version is None or _relates(version, value, scope) is not negated
        case PrefixOp("!", inner):
            return _condition(inner, version, scope, negated=not negated)
        case Group(values=()):
            return True
        case Group(values):
            parts = (_condition(part, version, scope, negated=negated) for part in values)
            return any(parts) if negated else all(parts)
        case Logop():
            first, rest = _operands(value)
            result = _condition(first, version, scope, negated=negated)
            for op, operand in rest:
                right = _condition(operand, version, scope, negated=negated)
                result = (result and right) if (op == "&") is not negated else (result or right)
            return result
        case _:
            return _truth(evaluate(value, scope)) is (not negated)


def _relates(version: OpamVersion, constraint: PrefixRelop, scope: Scope) -> bool:
    bound = evaluate(constraint.right, scope)
    if bound is None:
        raise InputError(
            f"the version bound {constraint.right} is undefined", hint="define the variable"
        )
    return version.satisfies(constraint.op, OpamVersion(_text(bound)))


def _operands(value: Logop) -> tuple[Value, list[tuple[str, Value]]]:
    # A chain of a thousand operands leans to the left; a loop does not exhaust the stack.
    rest: list[tuple[str, Value]] = []
    first: Value = value
    while isinstance(first, Logop):
        rest.append((first.op, first.right))
        first = first.left
    return first, rest[::-1]


def _operation(value: Value, scope: Scope) -> bool | str | None:
    match value:
        case Relop(op, left, right):
            return _comparison(op, evaluate(left, scope), evaluate(right, scope))
        case Logop():
            first, rest = _operands(value)
            result = evaluate(first, scope)
            for op, operand in rest:
                result = _junction(op, result, evaluate(operand, scope))
            return result
        case PrefixOp("!", inner):
            truth = _truth(evaluate(inner, scope))
            return None if truth is None else not truth
        case PrefixOp("?", inner):
            return evaluate(inner, scope) is not None
        case _:
            raise InputError(
                f"{type(value).__name__} is not a filter",
                hint="a filter has strings, variables, comparisons, & | ! ? and round brackets",
            )


def _comparison(op: str, left: Variable | None, right: Variable | None) -> bool | None:
    if left is None or right is None:
        return None
    return compare(op, _text(left), _text(right))


def _junction(op: str, left: Variable | None, right: Variable | None) -> bool | None:
    # Only a truth value decides alone: the text "false" & undefined is undefined (`logop2`).
    decisive = op == "|"
    if left is decisive or right is decisive:
        return decisive
    truths = _truth(left), _truth(right)
    if None in truths:
        return None
    return decisive if decisive in truths else not decisive


def _words(argument: Argument, scope: Scope) -> tuple[str, ...]:
    if not holds(argument.filter, scope):
        return ()
    if isinstance(argument.value, str):
        return (interpolate(argument.value, scope),)
    content = _resolve(argument.value.name, scope)
    if isinstance(content, tuple):
        return content
    return ("" if content is None else _text(content),)


def _resolve(word: str, scope: Scope) -> Variable | None:
    """Return the content of a variable as written in `%{…}%` or as a bare word."""
    packages, variable, branches = _split(word)
    if variable == "build-id":
        raise InputError(
            "the variable build-id is a hash that only opam can compute",
            hint="the package cannot be built without opam",
        )
    if packages and variable == "enable" and branches is None:
        variable, branches = "installed", ("enable", "disable")
    if len(packages) > 1:
        content: Variable | None = _conjunction(packages, variable, scope)
    else:
        content = scope(packages[0] if packages else None, variable)
    if branches is None:
        return content
    return branches[0] if _truth(content) is True else branches[1]


def _conjunction(packages: tuple[str, ...], variable: str, scope: Scope) -> bool | None:
    result: bool | None = True
    for package in packages:
        content = scope(package, variable)
        if content is not True:
            result = _truth(content)
        if result is False:
            break
    return result


def _split(word: str) -> tuple[tuple[str, ...], str, tuple[str, str] | None]:
    """Return packages, variable, and the texts for true and for anything else.

    word    = [ package { "+" package } ":" ] variable [ "?" then ":" else ]
            | "?" package ":" variable ":"           (since opam 2.2; the package may contain `+`)
    """
    head, colon, last = word.rpartition(":")
    if not colon:
        return (), word, None
    tested, question, then = head.rpartition("?")
    if not question:
        return _package_names(head.split("+")), last, None
    if tested:
        packages, _, variable = tested.rpartition(":")
        return _package_names(packages.split("+")), variable, (then, last)
    package, colon, variable = then.rpartition(":")
    return (_package_names([package]), variable, None) if colon else ((), last, None)


def _package_names(names: list[str]) -> tuple[str, ...]:
    for name in names:
        if name not in {"", "_"} and _PACKAGE_NAME.fullmatch(name) is None:
            raise InputError(f"{name!r} is not the name of an opam package")
    return tuple(filter(None, names))


def _truth(content: Variable | None) -> bool | None:
    if isinstance(content, tuple):
        content = content[0] if len(content) == 1 else None
    if isinstance(content, str):
        return {"true": True, "false": False}.get(content)
    return content


def _text(content: Variable) -> str:
    if isinstance(content, tuple):
        return " ".join(content)
    return str(content).lower() if isinstance(content, bool) else content
