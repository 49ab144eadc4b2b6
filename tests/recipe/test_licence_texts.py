from __future__ import annotations

import pytest

from pkggen.recipe.licence_texts import known, licence_text
from pkggen.recipe.licences import all_of


def test_every_name_is_one_of_spdx() -> None:
    for name in known():
        identifier = name.removesuffix(".txt")
        text = "LGPL-2.1-only WITH " * identifier.endswith("-exception") + identifier
        assert identifier in all_of([text]).expression


@pytest.mark.parametrize("name", ["ISC", "MIT"])
def test_a_text(name: str) -> None:
    text = licence_text(name)
    assert text is not None
    assert text.endswith("SOFTWARE.\n")
    assert all(len(line) <= 78 for line in text.splitlines())


@pytest.mark.parametrize("name", ["GPL-2.0-only", "../licences/ISC", "/etc/passwd", ""])
def test_no_text(name: str) -> None:
    assert licence_text(name) is None
