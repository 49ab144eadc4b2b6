"""Versions of opam packages and their order.

Source: ocaml/opam `src/core/opamVersionCompare.ml` (order) and `src/format/opamPackage.ml`
(`Version.of_string`: characters). The order is Debian's without an epoch: a text is cut at its
last `-`, and both parts are compared as alternating runs of non-digits and digits.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from pkggen.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

VersionKey: TypeAlias = tuple[tuple[tuple[str, int, str], ...], tuple[tuple[str, int, str], ...]]

_ALLOWED: Final = re.compile(r"[A-Za-z0-9_+.~-]+")
_RUNS: Final = re.compile(r"([^0-9]*)([0-9]*)")

# A run of non-digits sorts `~` before its own end, the end before letters, letters before the
# rest. DEL is above every letter and below every character that is not ASCII.
_END: Final = "\x01"
_RANKS: Final = {
    code: "\x00" if char == "~" else f"\x7f{char}"
    for code, char in enumerate(map(chr, range(128)))
    if not char.isalnum()
}

_RELOPS: Final[dict[str, Callable[[VersionKey, VersionKey], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def version_key(text: str) -> VersionKey:
    """Return a key that sorts `text` as opam does; any text has one, as filters compare any text.

    Two texts that opam holds for equal, such as `1.0` and `1.00-0`, have the same key.
    """
    upstream, _, revision = text.rpartition("-") if "-" in text else (text, "", "")
    return _part_key(upstream), _part_key(revision)


def _part_key(part: str) -> tuple[tuple[str, int, str], ...]:
    # The last match is always empty; an empty part counts as the number 0.
    runs = _RUNS.findall(part)[:-1] or [("", "")]
    ranked = [(other.translate(_RANKS) + _END, digits.lstrip("0")) for other, digits in runs]
    # Digits are compared by length and text: int() refuses the length a hostile record may have.
    return (*((other, len(digits), digits) for other, digits in ranked), (_END, 0, ""))


def compare(op: str, left: str, right: str) -> bool:
    """Say whether `left op right` holds in opam's version order.

    Args:
        op: One of `= != < <= > >=`.
        left: Any text.
        right: Any text.

    Raises:
        InputError: opam's `~` and `!~`, which the syntax has and opam does not evaluate, or
            another operator.
    """
    relop = _RELOPS.get(op)
    if relop is None:
        raise InputError(
            f"the operator {op!r} does not compare versions", hint=f"use {' '.join(_RELOPS)}"
        )
    return relop(version_key(left), version_key(right))


@dataclass(frozen=True, slots=True, order=True)
class OpamVersion:
    """The version of an opam package.

    Equality is that of the order, as in opam's own sets and maps: `1.0` equals `1.00` and `1.0-0`
    and has the same hash. Compare `text` where the spelling matters.
    """

    text: str = field(compare=False)
    """The version as written."""
    _key: VersionKey = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the characters and keep the sort key.

        Raises:
            InputError: The text is empty or has a character that opam refuses.
        """
        if _ALLOWED.fullmatch(self.text) is None:
            raise InputError(
                f"{self.text!r} is not an opam version",
                hint="a version has ASCII letters, digits and the characters - _ + . ~ only",
            )
        object.__setattr__(self, "_key", version_key(self.text))

    def satisfies(self, op: str, other: OpamVersion) -> bool:
        """Say whether `self op other` holds.

        Args:
            op: One of `= != < <= > >=`.
            other: The bound.

        Raises:
            InputError: Another operator.
        """
        return compare(op, self.text, other.text)

    def __str__(self) -> str:
        """Return the version as written."""
        return self.text
