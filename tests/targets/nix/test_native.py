"""Solo5 for Nix, built from its release: a package of our own, and nixpkgs' own edited."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.errors import InputError
from pkggen.opam.package import Checksum
from pkggen.recipe.build import package_recipe
from pkggen.recipe.model import Release, ToolRecipe
from pkggen.recipe.tool_reader import described_tool
from pkggen.targets.nix import quote
from pkggen.targets.nix.edit import with_release
from pkggen.targets.nix.lint import entries, lint
from pkggen.targets.nix.native import native_tree
from pkggen.targets.nix.render import overlay_tree
from pkggen.writer import write
from tests.rebuild.made import Package, archive
from tests.targets.nix.conftest import STAND_IN, Nix
from tests.targets.nix.rebuilds import STARTED
from tests.targets.nix.test_tool import OVERRIDES
from tests.tools import solo5

if TYPE_CHECKING:
    from tests.conftest import CheckGolden

URL: Final = f"https://pkggen.test/solo5-v{solo5.VERSION}.tar.gz"
GOLDEN: Final = Path(__file__).parent / "golden/native"
EXPRESSION: Final = """\
{ lib, stdenv, fetchurl, libseccomp, pkg-config }:

let
  version = "0.8.1";
in stdenv.mkDerivation {
  pname = "solo5";
  inherit version;

  nativeBuildInputs = [ pkg-config ];
  buildInputs = [ libseccomp ];

  src = fetchurl {
    url = "https://pkggen.test/solo5-v${version}.tar.gz";
    sha256 = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  };

  hardeningEnable = [ "pie" ];

  configurePhase = ''
    runHook preConfigure
    sh configure.sh --prefix=/
    runHook postConfigure
  '';

  buildPhase = ''
    runHook preBuild
    make V=1
    runHook postBuild
  '';

  installPhase = ''
    runHook preInstall
    make V=1 install DESTDIR="$out"
    runHook postInstall
  '';

  meta = with lib; {
    description = "Sandbox for unikernels";
    homepage = "https://example.org/solo5";
    license = licenses.isc;
    maintainers = [ maintainers.example ];
    platforms = [ "x86_64-linux" ];
  };
}
"""
"""What people wrote who package Solo5 as nixpkgs does."""


@pytest.fixture
def tarball(nix: Nix) -> Path:
    """Return the release of the stand-in for Solo5."""
    if shutil.which("pkg-config") is None:
        pytest.skip("NOTHING BUILT: install pkg-config and libseccomp-dev")
    data = gzip.compress(archive(Package("solo5", "", solo5.FILES, solo5.VERSION)), mtime=0)
    file = nix.root / "sources" / "solo5.tar.gz"
    file.write_bytes(data)
    return file


@pytest.fixture
def recipe(tmp_path: Path) -> ToolRecipe:
    record = replace(solo5.record(tmp_path / "made").read(), started=STARTED, finished=STARTED)
    recipe = package_recipe(record, OVERRIDES)
    assert isinstance(recipe, ToolRecipe)
    return recipe


def release_of(recipe: ToolRecipe, data: bytes, kind: str = "sha256") -> Release:
    return Release(
        name="solo5",
        version=solo5.VERSION,
        urls=(URL,),
        checksums=(Checksum(kind, hashlib.new(kind, data).hexdigest()),),
        provenance=recipe.provenance,
    )


def generate(recipe: ToolRecipe, release: Release, root: Path) -> Path:
    tool = described_tool("solo5")
    assert tool is not None
    write(native_tree(recipe, tool, release) | overlay_tree(), root)
    return root / "pkgs/by-name/so/solo5/package.nix"


def expression(file: Path, tarball: Path) -> str:
    return (
        f"(import {quote.string(str(STAND_IN))} {{\n"
        f"  urlMap = {{ {quote.string(URL)} = {quote.string(tarball.as_uri())}; }};\n"
        f"}}).callPackage {quote.string(str(file))} {{ }}"
    )


def runs(output: str, program: str, *arguments: str) -> str:
    argv = [f"{output}/bin/{program}", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("which", ["nix", "sandboxed_nix"])
@pytest.mark.parametrize("kind", ["sha256", "sha512"])
def test_from_its_release(
    request: pytest.FixtureRequest, which: str, kind: str, recipe: ToolRecipe, tmp_path: Path
) -> None:
    nix: Nix = request.getfixturevalue(which)
    data = gzip.compress(archive(Package("solo5", "", solo5.FILES, solo5.VERSION)), mtime=0)
    tarball = nix.root / "sources" / "solo5.tar.gz"
    tarball.write_bytes(data)
    package = expression(generate(recipe, release_of(recipe, data, kind), tmp_path), tarball)
    output = nix.build(package)
    for tender in ("solo5-hvt", "solo5-hvt-debug", "solo5-spt"):
        assert "ABI version 2" in runs(output, tender, "--version").splitlines()
    assert "runs x" in runs(output, "solo5-virtio-run", "x")
    assert Path(output, "bin/solo5-elftool").is_file()
    assert Path(output, "bin/x86_64-solo5-none-static-cc").is_file()
    assert Path(output, "lib/x86_64-solo5-none-static/solo5_hvt.lds").is_file()
    headers = Path(output, "include/x86_64-solo5-none-static")
    assert headers.is_dir()
    assert not (headers / "objc").exists(), "they are of another compiler"
    assert nix.build(package, "--check") == output


@pytest.mark.slow
def test_another_abi_is_no_package(
    recipe: ToolRecipe, nix: Nix, tarball: Path, tmp_path: Path
) -> None:
    tool = described_tool("solo5")
    assert tool is not None
    assert tool.build is not None
    checks = tuple(replace(check, line="ABI version 3") for check in tool.build.checks)
    other = replace(tool, build=replace(tool.build, checks=checks))
    release = release_of(recipe, tarball.read_bytes())
    write(native_tree(replace(recipe, tool=other), other, release), tmp_path)
    nix.build(expression(tmp_path / "pkgs/by-name/so/solo5/package.nix", tarball), status=100)


def test_other_bytes_are_refused(
    recipe: ToolRecipe, nix: Nix, tarball: Path, tmp_path: Path
) -> None:
    file = generate(recipe, release_of(recipe, b"other bytes"), tmp_path)
    assert "hash mismatch" in nix.build(expression(file, tarball), status=102)


@pytest.mark.slow
def test_nixpkgs_own_expression_edited(recipe: ToolRecipe, nix: Nix, tarball: Path) -> None:
    """What nixpkgs has builds the recorded release after the edit."""
    release = release_of(recipe, tarball.read_bytes())
    edited = with_release(EXPRESSION, release, "package.nix")
    assert edited.old_version == "0.8.1"
    output = nix.build(expression(nix.write("solo5-edited.nix", edited.text), tarball))
    assert output.endswith(f"-solo5-{solo5.VERSION}")
    assert "ABI version 2" in runs(output, "solo5-hvt", "--version").splitlines()


def test_images_of_the_overlay_get_it(recipe: ToolRecipe, nix: Nix, tmp_path: Path) -> None:
    generate(recipe, release_of(recipe, b"release"), tmp_path)
    packages = f"(import {STAND_IN} {{ }}).extend (import {tmp_path}/overlay.nix)"
    assert nix.eval(f"({packages}).solo5.name") == f"solo5-{solo5.VERSION}"


def test_golden(recipe: ToolRecipe, check_golden: CheckGolden) -> None:
    tool = described_tool("solo5")
    assert tool is not None
    check_golden(native_tree(recipe, tool, release_of(recipe, b"release")), GOLDEN)


def test_keeps_the_rules_of_nixpkgs(recipe: ToolRecipe, tmp_path: Path) -> None:
    generate(recipe, release_of(recipe, b"release"), tmp_path)
    assert not lint(entries(tmp_path), submitted=False)


@pytest.mark.parametrize("word", ["a''b", "${x}", "a\nb"])
def test_what_would_leave_the_script_is_refused(recipe: ToolRecipe, word: str) -> None:
    tool = described_tool("solo5")
    assert tool is not None
    assert tool.build is not None
    steps = (replace(tool.build.steps[0], words=("sh", word)), *tool.build.steps[1:])
    other = replace(tool, build=replace(tool.build, steps=steps))
    with pytest.raises(InputError, match="cannot be used in a script of a Nix package"):
        native_tree(replace(recipe, tool=other), other, release_of(recipe, b""))
