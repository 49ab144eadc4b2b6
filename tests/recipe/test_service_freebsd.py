from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING, Final

from pkggen.recipe.service import Configuration, Network, Paths, Service
from pkggen.recipe.service_freebsd import after, before
from pkggen.recipe.service_shell import defaults, down, up

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pkggen.recipe.service import Command

PATHS: Final = Paths(image="/i.hvt", tender="/bin/solo5-hvt", sh="/bin/sh", ip="/sbin/ifconfig")
DNS: Final = Service(
    name="dns-primary", target="hvt", abi_version=2, networks=("in", "out"), blocks=("data",)
)
CONFIGURATION: Final = Configuration(
    networks=(
        Network(device="out", tap="t1"),
        Network(device="in", tap="t0", bridge="bridge0"),
    )
)


def words(commands: Iterable[Command]) -> list[list[str]]:
    return [[*command.words[1:]] for command in commands]


def test_steps_follow_the_order_of_the_image() -> None:
    commands = before(DNS, CONFIGURATION, PATHS)
    assert all(command.root and command.words[0] == PATHS.ip for command in commands)
    assert words(commands) == [
        ["tap", "create", "name", "t0"],
        ["bridge0", "addm", "t0"],
        ["t0", "up"],
        ["tap", "create", "name", "t1"],
        ["t1", "up"],
    ]
    assert words(after(DNS, CONFIGURATION, PATHS)) == [["t0", "destroy"], ["t1", "destroy"]]


def test_the_lines_of_sh_run_what_the_model_says() -> None:
    given = "net_in_tap=t0 net_in_bridge=bridge0 net_out_tap=t1 net_out_bridge=none"
    paths = Paths(image="/i", tender="/t", sh="/bin/sh", ip="ifconfig")
    for made, lines in ((before, up(DNS, paths, "", before)), (after, down(DNS, paths, "", after))):
        script = ["set -eu", given, 'ifconfig() { printf "%s\\n" "$*"; }', *defaults(DNS), *lines]
        done = subprocess.run(
            ["sh", "-c", "\n".join(script)], capture_output=True, text=True, check=True
        )
        expected = [shlex.join(part) for part in words(made(DNS, CONFIGURATION, PATHS))]
        assert done.stdout.splitlines() == expected
