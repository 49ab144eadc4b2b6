"""The host's packages that the packages of a switch ask for.

Source: the opam manual, field `depexts`; robur-coop/orb `src/orb.ml` (recorded system variables).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkggen.opam.filter import Variables, holds
from pkggen.recipe.variables import SYSTEM_KEYS, TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pkggen.opam.package import OpamPackage
    from pkggen.record.model import Record


def depexts(record: Record, packages: Iterable[str], target: str = "record") -> tuple[str, ...]:
    """Return the names that the host's package manager knows them by, sorted.

    Args:
        record: The build.
        packages: Names of packages of its switch.
        target: `record`, or a key of `TARGETS`.

    Raises:
        InputError: a condition is none.
    """
    environment = record.environment
    system = {name: environment.get(key) or "" for name, key in SYSTEM_KEYS.items()}
    if target != "record":
        system |= TARGETS[target]
    scope = Variables(globals=system, packages={}, itself=None)
    return tuple(
        sorted(
            {
                name
                for package in packages
                if package in record.switch.packages
                for name in _names(record.switch.packages[package], scope)
            }
        )
    )


def _names(package: OpamPackage, scope: Variables) -> Iterable[str]:
    return (name for one in package.depexts if holds(one.filter, scope) for name in one.names)
