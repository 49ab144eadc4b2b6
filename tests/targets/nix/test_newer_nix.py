"""What is generated means the same to the Nix of Debian 13, in a chroot, as to that of 12."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from pkggen.targets.nix import names, quote
from pkggen.targets.nix.render import flake_tree, image_tree
from pkggen.targets.nix.toolchain import toolchain_file
from pkggen.tree import Tree
from pkggen.writer import write
from tests.rebuild.made import EXAMPLE, Made
from tests.targets.nix.conftest import HOSTILE, STAND_IN
from tests.targets.nix.rebuilds import tree_of
from tests.targets.nix.test_toolchain import deb, index

if TYPE_CHECKING:
    from pkggen.recipe.model import ImageRecipe
    from tests.targets.nix.conftest import MakeRecipe

pytestmark = pytest.mark.slow

MIRROR: Final = "http://deb.debian.org/debian"
CONFIGURATION: Final = """\
sandbox = false
build-users-group =
substitute = false
experimental-features = nix-command flakes
flake-registry =
"""
SCRIPT: Final = """\
set -eu
cd "$1"
mkdir results home
export HOME="$PWD/home" NIX_REMOTE= NIX_CONF_DIR="$PWD" NIX_STORE_DIR="$PWD/store"
export NIX_STATE_DIR="$PWD/state" NIX_LOG_DIR="$PWD/log"
nix --version >results/version
find trees -name '*.nix' | sort | while read -r file; do
  nix-instantiate --parse "$file" >home/parsed 2>home/said && said= || said=$(cat home/said)
  printf '%s %s\\n' "$file" "$said"
done >results/parsed
for file in expressions/*.nix; do
  nix-instantiate --eval --strict --json "$file" >"results/$(basename "$file")" 2>&1 || true
done
flake() {
  nix "$@" --no-write-lock-file --override-input nixpkgs "path:$PWD/nixpkgs"
}
drvs='x: builtins.mapAttrs (_: builtins.mapAttrs (_: builtins.mapAttrs (_: d: d.drvPath))) x'
flake eval "path:$PWD/trees#hydraJobs" --json --apply "$drvs" >results/jobs 2>home/said ||
  cat home/said >results/jobs
flake flake check "path:$PWD/trees" --no-build >results/said 2>&1 && echo good >results/checked ||
  cp results/said results/checked
"""
PACKAGE: Final = """\
let
  package = (import ../nixpkgs { }).callPackage %s { };
in
{
  inherit (package) drvPath meta pname solo5;
  tests = builtins.mapAttrs (_: test: test.drvPath) package.tests;
}
"""
REBUILD: Final = """\
let
  rebuild = (import ../nixpkgs { }).callPackage %s { };
in
map (package: package.drvPath) [
  rebuild
  rebuild.switch
  rebuild.tests.reproduces
  rebuild.withRecordedToolchain
  (rebuild.override { fixedOutput = true; })
  (rebuild.override { buildJobs = 2; })
]
"""
MODULE: Final = """\
let
  system = import ../nixpkgs/eval-modules.nix {
    module = ../trees/module.nix;
    pkgs = {
      bash = "/bash";
      iproute2 = "/iproute2";
      solo5 = {
        type = "derivation";
        outPath = "/solo5";
        version = "0.9.3";
      };
    };
    configuration.services.unikernels.dns = {
      image = "/image";
      tender = "hvt";
      networks.service.bridge = "br0";
      blocks.data.createSizeMB = 16;
      arguments = [ "--ipv4=10.0.0.2/24" "a b%h$HOME" ];
    };
  };
in
builtins.deepSeq system system
"""


class Results(NamedTuple):
    """What both said, by name."""

    older: dict[str, str]
    newer: dict[str, str]


def read(directory: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in directory.iterdir()}


def in_chroot(work: Path, results: Path) -> None:
    """Run the script at the same place of a chroot, which vanishes; skip when there is none."""
    for tool in ("mmdebstrap", "unshare"):
        if shutil.which(tool) is None:
            pytest.skip(f"NO NEWER NIX: {tool} is not installed")
    if os.geteuid():
        pytest.skip("NO NEWER NIX: a chroot needs root")
    here, there = shlex.quote(str(work)), f'"$1"{shlex.quote(str(work))}'
    hooks = (
        f"mkdir -p {there} && cp -a {here}/. {there}",
        f'chroot "$1" sh {here}/check.sh {here} || true',
        f"cp -a {there}/results {shlex.quote(str(results))}",
    )
    kept = ("PATH", "http_proxy", "https_proxy", "no_proxy")
    made = subprocess.run(
        [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *("mmdebstrap", "--mode=root", "--variant=minbase", "--include=nix-bin"),
            *(f"--customize-hook={hook}" for hook in hooks),
            *("--format=null", "trixie", "/dev/null", MIRROR),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=170,
        env={name: os.environ[name] for name in kept if name in os.environ},
    )
    if made.returncode != 0:
        pytest.skip(f"NO NEWER NIX: no chroot of Debian 13 can be made: {made.stderr[-2000:]}")


@pytest.fixture(scope="module")
def results(
    make_recipe: MakeRecipe,
    local: ImageRecipe,
    hostile: ImageRecipe,
    tmp_path_factory: pytest.TempPathFactory,
) -> Results:
    """Write all that pkggen writes, and let both look at it."""
    if shutil.which("nix-instantiate") is None:
        pytest.skip("NO NIX: install nix-bin")
    place = tmp_path_factory.mktemp("newer")
    work = (place / "work").resolve()
    recipe, rebuild = tree_of(Made(EXAMPLE / "record", EXAMPLE / "download-cache").read())
    trees = (
        image_tree(make_recipe(), nixpkgs=True),
        image_tree(local, nixpkgs=False),
        image_tree(recipe, nixpkgs=False, rebuild=rebuild),
        flake_tree(),
        Tree({names.directory(recipe.name) / "toolchain.json": toolchain_file(index(deb("gcc")))}),
    )
    for tree in trees:
        write(tree, work / "trees")
    write(image_tree(hostile, nixpkgs=True), work / "trees/hostile")
    shutil.copytree(STAND_IN, work / "nixpkgs")
    (work / "expressions").mkdir()
    for file in sorted((work / "trees").rglob("pkgs/**/*.nix")):
        text = PACKAGE if file.name == "package.nix" else REBUILD
        flat = "-".join(file.relative_to(work / "trees").parts)
        (work / "expressions" / flat).write_text(text % quote.string(str(file)))
    (work / "expressions/module.nix").write_text(MODULE)
    (work / "nix.conf").write_text(CONFIGURATION)
    (work / "check.sh").write_text(SCRIPT)
    in_chroot(work, place / "results")
    subprocess.run(["sh", work / "check.sh", work], check=True, timeout=60)
    return Results(read(work / "results"), read(place / "results"))


def test_it_is_another_nix(results: Results) -> None:
    assert results.newer["version"] != results.older["version"]


def test_both_parse_every_file(results: Results) -> None:
    for said in results:
        lines = [line.split() for line in said["parsed"].splitlines()]
        assert {len(line) for line in lines} == {1}, said["parsed"]
        assert {Path(file).name for (file,) in lines} == {
            *("package.nix", "rebuild.nix", "overlay.nix", "default.nix"),
            *("flake.nix", "module.nix", "nixos-test.nix"),
        }


def test_expressions_mean_the_same(results: Results) -> None:
    evaluated = [name for name in results.older if name.endswith(".nix")]
    assert len(evaluated) == 6
    for name in evaluated:
        assert loaded(results.newer[name]) == loaded(results.older[name])
    described = loaded(results.newer["hostile-pkgs-by-name-dn-dns-primary-package.nix"])
    assert described["meta"]["description"] == HOSTILE
    unit = loaded(results.newer["module.nix"])
    assert "b%%h$$HOME" in json.dumps(unit)


def test_the_flake_gives_the_same_jobs(results: Results) -> None:
    jobs = loaded(results.newer["jobs"])
    assert jobs == loaded(results.older["jobs"])
    assert set(jobs["packages"]["x86_64-linux"]) == {"_7proxy", "dns-primary", "hello-unikernel"}
    for said in results:
        assert said["checked"] == "good\n"


def loaded(text: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(text)
    except ValueError:
        pytest.fail(text)
