"""A tool for Nix: its recorded programs, and a NixOS module with its services.

Sources: nixpkgs `pkgs/build-support/setup-hooks/auto-patchelf.sh` (libraries of foreign programs),
`nixos/modules/system/boot/systemd.nix` (sockets and services).
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen import templating
from pkggen.errors import InputError, PkggenError, raise_all
from pkggen.recipe import shell
from pkggen.recipe.hardening import DAEMON_HARDENING
from pkggen.recipe.tool import UNLESS, Layout
from pkggen.recipe.versions import nix_version
from pkggen.targets.nix import licences, names, quote
from pkggen.targets.nix.view import PLATFORMS
from pkggen.tree import SEAL, CopiedFile, TextFile, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pkggen.recipe.model import ToolRecipe
    from pkggen.recipe.tool import Daemon, Tool
    from pkggen.record.model import Artifact

    Value = quote.Nix | list["Value"] | dict[str, "Value"]

MODULE_FILE: Final = "module.nix"
_PACKAGE: Final = "/package-of-this-module"
"""Stands for the package in paths until they are quoted."""
_BASH: Final = "/bash-of-this-module"
"""Stands for the shell."""
# systemd would expand `$1` itself.
_UNLESS: Final = UNLESS.replace("$", "$$")
_LAYOUT: Final = Layout(
    prefix=_PACKAGE,
    bin=f"{_PACKAGE}/bin",
    sbin=f"{_PACKAGE}/sbin",
    libexec=f"{_PACKAGE}/libexec",
    etc="/etc",
    state="/var/lib",
    run="/run",
)
_OF_BUILDS: Final = frozenset({"binutils", "gcc", "gnumake", "m4", "perl", "pkg-config", "which"})
"""Packages that only a build needs."""
_FREE: Final = ("bin", "sbin", "libexec")


def name_of(recipe: ToolRecipe) -> str:
    """Return the name in nixpkgs, where some are taken."""
    tool = recipe.tool
    stated = None if tool is None or recipe.name != tool.name else tool.nixpkgs_name
    return stated or recipe.name


def tool_tree(recipe: ToolRecipe, libraries: tuple[str, ...]) -> Tree:
    """Return the package of a tool and, if it has services, a NixOS module beside it.

    Args:
        recipe: The tool.
        libraries: What nixpkgs calls the packages that its dependencies name.

    Raises:
        InputError: it cannot become such a package; all reasons together.
    """
    raise_all(_faults(recipe))
    name = name_of(recipe)
    directory = names.directory(name)
    files: dict[PurePosixPath, TextFile | CopiedFile] = {}
    values = _values(recipe, name, libraries)
    text = templating.render("nix/tool.nix.j2", values, finalize=quote.finalize)
    files[directory / names.PACKAGE_FILE] = TextFile(text)
    if recipe.provenance.origin is None:
        for file in _sources(recipe):
            files[directory / file.path.name] = CopiedFile(
                content=file.content, sha256=file.sha256, size=file.size
            )
    if recipe.tool is not None and recipe.tool.daemons:
        module = _module(recipe, recipe.tool, name)
        text = templating.render("nix/tool-module.nix.j2", module, finalize=quote.finalize)
        files[directory / MODULE_FILE] = TextFile(text)
    return Tree(files)


def _faults(recipe: ToolRecipe) -> Iterator[PkggenError]:
    yield from names.faults(name_of(recipe))
    yield from licences.faults(recipe.licences.terms)
    if recipe.machine not in PLATFORMS:
        yield InputError(f"no Nix system is known for the machine {recipe.machine!r}")
    sources = [file.path.name for file in _sources(recipe)]
    if len(set(sources)) < len(sources):
        yield InputError("two recorded files have the same name", where=recipe.name)
    for file in _sources(recipe):
        yield from quote.file_name_faults(file.path.name)
        if file.path.suffix == ".pkg":
            yield InputError("programs of FreeBSD do not run on NixOS", where=str(file.path))
    try:
        nix_version(recipe.version)
        for _, place in _installed(recipe):
            for part in place.parts:
                quote.file_name(part)
    except InputError as error:
        yield error


def _installed(recipe: ToolRecipe) -> Iterator[tuple[Artifact, PurePosixPath]]:
    """Yield the recorded files that are packaged, and their paths below `$out`."""
    for file in recipe.payload:
        place = file.path if recipe.tool is None else recipe.tool.place_of(file.path)
        if place is None:
            continue
        first, *rest = place.parts
        yield file, PurePosixPath("share", first, *rest) if first in {"doc", "man"} else place


def _sources(recipe: ToolRecipe) -> tuple[Artifact, ...]:
    return recipe.payload if recipe.package is None else (recipe.package.archive,)


def _values(recipe: ToolRecipe, name: str, libraries: tuple[str, ...]) -> dict[str, object]:
    packed = recipe.package
    members = {} if packed is None else dict(zip(packed.files, packed.members, strict=True))
    used = [library for library in libraries if library not in _OF_BUILDS]
    remote = recipe.provenance.origin is not None
    arguments = sorted(
        {"lib", "stdenv", "autoPatchelfHook", *used}
        | ({"fetchurl"} if remote else set())
        | ({"dpkg"} if packed is not None else set())
    )
    terms = [quote.attribute(one) for one in licences.attributes(recipe.licences.terms)]
    maintainer = None if recipe.maintainer is None else recipe.maintainer.nixpkgs
    tools = ["autoPatchelfHook", *(["dpkg"] if packed is not None else [])]
    return {
        "header": _header(recipe),
        "arguments": [quote.attribute(one) for one in arguments],
        "pname": quote.string(name),
        "version": quote.string(str(nix_version(recipe.version))),
        "tools": quote.listing([quote.attribute(one) for one in tools], indent=2),
        "libraries": quote.listing([quote.attribute(one) for one in used], indent=2),
        "sources": [_source(recipe, file) for file in _sources(recipe)],
        "archive": None if packed is None else quote.string(packed.archive.path.name),
        "members": quote.shell(
            shell.words(members[file] for file, _ in _installed(recipe) if file in members)
        ),
        "files": [
            {
                "source": quote.shell(shell.word(f"relaid/{members[file].removeprefix('./')}"))
                if file in members
                else quote.Nix(f"${{recorded.{quote.string(file.path.name)}}}"),
                "mode": quote.Nix("755" if place.parts[0] in _FREE else "644"),
                "place": quote.Nix("/".join(map(quote.file_name, place.parts))),
                "sha256": quote.file_name(file.sha256),
            }
            for file, place in _installed(recipe)
        ],
        "description": quote.string(recipe.description),
        "homepage": None if recipe.homepage is None else quote.string(recipe.homepage),
        "licence": terms[0] if len(terms) == 1 else None,
        "licences": quote.listing(terms, indent=4),
        "maintainers": quote.listing(
            []
            if maintainer is None
            else [quote.Nix(f"lib.maintainers.{quote.attribute(maintainer)}")],
            indent=4,
        ),
        "platform": quote.string(PLATFORMS[recipe.machine]),
    }


def _source(recipe: ToolRecipe, file: Artifact) -> dict[str, quote.Nix | None]:
    """Return the values of a recorded file, which is downloaded or lies beside the package."""
    origin = recipe.provenance.origin
    return {
        "name": quote.string(file.path.name),
        "local": quote.file_name(file.path.name),
        "url": None if origin is None else quote.string(origin.file_url(file.path)),
        "hash": quote.sri(file.sha256),
    }


def _header(recipe: ToolRecipe) -> quote.Nix:
    origin = recipe.provenance.origin
    lines = (
        f"{names.GENERATED} from "
        + (f"job {recipe.provenance.job}" if origin is None else origin.url),
        f"opam-switch: sha256 {recipe.provenance.switch_sha256}",
        "Edit pkggen.yaml instead of this file, and generate it again.",
        SEAL,
    )
    return quote.Nix("\n".join(map(quote.comment, lines)))


def _module(recipe: ToolRecipe, tool: Tool, name: str) -> dict[str, object]:
    users: dict[str, Value] = {}
    for user in tool.users:
        users[f"users.{user.name}"] = {
            "isSystemUser": quote.Nix("true"),
            "description": quote.string(user.summary),
            "group": quote.string(user.name),
        }
        users[f"groups.{user.name}"] = {}
    rules: list[Value] = [
        quote.string(f"d {_LAYOUT.filled(one.path)} {one.mode} {one.user} {one.group} -")
        for one in tool.directories
    ]
    return {
        "header": _header(recipe),
        "name": quote.attribute(name),
        "summary": quote.string(f"Whether to run {recipe.name}."),
        "users": _printed(users, 4),
        "tmpfiles": _printed(rules, 4),
        "secrets": _printed(
            [
                quote.Nix(f"cfg.{_option(daemon, tool)}.{quote.attribute(secret.name)}")
                for daemon in tool.daemons
                for secret in daemon.secrets
            ],
            4,
        ),
        "daemons": [_daemon(daemon, tool) for daemon in tool.daemons],
    }


def _option(daemon: Daemon, tool: Tool) -> quote.Nix:
    """Return the name of the options of a service, e.g. `console` of `albatross_console`."""
    short = daemon.name.removeprefix(tool.name).strip("_-") or "server"
    return quote.attribute(short.replace("_", "-"))


def _daemon(daemon: Daemon, tool: Tool) -> dict[str, object]:
    option = _option(daemon, tool)
    options = [
        {
            "name": quote.attribute(one.name),
            "default": quote.string(_LAYOUT.filled(one.default)),
            "meaning": quote.string(f"{one.meaning}."),
        }
        for one in daemon.variables
    ]
    options += [
        {
            "name": quote.attribute(one.name),
            "default": quote.string(_LAYOUT.filled(one.file)),
            "meaning": quote.string(f"{one.meaning}: a file outside of the store."),
        }
        for one in daemon.secrets
    ]
    return {
        "option": option,
        "unit": quote.attribute(daemon.name),
        "start": quote.Nix("true" if daemon.start else "false"),
        "summary": quote.string(f"Whether to run it: {daemon.summary}."),
        "options": options,
        "socket": None if daemon.socket is None else _printed(_socket(daemon), 4),
        "service": _printed(_service(daemon, tool, option), 4),
    }


def _socket(daemon: Daemon) -> Value:
    socket = daemon.socket
    if socket is None:
        raise AssertionError(daemon.name)
    settings: dict[str, Value] = {"ListenStream": quote.string(_LAYOUT.filled(socket.listen))}
    if socket.is_path:
        settings |= {
            "SocketUser": quote.string(socket.user),
            "SocketGroup": quote.string(socket.group),
            "SocketMode": quote.string(socket.mode),
        }
    return {
        "description": quote.string(f"{daemon.summary} socket"),
        "wantedBy": [quote.string("sockets.target")],
        "partOf": [quote.string(f"{daemon.name}.service")],
        "socketConfig": settings,
    }


def _service(daemon: Daemon, tool: Tool, option: quote.Nix) -> Value:
    units: list[Value] = [quote.string(unit) for unit in tool.units_before(daemon)]
    words = [_LAYOUT.program(daemon.program), *map(_LAYOUT.filled, daemon.arguments)]
    if daemon.socket is not None:
        words.insert(1, daemon.socket.argument)
    settings: dict[str, Value] = {
        "Type": quote.string("exec"),
        "ExecStart": _with_package(" ".join(words)),
        "Restart": quote.string("on-failure"),
        "User": quote.string(daemon.user),
        "Group": quote.string(daemon.group),
        "ReadWritePaths": [quote.string(_LAYOUT.filled(one)) for one in daemon.writes],
        **{key: quote.string(value) for key, value in daemon.settings},
        **dict(_hardening(daemon)),
    }
    environment: dict[str, Value] = {
        one.name: quote.Nix(f"cfg.{option}.{quote.attribute(one.name)}") for one in daemon.variables
    }
    if daemon.secrets:
        settings["LoadCredential"] = [
            quote.Nix(f'"{one.name}:${{cfg.{option}.{quote.attribute(one.name)}}}"')
            for one in daemon.secrets
        ]
        environment |= {one.name: quote.string(f"%d/{one.name}") for one in daemon.secrets}
    if daemon.prepare:
        settings["ExecStartPre"] = [
            _with_package(
                f"{_BASH}/bin/sh -c '{_UNLESS}' prepare "
                + " ".join(map(_LAYOUT.filled, (one.unless, *one.words)))
            )
            for one in daemon.prepare
        ]
    return {
        "description": quote.string(daemon.summary),
        "wantedBy": [quote.string("multi-user.target")],
        "requires": units,
        "after": [*units, quote.string("network.target")],
        "path": [quote.Nix(f"pkgs.{quote.attribute(one)}") for one in tool.packages[0].nixos],
        "environment": environment,
        "serviceConfig": settings,
    }


def _hardening(daemon: Daemon) -> Iterator[tuple[str, Value]]:
    relaxed = dict(daemon.relax)
    for setting in DAEMON_HARDENING:
        if setting.name not in relaxed:
            yield setting.name, quote.string(setting.value)
    if "RestrictAddressFamilies" not in relaxed:
        yield "RestrictAddressFamilies", quote.string(" ".join(daemon.families))


def _with_package(text: str) -> quote.Nix:
    """Return a string literal in which the paths of packages are filled in."""
    literal = quote.string(text).replace(_PACKAGE, "${cfg.package}")
    return quote.Nix(literal.replace(_BASH, "${pkgs.bash}"))


def _printed(value: Value, indent: int) -> quote.Nix:
    """Return a value as nixfmt lays it out."""
    if isinstance(value, quote.Nix):
        return value
    if isinstance(value, list):
        return quote.listing([_printed(one, indent + 2) for one in value], indent=indent)
    if not value:
        return quote.Nix("{ }")
    return quote.Nix(_attributes(value, indent))


def _attributes(value: Mapping[str, Value], indent: int) -> str:
    blank = " " * indent
    lines = [
        f"{blank}  {'.'.join(map(quote.attribute, key.split('.')))} ="
        f" {_printed(one, indent + 2)};\n"
        for key, one in value.items()
    ]
    return "{\n" + "".join(lines) + f"{blank}}}"
