"""Whose rules `lint` knows, and what a breach of one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pkggen.recipe.finding import Breach

if TYPE_CHECKING:
    from collections.abc import Mapping

_RULES_OF: Final[Mapping[str, str]] = {
    "Porter's Handbook 15": "order blocks tabs sorted",
    "Porter's Handbook 5": "required version category comment maintainer groups list-file",
    "Porter's Handbook 5.7": "licence",
    "Porter's Handbook 6.26": "rc-script",
    "Porter's Handbook 8": "plist prefix",
    "portlint": "distinfo descr empty-file leftover include line-end final-newline"
    " trailing-blanks mode symbolic-link",
    "freebsd-ports UIDs and GIDs": "accounts",
    "freebsd-ports Mk/bsd.port.subdir.mk": "subdir",
}
RULES: Final[Mapping[str, str]] = {
    rule: source for source, rules in _RULES_OF.items() for rule in rules.split()
}
"""Names of the rules and who made them."""


class Finding(Breach):
    """A breach of a rule of the ports tree."""

    __slots__ = ()

    sources = RULES
