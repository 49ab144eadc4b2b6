"""The list of maintainers: entries, their order, and lists that are not touched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pkggen.errors import InputError
from pkggen.publish.maintainers import Entry, maintainer_entry, with_maintainer
from tests.publish.conftest import ENTRY, JANE, LIST


def test_entry() -> None:
    assert maintainer_entry(JANE, "janedoe") == Entry(attribute="janedoe", text=ENTRY)
    assert maintainer_entry(replace(JANE, github=None, github_id=None), "with").text == (
        '  "with" = {\n    email = "jane@example.org";\n    name = "Jane \\"J\\" Doe";\n  };\n'
    )


@pytest.mark.parametrize(
    ("attribute", "before"),
    [
        ("_0", "_1example"),
        ("_2", "a-b"),
        ("a", "a-b"),
        ("a1", "Alice"),
        ("ALICE2", "mallory"),
        ("zoe", None),
    ],
)
def test_entries_are_sorted_as_keep_sorted_does(attribute: str, before: str | None) -> None:
    entry = maintainer_entry(JANE, attribute)
    text = with_maintainer(LIST, entry)
    follows = "  # keep-sorted end\n" if before is None else f"  {before} = {{\n"
    assert entry.text + follows in text
    assert text.replace(entry.text, "", 1) == LIST


def test_a_blank_line_after_the_start_is_kept() -> None:
    text = LIST.replace("newline_separated=no\n", "newline_separated=no\n\n")
    assert "no\n\n  _0 = {" in with_maintainer(text, maintainer_entry(JANE, "_0"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # keep-sorted start case=no numeric=no block=yes newline_separated=no\n", ""),
        ("  # keep-sorted end\n", ""),
        ("  # keep-sorted end\n}\n", "  # keep-sorted end\n  zoe = { };\n}\n"),
        ("case=no", "case=yes"),
        ("  mallory = {", "  # left in 2025\n  mallory = {"),
        ("\n{\n", "\nrec {\n"),
    ],
)
def test_an_unexpected_list_is_refused(old: str, new: str) -> None:
    assert old in LIST
    with pytest.raises(InputError, match="has not the expected form") as caught:
        with_maintainer(LIST.replace(old, new), maintainer_entry(JANE, "janedoe"))
    assert ENTRY in (caught.value.hint or "")


def test_names_that_differ_in_capitals_only() -> None:
    with pytest.raises(InputError, match="has a maintainer Alice already"):
        with_maintainer(LIST, maintainer_entry(JANE, "alice"))
