"""What Nix makes of the generated expressions: evaluated, downloaded, verified, built."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pkggen.targets.nix import quote
from pkggen.targets.nix.render import flake_tree, image_tree, overlay_tree
from pkggen.writer import write
from tests.targets.nix.conftest import HOSTILE, STAND_IN, Nix

if TYPE_CHECKING:
    from pkggen.recipe.model import ImageRecipe
    from tests.targets.nix.conftest import MakeRecipe


@pytest.fixture(params=["nix", "sandboxed_nix"])
def any_nix(request: pytest.FixtureRequest) -> Nix:
    """Return Nix without and with a sandbox."""
    found: Nix = request.getfixturevalue(request.param)
    return found


def packaged(nix: Nix, recipe: ImageRecipe, root: Path, *, nixpkgs: bool = True) -> str:
    """Write the package and return the expression that is its derivation.

    The image is served from a file instead of from its URL.
    """
    tree = image_tree(recipe, nixpkgs=nixpkgs)
    write(tree, root)
    package = next(root.rglob("package.nix"))
    served = nix.root / "sources" / recipe.image.sha256
    with recipe.image.content.open() as content:
        served.write_bytes(content.read())
    origin = recipe.provenance.origin
    url = "none" if origin is None else origin.file_url(recipe.image.path)
    return (
        f"(import {quote.string(str(STAND_IN))} {{\n"
        f"  urlMap = {{ {quote.string(url)} = {quote.string(served.as_uri())}; }};\n"
        f"}}).callPackage {quote.string(str(package.resolve()))} {{ }}"
    )


def evaluated(nix: Nix, package: str) -> dict[str, Any]:
    """Return what nixpkgs' checks look at."""
    values: dict[str, Any] = nix.eval(
        f"let package = {package}; in {{\n"
        "  inherit (package) meta name;\n"
        "  inherit (package.drvAttrs) pname version strictDeps __structuredAttrs;\n"
        '  passthru = builtins.removeAttrs package.passthru [ "tests" "image" ];\n'
        "  image = builtins.unsafeDiscardStringContext package.image;\n"
        "  tests = builtins.attrNames package.tests;\n"
        "}"
    )
    return values


@pytest.mark.slow
def test_evaluates_as_nixpkgs_demands(nix: Nix, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    values = evaluated(nix, packaged(nix, make_recipe(), tmp_path))
    assert values["name"] == "dns-primary-0-unstable-2026-08-20"
    assert values["strictDeps"] is True
    assert values["__structuredAttrs"] is True
    assert values["tests"] == ["image"]
    assert values["image"].endswith(f"-{values['name']}/share/mirage/dns-primary.hvt")
    assert values["passthru"] == {
        "solo5": {"target": "hvt", "abi": 2, "networks": ["service"], "blocks": []},
        "updateScript": {
            "command": [
                "pkggen",
                "update",
                "--nixpkgs",
                ".",
                "--platform",
                "debian-12",
                "https://builds.example.org/job/dns-primary-git",
            ],
            "supportedFeatures": ["commit"],
        },
    }
    assert values["meta"] == {
        "description": "Primary DNS server with its zones in a git repository",
        "homepage": "https://example.org/dns-primary",
        "license": {"spdxId": "ISC"},
        "sourceProvenance": [{"isSource": False}],
        "maintainers": [{"email": "someone@example.org"}],
        "platforms": ["x86_64-linux"],
    }


@pytest.mark.slow
def test_hostile_texts_evaluate_to_themselves(
    nix: Nix, hostile: ImageRecipe, tmp_path: Path
) -> None:
    values = evaluated(nix, packaged(nix, hostile, tmp_path))
    assert values["meta"]["description"] == HOSTILE
    assert values["meta"]["homepage"] == HOSTILE
    assert values["passthru"]["solo5"]["networks"] == [HOSTILE, "''"]
    assert values["passthru"]["updateScript"]["command"][-1] == f"https://x/job/x\r\n{HOSTILE}"


@pytest.mark.slow
def test_package_outside_of_nixpkgs_evaluates(nix: Nix, local: ImageRecipe, tmp_path: Path) -> None:
    values = evaluated(nix, packaged(nix, local, tmp_path, nixpkgs=False))
    assert values["passthru"] == {
        "solo5": {"target": "spt", "abi": 2, "networks": ["in", "out"], "blocks": ["data"]}
    }
    assert [licence["spdxId"] for licence in values["meta"]["license"]] == [
        "LGPL-2.1-only",
        "MIT",
        "OCaml-LGPL-linking-exception",
    ]


def test_downloaded_image_is_installed_bit_for_bit(
    any_nix: Nix, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe()
    package = packaged(any_nix, recipe, tmp_path)
    output = Path(any_nix.build(package))
    image = output / "share/mirage/dns-primary.hvt"
    assert [file for file in output.rglob("*") if file.is_file()] == [image]
    assert hashlib.sha256(image.read_bytes()).hexdigest() == recipe.image.sha256
    assert not image.stat().st_mode & 0o111
    assert any_nix.run("nix-store", "--query", "--references", output) == ""
    assert any_nix.build(package, "--check") == str(output)
    any_nix.run("nix-store", "--verify-path", output)


@pytest.mark.slow
def test_copied_image_is_installed_bit_for_bit(
    any_nix: Nix, local: ImageRecipe, tmp_path: Path
) -> None:
    output = Path(any_nix.build(packaged(any_nix, local, tmp_path, nixpkgs=False)))
    image = output / "share/mirage/7proxy.spt"
    assert hashlib.sha256(image.read_bytes()).hexdigest() == local.image.sha256


@pytest.mark.slow
def test_own_test_of_the_package_passes(
    any_nix: Nix, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    any_nix.build(f"({packaged(any_nix, make_recipe(), tmp_path)}).tests.image")


@pytest.mark.slow
def test_own_test_of_the_package_finds_another_target(
    nix: Nix, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe()
    wrong = replace(recipe, solo5=replace(recipe.solo5, target="spt"))
    package = packaged(nix, wrong, tmp_path)
    nix.build(package)
    nix.build(f"({package}).tests.image", status=100)


@pytest.mark.slow
def test_own_test_of_the_package_finds_other_bytes(
    nix: Nix, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    package = packaged(nix, make_recipe(), tmp_path)
    expression = next(tmp_path.rglob("package.nix"))
    text = expression.read_text()
    changed = text.replace('"$out/share/mirage/', '"$out/other"\n    echo > "$out/share/mirage/')
    expression.write_text(
        changed.replace('install -D -m 644 "$src" ', "mkdir -p $out/share/mirage ")
    )
    error = nix.build(f"({package}).tests.image", status=100)
    assert "dns-primary.hvt: FAILED" in error


@pytest.mark.slow
def test_one_wrong_digit_is_a_hash_mismatch(
    any_nix: Nix, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe()
    right = recipe.image.sha256
    flipped = f"{int(right[0], 16) ^ 1:x}{right[1:]}"
    wrong = replace(recipe, image=replace(recipe.image, sha256=flipped))
    error = any_nix.build(packaged(any_nix, wrong, tmp_path), status=102)
    assert "error: hash mismatch in fixed-output derivation" in error
    assert f"specified: {quote.sri(flipped)[1:-1]}" in error
    assert f"got:    {quote.sri(right)[1:-1]}" in error


@pytest.mark.slow
@pytest.mark.usefixtures("nix")
def test_changed_copy_is_refused(local: ImageRecipe, tmp_path: Path) -> None:
    empty = tmp_path / "nix"  # a store that has the right bytes already would be content
    empty.mkdir()
    nix = Nix.create(empty, sandbox=False)
    package = packaged(nix, local, tmp_path / "overlay", nixpkgs=False)
    copy = next(tmp_path.rglob("7proxy.spt"))
    copy.write_bytes(copy.read_bytes()[:-1] + b"x")
    error = nix.build(package, status=1)
    assert "7proxy.spt" in error
    assert "mismatch" in error


@pytest.fixture
def overlay(make_recipe: MakeRecipe, local: ImageRecipe, tmp_path: Path) -> Path:
    """Write an overlay of two packages for different systems, and a stray file."""
    arm = make_recipe(machine="aarch64")
    trees = image_tree(arm, nixpkgs=False) | image_tree(local, nixpkgs=False) | overlay_tree()
    write(trees, tmp_path)
    (tmp_path / "pkgs/by-name/README").write_text("not a package\n")
    return tmp_path


@pytest.mark.slow
def test_default_nix_has_all_packages(nix: Nix, overlay: Path, local: ImageRecipe) -> None:
    packages = (
        f"import {quote.string(str(overlay / 'default.nix'))}"
        f" {{ pkgs = import {quote.string(str(STAND_IN))} {{ }}; }}"
    )
    assert nix.eval(f"builtins.mapAttrs (_: package: package.pname) ({packages})") == {
        "_7proxy": "7proxy",
        "dns-primary": "dns-primary",
    }
    image = Path(nix.build(f"({packages})._7proxy"), "share/mirage/7proxy.spt")
    assert hashlib.sha256(image.read_bytes()).hexdigest() == local.image.sha256


@pytest.mark.slow
def test_overlay_extends_nixpkgs(nix: Nix, overlay: Path) -> None:
    extended = (
        f"((import {quote.string(str(STAND_IN))} {{ }}).extend"
        f" (import {quote.string(str(overlay / 'overlay.nix'))}))"
    )
    assert nix.eval(f"{extended}.dns-primary.version") == "0-unstable-2026-08-20"


@dataclass(frozen=True, slots=True)
class Flake:
    """A flake whose nixpkgs is the stand-in."""

    nix: Nix
    """Nix."""
    directory: Path
    """Where flake.nix is."""

    def run(self, *argv: str, attribute: str = "", timeout: float = 60) -> str:
        """Run a command of `nix` for it, and return what it prints."""
        given = ("--no-write-lock-file", "--override-input", "nixpkgs", f"path:{STAND_IN}")
        flake = f"path:{self.directory}{attribute}"
        return self.nix.run("nix", *argv, *given, flake, timeout=timeout)

    def names(self, output: str) -> object:
        """Return the names in the sets of an output."""
        apply = "builtins.mapAttrs (_: builtins.attrNames)"
        return json.loads(self.run("eval", "--json", "--apply", apply, attribute=f"#{output}"))


@pytest.fixture
def flake(nix: Nix, overlay: Path) -> Flake:
    """Write a flake of the two packages."""
    write(flake_tree(), overlay)
    return Flake(nix, overlay)


@pytest.mark.slow
def test_flake_shows_packages_and_checks_per_system(flake: Flake) -> None:
    assert flake.names("packages") == {
        "aarch64-linux": ["dns-primary"],
        "powerpc64le-linux": [],
        "x86_64-linux": ["_7proxy"],
    }
    assert flake.names("checks") == {
        "aarch64-linux": ["image-dns-primary"],
        "powerpc64le-linux": [],
        "x86_64-linux": ["image-_7proxy", "machine-_7proxy"],
    }
    assert flake.names("hydraJobs.packages") == flake.names("packages")
    assert flake.names("hydraJobs.tests") == {
        "aarch64-linux": ["image-dns-primary"],
        "powerpc64le-linux": [],
        "x86_64-linux": ["image-_7proxy"],
    }


@pytest.mark.slow
def test_flake_has_the_module(flake: Flake) -> None:
    (module,) = json.loads(flake.run("eval", "--json", attribute="#nixosModules.default.imports"))
    assert Path(module).read_bytes() == (flake.directory / "module.nix").read_bytes()


@pytest.mark.slow
def test_the_check_of_a_machine_runs_the_package(flake: Flake) -> None:
    drv = json.loads(
        flake.run("eval", "--json", attribute="#checks.x86_64-linux.machine-_7proxy.drvAttrs")
    )
    assert drv["name"] == "vm-test-run-7proxy-unikernel"
    assert "pgrep --uid _unikernel-test solo5-spt" in drv["testScript"]


@pytest.mark.slow
def test_checks_of_the_flake_are_built(flake: Flake) -> None:
    flake.run("flake", "check")
    for name in ("image-_7proxy", "machine-_7proxy"):
        attribute = f"#checks.x86_64-linux.{name}.outPath"
        assert Path(flake.run("eval", "--raw", attribute=attribute)).exists()
