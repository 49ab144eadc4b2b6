"""Sources as component tarballs of a source package, which Debian's tools can look into.

Source: dpkg-source(1) (format 3.0 (quilt)): `NAME_VERSION.orig-COMPONENT.tar.{gz,bz2,xz}`, letters,
digits and hyphens in COMPONENT; each is unpacked into a directory COMPONENT, without the only
directory at its top if it has only one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen.compression import MAGICS
from pkggen.errors import InputError
from pkggen.sources.model import archive_suffix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pkggen.compression import Compression
    from pkggen.recipe.distfiles import Distfile

MAX_COMPONENTS: Final = 60
"""More make fields of a `.dsc` longer than lintian's 5000 characters (tag field-too-long)."""
DISTFILES: Final = "distfiles"
"""Component that holds files as they are, in the layout of opam's download cache."""

_SUFFIXES: Final[tuple[Compression, ...]] = ("gz", "bz2", "xz")
_RESERVED: Final = frozenset({DISTFILES, "debian"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One source that is a tarball of its own."""

    name: str
    """Name of the component, and of its directory."""
    suffix: str
    """`gz`, `bz2` or `xz`, by its bytes and not by its name."""
    distfile: Distfile
    """The source."""


def components(distfiles: Iterable[Distfile], where: str) -> tuple[Component, ...]:
    """Return those sources that can be component tarballs.

    What cannot stays in the component `distfiles`: zip archives, uncompressed tars such as those of
    commits, and single files.

    Args:
        distfiles: All sources.
        where: Name of the package, for messages.

    Raises:
        InputError: they are too many, or two would have one name.
    """
    found = [
        Component(name=_name(one), suffix=suffix, distfile=one)
        for one in distfiles
        if (suffix := _suffix(one)) is not None
    ]
    if len(found) > MAX_COMPONENTS:
        raise InputError(
            f"{len(found)} sources are too many for component tarballs: more than"
            f" {MAX_COMPONENTS} make fields that are too long for Debian's archive",
            where=where,
            hint="leave out --components",
        )
    names = [component.name.lower() for component in found]
    for component in found:
        if names.count(component.name.lower()) > 1 or component.name in _RESERVED:
            raise InputError(
                f"more than one component would have the name {component.name}",
                where=where,
                hint="leave out --components",
            )
    return tuple(found)


def cached(sha256: str) -> PurePosixPath:
    """Return the place of a file in a source package: opam's download cache, in `distfiles`."""
    return PurePosixPath(DISTFILES, "sha256", sha256[:2], sha256)


def _suffix(distfile: Distfile) -> str | None:
    if distfile.source is None or distfile.source.kind != "archive":
        return None
    with distfile.content.open() as stream:
        head = stream.read(max(len(MAGICS[kind]) for kind in _SUFFIXES))
    return next((kind for kind in _SUFFIXES if head.startswith(MAGICS[kind])), None)


def _name(distfile: Distfile) -> str:
    """Return the file name, which ends in digits of the hash, in the characters of components."""
    stem = distfile.name.removesuffix(archive_suffix(distfile.name))
    return re.sub("[^A-Za-z0-9]+", "-", stem).strip("-")
