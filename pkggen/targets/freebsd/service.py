"""The rc.d script of an image, and what its user is told.

Source: rc.subr(8), rc(8), daemon(8); Porter's Handbook 6.27 (rc scripts).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pkggen import templating
from pkggen.recipe import service_freebsd, service_shell, shell
from pkggen.recipe.service import Paths
from pkggen.recipe.shell import Shell
from pkggen.targets.freebsd import names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pkggen.recipe.service import Service, Variable

_PREFIX: Final = "vm_"
_WIDTH: Final = 94
_IFCONFIG: Final = "/sbin/ifconfig"


def rc_script(described: Service, description: str, image: str, header: Sequence[str]) -> str:
    """Return the script, with `%%PREFIX%%` in it.

    Args:
        described: The service.
        description: One line.
        image: Place of the image below PREFIX.
        header: Lines of the comment at its beginning.
    """
    rc_name = names.rc_name(described.name)
    paths = Paths(
        image=f"%%PREFIX%%/{image}",
        tender=f"%%PREFIX%%/bin/{described.tender}",
        sh="/bin/sh",
        ip=_IFCONFIG,
    )
    taps = (name for name in _names(described) if name.endswith("_tap"))
    values = {
        "header": Shell("\n".join(map(shell.comment, header))),
        "rc_name": shell.word(rc_name),
        "name": shell.word(described.name),
        "description": shell.word(description),
        "image": shell.word(paths.image),
        "user": shell.word(described.user),
        "state": shell.word(f"/var/db/{described.state_directory}"),
        "names": shell.words(_names(described)),
        "variables": [line for one in described.variables for line in _explained(one)],
        "taps": [Shell(f"${_PREFIX}{tap}") for tap in taps],
        "defaults": list(service_shell.defaults(described, _PREFIX)),
        "checks": list(service_shell.checks(described, _PREFIX)),
        "up": list(service_shell.up(described, paths, _PREFIX, service_freebsd.before)),
        "down": list(service_shell.down(described, paths, _PREFIX, service_freebsd.after)),
        "arguments": list(service_shell.arguments(described, paths, _PREFIX)),
    }
    return templating.render("freebsd/rc.d.in.j2", values, finalize=shell.finalize)


def message(described: Service, header: Sequence[str]) -> str:
    """Return the text that is shown after the installation, with `%%PREFIX%%` in it."""
    rc_name = names.rc_name(described.name)
    needed = (one.name for one in described.variables if one.default is None)
    values = {
        "header": Shell("\n".join(map(shell.comment, header))),
        "name": shell.word(described.name),
        "tender": shell.word(described.tender),
        "rc_name": shell.word(rc_name),
        "needed": [shell.word(f"{rc_name}_{name}") for name in needed],
    }
    return templating.render("freebsd/pkg-message.in.j2", values, finalize=shell.finalize)


def _names(described: Service) -> tuple[str, ...]:
    return tuple(variable.name for variable in described.variables)


def _explained(variable: Variable) -> Iterator[Shell]:
    """Yield lines of a comment about a variable."""
    default = {None: "must be set", "": "may be left out"}.get(
        variable.default, f"default: {variable.default}"
    )
    line = f"#   {variable.name}:"
    for word in f"{variable.meaning} ({default})".split():
        if len(line) + 1 + len(word) > _WIDTH:
            yield Shell(line)
            line = "#    "
        line += f" {word}"
    yield Shell(line)
