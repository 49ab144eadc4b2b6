"""What the description of a tool adds to a Debian package: units, users, directories, manuals."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.recipe.build import package_recipe
from pkggen.recipe.hardening import DAEMON_HARDENING
from pkggen.recipe.model import ToolRecipe
from pkggen.recipe.overrides import read_overrides
from pkggen.recipe.tool_reader import described_tool, known_tools
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.targets.deb import quote
from pkggen.targets.deb.tool import starts, tool_files
from tests.rebuild.made import Package, make
from tests.targets.nix.rebuilds import STARTED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEADER: Final = quote.Deb("# header")
OVERRIDES: Final = read_overrides(b"maintainer: {name: A B, email: a@example.org}", "pkggen.yaml")


@pytest.fixture
def recipe_of(tmp_path: Path) -> Callable[[str], ToolRecipe]:
    """Return a function that makes the recipe of a described tool."""

    def recipe(name: str) -> ToolRecipe:
        fields = 'synopsis: "x"\n  license: "ISC"\n  build: ["true"]'
        made = make(tmp_path, [Package(name, fields, {}, "1.0")], built={"bin/x": b"x"})
        record = assemble(read_directory(made.record, name))
        record = replace(record, job=name, started=STARTED, finished=STARTED)
        found = package_recipe(record, OVERRIDES)
        assert isinstance(found, ToolRecipe)
        assert found.tool is not None
        return found

    return recipe


def files_of(recipe: ToolRecipe) -> dict[str, str]:
    assert recipe.tool is not None
    files = tool_files(recipe, recipe.tool, HEADER)
    return {str(path): file.text for path, file in files.items()}


@pytest.mark.parametrize("name", known_tools())
def test_every_tool_is_rendered(name: str, recipe_of: Callable[[str], ToolRecipe]) -> None:
    recipe = recipe_of(name)
    tool = recipe.tool
    assert tool is not None
    files = files_of(recipe)
    assert len(starts(tool)) == len(tool.daemons)
    for daemon in tool.daemons:
        unit = files[f"{name}.{daemon.name}.service"]
        assert f"User={daemon.user}\n" in unit
        relaxed = dict(daemon.relax)
        for setting in DAEMON_HARDENING:
            line = f"\n{setting.name}={setting.value}\n"
            assert (line in unit) is (setting.name not in relaxed), setting.name
            assert (f"# No {setting.name}: " in unit) is (setting.name in relaxed)
        assert (f"{name}.{daemon.name}.socket" in files) is (daemon.socket is not None)
    for text in files.values():
        assert not re.search(r"(?<!\$)\{[a-z]+\}", text), "a hole that nothing has filled"


def test_a_secret_is_a_credential(recipe_of: Callable[[str], ToolRecipe]) -> None:
    files = files_of(recipe_of("albatross"))
    unit = files["albatross.albatross_tls_endpoint.service"]
    assert "LoadCredential=KEY:/etc/albatross/server.key\nSetCredential=KEY:\\n\n" in unit
    assert "Environment=KEY=%d/KEY\n" in unit
    assert "rm -f /etc/albatross/server.key" in files["albatross.postrm"]
    assert "# /etc/albatross/server.key" in files["conf/tls-endpoint.conf"]


def test_the_database_is_made_once(recipe_of: Callable[[str], ToolRecipe]) -> None:
    unit = files_of(recipe_of("builder-web"))["builder-web.builder-web.service"]
    (line,) = re.findall(r"^ExecStartPre=(.*)$", unit, re.MULTILINE)
    assert line.endswith(
        " /var/lib/builder-web/builder.sqlite3"
        " /usr/sbin/builder-db migrate --datadir=/var/lib/builder-web"
    )
    assert line.startswith('/bin/sh -c \'test -e "$$1" || ')


def test_directories_of_run_and_state_are_made_at_boot(
    recipe_of: Callable[[str], ToolRecipe],
) -> None:
    files = files_of(recipe_of("albatross"))
    assert "d /run/albatross/fifo 2770 root albatross -\n" in files["albatross.tmpfiles"]
    assert "/etc" not in files["albatross.tmpfiles"]
    assert files["albatross.dirs"] == "etc/albatross\n"
    assert 'u albatross - "albatross daemons"\n' in files["albatross.sysusers"]


def test_tools_that_are_no_services_have_none(recipe_of: Callable[[str], ToolRecipe]) -> None:
    assert files_of(recipe_of("orb")) == {}
    tool = described_tool("orb")
    assert tool is not None
    assert tool.place_of(PurePosixPath("bin/opam")) is None, "Debian has opam's own"
