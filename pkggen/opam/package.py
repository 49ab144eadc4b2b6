"""One package of a switch export, typed.

Every field goes through a reader for its opam type that takes the bare and the list form alike,
because opam prints a one-element list of a typed field without brackets.

Source: ocaml/opam `src/format/opamFile.ml` (fields of the opam file and their printers).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from pkggen.errors import InputError

if TYPE_CHECKING:
    from pkggen.opam.values import Field, Ident, Section, Value
    from pkggen.opam.version import OpamVersion

DIGEST_LENGTHS: Final = {"md5": 32, "sha256": 64, "sha512": 128}
"""Hexadecimal digits of each kind of checksum that opam knows."""


@dataclass(frozen=True, slots=True, order=True)
class Checksum:
    """A checksum as opam writes it."""

    kind: str
    """`md5`, `sha256` or `sha512`."""
    digest: str
    """Lower-case hexadecimal digits."""

    @classmethod
    def parse(cls, text: str) -> Checksum:
        """Read `kind=digest`; a bare digest is md5, as in opam 1.

        Raises:
            InputError: the kind is unknown, or the digest has the wrong form.
        """
        kind, _, digest = text.rpartition("=")
        checksum = cls(kind or "md5", digest.lower())
        length = DIGEST_LENGTHS.get(checksum.kind)
        if length is None:
            raise InputError(
                f"{checksum.kind!r} is no kind of checksum",
                hint=f"opam knows {', '.join(DIGEST_LENGTHS)}",
            )
        if not re.fullmatch(rf"[0-9a-f]{{{length}}}", checksum.digest):
            raise InputError(f"a {checksum.kind} checksum has {length} hexadecimal digits")
        return checksum

    def __str__(self) -> str:
        return f"{self.kind}={self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """Where sources are: a `url` or `extra-source` section, or an entry of vendored sources."""

    src: str
    """Address as recorded, e.g. `https://…` or `git+https://…#commit`."""
    checksums: tuple[Checksum, ...]
    """Every recorded checksum; empty for version control and for development packages."""
    mirrors: tuple[str, ...]
    """Other addresses of the same bytes."""
    subpath: str | None
    """Directory inside the source that holds the package."""

    @property
    def strong(self) -> bool:
        """Whether a recorded checksum is one that nobody can forge."""
        return any(checksum.kind != "md5" for checksum in self.checksums)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraSource:
    """An `extra-source` section: a further file to download."""

    name: str
    """Relative path below the package's build directory."""
    url: Url
    """Where it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraFile:
    """A file that the export carries, joined from the package and the top level."""

    name: str
    """Relative path below the package's build directory."""
    checksum: Checksum
    """Stated by the package and checked against `content`."""
    content: bytes
    """The bytes."""


@dataclass(frozen=True, slots=True)
class Filtered:
    """A file name with a filter, as in `patches` and `substs`."""

    name: str
    """Relative path."""
    filter: Value | None
    """Condition; None when there is none."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a command."""

    value: str | Ident
    """A string with `%{…}%` parts, or a variable."""
    filter: Value | None
    """Condition; None when there is none."""


@dataclass(frozen=True, slots=True)
class Command:
    """A list of arguments, never a shell line."""

    arguments: tuple[Argument, ...]
    """Program and arguments."""
    filter: Value | None
    """Condition; None when there is none."""


@dataclass(frozen=True, slots=True)
class EnvSetting:
    """One environment update of `setenv` or `build-env`."""

    name: str
    """Variable."""
    op: str
    """One of `= += =+ := =: =+=`."""
    value: str
    """A string with `%{…}%` parts."""
    filter: Value | None
    """Condition; None when there is none."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """One package in a formula."""

    name: str
    """Package name."""
    condition: Value | None
    """Versions and filters in the braces, joined by `&`; None when there are none."""


@dataclass(frozen=True, slots=True)
class AllOf:
    """Formulas that must all hold."""

    parts: tuple[Formula, ...]
    """The parts in their order; none means true."""


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Formulas of which one must hold."""

    parts: tuple[Formula, ...]
    """The parts in their order."""


Formula: TypeAlias = "Dependency | AllOf | AnyOf"


@dataclass(frozen=True, slots=True)
class DepExt:
    """System packages and the systems they are meant for."""

    names: tuple[str, ...]
    """Names in that system's package manager."""
    filter: Value | None
    """Condition on os, os-family, os-distribution, os-version, arch; None for every system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VendoredSource:
    """An entry of `x-opam-monorepo-duniverse-dirs` or `x-mfetch-vendored-dirs`."""

    directory: str
    """Directory name below `duniverse/` or `vendors/`."""
    url: Url
    """Where it is; no checksums for version control."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpamPackage:
    """One package section, or one opam file."""

    name: str
    """Name, from the section or from the caller."""
    version: OpamVersion
    """`version`."""
    synopsis: str | None
    """`synopsis`: one line."""
    description: str | None
    """`description`: several lines."""
    maintainer: tuple[str, ...]
    """`maintainer`: names with addresses."""
    authors: tuple[str, ...]
    """`authors`: names, some with addresses."""
    licences: tuple[str, ...]
    """`license` as written: SPDX expressions, or anything else in old files."""
    tags: tuple[str, ...]
    """`tags`."""
    homepage: tuple[str, ...]
    """`homepage`: URLs, or anything else."""
    bug_reports: tuple[str, ...]
    """`bug-reports`: URLs or addresses."""
    dev_repo: str | None
    """`dev-repo`: a URL such as `git+https://…`."""
    url: Url | None
    """The `url` section: the package's own source."""
    extra_sources: tuple[ExtraSource, ...]
    """The `extra-source` sections."""
    extra_files: tuple[ExtraFile, ...]
    """`extra-files`, with their content."""
    patches: tuple[Filtered, ...]
    """`patches`, in the order in which they are applied."""
    substs: tuple[Filtered, ...]
    """`substs`: files made from `NAME.in`; the names stand here without `.in`."""
    build: tuple[Command, ...]
    """`build`."""
    install: tuple[Command, ...]
    """`install`."""
    build_env: tuple[EnvSetting, ...]
    """`build-env`: for this package's own commands."""
    setenv: tuple[EnvSetting, ...]
    """`setenv`: for everything that follows."""
    depends: AllOf
    """`depends`."""
    depopts: AnyOf
    """`depopts`."""
    conflicts: AnyOf
    """`conflicts`."""
    depexts: tuple[DepExt, ...]
    """`depexts`."""
    flags: tuple[str, ...]
    """`flags`, e.g. `conf`."""
    available: Value | None
    """`available`: a filter; None when there is none."""
    vendored: tuple[VendoredSource, ...]
    """Sources that a MirageOS root package builds in its own tree."""
    mirage_configure: Command | None
    """`x-mirage-configure`; its only identifier is `make`."""
    mirage_pre_build: Command | None
    """`x-mirage-pre-build` or `x-mkernel-pre-build`: run when the build was recorded only."""
    lock_location: str | None
    """`x-mirage-opam-lock-location`, a relative path."""
    orb_dependencies: tuple[tuple[str, tuple[str, ...]], ...] | None
    """`x-orb-dependencies`: package and what it depends on; None when not recorded."""
    items: tuple[Field | Section, ...]
    """Everything that the section holds, known or not."""
