"""With which configurations a unikernel could not run, in words that are the same on every system.

Sources: as for `recipe.service`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError
from pkggen.recipe.service import COMMAND_LINE_BYTES, SECTOR_SIZES, TAP_WIDTH, guest_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pkggen.recipe.service import Configuration, Network, Service

_INTERFACE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_MAC: Final = re.compile(r"[0-9A-Fa-f][02468ACEace](:[0-9A-Fa-f]{2}){5}")
_NO_MAC: Final = "00:00:00:00:00:00"
_MEMORY: Final = re.compile(r"[1-9][0-9]{0,6}")
_FILE: Final = re.compile(r"""/[^\x00-\x20\x7f"'\\$%`]*""")


def faults(described: Service, configuration: Configuration) -> Iterator[InputError]:
    """Yield an error for each value with which the unikernel could not run as configured.

    The messages are the same on every system; `where` is the name of the service.
    """
    for message in _faults(described, configuration):
        yield InputError(message, where=described.name)


def _faults(described: Service, configuration: Configuration) -> Iterator[str]:
    network_names = [network.device for network in configuration.networks]
    block_names = [block.device for block in configuration.blocks]
    yield from _device_faults("network", described.networks, network_names)
    yield from _device_faults("block", described.blocks, block_names)
    if not _MEMORY.fullmatch(configuration.memory):
        yield f"the memory `{configuration.memory}` is not a whole number of MB from 1"
    for network in configuration.networks:
        yield from _network_faults(network)
    for block in configuration.blocks:
        where = f"of the block device `{block.device}`"
        yield from _file_faults(f"the file `{block.file}` {where}", block.file)
        if block.sector_size is not None and block.sector_size not in SECTOR_SIZES:
            yield (
                f"the sector size `{block.sector_size}` {where} is not a power of two from"
                f" {SECTOR_SIZES[0]} to {SECTOR_SIZES[-1]}"
            )
    if configuration.arguments_file is not None:
        file = configuration.arguments_file
        yield from _file_faults(f"the arguments file `{file}`", file)
    if "" in configuration.arguments:
        yield "an argument is empty, and an image cannot be given an empty argument"
    size = len(guest_line(configuration.arguments).encode())
    if size > COMMAND_LINE_BYTES:
        yield f"the arguments take {size} bytes, a tender passes at most {COMMAND_LINE_BYTES}"


def _device_faults(kind: str, wanted: Sequence[str], given: Sequence[str]) -> Iterator[str]:
    for device in wanted:
        if device not in given:
            yield f"the image wants the {kind} device `{device}`, which is not configured"
    for device in given:
        if device not in wanted:
            known = ", ".join(wanted) or "none"
            yield f"the image has no {kind} device `{device}`; it has {known}"


def _network_faults(network: Network) -> Iterator[str]:
    where = f"of the network device `{network.device}`"
    named = (("tap", network.tap), ("bridge", network.bridge))
    for kind, interface in named:
        if interface is not None and not _INTERFACE.fullmatch(interface):
            yield (
                f"the {kind} `{interface}` {where} is not a name of at most {TAP_WIDTH} letters,"
                " digits, `-`, `_` and `.`, the first a letter or digit"
            )
    if network.mac is not None and (not _MAC.fullmatch(network.mac) or network.mac == _NO_MAC):
        yield (
            f"the MAC address `{network.mac}` {where} is not six pairs of hexadecimal digits"
            " joined by `:`, the first of them even, not all 0"
        )


def _file_faults(what: str, file: str) -> Iterator[str]:
    # A tender reads a path up to its first blank; systemd and shells interpret the others.
    if not _FILE.fullmatch(file):
        yield f"{what} is not an absolute path without blanks, quotes, `\\`, `$`, `%` and backticks"


def clashes(configurations: Mapping[str, Configuration]) -> Iterator[InputError]:
    """Yield an error for each tap, MAC address and block file that two devices of a host share.

    Args:
        configurations: Name of each service of one host, and its configuration.
    """
    taps: list[tuple[str, str]] = []
    macs: list[tuple[str, str]] = []
    files: list[tuple[str, str]] = []
    for name in sorted(configurations):
        for network in sorted(configurations[name].networks, key=lambda n: n.device):
            taps.append((network.tap, f"{name}.{network.device}"))
            if network.mac is not None:
                macs.append((network.mac.lower(), f"{name}.{network.device}"))
        files += (
            (block.file, f"{name}.{block.device}")
            for block in sorted(configurations[name].blocks, key=lambda b: b.device)
        )
    for kind, used in (("tap", taps), ("MAC address", macs), ("file", files)):
        yield from _shared(kind, used)


def _shared(kind: str, used: Iterable[tuple[str, str]]) -> Iterator[InputError]:
    users: dict[str, list[str]] = {}
    for value, user in used:
        users.setdefault(value, []).append(user)
    for value in sorted(users):
        if len(users[value]) > 1:
            yield InputError(f"the {kind} `{value}` is shared by {', '.join(users[value])}")
