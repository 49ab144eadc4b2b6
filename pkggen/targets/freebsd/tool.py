"""What the description of a tool adds to a port: rc.d scripts, users, directories, a message.

Sources: rc.subr(8), daemon(8); Porter's Handbook 6.27 (rc scripts), 8.6 (`@dir`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pkggen import templating
from pkggen.recipe import shell
from pkggen.recipe.shell import Shell
from pkggen.recipe.tool import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pkggen.recipe.tool import Daemon, Tool

LAYOUT: Final = Layout(
    prefix="%%PREFIX%%",
    bin="%%PREFIX%%/bin",
    sbin="%%PREFIX%%/sbin",
    libexec="%%PREFIX%%/libexec",
    etc="%%PREFIX%%/etc",
    state="/var/db",
    run="/var/run",
)
"""Where FreeBSD has things; rc.d scripts and messages are made with the prefix."""
_REFERENCE: Final = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}|\$([A-Z][A-Z0-9_]*)")


def rc_name(daemon: Daemon) -> str:
    """Return the name of a service: it begins the names of variables in rc.conf."""
    return daemon.name.replace("-", "_")


def rc_scripts(tool: Tool, header: Sequence[str]) -> dict[str, str]:
    """Return the scripts by the names of their services, with `%%PREFIX%%` in them."""
    comment = Shell("\n".join(map(shell.comment, header)))
    return {rc_name(daemon): _script(daemon, tool, comment) for daemon in tool.daemons}


def message(tool: Tool, header: Sequence[str]) -> str:
    """Return the text that is shown after the installation, with `%%PREFIX%%` in it."""
    lines = [*tool.notes.splitlines(), "", "Services, each enabled by sysrc NAME_enable=YES:"]
    lines += [f"  {rc_name(daemon)}" for daemon in tool.daemons]
    values = {
        "header": Shell("\n".join(map(shell.comment, header))),
        "lines": [Shell(line) for line in lines if line.isprintable()],
    }
    return templating.render("freebsd/tool-message.in.j2", values, finalize=shell.finalize)


def directories(tool: Tool) -> tuple[str, ...]:
    """Return the lines of the packing list for directories that stay over a restart."""
    found = []
    for one in tool.directories:
        if one.path.startswith("{etc}"):
            found.append(f"@dir {one.path.replace('{etc}', 'etc')}")
        elif one.path.startswith("{state}"):
            found.append(f"@dir({one.user},{one.group},{one.mode}) {LAYOUT.filled(one.path)}")
    return tuple(found)


def _script(daemon: Daemon, tool: Tool, header: Shell) -> str:
    name = rc_name(daemon)
    after = [rc_name(one) for one in tool.daemons if one.name in daemon.after]
    words = (LAYOUT.program(daemon.program), *LAYOUT.arguments(daemon))
    values = {
        "header": header,
        "rc_name": Shell(name),
        "requires": Shell(" ".join(["LOGIN", "NETWORKING", *after])),
        "variables": [
            shell.comment(f"  {one.name.lower()}: {one.meaning} (default: {_shown(one.default)})")
            for one in daemon.variables
        ],
        "secrets": [
            shell.comment(
                f"{one.meaning}, of {daemon.user} and with mode 0600: {LAYOUT.filled(one.file)}"
            )
            for one in daemon.secrets
        ],
        "description": shell.word(daemon.summary),
        "required": shell.word(" ".join(LAYOUT.filled(one.file) for one in daemon.secrets)),
        "defaults": [
            Shell(f': "${{{name}_enable:=NO}}"'),
            *(
                Shell(f': "${{{name}_{one.name.lower()}:={LAYOUT.filled(one.default)}}}"')
                for one in daemon.variables
            ),
        ],
        "prepare": list(_prepare(daemon, tool)),
        "user": shell.word(daemon.user),
        "command": Shell(" ".join(_word(word, daemon, name) for word in words)),
    }
    return templating.render("freebsd/daemon.rc.in.j2", values, finalize=shell.finalize)


def _shown(default: str) -> str:
    return LAYOUT.filled(default) or "none"


def _prepare(daemon: Daemon, tool: Tool) -> Iterator[Shell]:
    """Yield commands: directories that a restart removes, then what the service wants once."""
    for one in tool.directories:
        if one.path.startswith("{run}"):
            path = LAYOUT.filled(one.path)
            owner = ("-d", "-o", one.user, "-g", one.group, "-m", one.mode)
            yield shell.words(("/usr/bin/install", *owner, path))
    for step in daemon.prepare:
        command = shell.words(map(LAYOUT.filled, step.words))
        test = shell.words(("[", "-e", LAYOUT.filled(step.unless), "]"))
        yield Shell(f"{test} || /usr/bin/su -m {shell.word(daemon.user)} -c {shell.word(command)}")


def _word(word: str, daemon: Daemon, name: str) -> str:
    """Return a word with variables of rc.conf; one that may be left out is not quoted."""
    secrets = {one.name: LAYOUT.filled(one.file) for one in daemon.secrets}
    whole = _REFERENCE.fullmatch(word)
    if whole is not None and whole[2] is not None:
        return f"${name}_{whole[2].lower()}"
    parts: list[str] = []
    end = 0
    for found in _REFERENCE.finditer(word):
        parts.append(shell.word(word[end : found.start()]) if found.start() > end else "")
        variable = found[1] or found[2]
        parts.append(
            shell.word(secrets[variable])
            if variable in secrets
            else f'"${{{name}_{variable.lower()}}}"'
        )
        end = found.end()
    if end < len(word) or not parts:
        parts.append(shell.word(word[end:]))
    return "".join(parts)
