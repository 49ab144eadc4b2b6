"""Words for the user that are no result; light to load, because every command needs it."""

from __future__ import annotations

import sys

from pkggen.errors import printable


def talk(message: str) -> None:
    """Tell the user something that is no result."""
    print(f"pkggen: {printable(message)}", file=sys.stderr)
