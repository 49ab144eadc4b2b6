"""Which dependencies of a package count, when the set of installed packages is fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkggen.errors import InputError
from pkggen.opam.filter import evaluate
from pkggen.opam.package import AllOf, AnyOf, Dependency
from pkggen.opam.values import Group, Logop, PrefixRelop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pkggen.opam.filter import Scope
    from pkggen.opam.package import Formula
    from pkggen.opam.values import Value


def dependency_names(formula: Formula, scope: Scope) -> Iterator[str]:
    """Yield the names in a formula whose conditions can hold.

    Versions and alternatives are not looked at: what is installed has satisfied them.

    Args:
        formula: `depends` or `depopts` of a package.
        scope: Known variables, such as `with-test`; what is undefined may be true.
    """
    match formula:
        case Dependency(name, condition):
            if condition is None or _may_hold(condition, scope):
                yield name
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from dependency_names(part, scope)


def _may_hold(condition: Value, scope: Scope) -> bool:
    match condition:
        case Logop("&", left, right):
            return _may_hold(left, scope) and _may_hold(right, scope)
        case Logop("|", left, right):
            return _may_hold(left, scope) or _may_hold(right, scope)
        case PrefixRelop():
            return True
        case Group(values):
            return all(_may_hold(value, scope) for value in values)
    try:
        return evaluate(condition, scope) is not False
    except InputError:  # a negated version bound, or a variable that only opam can compute
        return True
