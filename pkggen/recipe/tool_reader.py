"""Reads the descriptions of tools, `pkggen/tools/ROOT.yaml`, and checks every word of them.

Each is a mapping with the keys of `recipe.tool`'s classes; what is left out has the default that
is seen here.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, TypeVar

from pkggen.errors import InputError, raise_all
from pkggen.recipe import description
from pkggen.recipe.hardening import DAEMON_HARDENING
from pkggen.recipe.tool import (
    BUILD_HOLES,
    DIRECTORIES,
    HOLE,
    PLACES,
    SYSTEMS,
    BinaryPackage,
    Build,
    Check,
    Daemon,
    Directory,
    Prepare,
    Secret,
    Setting,
    Socket,
    Step,
    System,
    Tool,
    User,
)
from pkggen.recipe.yaml_reader import NUMBER, TEXT, Reader, compose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from yaml import Node

T = TypeVar("T")

_DIRECTORY: Final = Path(__file__).parent.parent / "tools"
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_SUFFIX: Final = re.compile(r"(-[a-z0-9]+)*")
_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]*")
_USED: Final = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_MODE: Final = re.compile(r"[0-7]{4}")
_ABSOLUTE: Final = re.compile(
    r"\{(prefix|bin|sbin|libexec|etc|state|run)\}(/[A-Za-z0-9_+-][A-Za-z0-9_+.-]*)+", re.ASCII
)
_PATTERN: Final = re.compile(r"[A-Za-z0-9_+.*{}-]+(/[A-Za-z0-9_+.*{}-]+)*")
_LISTEN: Final = re.compile(r"\{run\}(/[A-Za-z0-9_+-][A-Za-z0-9_+.-]*)+|[1-9][0-9]{0,4}")
_PORT: Final = re.compile(r"[a-z0-9_+-]+(>=?[0-9.]+)?:[a-z0-9-]+/[A-Za-z0-9_+-]+")
_MACHINES: Final = ("aarch64", "ppc64le", "x86_64")
_CATEGORIES: Final = ("admin", "devel", "net", "utils", "web")
_TARGETS: Final = ("debian", "freebsd", "nixos")
_RELATIONS: Final = (
    *("Breaks", "Conflicts", "Depends", "Provides", "Recommends", "Replaces", "Suggests"),
)


def known_tools() -> tuple[str, ...]:
    """Return the names of all tools that are described, sorted."""
    return tuple(sorted(file.stem for file in _DIRECTORY.glob("*.yaml")))


@functools.cache
def described_tool(root: str) -> Tool | None:
    """Return the description of the tool with this root package; None if there is none."""
    if root not in known_tools():
        return None
    file = _DIRECTORY / f"{root}.yaml"
    return read_tool(file.read_bytes(), root, f"pkggen/tools/{file.name}")


def read_tool(data: bytes, name: str, file: str) -> Tool:
    """Read a description.

    Args:
        data: The bytes of the file, UTF-8.
        name: Root package that it is about.
        file: Name of the file, for messages.

    Raises:
        InputError: the bytes are no YAML, or no description; all faults together, with line and
            column.
    """
    text, root = compose(data, file)
    if root is None:
        raise InputError("it is empty", where=file)
    reader = _Reader(file, text)
    found = reader.tool(root, name)
    raise_all(reader.faults)
    return found


class _Reader(Reader):
    """Turns the nodes of a description into a `Tool`; what is faulty gets any value."""

    def tool(self, root: Node, name: str) -> Tool:
        keys = (
            "summary",
            "build",
            "packages",
            "users",
            "directories",
            "services",
            "omit",
            "notes",
            "nixpkgs",
        )
        fields = self.mapping(root, keys)
        packages = self.each(fields, "packages", self._package)
        build = self._build(fields["build"]) if "build" in fields else None
        if not packages:
            self.fault(root, "a tool needs packages")
        if build is None and [package.suffix for package in packages] != [""]:
            self.fault(root, "what is taken as recorded is one package, without suffix")
        users = self.each(fields, "users", self._user)
        named = {"root", *(user.name for user in users)}
        directories = self.each(fields, "directories", lambda node: self._directory(node, named))
        daemons: list[Daemon] = []
        for node in self.elements(fields.get("services")):
            daemons.append(self._daemon(node, named, {daemon.name for daemon in daemons}))
        summary = self.value(fields.get("summary"), _summary)
        return Tool(
            name=name,
            summary=summary or next((package.summary for package in packages), ""),
            build=build,
            packages=packages,
            users=users,
            directories=directories,
            daemons=tuple(daemons),
            omit=self.texts(fields.get("omit"), _pattern),
            nixpkgs_name=self.value(fields.get("nixpkgs"), _of(_NAME, "an attribute of nixpkgs")),
            notes=self.value(fields.get("notes"), str.strip) or "",
        )

    def each(self, fields: dict[str, Node], key: str, read: Callable[[Node], T]) -> tuple[T, ...]:
        return tuple(read(node) for node in self.elements(fields.get(key)))

    def texts(self, node: Node | None, read: Callable[[str], T]) -> tuple[T, ...]:
        found = (self.value(element, read, (TEXT, NUMBER)) for element in self.elements(node))
        return tuple(one for one in found if one is not None)

    def needed(
        self, fields: dict[str, Node], key: str, owner: Node, read: Callable[[str], T], other: T
    ) -> T:
        if key not in fields:
            self.fault(owner, f"{key!r} is missing")
        found = self.value(fields.get(key), read, (TEXT, NUMBER))
        return other if found is None else found

    def _systems(self, node: Node | None) -> tuple[System, ...]:
        return self.texts(node, _system) if node is not None else SYSTEMS

    def _one_system(self, node: Node | None) -> tuple[System, ...]:
        found = self.value(node, _system)
        return SYSTEMS if found is None else (found,)

    def _build(self, node: Node) -> Build:
        fields = self.mapping(node, ("needs", "steps", "checks", "remove"))
        needs = self.mapping(fields.get("needs"), _TARGETS)
        return Build(
            steps=self.each(fields, "steps", self._step),
            checks=self.each(fields, "checks", self._check),
            remove=self.texts(fields.get("remove"), _pattern),
            needs=tuple((key, self.texts(value, _printable)) for key, value in needs.items()),
        )

    def _step(self, node: Node) -> Step:
        fields = self.mapping(node, ("run", "system"))
        holes = (*DIRECTORIES, *BUILD_HOLES)
        words = self.texts(fields.get("run"), lambda text: _word(text, holes))
        if not words:
            self.fault(node, "'run' is missing")
        return Step(words=words, systems=self._one_system(fields.get("system")))

    def _check(self, node: Node) -> Check:
        fields = self.mapping(node, ("program", "arguments", "line", "system"))
        return Check(
            program=self.needed(fields, "program", node, _place, PurePosixPath("bin/x")),
            arguments=self.texts(fields.get("arguments"), lambda text: _word(text, ())),
            line=self.needed(fields, "line", node, _printable, ""),
            systems=self._one_system(fields.get("system")),
        )

    def _package(self, node: Node) -> BinaryPackage:
        keys = ("suffix", "category", "summary", "description", "machines", "systems")
        fields = self.mapping(node, (*keys, "programs", "files", "debian", "freebsd", "nixos"))
        programs = self.mapping(fields.get("programs"))
        files = self.mapping(fields.get("files"))
        relations = self.mapping(fields.get("debian"), _RELATIONS)
        found = []
        for pattern, value in files.items():
            place = self.value(value, _place_directory)
            try:
                _pattern(pattern)
            except InputError as error:
                self.fault(value, error.message)
            if place is not None:
                found.append((pattern, place))
        return BinaryPackage(
            suffix=self.needed(fields, "suffix", node, _of(_SUFFIX, "a suffix"), ""),
            category=self.needed(fields, "category", node, _one_of(_CATEGORIES), "admin"),
            summary=self.needed(fields, "summary", node, _summary, ""),
            description=self.needed(fields, "description", node, str.strip, ""),
            machines=self.texts(fields.get("machines"), _one_of(_MACHINES)),
            systems=self._systems(fields.get("systems")),
            programs=tuple(
                (name, self.value(what, _printable) or "") for name, what in programs.items()
            ),
            files=tuple(found),
            debian=tuple((key, self.texts(value, _printable)) for key, value in relations.items()),
            freebsd=self.texts(fields.get("freebsd"), _of(_PORT, "a dependency on a port")),
            nixos=self.texts(fields.get("nixos"), _of(_NAME, "an attribute of nixpkgs")),
        )

    def _user(self, node: Node) -> User:
        fields = self.mapping(node, ("name", "summary"))
        return User(
            name=self.needed(fields, "name", node, _of(_NAME, "a name of a user"), "x"),
            summary=self.needed(fields, "summary", node, _plain, ""),
        )

    def _directory(self, node: Node, users: set[str]) -> Directory:
        fields = self.mapping(node, ("path", "user", "group", "mode"))
        known = _one_of(sorted(users))
        return Directory(
            path=self.needed(fields, "path", node, _absolute, ""),
            user=self.needed(fields, "user", node, known, "root"),
            group=self.needed(fields, "group", node, known, "root"),
            mode=self.needed(fields, "mode", node, _mode, "0755"),
        )

    def _daemon(self, node: Node, users: set[str], before: set[str]) -> Daemon:
        keys = ("name", "summary", "program", "arguments", "user", "group", "after", "start")
        more = ("socket", "configuration", "secrets", "prepare", "writes", "families", "settings")
        fields = self.mapping(node, (*keys, *more, "relax"))
        configuration = self.mapping(fields.get("configuration"), ("file", "variables"))
        variables = self.each(configuration, "variables", self._variable)
        secrets = self.each(fields, "secrets", self._secret)
        names = {one.name for one in variables} | {one.name for one in secrets}
        user = self.needed(fields, "user", node, _one_of(sorted(users)), "root")
        settings = self.mapping(fields.get("settings"))
        hardening = [setting.name for setting in DAEMON_HARDENING]
        relax = self.mapping(
            fields.get("relax"), [*hardening, "RestrictAddressFamilies", "ReadWritePaths"]
        )
        return Daemon(
            name=self.needed(fields, "name", node, _of(_NAME, "the name of a service"), "x"),
            summary=self.needed(fields, "summary", node, _plain, ""),
            program=self.needed(fields, "program", node, _place, PurePosixPath("bin/x")),
            arguments=self.texts(fields.get("arguments"), lambda text: _argument(text, names)),
            user=user,
            group=self.value(fields.get("group"), _one_of(sorted(users))) or user,
            after=self.texts(fields.get("after"), _one_of(sorted(before))),
            start=self.value(fields.get("start"), _truth, ("tag:yaml.org,2002:bool",)) is not False,
            socket=self._socket(fields["socket"], users, user) if "socket" in fields else None,
            configuration=self.value(configuration.get("file"), _absolute),
            variables=variables,
            secrets=secrets,
            prepare=self.each(fields, "prepare", self._prepare),
            writes=self.texts(fields.get("writes"), _absolute),
            families=self.texts(fields.get("families"), _printable)
            or ("AF_UNIX", "AF_INET", "AF_INET6"),
            settings=tuple(
                (key, self.value(value, _plain, (TEXT, NUMBER)) or "")
                for key, value in settings.items()
            ),
            relax=tuple((key, self.value(value, _plain) or "") for key, value in relax.items()),
        )

    def _socket(self, node: Node, users: set[str], user: str) -> Socket:
        fields = self.mapping(node, ("argument", "listen", "user", "group", "mode"))
        owner = self.value(fields.get("user"), _one_of(sorted(users)))
        group = self.value(fields.get("group"), _one_of(sorted(users)))
        return Socket(
            argument=self.needed(fields, "argument", node, lambda text: _word(text, ()), ""),
            listen=self.needed(fields, "listen", node, _listen, "1"),
            user=owner or "root",
            group=group or owner or user,
            mode=self.value(fields.get("mode"), _mode) or "0600",
        )

    def _variable(self, node: Node) -> Setting:
        fields = self.mapping(node, ("name", "meaning", "default"))
        return Setting(
            name=self.needed(fields, "name", node, _of(_VARIABLE, "a variable"), "X"),
            meaning=self.needed(fields, "meaning", node, _printable, ""),
            default=self.needed(fields, "default", node, lambda t: _word(t, DIRECTORIES), ""),
        )

    def _secret(self, node: Node) -> Secret:
        fields = self.mapping(node, ("name", "meaning", "file"))
        return Secret(
            name=self.needed(fields, "name", node, _of(_VARIABLE, "a variable"), "X"),
            meaning=self.needed(fields, "meaning", node, _printable, ""),
            file=self.needed(fields, "file", node, _absolute, ""),
        )

    def _prepare(self, node: Node) -> Prepare:
        fields = self.mapping(node, ("unless", "run"))
        return Prepare(
            unless=self.needed(fields, "unless", node, _absolute, ""),
            words=self.texts(fields.get("run"), lambda text: _word(text, DIRECTORIES)),
        )


def _of(pattern: re.Pattern[str], what: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not pattern.fullmatch(text):
            raise InputError(f"{text!r} is not {what}")
        return text

    return read


def _one_of(known: Iterable[str]) -> Callable[[str], str]:
    every = tuple(known)

    def read(text: str) -> str:
        if text not in every:
            raise InputError(f"{text!r} is none of {', '.join(every) or 'what was named before'}")
        return text

    return read


_absolute: Final = _of(_ABSOLUTE, "an absolute path that begins with a hole such as {etc}")
_listen: Final = _of(_LISTEN, "a path below {run} or the number of a port")
_mode: Final = _of(_MODE, "a mode of four octal digits")


def _system(text: str) -> System:
    for system in SYSTEMS:
        if text == system:
            return system
    raise InputError(f"{text!r} is none of {', '.join(SYSTEMS)}")


def _truth(text: str) -> bool:
    return text.lower() in {"true", "yes", "on"}


def _printable(text: str) -> str:
    if not text.isprintable():
        raise InputError(f"{text!r} is no single line")
    return text


def _plain(text: str) -> str:
    """Return a text that means itself in units, sysusers and rc.d scripts."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ,.:;/()-]*|-?[0-9]+", text):
        raise InputError(f"{text!r} has other characters than letters, digits and ` ,.:;/()-`")
    return text


def _summary(text: str) -> str:
    fault = description.fault(text, "")
    if fault is not None:
        raise InputError(f"the summary {fault}")
    return text


def _word(text: str, holes: Iterable[str]) -> str:
    """Return a word of a command, in which no other holes are."""
    unknown = [hole for hole in HOLE.findall(_printable(text)) if hole not in holes]
    if unknown:
        raise InputError(f"nothing fills the hole {{{unknown[0]}}} here")
    return text


def _argument(text: str, variables: set[str]) -> str:
    unknown = [name for name in _USED.findall(text) if name not in variables]
    if unknown:
        raise InputError(f"the variable {unknown[0]} is neither configured nor a secret")
    return _word(text, DIRECTORIES)


def _pattern(text: str) -> str:
    found = PurePosixPath(text)
    if not _PATTERN.fullmatch(text) or {".", ".."} & set(found.parts):
        raise InputError(f"{text!r} is no pattern of relative paths")
    if found.parts[0] not in PLACES or len(found.parts) < 2:
        raise InputError(f"{text!r} does not begin with one of {', '.join(PLACES)}")
    return text


def _place(text: str) -> PurePosixPath:
    if "*" in text:
        raise InputError(f"{text!r} is no path")
    return PurePosixPath(_pattern(text))


def _place_directory(text: str) -> PurePosixPath:
    return _place(f"{text}/x").parent
