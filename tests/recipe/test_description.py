from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkggen.recipe.description import cleaned, fault


@pytest.mark.parametrize(
    ("synopsis", "expected"),
    [
        ("A unikernel that serves DNS.", "Unikernel that serves DNS"),
        ("the   primary\n name server", "Primary name server"),
        ("An ISC DHCP server...", "ISC DHCP server"),
        ("Answers DNS", "Answers DNS"),
        ("Another server", "Another server"),
        ("dns: a server for names", "Server for names"),
        ("DNS -- serves names", "Serves names"),
        ("dns is a server.", "Server"),
        ("dnsmasq of a kind", "Dnsmasq of a kind"),
        ("", ""),
    ],
)
def test_cleaned(synopsis: str, expected: str) -> None:
    assert cleaned(synopsis, "dns") == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("Two\nlines", "one line"),
        ("Bidi \u202e text", "printable"),
        (" Space", "space"),
        ("x" * 71, "71 characters"),
        ("lower", "capital"),
        ("The server", "article"),
        ("A server", "article"),
        ("Server.", "full stop"),
        ("Dns server", "name of the package"),
        ("DNS: server", "name of the package"),
    ],
)
def test_faults(text: str, reason: str) -> None:
    assert reason in (fault(text, "dns") or "")


@pytest.mark.parametrize("text", ["Server", "9P server", "X" * 70, "Éclair of a server", "Anvil"])
def test_no_fault(text: str) -> None:
    assert fault(text, "dns") is None


@given(st.text())
def test_cleaning_mends_what_it_says(synopsis: str) -> None:
    text = cleaned(synopsis, "dns")
    assert fault(text, "") is None or fault(text, "") not in {
        "ends with a full stop",
        "starts or ends with a space",
    }
