"""What lintian finds in every recorded build, with the reason why it may be so.

Each override names a file of which the tag is true: lintian warns of any other.

Source: lintian's `Binaries/DebugSymbols.pm`, `Binaries/Static.pm` and `Files/SourceMissing.pm`.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Final

from pkggen.targets.deb import quote

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import PurePosixPath

    from pkggen.record.model import Artifact
    from pkggen.targets.deb.model import Inputs

_WIDTH: Final = 98


def source_overrides(inputs: Inputs, header: str) -> str:
    """Return what lintian need not say about the source package.

    Args:
        inputs: With at least one ELF file.
        header: Comment at the head.
    """
    shipped = inputs.rebuild is not None or inputs.release is not None
    reason = (
        "The recorded files are here to compare with: what is packaged is built from the sources."
        if shipped
        else "The sources, with checksums, are listed in opam-switch; `pkggen deb --rebuild` makes"
        " a package that ships and builds them."
    )
    lines = [header, *map(quote.comment, textwrap.wrap(reason, _WIDTH))]
    for tag in ("source-is-missing", "source-contains-prebuilt-binary"):
        lines += [f"{tag} [{_overridden(path)}]" for path in sorted(inputs.programs)]
    return "".join(f"{line}\n" for line in lines)


def package_overrides(
    inputs: Inputs, header: str, files: Iterable[tuple[Artifact, PurePosixPath]]
) -> str | None:
    """Return what lintian need not say about installed files; None if it will say nothing.

    Args:
        inputs: The package.
        header: Comment at the head.
        files: Recorded files, and where they are installed.
    """
    files = tuple(files)
    pages = {place.name.partition(".")[0] for _, place in files if "man" in place.parts}
    bare = [
        place
        for _, place in files
        if place.parent.name in {"bin", "sbin"} and place.name not in pages
    ]
    found = [
        (place, inputs.programs[file.path]) for file, place in files if file.path in inputs.programs
    ]
    unstripped = [place for place, program in found if program.symbols and place.suffix != ".o"]
    static = [place for place, program in found if program.static]
    reasons = {
        "no-manual-page": (bare, "The recorded build made none."),
        "unstripped-binary-or-object": (unstripped, "Stripping would change the recorded bytes."),
        "statically-linked-binary": (static, "It was linked like that; an image has no libraries."),
    }
    lines: list[str] = []
    for tag, (places, reason) in reasons.items():
        if places:
            lines.append(quote.comment(reason))
            lines += [f"{tag} [{_overridden(place)}]" for place in places]
    return "".join(f"{line}\n" for line in (header, *lines)) if lines else None


def _overridden(path: PurePosixPath) -> str:
    """Return a path as lintian's overrides have it, where `*` and `?` match anything."""
    return re.sub(r"[^!-~]", "*", str(path))
