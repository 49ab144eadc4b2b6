"""The `debian/` directory of a source package."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen import templating
from pkggen.errors import InputError, PkggenError, raise_all
from pkggen.recipe.changes import changes
from pkggen.recipe.manual import manual_pages
from pkggen.recipe.model import ImageRecipe, ToolRecipe
from pkggen.recipe.overrides import web_url
from pkggen.recipe.script import rebuild_script
from pkggen.recipe.service import service
from pkggen.recipe.tool import PROGRAMS
from pkggen.recipe.versions import deb_version
from pkggen.targets.deb import control, lintian, names, native, quote, tool, unikernel
from pkggen.targets.deb.changelog import Entry, build_line, changelog, stamp
from pkggen.targets.deb.components import DISTFILES, cached
from pkggen.targets.deb.copyright import copyright_file
from pkggen.tree import SEAL, TextFile, Tree, with_seal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pkggen.recipe.distfiles import Distfile
    from pkggen.recipe.model import AnyRecipe, Maintainer
    from pkggen.record.model import Artifact
    from pkggen.targets.deb.model import Inputs, Rebuild

_CACHE: Final = "autom4te.cache"
_CLEANED: Final = (
    *("*~", "*.bak", "*.orig", "*.rej", ".deps/*.P", ".deps/**/*.P", ".SUMS", "DEADJOE", "TAGS"),
)
"""What dh_clean deletes wherever it finds it, besides what no Debian package of ours can hold."""

DEBIAN: Final = PurePosixPath("debian")
BUILT: Final = "rebuilt"
RELAID: Final = "relaid"
HINT: Final = ".pkggen.hint"
"""End of the name of a generated file that a maintainer's own stands beside."""


def debian_tree(inputs: Inputs) -> Tree:
    """Return the files below `debian/`, those of the overlay instead of the generated ones.

    Raises:
        InputError: something cannot be in a Debian package; all reasons together.
    """
    generated = _generated(inputs)
    overlay = inputs.overlay or Tree({})
    hints = {
        path.with_name(path.name + HINT): file
        for path, file in generated.items()
        if path in overlay and overlay[path].sha256 != file.sha256
    }
    return Tree({**generated, **hints, **_binaries(overlay), **overlay})


def _binaries(overlay: Tree) -> dict[PurePosixPath, TextFile]:
    """Return the list without which dpkg-source builds no package of these files again."""
    listed = []
    for path, file in overlay.items():
        with file.content.open() as stream:
            # dpkg's own rule.
            if b"\0" in stream.read(4096):
                listed.append(f"{path}\n")
    return {DEBIAN / "source/include-binaries": TextFile("".join(listed))} if listed else {}


def installed(recipe: AnyRecipe) -> Iterator[tuple[Artifact, PurePosixPath]]:
    """Yield each recorded file that is installed, and where to, relative to the root.

    Raises:
        InputError: a file has no place in Debian.
    """
    for file in recipe.payload:
        place = _place(recipe, file)
        if place is not None:
            yield file, place


def _place(recipe: AnyRecipe, file: Artifact) -> PurePosixPath | None:
    """Return where a file is installed; None if its tool leaves it out."""
    if isinstance(recipe, ImageRecipe):
        return names.IMAGES / recipe.file_name
    target = file.path if recipe.tool is None else recipe.tool.place_of(file.path)
    if target is None:
        return None
    place = names.place(target)
    if place is None:
        raise InputError("Debian has no place for this file of the record", where=str(file.path))
    return place


def _generated(inputs: Inputs) -> Tree:
    overlay = inputs.overlay or Tree({})
    raise_all(_faults(inputs))
    recipe, maintainer = inputs.recipe, inputs.recipe.maintainer
    if maintainer is None:
        raise AssertionError(recipe.name)  # is one of the faults
    files = {
        "changelog": TextFile(changelog(recipe.name, maintainer, _entries(inputs))),
        "control": TextFile(f"{_header(recipe)}\n\n{control.control(inputs, maintainer)}"),
        "source/format": TextFile("3.0 (quilt)\n"),
        "upstream/metadata": TextFile(_upstream(inputs)),
        "watch": TextFile(f"version=4\n{_header(recipe)}\n{_WATCH}"),
        "docs": TextFile("".join(f"{name}\n" for name in _docs(inputs))),
    }
    if inputs.release is None:
        files |= {
            "install": TextFile(_install(inputs)),
            "SHA256SUMS": TextFile(
                "".join(f"{file.sha256}  {place}\n" for file, place in installed(recipe))
            ),
        }
    if inputs.programs and _package_file(inputs) is None:
        files["source/lintian-overrides"] = TextFile(
            lintian.source_overrides(inputs, _header(recipe))
        )
    overrides = lintian.package_overrides(inputs, _header(recipe), installed(recipe))
    if overrides is not None:
        files[f"{recipe.name}.lintian-overrides"] = TextFile(overrides)
    if DEBIAN / "copyright" not in overlay:
        files["copyright"] = TextFile(_copyright(inputs, maintainer))
    found = {DEBIAN / path: file for path, file in files.items()}
    templates = {
        "rules": "rules",
        "tests/control": "tests-control",
        "tests/payload": "tests-payload",
    }
    header = quote.Deb(_header(recipe))
    if isinstance(recipe, ImageRecipe):
        templates |= {"README.Debian": "README.Debian", "tests/launcher": "tests-launcher"}
        service_files = unikernel.service_files(recipe, header)
        found |= {DEBIAN / path: file for path, file in service_files.items()}
    found |= {DEBIAN / path: file for path, file in _rebuild_files(inputs).items()}
    values = _values(inputs)
    for path, template in templates.items():
        text = templating.render(f"deb/{template}.j2", values, finalize=quote.finalize)
        executable = path == "rules" or template in {"tests-payload", "tests-launcher"}
        found[DEBIAN / path] = TextFile(text, executable=executable)
    if isinstance(recipe, ToolRecipe):
        found |= {DEBIAN / path: file for path, file in _tool_files(inputs, recipe, header).items()}
    unsealed = [
        quote.prose(f"{file.sha256}  {path}")
        for path, file in sorted(found.items())
        if SEAL not in file.text
    ]
    readme = templating.render(
        "deb/README.source.j2", {**values, "unsealed": unsealed}, finalize=quote.finalize
    )
    return Tree({**found, DEBIAN / "README.source": TextFile(readme)})


_ALWAYS_THERE: Final = frozenset({"/", "/opt", "/tmp", "/var/tmp"})  # noqa: S108 - of builders


def _tool_files(
    inputs: Inputs, recipe: ToolRecipe, header: quote.Deb
) -> dict[PurePosixPath, TextFile]:
    """Return the files that only tools have, those that take the place of others among them."""
    found: dict[PurePosixPath, TextFile] = {}
    if recipe.package is not None:
        members = "".join(f"{name}\n" for name in recipe.package.members)
        found[PurePosixPath("payload")] = TextFile(members)
        rebuilt = "" if inputs.rebuild is None else f"{BUILT}/\n"
        found[PurePosixPath("clean")] = TextFile(f"{rebuilt}{RELAID}/\n")
    if recipe.tool is None:
        return found
    first = recipe.tool.packages[0]
    found |= tool.tool_files(recipe, recipe.tool, header)
    values = {
        **tool.readme_values(recipe, recipe.tool),
        "provenance": [quote.prose(line) for line in _provenance(inputs)],
    }
    text = templating.render("deb/tool-README.Debian.j2", values, finalize=quote.finalize)
    found[PurePosixPath(f"{recipe.name}{first.suffix}.README.Debian")] = TextFile(text)
    if inputs.release is not None:
        return found | native.native_files(recipe, recipe.tool, inputs.release, header)
    pages = manual_pages(recipe, first, recipe.machine, quote.uncommented(header))
    return found | {PurePosixPath("man", page): TextFile(text) for page, text in pages.items()}


_WATCH: Final = """\
# There is nothing to watch: the upstream tarball is a recorded build, saved by pkggen. `pkggen deb`
# with the name of the job makes the source package of the newest build.
"""


def _faults(inputs: Inputs) -> Iterator[PkggenError]:
    yield from control.faults(inputs)
    try:
        stamp(inputs.recipe.version.built)
    except InputError as error:
        yield error
    places: dict[PurePosixPath, Artifact] = {}
    for file in inputs.recipe.payload:
        try:
            quote.path(str(file.path))
            place = _place(inputs.recipe, file)
        except InputError as error:
            yield error
            continue
        if file.path.parts[0] in PROGRAMS and file.path.name in names.OF_THE_SYSTEM:
            yield InputError("every Debian has a program of that name", where=str(file.path))
        other = file if place is None else places.setdefault(place, file)
        if other is not file:
            yield InputError(f"{other.path} is installed at the same place", where=str(file.path))


def _header(recipe: AnyRecipe) -> str:
    origin = recipe.provenance.origin
    made_from = f"job {recipe.provenance.job}" if origin is None else origin.url
    return quote.comments((f"{names.GENERATED} from {made_from}", SEAL))


def _entries(inputs: Inputs) -> Iterator[Entry]:
    recipe = inputs.recipe
    builds = [(recipe.version, recipe.revision, recipe.provenance, inputs.record)]
    builds += [(one.version, 1, one.provenance, one.record) for one in inputs.earlier]
    for index, (version, revision, provenance, record) in enumerate(builds):
        lines = [build_line(provenance)]
        if record.image is not None:
            lines.append(f"{record.image.path} has the sha256 {record.image.sha256}")
        if index + 1 < len(builds):
            lines += changes(builds[index + 1][-1], record)
        yield Entry(
            version=deb_version(version, revision), changes=tuple(lines), time=version.built
        )


def _copyright(inputs: Inputs, maintainer: Maintainer) -> str:
    distfiles = inputs.in_cache if inputs.rebuild is None else inputs.rebuild.distfiles
    sources = [(_pattern(inputs.rebuild, one), one) for one in distfiles]
    return copyright_file(inputs.recipe, maintainer, inputs.parts, sources)


def _pattern(rebuild: Rebuild | None, distfile: Distfile) -> str:
    """Return the pattern of files that a source is in the source package."""
    if rebuild is None:
        return str(cached(distfile.sha256))
    place = rebuild.place(distfile)
    return str(place) if distfile in rebuild.cached else f"{place}/*"


def _upstream(inputs: Inputs) -> str:
    import yaml  # noqa: PLC0415 - 25 ms, for few commands

    root = inputs.record.switch.root
    fields = {
        "Bug-Database": root.bug_reports,
        "Repository": () if root.dev_repo is None else (root.dev_repo.removeprefix("git+"),),
        "Documentation": () if inputs.recipe.homepage is None else (inputs.recipe.homepage,),
    }
    usable = {key: next(filter(web_url, urls), None) for key, urls in fields.items()}
    given = {key: url for key, url in usable.items() if url is not None}
    text: str = yaml.safe_dump(given or {"Name": inputs.recipe.name}, width=1000)
    return f"{_header(inputs.recipe)}\n{text}"


def _docs(inputs: Inputs) -> Iterator[str]:
    """Yield the files of the record that let an operator trace what is installed."""
    yield from (str(quote.path(str(file.path))) for file in inputs.record.metadata)
    yield "record.json"


def _install(inputs: Inputs) -> str:
    lines = [
        f"{_obtained(inputs, file)} {place.parent}" for file, place in installed(inputs.recipe)
    ]
    if isinstance(inputs.recipe, ImageRecipe):
        name = inputs.recipe.name
        lines.append(f"debian/unikernel/{name} {names.LAUNCHERS}")
        lines.append(f"debian/unikernel/{name}.conf {names.CONFIGURATION}")
    elif inputs.recipe.tool is not None:
        lines += tool.configuration_files(inputs.recipe.tool)
        first = inputs.recipe.tool.packages[0]
        lines += (
            f"debian/man/{page} usr/share/man/man{page.rpartition('.')[2]}"
            for page in manual_pages(inputs.recipe, first, inputs.recipe.machine, ())
        )
    return "".join(f"{line}\n" for line in lines)


def _obtained(inputs: Inputs, file: Artifact) -> str:
    """Return where a file is that is installed, in the unpacked source package after the build."""
    recipe = inputs.recipe
    built = None if inputs.rebuild is None else recipe.built_path(file)
    if built is not None:
        return f"{BUILT}/{built}"
    if not isinstance(recipe, ToolRecipe) or recipe.package is None:
        return str(file.path)
    return f"{RELAID}/{recipe.package.unpacked_path(file)}"


def _rebuild_files(inputs: Inputs) -> dict[PurePosixPath, TextFile]:
    rebuild = inputs.rebuild
    if rebuild is None:
        return {}
    digests = {one.name: one.sha256 for one in rebuild.distfiles}
    unpacked = [one.distfile.name for one in rebuild.components]
    script = with_seal(rebuild_script(rebuild.plan, digests, unpacked=unpacked))
    listed = "".join(f"{rebuild.place(one)} {one.name}\n" for one in rebuild.distfiles)
    return {
        PurePosixPath("rebuild.sh"): TextFile(script, executable=True),
        PurePosixPath(DISTFILES): TextFile(listed),
        PurePosixPath("clean"): TextFile(f"{BUILT}/\n"),
    }


def _kept(inputs: Inputs) -> Iterator[quote.Deb]:
    """Yield the recorded files that dh_clean would delete before they are installed."""
    packed = isinstance(inputs.recipe, ToolRecipe) and inputs.recipe.package is not None
    for file in () if packed or inputs.rebuild is not None else inputs.recipe.payload:
        if _CACHE in file.path.parts:
            yield quote.path(_CACHE)
        elif any(file.path.match(pattern) for pattern in _CLEANED):
            # dh_clean takes it for a regular expression that is found anywhere in a path.
            yield quote.path(str(file.path).rpartition("+")[2].lstrip("/"))


def _values(inputs: Inputs) -> dict[str, object]:
    recipe = inputs.recipe
    values: dict[str, object] = {
        "header": quote.Deb(_header(recipe)),
        "name": quote.word(recipe.name),
        "package": quote.word(recipe.name),
        "image": isinstance(recipe, ImageRecipe),
        "package_file": _package_file(inputs),
        "daemons": [] if inputs.tool is None else tool.starts(inputs.tool),
        "native": inputs.release is not None,
        "shared": not isinstance(recipe, ImageRecipe),
        "rebuild": None if inputs.rebuild is None else _prefix(inputs.rebuild.plan.prefix),
        "kept": sorted(set(_kept(inputs))),
        "trees": inputs.rebuild is not None and bool(inputs.rebuild.components),
        "prefix": quote.prose("" if inputs.rebuild is None else inputs.rebuild.plan.prefix),
        "option": quote.prose("" if inputs.rebuild is None else " --rebuild"),
        "provenance": [quote.prose(line) for line in _provenance(inputs)],
    }
    if isinstance(recipe, ImageRecipe):
        described = service(recipe)
        title = f"{recipe.name} for Debian"
        values |= {
            "title": quote.prose(title),
            "underline": quote.prose("-" * len(title)),
            "tender": quote.absolute(unikernel.paths(recipe).tender),
            "configuration": quote.absolute(unikernel.configuration(recipe.name)),
            "secret": quote.absolute(unikernel.secret(recipe.name)),
            "launcher": quote.absolute(unikernel.launcher(recipe.name)),
            "required": quote.prose(", ".join(unikernel.required(described))),
            "user": quote.word(described.user),
            "networks": bool(described.networks),
            "image": quote.path(str(names.IMAGES / recipe.file_name)),
        }
    return values


def _prefix(prefix: str) -> dict[str, quote.Deb | None]:
    parent = str(PurePosixPath(prefix).parent)
    return {
        "prefix": quote.absolute(prefix),
        "parent": None if parent in _ALWAYS_THERE else quote.absolute(parent),
    }


def _package_file(inputs: Inputs) -> quote.Deb | None:
    """Return upstream's own package, as recorded."""
    recipe = inputs.recipe
    if not isinstance(recipe, ToolRecipe) or recipe.package is None:
        return None
    return quote.path(str(recipe.package.archive.path))


def _provenance(inputs: Inputs) -> Iterator[str]:
    provenance = inputs.recipe.provenance
    yield build_line(provenance)
    yield f"root package {provenance.root}, opam-switch with the sha256"
    yield provenance.switch_sha256
    for file in inputs.recipe.payload:
        yield f"{file.path}, sha256"
        yield file.sha256
