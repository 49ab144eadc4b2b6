"""SPDX identifiers and what nixpkgs calls them in `lib.licenses`.

Only free licences and exceptions that occur among OCaml packages, or may soon; every attribute
was checked to have the `spdxId` that it stands for here (nix-community/nixpkgs.lib de42d442,
`lib/licenses/licenses.nix`). The identifiers are those of https://spdx.org/licenses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pkggen.recipe.model import LicenceTerm

LICENCES: Final = {
    "0BSD": "bsd0",
    "AFL-3.0": "afl3",
    "AGPL-3.0-only": "agpl3Only",
    "AGPL-3.0-or-later": "agpl3Plus",
    "Apache-2.0": "asl20",
    "Artistic-2.0": "artistic2",
    "BSD-1-Clause": "bsd1",
    "BSD-2-Clause": "bsd2",
    "BSD-2-Clause-Patent": "bsd2Patent",
    "BSD-3-Clause": "bsd3",
    "BSD-3-Clause-Clear": "bsd3Clear",
    "BSD-4-Clause": "bsdOriginal",
    "BSD-Source-Code": "bsdSourceCode",
    "BSL-1.0": "boost",
    "Beerware": "beerware",
    "BlueOak-1.0.0": "blueOak100",
    "CC-BY-3.0": "cc-by-30",
    "CC-BY-4.0": "cc-by-40",
    "CC-BY-SA-3.0": "cc-by-sa-30",
    "CC-BY-SA-4.0": "cc-by-sa-40",
    "CC0-1.0": "cc0",
    "CDDL-1.0": "cddl",
    "CECILL-2.0": "cecill20",
    "CECILL-2.1": "cecill21",
    "CECILL-B": "cecill-b",
    "CECILL-C": "cecill-c",
    "EPL-1.0": "epl10",
    "EPL-2.0": "epl20",
    "EUPL-1.1": "eupl11",
    "EUPL-1.2": "eupl12",
    "GFDL-1.3-or-later": "fdl13Plus",
    "GPL-1.0-only": "gpl1Only",
    "GPL-1.0-or-later": "gpl1Plus",
    "GPL-2.0-only": "gpl2Only",
    "GPL-2.0-or-later": "gpl2Plus",
    "GPL-3.0-only": "gpl3Only",
    "GPL-3.0-or-later": "gpl3Plus",
    "HPND": "hpnd",
    "HPND-sell-variant": "hpndSellVariant",
    "ISC": "isc",
    "LGPL-2.0-only": "lgpl2Only",
    "LGPL-2.0-or-later": "lgpl2Plus",
    "LGPL-2.1-only": "lgpl21Only",
    "LGPL-2.1-or-later": "lgpl21Plus",
    "LGPL-3.0-only": "lgpl3Only",
    "LGPL-3.0-or-later": "lgpl3Plus",
    "MIT": "mit",
    "MIT-0": "mit0",
    "MIT-Modern-Variant": "mit-modern",
    "MPL-1.1": "mpl11",
    "MPL-2.0": "mpl20",
    "NCSA": "ncsa",
    "NTP": "ntp",
    "OFL-1.1": "ofl",
    "OLDAP-2.8": "openldap",
    "OpenSSL": "openssl",
    "PostgreSQL": "postgresql",
    "QPL-1.0": "qpl",
    "Ruby": "ruby",
    "SMLNJ": "smlnj",
    "Sleepycat": "sleepycat",
    "TCL": "tcltk",
    "UPL-1.0": "upl",
    "Unicode-3.0": "unicode-30",
    "Unicode-DFS-2016": "unicode-dfs-2016",
    "Unlicense": "unlicense",
    "Vim": "vim",
    "W3C": "w3c",
    "WTFPL": "wtfpl",
    "X11": "x11",
    "Zlib": "zlib",
    "bzip2-1.0.6": "bzip2",
    "curl": "curl",
}
"""SPDX licence identifier to attribute."""

EXCEPTIONS: Final = {
    "Classpath-exception-2.0": "classpathException20",
    "Font-exception-2.0": "fontException",
    "LLVM-exception": "llvm-exception",
    "OCaml-LGPL-linking-exception": "ocamlLgplLinkingException",
}
"""SPDX exception identifier to attribute."""


def faults(terms: Iterable[LicenceTerm]) -> Iterator[InputError]:
    """Yield an error for each licence or exception that nixpkgs has no name for."""
    for term in terms:
        missing = [] if term.spdx in LICENCES else [term.spdx]
        if term.exception is not None and term.exception not in EXCEPTIONS:
            missing.append(term.exception)
        for name in missing:
            yield InputError(
                f"no attribute of nixpkgs' lib.licenses is known for {name!r}",
                where=str(term),
                hint="override the licence in pkggen.yaml if it is free; nixpkgs does not build"
                " packages whose licence it does not know",
            )


def attributes(terms: Iterable[LicenceTerm]) -> tuple[str, ...]:
    """Return the attributes of `lib.licenses`, sorted, each once.

    Args:
        terms: Terms without `faults`.
    """
    found = set[str]()
    for term in terms:
        found.add(LICENCES[term.spdx])
        if term.exception is not None:
            found.add(EXCEPTIONS[term.exception])
    return tuple(sorted(found))
