"""The source build in Nix: recorded bytes, honest reports, one switch for many, every source."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import time
import zipfile
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.cli import main
from pkggen.errors import Faults, InputError
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.record.artifact import FileContent
from pkggen.record.model import Artifact, Environment
from pkggen.sources.git import fetch_git
from pkggen.targets.nix.lint import entries, lint
from pkggen.targets.nix.rebuild import Inputs, Pin, rebuild_tree
from pkggen.targets.nix.render import image_tree
from pkggen.tree import TextFile, Tree, is_sealed, write
from tests.rebuild.made import EXAMPLE, Made, Package, archive, example, make
from tests.targets.nix.rebuilds import (
    IMAGE_SHA256,
    Packaged,
    image_in,
    new_prefix,
    packaged,
    recorded_pins,
    serve,
    sha256_of,
    tree_of,
)

if TYPE_CHECKING:
    from pkggen.record.model import Record
    from tests.conftest import CheckGolden
    from tests.targets.nix.conftest import MakeRecipe, Nix

GOLDEN: Final = Path(__file__).resolve().parent / "golden/rebuild"
DIRECTORY: Final = "pkgs/by-name/he/hello-unikernel"


@pytest.fixture
def hello(tmp_path: Path) -> Made:
    """Return the example, recorded below a prefix of its own."""
    return example(tmp_path / "hello", new_prefix())


@pytest.fixture
def built(nix: Nix, hello: Made, tmp_path: Path) -> Packaged:
    """Return its package."""
    return packaged(nix, tmp_path / "tree", hello.read(), hello.mirror)


@pytest.fixture
def other_compiler(tmp_path: Path) -> Path:
    """Return a directory with a gcc that optimises less."""
    gcc = tmp_path / "other/bin/gcc"
    gcc.parent.mkdir(parents=True)
    gcc.write_text(
        '#!/bin/sh\n[ "$1" != --version ] || { echo "gcc (Other) 99.1"; exit; }\n'
        'exec /usr/bin/gcc "$@" -O1\n'
    )
    gcc.chmod(0o755)
    return tmp_path / "other"


# The bytes


@pytest.mark.parametrize("which", ["nix", "sandboxed_nix"])
def test_gives_the_recorded_bytes(
    request: pytest.FixtureRequest, which: str, hello: Made, tmp_path: Path
) -> None:
    nix: Nix = request.getfixturevalue(which)
    package = packaged(nix, tmp_path / "tree", hello.read(), hello.mirror)
    output = nix.build(package.expression())
    assert sha256_of(image_in(output)) == IMAGE_SHA256
    report = Path(output, "report").read_text()
    assert report.startswith(
        "The rebuilt image is the recorded one.\n"
        f"expected: sha256 {IMAGE_SHA256}\ngot:      sha256 {IMAGE_SHA256}\n"
    )
    assert "  gcc=4:12.2.0-3\n" in report
    assert "How to learn why" not in report
    assert nix.build(package.expression(), "--check") == output
    switch = nix.build(package.expression("rebuild.switch"))
    assert nix.build(package.expression("rebuild.switch"), "--check") == switch
    assert Path(switch, "lib/greeting/greeting.o").is_file()
    assert nix.build(package.expression("tests.reproduces"))
    for derivation in ("rebuild", "rebuild.switch"):
        assert nix.eval(f"({package.expression(derivation)}).drvAttrs.strictDeps") is True
        assert nix.eval(f"({package.expression(derivation)}).drvAttrs.__structuredAttrs") is True


def test_builds_do_not_see_the_network(sandboxed_nix: Nix, tmp_path: Path) -> None:
    look = 'build: ["sh" "-c" "cat /proc/net/dev >&2; false"]'
    made = make(tmp_path, [Package("root", look)], prefix=new_prefix())
    record = made.read()
    package = packaged(
        sandboxed_nix, tmp_path / "tree", record, made.mirror, recipe_for(record, tmp_path)
    )
    error = sandboxed_nix.build(package.expression(), status=1)
    assert "lo:" in error
    assert error.count("eth") + error.count("ens") == 0


def test_one_switch_serves_two_unikernels(
    nix: Nix, hello: Made, built: Packaged, tmp_path: Path
) -> None:
    later = tmp_path / "later"
    shutil.copytree(hello.record, later)
    switch = later / "opam-switch"
    text = switch.read_text().replace("hello-unikernel", "later-unikernel")
    switch.write_text(text.replace("1.0.0", "2.0.0"))
    other = packaged(nix, tmp_path / "later-tree", Made(later, hello.mirror).read(), hello.mirror)
    assert nix.eval(f"({built.expression()}).switch.outPath") == nix.eval(
        f"({other.expression()}).switch.outPath"
    )
    assert nix.eval(f"({built.expression()}).outPath") != nix.eval(
        f"({other.expression()}).outPath"
    )
    nix.build(built.expression())
    file = nix.write("dry.nix", other.expression())
    dry = subprocess.run(
        ["nix-build", "--no-out-link", "--dry-run", file],
        env={**os.environ, **nix.environment},
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert "later-unikernel-rebuild" in dry
    assert "recorded-switch" not in dry


def test_another_compiler_is_reported(nix: Nix, built: Packaged, other_compiler: Path) -> None:
    output = nix.build(built.expression(compiler=other_compiler))
    got = sha256_of(image_in(output))
    assert got != IMAGE_SHA256
    report = Path(output, "report").read_text()
    assert report.startswith(
        "The rebuilt image differs from the recorded one.\n"
        f"expected: sha256 {IMAGE_SHA256}\ngot:      sha256 {got}\n"
    )
    assert "  gcc: gcc (Other) 99.1\n" in report
    assert "  gcc-12=12.2.0-14+deb12u1\n" in report
    assert f"  differs  bin/hello.hvt  sha256 {got}, recorded {IMAGE_SHA256}\n" in report
    assert "How to learn why:\n" in report
    error = nix.build(built.expression("tests.reproduces", other_compiler), status=1)
    assert f"ERROR: rebuilt image differs from the recorded sha256\n{report}" in error


def test_a_wrong_hash_of_a_source(nix: Nix, built: Packaged) -> None:
    deps = built.directory / "deps.json"
    text = deps.read_text()
    assert text.count("sha256-4") == 1
    deps.write_text(text.replace("sha256-4", "sha256-5"))
    error = nix.build(built.expression(), status=1)
    assert "error: hash mismatch in fixed-output derivation" in error
    assert "got:    sha256-4" in error


def test_scripts_know_the_hashes_too(nix: Nix, built: Packaged) -> None:
    served = next(iter(built.urls.values()))
    data = Path(served.removeprefix("file://")).read_bytes() + b"\0"
    other = replace(built, urls={**built.urls, next(iter(built.urls)): serve(nix, data)})
    deps = built.directory / "deps.json"
    old, new = (
        base64.b64encode(hashlib.sha256(one).digest()).decode() for one in (data[:-1], data)
    )
    assert old in deps.read_text()
    deps.write_text(deps.read_text().replace(old, new))
    assert "does not have the sha256" in nix.build(other.expression(), status=1)


def test_the_fixed_output_variant(nix: Nix, built: Packaged, other_compiler: Path) -> None:
    wanted = "rebuild.override { fixedOutput = true; }"
    output = nix.build(built.expression(wanted))
    assert sha256_of(Path(output)) == IMAGE_SHA256
    assert nix.run("nix-store", "--query", "--references", output) == ""
    root = built.directory / "root.sh"
    root.write_text(root.read_text().replace("run make ", "run false "))
    assert "hello-unikernel.1.0.0 failed" in nix.build(built.expression(wanted), status=1)
    root.write_text(root.read_text().replace("run false ", "run make "))
    error = nix.build(built.expression(wanted, other_compiler), status=102)
    assert "error: hash mismatch in fixed-output derivation" in error


# A build that fails


def test_a_failed_step_is_shown_and_leaves_nothing(nix: Nix, tmp_path: Path) -> None:
    prefix = new_prefix()
    packages = [Package("bad", 'build: ["sh" "-c" "echo what went wrong; false"]'), Package("root")]
    made = make(tmp_path, packages, prefix=prefix)
    record = made.read()
    package = packaged(nix, tmp_path / "tree", record, made.mirror, recipe_for(record, tmp_path))
    error = nix.build(package.expression(), status=1)
    assert "what went wrong" in error
    assert "bad.1 failed" in error
    assert not prefix.exists()


def test_an_image_that_is_not_made(nix: Nix, tmp_path: Path) -> None:
    made = make(tmp_path, [Package("root", 'build: ["true"]')], prefix=new_prefix())
    record = made.read()
    package = packaged(nix, tmp_path / "tree", record, made.mirror, recipe_for(record, tmp_path))
    assert "missing  bin/root\n" in nix.build(package.expression(), status=1)


def test_an_occupied_prefix_is_left_alone(nix: Nix, tmp_path: Path) -> None:
    prefix = new_prefix()
    made = example(tmp_path / "hello", prefix)
    package = packaged(nix, tmp_path / "tree", made.read(), made.mirror)
    prefix.mkdir()
    try:
        (prefix / "mine").touch()
        assert f"ERROR: {prefix} exists" in nix.build(package.expression(), status=1)
        assert [path.name for path in prefix.iterdir()] == ["mine"]
    finally:
        shutil.rmtree(prefix)


# Every kind of source

MIXED: Final = """\
opam-version: "2.0"
roots: ["root.1"]
installed: ["committed.1" "patched.1" "root.1" "weak.1" "zipped.1"]
extra-files: [["md5={carried_md5}" "{carried}"]]
package "zipped" {{
  version: "1"
  install: ["sh" "-c" "mkdir -p $0 && cp a.txt $0/zipped" "%{{share}}%"]
  url {{ src: "https://pkggen.test/zipped.zip" checksum: "sha256={zipped}" }}
}}
package "weak" {{
  version: "1"
  install: ["sh" "-c" "mkdir -p $0 && cp a.txt $0/weak" "%{{share}}%"]
  url {{ src: "https://pkggen.test/weak.tar.gz" checksum: "md5={weak}" }}
}}
package "patched" {{
  version: "1"
  patches: ["down.patch" "own.patch"]
  extra-files: ["own.patch" "md5={carried_md5}"]
  install: ["sh" "-c" "mkdir -p $0 && cp a.txt $0/patched" "%{{share}}%"]
  url {{ src: "https://pkggen.test/patched.tar" checksum: "sha256={patched}" }}
  extra-source "down.patch" {{
    src: "https://pkggen.test/down.patch" checksum: "sha256={patch}"
  }}
}}
package "committed" {{
  version: "1"
  install: ["sh" "-c" "mkdir -p $0 && cat a.txt sub/b.txt >$0/committed && ./run.sh >>$0/committed"
    "%{{share}}%"]
  url {{ src: "git+https://pkggen.test/committed.git#{commit}" }}
}}
package "root" {{
  version: "1"
  depends: ["zipped" "weak" "patched" "committed"]
  install: ["sh" "-c" "cat $0/zipped $0/weak $0/patched $0/committed >$1/root" "%{{share}}%"
    "%{{bin}}%"]
}}
"""
MIXED_IMAGE: Final = b"from a zip\nweak\nthree\nfrom git\nbelow\nruns\n"


def recipe_for(record: Record, place: Path, make_recipe: MakeRecipe | None = None):  # type: ignore[no-untyped-def]  # noqa: ANN201
    raise NotImplementedError
