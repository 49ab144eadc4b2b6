"""A tool that Debian's own compiler builds from its release tarball, split in packages.

Sources: dpkg-buildflags(1); debhelper's dh_install(1), dh_installman(1), dh_missing(1).
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen import templating
from pkggen.errors import InputError
from pkggen.recipe import shell
from pkggen.recipe.manual import manual_pages
from pkggen.targets.deb import names, quote
from pkggen.targets.deb.components import cached
from pkggen.targets.deb.tool import LAYOUT
from pkggen.tree import TextFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pkggen.recipe.distfiles import Distfile
    from pkggen.recipe.model import ToolRecipe
    from pkggen.recipe.tool import BinaryPackage, Build, Check, Tool

BUILT: Final = "built"
_STAGE: Final = "debian/tmp"
_HOLES: Final = {
    "make": "$(MAKE)",
    "jobs": "$(JOBS)",
    "cc": "$(HOST_CC)",
    "stage": f"$(CURDIR)/{_STAGE}",
    "prefix": LAYOUT.prefix,
}
_GLOB: Final = re.compile(r"[A-Za-z0-9_+.*-]+(/[A-Za-z0-9_+.*-]+)*")


def packages(tool: Tool) -> tuple[BinaryPackage, ...]:
    """Return the packages that Debian has."""
    return tuple(package for package in tool.packages if "linux" in package.systems)


def native_files(
    recipe: ToolRecipe, tool: Tool, release: Distfile, header: quote.Deb
) -> dict[PurePosixPath, TextFile]:
    """Return the files below `debian/` that are about building, installing and splitting.

    Args:
        recipe: The tool.
        tool: Its description.
        release: Its release tarball.
        header: Comment at the head of each.

    Raises:
        InputError: a path cannot be used in Debian.
    """
    build = recipe.native
    if build is None:
        raise AssertionError(tool.name)
    steps = [step for step in build.steps if "linux" in step.systems]
    commands = [_command(step.words) for step in steps]
    values: dict[str, object] = {
        "header": header,
        "sha256": quote.word(release.sha256),
        "tarball": quote.path(str(cached(release.sha256))),
        "build": commands[:-1],
        "install": commands[-1],
        "remove": [_glob(f"usr/{pattern}") for pattern in build.remove],
        "checks": [_check(check, in_make=True) for check in _checks(build)],
    }
    test = {**values, "checks": [_check(check, in_make=False) for check in _checks(build)]}
    found = {
        "rules": TextFile(_rendered("rules-native", values), executable=True),
        "tests/payload": TextFile(_rendered("tests-native", test), executable=True),
        "clean": TextFile(f"{BUILT}/\n"),
    }
    for package in packages(tool):
        name = recipe.name + package.suffix
        found[f"{name}.install"] = TextFile("".join(_install(package)))
        pages = {
            machine: manual_pages(recipe, package, machine, quote.uncommented(header))
            for machine in package.machines or (recipe.machine,)
        }
        same = len({tuple(texts) for texts in pages.values()}) == 1
        for machine, texts in pages.items():
            listed = "".join(f"debian/man/{page}\n" for page in sorted(texts))
            architecture = "" if same else f".{names.ARCHITECTURES[machine]}"
            found[f"{name}.manpages{architecture}"] = TextFile(listed)
            found |= {f"man/{page}": TextFile(text) for page, text in texts.items()}
    return {PurePosixPath(path): file for path, file in found.items()}


def _rendered(template: str, values: Mapping[str, object]) -> str:
    return templating.render(f"deb/{template}.j2", values, finalize=quote.finalize)


def _checks(build: Build) -> Iterator[Check]:
    yield from (check for check in build.checks if "linux" in check.systems)


def _check(check: Check, *, in_make: bool) -> dict[str, quote.Deb]:
    arguments, line = shell.words(check.arguments), shell.word(check.line)
    return {
        "program": quote.path(LAYOUT.program(check.program)[1:]),
        "arguments": quote.recipe(arguments) if in_make else quote.Deb(arguments),
        "line": quote.recipe(line) if in_make else quote.Deb(line),
    }


def _command(words: tuple[str, ...]) -> quote.Deb:
    """Return a command in a recipe of make; what fills a hole may be several flags in one word."""
    return quote.Deb(" ".join(shell.in_make(word, _HOLES) for word in words))


def _install(package: BinaryPackage) -> Iterator[str]:
    for pattern, directory in package.files:
        target = names.place(directory / "x")
        if target is None:
            raise InputError("Debian has no place for this", where=str(directory))
        yield f"usr/{_glob(pattern)} {quote.path(str(target.parent))}\n"


def _glob(pattern: str) -> quote.Deb:
    if not _GLOB.fullmatch(pattern) or ".." in pattern.split("/"):
        raise InputError(f"the pattern {pattern!r} cannot be used in a Debian package")
    return quote.Deb(pattern)
