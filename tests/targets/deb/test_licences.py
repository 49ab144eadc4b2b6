from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from pkggen.errors import InputError
from pkggen.recipe.licences import all_of
from pkggen.recipe.model import LicenceTerm
from pkggen.targets.deb.licences import name, synopsis, text

COMMON: Final = Path("/usr/share/common-licenses")


@pytest.mark.parametrize(
    ("expressions", "line"),
    [
        (["MIT"], "Expat"),
        (["ISC", "MIT", "BSD-3-Clause"], "BSD-3-clause and Expat and ISC"),
        (["GPL-2.0-or-later"], "GPL-2+"),
        (["GPL-3.0-only"], "GPL-3"),
        (["LGPL-2.1-or-later"], "LGPL-2.1+"),
        (
            ["LGPL-2.1-only WITH OCaml-LGPL-linking-exception"],
            "LGPL-2.1 with OCaml-LGPL-linking exception",
        ),
        (["MIT OR Apache-2.0"], "Apache-2.0 or Expat"),
        (["MIT OR Apache-2.0", "ISC"], "Apache-2.0 or Expat, and ISC"),
        (["ISC OR (MIT AND Zlib)"], "Expat and Zlib or ISC"),
        (["(ISC OR MIT) AND (Zlib OR 0BSD)"], "0BSD or Zlib, and Expat or ISC"),
    ],
)
def test_expressions_in_debians_words(expressions: list[str], line: str) -> None:
    words = sorted(line.replace(",", "").split())
    found = synopsis(all_of(expressions))
    assert sorted(found.replace(",", "").split()) == words
    assert found.count(", and") == line.count(", and")


def test_one_order() -> None:
    assert synopsis(all_of(["MIT", "ISC"])) == synopsis(all_of(["ISC", "MIT"])) == "Expat and ISC"


def test_a_choice_inside_of_a_choice_is_refused() -> None:
    with pytest.raises(InputError, match="too deeply nested"):
        synopsis(all_of(["ISC OR (MIT AND (Zlib OR 0BSD))"]))


@pytest.mark.parametrize(
    "spdx",
    [
        *("Apache-2.0", "Artistic-1.0-Perl", "CC0-1.0", "MPL-1.1", "MPL-2.0"),
        *(f"GPL-{n}.0-{which}" for n in (1, 2, 3) for which in ("only", "or-later")),
        *(f"LGPL-{n}-{which}" for n in ("2.0", "2.1", "3.0") for which in ("only", "or-later")),
        *(f"GFDL-{n}-{which}" for n in ("1.2", "1.3") for which in ("only", "or-later")),
    ],
)
def test_common_licences_are_where_the_text_says(spdx: str) -> None:
    said = text(LicenceTerm(spdx))
    place = Path(said.split("can be found in\n")[1].strip().rstrip("."))
    assert place.parent == COMMON
    assert ("any later version" in said) is spdx.endswith("or-later")
    if not COMMON.is_dir():
        pytest.skip("LICENCES NOT LOOKED UP: this is no Debian")
    assert place.is_file()


@pytest.mark.parametrize(
    "term",
    [LicenceTerm("AAL"), LicenceTerm("ISC", "GCC-exception-3.1"), LicenceTerm("Glide")],
)
def test_unknown_texts_are_refused(term: LicenceTerm) -> None:
    with pytest.raises(InputError, match=f"does not have the text of {term}") as caught:
        text(term)
    assert "--overlay" in str(caught.value)


def test_an_exception_has_its_text_too() -> None:
    said = text(LicenceTerm("LGPL-2.1-only", "OCaml-LGPL-linking-exception"))
    assert "/usr/share/common-licenses/LGPL-2.1" in said
    assert "special exception" in said
    assert name(LicenceTerm("ISC", "x-exception")) == "ISC with x exception"
