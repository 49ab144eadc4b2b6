"""What a package is made of, each part with its own licence and authors.

Distributions want them one by one: Debian's copyright file has a stanza for each vendored source.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from pkggen.errors import PkggenError, raise_all
from pkggen.recipe.licences import all_of, image_licences
from pkggen.recipe.linked import LinkedPart, linked_parts
from pkggen.sources.model import Use

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pkggen.opam.package import OpamPackage
    from pkggen.recipe.model import Licences
    from pkggen.recipe.overrides import Overrides
    from pkggen.record.model import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A package or vendored directory."""

    name: str
    """Name of the package, or of the directory."""
    version: str | None
    """Version of the package; None for a directory, whose version is not recorded."""
    licences: Licences
    """What holds for it."""
    authors: tuple[str, ...]
    """As recorded; empty when nothing is."""
    source: str | None
    """Address of the source; None if it has none."""
    use: Use
    """Under which its source is known."""


def linked_in(
    record: Record,
    overrides: Overrides,
    by_sources: Mapping[Use, tuple[str, ...]] = MappingProxyType({}),
) -> tuple[Part, ...]:
    """Return the parts that are linked into what a record is about, sorted by name.

    Args:
        record: The build.
        overrides: What pkggen.yaml states.
        by_sources: What sources state themselves about parts for which no licence is recorded.

    Raises:
        InputError: the licence of a part is not known; all of them together.
    """
    return _parts(record, overrides, by_sources, linked_parts(record.switch))


def all_sources(
    record: Record,
    overrides: Overrides,
    by_sources: Mapping[Use, tuple[str, ...]] = MappingProxyType({}),
) -> tuple[Part, ...]:
    """Return what is linked in and all that has a source, compilers and tools too, sorted by name.

    Arguments and errors are those of `linked_in`.
    """
    return _parts(record, overrides, by_sources, tuple(every_part(record)))


def every_part(record: Record) -> Iterator[LinkedPart]:
    """Yield what is linked in, and every other installed package that has a source."""
    switch = record.switch
    linked = {part.use: part for part in linked_parts(switch)}
    for name in sorted(switch.installed_names):
        package = switch.packages.get(name)
        use = Use("package", name)
        if use in linked:
            yield linked[use]
        elif package is not None and (package.url or package.extra_sources or package.extra_files):
            yield LinkedPart(
                name=name,
                licences=package.licences,
                source=None if package.url is None else package.url.src,
                use=use,
            )
    yield from (part for part in linked.values() if part.use.role == "vendored")


def _parts(
    record: Record,
    overrides: Overrides,
    by_sources: Mapping[Use, tuple[str, ...]],
    found: tuple[LinkedPart, ...],
) -> tuple[Part, ...]:
    stated = overrides.of(record.job)
    exceptions = dict(stated.licences)
    known = [
        part if part.licences else replace(part, licences=by_sources.get(part.use, ()))
        for part in found
    ]
    if stated.licence is None:
        image_licences(known, exceptions, record.job)  # names all that are unknown at once
    faults: list[PkggenError] = []
    parts: list[Part] = []
    for part in known:
        package = record.switch.packages.get(part.name) if part.use.role == "package" else None
        try:
            licences = _licences(part, exceptions, stated.licence)
        except PkggenError as error:
            faults.append(error)
            continue
        parts.append(
            Part(
                name=part.name,
                version=None if package is None else package.version.text,
                licences=licences,
                authors=_authors(package),
                source=part.source,
                use=part.use,
            )
        )
    raise_all(faults)
    return tuple(sorted(parts, key=lambda part: (part.name, part.use)))


def _licences(part: LinkedPart, exceptions: Mapping[str, str], whole: Licences | None) -> Licences:
    """Return what holds for a part; where nothing is known, what is stated about the whole."""
    texts = (exceptions[part.name],) if part.name in exceptions else part.licences
    try:
        return all_of(texts)
    except PkggenError:
        if whole is None:
            raise
        return whole


def _authors(package: OpamPackage | None) -> tuple[str, ...]:
    return () if package is None else tuple(" ".join(one.split()) for one in package.authors)
