"""The one-line description, in the wording that nixpkgs, Debian and FreeBSD agree on.

Sources: nixpkgs `pkgs/README.md` (meta.description), Debian Developer's Reference 6.2.2, Porter's
Handbook 5.8 (COMMENT).
"""

from __future__ import annotations

import re
from typing import Final

MAX_CHARACTERS: Final = 70

_ARTICLE: Final = re.compile(r"(?:an?|the)\s+", re.IGNORECASE)


def cleaned(synopsis: str, name: str) -> str:
    """Return the synopsis with the usual offences mended.

    White space becomes single spaces; the package's name, the article and the full stops at the
    ends go away; the first letter becomes a capital. What `fault` then finds, only a person can
    mend.

    Args:
        synopsis: What an upstream wrote.
        name: Name of the package.
    """
    text = " ".join(synopsis.split()).rstrip(". ")
    text = re.sub(
        rf"^{re.escape(name)}(?:\s*:\s*|\s+(?:-+|\u2013|\u2014|is)\s+)",
        "",
        text,
        flags=re.IGNORECASE,
    )
    text = _ARTICLE.sub("", text, count=1) if _ARTICLE.match(text) else text
    return text[:1].upper() + text[1:]


def fault(text: str, name: str) -> str | None:
    """Say what is wrong with a description; None when nothing is.

    Args:
        text: The description.
        name: Name of the package.
    """
    first_word = re.split(r"[\s:,]", text, maxsplit=1)[0]
    faults = {
        "is empty": not text.strip(),
        "is not one line of printable text": not text.isprintable(),
        "starts or ends with a space": text != text.strip(),
        f"has {len(text)} characters, more than {MAX_CHARACTERS}": len(text) > MAX_CHARACTERS,
        "does not start with a capital letter or a digit": text[:1].islower(),
        "starts with an article": _ARTICLE.match(text) is not None,
        "ends with a full stop": text.endswith("."),
        "starts with the name of the package": first_word.lower() == name.lower(),
    }
    return next((what for what, found in faults.items() if found), None)
