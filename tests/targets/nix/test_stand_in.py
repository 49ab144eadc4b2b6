"""The stand-in for nixpkgs refuses what nixpkgs refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pkggen.targets.nix import quote
from tests.targets.nix.conftest import STAND_IN

if TYPE_CHECKING:
    from tests.targets.nix.conftest import Nix

PKGS = f"with import {quote.string(str(STAND_IN))} {{ }};\n"


@pytest.mark.slow
@pytest.mark.parametrize("structured", ["true", "false"])
@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("runHook preInstall; echo > $out; runHook postInstall", None),
        ("runHook preInstall; echo > $out", "must run the hooks"),
        ("echo > $out; runHook postInstall", "must run the hooks"),
        ("runHook preInstall; false; runHook postInstall", "failed with exit code 1"),
    ],
)
def test_phases(nix: Nix, script: str, complaint: str | None, structured: str) -> None:
    expression = (
        f"{PKGS}stdenvNoCC.mkDerivation {{\n"
        '  name = "x"; dontUnpack = true; dontConfigure = true; dontBuild = true;\n'
        f"  dontFixup = true; __structuredAttrs = {structured};\n"
        f"  installPhase = {quote.string(script)};\n}}"
    )
    if complaint is None:
        nix.build(expression)
    else:
        assert complaint in nix.build(expression, status=100)


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("lib.licenses.unknown", "attribute 'unknown' missing"),
        ("lib.maintainers.nobody", "attribute 'nobody' missing"),
        ('fetchurl { url = "x"; sha1 = "y"; }', "called without required argument 'hash'"),
        ('fetchurl { url = "x"; hash = "y"; md5 = "z"; }', "unexpected argument 'md5'"),
        ('(runCommand "x" { meta.description = 3; } "").meta', "bad meta: description"),
        ('(runCommand "x" { meta.licence = 3; } "").meta', "bad meta: licence"),
    ],
)
def test_evaluation(nix: Nix, expression: str, complaint: str) -> None:
    assert complaint in nix.eval(PKGS + expression, status=1)
