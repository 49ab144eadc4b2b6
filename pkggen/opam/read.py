"""From parsed items to typed packages.

Each opam type has one reader here that takes the bare and the list form alike, because opam
prints a one-element list of a typed field without its brackets. Faults are collected, so that a
user sees all of them at once.

Source: ocaml/opam `src/format/opamFile.ml` (fields and their types), `opamFormat.ml` (`map_list`).
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, TypeVar

from pkggen.errors import Faults, InputError, PkggenError, Place
from pkggen.opam.lexer import ADVICE
from pkggen.opam.package import (
    AllOf,
    AnyOf,
    Argument,
    Checksum,
    Command,
    Dependency,
    DepExt,
    EnvSetting,
    ExtraSource,
    Filtered,
    OpamPackage,
    Url,
    VendoredSource,
)
from pkggen.opam.values import EnvUpdate, Field, Group, Ident, Logop, Option, Relop
from pkggen.opam.version import OpamVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pkggen.opam.package import ExtraFile, Formula
    from pkggen.opam.values import OpamFile, Section, Value

MAX_FAULTS: Final = 100
"""Reading ends at this many faults: each costs a search for its line."""
MAX_CONDITIONS: Final = 32
"""Most filters in the braces behind one value; real files have one."""

_NAME: Final = re.compile(r"[0-9_+-]*+[A-Za-z][A-Za-z0-9_+-]*+")
_URL: Final = re.compile(r"[!-~]+")
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
        return self.read(name, strings, ())

    def text(self, name: str) -> str | None:
        """Return a single string."""
        return self.read(name, _string, None)

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
                src=_url(src),
                checksums=inner.read("checksum", _checksums, ()),
                mirrors=tuple(map(_url, inner.strings("mirrors"))),
                subpath=inner.read("subpath", relative_path, None),
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
                name = relative_path(section.name or "")
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
        version=reader.read("version", _version, OpamVersion("dev")),
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
        patches=reader.read("patches", _filtered, ()),
        substs=reader.read("substs", _filtered, ()),
        build=reader.read("build", _commands, ()),
        install=reader.read("install", _commands, ()),
        build_env=reader.read("build-env", _settings, ()),
        setenv=reader.read("setenv", _settings, ()),
        depends=reader.read("depends", _all_of, AllOf(())),
        depopts=reader.read("depopts", _any_of, AnyOf(())),
        conflicts=reader.read("conflicts", _any_of, AnyOf(())),
        depexts=reader.read("depexts", _depexts, ()),
        flags=reader.read("flags", _idents, ()),
        available=reader.read("available", _filter, None),
        vendored=reader.read(reader.first(_VENDORED_FIELDS), _vendored, ()),
        mirage_configure=reader.read("x-mirage-configure", _command, None),
        mirage_pre_build=reader.read(reader.first(_PRE_BUILD_FIELDS), _command, None),
        lock_location=reader.read("x-mirage-opam-lock-location", relative_path, None),
        orb_dependencies=reader.read("x-orb-dependencies", _orb_dependencies, None),
        items=items,
    )


def _items(value: Value) -> tuple[Value, ...]:
    """Return the elements of a list, or the value as the only one."""
    return value if isinstance(value, tuple) else (value,)


def _string(value: Value) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, tuple) and len(value) == 1:
        return _string(value[0])
    raise InputError("a string is wanted here")


def _version(value: Value) -> OpamVersion:
    return OpamVersion(_string(value))


def strings(value: Value) -> tuple[str, ...]:
    """Read a list of strings.

    Raises:
        InputError: there is something else in it.
    """
    return tuple(map(_string, _items(value)))


def _idents(value: Value) -> tuple[str, ...]:
    names = []
    for item in _items(value):
        if not isinstance(item, Ident):
            raise InputError("words without quotes are wanted here")
        names.append(item.name)
    return tuple(names)


def package_name(value: Value) -> str:
    """Read the name of a package.

    Raises:
        InputError: it has no letter, or characters that opam does not allow.
    """
    name = _string(value)
    if _NAME.fullmatch(name) is None:
        raise InputError(f"{name!r} is no package name")
    return name


def _url(text: str) -> str:
    if _URL.fullmatch(text) is None:
        raise InputError(f"{text!r} is no URL")
    return text


def relative_path(value: Value) -> str:
    """Read a path that stays below the directory it is used in.

    Raises:
        InputError: it is absolute, empty, or has `..` or unprintable characters.
    """
    text = _string(value)
    path = PurePosixPath(text)
    if not path.parts or path.is_absolute() or ".." in path.parts or not text.isprintable():
        raise InputError(f"{text!r} is no relative path below the package's own directory")
    return text


def _checksums(value: Value) -> tuple[Checksum, ...]:
    return tuple(map(Checksum.parse, strings(value)))


def _joined(options: tuple[Value, ...]) -> Value | None:
    """Return what stands in braces as one condition; several are joined by `&`."""
    if len(options) > MAX_CONDITIONS:
        raise InputError(f"more than {MAX_CONDITIONS} conditions stand behind one value here")
    condition: Value | None = None
    for option in options:
        condition = option if condition is None else Logop("&", condition, option)
    return condition


def _unfiltered(value: Value) -> tuple[Value, Value | None]:
    """Split a value from the condition in the braces behind it."""
    if not isinstance(value, Option):
        return value, None
    inner, condition = _unfiltered(value.value)
    options = value.options if condition is None else (condition, *value.options)
    return inner, _joined(options)


def _filter(value: Value) -> Value:
    if isinstance(value, tuple):
        if len(value) != 1:
            raise InputError("one filter is wanted here")
        return _filter(value[0])
    return value


def _filtered(value: Value) -> tuple[Filtered, ...]:
    pairs = map(_unfiltered, _items(value))
    return tuple(Filtered(relative_path(name), condition) for name, condition in pairs)


def _argument(value: Value) -> Argument:
    inner, condition = _unfiltered(value)
    if not isinstance(inner, str | Ident):
        raise InputError("an argument is a string or a variable")
    return Argument(inner, condition)


def _command(value: Value) -> Command:
    inner, condition = _unfiltered(value)
    return Command(tuple(map(_argument, _items(inner))), condition)


def _commands(value: Value) -> tuple[Command, ...]:
    inner, condition = _unfiltered(value)
    if condition is not None:
        return (_command(value),)
    items = _items(inner)
    lists = [isinstance(_unfiltered(item)[0], tuple) for item in items]
    if not any(lists):
        return (_command(items),) if items else ()
    if not all(lists):
        raise InputError("a list of commands and a list of arguments are mixed here")
    return tuple(map(_command, items))


def _setting(value: Value) -> EnvSetting:
    inner, condition = _unfiltered(value)
    match inner:
        case Relop("=" as op, name, right) | EnvUpdate(name, op, right):
            variable = name.name if isinstance(name, Ident) else _string(name)
            return EnvSetting(variable, op, _string(right), condition)
    raise InputError('an environment update such as PATH += "bin" is wanted here')


def _settings(value: Value) -> tuple[EnvSetting, ...]:
    settings: list[EnvSetting] = []
    for item in _items(value):
        settings += _settings(item) if isinstance(item, tuple) else (_setting(item),)
    return tuple(settings)


def _formula(value: Value) -> Formula:
    match value:
        case Logop(op, left, right):
            join = AllOf if op == "&" else AnyOf
            return join((_formula(left), _formula(right)))
        case Group(values):
            return _all_of(values)
        case Option():
            name, condition = _unfiltered(value)
            return Dependency(package_name(name), condition)
        case _:
            return Dependency(package_name(value), None)


def _all_of(value: Value) -> AllOf:
    return AllOf(tuple(map(_formula, _items(value))))


def _any_of(value: Value) -> AnyOf:
    return AnyOf(tuple(map(_formula, _items(value))))


def _depexts(value: Value) -> tuple[DepExt, ...]:
    inner, condition = _unfiltered(value)
    items = (value,) if condition is not None else _items(inner)
    if items and all(isinstance(item, str) for item in items):
        return (DepExt(strings(items), None),)
    pairs = map(_unfiltered, items)
    return tuple(DepExt(strings(names), condition) for names, condition in pairs)


def _vendored(value: Value) -> tuple[VendoredSource, ...]:
    sources: dict[str, VendoredSource] = {}
    for entry in _items(value):
        match entry:
            case (str(url), str(directory)):
                checksums: tuple[Checksum, ...] = ()
            case (str(url), str(directory), tuple() as digests):
                checksums = _checksums(digests)
            case _:
                raise InputError('an entry is [ "url" "directory" ] or [ "url" "directory" [ … ] ]')
        path = relative_path(directory)
        if path in sources:
            raise InputError(f"the directory {path!r} is filled twice")
        sources[path] = VendoredSource(
            directory=path,
            url=Url(src=_url(url), checksums=checksums, mirrors=(), subpath=None),
        )
    return tuple(sources.values())


def _orb_dependencies(value: Value) -> tuple[tuple[str, tuple[str, ...]], ...]:
    graph = []
    for entry in _items(value):
        match entry:
            case (str(name), tuple() as dependencies):
                graph.append((package_name(name), tuple(map(package_name, dependencies))))
            case (str(name),):
                graph.append((package_name(name), ()))
            case _:
                raise InputError('an entry is [ "package" [ "dependency" … ] ]')
    return tuple(graph)
