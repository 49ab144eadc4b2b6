"""Which programs of a tool have manual pages, and what is in them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.recipe.build import package_recipe
from pkggen.recipe.manual import manual_pages
from pkggen.recipe.model import ToolRecipe
from pkggen.recipe.overrides import Overrides
from tests.tools import albatross

if TYPE_CHECKING:
    from pathlib import Path

STARTED: Final = datetime(2026, 8, 20, 12, tzinfo=UTC)


def pages(directory: Path, *files: str) -> dict[str, str]:
    """Return the pages of a suite with these files."""
    made = albatross.record(directory, dict.fromkeys(files, b"x"), directory / "prefix")
    record = replace(made.read(), started=STARTED, finished=STARTED)
    recipe = package_recipe(record, Overrides())
    assert isinstance(recipe, ToolRecipe)
    assert recipe.tool is not None
    return manual_pages(recipe, recipe.tool.packages[0], "x86_64", ("made by a test",))


def test_programs_of_a_path_have_them(tmp_path: Path) -> None:
    found = pages(tmp_path, *(f"bin/{name}" for name in albatross.PROGRAMS))
    assert list(found) == ["albatross-client.1"]
    text = found["albatross-client.1"]
    assert text.startswith(
        '.\\" made by a test\n.TH ALBATROSS\\-CLIENT 1 2026-08-20 "albatross 2.8.0"\n'
    )
    assert "albatross\\-client \\- manage unikernels" in text


def test_programs_that_are_not_there_have_none(tmp_path: Path) -> None:
    assert pages(tmp_path, "bin/albatrossd") == {}


@pytest.mark.parametrize("page", ["albatross-client.1", "albatross-client.1.gz"])
def test_programs_that_bring_one_get_no_other(tmp_path: Path, page: str) -> None:
    assert pages(tmp_path, "bin/albatross-client", f"man/man1/{page}") == {}
