"""The service of an image as lines of POSIX sh, for systems whose configuration is variables.

Every word comes from `recipe.service`; here a value becomes a variable, and what need not be
configured a condition.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pkggen.recipe import shell
from pkggen.recipe.service import (
    NO_BRIDGE,
    TAP_WIDTH,
    Block,
    Configuration,
    Network,
    after,
    before,
    command_line,
)
from pkggen.recipe.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pkggen.recipe.service import Command, Paths, Service

    Steps = Callable[[Service, Configuration, Paths], tuple[Command, ...]]

# No name of a device, package or user and no path of a package holds braces.
_REFERENCE: Final = re.compile(r"(\$\{[A-Za-z0-9_]+\})")


def defaults(described: Service, prefix: str = "") -> Iterator[Shell]:
    """Yield lines that give every variable that is not set its default, the empty one included.

    Args:
        described: The service.
        prefix: What goes before the name of each variable.
    """
    for variable in described.variables:
        value = shell.word(variable.default) if variable.default else ""
        yield Shell(f': "${{{prefix}{variable.name}:={value}}}"')


def checks(described: Service, prefix: str = "") -> Iterator[Shell]:
    """Yield lines that call a function `wrong` for what is not set, and for taps that are too long.

    It is called with the name of a variable and what is wrong with it.
    """
    for variable in described.variables:
        name = f"{prefix}{variable.name}"
        if variable.default is None:
            what = shell.words((name, f"is not set: {variable.meaning}"))
            yield Shell(f'[ -n "${name}" ] || wrong {what}')
        if re.fullmatch("net_.*_tap", variable.name):
            what = shell.words((name, f"is longer than {TAP_WIDTH} characters"))
            yield Shell(f"[ ${{#{name}}} -le {TAP_WIDTH} ] || wrong {what}")


def arguments(described: Service, paths: Paths, prefix: str = "") -> Iterator[Shell]:
    """Yield lines that make the words of `command_line` the positional parameters."""
    words = command_line(described, _variables(described, prefix), paths)
    optional = {f"{prefix}{one.name}" for one in described.variables if one.default == ""}
    fixed: list[Shell] = []
    start = "set --"
    for word in words:
        names = {part[2:-1] for part in _REFERENCE.findall(word)}
        condition = next(iter(names & optional), None)
        if condition is None:
            fixed.append(_quoted(word))
            continue
        if fixed:
            yield Shell(f"{start} {' '.join(fixed)}")
            start, fixed = 'set -- "$@"', []
        yield Shell(f'[ -z "${condition}" ] || {start} {_quoted(word)}')
    if fixed:
        yield Shell(f"{start} {' '.join(fixed)}")


def up(
    described: Service, paths: Paths, prefix: str = "", steps: Steps = before
) -> Iterator[Shell]:
    """Yield the commands that root runs before the tender; `steps` are a system's `before`."""
    for command in steps(described, _variables(described, prefix), paths):
        words = Shell(" ".join(map(_quoted, command.words)))
        bridge = next((n for n in _names(command) if n.endswith("_bridge")), None)
        yield Shell(f'[ "${bridge}" = {NO_BRIDGE} ] || {words}') if bridge else words


def down(
    described: Service, paths: Paths, prefix: str = "", steps: Steps = after
) -> Iterator[Shell]:
    """Yield the commands that run after the tender; `steps` are a system's `after`."""
    for command in steps(described, _variables(described, prefix), paths):
        yield Shell(f"{' '.join(map(_quoted, command.words))} || :")


def _names(command: Command) -> Iterable[str]:
    return (part[2:-1] for word in command.words for part in _REFERENCE.findall(word))


def _variables(described: Service, prefix: str) -> Configuration:
    """Return the configuration whose values are variables."""

    def of(name: str) -> str:
        return f"${{{prefix}{name}}}"

    return Configuration(
        memory=of("memory"),
        arguments=(of("arguments"),),
        networks=tuple(
            Network(
                device=device,
                tap=of(f"net_{device}_tap"),
                bridge=of(f"net_{device}_bridge"),
                mac=of(f"net_{device}_mac"),
            )
            for device in described.networks
        ),
        blocks=tuple(
            Block(
                device=device,
                file=of(f"block_{device}_file"),
                sector_size=of(f"block_{device}_sector_size"),
            )
            for device in described.blocks
        ),
    )


def _quoted(word: str) -> Shell:
    """Return one word of sh in which only the references are expanded."""
    parts = [part for part in _REFERENCE.split(word) if part]
    if len(parts) > 1 and all(
        _REFERENCE.fullmatch(part) or shell.word(part) == part for part in parts
    ):
        return Shell(f'"{word}"')
    return Shell(
        "".join(f'"{part}"' if _REFERENCE.fullmatch(part) else shell.word(part) for part in parts)
    )
