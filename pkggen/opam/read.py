"""From parsed items to typed packages.

Faults are collected, so that a user sees all of them at once.

Source: ocaml/opam `src/format/opamFile.ml` (fields and their types).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from pkggen.errors import Faults, InputError, PkggenError, Place
from pkggen.opam import fields
from pkggen.opam.lexer import ADVICE
from pkggen.opam.package import AllOf, AnyOf, ExtraSource, OpamPackage, Url
from pkggen.opam.values import Field
from pkggen.opam.version import OpamVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pkggen.opam.package import ExtraFile
    from pkggen.opam.values import OpamFile, Section, Value

MAX_FAULTS: Final = 100
"""Reading ends at this many faults: each costs a search for its line."""

_VENDORED_FIELDS: Final = ("x-opam-monorepo-duniverse-dirs", "x-mfetch-vendored-dirs")
_PRE_BUILD_FIELDS: Final = ("x-mirage-pre-build", "x-mkernel-pre-build")

T = TypeVar("T")


class Reader:
    """Typed access to the items of one file or section."""

    def __init__(
        self,
        file: OpamFile,
        items: tuple[Field | Section, ...],
        faults: list[PkggenError],
        *,
        where: str = "",
    ) -> None:
        """Index the items by name.

        Args:
            file: The text they come from, for places.
            items: What to read.
            faults: Receives every error, up to `MAX_FAULTS`; reading goes on with an empty value.
            where: Prefix of messages, e.g. `package "dune": `.
        """
        self._file = file
        self._faults = faults
        self._where = where
        self._fields: dict[str, Field] = {}
        self._sections: list[Section] = []
        for item in items:
            if isinstance(item, Field):
                if item.name in self._fields:
                    self.fault(item, InputError(f"{item.name!r} stands here a second time"))
                self._fields[item.name] = item
            else:
                self._sections.append(item)

    def fault(self, item: Field | Section, error: PkggenError) -> None:
        """Note an error at an item.

        Raises:
            Faults: there are too many already.
        """
        if len(self._faults) >= MAX_FAULTS:
            raise Faults(self._faults)
        place = Place.at(self._file.file, self._file.text, item.offset)
        message = self._where + error.message
        self._faults.append(type(error)(message, where=place, hint=error.hint or ADVICE))

    @contextmanager
    def noting(self, item: Field | Section) -> Iterator[None]:
        """Note an error that is raised inside the `with`."""
        try:
            yield
        except PkggenError as error:
            self.fault(item, error)

    def read(self, name: str, convert: Callable[[Value], T], default: T) -> T:
        """Return `convert` of the field's value, `default` when it is absent or wrong."""
        field = self._fields.get(name)
        if field is None:
            return default
        try:
            return convert(field.value)
        except PkggenError as error:
            self.fault(field, error)
            return default

    def strings(self, name: str) -> tuple[str, ...]:
        """Return a list of strings."""
        return self.read(name, fields.strings, ())

    def text(self, name: str) -> str | None:
        """Return a single string."""
        return self.read(name, fields.string, None)

    def sections(self, kind: str) -> Iterator[Section]:
        """Return the sections of one kind in their order."""
        return (section for section in self._sections if section.kind == kind)

    def inside(self, section: Section) -> Reader:
        """Return a reader for the content of a section."""
        return Reader(self._file, section.items, self._faults, where=self._where)

    def url(self, section: Section) -> Url | None:
        """Read a `url` or `extra-source` section."""
        inner = self.inside(section)
        src = inner.text("src")
        if src is None:
            if "src" not in inner._fields:
                self.fault(section, InputError(f"this {section.kind} section has no `src`"))
            return None
        with self.noting(section):
            return Url(
                src=fields.url(src),
                checksums=inner.read("checksum", fields.checksums, ()),
                mirrors=tuple(map(fields.url, inner.strings("mirrors"))),
                subpath=inner.read("subpath", fields.relative_path, None),
            )
        return None

    def own_url(self) -> Url | None:
        """Read the `url` section."""
        urls: list[Url | None] = []
        for section in self.sections("url"):
            if urls:
                self.fault(section, InputError("a second `url` section"))
            urls.append(self.url(section))
        return urls[0] if urls else None

    def extra_sources(self) -> Iterator[ExtraSource]:
        """Read the `extra-source` sections."""
        for section in self.sections("extra-source"):
            with self.noting(section):
                name = fields.relative_path(section.name or "")
                if (url := self.url(section)) is not None:
                    yield ExtraSource(name=name, url=url)

    def first(self, names: tuple[str, ...]) -> str:
        """Return the first of the names that is a field here, else the first name."""
        return next((name for name in names if name in self._fields), names[0])


def read_package(
    reader: Reader,
    name: str,
    items: tuple[Field | Section, ...],
    extra_files: Callable[[Reader], tuple[ExtraFile, ...]],
) -> OpamPackage:
    """Read one package; faults go to the reader.

    Args:
        reader: Access to the items.
        name: Name of the package.
        items: The items, kept whole in the result.
        extra_files: Joins the package's `extra-files` with their content.
    """
    return OpamPackage(
        name=name,
        version=reader.read("version", fields.version, OpamVersion("dev")),
        synopsis=reader.text("synopsis"),
        description=reader.text("description"),
        maintainer=reader.strings("maintainer"),
        authors=reader.strings("authors"),
        licences=reader.strings("license"),
        tags=reader.strings("tags"),
        homepage=reader.strings("homepage"),
        bug_reports=reader.strings("bug-reports"),
        dev_repo=reader.text("dev-repo"),
        url=reader.own_url(),
        extra_sources=tuple(reader.extra_sources()),
        extra_files=extra_files(reader),
        patches=reader.read("patches", fields.filtered, ()),
        substs=reader.read("substs", fields.filtered, ()),
        build=reader.read("build", fields.commands, ()),
        install=reader.read("install", fields.commands, ()),
        build_env=reader.read("build-env", fields.settings, ()),
        setenv=reader.read("setenv", fields.settings, ()),
        depends=reader.read("depends", fields.all_of, AllOf(())),
        depopts=reader.read("depopts", fields.any_of, AnyOf(())),
        conflicts=reader.read("conflicts", fields.any_of, AnyOf(())),
        depexts=reader.read("depexts", fields.depexts, ()),
        flags=reader.read("flags", fields.idents, ()),
        available=reader.read("available", fields.one_filter, None),
        vendored=reader.read(reader.first(_VENDORED_FIELDS), fields.vendored, ()),
        mirage_configure=reader.read("x-mirage-configure", fields.command, None),
        mirage_pre_build=reader.read(reader.first(_PRE_BUILD_FIELDS), fields.command, None),
        lock_location=reader.read("x-mirage-opam-lock-location", fields.relative_path, None),
        orb_dependencies=reader.read("x-orb-dependencies", fields.orb_dependencies, None),
        items=items,
    )
