"""Rebuilding on this machine, at the recorded place, without network where that is possible."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, PkggenError, ToolError, raise_all
from pkggen.process import ExitError, inherited, run, stream
from pkggen.rebuild.layout import DISTFILES, RESULT, SCRIPT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pkggen.recipe.plan import RebuildPlan

DIFFERS: Final = 4
"""Exit status of the script when it ran to its end and a file is not the recorded one."""

_ALWAYS: Final = {
    "sh": "dash",
    "env": "coreutils",
    "awk": "mawk",
    "sed": "sed",
    "tar": "tar",
    "gzip": "gzip",
    "make": "make",
    "cc": "gcc",
    "opam-installer": "opam-installer",
}
_FOR_SUFFIXES: Final = {
    ".zip": ("unzip", "unzip"),
    ".xz": ("xz", "xz-utils"),
    ".txz": ("xz", "xz-utils"),
    ".bz2": ("bzip2", "bzip2"),
    ".tbz": ("bzip2", "bzip2"),
    ".tbz2": ("bzip2", "bzip2"),
}
_ISOLATION: Final = (
    ("unshare", "--net"),
    ("unshare", "--map-current-user", "--net"),
    ("unshare", "--map-root-user", "--net"),
)
_SAFE: Final = re.compile(r"[A-Za-z0-9_+./~-]+")
_WEEK: Final = 7 * 24 * 3600
_TEMPORARY: Final = ".opam-switch/pkggen-temporary"


def needed_tools(plan: RebuildPlan) -> dict[str, str]:
    """Return the programs that the script itself calls, and their Debian packages."""
    found = dict(_ALWAYS)
    if any(package.patches for package in plan.packages):
        found["patch"] = "patch"
    for source in plan.sources:
        for suffix, (tool, package) in _FOR_SUFFIXES.items():
            if source.suffix.endswith(suffix):
                found[tool] = package
    return found


def check_directory(directory: Path) -> None:
    """Check that the script can work in a directory.

    Raises:
        InputError: its path has characters that make and configure scripts stumble over.
    """
    if not _SAFE.fullmatch(str(directory)):
        raise InputError(
            "a rebuild needs a path of letters, digits and `_+.~-` only", where=str(directory)
        )


def check_here(plan: RebuildPlan) -> None:
    """Check that the plan can run on this machine.

    Raises:
        InputError: something is in the way.
        ToolError: a program is missing.
        Faults: several of these.
    """
    raise_all((*_missing_tools(plan), *_obstacles(plan)))


def run_here(
    plan: RebuildPlan,
    directory: Path,
    *,
    jobs: int,
    keep: bool,
    progress: Callable[[str], None],
) -> bool:
    """Run the script of a directory; whether the bytes are right is not looked at.

    The prefix is removed afterwards, unless it is to be kept or was kept before. After an error
    it stays, and another run goes on where this one stopped.

    Args:
        plan: The plan of the script.
        directory: From `lay_out`, absolute.
        jobs: Processes at a time.
        keep: Keep the prefix.
        progress: Is told the name of each package when its build begins, and other news.

    Returns:
        Whether it had no network.

    Raises:
        InputError: another rebuild uses the prefix.
        ToolError: a step failed, or the system refused something.
    """
    network = isolation(progress)
    result = directory / RESULT
    argv = (
        *(network or ()),
        *("sh", str(directory / SCRIPT), "-d", str(directory / DISTFILES)),
        *("-p", plan.prefix, "-j", str(jobs), "-o", str(result)),
    )
    with _claimed(Path(plan.prefix), keep=keep):
        try:
            forget(plan, result)
            with stream(
                argv, environment=_environment(), timeout=_WEEK, install="install util-linux"
            ) as output:
                for line in output:
                    progress(line.decode(errors="replace").rstrip("\n"))
        except ExitError as error:
            if error.status != DIFFERS:
                raise ToolError(
                    error.message,
                    where=str(directory / SCRIPT),
                    hint=f"{plan.prefix} is kept: after a repair, the same command goes on there",
                ) from error
        except OSError as error:
            raise ToolError(error.strerror or str(error), where=str(result)) from error
    return network is not None


def forget(plan: RebuildPlan, result: Path) -> None:
    """Remove the built files of an earlier rebuild, so that none is taken for a new one."""
    for expected in plan.expected:
        path = result / expected.path
        if path.parent.resolve() == (result.resolve() / expected.path).parent:
            path.unlink(missing_ok=True)


def search_path(plan: RebuildPlan) -> str:
    """Return where the script looks for programs."""
    return os.environ.get("REBUILD_PATH") or plan.search_path


def _environment() -> dict[str, str]:
    return inherited("PATH", "REBUILD_PATH")


def _missing_tools(plan: RebuildPlan) -> Iterator[PkggenError]:
    path = search_path(plan)
    for tool, package in needed_tools(plan).items():
        if shutil.which(tool, path=path) is None:
            yield ToolError(
                f"{tool} is needed and not in {path}",
                hint=f"install it (Debian: {package}), or set REBUILD_PATH to where programs are",
            )


def _obstacles(plan: RebuildPlan) -> Iterator[PkggenError]:
    prefix = Path(plan.prefix)
    yield from _foreign(prefix)
    if prefix.is_symlink() or (prefix.exists() and not prefix.is_dir()):
        yield InputError("the recorded PREFIX is no directory here", where=str(prefix))
    elif prefix.is_dir() and any(prefix.iterdir()) and _switch_at(prefix) != plan.switch_id:
        yield InputError(
            "the recorded PREFIX is in use by something else",
            where=str(prefix),
            hint="move it away, or use --in-chroot: below another PREFIX other bytes are built",
        )
    yield from _unwritable(prefix)
    if plan.root.directory is not None:
        directory = Path(plan.root.directory)
        yield from _foreign(directory)
        yield from _foreign(Path(f"{directory}.lock"))
        if directory.exists() and not Path(f"{directory}.lock").is_dir():
            yield InputError(
                "the recorded build directory exists here, and no rebuild of pkggen made it",
                where=str(directory),
                hint="move it away, or use --in-chroot",
            )
        yield from _unwritable(directory)


def _switch_at(prefix: Path) -> str | None:
    try:
        return (prefix / ".opam-switch/pkggen-switch").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


def _foreign(path: Path) -> Iterator[PkggenError]:
    """Yield an error if somebody else could change what is built there."""
    try:
        owner = path.lstat().st_uid
    except OSError:
        return
    if owner not in {0, os.geteuid()}:
        yield InputError(
            "this belongs to another user, who could change what is built there",
            where=str(path),
            hint="remove it, or use --in-chroot",
        )


def _unwritable(path: Path) -> Iterator[PkggenError]:
    parent = next(parent for parent in (path, *path.parents) if parent.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        yield InputError(
            f"nothing can be written below {parent}",
            where=str(path),
            hint="the recorded bytes need the recorded place; use --in-chroot",
        )


def isolation(progress: Callable[[str], None]) -> Sequence[str] | None:
    """Return the words before a command that take the network from it; None if nothing does here.

    Args:
        progress: Is told when it cannot be done.
    """
    if sys.platform == "linux":
        for argv in _ISOLATION:
            try:
                run((*argv, "true"), environment=_environment(), timeout=60, install="")
            except ToolError:
                continue
            return argv
    progress("this machine cannot take the network away from the rebuild; it has to do without")
    return None


@contextmanager
def _claimed(prefix: Path, *, keep: bool) -> Iterator[None]:
    """Hold the prefix against other processes; remove it at the end if it was made for this."""
    temporary = prefix / _TEMPORARY
    try:
        new = not prefix.exists()
        prefix.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(prefix, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ToolError(error.strerror or str(error), where=str(prefix)) from error
    try:
        if not _locked(descriptor, prefix):
            raise InputError("another rebuild uses this PREFIX", where=str(prefix))
        if keep:
            temporary.unlink(missing_ok=True)
        elif new:
            temporary.parent.mkdir()
            temporary.touch()
        yield
        if temporary.exists():
            shutil.rmtree(prefix)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, prefix: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), prefix.stat())
    except (BlockingIOError, FileNotFoundError):  # the other one still runs, or has just removed it
        return False
