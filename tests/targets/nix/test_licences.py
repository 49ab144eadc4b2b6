"""SPDX identifiers in nixpkgs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pkggen.recipe.model import LicenceTerm
from pkggen.targets.nix import licences, quote

if TYPE_CHECKING:
    from tests.targets.nix.conftest import Nix


def test_attributes_are_sorted_and_named_once() -> None:
    terms = (
        LicenceTerm("MIT"),
        LicenceTerm("LGPL-2.1-only", "OCaml-LGPL-linking-exception"),
        LicenceTerm("LGPL-2.0-only", "OCaml-LGPL-linking-exception"),
        LicenceTerm("ISC"),
    )
    assert not list(licences.faults(terms))
    assert licences.attributes(terms) == (
        "isc",
        "lgpl21Only",
        "lgpl2Only",
        "mit",
        "ocamlLgplLinkingException",
    )


def test_all_unknown_names_are_told_at_once() -> None:
    terms = (
        LicenceTerm("MIT"),
        LicenceTerm("LicenseRef-x"),
        LicenceTerm("GPL-2.0-only", "no-exception"),
        LicenceTerm("No", "nothing"),
    )
    messages = [fault.message for fault in licences.faults(terms)]
    assert [message.split("for ")[1] for message in messages] == [
        "'LicenseRef-x'",
        "'no-exception'",
        "'No'",
        "'nothing'",
    ]


def test_no_two_identifiers_share_an_attribute() -> None:
    every = [*licences.LICENCES.values(), *licences.EXCEPTIONS.values()]
    assert len(every) == len(set(every))
    assert all(quote.attribute(name) == name for name in every)


def test_nixpkgs_has_these_attributes_with_these_identifiers(nix: Nix) -> None:
    lib = os.environ.get("PKGGEN_NIXPKGS_LIB")
    if lib is None:
        pytest.skip("NO NIXPKGS: set PKGGEN_NIXPKGS_LIB to the lib directory of a checkout")
    table = licences.LICENCES | licences.EXCEPTIONS
    wanted = quote.listing([quote.string(name) for name in table.values()], indent=0)
    facts = nix.eval(
        f"let inherit (import {quote.string(str(Path(lib).resolve()))}) licenses; in\n"
        f"map (name: [ licenses.${{name}}.spdxId licenses.${{name}}.free ]) {wanted}"
    )
    assert facts == [[spdx, True] for spdx in table]
