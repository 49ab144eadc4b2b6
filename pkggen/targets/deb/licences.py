"""SPDX identifiers in the words of Debian's machine-readable copyright files.

Source: copyright-format 1.0, 7 (licences) and base-files' `/usr/share/common-licenses`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError
from pkggen.recipe.licence_texts import licence_text
from pkggen.recipe.licences import choices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pkggen.recipe.model import Licences, LicenceTerm

_NAMES: Final[Mapping[str, str]] = {
    "BSD-2-Clause": "BSD-2-clause",
    "BSD-3-Clause": "BSD-3-clause",
    "MIT": "Expat",
}
_COMMON: Final = {
    "Apache-2.0": ("Apache-2.0", "Apache License, version 2.0"),
    "Artistic-1.0-Perl": ("Artistic", "Artistic License"),
    "CC0-1.0": ("CC0-1.0", "CC0 1.0 Universal dedication"),
    "GFDL-1.2": ("GFDL-1.2", "GNU Free Documentation License, version 1.2"),
    "GFDL-1.3": ("GFDL-1.3", "GNU Free Documentation License, version 1.3"),
    "GPL-1.0": ("GPL-1", "GNU General Public License, version 1"),
    "GPL-2.0": ("GPL-2", "GNU General Public License, version 2"),
    "GPL-3.0": ("GPL-3", "GNU General Public License, version 3"),
    "LGPL-2.0": ("LGPL-2", "GNU Library General Public License, version 2"),
    "LGPL-2.1": ("LGPL-2.1", "GNU Lesser General Public License, version 2.1"),
    "LGPL-3.0": ("LGPL-3", "GNU Lesser General Public License, version 3"),
    "MPL-1.1": ("MPL-1.1", "Mozilla Public License, version 1.1"),
    "MPL-2.0": ("MPL-2.0", "Mozilla Public License, version 2.0"),
}
"""Identifiers without `-only` and `-or-later`; the file in common-licenses and what it is."""
_GNU: Final = re.compile(r"((?:L?GPL|GFDL)-[0-9.]+)-(only|or-later)")


def name(term: LicenceTerm) -> str:
    """Return the short name of a licence, e.g. `LGPL-2.1+ with OCaml-LGPL-linking exception`."""
    gnu = _GNU.fullmatch(term.spdx)
    if gnu is not None:
        short = gnu[1].removesuffix(".0") + ("+" if gnu[2] == "or-later" else "")
    else:
        short = _NAMES.get(term.spdx, term.spdx)
    if term.exception is None:
        return short
    return f"{short} with {term.exception.removesuffix('-exception')} exception"


def synopsis(licences: Licences) -> str:
    """Return an expression as the first line of a `License` field.

    In it `and` binds stronger than `or`, and a comma less than both.

    Raises:
        InputError: the expression is too deeply nested.
    """
    operands = [
        " or ".join(" and ".join(map(name, joint)) for joint in alternatives)
        for alternatives in choices(licences)
    ]
    if len(operands) > 1 and any(" or " in operand for operand in operands):
        return ", and ".join(sorted(operands))
    return " and ".join(sorted(operands))


def text(term: LicenceTerm) -> str:
    """Return what a licence says, or where Debian has its text.

    Raises:
        InputError: neither is known here.
    """
    whole = licence_text(term.spdx) or _common(term)
    exception = None if term.exception is None else licence_text(term.exception)
    if whole is None or (term.exception is not None and exception is None):
        raise InputError(
            f"pkggen does not have the text of {term}, which the copyright file must hold",
            hint="write debian/copyright yourself, into the directory of the package below"
            " --overlay",
        )
    return whole if exception is None else f"{whole}\n{exception}"


def _common(term: LicenceTerm) -> str | None:
    gnu = _GNU.fullmatch(term.spdx)
    known = _COMMON.get(gnu[1] if gnu else term.spdx)
    if known is None:
        return None
    file, what = known
    later = ", or (at your option) any later version" if gnu and gnu[2] == "or-later" else ""
    return (
        f"This work may be used, copied and changed under the terms of the\n{what}{later}.\n\n"
        "On Debian systems, its full text can be found in\n"
        f"/usr/share/common-licenses/{file}.\n"
    )
