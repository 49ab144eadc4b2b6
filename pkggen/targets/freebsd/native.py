"""The port of a tool that FreeBSD's own compiler builds from its release tarball.

The framework's default targets are not used: they call `make -f Makefile all`, which Solo5 has not.

Source: Porter's Handbook 5 and 9 (do-* targets).
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen import templating
from pkggen.errors import InputError, raise_all
from pkggen.recipe import shell
from pkggen.recipe.versions import port_version
from pkggen.targets.freebsd import distfiles, names, quote
from pkggen.targets.freebsd.licences import licensing
from pkggen.targets.freebsd.render import (
    arranged,
    description_text,
    header,
    licence_variables,
    page_place,
    pages,
    quoted_pages,
)
from pkggen.tree import TextFile, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pkggen.recipe.distfiles import Distfile
    from pkggen.recipe.model import ToolRecipe
    from pkggen.recipe.tool import Tool
    from pkggen.targets.freebsd.model import Wanted
    from pkggen.targets.freebsd.quote import Make

_HOLES: Final = {
    "make": "${GMAKE}",
    "jobs": "${MAKE_JOBS_NUMBER}",
    "cc": "${CC} ${CPPFLAGS} ${CFLAGS} ${LDFLAGS}",
    "stage": "${STAGEDIR}",
    "prefix": "${PREFIX}",
}
_ARCHITECTURE: Final = "amd64"
"""Of FreeBSD's hosts that Solo5's configure.sh knows."""


def native_tree(recipe: ToolRecipe, tool: Tool, wanted: Wanted, release: Distfile) -> Tree:
    """Return the files of the port.

    Args:
        recipe: The tool.
        tool: Its description.
        wanted: What the user wants.
        release: Its release tarball.

    Raises:
        InputError: it cannot become a port; all reasons together.
    """
    build = recipe.native
    if build is None:
        raise AssertionError(tool.name)
    one = distfiles.listed(release, wanted.mirrors)
    if one is None:
        raise AssertionError(release.name)
    faults = [*names.category_faults(wanted.category)]
    faults += () if wanted.distdir else distfiles.faults((one,))
    if wanted.submitted and recipe.maintainer is None:
        faults.append(
            InputError(
                "the ports tree takes no new port without a maintainer",
                where=recipe.name,
                hint="set maintainer in pkggen.yaml",
            )
        )
    raise_all(faults)
    directory = names.directory(wanted.category, recipe.name)
    licence = licensing(recipe.licences)
    info = distfiles.distinfo(int(recipe.version.built.timestamp()), distfiles.SUBDIRECTORY, (one,))
    programs = sorted(_programs(tool))
    texts = pages(recipe)
    packed = sorted(f"{page_place(name)}/{name}.gz" for name in texts)
    how = (
        f"The port builds {recipe.provenance.root} from its release tarball, with the system's own"
        f" compiler. Recorded build: job {recipe.provenance.job}."
    )
    files = {
        directory / "distinfo": TextFile(info),
        directory / "pkg-descr": TextFile(description_text(recipe.description, how)),
    }
    vouched = [f"{path.name}: sha256 {file.sha256}" for path, file in files.items()]
    maintainer = recipe.maintainer
    variables = [
        ("PORTNAME", [quote.word(recipe.name)]),
        ("PORTVERSION", [quote.word(str(port_version(recipe.version)))]),
        ("CATEGORIES", [quote.word(wanted.category)]),
        ("MASTER_SITES", distfiles.master_sites((one,))),
        ("DISTFILES", [quote.Make(f"{quote.file_name(one.name)}:{one.group}")]),
        ("DIST_SUBDIR", [quote.word(distfiles.SUBDIRECTORY)]),
        (
            "MAINTAINER",
            [quote.word(names.NO_MAINTAINER if maintainer is None else maintainer.email)],
        ),
        ("COMMENT", [quote.value(recipe.description)]),
        *licence_variables(licence),
        ("ONLY_FOR_ARCHS", [quote.word(_ARCHITECTURE)]),
        ("USES", [quote.word("gmake")]),
        ("PLIST_FILES", [quote.path(name) for name in (*programs, *packed)]),
    ]
    if recipe.homepage is not None:
        variables.append(("WWW", [quote.address(recipe.homepage)]))
    if recipe.revision > 1:
        variables.append(("PORTREVISION", [quote.word(str(recipe.revision - 1))]))
    steps = [step for step in build.steps if "freebsd" in step.systems]
    commands = [_command(step.words) for step in steps]
    values = {
        "header": header(recipe, *vouched),
        "blocks": [quote.block(block) for block in arranged(variables)],
        "build": commands[:-1],
        "install": commands[-1],
        "pages": quoted_pages(recipe),
        "checks": [
            {
                "program": quote.Make(f"${{PREFIX}}/{quote.path(str(check.program))}"),
                "arguments": quote.Make(shell.words(check.arguments)),
                "line": quote.Make(shell.word(check.line)),
            }
            for check in build.checks
            if "freebsd" in check.systems
        ],
    }
    text = templating.render("freebsd/Makefile.native.j2", values, finalize=quote.finalize)
    own = {directory / "files" / extra.file: TextFile(extra.text) for extra in licence.own}
    manual = {directory / "files" / name: TextFile(page) for name, page in texts.items()}
    return Tree({**files, directory / "Makefile": TextFile(text), **own, **manual})


def _programs(tool: Tool) -> Iterator[str]:
    """Yield the programs of the packages that FreeBSD has, below PREFIX."""
    for package in tool.packages:
        if "freebsd" in package.systems:
            for name, _ in package.programs:
                yield str(PurePosixPath("bin", name))


def _command(words: tuple[str, ...]) -> Make:
    return quote.Make(" ".join(shell.in_make(word, _HOLES) for word in words))
