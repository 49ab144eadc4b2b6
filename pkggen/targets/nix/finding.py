"""What `lint` reads and reports, and whose rules it knows."""

from __future__ import annotations

import posixpath
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen.recipe.finding import Breach
from pkggen.targets.nix import names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pkggen.recipe.finding import Entry

_RULES_OF: Final[Mapping[str, str]] = {
    "NixOS/nixpkgs-vet": (
        "NPV-109 NPV-110 NPV-111 NPV-121 NPV-122 NPV-123 NPV-124 NPV-125 NPV-126 NPV-127 "
        "NPV-128 NPV-140 NPV-141 NPV-142 NPV-143 NPV-144 NPV-145 NPV-146 NPV-164 NPV-166 "
        "NPV-170"
    ),
    "nixpkgs .editorconfig": "encoding final-newline line-end trailing-blanks indentation",
    "NixOS/nixfmt": "blank-lines line-length list-layout brackets equals arguments",
    "nixf-diagnose": "unused-argument",
    "NixOS/nix src/libexpr/lexer.l": "nix-syntax",
    "RFC 8259": "json-syntax",
    "NixOS/rfcs 45": "url-literal",
    "pkggen": "header",
    "nixpkgs pkgs/by-name/README.md": "derivation",
    "nixpkgs CONTRIBUTING.md": "rec with-lib",
    "jtojnar/nixpkgs-hammering": "attribute-order last-attributes phase-hooks",
    "nixpkgs doc/stdenv/stdenv.chapter.md": "phases",
    "nixpkgs pkgs/README.md": (
        "unexplained attribute-name pname version hash mirror fetchgit fetchpatch "
        "override-attrs import-from-derivation"
    ),
    "nixpkgs doc/stdenv/meta.chapter.md": (
        "meta meta-order description homepage no-maintainer unfree source-provenance main-program"
    ),
    "nixpkgs pkgs/stdenv/generic/make-derivation.nix": "md5",
    "nix-instantiate --parse": "nix-parse",
}
RULES: Final[Mapping[str, str]] = {
    rule: source for source, rules in _RULES_OF.items() for rule in rules.split()
}
"""Names of the rules and who made them."""


class Finding(Breach):
    """A breach of a rule of nixpkgs."""

    __slots__ = ()

    sources = RULES


def package_of(path: PurePosixPath) -> PurePosixPath | None:
    """Return the directory of the package that a file belongs to."""
    parts = path.parts
    inner = len(parts) > 4 and PurePosixPath(*parts[:2]) == names.BY_NAME
    return PurePosixPath(*parts[:4]) if inner else None


def is_carried(path: PurePosixPath) -> bool:
    """Tell whether a file is one that a record carries: its bytes are data, whatever its name."""
    package = package_of(path)
    return package is not None and path.relative_to(package).parts[0] == names.CARRIED


def resolved_in(directory: PurePosixPath, relative: str) -> PurePosixPath:
    """Return where a relative path from a directory leads, by its text alone."""
    return PurePosixPath(posixpath.normpath(posixpath.join(directory, relative)))


def exists(path: PurePosixPath, files: Mapping[PurePosixPath, Entry]) -> bool:
    """Tell whether there is a file or a directory at a path."""
    return path in files or any(path in file.parents for file in files)
