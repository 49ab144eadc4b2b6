"""Where no file of a tool may go: where a system looks for orders.

A file in `etc/cron.d`, `lib/systemd` or `share/dbus-1` acts on a host without being called, and
what is in a record comes from the network. What a tool has of that kind is in its description.

Sources: file-hierarchy(7), hier(7); the opam manual, `.install` files (what a package has in `etc`
is in a directory of its name).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import PurePosixPath

    from pkggen.recipe.tool import Tool
    from pkggen.record.model import Artifact

_ORDERS: Final = re.compile(
    r".*\.d|apt|bash-completion|cron|dbus-1|dpkg|firmware|fish|glib-2\.0|init|initramfs-tools|kernel"
    r"|keyrings|modules|openssh|pam-configs|perl5?|polkit-1|python.*|rsyslog|security|ssh|ssl|sudo"
    r"|systemd|udev|xdg|X11|zsh"
    # Directories and files that the dynamic linker looks at.
    r"|.*-linux-(gnu|musl).*|(ld|lib)[^/]*\.so(\..*)?"
)
"""What is directly below `lib` and `share` and belongs to the system."""

_HOST: Final = re.compile(
    r"alternatives|bash|cron.*|default|environment|fstab|group|gshadow|hosts|init.*|inittab|ld"
    r"|login|logrotate|motd|network|networks|nsswitch|pam|passwd|profile|rc|securetty|services"
    r"|shadow|shells|subgid|subuid|sudo|sudoers|sysctl"
)
"""What is directly below `etc` and belongs to the system, whatever a package is called."""


def place_faults(
    files: Iterable[Artifact], tool: Tool | None, names: Collection[str]
) -> Iterator[InputError]:
    """Yield an error for each file that may not go where it would.

    Args:
        files: Recorded files, paths relative to the prefix.
        tool: What is known about the tool; where it puts something is right.
        names: Names of the package, which its configuration may have.
    """
    for file in files:
        described = tool is not None and tool.describes(file.path)
        if not described and _is_order(file.path, names):
            yield InputError(
                "no package may have a file there",
                where=str(file.path),
                hint="programs of the system take orders there",
            )


def _is_order(path: PurePosixPath, names: Collection[str]) -> bool:
    first, *rest = path.parts
    if first == "etc" and rest:
        name = rest[0].partition(".")[0] if len(rest) == 1 else rest[0]
        return name not in names or any(one.fullmatch(name) for one in (_ORDERS, _HOST))
    return first in {"lib", "share"} and bool(rest) and _ORDERS.fullmatch(rest[0]) is not None
