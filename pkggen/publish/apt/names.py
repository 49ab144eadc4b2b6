"""What may be the name of a package, a version, an architecture, a suite or a file.

All of them become parts of paths and lines of indices, so nothing else ever gets there.

Sources: Debian Policy 5.6.1, 5.6.8, 5.6.12; Debian Wiki, DebianRepository/Format.
"""

from __future__ import annotations

import re
from typing import Final

from pkggen.errors import InputError

_MOST_CHARACTERS: Final = 200
_PATTERNS: Final = {
    "package name": r"[a-z0-9][a-z0-9+.-]+",
    "version": r"([0-9]{1,9}:)?[0-9][A-Za-z0-9.+~]*(-[A-Za-z0-9.+~]+)*",
    "architecture": r"[a-z0-9][a-z0-9-]*",
    "suite name": r"[a-z0-9][a-z0-9.+-]*",
    "repository name": r"[a-z0-9][a-z0-9+.-]*",
    "file name": r"[A-Za-z0-9][A-Za-z0-9.+~_-]*",
}
_NO_ARCHITECTURES: Final = frozenset({"source", "any"})


def check(kind: str, text: str, where: str) -> str:
    """Return a text that may be a name of this kind.

    Args:
        kind: `package name`, `version`, `architecture`, `suite name`, `repository name` or
            `file name`.
        text: What somebody wants to use as one.
        where: Who wants it.

    Raises:
        InputError: it may not.
    """
    if (
        len(text) > _MOST_CHARACTERS
        or not re.fullmatch(_PATTERNS[kind], text)
        or (kind == "architecture" and text in _NO_ARCHITECTURES)
    ):
        raise InputError(f"{text[:_MOST_CHARACTERS]!r} is no {kind}", where=where)
    return text


def without_epoch(version: str) -> str:
    """Return a version as file names hold it."""
    return version.partition(":")[2] or version


def pool_directory(source: str) -> str:
    """Return the directory of a source package and of all that is built from it."""
    prefix = source[:4] if source.startswith("lib") else source[0]
    return f"pool/main/{prefix}/{source}"
