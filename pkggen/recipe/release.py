"""Releases of the tools that distributions package by hand: theirs are updated, not added again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, PkggenError, raise_all
from pkggen.recipe.build import provenance
from pkggen.recipe.model import Release
from pkggen.recipe.versions import release_of
from pkggen.sources.model import Use, collect_sources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pkggen.opam.package import OpamPackage, Url
    from pkggen.record.model import Record
    from pkggen.sources.model import Source

TOOLS: Final = frozenset({"solo5"})
"""Packages of which every distribution has, or wants, one that is made by hand."""

_HINT: Final = "record a build of the package as opam-repository has it"
_PLAIN: Final = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]+)?/[A-Za-z0-9._~/%+-]+")
# GitHub and Codeberg, GitLab, Bitbucket: made of a tag each time, and not always the same bytes.
_MADE_OF_TAGS: Final = re.compile(
    r"https://(?:api|codeload)\.github\.com/.*|.*/(?:archive|get|tarball|zipball)/.*"
)


def is_tool(record: Record) -> bool:
    """Tell whether a build was made for a tool instead of a unikernel."""
    roots = record.switch.roots
    return len(roots) == 1 and roots[0].partition(".")[0] in TOOLS


def tool_release(record: Record) -> Release:
    """Return the release that a recorded tool was built from.

    Args:
        record: The build of a tool.

    Raises:
        InputError: it is no release, or its archive has no usable address or checksum; all of that
            is given together.
    """
    root = record.switch.root
    version = release_of(root.version)
    faults: list[PkggenError] = []
    if version is None:
        faults.append(InputError(f"{_named(root)} is no release", where=record.source, hint=_HINT))
    urls = () if root.url is None else tuple(_addresses(root.url))
    if not urls:
        faults.append(
            InputError(
                f"no https address of a release's own archive is recorded for {_named(root)}",
                where=record.source,
                hint=_HINT,
            )
        )
    checksums = () if root.url is None else tuple(sorted(root.url.checksums))
    checksums = tuple(checksum for checksum in checksums if checksum.kind != "md5")
    if not checksums:
        faults.append(
            InputError(
                f"neither sha256 nor sha512 is recorded for {_named(root)}",
                where=record.source,
                hint="md5 proves nothing; record a build of a package with a better checksum",
            )
        )
    raise_all(faults)
    assert version is not None  # noqa: S101 - a fault else
    return Release(
        name=root.name,
        version=version.removeprefix("v"),
        urls=urls,
        checksums=checksums,
        provenance=provenance(record, root),
    )


def release_source(record: Record) -> Source:
    """Return the release tarball of a recorded tool, for a build without opam.

    Raises:
        InputError: see `tool_release`; or it is in an archive of no known kind.
    """
    release = tool_release(record)
    use = Use("package", release.name)
    found = next(one for one in collect_sources(record.switch) if use in one.users)
    if found.kind != "archive":
        raise InputError(
            f"the source of {release.name} is no archive", where=record.source, hint=_HINT
        )
    return found


def _named(root: OpamPackage) -> str:
    return f"{root.name} {root.version}"


def _addresses(url: Url) -> Iterator[str]:
    for address in (url.src, *url.mirrors):
        if _PLAIN.fullmatch(address) and not _MADE_OF_TAGS.fullmatch(address):
            yield address
