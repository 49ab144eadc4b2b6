"""Tools for Nix: the package is built, the module evaluated."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import pytest

from pkggen.errors import InputError
from pkggen.recipe.build import package_recipe
from pkggen.recipe.model import ToolRecipe
from pkggen.recipe.overrides import Overrides, read_overrides
from pkggen.record.artifact import FileContent
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.targets.nix import quote
from pkggen.targets.nix.tool import MODULE_FILE, tool_tree
from pkggen.tree import TextFile
from pkggen.writer import write
from tests.targets.nix.conftest import STAND_IN
from tests.targets.nix.nixos import module_system
from tests.targets.nix.rebuilds import STARTED
from tests.tools import albatross

if TYPE_CHECKING:
    from tests.targets.nix.conftest import Nix

__all__ = ["module_system"]  # the fixture

OVERRIDES: Final = read_overrides(
    b"maintainer: {name: A B, email: a@example.org, nixpkgs: example}", "pkggen.yaml"
)
DOCUMENTATION: Final = Path(__file__).parents[3] / "docs/tools.md"
DIRECTORY: Final = "pkgs/by-name/al/albatross-vmm"


def recipe_of(directory: Path, files: dict[str, bytes], overrides: Overrides) -> ToolRecipe:
    made = albatross.record(directory, files, directory / "prefix")
    record = replace(
        assemble(read_directory(made.record, "made")), started=STARTED, finished=STARTED
    )
    recipe = package_recipe(record, overrides)
    assert isinstance(recipe, ToolRecipe)
    return recipe


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, bytes]:
    """Return programs that no other test has: Nix looks only once at what it has in its store."""
    return {name: f"#!/bin/sh\necho {name} {tmp_path}\n".encode() for name in albatross.PROGRAMS}


@pytest.fixture(params=["programs", "package", "package of Ubuntu"])
def recipe(
    request: pytest.FixtureRequest, tmp_path: Path, programs: dict[str, bytes]
) -> ToolRecipe:
    """Return the recipe of recorded programs, or of upstream's own package with them."""
    files = {f"bin/{name}": data for name, data in programs.items()}
    if request.param != "programs":
        upstream = tmp_path / "upstream"
        upstream.mkdir()
        packing = "xz" if request.param == "package" else "zstd"
        data = albatross.upstream_deb(upstream, programs, packing=packing)
        files = {"bin/albatross.deb": data}
    return recipe_of(tmp_path, files, OVERRIDES)


def test_the_programs_are_installed(
    recipe: ToolRecipe, programs: dict[str, bytes], nix: Nix, tmp_path: Path
) -> None:
    write(tool_tree(recipe, ("bubblewrap", "pkg-config")), tmp_path / "out")
    package = quote.string(str(tmp_path / "out" / DIRECTORY / "package.nix"))
    output = nix.build(f"(import {STAND_IN} {{ }}).callPackage {package} {{ }}")
    found = {
        str(file.relative_to(output)): file.read_bytes()
        for file in Path(output).rglob("*")
        if file.is_file()
    }
    assert found.pop("patched"), "libraries are looked for where Nix has them"
    assert found == {
        "bin/albatross-client": programs["albatross-client"],
        **{f"libexec/albatross/{name}": programs[name] for name in albatross.DAEMONS},
    }


def test_other_bytes_are_refused(recipe: ToolRecipe, nix: Nix, tmp_path: Path) -> None:
    write(tool_tree(recipe, ()), tmp_path / "out")
    package = tmp_path / "out" / DIRECTORY
    (copy,) = [*package.glob("*.deb"), *package.glob("albatross-client")]
    copy.chmod(0o644)
    copy.write_bytes(copy.read_bytes() + b"\n")
    said = nix.build(f"(import {STAND_IN} {{ }}).callPackage {package}/package.nix {{ }}", status=1)
    assert "albatross" in said


class Configured:
    """The module with a configuration."""

    def __init__(self, nix: Nix, module: Path, lib: str) -> None:
        self.nix, self.module, self.lib = nix, module, lib

    def __call__(self, configuration: str, result: str, status: int = 0) -> Any:  # noqa: ANN401
        return self.whole(f"{{ services.albatross-vmm = {configuration}; }}", result, status)

    def whole(self, configuration: str, result: str, status: int = 0) -> Any:  # noqa: ANN401
        return self.nix.eval(
            f"""let
  pkgs = {{
    bash = "/bash"; iproute2 = "/iproute2"; solo5 = "/solo5"; util-linux = "/util-linux";
    albatross-vmm = {{
      type = "derivation"; outPath = "/package";
      rebuild = {{ type = "derivation"; outPath = "/rebuilt"; }};
    }};
  }};
  system = import {STAND_IN}/eval-modules.nix {{
    module = {self.module};
    realLib = {self.lib};
    inherit pkgs;
    configuration = {configuration};
  }};
in {result}""",
            status=status,
        )


@pytest.fixture
def configured(
    nix: Nix, tmp_path: Path, programs: dict[str, bytes], module_system: str
) -> Configured:
    files = {f"bin/{name}": data for name, data in programs.items()}
    write(tool_tree(recipe_of(tmp_path, files, OVERRIDES), ()), tmp_path / "out")
    return Configured(nix, tmp_path / "out" / DIRECTORY / MODULE_FILE, module_system)


def test_the_services(configured: Configured) -> None:
    enabled = '{ enable = true; influx.enable = true; influx.INFLUX = "10.0.0.1:1"; }'
    services = configured(enabled, "system.services")
    daemon = services["albatross_daemon"]
    assert daemon["serviceConfig"]["ExecStart"] == (
        "/package/libexec/albatross/albatrossd --systemd-socket-activation --tmpdir=/run/albatross"
    )
    assert daemon["requires"] == ["albatross_daemon.socket", "albatross_console.socket"]
    assert daemon["path"] == ["/iproute2", "/solo5", "/util-linux"]
    assert "CapabilityBoundingSet" not in daemon["serviceConfig"]
    assert services["albatross_console"]["serviceConfig"]["User"] == "albatross"
    assert services["albatross_console"]["serviceConfig"]["ProtectSystem"] == "strict"
    influx = services["albatross_influx"]
    assert influx["environment"] == {"INFLUX": "10.0.0.1:1"}
    assert "--influx=${INFLUX}" in influx["serviceConfig"]["ExecStart"]
    assert not services.get("albatross_tls_endpoint"), "it needs certificates first"
    assert configured(enabled, "system.users") == {
        "albatross": {"group": "albatross", "isSystemUser": True}
    }
    assert "d /run/albatross/fifo 2770 root albatross -" in configured(enabled, "system.tmpfiles")
    socket = configured(enabled, "system.sockets.albatross_daemon.socketConfig")
    assert socket == {
        "ListenStream": "/run/albatross/util/vmmd.sock",
        "SocketUser": "root",
        "SocketGroup": "albatross",
        "SocketMode": "0660",
    }


def test_secrets_stay_out_of_the_store(configured: Configured) -> None:
    good = '{ enable = true; tls-endpoint = { enable = true; KEY = "/run/keys/tls"; }; }'
    assert configured(good, "system.failed") == []
    service = configured(good, "system.services.albatross_tls_endpoint")
    assert service["serviceConfig"]["LoadCredential"] == ["KEY:/run/keys/tls"]
    assert service["environment"]["KEY"] == "%d/KEY"
    in_store = '{ enable = true; tls-endpoint.KEY = "${builtins.storeDir}/x"; }'
    (message,) = configured(in_store, "system.failed")
    assert "everybody can read the secret" in message


def test_nothing_runs_unless_enabled(configured: Configured) -> None:
    services = configured("{ }", "system.services")
    assert not any(services.values())


def test_what_the_documentation_shows(configured: Configured) -> None:
    (shown,) = re.findall(
        r"^```nix\n(.*?)^```$", DOCUMENTATION.read_text(), re.DOTALL | re.MULTILINE
    )
    services = configured.whole(f"({shown}) {{ inherit pkgs; }}", "system.services")
    started = services["albatross_daemon"]["serviceConfig"]["ExecStart"]
    assert started.startswith("/rebuilt/libexec/albatross/albatrossd ")


def test_unknown_options_are_refused(configured: Configured) -> None:
    said = configured("{ enabled = true; }", "system.services", status=1)
    assert "services.albatross-vmm.enabled' does not exist" in said


def test_libraries_are_arguments_of_the_expression(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, {"bin/albatrossd": b"x"}, OVERRIDES)
    tree = tool_tree(recipe, ("gmp", "ocamlPackages.zarith", "pkgconfig"))
    package = tree[PurePosixPath(DIRECTORY, "package.nix")]
    assert isinstance(package, TextFile)
    assert "  gmp,\n  lib,\n  ocamlPackages,\n" in package.text
    assert "  buildInputs = [\n    gmp\n    ocamlPackages.zarith\n  ];\n" in package.text


@pytest.mark.parametrize(
    ("library", "message"),
    [
        ("x y", "'x y', which is no name in nixpkgs"),
        ("a.in", "'a.in', which is no name in nixpkgs"),
        ('"; builtins.abort "', "which is no name in nixpkgs"),
        ("lib", "lib, which means something else here"),
        ("albatross-vmm", "albatross-vmm, which means something else here"),
    ],
)
def test_names_that_are_none_are_refused(tmp_path: Path, library: str, message: str) -> None:
    recipe = recipe_of(tmp_path, {"bin/albatrossd": b"x"}, OVERRIDES)
    with pytest.raises(InputError) as caught:
        tool_tree(recipe, (library,))
    assert message in str(caught.value)


def test_plain_tools_have_no_module(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, {"bin/albatrossd": b"x"}, OVERRIDES)
    tree = tool_tree(replace(recipe, tool=None, name="some-tool"), ())
    assert sorted(map(str, tree)) == [
        "pkgs/by-name/so/some-tool/albatrossd",
        "pkgs/by-name/so/some-tool/package.nix",
    ]
    assert isinstance(recipe.payload[0].content, FileContent)
