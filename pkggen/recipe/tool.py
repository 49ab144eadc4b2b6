"""What is known about a tool that no record says: its packages, users, services and directories.

The descriptions are data, `pkggen/tools/ROOT.yaml`; `recipe.tool_reader` reads them, every target
renders them. They hold no shell: commands are lists of words, and what differs between systems is
a hole such as `{etc}` (`Layout`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Final, Literal, TypeAlias

System: TypeAlias = Literal["linux", "freebsd"]
"""Kernel of a host."""
SYSTEMS: Final[tuple[System, ...]] = ("linux", "freebsd")
PLACES: Final = (*("bin", "sbin", "lib", "libexec", "include", "share", "man", "doc", "etc"),)
"""First part of the path of a file, in the layout of an opam prefix."""
PROGRAMS: Final = ("bin", "sbin")
"""Those of them where a build installs programs."""
DIRECTORIES: Final = ("prefix", "bin", "sbin", "libexec", "etc", "state", "run")
"""Holes for directories of a system, absolute."""
BUILD_HOLES: Final = ("make", "jobs", "cc", "stage")
"""Holes of build steps: GNU make, number of jobs, the C compiler for programs of the host with the
distribution's flags, and the directory that stands for the root at installation."""
UNLESS: Final = 'test -e "$1" || { shift && exec "$@"; }'
"""Shell script that runs its arguments but the first, unless there is a file of that name."""
HOLE: Final = re.compile(r"(?<!\$)\{([a-z]+)\}")
"""A hole in a text; `${NAME}` is none, but a variable of the configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command of a build."""

    words: tuple[str, ...]
    """Program and arguments, with holes."""
    systems: tuple[System, ...]
    """Where it is run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a built program prints about itself."""

    program: PurePosixPath
    """Path below the prefix."""
    arguments: tuple[str, ...]
    """Its arguments."""
    line: str
    """A line that must be among those that it prints, whether as output or as error."""
    systems: tuple[System, ...]
    """Where it is checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """How a tool is built from the release tarball of its root, without opam."""

    steps: tuple[Step, ...]
    """Commands, run in the unpacked source."""
    checks: tuple[Check, ...]
    """Checks after installation."""
    remove: tuple[str, ...]
    """Patterns of installed paths that are not packaged, below the prefix."""
    needs: tuple[tuple[str, tuple[str, ...]], ...]
    """Target (`debian`, `freebsd`, `nixos`) and its packages beside a C compiler and make."""

    def needs_of(self, target: str) -> tuple[str, ...]:
        """Return the packages that a build needs in a target."""
        return dict(self.needs).get(target, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryPackage:
    """One package that is made of a tool."""

    suffix: str
    """What is behind the name of the recipe, e.g. `-hvt`; may be empty."""
    category: str
    """`admin`, `devel`, `net`, `utils` or `web`."""
    summary: str
    """One line, as a description of a recipe."""
    description: str
    """Paragraphs, plain text."""
    machines: tuple[str, ...]
    """Machines that it is for; empty if for that of the record."""
    systems: tuple[System, ...]
    """Systems that it is for."""
    programs: tuple[tuple[str, str], ...]
    """Names of its programs and what each does, for manual pages; `{machine}` is the machine."""
    files: tuple[tuple[str, PurePosixPath], ...]
    """Patterns of paths in the prefix, and the directories where what matches goes; both begin with
    one of `PLACES`."""
    debian: tuple[tuple[str, tuple[str, ...]], ...]
    """Fields of Debian's control file about relations, and their values."""
    freebsd: tuple[str, ...]
    """Origins of ports that it needs, as RUN_DEPENDS has them."""
    nixos: tuple[str, ...]
    """Attributes of packages whose programs its services call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A system user and its group of the same name."""

    name: str
    """Name."""
    summary: str
    """Full name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A directory that is there before any service starts."""

    path: str
    """Absolute, with holes."""
    user: str
    """Owner."""
    group: str
    """Group."""
    mode: str
    """Four octal digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """Where a service is reached; systemd can make it beforehand."""

    argument: str
    """Argument that tells the service that systemd made it; otherwise it makes it itself."""
    listen: str
    """Path with holes, or number of a TCP port."""
    user: str
    """Owner of a path."""
    group: str
    """Group of a path."""
    mode: str
    """Four octal digits."""

    @property
    def is_path(self) -> bool:
        """Whether it is a file."""
        return not self.listen.isdecimal()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A variable that an operator may set, in the arguments as `${NAME}` or `$NAME`.

    The latter is left out when it is empty, and may be several words.
    """

    name: str
    """Name, `[A-Z][A-Z0-9_]*`."""
    meaning: str
    """One sentence without full stop."""
    default: str
    """Value when it is not set, with holes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A file that only root can read, which a service gets at its start."""

    name: str
    """Variable with the path where the service finds it."""
    meaning: str
    """One sentence without full stop."""
    file: str
    """Absolute path with holes; made by the operator, with mode 0600."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """A command before the start of a service, as its user."""

    unless: str
    """File with which it is not needed any more; absolute, with holes."""
    words: tuple[str, ...]
    """Program and arguments, with holes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """A service of a tool."""

    name: str
    """Name of the unit or rc.d script, upstream's where there is one."""
    summary: str
    """One line."""
    program: PurePosixPath
    """Where the program is, in the layout of an opam prefix."""
    arguments: tuple[str, ...]
    """Its arguments, with holes and variables."""
    user: str
    """User."""
    group: str
    """Group."""
    after: tuple[str, ...]
    """Names of services of the tool that it needs."""
    start: bool
    """Whether it can do its work without configuration, and is started when it is installed."""
    socket: Socket | None
    """Where it is reached."""
    configuration: str | None
    """File with `variables`; absolute, with holes."""
    variables: tuple[Setting, ...]
    """What can be configured."""
    secrets: tuple[Secret, ...]
    """Secret files."""
    prepare: tuple[Prepare, ...]
    """What is done before it is started."""
    writes: tuple[str, ...]
    """Directories that it writes to; absolute, with holes."""
    families: tuple[str, ...]
    """Families of sockets that it uses."""
    settings: tuple[tuple[str, str], ...]
    """Further settings of its unit."""
    relax: tuple[tuple[str, str], ...]
    """Settings of `hardening.DAEMON_HARDENING` that it cannot live with, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """The description of a tool."""

    name: str
    """Name of its root package in opam."""
    summary: str
    """One line about all of it."""
    build: Build | None
    """How it is built natively; None if by the rebuild plan, or taken as recorded."""
    packages: tuple[BinaryPackage, ...]
    """Packages, at least one; the first has what belongs to none in particular: users, directories
    and services. One without suffix if it is not built natively."""
    users: tuple[User, ...]
    """Users."""
    directories: tuple[Directory, ...]
    """Directories."""
    daemons: tuple[Daemon, ...]
    """Services, each after those that it needs."""
    omit: tuple[str, ...]
    """Patterns of recorded paths that are not packaged."""
    nixpkgs_name: str | None
    """Name of its package in nixpkgs, if its own is taken there."""
    notes: str
    """What an operator has to know; plain text, may be empty."""

    def units_before(self, daemon: Daemon) -> tuple[str, ...]:
        """Return the units of systemd that a service needs: of one with a socket the socket."""
        sockets = {one.name for one in self.daemons if one.socket is not None}
        own = (daemon.name,) if daemon.socket is not None else ()
        return tuple(
            f"{name}.{'socket' if name in sockets else 'service'}" for name in (*own, *daemon.after)
        )

    def describes(self, path: PurePosixPath) -> bool:
        """Tell whether it says what becomes of a file."""
        patterns = (pattern for package in self.packages for pattern, _ in package.files)
        return any(matches(path, pattern) for pattern in (*self.omit, *patterns))

    def place_of(self, path: PurePosixPath) -> PurePosixPath | None:
        """Return where a recorded file of the prefix goes; None if it is not packaged.

        A file that is already where a pattern would put it, as in upstream's own package, stays
        there, and so does one that no pattern matches.
        """
        if any(matches(path, pattern) for pattern in self.omit):
            return None
        for package in self.packages:
            for pattern, directory in package.files:
                if matches(path, pattern):
                    skipped = len(PurePosixPath(pattern).parts) - 1
                    return directory.joinpath(*path.parts[skipped:])
        return path


def prefix_path(tool: Tool | None, place: PurePosixPath) -> PurePosixPath | None:
    """Return where a program of upstream's own package was in the prefix; None if it is none.

    Args:
        tool: What is known about it.
        place: Path in the package, in the layout of a prefix, e.g. `libexec/albatross/albatrossd`.
    """
    for package in () if tool is None else tool.packages:
        for pattern, directory in package.files:
            origin = PurePosixPath(pattern)
            if origin.parts[0] in PROGRAMS and matches(place, str(directory / origin.name)):
                return origin.parent / place.name
    return place if place.parts[0] in PROGRAMS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where a system has things; absolute paths."""

    prefix: str
    """Prefix of programs."""
    bin: str
    """Programs of users."""
    sbin: str
    """Programs of root."""
    libexec: str
    """Programs that are called by others."""
    etc: str
    """Configuration."""
    state: str
    """What services keep."""
    run: str
    """What is gone after a restart of the host."""

    def filled(self, text: str) -> str:
        """Return a text without holes."""
        return HOLE.sub(lambda hole: str(getattr(self, hole[1])), text)

    def program(self, path: PurePosixPath) -> str:
        """Return the absolute path of a program in the layout of an opam prefix."""
        first, *rest = path.parts
        directory = getattr(self, first, f"{self.prefix}/{first}")
        return "/".join((directory, *rest))

    def arguments(self, daemon: Daemon) -> tuple[str, ...]:
        """Return the arguments of a service, with variables."""
        return tuple(map(self.filled, daemon.arguments))


def matches(path: PurePosixPath, pattern: str) -> bool:
    """Tell whether a path, or a directory that it is in, matches; `*` matches no slash."""
    wanted = PurePosixPath(pattern).parts
    if wanted[-1] == "**":
        wanted = wanted[:-1]
    return len(path.parts) >= len(wanted) and all(
        fnmatchcase(part, one) for part, one in zip(path.parts, wanted, strict=False)
    )
