"""SPDX identifiers and what the ports framework calls them, and the way out where it has no name.

Source: freebsd-ports `Mk/bsd.licenses.db.mk` (`_LICENSE_LIST`, names as in 2024Q1) and Porter's
Handbook 5.7 (LICENSE_COMB, licences of one's own). The identifiers are those of
https://spdx.org/licenses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from pkggen.errors import InputError, raise_all
from pkggen.recipe.licence_texts import licence_text
from pkggen.recipe.licences import choices

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pkggen.recipe.model import Licences, LicenceTerm

LICENCES: Final = {
    "0BSD": "BSD0CLAUSE",
    "AGPL-3.0-only": "AGPLv3",
    "AGPL-3.0-or-later": "AGPLv3+",
    "Apache-1.0": "APACHE10",
    "Apache-1.1": "APACHE11",
    "Apache-2.0": "APACHE20",
    "Artistic-1.0": "ART10",
    "Artistic-1.0-Perl": "ARTPERL10",
    "Artistic-2.0": "ART20",
    "BSD-2-Clause": "BSD2CLAUSE",
    "BSD-3-Clause": "BSD3CLAUSE",
    "BSD-4-Clause": "BSD4CLAUSE",
    "BSL-1.0": "BSL",
    "CC-BY-3.0": "CC-BY-3.0",
    "CC-BY-4.0": "CC-BY-4.0",
    "CC-BY-SA-3.0": "CC-BY-SA-3.0",
    "CC-BY-SA-4.0": "CC-BY-SA-4.0",
    "CC0-1.0": "CC0-1.0",
    "CDDL-1.0": "CDDL",
    "CPAL-1.0": "CPAL-1.0",
    "ClArtistic": "ClArtistic",
    "EPL-1.0": "EPL",
    "EUPL-1.1": "EUPL11",
    "EUPL-1.2": "EUPL12",
    "GPL-1.0-only": "GPLv1",
    "GPL-1.0-or-later": "GPLv1+",
    "GPL-2.0-only": "GPLv2",
    "GPL-2.0-or-later": "GPLv2+",
    "GPL-3.0-only": "GPLv3",
    "GPL-3.0-or-later": "GPLv3+",
    "ISC": "ISCL",
    "LGPL-2.0-only": "LGPL20",
    "LGPL-2.0-or-later": "LGPL20+",
    "LGPL-2.1-only": "LGPL21",
    "LGPL-2.1-or-later": "LGPL21+",
    "LGPL-3.0-only": "LGPL3",
    "LGPL-3.0-or-later": "LGPL3+",
    "MIT": "MIT",
    "MPL-1.0": "MPL10",
    "MPL-1.1": "MPL11",
    "MPL-2.0": "MPL20",
    "NCSA": "NCSA",
    "ODbL-1.0": "ODbL",
    "OFL-1.0": "OFL10",
    "OFL-1.1": "OFL11",
    "OpenSSL": "OpenSSL",
    "PHP-3.0": "PHP30",
    "PHP-3.01": "PHP301",
    "PostgreSQL": "PostgreSQL",
    "Python-2.0": "PSFL",
    "Ruby": "RUBY",
    "Unlicense": "UNLICENSE",
    "W3C": "W3C-20150513",
    "W3C-19980720": "W3C-19980720",
    "WTFPL": "WTFPL",
    "ZPL-2.1": "ZPL21",
    "Zlib": "ZLIB",
}
"""SPDX licence identifier to name."""
PERMISSIONS: Final = ("dist-mirror", "dist-sell", "pkg-mirror", "pkg-sell", "auto-accept")
"""What a free licence permits."""

_GENERAL: Final = frozenset({"LGPL", "exception", "linking"})
_SPDX: Final = "https://spdx.org/licenses"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLicence:
    """A licence that the framework has no name for."""

    name: str
    """In LICENSE and behind `LICENSE_NAME_`."""
    title: str
    """What it is, one line."""
    text: str
    """Of the file that is installed with the package."""

    @property
    def file(self) -> str:
        """Name of that file."""
        return f"{self.name}.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Licensing:
    """The licences of a port."""

    names: tuple[str, ...]
    """What LICENSE lists, sorted."""
    comb: Literal["single", "multi", "dual"]
    """Whether one, all of them or any of them hold."""
    own: tuple[OwnLicence, ...]
    """Those among them that the framework does not know."""


def licensing(licences: Licences) -> Licensing:
    """Return the licences of a port.

    LICENSE_COMB cannot say `A AND (B OR C)`. There, of each choice the first alternative of which
    everything can be named is made: whoever may choose may do so.

    Raises:
        InputError: something has neither a name nor a text; all of it together.
    """
    operands = choices(licences)
    if len(operands) == 1 and len(operands[0]) > 1 and all(len(a) == 1 for a in operands[0]):
        return _made("dual", (term for (term,) in operands[0]))
    terms: list[LicenceTerm] = []
    for alternatives in operands:
        usable = (one for one in alternatives if not any(map(_missing, one)))
        terms += next(usable, alternatives[0])
    return _made("multi" if len(set(terms)) > 1 else "single", terms)


def _made(comb: Literal["single", "multi", "dual"], terms: Iterable[LicenceTerm]) -> Licensing:
    found = sorted(set(terms), key=str)
    raise_all(fault for term in found for fault in _faults(term))
    own = {str(term): _own(term) for term in found if _needs_text(term)}
    names = {own[str(t)].name if str(t) in own else LICENCES[t.spdx] for t in found}
    return Licensing(
        names=tuple(sorted(names)),
        comb=comb if len(names) > 1 else "single",
        own=tuple(sorted(own.values(), key=lambda one: one.name)),
    )


def _needs_text(term: LicenceTerm) -> bool:
    return term.exception is not None or term.spdx not in LICENCES


def _missing(term: LicenceTerm) -> str | None:
    """Return what has neither a name nor a text."""
    if term.spdx not in LICENCES and licence_text(term.spdx) is None:
        return term.spdx
    if term.exception is not None and licence_text(term.exception) is None:
        return term.exception
    return None


def _faults(term: LicenceTerm) -> Iterator[InputError]:
    missing = _missing(term)
    if missing is not None:
        yield InputError(
            f"the ports framework has no name for {missing!r}, and pkggen no text",
            where=str(term),
            hint="override the licence in pkggen.yaml if it is free; a port that does not say what"
            " it permits cannot be distributed",
        )


def _own(term: LicenceTerm) -> OwnLicence:
    base = LICENCES.get(term.spdx)
    parts: list[str] = []
    if base is None:
        parts.append(licence_text(term.spdx) or "")
    else:
        parts.append(f"{term.spdx}: {_SPDX}/{term.spdx}.html\n")
    if term.exception is not None:
        parts.append(f"with the exception {term.exception}:\n")
        parts.append(licence_text(term.exception) or "")
    return OwnLicence(
        name=_own_name(base or term.spdx, term.exception),
        title=str(term),
        text="\n".join(parts),
    )


def _own_name(base: str, exception: str | None) -> str:
    """Return e.g. `LGPL21plus_OCaml`."""
    words = [] if exception is None else exception.split("-")
    named = [base.replace("+", "plus"), *(word for word in words if word not in _GENERAL)]
    return re.sub(r"[^A-Za-z0-9]+", "_", " ".join(named))
