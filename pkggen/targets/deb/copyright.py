"""debian/copyright in its machine-readable form.

Source: copyright-format 1.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkggen.errors import PkggenError, raise_all
from pkggen.recipe.licences import all_of
from pkggen.targets.deb import licences, quote
from pkggen.targets.deb.deb822 import render
from pkggen.targets.deb.names import GENERATED
from pkggen.tree import SEAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pkggen.recipe.distfiles import Distfile
    from pkggen.recipe.model import AnyRecipe, Licences, LicenceTerm, Maintainer
    from pkggen.recipe.parts import Part
    from pkggen.sources.model import Use

FORMAT = "https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
OURS = "ISC"
"""Licence of what pkggen writes."""


def copyright_file(
    recipe: AnyRecipe,
    maintainer: Maintainer,
    parts: tuple[Part, ...],
    sources: Iterable[tuple[str, Distfile]],
) -> str:
    """Return the text.

    Args:
        recipe: What is packaged.
        maintainer: Who answers for the packaging.
        parts: What is in the package, of which something is known.
        sources: Paths in the source package and the sources that are there.

    Raises:
        InputError: the text of a licence is not known, or its expression is too complicated.
    """
    by_use = {part.use: part for part in parts}
    stanzas = [_header(recipe), _whole(recipe, parts)]
    stanzas += _grouped((path, _parts_of(distfile, by_use)) for path, distfile in sources)
    year = recipe.version.built.year
    stanzas.append(
        {
            "Files": "debian/*",
            "Copyright": f"{year} {maintainer.name} <{maintainer.email}>",
            "License": OURS,
        }
    )
    every = (recipe.licences, all_of([OURS]), *(part.licences for part in parts))
    stanzas += _texts(every)
    return "\n".join(map(render, stanzas))


def _header(recipe: AnyRecipe) -> dict[str, str]:
    origin = recipe.provenance.origin
    source = recipe.homepage if origin is None else origin.url
    job = recipe.provenance.job
    return {
        "Format": FORMAT,
        "Upstream-Name": quote.prose(recipe.provenance.root.partition(".")[0]),
        "Source": quote.prose(source or f"a recorded build of job {job}, which is in this package"),
        "Comment": f"{GENERATED}; {SEAL}",
    }


def _whole(recipe: AnyRecipe, parts: tuple[Part, ...]) -> dict[str, str]:
    root = recipe.provenance.root.partition(".")[0]
    # What was built holds them all; the ones of its own package come first.
    owned = sorted(parts, key=lambda part: (part.use.role, part.name) != ("package", root))
    lines = [quote.prose(f"{_named(part)}: {part.licences.expression}") for part in parts]
    return {
        "Files": "*",
        "Copyright": "\n".join(_holders(owned)) or quote.prose(f"the authors of {root}"),
        "License": licences.synopsis(recipe.licences),
        "Comment": "\n".join(["What was built is made of", *(f" {line}" for line in lines)]),
    }


def _parts_of(distfile: Distfile, by_use: Mapping[Use, Part]) -> tuple[Part, ...]:
    if distfile.source is None:
        # A file that the record carries belongs to the package in whose name it begins.
        names = {part.name: part for part in by_use.values() if part.use.role == "package"}
        name = distfile.name.partition(".")[0]
        return (names[name],) if name in names else ()
    found = []
    for use in distfile.source.users:
        part = by_use.get(use) or next(
            (p for p in by_use.values() if p.use.role == "package" and p.name == use.package), None
        )
        if part is not None and part not in found:
            found.append(part)
    return tuple(found)


def _grouped(sources: Iterable[tuple[str, tuple[Part, ...]]]) -> Iterator[dict[str, str]]:
    """Yield a stanza for all files that belong to the same parts."""
    files: dict[tuple[Part, ...], list[str]] = {}
    for path, parts in sources:
        if parts:
            files.setdefault(parts, []).append(path)
    for parts in sorted(files, key=lambda parts: [part.name for part in parts]):
        union = all_of(part.licences.expression for part in parts)
        yield {
            "Files": "\n".join(sorted(files[parts])),
            "Copyright": "\n".join(_holders(parts)),
            "License": licences.synopsis(union),
            "Comment": quote.prose(", ".join(_named(part, with_source=True) for part in parts)),
        }


def _holders(parts: Iterable[Part]) -> list[str]:
    """Return who wrote the parts; opam records names, without years."""
    found: list[str] = []
    for part in parts:
        # Without a letter it is nobody, and might be the full stop that stands for an empty line.
        authors = [one for one in part.authors if any(map(str.isalnum, one))]
        unknown = f"the authors of {part.name}, who are named in its source"
        found += map(quote.prose, authors or [unknown])
    return list(dict.fromkeys(found))


def _named(part: Part, *, with_source: bool = False) -> str:
    named = part.name if part.version is None else f"{part.name} {part.version}"
    return f"{named} from {part.source}" if with_source and part.source else named


def _texts(every: Iterable[Licences]) -> Iterator[dict[str, str]]:
    """Yield a stanza for each licence; all that have no text are reported together."""
    terms: dict[str, LicenceTerm] = {
        licences.name(term): term for found in every for term in found.terms
    }
    faults: list[PkggenError] = []
    for name in sorted(terms):
        try:
            text = licences.text(terms[name])
        except PkggenError as error:
            faults.append(error)
            continue
        yield {"License": f"{name}\n{text.strip()}"}
    raise_all(faults)
