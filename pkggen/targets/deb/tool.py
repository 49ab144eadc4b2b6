"""What the description of a tool adds to a package: units, users, directories.

Sources: systemd.unit(5), systemd.service(5), systemd.socket(5), systemd.exec(5) (credentials),
sysusers.d(5), tmpfiles.d(5), debhelper's dh_installsystemd(1).
"""

from __future__ import annotations

import textwrap
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen import templating
from pkggen.recipe.hardening import DAEMON_HARDENING
from pkggen.recipe.tool import UNLESS, Layout
from pkggen.targets.deb import quote
from pkggen.tree import TextFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pkggen.recipe.model import ToolRecipe
    from pkggen.recipe.tool import Daemon, Tool

LAYOUT: Final = Layout(
    prefix="/usr",
    bin="/usr/bin",
    sbin="/usr/sbin",
    libexec="/usr/libexec",
    etc="/etc",
    state="/var/lib",
    run="/run",
)
"""Where Debian has things."""
_WIDTH: Final = 98
# systemd would expand `$1` itself.
_UNLESS: Final = f"/bin/sh -c '{UNLESS.replace('$', '$$')}' prepare"


def tool_files(recipe: ToolRecipe, tool: Tool, header: quote.Deb) -> dict[PurePosixPath, TextFile]:
    """Return the files below `debian/` that are about users, directories and services."""
    package = quote.word(recipe.name + tool.packages[0].suffix)
    found: dict[str, str] = {}
    if tool.users:
        users: dict[str, object] = {
            "users": [
                {"name": quote.word(user.name), "summary": quote.unit(user.summary)}
                for user in tool.users
            ]
        }
        found[f"{package}.sysusers"] = _rendered("tool-sysusers", users, header)
    made = [one for one in tool.directories if not one.path.startswith("{etc}")]
    if made:
        directories: dict[str, object] = {
            "directories": [
                {
                    "path": quote.absolute(LAYOUT.filled(one.path)),
                    "mode": quote.word(one.mode),
                    "user": quote.word(one.user),
                    "group": quote.word(one.group),
                }
                for one in made
            ]
        }
        found[f"{package}.tmpfiles"] = _rendered("tool-tmpfiles", directories, header)
    shipped = [LAYOUT.filled(one.path) for one in tool.directories if one not in made]
    if shipped:
        found[f"{package}.dirs"] = "".join(f"{quote.path(path[1:])}\n" for path in shipped)
    for daemon in tool.daemons:
        values = {**_values(daemon, tool), "package": package}
        found[f"{package}.{daemon.name}.service"] = _rendered("daemon.service", values, header)
        if daemon.socket is not None:
            found[f"{package}.{daemon.name}.socket"] = _rendered("daemon.socket", values, header)
        if daemon.configuration is not None:
            name = PurePosixPath(daemon.configuration).name
            found[f"conf/{name}"] = _rendered("daemon.conf", values, header)
    secrets = [quote.absolute(path) for path in _secrets(tool)]
    if secrets:
        removed = {"secret": quote.Deb(" ".join(secrets))}
        found[f"{package}.postrm"] = _rendered("postrm", removed, header)
    return {PurePosixPath(path): TextFile(text) for path, text in found.items()}


def configuration_files(tool: Tool) -> Iterator[str]:
    """Yield a line of debhelper's `install` for each configuration file."""
    for daemon in tool.daemons:
        if daemon.configuration is not None:
            path = PurePosixPath(LAYOUT.filled(daemon.configuration))
            yield f"debian/conf/{path.name} {quote.path(str(path.parent)[1:])}"


def starts(tool: Tool) -> list[dict[str, quote.Deb]]:
    """Return how each service is installed: its name, and options for dh_installsystemd."""
    return [
        {
            "name": quote.word(daemon.name),
            "options": quote.Deb("" if daemon.start else " --no-enable --no-start"),
        }
        for daemon in tool.daemons
    ]


def readme_values(recipe: ToolRecipe, tool: Tool) -> dict[str, object]:
    """Return what README.Debian says besides where the package comes from."""
    title = f"{recipe.name} for Debian"
    return {
        "title": quote.prose(title),
        "underline": quote.prose("-" * len(title)),
        "notes": [quote.prose(line) for line in tool.notes.splitlines()],
        "daemons": [
            {
                "unit": quote.prose(f"{daemon.name}.service"),
                "configuration": None
                if daemon.configuration is None
                else quote.absolute(LAYOUT.filled(daemon.configuration)),
                "secrets": [quote.absolute(LAYOUT.filled(one.file)) for one in daemon.secrets],
                "start": daemon.start,
            }
            for daemon in tool.daemons
        ],
        "left_out": [
            quote.prose(line) for line in ((recipe.package and recipe.package.left_out) or ())
        ],
    }


def _rendered(template: str, values: Mapping[str, object], header: quote.Deb) -> str:
    whole = {**values, "header": header}
    return templating.render(f"deb/{template}.j2", whole, finalize=quote.finalize)


def _secrets(tool: Tool) -> list[str]:
    return [LAYOUT.filled(one.file) for daemon in tool.daemons for one in daemon.secrets]


def _values(daemon: Daemon, tool: Tool) -> dict[str, object]:
    socket = daemon.socket
    arguments = LAYOUT.arguments(daemon)
    if socket is not None:
        arguments = (socket.argument, *arguments)
    command = (LAYOUT.program(daemon.program), *arguments)
    return {
        "unit": quote.word(f"{daemon.name}.service"),
        "socket": None if socket is None else quote.word(f"{daemon.name}.socket"),
        "summary": quote.unit(daemon.summary),
        "needs": [quote.word(unit) for unit in tool.units_before(daemon)],
        "variables": [
            {
                "name": quote.word(one.name),
                "default": quote.setting(LAYOUT.filled(one.default)),
                "meaning": quote.comment(one.meaning),
            }
            for one in daemon.variables
        ],
        "secrets": [
            {
                "name": quote.word(one.name),
                "file": quote.absolute(LAYOUT.filled(one.file)),
                "meaning": quote.comment(one.meaning),
            }
            for one in daemon.secrets
        ],
        "configuration": None
        if daemon.configuration is None
        else quote.absolute(LAYOUT.filled(daemon.configuration)),
        "prepare": [
            quote.Deb(
                f"{_UNLESS} {quote.absolute(LAYOUT.filled(one.unless))}"
                f" {' '.join(quote.setting(LAYOUT.filled(word)) for word in one.words)}"
            )
            for one in daemon.prepare
        ],
        "command": quote.Deb(" ".join(map(quote.setting, command))),
        "user": quote.word(daemon.user),
        "group": quote.word(daemon.group),
        "writes": [quote.absolute(LAYOUT.filled(one)) for one in daemon.writes],
        "settings": [
            {"name": quote.word(name), "value": quote.unit(value)}
            for name, value in daemon.settings
        ],
        "hardening": list(_hardening(daemon)),
        "listen": None
        if socket is None
        else quote.absolute(LAYOUT.filled(socket.listen))
        if socket.is_path
        else quote.word(socket.listen),
        "owner": None
        if socket is None or not socket.is_path
        else {
            "user": quote.word(socket.user),
            "group": quote.word(socket.group),
            "mode": quote.word(socket.mode),
        },
    }


def _hardening(daemon: Daemon) -> Iterator[dict[str, quote.Deb | None]]:
    """Yield the settings; a reason is given once, and why a setting is not there in its place."""
    relaxed = dict(daemon.relax)
    last = None
    for setting in DAEMON_HARDENING:
        reason = relaxed.get(setting.name)
        if reason is not None:
            lines = textwrap.wrap(f"No {setting.name}: {reason}.", _WIDTH)
            yield {"name": None, "value": None, "reason": quote.comments(lines)}
            last = None
            continue
        yield {
            "name": quote.word(setting.name),
            "value": quote.unit(setting.value),
            "reason": None if setting.reason == last else quote.comment(setting.reason),
        }
        last = setting.reason
    if "RestrictAddressFamilies" not in relaxed:
        yield {
            "name": quote.word("RestrictAddressFamilies"),
            "value": quote.unit(" ".join(daemon.families)),
            "reason": quote.comment("What it talks through."),
        }
    else:
        why = relaxed["RestrictAddressFamilies"]
        lines = textwrap.wrap(f"No RestrictAddressFamilies: {why}.", _WIDTH)
        yield {"name": None, "value": None, "reason": quote.comments(lines)}
