"""What FreeBSD runs around the tender of an image, from the same description as on Linux.

Sources: ifconfig(8) (create, name, addm, destroy) and tap(4) of FreeBSD (a renamed interface keeps
a device of its name); Solo5 `tenders/common/tap_attach.c` (opens the device that is named like the
interface) and `tenders/hvt/hvt_freebsd.c` (makes the virtual machine, which only root may).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkggen.recipe.service import Command, ordered_networks

if TYPE_CHECKING:
    from pkggen.recipe.service import Configuration, Paths, Service


def before(described: Service, configuration: Configuration, paths: Paths) -> tuple[Command, ...]:
    """Return what FreeBSD runs before `command_line`: taps."""
    commands: list[Command] = []
    for network in ordered_networks(described, configuration):
        steps = [("tap", "create", "name", network.tap), (network.tap, "up")]
        if network.bridge is not None:
            steps.insert(1, (network.bridge, "addm", network.tap))
        commands += (Command(words=(paths.ip, *step), root=True) for step in steps)
    return tuple(commands)


def after(described: Service, configuration: Configuration, paths: Paths) -> tuple[Command, ...]:
    """Return what FreeBSD runs after the end of the tender, however it ended; each may fail."""
    return tuple(
        Command(words=(paths.ip, network.tap, "destroy"), root=True)
        for network in ordered_networks(described, configuration)
    )
