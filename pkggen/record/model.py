"""The recorded build, as every reader of this package returns it.

Sources: orb's `src/orb.ml` (which files a build leaves, `build-environment`, `system-packages`),
builder-web's `lib/views.ml` (times, platform, main binary) and Solo5's `include/elf_abi.h` and
`include/mft_abi.h` (the notes of an image).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import PurePosixPath

    from pkggen.opam.switch import SwitchExport

SWITCH_FILE: Final = "opam-switch"
ENVIRONMENT_FILE: Final = "build-environment"
SYSTEM_PACKAGES_FILE: Final = "system-packages"
BUILD_HASHES_SUFFIX: Final = ".build-hashes"

MAX_METADATA_BYTES: Final = 16 * 1024 * 1024
"""Largest accepted opam-switch, build-environment, system-packages or build-hashes file."""
MAX_ARTIFACT_BYTES: Final = 2 * 1024 * 1024 * 1024
"""Largest accepted artefact."""
MAX_ARTIFACTS: Final = 10_000
"""Most artefacts that one record may hold."""


class Content(Protocol):
    """Where the bytes of an artefact are."""

    def open(self) -> AbstractContextManager[BinaryIO]:
        """Open the bytes from their start.

        Raises:
            InputError: the place does not hold them any more.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file that a build left."""

    path: PurePosixPath
    """Relative path as recorded, e.g. `bin/dns-primary.hvt`; never absolute, never with `..`."""
    size: int
    """Bytes."""
    sha256: str
    """64 lower-case hexadecimal digits, computed from the bytes."""
    content: Content
    """Where the bytes are; they are never kept in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPackage:
    """A recorded `.deb` or `.pkg`, and what is in it."""

    archive: Artifact
    """The package."""
    files: tuple[Artifact, ...]
    """Its files in the layout of an opam prefix, sorted by path."""
    members: tuple[str, ...]
    """For each of them its name in the package's own archive."""
    left_out: tuple[str, ...]
    """What is not taken over, and why; one sentence each."""

    def unpacked_path(self, file: Artifact) -> str:
        """Return where one of its files is after unpacking, a relative path."""
        member = dict(zip(self.files, self.members, strict=True))[file]
        return member.removeprefix("./").removeprefix("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """orb's build-environment: the variables of the build and the system it ran on."""

    variables: tuple[tuple[str, str], ...]
    """All recorded variables in recorded order."""

    def get(self, name: str) -> str | None:
        """Return the value of the last variable called `name`, None when it is not recorded."""
        return dict(self.variables).get(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPackage:
    """One package of the build host."""

    name: str
    """Name as the host's package manager has it."""
    version: str
    """Version as the host's package manager has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solo5Device:
    """One device that an image wants."""

    name: str
    """Name that the image gives it, as in `--net:NAME=` or `--block:NAME=`."""
    kind: str
    """`NET_BASIC` or `BLOCK_BASIC`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solo5Image:
    """What the ELF notes of a Solo5 image say."""

    target: str
    """Tender or hypervisor: hvt, spt, virtio, muen, genode or xen."""
    abi_version: int
    """Version of the ABI between the image and its tender."""
    machine: str
    """ELF machine: x86_64, aarch64 or ppc64le."""
    devices: tuple[Solo5Device, ...]
    """Devices of the manifest in their order, without the reserved first entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What packagers want to know about an ELF file, whoever made it."""

    symbols: bool
    """Whether it has a symbol table, which stripping would remove."""
    static: bool
    """Whether it is an executable that needs no shared library."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The permanent place of a recorded build on a builder-web server."""

    server: str
    """URL of the server without final slash, e.g. `https://builds.robur.coop`."""
    job: str
    """Name of the job there."""
    build: str
    """UUID of the build, lower case with hyphens."""

    @property
    def url(self) -> str:
        """Permanent URL of the build's page."""
        return f"{self.server}/job/{self.job}/build/{self.build}"

    def file_url(self, path: PurePosixPath) -> str:
        """Permanent URL of one artefact, percent-encoded."""
        from urllib.parse import quote  # noqa: PLC0415 - only few commands need it

        return f"{self.url}/f/{quote(str(path))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One recorded build."""

    source: str
    """What the user named: a path or URL, for messages."""
    job: str
    """Name of the job, e.g. `dns-primary-git`."""
    platform: str | None
    """Name of the build platform, e.g. `debian-12`; None when it is not recorded."""
    started: datetime | None
    """Start of the build in UTC; None for a bare directory of orb."""
    finished: datetime | None
    """End of the build in UTC; None for a bare directory of orb."""
    origin: Origin | None
    """Where anybody can fetch the build; None for one that only exists here."""
    switch: SwitchExport
    """The frozen opam-switch."""
    environment: Environment
    """build-environment."""
    system_packages: tuple[SystemPackage, ...] | None
    """system-packages sorted by name; None when the file was not recorded."""
    artifacts: tuple[Artifact, ...]
    """Every recorded file except the metadata, sorted by path."""
    metadata: tuple[Artifact, ...]
    """opam-switch, build-environment, system-packages and `*.build-hashes`, sorted by path."""
    image: Artifact | None
    """The main binary when it is a Solo5 image."""
    solo5: Solo5Image | None
    """The notes of `image`."""
