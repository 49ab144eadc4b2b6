from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import pytest
from debian.deb822 import Deb822
from hypothesis import given, settings
from hypothesis import strategies as st

from pkggen.recipe.model import ImageRecipe
from pkggen.targets.deb.control import build_depends, control
from tests.targets.deb.made import EXAMPLE, MAINTAINER, example_record, inputs_of, ran

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.targets.deb.model import Inputs

TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from("\n .-*${}:x\t\\1)#"), max_size=200)
TENDER: Final = [
    "This is the image of a MirageOS unikernel, which solo5-hvt runs as a service.",
    "It is packaged as it was recorded.",
]


@pytest.fixture(scope="module")
def image() -> Inputs:
    return inputs_of(example_record())


def described(inputs: Inputs, text: str) -> Inputs:
    record = inputs.record
    root = replace(record.switch.root, description=text)
    packages = {**record.switch.packages, root.name: root}
    return replace(inputs, record=replace(record, switch=replace(record.switch, packages=packages)))


def description(inputs: Inputs, text: str) -> list[str]:
    """Return the lines behind the synopsis, and without what pkggen says itself."""
    _, binary = Deb822.iter_paragraphs(control(described(inputs, text), MAINTAINER))
    synopsis, *lines = binary["Description"].split("\n")
    assert synopsis == inputs.recipe.description
    assert all(line.startswith(" ") for line in lines)
    own = lines[-2:] if lines[-1].startswith(" service") else lines[-3:]
    assert " ".join(line.strip() for line in own[-2:]) == " ".join(TENDER)
    return [line[1:] for line in lines[:-2]]


@given(TEXTS)
@settings(max_examples=50)
def test_any_description_makes_one_field(image: Inputs, text: str) -> None:
    source, binary = Deb822.iter_paragraphs(control(described(image, text), MAINTAINER))
    assert source["Source"] == binary["Package"] == "hello-unikernel"
    lines = description(image, text)
    assert not any("${" in line for line in lines)
    assert not any(line.startswith(".") and line != "." for line in lines)
    # lintian: extended-description-contains-empty-paragraph, and none at the start.
    assert lines[:1] != ["."]
    assert all(pair != (".", ".") for pair in pairwise(lines))
    assert all(len(line) <= 76 or " " not in line.strip() for line in lines if line[:2] != "  ")
    shown = "".join("".join(lines).split()).replace(".", "")
    meant = "".join(
        c if c.isprintable() or c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text
    )
    assert sorted(shown) == sorted("".join(meant.split()).replace(".", ""))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        (" .\n\n.\n", []),
        ("one\ntwo", ["one two", "."]),
        ("one\n.\n\n.\ntwo\n", ["one", ".", "two", "."]),
        ("a\n- b\n- c\n  d\n\n1. e", ["a", " - b", " - c d", ".", " 1. e", "."]),
        ("    $ run\n    it\n", ["$ run it", "."]),
        (
            "run\n\n    $ run\n      it\n\nok",
            ["run", ".", "     $ run", "       it", ".", "ok", "."],
        ),
        ("x " * 38 + "...", [("x " * 38).strip(), " ...", "."]),
        ("x " * 38 + ". y", [("x " * 38).strip(), " . y", "."]),
        ("-b is no item", ["-b is no item", "."]),
    ],
)
def test_descriptions(image: Inputs, text: str, lines: list[str]) -> None:
    assert description(image, text) == lines


def test_dpkg_puts_no_variable_into_a_description(image: Inputs, tmp_path: Path) -> None:
    debian = tmp_path / "debian"
    debian.mkdir()
    text = "${Newline}Evil: 1 ${source:Version} ${}{Newline} $${Tab}{Newline}"
    synopsis = "Two words ${Newline}Evil: 1 ${shlibs:Depends}"
    hostile = replace(image, recipe=replace(image.recipe, description=synopsis))
    (debian / "control").write_text(control(described(hostile, text), MAINTAINER))
    (debian / "changelog").write_text(
        "hello-unikernel (1-0pkggen1) unstable; urgency=medium\n\n  * x\n\n"
        " -- A <a@e.org>  Thu, 20 Aug 2026 12:00:00 +0000\n"
    )
    (debian / "files").touch()
    shown = ran("dpkg-gencontrol", "-O", "-v1", cwd=tmp_path)
    (made,) = Deb822.iter_paragraphs(shown[shown.index("Package:") :])
    assert "Evil" not in made
    first, second, *_ = made["Description"].split("\n")
    assert first == synopsis.replace("${", "$ {")
    assert second.strip() == text.replace("${", "$ {")


def test_what_a_build_needs(image: Inputs) -> None:
    assert list(build_depends(image)) == ["debhelper-compat (= 13)", "dh-sequence-installsysusers"]
    rebuilt = inputs_of(example_record(), mirror=EXAMPLE / "download-cache")
    assert rebuilt.rebuild is not None
    more = replace(rebuilt.rebuild, depends=("gcc", "libgmp-dev", "make", "opam-installer"))
    assert list(build_depends(replace(rebuilt, rebuild=more)))[2:] == [
        "libgmp-dev",
        "opam-installer",
    ]


def test_an_image_without_network(image: Inputs) -> None:
    recipe = image.recipe
    assert isinstance(recipe, ImageRecipe)
    quiet = replace(image, recipe=replace(recipe, solo5=replace(recipe.solo5, devices=())))
    source, binary = Deb822.iter_paragraphs(control(quiet, MAINTAINER))
    assert source["Section"] == "misc"
    assert "iproute2" not in binary["Depends"]
