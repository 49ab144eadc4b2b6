"""The files of a port."""

from __future__ import annotations

import textwrap
from datetime import UTC
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen import templating
from pkggen.recipe.manual import manual_pages
from pkggen.recipe.model import ToolRecipe
from pkggen.recipe.script import SCRIPTS, rebuild_script
from pkggen.targets.freebsd import distfiles, names, quote, tool
from pkggen.targets.freebsd.licences import PERMISSIONS
from pkggen.targets.freebsd.model import FEW_FILES
from pkggen.targets.freebsd.service import message, rc_script
from pkggen.targets.freebsd.syntax import BLOCKS, place_of
from pkggen.tree import SEAL, CopiedFile, TextFile, Tree, with_seal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pkggen.recipe.model import AnyRecipe
    from pkggen.targets.freebsd.licences import Licensing
    from pkggen.targets.freebsd.model import Installed, PortView, Sources
    from pkggen.targets.freebsd.quote import Make

_EDIT: Final = "Edit pkggen.yaml instead of this file, and generate it again."
_WIDTH: Final = 78

Variables = list[tuple[str, list["Make"]]]


def port_tree(view: PortView, sources: Sources | None = None) -> Tree:
    """Return the files of a port.

    Args:
        view: All decisions.
        sources: What it is built from; None to install what was recorded.

    Raises:
        InputError: a value cannot be written.
    """
    place = view.directory
    files: dict[PurePosixPath, TextFile | CopiedFile] = {
        place / "distinfo": distinfo(view),
        place / "pkg-descr": TextFile(_description(view)),
    }
    # Files that can hold no seal are vouched for by the header of the Makefile beside them.
    vouched = [f"{path.name}: sha256 {file.sha256}" for path, file in files.items()]
    files[place / "Makefile"] = TextFile(
        templating.render("freebsd/Makefile.j2", _makefile(view, vouched), finalize=quote.finalize)
    )
    if _has_list(view):
        files[place / names.DISTFILES_FILE] = distfiles_list(view)
    if len(_packing(view)) >= FEW_FILES:
        plist = [quote.path(line) for line in _packing(view) if not line.startswith("@")]
        plist += [quote.value(line) for line in _packing(view) if line.startswith("@")]
        seal = quote.value(f"{names.GENERATED}; {SEAL}")
        files[place / "pkg-plist"] = TextFile(
            templating.render(
                "freebsd/pkg-plist.j2", {"header": seal, "lines": plist}, finalize=quote.finalize
            )
        )
    for path, file in _extra_files(view, sources):
        files[place / "files" / path] = file
    return Tree(files)


def distinfo(view: PortView) -> TextFile:
    """Return distinfo."""
    return TextFile(distfiles.distinfo(view.timestamp, view.subdirectory, view.files))


def distfiles_list(view: PortView) -> TextFile:
    """Return the list of distfiles, which an update replaces."""
    values = {"header": _header(view), "block": quote.block(_list(view))}
    template = f"freebsd/{names.DISTFILES_FILE}.j2"
    return TextFile(templating.render(template, values, finalize=quote.finalize))


def _extra_files(
    view: PortView, sources: Sources | None
) -> Iterator[tuple[PurePosixPath, TextFile | CopiedFile]]:
    """Yield what goes into the port's directory `files`."""
    for own in view.licensing.own:
        yield PurePosixPath(own.file), TextFile(own.text)
    head = heading(view.recipe)
    if view.service is not None:
        (image,) = view.payload
        script = rc_script(view.service, view.recipe.description, image.place, head)
        yield PurePosixPath(f"{names.rc_name(view.recipe.name)}.in"), TextFile(script)
        yield PurePosixPath("pkg-message.in"), TextFile(message(view.service, head))
    if view.tool is not None and view.tool.daemons:
        for name, text in tool.rc_scripts(view.tool, head).items():
            yield PurePosixPath(f"{name}.in"), TextFile(text)
        yield PurePosixPath("pkg-message.in"), TextFile(tool.message(view.tool, head))
    for name, text in pages(view.recipe).items():
        yield PurePosixPath(name), TextFile(text)
    if sources is not None:
        digests = {one.name: one.sha256 for one in sources.distfiles}
        script = with_seal(rebuild_script(sources.plan, digests))
        yield PurePosixPath(SCRIPTS["all"]), TextFile(script)
        for carried in sources.plan.carried:
            yield PurePosixPath("carried", carried.file_name), CopiedFile.of(carried.content)


def _header(view: PortView, *lines: str) -> Make:
    return header(view.recipe, *lines)


def heading(recipe: AnyRecipe, *lines: str) -> tuple[str, ...]:
    """Return what stands at the head of a generated file, as comment."""
    origin = recipe.provenance.origin
    where = f"job {recipe.provenance.job}" if origin is None else origin.url
    return (f"{names.GENERATED} from {where}", *lines, _EDIT, SEAL)


def header(recipe: AnyRecipe, *lines: str) -> Make:
    """Return the comment at the head of a generated file of make."""
    switch = f"opam-switch: sha256 {recipe.provenance.switch_sha256}"
    return quote.Make("\n".join(map(quote.comment, heading(recipe, switch, *lines))))


def pages(recipe: AnyRecipe) -> dict[str, str]:
    """Return names and texts of the manual pages of a tool's programs, as files of the port."""
    if not isinstance(recipe, ToolRecipe) or recipe.tool is None:
        return {}
    found: dict[str, str] = {}
    for package in recipe.tool.packages:
        if "freebsd" in package.systems:
            found |= manual_pages(recipe, package, recipe.machine, heading(recipe))
    return found


def page_place(name: str) -> str:
    """Return the directory of a manual page below PREFIX."""
    return f"share/man/man{quote.file_name(name).rpartition('.')[2]}"


def quoted_pages(recipe: AnyRecipe) -> list[dict[str, Make]]:
    """Return what a Makefile says about the manual pages of a tool."""
    return [
        {"name": quote.file_name(name), "place": quote.path(page_place(name))}
        for name in pages(recipe)
    ]


def _makefile(view: PortView, vouched: Sequence[str]) -> dict[str, object]:
    """Return the values of the template: each quoted for its one place there, or None or bool."""
    plan = view.rebuilt
    built = view.recipe.version.built.astimezone(UTC)
    return {
        "header": _header(view, *vouched),
        "blocks": [quote.block(block) for block in arranged(_variables(view))],
        "list_file": quote.Make(names.DISTFILES_FILE) if _has_list(view) else None,
        "rebuilt": plan is not None,
        "packed": view.packed is not None,
        "distfile": quote.Make("${file:T}" if view.is_image else "${file}"),
        "carried": [] if plan is None else [quote.file_name(c.file_name) for c in plan.carried],
        "prefix": None if plan is None else quote.word(plan.prefix),
        "parent": None if plan is None else quote.word(str(PurePosixPath(plan.prefix).parent)),
        "built": quote.word(f"{built:%Y-%m-%dT%H:%M:%SZ}"),
        "pages": quoted_pages(view.recipe),
        "service": view.service is not None,
        "directories": []
        if view.tool is None
        else [
            quote.Make(path if path.startswith("/") else f"${{PREFIX}}/{path}")
            for path in (line.split(" ")[1] for line in tool.directories(view.tool))
        ],
    }


def arranged(variables: Variables) -> list[Variables]:
    """Return the variables in the blocks of the Porter's Handbook, those of our own behind them."""
    behind = (len(BLOCKS), 0)
    blocks: dict[int, Variables] = {}
    for variable in sorted(variables, key=lambda one: place_of(one[0]) or behind):
        number, _ = place_of(variable[0]) or behind
        blocks.setdefault(number, []).append(variable)
    return list(blocks.values())


def _variables(view: PortView) -> Variables:
    """Return what the Makefile sets, in any order."""
    recipe, needs, plist = view.recipe, view.dependencies, _packing(view)
    yes = [quote.Make("yes")]
    found = [
        *_identity(view),
        ("MAINTAINER", [quote.word(view.maintainer)]),
        ("COMMENT", [quote.value(recipe.description)]),
        *licence_variables(view.licensing),
        ("ONLY_FOR_ARCHS", [quote.word(view.architecture)]),
        # Stripping would change the recorded bytes.
        ("STRIP", []),
        ("NO_WRKSUBDIR", yes),
        ("PAYLOAD", [_installed(one) for one in view.payload]),
    ]
    if recipe.homepage is not None:
        found.append(("WWW", [quote.address(recipe.homepage)]))
    depends = (
        ("BUILD_DEPENDS", needs.build),
        ("LIB_DEPENDS", needs.lib),
        ("RUN_DEPENDS", needs.run),
    )
    found += ((name, [quote.word(one) for one in words]) for name, words in depends if words)
    if needs.uses:
        found.append(("USES", [quote.value(" ".join(needs.uses))]))
    if view.is_image:
        found.append(("NO_ARCH", yes))
    found.append(
        ("NO_BUILD", yes) if view.rebuilt is None else ("REBUILD_JOBS?", [quote.Make("1")])
    )
    if view.service is not None:
        user = quote.word(view.service.user)
        found += [
            ("USE_RC_SUBR", [quote.word(names.rc_name(recipe.name))]),
            ("SUB_FILES", [quote.Make("pkg-message")]),
            ("USERS", [user]),
            ("GROUPS", [user]),
        ]
    if view.tool is not None and view.tool.daemons:
        found += [
            ("USE_RC_SUBR", sorted(quote.word(tool.rc_name(one)) for one in view.tool.daemons)),
            ("SUB_FILES", [quote.Make("pkg-message")]),
        ]
    if view.tool is not None and view.tool.users:
        users = [quote.word(user.name) for user in view.tool.users]
        found += [("USERS", users), ("GROUPS", users)]
    if len(plist) < FEW_FILES:
        found.append(("PLIST_FILES", sorted(_listed(line) for line in plist)))
    return found


def _installed(one: Installed) -> Make:
    """Return what the Makefile says about one file: recorded path, sha256, how and where."""
    words = (quote.path(one.path), quote.word(one.sha256), quote.word(one.how))
    return quote.Make(" ".join((*words, quote.path(one.place))))


def _identity(view: PortView) -> Variables:
    recipe = view.recipe
    found: Variables = [
        ("PORTNAME", [quote.word(recipe.name)]),
        ("PORTVERSION", [quote.word(view.version)]),
    ]
    if recipe.revision > 1:
        found.append(("PORTREVISION", [quote.word(str(recipe.revision - 1))]))
    found.append(("CATEGORIES", [quote.word(view.directory.parts[0])]))
    if view.site is not None:
        found.append(("MASTER_SITES", [quote.address(view.site)]))
    if view.is_image and view.rebuilt is None:
        (file,) = view.files
        name = PurePosixPath(quote.file_name(file.name))
        found.append(("DISTNAME", [quote.Make(name.stem)]))
        found.append(("EXTRACT_SUFX", [quote.Make(name.suffix)] if name.suffix else []))
    found.append(("DIST_SUBDIR", [quote.word(view.subdirectory)]))
    found.append(("EXTRACT_ONLY", []))
    return found


def licence_variables(licensing: Licensing) -> Variables:
    """Return what a Makefile says about licences."""
    found: Variables = [("LICENSE", [quote.value(" ".join(licensing.names))])]
    if licensing.comb != "single":
        found.append(("LICENSE_COMB", [quote.word(licensing.comb)]))
    own = licensing.own
    kept = [quote.Make(f"${{FILESDIR}}/{quote.file_name(one.file)}") for one in own]
    found += ((f"LICENSE_NAME_{one.name}", [quote.value(one.title)]) for one in own)
    found += ((f"LICENSE_FILE_{one.name}", [file]) for one, file in zip(own, kept, strict=True))
    found += ((f"LICENSE_PERMS_{one.name}", [quote.value(" ".join(PERMISSIONS))]) for one in own)
    return found


def _has_list(view: PortView) -> bool:
    """Tell whether distfiles are listed in a file of their own, which updates replace."""
    return view.rebuilt is not None or not view.is_image


def _list(view: PortView) -> Variables:
    if view.rebuilt is None:
        return [("DISTFILES", [quote.path(file.name) for file in view.files])]
    return [
        ("MASTER_SITES", distfiles.master_sites(view.files)),
        ("DISTFILES", distfiles.distfiles(view.files)),
    ]


def _packing(view: PortView) -> list[str]:
    """Return the lines of the packing list: files sorted, then directories."""
    found = [one.packed for one in view.payload]
    found = sorted(found + [f"{page_place(name)}/{name}.gz" for name in pages(view.recipe)])
    if view.tool is not None:
        return [*found, *tool.directories(view.tool)]
    return found if view.service is None else [*found, "@dir etc/unikernels"]


def _listed(line: str) -> Make:
    return quote.Make(f'"{quote.value(line)}"') if " " in line else quote.path(line)


def _description(view: PortView) -> str:
    """Return the text of pkg-descr, two paragraphs of plain text."""
    recipe = view.recipe
    what = "image" if view.is_image else "files"
    how = (
        f"The port installs the very {what} of the recorded build, and compares every byte by its"
        " recorded sha256."
        if view.rebuilt is None
        else f"The port builds the {what} of the recorded build from the recorded sources, without"
        " network, and installs nothing that differs from what was recorded."
    )
    origin = recipe.provenance.origin
    which = "" if origin is None else f"{origin.build} of "
    build = f"{which}job {recipe.provenance.job}, root package {recipe.provenance.root}"
    return description_text(recipe.description, f"{how} Recorded build: {build}.")


def description_text(description: str, how: str) -> str:
    """Return the text of pkg-descr of a description and a sentence."""
    paragraphs = (f"{description}.", how)
    return (
        "\n\n".join(
            textwrap.fill(
                "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text),
                _WIDTH,
                break_long_words=False,
                break_on_hyphens=False,
            )
            for text in paragraphs
        )
        + "\n"
    )
