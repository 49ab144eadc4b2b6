"""The source build of a package in Nix: two derivations, switch and root, that run the script.

Sources: nixpkgs `pkgs/build-support/fetchurl`, `fetchgit` (arguments) and `pkgs/README.md`
(generated lists of dependencies are data beside the package); NixOS/nix `src/libstore/path.cc`
(names in the store).
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen import templating
from pkggen.errors import InputError, raise_all
from pkggen.recipe.model import ImageRecipe
from pkggen.recipe.script import SCRIPTS, carried_of, rebuild_script, sources_of
from pkggen.recipe.versions import nix_version
from pkggen.targets.nix import inputs, names, quote
from pkggen.targets.nix.tool import installed, name_of
from pkggen.tree import SEAL, CopiedFile, TextFile, Tree, with_seal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pkggen.recipe.model import AnyRecipe
    from pkggen.recipe.plan import Carried, RebuildPlan
    from pkggen.recipe.script import Part
    from pkggen.record.model import SystemPackage
    from pkggen.sources.model import Source

REBUILD_FILE: Final = "rebuild.nix"
DEPS_FILE: Final = "deps.json"
_IMAGES: Final = PurePosixPath("share/mirage")
_OWN_ARGUMENTS: Final = frozenset({"buildJobs", "fixedOutput", "lib"})

_STORE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}")
_ADDRESS: Final = re.compile(r"https?://[!-~]+")
_WRITABLE: Final = ("/tmp/", "/build/")  # noqa: S108 - all that a build in Nix can write to
_COMPILER: Final = re.compile(r"binutils|gcc(-[0-9]+)?|clang(-[0-9]+)?|libc6-dev|linux-libc-dev")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A source as it was fetched and verified."""

    sha256: str
    """64 hexadecimal digits, of the file or of the tar of a commit."""
    commit: str | None
    """All digits of the commit; None unless git."""
    nar: str | None
    """64 hexadecimal digits of the hash that Nix gives to the files of the commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Attributes of nixpkgs that a build needs besides what every package gets."""

    switch: tuple[str, ...]
    """For the packages of the switch."""
    root: tuple[str, ...]
    """For the root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Built:
    """A recorded file that the source build makes."""

    path: PurePosixPath
    """Below the prefix."""
    place: PurePosixPath
    """Below `$out`."""
    sha256: str
    """64 hexadecimal digits."""


def rebuild_tree(
    recipe: AnyRecipe,
    plan: RebuildPlan,
    pins: Mapping[str, Pin],
    needed: Inputs,
    host: Iterable[SystemPackage],
) -> Tree:
    """Return `rebuild.nix` and what it reads: the sources' hashes, both scripts, carried files.

    Args:
        recipe: The image or the tool.
        plan: How it is built.
        pins: All sources of the plan by file name.
        needed: What the recorded packages ask of nixpkgs.
        host: Packages of the recorded build host.

    Returns:
        The files, relative to the directory of the package.

    Raises:
        InputError: the recorded PREFIX is where no build in Nix can write, a source has no address
            that others can reach, or a name cannot be used; all of them are given together.
    """
    built = tuple(_built(recipe))
    raise_all(_faults(recipe, built, plan, needed))
    digests = {name: pin.sha256 for name, pin in pins.items()}
    files: dict[PurePosixPath, TextFile | CopiedFile] = {
        PurePosixPath(REBUILD_FILE): TextFile(
            templating.render(
                "nix/rebuild.nix.j2",
                _quoted(recipe, built, plan, needed, host),
                finalize=quote.finalize,
            )
        ),
        PurePosixPath(DEPS_FILE): TextFile(_dependencies(plan, pins)),
    }
    parts: tuple[Part, ...] = ("switch", "root")
    for part in parts:
        script = rebuild_script(plan, digests, part)
        files[PurePosixPath(SCRIPTS[part])] = TextFile(with_seal(script))
    for carried in plan.carried:
        files[PurePosixPath(names.CARRIED, carried.file_name)] = CopiedFile.of(carried.content)
    return Tree(files)


def json_lines(lists: Mapping[str, Iterable[object]]) -> str:
    """Return a sealed JSON object of lists, with one line for each element.

    Source: nixpkgs' reviewers want generated data small and its changes readable.
    """
    parts = [f'"generated": "by pkggen; {SEAL}"']
    for name, elements in lists.items():
        lines = [
            json.dumps(element, ensure_ascii=False, separators=(",", ":")) for element in elements
        ]
        body = ",\n".join(lines)
        parts.append(f'"{name}": [\n{body}\n]' if lines else f'"{name}": []')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def sri(sha256: str) -> str:
    """Return 64 hexadecimal digits in the form that Nix's fetchers take."""
    return f"sha256-{base64.b64encode(bytes.fromhex(sha256)).decode()}"


def _built(recipe: AnyRecipe) -> Iterator[_Built]:
    if isinstance(recipe, ImageRecipe):
        image = recipe.image
        place = _IMAGES / recipe.file_name
        yield _Built(path=image.path, place=place, sha256=image.sha256)
        return
    for file, place in installed(recipe):
        path = recipe.built_path(file)
        if path is not None:
            yield _Built(path=path, place=place, sha256=file.sha256)


def _dependencies(plan: RebuildPlan, pins: Mapping[str, Pin]) -> str:
    return json_lines({"switch": _part(plan, pins, "switch"), "root": _part(plan, pins, "root")})


def _part(plan: RebuildPlan, pins: Mapping[str, Pin], part: Part) -> list[tuple[str, ...]]:
    """Return name, url, hash and rev of each source; lists, since reviewers want it small."""
    found = [_dependency(source, pins[source.file_name]) for source in sources_of(plan, part)]
    found += [(carried.file_name,) for carried in carried_of(plan, part)]
    return sorted(found)


def _dependency(source: Source, pin: Pin) -> tuple[str, ...]:
    found = (source.file_name, _address(source) or "")
    if pin.commit is not None and pin.nar is not None:
        return (*found, sri(pin.nar), pin.commit)
    return (*found, sri(pin.sha256))


def _address(source: Source) -> str | None:
    """Return the first address that a fetcher of nixpkgs can use."""
    plain = (url.removeprefix("git+") for url in source.urls)
    return next((url for url in plain if _ADDRESS.fullmatch(url)), None)


def _faults(
    recipe: AnyRecipe, built: tuple[_Built, ...], plan: RebuildPlan, needed: Inputs
) -> Iterator[InputError]:
    yield from _built_faults(built, plan)
    if not plan.prefix.startswith(_WRITABLE):
        yield InputError(
            f"the recorded PREFIX {plan.prefix} is where no build in Nix can write",
            where=plan.job,
            hint="Nix can rebuild what orb built below /tmp or /build",
        )
    for source in plan.sources:
        if _address(source) is None:
            yield InputError(
                f"Nix cannot fetch {', '.join(source.urls)}",
                where=str(source),
                hint="only http and https are known to everybody's Nix",
            )
    stored: tuple[Source | Carried, ...] = (*plan.sources, *plan.carried)
    for one in stored:
        if not _STORE_NAME.fullmatch(one.file_name):
            yield InputError(f"the file name {one.file_name!r} cannot be used in the Nix store")
    asked = (*needed.switch, *needed.root)
    own = _OWN_ARGUMENTS | {names.attribute(name_of(recipe))}
    yield from inputs.faults(asked, own, plan.job)


def _built_faults(built: tuple[_Built, ...], plan: RebuildPlan) -> Iterator[InputError]:
    if not built:
        yield InputError("nothing of what is packaged is built", where=plan.job)
    made = {one.path for one in plan.expected}
    for file in built:
        if str(file.path) not in made:
            yield InputError(f"a rebuild of this record does not make {file.path}", where=plan.job)
        for part in (*file.path.parts, *file.place.parts):
            yield from quote.file_name_faults(part)


def _quoted(
    recipe: AnyRecipe,
    built: tuple[_Built, ...],
    plan: RebuildPlan,
    needed: Inputs,
    host: Iterable[SystemPackage],
) -> dict[str, object]:
    """Return the values of the template: each quoted for its one place there."""
    asked = inputs.arguments((*needed.switch, *needed.root))
    arguments = names.REBUILD_ARGUMENTS | asked
    origin = recipe.provenance.origin
    header = (
        f"{names.GENERATED} from {f'job {plan.job}' if origin is None else origin.url}",
        f"opam-switch: sha256 {recipe.provenance.switch_sha256}",
        SEAL,
    )
    return {
        "header": quote.Nix("\n".join(map(quote.comment, header))),
        "arguments": [quote.attribute(name) for name in sorted(arguments)],
        "pname": quote.string(f"{name_of(recipe)}-rebuild"),
        "version": quote.string(str(nix_version(recipe.version))),
        "prefix": quote.string(plan.prefix),
        "search_path": quote.string(plan.search_path),
        "files": [
            {
                "path": quote.path(file.path),
                "place": quote.path(file.place),
                "sha256": quote.file_name(file.sha256),
            }
            for file in built
        ],
        "image": {"path": quote.path(recipe.image.path), "hash": quote.sri(recipe.image.sha256)}
        if isinstance(recipe, ImageRecipe)
        else None,
        "host": quote.listing(
            [
                quote.string(f"{package.name}={package.version}")
                for package in host
                if _COMPILER.fullmatch(package.name)
            ],
            indent=2,
        ),
        "switch_inputs": inputs.listing(needed.switch, indent=2),
        "root_inputs": inputs.listing(needed.root, indent=2),
    }
