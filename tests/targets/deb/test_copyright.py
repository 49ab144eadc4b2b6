from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from debian.copyright import Copyright
from hypothesis import given, settings
from hypothesis import strategies as st

from pkggen.errors import PkggenError
from pkggen.opam.package import Checksum
from pkggen.recipe.distfiles import Distfile
from pkggen.recipe.licences import all_of
from pkggen.recipe.parts import Part
from pkggen.sources.model import Source, Use
from pkggen.targets.deb.copyright import copyright_file
from pkggen.tree import Bytes
from tests.targets.deb.made import MAINTAINER, example_record, inputs_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pkggen.recipe.model import AnyRecipe

TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from("\n .:#*\t<>"), max_size=25)
LICENCES: Final = (
    "ISC",
    "MIT",
    "0BSD OR Zlib",
    "LGPL-2.1-or-later WITH OCaml-LGPL-linking-exception",
)


@pytest.fixture(scope="module")
def recipe() -> AnyRecipe:
    return inputs_of(example_record()).recipe


def part(name: str, licence: str = "ISC", *authors: str, role: str = "package") -> Part:
    directory = name if role == "vendored" else ""
    package = "hello-unikernel" if role == "vendored" else name
    return Part(
        name=name,
        version="1" if role == "package" else None,
        licences=all_of([licence]),
        authors=authors,
        source=f"https://e.org/{name}.tbz",
        use=Use(role, package, directory) if directory else Use(role, package),  # type: ignore[arg-type]
    )


def distfile(name: str, *users: Use) -> Distfile:
    data = name.encode()
    digest = hashlib.sha256(data).hexdigest()
    source = Source(
        kind="file",
        file_name=name,
        checksums=(Checksum("sha256", digest),),
        urls=(f"https://e.org/{name}",),
        users=users,
        commit=None,
    )
    return Distfile(
        name=name,
        sha256=digest,
        size=len(data),
        content=Bytes(data),
        source=source if users else None,
        commit=None,
    )


def read(
    recipe: AnyRecipe, parts: Iterable[Part], sources: Iterable[tuple[str, Distfile]] = ()
) -> Copyright:
    text = copyright_file(recipe, MAINTAINER, tuple(parts), sources)
    return Copyright(io.StringIO(text), strict=True)


def stanza(rights: Copyright, path: str) -> tuple[list[str], str, str]:
    found = rights.find_files_paragraph(path)
    assert found is not None
    holders = [line.strip() for line in found["Copyright"].split("\n")]
    return holders, found["License"], found["Comment"]


@given(
    st.lists(
        st.tuples(st.lists(TEXTS, max_size=3), st.sampled_from(LICENCES), TEXTS),
        max_size=3,
    )
)
@settings(max_examples=20)
def test_any_author_is_one_line(recipe: AnyRecipe, made: list[tuple[list[str], str, str]]) -> None:
    parts = [
        replace(part(f"p{number}", licence, *authors), source=source)
        for number, (authors, licence, source) in enumerate(made)
    ]
    rights = read(recipe, parts, [(f"distfiles/{p.name}", distfile(p.name, p.use)) for p in parts])
    assert rights.find_files_paragraph("debian/rules") is not None
    for one in parts:
        holders, _, comment = stanza(rights, f"distfiles/{one.name}")
        named = [author for author in one.authors if any(map(str.isalnum, author))]
        assert len(holders) <= max(1, len(named))
        assert all(holders)
        assert f"{one.name} 1" in comment
    every, _, _ = stanza(rights, "bin/hello.hvt")
    assert all(every)


def test_a_stanza_for_each_source(recipe: AnyRecipe) -> None:
    parts = (
        part("hello-unikernel", "ISC", "Me"),
        part("one", "MIT", "A", "B"),
        part("two", "MIT", "A"),
        part("vend", "BSD-3-Clause", role="vendored"),
    )
    both = distfile("shared.tbz", parts[1].use, parts[2].use)
    rights = read(
        recipe,
        parts,
        [
            ("distfiles/a", distfile("one.tbz", parts[1].use)),
            ("distfiles/b", both),
            ("distfiles/c", distfile("vend.tbz", parts[3].use)),
            ("distfiles/d", distfile("one-patch", Use("extra", "one", "fix.patch"))),
            ("distfiles/e", distfile("one.carried")),
            ("distfiles/f", distfile("nobodys.carried")),
        ],
    )
    one = (["A", "B"], "Expat", "one 1 from https://e.org/one.tbz")
    assert stanza(rights, "distfiles/a") == one
    assert stanza(rights, "distfiles/d") == one
    assert stanza(rights, "distfiles/e") == one
    holders, licence, comment = stanza(rights, "distfiles/b")
    assert (holders, licence) == (["A", "B"], "Expat")
    assert "two 1 from" in comment
    holders, licence, _ = stanza(rights, "distfiles/c")
    assert holders == ["the authors of vend, who are named in its source"]
    assert licence == "BSD-3-clause"
    everything, _, comment = stanza(rights, "distfiles/f")
    assert everything[:3] == ["Me", "A", "B"]
    assert "vend: BSD-3-Clause" in comment
    texts = [one["License"].split("\n")[0] for one in rights.all_license_paragraphs()]
    assert texts == sorted(texts)
    assert {"Expat", "BSD-3-clause", "ISC", "0BSD"} == set(texts)


def test_all_unknown_licences_come_together(recipe: AnyRecipe) -> None:
    with pytest.raises(PkggenError) as caught:
        read(recipe, (part("a", "AAL"), part("b", "Zed")))
    assert "text of AAL" in str(caught.value)
    assert "text of Zed" in str(caught.value)
