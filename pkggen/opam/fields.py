"""From values to what the fields of an opam file hold.

Each opam type has one reader here that takes the bare and the list form alike, because opam
prints a one-element list of a typed field without its brackets.

Source: ocaml/opam `src/format/opamFormat.ml` (`map_list` and the types of fields).
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError
from pkggen.opam.package import (
    AllOf,
    AnyOf,
    Argument,
    Checksum,
    Command,
    Dependency,
    DepExt,
    EnvSetting,
    Filtered,
    Url,
    VendoredSource,
)
from pkggen.opam.values import EnvUpdate, Group, Ident, Logop, Option, Relop
from pkggen.opam.version import OpamVersion

if TYPE_CHECKING:
    from pkggen.opam.package import Formula
    from pkggen.opam.values import Value

MAX_CONDITIONS: Final = 32
"""Most filters in the braces behind one value; real files have one."""

_NAME: Final = re.compile(r"[0-9_+-]*+[A-Za-z][A-Za-z0-9_+-]*+")
_URL: Final = re.compile(r"[!-~]+")


def _items(value: Value) -> tuple[Value, ...]:
    """Return the elements of a list, or the value as the only one."""
    return value if isinstance(value, tuple) else (value,)


def string(value: Value) -> str:
    """Read a single string.

    Raises:
        InputError: it is something else.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, tuple) and len(value) == 1:
        return string(value[0])
    raise InputError("a string is wanted here")


def version(value: Value) -> OpamVersion:
    """Read a version.

    Raises:
        InputError: it is something else.
    """
    return OpamVersion(string(value))


def strings(value: Value) -> tuple[str, ...]:
    """Read a list of strings.

    Raises:
        InputError: there is something else in it.
    """
    return tuple(map(string, _items(value)))


def idents(value: Value) -> tuple[str, ...]:
    """Read words without quotes.

    Raises:
        InputError: it is something else.
    """
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
    name = string(value)
    if _NAME.fullmatch(name) is None:
        raise InputError(f"{name!r} is no package name")
    return name


def url(text: str) -> str:
    """Check an address.

    Raises:
        InputError: it is something else.
    """
    if _URL.fullmatch(text) is None:
        raise InputError(f"{text!r} is no URL")
    return text


def relative_path(value: Value) -> str:
    """Read a path that stays below the directory it is used in.

    Raises:
        InputError: it is absolute, empty, or has `..` or unprintable characters.
    """
    text = string(value)
    path = PurePosixPath(text)
    if not path.parts or path.is_absolute() or ".." in path.parts or not text.isprintable():
        raise InputError(f"{text!r} is no relative path below the package's own directory")
    return text


def checksums(value: Value) -> tuple[Checksum, ...]:
    """Read checksums, `KIND=DIGEST` each.

    Raises:
        InputError: it is something else.
    """
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


def one_filter(value: Value) -> Value:
    """Read a filter, which is evaluated later.

    Raises:
        InputError: it is something else.
    """
    if isinstance(value, tuple):
        if len(value) != 1:
            raise InputError("one filter is wanted here")
        return one_filter(value[0])
    return value


def filtered(value: Value) -> tuple[Filtered, ...]:
    """Read relative paths with conditions.

    Raises:
        InputError: it is something else.
    """
    pairs = map(_unfiltered, _items(value))
    return tuple(Filtered(relative_path(name), condition) for name, condition in pairs)


def _argument(value: Value) -> Argument:
    inner, condition = _unfiltered(value)
    if not isinstance(inner, str | Ident):
        raise InputError("an argument is a string or a variable")
    return Argument(inner, condition)


def command(value: Value) -> Command:
    """Read a command.

    Raises:
        InputError: it is something else.
    """
    inner, condition = _unfiltered(value)
    return Command(tuple(map(_argument, _items(inner))), condition)


def commands(value: Value) -> tuple[Command, ...]:
    """Read one or several commands.

    Raises:
        InputError: it is something else.
    """
    inner, condition = _unfiltered(value)
    if condition is not None:
        return (command(value),)
    items = _items(inner)
    lists = [isinstance(_unfiltered(item)[0], tuple) for item in items]
    if not any(lists):
        return (command(items),) if items else ()
    if not all(lists):
        raise InputError("a list of commands and a list of arguments are mixed here")
    return tuple(map(command, items))


def _setting(value: Value) -> EnvSetting:
    inner, condition = _unfiltered(value)
    match inner:
        case Relop("=" as op, name, right) | EnvUpdate(name, op, right):
            variable = name.name if isinstance(name, Ident) else string(name)
            return EnvSetting(variable, op, string(right), condition)
    raise InputError('an environment update such as PATH += "bin" is wanted here')


def settings(value: Value) -> tuple[EnvSetting, ...]:
    """Read updates of environment variables.

    Raises:
        InputError: it is something else.
    """
    found: list[EnvSetting] = []
    for item in _items(value):
        found += settings(item) if isinstance(item, tuple) else (_setting(item),)
    return tuple(found)


def _formula(value: Value) -> Formula:
    match value:
        case Logop(op, left, right):
            join = AllOf if op == "&" else AnyOf
            return join((_formula(left), _formula(right)))
        case Group(values):
            return all_of(values)
        case Option():
            name, condition = _unfiltered(value)
            return Dependency(package_name(name), condition)
        case _:
            return Dependency(package_name(value), None)


def all_of(value: Value) -> AllOf:
    """Read a formula all of whose parts must hold.

    Raises:
        InputError: it is something else.
    """
    return AllOf(tuple(map(_formula, _items(value))))


def any_of(value: Value) -> AnyOf:
    """Read a formula of which one part must hold.

    Raises:
        InputError: it is something else.
    """
    return AnyOf(tuple(map(_formula, _items(value))))


def depexts(value: Value) -> tuple[DepExt, ...]:
    """Read packages of hosts with the hosts that they are for.

    Raises:
        InputError: it is something else.
    """
    inner, condition = _unfiltered(value)
    items = (value,) if condition is not None else _items(inner)
    if items and all(isinstance(item, str) for item in items):
        return (DepExt(strings(items), None),)
    pairs = map(_unfiltered, items)
    return tuple(DepExt(strings(names), condition) for names, condition in pairs)


def vendored(value: Value) -> tuple[VendoredSource, ...]:
    """Read opam-monorepo's list of what is unpacked beside the root.

    Raises:
        InputError: it is something else.
    """
    sources: dict[str, VendoredSource] = {}
    for entry in _items(value):
        match entry:
            case (str(address), str(directory)):
                digests: tuple[Checksum, ...] = ()
            case (str(address), str(directory), tuple() as stated):
                digests = checksums(stated)
            case _:
                raise InputError('an entry is [ "url" "directory" ] or [ "url" "directory" [ … ] ]')
        path = relative_path(directory)
        if path in sources:
            raise InputError(f"the directory {path!r} is filled twice")
        sources[path] = VendoredSource(
            directory=path,
            url=Url(src=url(address), checksums=digests, mirrors=(), subpath=None),
        )
    return tuple(sources.values())


def orb_dependencies(value: Value) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Read orb's graph of dependencies.

    Raises:
        InputError: it is something else.
    """
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
