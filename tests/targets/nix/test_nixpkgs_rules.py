"""The re-implemented rules find what they are for."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

import pytest

from tests.targets.nix import nixpkgs_rules

GOLDEN: Final = "golden/nixpkgs/pkgs/by-name/dn/dns-primary/package.nix"
META: Final[dict[str, object]] = {
    "description": "Primary DNS server",
    "license": [],
    "sourceProvenance": [{"isSource": False}],
    "maintainers": [{}],
    "platforms": ["x86_64-linux"],
}


@pytest.fixture(scope="module")
def good() -> str:
    return (Path(__file__).parent / GOLDEN).read_text()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("})\n", "})"),
        ("})\n", "})\n\n"),
        ("  src", "\tsrc"),
        ("  src", "   src"),
        (";\n", "; \n"),
        (";\n", ";\r\n"),
        ("\n\n", "\n\n\n"),
        ("[ ]", "[]"),
        ("[ solo5 ]", "[solo5]"),
        ('[ "x86_64-linux" ]', '[ "x86_64-linux" "aarch64-linux" ]'),
        ("strictDeps = true", "strictDeps =true"),
        ("strictDeps = true", "strictDeps= true"),
        ("dontBuild = true", f"dontBuild = {'x' * 90}"),
    ],
)
def test_formatting(good: str, old: str, new: str) -> None:
    assert old in good
    assert list(nixpkgs_rules.formatting(good.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  lib,\n  stdenvNoCC,", "  lib, stdenvNoCC,"),
        ("  solo5,\n}:", "  solo5\n}:"),
        ("  solo5,\n}:", "  solo5,\n  unused,\n}:"),
        ("  strictDeps = true;\n", ""),
        ("  __structuredAttrs = true;\n", "  __structuredAttrs = false;\n"),
        ("  dontBuild = true;\n", '  phases = [ "installPhase" ];\n'),
        (
            "  dontUnpack = true;\n  dontConfigure = true;",
            "  dontConfigure = true;\n  dontUnpack = true;",
        ),
        ("    runHook preInstall\n", ""),
        ("    runHook postInstall\n", ""),
        ("  # Stripping or patching would change the recorded bytes.\n", ""),
        ("src = fetchurl {", "src = <nixpkgs> {"),
        ("src = fetchurl {", "src = ../x {"),
        ("src = fetchurl {", "src = ~/x {"),
        ("src = fetchurl {", "src = /etc/x {"),
        ("stdenvNoCC.mkDerivation (finalAttrs: {", "stdenvNoCC.mkDerivation (finalAttrs: rec {"),
        ("with lib.licenses;", "with lib;"),
        ("a git repository", "a \\git repository"),
        ("  meta = {", "  other = 1;\n\n  meta = {"),
        ("\n  meta = {", "\n  info = {"),
    ],
)
def test_package(good: str, old: str, new: str) -> None:
    good = good.replace("license = lib.licenses.isc", "license = with lib.licenses; isc")
    assert old in good
    assert list(nixpkgs_rules.package(good.replace(old, new)))
    assert not list(nixpkgs_rules.package(good))


@pytest.mark.parametrize(
    "path",
    [
        "pkgs/by-name/xx/dns/package.nix",
        "pkgs/by-name/7u/7up/package.nix",
        "pkgs/by-name/dn/dns/default.nix",
        "pkgs/dns/package.nix",
    ],
)
def test_layout(path: str) -> None:
    assert list(nixpkgs_rules.layout(PurePosixPath(path)))


def test_good_meta() -> None:
    assert not list(nixpkgs_rules.meta("dns-primary", "1.2", META, submitted=True))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("description", "primary server"),
        ("description", "A primary server"),
        ("description", "Primary server."),
        ("description", "Dns-primary does it"),
        ("description", "Great server"),
        ("sourceProvenance", []),
        ("maintainers", []),
        ("mainProgram", "x"),
    ],
)
def test_meta(key: str, value: object) -> None:
    assert list(nixpkgs_rules.meta("dns-primary", "1.2", {**META, key: value}, submitted=True))


@pytest.mark.parametrize("key", META)
def test_missing_meta(key: str) -> None:
    values = {name: value for name, value in META.items() if name != key}
    assert list(nixpkgs_rules.meta("dns-primary", "1.2", values, submitted=False))


@pytest.mark.parametrize(("pname", "version"), [("Dns", "1.2"), ("dns", "v1.2"), ("dns", "dev")])
def test_name_and_version(pname: str, version: str) -> None:
    assert list(nixpkgs_rules.meta(pname, version, META, submitted=True))


@pytest.mark.parametrize(
    "subject",
    ["dns init at 1", "dns: init at 1.", "feat: dns", "fix(dns): x", "fixup! dns: x", "a: b\nc"],
)
def test_commits(subject: str) -> None:
    assert list(nixpkgs_rules.commit(subject))
