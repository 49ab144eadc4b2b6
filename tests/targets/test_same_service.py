"""One configuration, one command line: on NixOS, in Debian's unit, and in `recipe.service`."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import pytest

from pkggen.recipe.service import command_line, guest_line, service
from pkggen.targets.deb import quote, unikernel
from tests.targets.nix.conftest import make_recipe, nix
from tests.targets.nix.nixos import configuration_of, exec_start, module_system, nixos

if TYPE_CHECKING:
    from pkggen.recipe.model import ImageRecipe
    from pkggen.recipe.service import Configuration
    from tests.targets.nix.conftest import MakeRecipe
    from tests.targets.nix.nixos import NixOS

__all__ = ["make_recipe", "module_system", "nix", "nixos"]  # the fixtures

DEVICES: Final = (("service", "NET_BASIC"), ("data", "BLOCK_BASIC"))
CONFIGURATIONS: Final[tuple[dict[str, Any], ...]] = (
    {
        "networks": {"service": {"bridge": "br0"}},
        "blocks": {"data": {"sectorSize": 512}},
    },
    {
        "memory": 256,
        "arguments": ["--ipv4=10.0.0.2/24", 'a "quoted" b\\', "%h $x ${y}"],
        "networks": {"service": {"bridge": "br0", "tap": "tap0", "mac": "02:00:00:00:00:01"}},
        "blocks": {"data": {"path": "/srv/data", "sectorSize": 4096}},
    },
)


def debian(recipe: ImageRecipe, configuration: Configuration, place: Path) -> list[str]:
    """Return what the launcher of Debian's unit runs, with another program for the tender."""
    files = unikernel.service_files(recipe, quote.comment("x"))
    unit = files[PurePosixPath(f"{recipe.name}.service")].text
    launcher = unikernel.launcher(recipe.name)
    assert f"\nExecStart={launcher} run\n" in unit
    tender = unikernel.paths(recipe).tender
    stub = place / "tender"
    stub.write_text('#!/bin/sh\nfor word; do printf "%s\\n" "$word"; done\n')
    stub.chmod(0o755)
    script = files[PurePosixPath(f"unikernel/{recipe.name}")].text
    assert script.count(tender) == 1
    (network,) = configuration.networks
    (block,) = configuration.blocks
    (place / "arguments").write_text("\n")
    variables = {
        "CREDENTIALS_DIRECTORY": str(place),
        "memory": configuration.memory,
        "arguments": guest_line(configuration.arguments),
        "net_service_tap": network.tap,
        "net_service_bridge": network.bridge or "none",
        "net_service_mac": network.mac or "",
        "block_data_file": block.file,
        "block_data_sector_size": block.sector_size or "",
    }
    done = subprocess.run(
        ["sh", "-c", script.replace(tender, str(stub)), "launcher", "run"],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return [tender, *done.stdout.splitlines()]


@pytest.mark.parametrize("options", CONFIGURATIONS, ids=["little", "all"])
@pytest.mark.parametrize("target", ["hvt", "spt"])
def test_the_same_command(
    nixos: NixOS,
    make_recipe: MakeRecipe,
    target: str,
    options: dict[str, Any],
    tmp_path: Path,
) -> None:
    recipe = make_recipe(target=target, devices=DEVICES)
    described = service(recipe)
    paths = replace(unikernel.paths(recipe), sh="/usr/bin/sh")
    configuration = configuration_of(options, described)
    expected = list(command_line(described, configuration, paths))
    assert exec_start(nixos, described, options, paths) == expected
    assert debian(recipe, configuration, tmp_path) == expected
