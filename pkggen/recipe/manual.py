"""Manual pages of the programs of a tool, made of its description.

Sources: man(7); man-pages(7) (sections).
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen import templating
from pkggen.recipe import roff
from pkggen.recipe.roff import Roff

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pkggen.recipe.model import ToolRecipe
    from pkggen.recipe.tool import BinaryPackage

_SECTIONS: Final = {PurePosixPath("bin"): 1, PurePosixPath("sbin"): 8, PurePosixPath("libexec"): 8}
"""Directories whose programs have pages; not those of an own directory below `libexec`."""


def manual_pages(
    recipe: ToolRecipe, package: BinaryPackage, machine: str, header: Sequence[str]
) -> dict[str, str]:
    """Return names and texts of the manual pages of a package for one machine.

    Programs that are not there have none, nor have those that brought one.

    Args:
        recipe: The tool.
        package: One of its packages.
        machine: Machine that the programs are for.
        header: Lines of comment at the head of each.
    """
    placed = _placed(recipe)
    brought = {place.name.removesuffix(".gz") for place in placed if place.parts[0] == "man"}
    found = {}
    for pattern, purpose in package.programs:
        name = pattern.replace("{machine}", machine)
        directory = _directory(package, name)
        if directory is None or (recipe.native is None and directory / name not in placed):
            continue
        section = _SECTIONS[directory]
        file = f"{name}.{section}"
        if file not in brought:
            values = _values(recipe, package, name, purpose) | {
                "header": Roff("\n".join(map(roff.comment, header))),
                "section": Roff(str(section)),
            }
            found[file] = templating.render("man/program.j2", values, finalize=roff.finalize)
    return found


def _placed(recipe: ToolRecipe) -> frozenset[PurePosixPath]:
    """Return where the recorded files are, in the layout of a prefix."""
    if recipe.tool is None:
        return frozenset(file.path for file in recipe.payload)
    places = (recipe.tool.place_of(file.path) for file in recipe.payload)
    return frozenset(place for place in places if place is not None)


def _directory(package: BinaryPackage, name: str) -> PurePosixPath | None:
    """Return the directory that a program goes to, if its programs have pages."""
    found: Iterator[PurePosixPath] = (
        directory
        for pattern, directory in package.files
        if directory in _SECTIONS and fnmatchcase(name, PurePosixPath(pattern).name)
    )
    return next(found, None)


def _values(
    recipe: ToolRecipe, package: BinaryPackage, name: str, purpose: str
) -> dict[str, object]:
    paragraphs = package.description.split("\n\n")
    return {
        "title": roff.line(name.upper()),
        "date": Roff(f"{recipe.version.built:%Y-%m-%d}"),
        "release": roff.line(f'"{recipe.name} {recipe.version.release or ""}"'),
        "name": roff.line(name),
        "purpose": roff.line(purpose),
        "paragraphs": [roff.line(" ".join(text.split())) for text in paragraphs],
    }
