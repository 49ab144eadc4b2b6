from __future__ import annotations

import re

import pytest

from pkggen.errors import Faults, InputError
from pkggen.recipe.licence_texts import known
from pkggen.recipe.licences import all_of
from pkggen.targets.freebsd.licences import LICENCES, Licensing, licensing

EXCEPTION = "LGPL-2.1-only WITH OCaml-LGPL-linking-exception"


def made(*expressions: str) -> Licensing:
    return licensing(all_of(expressions))


def test_the_table_has_spdx_identifiers_and_names_of_the_framework() -> None:
    for identifier, name in LICENCES.items():
        assert [str(term) for term in all_of([identifier]).terms] == [identifier]
        assert re.fullmatch(r"[A-Za-z0-9.+-]+", name)
    assert len(set(LICENCES.values())) == len(LICENCES)


@pytest.mark.parametrize(
    ("expressions", "names", "comb"),
    [
        (["ISC"], ("ISCL",), "single"),
        (["ISC", "MIT AND ISC"], ("ISCL", "MIT"), "multi"),
        (["MIT OR Apache-2.0"], ("APACHE20", "MIT"), "dual"),
        (["GPL-2.0-or-later"], ("GPLv2+",), "single"),
        (["LGPL-2.1-or-later", "0BSD"], ("BSD0CLAUSE", "LGPL21+"), "multi"),
        (["ISC", "MIT OR Apache-2.0"], ("APACHE20", "ISCL"), "multi"),
        (["ISC AND (ISC OR MIT)"], ("ISCL",), "single"),
        # Only one alternative can be named.
        (["ISC AND (AFL-3.0 OR MIT)"], ("ISCL", "MIT"), "multi"),
    ],
)
def test_expressions(expressions: list[str], names: tuple[str, ...], comb: str) -> None:
    found = made(*expressions)
    assert (found.names, found.comb, found.own) == (names, comb, ())


def test_an_exception_has_its_own_name_title_and_text() -> None:
    found = made("MIT", EXCEPTION, EXCEPTION.replace("only", "or-later"))
    assert found.comb == "multi"
    assert len(found.names) == len(set(found.names)) == 3
    first, second = found.own
    assert {first.name, second.name} < {*found.names}
    assert first.title == EXCEPTION
    assert "https://spdx.org/licenses/LGPL-2.1-only.html" in first.text
    assert "As a special exception" in first.text
    assert first.file == f"{first.name}.txt"


def test_a_licence_that_has_a_text_only() -> None:
    identifiers = {name.removesuffix(".txt") for name in known()}
    for identifier in sorted(identifiers - LICENCES.keys() - {"OCaml-LGPL-linking-exception"}):
        (own,) = made(identifier).own
        assert len(own.text) > 200


def test_all_that_cannot_be_named_is_an_error_at_once() -> None:
    with pytest.raises(Faults) as caught:
        made("ISC", "AFL-3.0", "GPL-2.0-only WITH Classpath-exception-2.0", "QPL-1.0")
    said = [fault.message for fault in caught.value.faults]
    assert len(said) == 3
    for name in ("AFL-3.0", "Classpath-exception-2.0", "QPL-1.0"):
        assert any(repr(name) in message for message in said)


def test_a_choice_of_things_that_cannot_be_named() -> None:
    with pytest.raises(InputError, match=r"AFL-3\.0"):
        made("ISC AND (AFL-3.0 OR QPL-1.0)")
