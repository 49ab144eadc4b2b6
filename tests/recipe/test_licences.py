from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pkggen.errors import InputError
from pkggen.recipe.licences import all_of, choices, image_licences
from pkggen.recipe.linked import LinkedPart
from pkggen.recipe.model import LicenceTerm
from pkggen.sources.model import Use

LINKING = "OCaml-LGPL-linking-exception"


def part(name: str, *licences: str, source: str | None = None) -> LinkedPart:
    return LinkedPart(name=name, licences=licences, source=source, use=Use("package", name))


@pytest.mark.parametrize(
    ("texts", "expression"),
    [
        (["MIT"], "MIT"),
        (["(MIT AND ISC) AND MIT"], "ISC AND MIT"),
        (["MIT", "ISC", "mit"], "ISC AND MIT"),
        (["mit and isc"], "ISC AND MIT"),
        (["BSD-3-clause"], "BSD-3-Clause"),
        (["MIT OR Apache-2.0 OR MIT"], "Apache-2.0 OR MIT"),
        (["MIT OR Apache-2.0", "Apache-2.0 OR MIT", "ISC"], "(Apache-2.0 OR MIT) AND ISC"),
        (["MIT OR Apache-2.0", "MIT"], "(Apache-2.0 OR MIT) AND MIT"),
        (["(MIT OR Apache-2.0) AND MIT"], "(Apache-2.0 OR MIT) AND MIT"),
        (["ISC AND (MIT AND (Zlib AND ISC))"], "ISC AND MIT AND Zlib"),
        (["MIT OR (ISC AND Zlib)"], "MIT OR (ISC AND Zlib)"),
        (["(ISC AND Zlib) OR (Zlib AND ISC)"], "ISC AND Zlib"),
        ([f"LGPL-2.1-only with {LINKING}"], f"LGPL-2.1-only WITH {LINKING}"),
        (["LGPL-2.1-only", f"LGPL-2.1-only WITH {LINKING}"],
         f"LGPL-2.1-only AND LGPL-2.1-only WITH {LINKING}"),
        (["GPL-2.0"], "GPL-2.0-only"),
        (["GPL-2.0+"], "GPL-2.0-or-later"),
        (["LGPL-2.1", "AGPL-3.0+", "GFDL-1.3"],
         "AGPL-3.0-or-later AND GFDL-1.3-only AND LGPL-2.1-only"),
        (["MIT-0 AND 0BSD"], "0BSD AND MIT-0"),
    ],
)  # fmt: skip
def test_union(texts: list[str], expression: str) -> None:
    assert all_of(texts).expression == expression
    assert all_of(reversed(texts)).expression == expression
    assert all_of([all_of(texts).expression]) == all_of(texts)


def test_every_licence_is_a_term_once() -> None:
    found = all_of([f"lgpl-2.1-only WITH {LINKING}", "LGPL-2.1-only", "MIT OR ISC", "MIT"])
    assert found.terms == (
        LicenceTerm("ISC"),
        LicenceTerm("LGPL-2.1-only"),
        LicenceTerm("LGPL-2.1-only", LINKING),
        LicenceTerm("MIT"),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "GPL",
        "GPL 2.0",
        "GPL-3",
        "BSD3",
        "BSD-2",
        "LGPL",
        "LGPL-2+ with OCaml linking exception",
        "LGPL with OpenSSL linking exception",
        "LicenseRef-foo",
        "LicenseRef-scancode-public-domain",
        "DocumentRef-x:LicenseRef-y",
        "NOASSERTION",
        "NONE",
        "PublicDomain",
        "CC0-1.0+",
        "Apache-2.0+",
        "GPL-2.0-with-classpath-exception",
        LINKING,
        "MIT WITH MIT",
        f"MIT WITH MIT WITH {LINKING}",
        "MIT AND",
        "AND",
        "()",
        "( OR MIT",
        "(MIT",
        "MIT)",
        "MIT ISC",
        "MIT, ISC",
        "MIT/ISC",
        "MIT\0",
        "MIT AND AND ISC",
        "MIT OR " * 200 + "MIT",
        "\ud800",
    ],
)
def test_what_is_no_spdx_expression_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        all_of([text])


def test_no_licence_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="no licence"):
        all_of([])


WORDS = st.sampled_from(
    ["MIT", "ISC", "and", "OR", "WITH", "(", ")", LINKING, "GPL-2.0+", "GPL", "+", " ", "-", "\n"]
)


@given(st.lists(WORDS | st.text(max_size=4), max_size=12).map(" ".join))
def test_any_text_is_read_or_refused_and_what_is_read_is_canonical(text: str) -> None:
    try:
        found = all_of([text])
    except InputError:
        return
    assert all_of([found.expression]) == found
    assert all(str(term) in found.expression for term in found.terms)


def nested(depth: int) -> str:
    return "(MIT OR (ISC AND " * depth + "Zlib" + "))" * depth


def test_deeply_nested_expressions_are_read_or_refused() -> None:
    assert all_of([nested(20)]).terms[-1] == LicenceTerm("Zlib")
    assert all_of(["(" * 400 + "MIT" + ")" * 400]).expression == "MIT"
    with pytest.raises(InputError):
        all_of([nested(500)])


def test_all_parts_of_an_image_are_united() -> None:
    parts = [part("a", "ISC"), part("b", "MIT", "BSD-3-clause"), part("c", "GPL")]
    found = image_licences(parts, {"c": "GPL-1.0-or-later", "unused": "0BSD"}, "job")
    assert found.expression == "BSD-3-Clause AND GPL-1.0-or-later AND ISC AND MIT"


def test_a_stated_licence_goes_before_a_recorded_one() -> None:
    assert image_licences([part("a", "ISC")], {"a": "MIT"}, "job").expression == "MIT"


def test_all_parts_without_usable_licence_are_named_with_their_text() -> None:
    parts = [
        part("fine", "ISC"),
        part("emile", source="https://example.org/emile-1.1.tbz"),
        part("no"),
        part("old", "GPL", "MIT"),
        part("odd: [", source="evil\n  name: x"),
        part("fine", "MIT"),
    ]
    with pytest.raises(InputError) as caught:
        image_licences(parts, {}, "my-job")
    message = str(caught.value)
    assert "4 linked-in part(s)" in caught.value.message
    assert "old: 'GPL' is not an SPDX expression" in caught.value.message
    assert all(name in caught.value.message for name in ("emile", "no", "odd"))
    assert "fine" not in message
    assert "https://example.org/emile-1.1.tbz" in message
    assert "evil" not in message
    assert caught.value.hint is not None
    snippet = yaml.safe_load(caught.value.hint.partition("\n")[2])
    names = ["emile", "no", "old", "odd: ["]
    assert snippet == {"packages": {"my-job": {"licences": dict.fromkeys(names)}}}


def test_a_name_stands_once_in_the_snippet() -> None:
    with pytest.raises(InputError) as caught:
        image_licences([part("a", "GPL"), part("a")], {}, "job")
    assert (caught.value.hint or "").count("\n      a:") == 1
    assert "1 linked-in part(s)" in caught.value.message


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("ISC", (("ISC",),)),
        ("MIT AND ISC", (("ISC",), ("MIT",))),
        ("ISC AND (MIT OR 0BSD)", (("0BSD", "MIT"), ("ISC",))),
        ("ISC OR MIT AND 0BSD", (("ISC", "0BSD+MIT"),)),
        (
            "LGPL-2.1-only WITH OCaml-LGPL-linking-exception",
            (("LGPL-2.1-only WITH OCaml-LGPL-linking-exception",),),
        ),
    ],
)
def test_choices(expression: str, found: tuple[tuple[str, ...], ...]) -> None:
    shown = [
        {"+".join(sorted(map(str, joint))) for joint in alternatives}
        for alternatives in choices(all_of([expression]))
    ]
    assert sorted(map(sorted, shown)) == sorted(sorted(one) for one in found)


def test_a_choice_inside_of_a_choice_is_refused() -> None:
    with pytest.raises(InputError, match="too deeply nested"):
        choices(all_of(["ISC OR (MIT AND (0BSD OR Zlib))"]))


def test_license_expression_is_not_imported_with_the_module() -> None:
    code = "import sys, pkggen.recipe.build; sys.exit('license_expression' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
