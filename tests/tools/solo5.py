"""A source tree with the shape of Solo5's, and with everything that trips packagers; our own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.rebuild.made import Made, Package, make

VERSION: Final = "0.12.1"

TREE: Final = Path(__file__).parent / "trees" / "solo5"
FILES: Final[dict[str, str | bytes]] = {
    **{str(file.relative_to(TREE)): file.read_text() for file in TREE.rglob("*") if file.is_file()},
    "bindings/leftover.orig": "dh_clean deletes this\n",
    "tests/test_buggyelf/buggyelf.hvt": b"\x7fELF\x02\x01\x01" + bytes(57) + b"\xff" * 64,
}
"""Every trap that the facts name is in here."""

FIELDS: Final = """\
synopsis: "Solo5 sandboxed execution environment"
  description: "Solo5 runs unikernels."
  maintainer: "nobody@example.org"
  authors: "Nobody <nobody@example.org>"
  license: "ISC"
  homepage: "https://example.org/solo5"
  build: [["./configure.sh" "--prefix=%{prefix}%"] [make "V=1"]]
  install: [make "V=1" "install"]"""


def record(directory: Path, files: dict[str, str | bytes] | None = None) -> Made:
    """Return a record of the tool, with the recorded programs of another machine."""
    return make(
        directory,
        [Package("solo5", FIELDS, FILES if files is None else files, VERSION)],
        built={"bin/solo5-hvt": b"what robur's builder made\n"},
        environment={"ORB_BUILDING_PACKAGE": "solo5"},
    )
