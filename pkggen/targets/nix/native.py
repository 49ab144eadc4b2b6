"""A tool that nixpkgs' own compiler builds from its release tarball, for an overlay or a flake.

In nixpkgs itself the package that is there is edited instead (`edit`).

Source: nixpkgs `pkgs/stdenv/generic/setup.sh` (phases).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pkggen import templating
from pkggen.errors import raise_all
from pkggen.recipe import shell
from pkggen.recipe.shell import Shell
from pkggen.recipe.versions import NixVersion
from pkggen.targets.nix import licences, names, quote
from pkggen.targets.nix.tool import BUILD_TOOLS, about, module_files
from pkggen.targets.nix.view import PLATFORMS
from pkggen.tree import TextFile, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pkggen.errors import PkggenError
    from pkggen.recipe.model import Release, ToolRecipe
    from pkggen.recipe.tool import Tool

_HOLES: Final = {
    "make": Shell("make"),
    "jobs": Shell('"$NIX_BUILD_CORES"'),
    "cc": Shell("cc"),
    "stage": Shell(""),
    "prefix": Shell('"$out"'),
}


def native_tree(recipe: ToolRecipe, tool: Tool, release: Release) -> Tree:
    """Return the package of a tool and, if it has services, a NixOS module beside it.

    Args:
        recipe: The tool.
        tool: Its description.
        release: The release that the record is about.

    Raises:
        InputError: it cannot become such a package; all reasons together.
    """
    raise_all(_faults(recipe, tool))
    directory = names.directory(recipe.name)
    text = templating.render(
        "nix/tool-native.nix.j2", _values(recipe, tool, release), finalize=quote.finalize
    )
    package = {directory / names.PACKAGE_FILE: TextFile(text)}
    return Tree(package | module_files(recipe, directory))


def _faults(recipe: ToolRecipe, tool: Tool) -> Iterator[PkggenError]:
    if recipe.name != tool.name:
        # Its name may be one that other packages mean it by, as images do `solo5`.
        yield from names.faults(recipe.name)
    yield from licences.faults(recipe.licences.terms)


def _values(recipe: ToolRecipe, tool: Tool, release: Release) -> dict[str, object]:
    build = recipe.native
    if build is None:
        raise AssertionError(tool.name)
    needs = build.needs_of("nixos")
    steps = [step.words for step in build.steps if "linux" in step.systems]
    commands = [_command(words) for words in steps]
    checksum = release.checksums[0]
    return about(recipe) | {
        "version": quote.string(str(NixVersion(release.version))),
        "arguments": [
            quote.attribute(name) for name in sorted({"fetchurl", "lib", "stdenv", *needs})
        ],
        "url": quote.string(release.urls[0]),
        "hash": quote.sri(checksum.digest, checksum.kind),
        "native_inputs": quote.listing(
            [quote.attribute(name) for name in needs if name in BUILD_TOOLS], indent=2
        ),
        "inputs": quote.listing(
            [quote.attribute(name) for name in needs if name not in BUILD_TOOLS], indent=2
        ),
        "build": commands[:-1],
        "install": commands[-1],
        "remove": [quote.shell_pattern(pattern) for pattern in build.remove],
        "checks": [
            {
                "program": quote.path(check.program),
                "arguments": quote.script(shell.words(check.arguments)),
                "line": quote.script(shell.word(check.line)),
            }
            for check in build.checks
            if "linux" in check.systems
        ],
        "platforms": quote.listing(
            [quote.string(platform) for platform in _platforms(recipe, tool)], indent=4
        ),
    }


def _command(words: tuple[str, ...]) -> quote.Nix:
    return quote.script(" ".join(shell.in_script(word, _HOLES) for word in words))


def _platforms(recipe: ToolRecipe, tool: Tool) -> Iterator[str]:
    """Yield the systems that have all of its packages."""
    sets = [
        set(package.machines or (recipe.machine,))
        for package in tool.packages
        if "linux" in package.systems
    ]
    for machine, platform in PLATFORMS.items():
        if all(machine in machines for machines in sets):
            yield platform
