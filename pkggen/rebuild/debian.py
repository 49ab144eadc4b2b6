"""Building Debian source packages: in a clean chroot by sbuild, else on this machine.

Sources: sbuild(1) (chroot mode unshare), dpkg-buildpackage(1), mmdebstrap(1).
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, ToolError
from pkggen.process import ExitError, inherited, run, stream
from pkggen.rebuild.here import isolation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_DAY: Final = 24 * 3600
_KEPT_LINES: Final = 20
_STEP: Final = re.compile(
    r"dpkg-buildpackage: info|\| [A-Z]| {3}dh_|[A-Za-z0-9_+-]+\.[0-9][A-Za-z0-9.+~-]*$"
)
"""Of dpkg-buildpackage and debhelper, sbuild, and debian/rebuild.sh."""
_ENTRY: Final = re.compile(r"\S+ \(\S+\) ([A-Za-z0-9-]+); .*")
_LINE_CHARACTERS: Final = 1000
_BUILT: Final = (".deb", ".udeb", ".buildinfo", ".changes")
_TREE: Final = "tree"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chroot:
    """A clean system to build in."""

    tarball: Path
    """A file system as mmdebstrap packs it; made if it is missing."""
    suite: str
    """Name of the release, e.g. `bookworm`."""
    archive: str
    """URL of the Debian archive to make it from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What came of a source package."""

    files: tuple[Path, ...]
    """Packages and what describes them, sorted."""
    log: Path
    """All that the build said."""


def why_no_chroot(chroot: Chroot) -> str | None:
    """Say why sbuild cannot build on this machine; None if it can."""
    if os.geteuid() == 0:
        return "sbuild makes its chroot as an ordinary user, and this is root"
    for tool, package in (("sbuild", "sbuild"), ("newuidmap", "uidmap")):
        if shutil.which(tool) is None:
            return f"{tool} is not installed (Debian: {package})"
    if not chroot.tarball.exists() and shutil.which("mmdebstrap") is None:
        return f"there is no {chroot.tarball}, and mmdebstrap, which makes it, is not installed"
    return None


def build_in_chroot(
    dsc: Path, output: Path, chroot: Chroot, progress: Callable[[str], None]
) -> Built:
    """Build a source package with sbuild, in a new chroot without network.

    Args:
        dsc: The source package; its other files lie beside it.
        output: Directory for the packages and the log; made if it is missing.
        chroot: What to build in.
        progress: Is told what happens.

    Raises:
        InputError: there is no such source package.
        ToolError: a program is missing or failed; the message names the log.
    """
    _check(dsc)
    if not chroot.tarball.exists():
        _make_chroot(chroot, progress)

    def prepared(work: Path) -> tuple[Sequence[str], Path]:
        options = (
            *("--chroot-mode=unshare", f"--chroot={chroot.tarball.absolute()}"),
            # It only names the distribution in the .changes, which is to be that of the changelog.
            f"--dist={_distribution(_unpacked(dsc, work))}",
            *("--arch-all", "--nolog", "--no-run-lintian"),
            # mmdebstrap leaves no lists of packages, so that sbuild has to update.
            *("--no-apt-upgrade", "--no-apt-distupgrade"),
        )
        return ("sbuild", *options, f"--build-dir={work}", str(dsc.absolute())), work

    return _built(dsc, output, progress, prepared)


def build_here(dsc: Path, output: Path, progress: Callable[[str], None]) -> Built:
    """Build a source package with dpkg-buildpackage on this machine, without network.

    Arguments and errors are those of `build_in_chroot`.
    """
    _check(dsc)
    network = isolation(progress) or ()

    def prepared(work: Path) -> tuple[Sequence[str], Path]:
        tree = _unpacked(dsc, work)
        return (*network, "dpkg-buildpackage", "--build=binary", "-us", "-uc"), tree

    return _built(dsc, output, progress, prepared)


def _check(dsc: Path) -> None:
    if dsc.suffix != ".dsc" or not dsc.is_file():
        raise InputError(
            "is no Debian source package",
            where=str(dsc),
            hint="name the .dsc that `pkggen deb` wrote",
        )


def _unpacked(dsc: Path, work: Path) -> Path:
    """Return the tree of a source package, whose files have the checksums of the `.dsc`."""
    tree = work / _TREE
    argv = ("dpkg-source", "--require-strong-checksums", "--extract", str(dsc.absolute()))
    run((*argv, str(tree)), environment=_environment(), timeout=_DAY, install="install dpkg-dev")
    return tree


def _distribution(tree: Path) -> str:
    """Return the distribution that the changelog of a source package names."""
    changelog = tree / "debian/changelog"
    with changelog.open(encoding="utf-8", errors="replace") as file:
        found = _ENTRY.fullmatch(file.readline(_LINE_CHARACTERS).rstrip())
    if found is None:
        raise InputError("it names no distribution", where=str(changelog.relative_to(tree.parent)))
    return found[1]


def _make_chroot(chroot: Chroot, progress: Callable[[str], None]) -> None:
    """Make the tarball under another name first."""
    progress(f"making {chroot.tarball} of Debian {chroot.suite} from {chroot.archive}")
    chroot.tarball.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pkggen-", dir=chroot.tarball.parent) as work:
        new = Path(work, chroot.tarball.name)
        run(
            ("mmdebstrap", "--variant=buildd", chroot.suite, str(new), chroot.archive),
            environment=_environment(),
            timeout=_DAY,
            install="install mmdebstrap",
        )
        new.replace(chroot.tarball)


def _built(
    dsc: Path,
    output: Path,
    progress: Callable[[str], None],
    prepared: Callable[[Path], tuple[Sequence[str], Path]],
) -> Built:
    """Run a build in a directory of its own, and move what it made when it has ended well."""
    log = output / f"{dsc.stem}.log"
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pkggen-", dir=output) as directory:
            work = Path(directory).absolute()
            argv, cwd = prepared(work)
            _logged(argv, cwd, log, progress)
            made = sorted(path for path in work.iterdir() if path.suffix in _BUILT)
            for path in made:
                path.replace(output / path.name)
    except OSError as error:
        raise ToolError(error.strerror or str(error), where=str(output)) from error
    if not any(path.suffix == ".deb" for path in made):
        raise ToolError("the build made no package", where=str(log))
    return Built(files=tuple(output / path.name for path in made), log=log)


def _logged(argv: Sequence[str], cwd: Path, log: Path, progress: Callable[[str], None]) -> None:
    last: list[str] = []
    try:
        with (
            log.open("w", encoding="utf-8") as file,
            stream(
                argv,
                environment=_environment(),
                timeout=_DAY,
                install="install dpkg-dev and debhelper, or sbuild",
                cwd=cwd,
                joined=True,
            ) as output,
        ):
            for raw in output:
                line = raw.decode(errors="replace").rstrip("\n")
                file.write(f"{line}\n")
                last = [*last, line][-_KEPT_LINES:]
                if _STEP.match(line):
                    progress(line.strip(" |"))
    except ExitError as error:
        raise ToolError(
            f"the build failed with status {error.status}:\n" + "\n".join(last),
            where=str(log),
            hint="the whole log is there",
        ) from error


def _environment() -> dict[str, str]:
    # dpkg-buildpackage reads further variables, which would change what is built.
    return {**inherited("HOME", "LOGNAME", "PATH", "USER"), "LC_ALL": "C.UTF-8"}
