"""The service that runs an image: one description for NixOS, systemd units and rc.d scripts.

Sources: Solo5 0.8 to 0.12 `tenders/{hvt,spt}/*_main.c`, `*_module_{net,blk,block}.c` and
`tenders/common/tap_attach.c` (command line and devices), `include/mft_abi.h` (names of devices),
`include/{hvt,spt}_abi.h` (limits); mirage/parse-argv (how an image splits its command line).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, raise_all
from pkggen.recipe.hardening import HARDENING, Setting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pkggen.recipe.model import ImageRecipe

DEFAULT_MEMORY: Final = "32"
"""MB, enough for most MirageOS images; with a tender's own 512 a leak would eat a small host."""
TENDERS: Final = ("hvt", "spt")
"""Solo5 targets that a program on a general-purpose host runs."""
TAP_WIDTH: Final = 15
"""Characters of an interface name: IFNAMSIZ without the final NUL."""
TAP_SHORT: Final = TAP_WIDTH - len("vm-") - len("-NN")
"""Characters that the name of a tap has for that of the package, between `vm-` and a number."""
USER_PREFIX: Final = "_unikernel-"
"""Beginning of each user name; the underscore is what Debian and FreeBSD give system users."""
USER_SHORT: Final = 31 - len(USER_PREFIX)
"""Characters for the name of the package; all are UT_NAMESIZE without the final NUL."""
COMMAND_LINE_BYTES: Final = 8191
"""What a tender passes to an image at most: HVT_CMDLINE_SIZE without the final NUL."""
SECTOR_SIZES: Final = tuple(str(2**n) for n in range(9, 16))
"""Bytes: powers of two from 512 that fit the 16 bits in which a tender keeps them."""
RESTARTS: Final = ("no", "on-failure", "always")
"""Restart policies, as systemd names them; the second is the default."""
NO_BRIDGE: Final = "none"
"""Value of a bridge in a configuration file when the tap shall be on its own."""
SOLO5_WITH_ABI_2: Final = "0.8.0"
"""First release whose tenders run images of ABI version 2, and no others."""

RUN_WITH_FILE: Final = 'line=$(cat "$CREDENTIALS_DIRECTORY/arguments") && exec "$@" "$line"'
"""Shell script that runs its arguments with one more: the text of the credential `arguments`.

Solo5 joins all words behind the image with single spaces, so one word can be many arguments.
"""
CREATE_BLOCK: Final = 'test -e "$1" || truncate -s "$2" "$1"'
"""Shell script that makes the sparse file `$1` of size `$2` unless there is one."""

_DEVICE: Final = re.compile(r"[A-Za-z0-9]{1,67}")
_GUEST_SPECIAL: Final = re.compile(r'[\\" ]')


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One variable of the configuration file of a unikernel."""

    name: str
    """Name; in rc.conf the name of the service and `_` go before it."""
    meaning: str
    """What it sets, one sentence without full stop."""
    default: str | None
    """Value when it is not set; None if it has to be set, empty if it may be left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What is known about the service of an image before anybody configures it."""

    name: str
    """Name of the package."""
    target: str
    """Solo5 target, one of `TENDERS`."""
    abi_version: int
    """Version of the ABI between image and tender."""
    networks: tuple[str, ...]
    """Names of the network devices that the image wants, in its order."""
    blocks: tuple[str, ...]
    """Names of the block devices that the image wants, in its order."""

    @property
    def tender(self) -> str:
        """Name of the program that runs the image."""
        return f"solo5-{self.target}"

    @property
    def user(self) -> str:
        """Name of its own system user and group."""
        return USER_PREFIX + shortened(self.name, USER_SHORT)

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of further groups of the user."""
        return ("kvm",) if self.target == "hvt" else ()

    @property
    def state_directory(self) -> str:
        """Place of its block files, relative to /var/lib."""
        return f"unikernels/{self.name}"

    @property
    def required_device(self) -> str | None:
        """Device of the host without which starting makes no sense."""
        return "/dev/kvm" if self.target == "hvt" else None

    @property
    def devices(self) -> tuple[str, ...]:
        """Devices of the host that the tender reads and writes, besides block devices."""
        kvm = () if self.required_device is None else (self.required_device,)
        return (*kvm, "/dev/net/tun") if self.networks else kvm

    @property
    def hardening(self) -> tuple[Setting, ...]:
        """The settings of `HARDENING` that its tender can live with."""
        return tuple(s for s in HARDENING if self.target == "hvt" or not s.hvt_only)

    def tap(self, device: str) -> str:
        """Return the name of the tap of a network device when none is configured."""
        number = self.networks.index(device)
        return f"vm-{shortened(self.name, TAP_SHORT)}-{number}"

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Variables of the configuration file, the same names and meanings on every system."""
        return (
            Variable(name="memory", meaning="Memory in MB", default=DEFAULT_MEMORY),
            Variable(
                name="arguments",
                meaning="Command line of the image; `\\` protects a blank, a quote or itself, and"
                " every local user can read it",
                default="",
            ),
            *(variable for device in self.networks for variable in self._network(device)),
            *(variable for device in self.blocks for variable in _block(device)),
        )

    def _network(self, device: str) -> tuple[Variable, ...]:
        return (
            Variable(
                name=f"net_{device}_tap",
                meaning=f"Tap of the network device {device}, made at the start",
                default=self.tap(device),
            ),
            Variable(
                name=f"net_{device}_bridge",
                meaning=f"Bridge that the tap becomes part of, or `{NO_BRIDGE}`",
                default=None,
            ),
            Variable(
                name=f"net_{device}_mac",
                meaning="MAC address; without it another one at each start",
                default="",
            ),
        )


def _block(device: str) -> tuple[Variable, ...]:
    return (
        Variable(
            name=f"block_{device}_file",
            meaning=f"File or device behind the block device {device}",
            default=None,
        ),
        Variable(name=f"block_{device}_sector_size", meaning="Bytes of one sector", default="512"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Configuration of one network device."""

    device: str
    """Name that the image gives it."""
    tap: str
    """Interface on the host, made at the start and removed at the end."""
    bridge: str | None = None
    """Bridge on the host that the tap becomes part of."""
    mac: str | None = None
    """MAC address that the image sees; None lets the tender draw one at each start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Configuration of one block device."""

    device: str
    """Name that the image gives it."""
    file: str
    """Absolute path of the file or block device on the host."""
    sector_size: str | None = None
    """Bytes; None is the tender's default of 512."""
    create_megabytes: str | None = None
    """MB of the sparse file that is made when there is none; None makes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What the operator of a host decides; values are texts, so that they may be variables."""

    memory: str = DEFAULT_MEMORY
    """MB."""
    arguments: tuple[str, ...] = ()
    """Arguments of the image."""
    arguments_file: str | None = None
    """File with more of the command line that is read as the credential `arguments`."""
    networks: tuple[Network, ...] = ()
    """Network devices."""
    blocks: tuple[Block, ...] = ()
    """Block devices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where a system has what a service runs; absolute paths, all."""

    image: str
    """The image."""
    tender: str
    """The tender's program."""
    sh: str
    """A POSIX shell."""
    ip: str
    """The program that configures interfaces: iproute2's, on FreeBSD ifconfig."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command around the life of a tender."""

    words: tuple[str, ...]
    """Program and arguments, unquoted."""
    root: bool
    """Whether root runs it, and not the unikernel's user."""


def service(recipe: ImageRecipe) -> Service:
    """Return the service of a recorded image.

    Raises:
        InputError: no tender can run the image or attach its devices; all reasons together.
    """
    solo5 = recipe.solo5
    raise_all(_manifest_faults(recipe))
    return Service(
        name=recipe.name,
        target=solo5.target,
        abi_version=solo5.abi_version,
        networks=tuple(d.name for d in solo5.devices if d.kind == "NET_BASIC"),
        blocks=tuple(d.name for d in solo5.devices if d.kind == "BLOCK_BASIC"),
    )


def _manifest_faults(recipe: ImageRecipe) -> Iterator[InputError]:
    where = str(recipe.image.path)
    if recipe.solo5.target not in TENDERS:
        yield InputError(
            f"no tender runs an image for {recipe.solo5.target!r} as a service",
            where=where,
            hint="services can be made of images for hvt and spt",
        )
    for device in recipe.solo5.devices:
        if not _DEVICE.fullmatch(device.name):
            yield InputError(
                f"the device {device.name!r} cannot be named on a tender's command line: letters"
                " and digits, at most 67",
                where=where,
            )


def shortened(name: str, width: int) -> str:
    """Return a package name with at most `width` characters of `[a-z0-9-]`, different for each.

    Names that are too long or hold other characters get as many digits of their sha256 as are
    needed to be exactly `width` long, which names that fit never are.

    Args:
        name: A package name.
        width: Characters, at least 6.
    """
    if re.fullmatch(rf"[a-z0-9-]{{1,{width - 1}}}", name):
        return name
    head = re.sub(r"[^a-z0-9-]", "-", name)[: width - 5]
    return head + hashlib.sha256(name.encode()).hexdigest()[: width - len(head)]


def guest_line(arguments: Sequence[str]) -> str:
    """Return the command line that an image splits into these arguments."""
    return " ".join(_GUEST_SPECIAL.sub(r"\\\g<0>", argument) for argument in arguments)


def command_line(described: Service, configuration: Configuration, paths: Paths) -> tuple[str, ...]:
    """Return the words of the command that runs an image, on any system.

    Args:
        described: The service.
        configuration: One without `faults`, or with variables of the target's language as values.
        paths: Where the programs are.
    """
    words = [paths.tender, f"--mem={configuration.memory}"]
    networks = {network.device: network for network in configuration.networks}
    blocks = {block.device: block for block in configuration.blocks}
    for device in described.networks:
        network = networks[device]
        words.append(f"--net:{device}={network.tap}")
        if network.mac is not None:
            words.append(f"--net-mac:{device}={network.mac}")
    for device in described.blocks:
        block = blocks[device]
        words.append(f"--block:{device}={block.file}")
        if block.sector_size is not None:
            words.append(f"--block-sector-size:{device}={block.sector_size}")
    words += ["--", paths.image]
    if configuration.arguments:
        words.append(guest_line(configuration.arguments))
    if configuration.arguments_file is not None:
        words = [paths.sh, "-c", RUN_WITH_FILE, "unikernel", *words]
    return tuple(words)


def before(described: Service, configuration: Configuration, paths: Paths) -> tuple[Command, ...]:
    """Return what Linux runs before `command_line`: taps and block files."""
    commands: list[Command] = []
    for network in ordered_networks(described, configuration):
        tap = network.tap
        steps = [
            ("tuntap", "add", "dev", tap, "mode", "tap", "user", described.user),
            ("link", "set", "dev", tap, "up"),
        ]
        if network.bridge is not None:
            steps.insert(1, ("link", "set", "dev", tap, "master", network.bridge))
        commands += (Command(words=(paths.ip, *step), root=True) for step in steps)
    commands += (
        Command(
            words=(
                *(paths.sh, "-c", CREATE_BLOCK, "unikernel"),
                *(block.file, f"{block.create_megabytes}M"),
            ),
            root=False,
        )
        for device in described.blocks
        for block in configuration.blocks
        if block.device == device and block.create_megabytes is not None
    )
    return tuple(commands)


def after(described: Service, configuration: Configuration, paths: Paths) -> tuple[Command, ...]:
    """Return what Linux runs after the end of the tender, however it ended; each may fail."""
    return tuple(
        Command(words=(paths.ip, "tuntap", "del", "dev", network.tap, "mode", "tap"), root=True)
        for network in ordered_networks(described, configuration)
    )


def ordered_networks(described: Service, configuration: Configuration) -> tuple[Network, ...]:
    """Return the configured network devices in the order of the image."""
    networks = {network.device: network for network in configuration.networks}
    return tuple(networks[device] for device in described.networks)
