"""The NixOS module of a tool: its services as options, users and units.

Source: nixpkgs `nixos/modules/system/boot/systemd.nix` (sockets and services).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pkggen.recipe.hardening import DAEMON_HARDENING
from pkggen.recipe.tool import UNLESS, Layout
from pkggen.targets.nix import names, quote
from pkggen.tree import SEAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pkggen.recipe.model import ToolRecipe
    from pkggen.recipe.tool import Daemon, Tool

    Value = quote.Nix | list["Value"] | dict[str, "Value"]

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


def header(recipe: ToolRecipe) -> quote.Nix:
    """Return the comment at the head of a generated file."""
    origin = recipe.provenance.origin
    lines = (
        f"{names.GENERATED} from "
        + (f"job {recipe.provenance.job}" if origin is None else origin.url),
        f"opam-switch: sha256 {recipe.provenance.switch_sha256}",
        "Edit pkggen.yaml instead of this file, and generate it again.",
        SEAL,
    )
    return quote.Nix("\n".join(map(quote.comment, lines)))


def module_values(recipe: ToolRecipe, tool: Tool, name: str) -> dict[str, object]:
    """Return what the template of the module prints: options, users, directories, services."""
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
        "header": header(recipe),
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
