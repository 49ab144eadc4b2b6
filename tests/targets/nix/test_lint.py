"""The rules of nixpkgs that `lint` knows: our output keeps them, and each finds its breach."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkggen.errors import InputError
from pkggen.recipe.finding import Entry
from pkggen.targets.nix.finding import RULES, Finding
from pkggen.targets.nix.lint import entries, is_checkout, lint, subject_faults
from pkggen.targets.nix.render import flake_tree, image_tree
from pkggen.tree import TextFile, Tree

if TYPE_CHECKING:
    from pkggen.recipe.model import ImageRecipe
    from tests.targets.nix.conftest import MakeRecipe

GOLDEN: Final = Path(__file__).parent / "golden"
DIRECTORY: Final = PurePosixPath("pkgs/by-name/dn/dns-primary")
PACKAGE: Final = DIRECTORY / "package.nix"
GOOD: Final = (GOLDEN / "nixpkgs" / PACKAGE).read_text(encoding="utf-8")

SRI: Final = "sha256-eMYu2KyeF18jIYy21qAOv8fQIhx7iqiuswKZoZZaM9I="


def of(tree: Tree) -> dict[PurePosixPath, Entry]:
    return {
        path: Entry(data=file.data, executable=file.executable)
        if isinstance(file, TextFile)
        else Entry()
        for path, file in tree.items()
    }


def package(text: str, **files: Entry) -> dict[PurePosixPath, Entry]:
    """Return a package and other files in its directory; `_` in their names is a dot."""
    others = {DIRECTORY / name.replace("_", "."): entry for name, entry in files.items()}
    return {PACKAGE: Entry(data=text.encode()), **others}


def rules(files: dict[PurePosixPath, Entry], *, submitted: bool = True) -> list[str]:
    return [finding.rule for finding in lint(files, submitted=submitted)]


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


# What we generate


@pytest.mark.parametrize(
    ("case", "submitted"), [("nixpkgs", True), ("local", False), ("flake", False)]
)
def test_goldens_are_clean(case: str, submitted: bool) -> None:  # noqa: FBT001 - a parameter
    root = GOLDEN / case
    files = {
        PurePosixPath(path.relative_to(root)): Entry(
            data=path.read_bytes() if path.suffix == ".nix" else None
        )
        for path in root.rglob("*")
        if path.is_file()
    }
    assert files
    assert not lint(files, submitted=submitted)


def test_hostile_texts_do_not_confuse_it(hostile: ImageRecipe) -> None:
    found = lint(of(image_tree(hostile, nixpkgs=True)), submitted=True)
    assert [finding.rule for finding in found] == ["description", "homepage"]


def test_configured_packages_and_flakes_are_clean(make_recipe: MakeRecipe) -> None:
    tree = image_tree(make_recipe(), nixpkgs=True, config="maintainer: {}\n") | flake_tree()
    assert {"flake.nix", "module.nix", "nixos-test.nix"} < {str(path) for path in tree}
    assert not rules(of(tree))


# Each rule


IN_PACKAGE: Final = [
    # .editorconfig
    ("final-newline", "})\n", "})"),
    ("final-newline", "  };\n})\n", "  };\n})\n\n"),
    ("line-end", "solo5,\n", "solo5,\r\n"),
    ("trailing-blanks", "pname", "\n  \n  pname"),
    ("trailing-blanks", ";\n", "; \n"),
    ("indentation", "  src", "\tsrc"),
    ("indentation", "  src", "   src"),
    ("indentation", "  # Strip", "   # Strip"),
    # nixfmt
    ("blank-lines", "\n\n  src", "\n\n\n  src"),
    ("line-length", "dontBuild = true", f"dontBuild = {' == '.join(['true'] * 20)}"),
    ("list-layout", '[ "x86_64-linux" ]', '[ "x86_64-linux" "aarch64-linux" ]'),
    ("list-layout", "lib.licenses.isc", "[ lib.x { a = 1; } ]"),
    ("brackets", "[ ]", "[]"),
    ("brackets", "[ solo5 ]", "[solo5]"),
    ("equals", "strictDeps = true", "strictDeps =true"),
    ("equals", "strictDeps = true", "strictDeps= true"),
    ("arguments", "  lib,\n  stdenvNoCC,", "  lib, stdenvNoCC,"),
    ("arguments", "  solo5,\n}:", "  solo5\n}:"),
    ("arguments", "{\n  lib,\n  stdenvNoCC,\n  fetchurl,\n  runCommand,\n  solo5,\n}:", "x:"),
    # nixf-diagnose
    ("unused-argument", "  solo5,\n}:", "  solo5,\n  unused,\n}:"),
    ("unused-argument", "  solo5,\n}:", "  solo5,\n  unused ? solo5,\n}:"),
    # Nix itself
    ("nix-syntax", "})\n", ")\n"),
    ("nix-syntax", "})\n", "})})\n"),
    ("nix-syntax", "})\n", "})^\n"),
    ("nix-syntax", '"x86_64-linux"', '"x86_64-linux'),
    ("url-literal", '"https://example.org/dns-primary"', "https://example.org/dns-primary"),
    # nixpkgs-vet
    ("NPV-121", "src = fetchurl {", "src = ./${lib.x} {"),
    ("NPV-121", "src = fetchurl {", "src = ./a-${lib.x}/b {"),
    ("NPV-122", "src = fetchurl {", "src = <nixpkgs> {"),
    ("NPV-123", "src = fetchurl {", "src = ../x {"),
    ("NPV-123", "src = fetchurl {", "src = ./a/../../x {"),
    ("NPV-124", "src = fetchurl {", "src = ./missing {"),
    ("NPV-127", "src = fetchurl {", "src = /etc/x {"),
    ("NPV-128", "src = fetchurl {", "src = ~/x {"),
    ("NPV-164", "  strictDeps = true;\n", ""),
    ("NPV-164", "  strictDeps = true;\n", "  strictDeps = false;\n"),
    ("NPV-166", "  __structuredAttrs = true;\n", ""),
    ("NPV-166", "  __structuredAttrs = true;\n", "  __structuredAttrs = false;\n"),
    ("NPV-170", "a git repository", "a \\git repository"),
    ("NPV-170", "a git repository", "a \\$git repository"),
    ("NPV-170", "runHook preInstall\n", "runHook preInstall\n    echo ''\\x\n"),
    # names
    ("header", "# Generated by pkggen", "# Made by hand"),
    ("derivation", "stdenvNoCC.mkDerivation (finalAttrs: {", "stdenvNoCC.make (finalAttrs: {"),
    ("pname", '"dns-primary"', '"Dns-primary"'),
    ("pname", '  pname = "dns-primary";\n', ""),
    ("attribute-name", '"dns-primary"', '"dns-secondary"'),
    ("version", '"0-unstable-2026-08-20"', '"v1.2"'),
    ("version", '"0-unstable-2026-08-20"', '"dev"'),
    ("version", '"0-unstable-2026-08-20"', '"0-unstable"'),
    ("version", '"0-unstable-2026-08-20"', '"unstable-2026-08-20"'),
    # the derivation
    ("rec", "(finalAttrs: {", "(finalAttrs: rec {"),
    ("with-lib", "lib.licenses.isc", "with lib; licenses.isc"),
    (
        "attribute-order",
        "  dontUnpack = true;\n  dontConfigure = true;",
        "  dontConfigure = true;\n  dontUnpack = true;",
    ),
    ("last-attributes", "  meta = {", "  other = 1;\n\n  meta = {"),
    ("last-attributes", "  meta = {", "  mETA = {"),
    ("phases", "  dontBuild = true;\n", '  dontBuild = true;\n  phases = [ "installPhase" ];\n'),
    ("phase-hooks", "    runHook preInstall\n", ""),
    ("phase-hooks", "    runHook postInstall\n", ""),
    ("unexplained", "  # Stripping or patching would change the recorded bytes.\n", ""),
    ("unexplained", "  dontUnpack", '  makeFlags = [ "x" ];\n  dontUnpack'),
    ("unexplained", "  dontUnpack", "  doCheck = false;\n  dontUnpack"),
    ("unexplained", "\n  __structured", "  patches = [ lib.x ];\n  __structured"),
    # meta
    ("meta", "  meta = {", "  meta = lib.optionalAttrs true {"),
    ("meta", '    description = "', '    longDescription = "'),
    ("meta", "    license = lib.licenses.isc;\n", ""),
    ("meta", "    maintainers = [ lib.maintainers.example ];\n", ""),
    ("meta", '    platforms = [ "x86_64-linux" ];\n', ""),
    (
        "meta-order",
        '    maintainers = [ lib.maintainers.example ];\n    platforms = [ "x86_64-linux" ];\n',
        '    platforms = [ "x86_64-linux" ];\n    maintainers = [ lib.maintainers.example ];\n',
    ),
    ("description", '"Primary DNS', '"primary DNS'),
    ("description", '"Primary DNS', '"A primary DNS'),
    ("description", "git repository", "git repository."),
    ("description", '"Primary DNS', '"dns-primary: DNS'),
    ("description", '"Primary DNS', '"Powerful DNS'),
    ("homepage", '"https://example.org/dns-primary"', '"example"'),
    ("no-maintainer", "[ lib.maintainers.example ]", "[ ]"),
    ("unfree", "lib.licenses.isc", "lib.licenses.unfree"),
    ("source-provenance", "    sourceProvenance = [ lib.sourceTypes.binaryNativeCode ];\n", ""),
    ("source-provenance", "[ lib.sourceTypes.binaryNativeCode ]", "[ ]"),
    ("main-program", "    platforms", '    mainProgram = "dns";\n    platforms'),
    # fetchers
    ("hash", SRI, "0" * 64),
    ("hash", SRI, "sha256-eMYu"),
    ("hash", SRI, "sha512-eMYu2KyeF18jIYy21qAOv8fQIhx7iqiuswKZoZZaM9I="),
    ("hash", f'hash = "{SRI}"', f'sha512 = "{SRI}"'),
    ("hash", f'hash = "{SRI}"', 'hash = ""'),
    ("hash", f'hash = "{SRI}"', f'outputHash = "{"0" * 63}g"'),
    ("md5", SRI, "md5-1B2M2Y8AsgTpgAmY7PhCfg=="),
    ("md5", f'hash = "{SRI}"', 'md5 = "d41d8cd98f00b204e9800998ecf8427e"'),
    ("md5", f'hash = "{SRI}"', 'outputHashAlgo = "md5"'),
    ("mirror", 'url = "https://builds.example.org/', 'url = "https://ftp.gnu.org/gnu/'),
    ("mirror", 'url = "https://builds.example.org/', 'url = "http://deb.debian.org/debian/'),
    ("fetchpatch", "src = fetchurl {", "src = fetchpatch {"),
    ("override-attrs", "src = fetchurl {", "src = (lib.x.overrideAttrs lib.y) {"),
    ("import-from-derivation", "src = fetchurl {", "src = import (fetchurl { }) {"),
    ("import-from-derivation", "src = fetchurl {", "src = builtins.readFile lib.x {"),
]


@pytest.mark.parametrize(("rule", "old", "new"), IN_PACKAGE)
def test_each_rule_finds_its_breach(rule: str, old: str, new: str) -> None:
    assert rule in rules(package(changed(old, new)))


def test_no_rule_finds_anything_in_the_original() -> None:
    assert not rules(package(GOOD))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # what looks like a breach, but stands in a text or comment, or is right
        ("a git repository", "<nixpkgs> and ../x"),
        ("a git repository", "[x] with lib; rec {y} = a=b"),
        ("# Stripping", "# [x] with lib; rec {y} /etc/passwd ../.. <nixpkgs>"),
        ("    runHook preInstall\n", "    runHook preInstall\n    cp /etc/x ../y {a,b} c=d\n"),
        ("    runHook preInstall\n", "    runHook preInstall\n     odd\n"),
        ("    runHook preInstall\n", "    runHook preInstall\n    echo '' ''' ''${x} ''\\n\n"),
        ("src = fetchurl {", "x = ./package.nix;\n  src = fetchurl {"),
        ("src = fetchurl {", "x = ./.;\n  src = fetchurl {"),
        ("src = fetchurl {", "x = import ./package.nix;\n  src = fetchurl {"),
        ('hash = "', 'hash = "${lib.x}'),
        ("  dontUnpack", "  # There is no test.\n  doCheck = false;\n  dontUnpack"),
        ("  dontUnpack", "  doCheck = true;\n  dontUnpack"),
        ("  solo5,\n}:", "  solo5,\n  ...\n}:"),
        ("lib.licenses.isc", "let x = lib; y = with x; licenses; in y.isc"),
        ("lib.licenses.isc", "with lib.licenses; isc"),
        ("lib.licenses.isc", 'lib.f [ "a" ] [ "b" ] (lib.g lib.h)'),
        ("lib.licenses.isc", "[ { a = lib.b; } ]"),
        ("lib.licenses.isc", "[ (lib.f lib.x) ]"),
        ("  solo5,\n}:", "  solo5 ? builtins.x,\n}:"),
        ("  solo5,\n}:", "  solo5 ? { a, b }: a,\n}:"),
        ("0-unstable-2026-08-20", "1.5.2"),
        ("    platforms", '    mainProgram = "dns";\n    platforms'),
    ],
)
def test_what_is_allowed(old: str, new: str) -> None:
    text = changed(old, new)
    if "mainProgram" in new:
        text = text.replace("$out/share", "$out/bin/share")
    assert not rules(package(text))


def test_no_maintainer_is_needed_outside_of_nixpkgs() -> None:
    assert not rules(package(changed("[ lib.maintainers.example ]", "[ ]")), submitted=False)


def test_a_path_with_interpolation_is_found_once() -> None:
    text = changed("  src = fetchurl {", "  x = ./a-${lib.x}/b;\n  src = fetchurl {")
    assert rules(package(text)) == ["NPV-121"]


def test_github_is_not_fetched_with_git() -> None:
    text = changed("src = fetchurl {", "src = fetchgit {").replace("  fetchurl,", "  fetchgit,")
    assert not rules(package(text))
    text = text.replace("https://builds.example.org/", "https://github.com/")
    assert rules(package(text)) == ["fetchgit"]


def test_passthru_does_not_count() -> None:
    text = changed("  strictDeps = true;\n", "").replace(
        "  passthru = {\n", "  passthru = {\n    strictDeps = true;\n"
    )
    assert rules(package(text)) == ["NPV-164"]


LAYOUT: Final = [
    ("NPV-109", "pkgs/by-name/dn"),
    ("NPV-110", "pkgs/by-name/dns/dns/package.nix"),
    ("NPV-110", "pkgs/by-name/7u/7up/package.nix"),
    ("NPV-140", "pkgs/by-name/dn/dns"),
    ("NPV-141", "pkgs/by-name/7u/7up/package.nix"),
    ("NPV-141", "pkgs/by-name/d./d.ns/package.nix"),
    ("NPV-142", "pkgs/by-name/xx/dns/package.nix"),
    ("NPV-143", "pkgs/by-name/dn/dns/default.nix"),
    ("NPV-144", "pkgs/by-name/dn/dns/package.nix/default.nix"),
]


@pytest.mark.parametrize(("rule", "path"), LAYOUT)
def test_layout(rule: str, path: str) -> None:
    assert rule in rules({PurePosixPath(path): Entry()})


def test_layout_that_is_right() -> None:
    paths = ("pkgs/by-name/README.md", "pkgs/by-name/_7/_7up/package.nix", "flake.lock")
    assert not rules({PurePosixPath(path): Entry() for path in paths})


def test_names_that_differ_in_capitals() -> None:
    paths = ("pkgs/by-name/dn/dns/package.nix", "pkgs/by-name/dn/dNs/package.nix")
    found = lint({PurePosixPath(path): Entry() for path in paths}, submitted=True)
    assert [(f.rule, str(f.path)) for f in found] == [("NPV-111", "pkgs/by-name/dn/dns")]


def test_modes() -> None:
    data = GOOD.encode()
    assert rules({PACKAGE: Entry(data=data, executable=True)}) == ["NPV-145"]
    script = b"#!/usr/bin/env nix-build\n" + data
    assert rules({PACKAGE: Entry(data=script)}) == ["NPV-146", "header"]
    assert rules({PACKAGE: Entry(data=script, executable=True)}) == ["header"]


@pytest.mark.parametrize(
    ("rule", "target"),
    [
        ("NPV-125", "/etc/passwd"),
        ("NPV-125", "../other/package.nix"),
        ("NPV-125", "a/../../.."),
        ("NPV-126", "missing"),
        (None, "package.nix"),
        (None, "."),
        (None, "../dns-primary/package.nix"),
    ],
)
def test_links(rule: str | None, target: str) -> None:
    files = package(GOOD, link=Entry(link=target))
    assert rules(files) == ([] if rule is None else [rule])
    assert not rules({**package(GOOD), PurePosixPath("elsewhere"): Entry(link=target)})


@pytest.mark.parametrize(
    ("rule", "name", "data"),
    [
        ("encoding", "data_json", b"\xff"),
        ("json-syntax", "data_json", b'{"a": }\n'),
        ("json-syntax", "data_json", b"[" * 100_000 + b"\n"),
        ("hash", "data_json", b'{"hash": "0000"}\n'),
        ("md5", "data_json", b'[{"hash": "md5-1B2M2Y8AsgTpgAmY7PhCfg=="}]\n'),
        ("final-newline", "data_json", b"{}"),
        ("line-end", "pkggen_yaml", b"a: b\r\n"),
        ("trailing-blanks", "run_sh", b"true \n"),
        ("NPV-123", "other_nix", b"# Generated by pkggen\nimport ../x.nix\n"),
        (None, "data_json", b'{"hash": "' + SRI.encode() + b'"}\n'),
        (None, "run_sh", b"\t[x]  =\n\n\n   odd\n"),
        (None, "other_nix", b"# Generated by pkggen\n{ }: { dontFixup = true; }\n"),
    ],
)
def test_files_beside_the_expression(rule: str | None, name: str, data: bytes) -> None:
    assert rules(package(GOOD, **{name: Entry(data=data)})) == ([] if rule is None else [rule])


def test_every_rule_is_tested() -> None:
    parametrised = {rule for rule, *_ in IN_PACKAGE} | {rule for rule, _ in LAYOUT}
    others = {"NPV-111", "NPV-125", "NPV-126", "NPV-145", "NPV-146", "encoding", "json-syntax"}
    by_commands = {"nix-parse"}
    assert parametrised | others | {"fetchgit"} | by_commands == set(RULES)


@given(st.data())
def test_any_damage_is_read(data: st.DataObject) -> None:
    text = GOOD
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 200)))
        text = (
            text[:start]
            + data.draw(st.sampled_from(["", "inherit ", "=", ";", "{", "''"]))
            + text[end:]
        )
    assert all(finding.rule in RULES for finding in lint(package(text), submitted=True))


@pytest.mark.parametrize("name", ["dontBuild", "doCheck", "strictDeps", "meta", "installPhase"])
def test_inherited_attributes_are_read(name: str) -> None:
    text = changed("  strictDeps = true;\n", f"  inherit {name};\n")
    assert "NPV-164" in rules(package(text))


# Places


def test_places_are_those_in_the_file() -> None:
    text = changed("  src = fetchurl {", "  x = /etc/x;\n  src = fetchurl {")
    (finding,) = lint(package(text), submitted=True)
    line = 1 + text[: text.index("/etc/x")].count("\n")
    assert str(finding) == (
        f"{PACKAGE}:{line}:7 NPV-127 an absolute path: /etc/x (NixOS/nixpkgs-vet)"
    )


def test_a_finding_is_one_printable_line() -> None:
    finding = Finding(path=PACKAGE, rule="version", message="a\n\x1b[31m\u202e")
    assert str(finding) == (f"{PACKAGE}:1:1 version a \\x1b[31m\\u202e (nixpkgs pkgs/README.md)")


# Commits


@pytest.mark.parametrize(
    "subject",
    [
        "dns init at 1",
        "dns: init at 1.",
        "feat: dns",
        "fix(dns): x",
        "feat!: dns",
        "fixup! dns: x",
        "squash! dns: x",
        "amend! dns: x",
        "a: b\nc",
        f"a: {'b' * 98}",
    ],
)
def test_subjects_that_nixpkgs_refuses(subject: str) -> None:
    assert list(subject_faults(subject))


@pytest.mark.parametrize(
    "subject", ["dns-primary: init at 0-unstable-2026-08-20", "dns: 1 -> 2", "maintainers: add me"]
)
def test_subjects_that_nixpkgs_takes(subject: str) -> None:
    assert not list(subject_faults(subject))


def test_a_package_may_be_called_like_a_conventional_type() -> None:
    assert list(subject_faults("build: init at 1", [PACKAGE]))
    path = PurePosixPath("pkgs/by-name/bu/build/package.nix")
    assert not list(subject_faults("build: init at 1", [path]))


# Directories


def write(root: Path, path: str | PurePosixPath, text: str) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_a_directory_of_ours_is_read_whole(tmp_path: Path) -> None:
    write(tmp_path, PACKAGE, GOOD)
    write(tmp_path, "flake.nix", "{ }\n")
    write(tmp_path, ".git/x.nix", "{")
    write(tmp_path, DIRECTORY / "image.hvt", "\0")
    write(tmp_path, DIRECTORY / "run.sh", "true\n").chmod(0o755)
    (tmp_path / DIRECTORY / "link").symlink_to("package.nix")
    (tmp_path / DIRECTORY / "directory").symlink_to("..")
    found = entries(tmp_path)
    assert not is_checkout(tmp_path)
    assert found == {
        PACKAGE: Entry(data=GOOD.encode()),
        DIRECTORY / "image.hvt": Entry(),
        DIRECTORY / "run.sh": Entry(data=b"true\n", executable=True),
        DIRECTORY / "link": Entry(link="package.nix"),
        DIRECTORY / "directory": Entry(link=".."),
        PurePosixPath("flake.nix"): Entry(data=b"{ }\n"),
    }
    assert rules(found) == ["header", "NPV-125"]


def test_of_a_checkout_only_our_packages_are_read(tmp_path: Path) -> None:
    write(tmp_path, PACKAGE, GOOD)
    write(tmp_path, "pkgs/by-name/he/hello/package.nix", "{ ... }: null\n")
    write(tmp_path, "pkgs/top-level/all-packages.nix", "{ }\n")
    assert is_checkout(tmp_path)
    assert set(entries(tmp_path)) == {PACKAGE}


def test_a_directory_without_packages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no pkgs/by-name in it"):
        entries(tmp_path)
