"""Rebuilding in a Debian chroot with the recorded packages, which mmdebstrap makes and removes.

Source: mmdebstrap(1), sections OPTIONS and HOOKS; apt_preferences(5).
"""

from __future__ import annotations

import getpass
import os
import re
import shlex
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, ToolError, raise_all
from pkggen.process import ExitError, inherited, stream
from pkggen.rebuild.here import DIFFERS, forget, needed_tools
from pkggen.rebuild.layout import DISTFILES, RESULT, SCRIPT
from pkggen.rebuild.machine import PROBE, read_machine
from pkggen.rebuild.report import package_differences
from pkggen.record.model import MAX_METADATA_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pkggen.errors import PkggenError
    from pkggen.rebuild.machine import Machine
    from pkggen.recipe.plan import RebuildPlan
    from pkggen.record.model import Record, SystemPackage

ARCHIVE: Final = "https://deb.debian.org/debian"
CHROOT: Final = "chroot"

CODENAMES: Final = {"10": "buster", "11": "bullseye", "12": "bookworm", "13": "trixie"}
"""Releases of Debian and the names of their suites."""
ARCHITECTURES: Final = {"x86_64": "amd64", "arm64": "arm64", "aarch64": "arm64"}
"""opam's names of architectures, and Debian's."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_VERSION: Final = re.compile(r"[0-9][A-Za-z0-9.+:~-]*")
_ARCHIVE_URL: Final = re.compile(r"(https?|file)://[A-Za-z0-9._~:/@%+-]+")
_WEEK: Final = 7 * 24 * 3600

# The outer apt installs, so that the chroot needs no certificates; names that the archive does
# not have are left out, and the preferences choose the versions.
_INSTALL: Final = r"""
set -eu
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
apt-cache dumpavail | sed -n 's/^Package: //p' | sort -u >"$1/rebuild/available"
sort -u "$1/rebuild/wanted" | comm -12 - "$1/rebuild/available" |
  xargs apt-get -qq -o DPkg::Chroot-Directory="$1" --allow-downgrades --no-install-recommends \
    install >/dev/null
"""

_BUILD: Final = r"""
mkdir -p /rebuild/result
sh /rebuild/probe.sh >/rebuild/machine </dev/null
status=0
sh /rebuild/rebuild.sh -d /rebuild/distfiles -o /rebuild/result -j "$1" 2>&1 || status=$?
echo "$status" >/rebuild/status
"""


def check_chroot(plan: RebuildPlan, record: Record, archive: str) -> None:
    """Check that a chroot can be made for a record.

    Raises:
        InputError: the record is of another system or does not say enough, or the archive's URL
            is none.
        ToolError: this machine cannot make one.
        Faults: several of these.
    """
    raise_all((*_unsuitable(plan, record, archive), *_unable()))


def run_in_chroot(  # noqa: PLR0913 - each is one decision of the caller
    plan: RebuildPlan,
    record: Record,
    directory: Path,
    *,
    archive: str,
    jobs: int,
    keep: bool,
    progress: Callable[[str], None],
) -> Machine:
    """Run the script of a directory in a new chroot without network.

    The chroot has the packages of the record, at the recorded versions where the archive has
    them, and is removed afterwards. Whether the bytes are right is not looked at.

    Args:
        plan: The plan of the script.
        record: The record of the plan, which has passed `check_chroot`.
        directory: From `lay_out`, absolute.
        archive: URL of a Debian archive.
        jobs: Processes at a time.
        keep: Keep the chroot, as `chroot` in the directory.
        progress: Is told the name of each package when its build begins, and other news.

    Returns:
        What the chroot was.

    Raises:
        InputError: there is a kept chroot already.
        ToolError: the chroot cannot be made, or a step failed.
    """
    kept = directory / CHROOT
    if keep and kept.exists():
        raise InputError("there is one already", where=str(kept), hint="remove it first")
    suite = CODENAMES[record.environment.get("OS_VERSION") or ""]
    progress(f"making a chroot of Debian {suite} from {archive}")
    try:
        forget(plan, directory / RESULT)
        with tempfile.TemporaryDirectory(prefix="chroot-", dir=directory) as work:
            Path(work).chmod(0o755)  # root of a user namespace is another user
            inputs = _write_inputs(Path(work), plan, record)
            argv = (
                # What hooks print goes to standard error, and is wanted while it comes.
                *("sh", "-c", 'exec "$@" 2>&1', "sh", *_namespaces(), "mmdebstrap"),
                "--variant=essential",
                f"--architectures={ARCHITECTURES[_architecture(record)]}",
                *("--components=main", "--skip=cleanup"),
                f"--format={'directory' if keep else 'null'}",
                *_hooks(inputs, directory, Path(work), jobs),
                *(suite, str(kept) if keep else "/dev/null", archive),
            )
            environment = inherited("PATH", "http_proxy", "https_proxy", "no_proxy")
            environment |= {"TMPDIR": work, "LC_ALL": "C"}
            with stream(argv, environment=environment, timeout=_WEEK, install="") as output:
                for said in output:
                    progress(said.decode(errors="replace").rstrip("\n"))
            disarm(directory / RESULT)
            machine = read_machine(told(Path(work, "machine")))
            status = status_of(told(Path(work, "status")))
    except ExitError as error:
        raise ToolError(
            f"mmdebstrap failed with status {error.status}; see what it said above",
            where=str(directory),
        ) from error
    except OSError as error:
        raise ToolError(error.strerror or str(error), where=str(directory)) from error
    for line in _missed(record, machine):
        progress(line)
    if keep:
        progress(f"the chroot is kept in {kept}")
    if status not in {0, DIFFERS}:
        raise ToolError(
            f"{SCRIPT} failed in the chroot with status {status}",
            where=str(directory / RESULT / "logs"),
        )
    return machine


def disarm(result: Path) -> None:
    """Remove what is harmless inside of a chroot only: links, devices, pipes, set-ID bits.

    Raises:
        ToolError: there is no directory.
    """
    if result.is_symlink() or not result.is_dir():
        raise ToolError("the chroot left no directory", where=str(result))
    for parent, directories, files in os.walk(result):
        for path in (Path(parent, name) for name in (*directories, *files)):
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
                path.chmod(mode & 0o777)
            else:
                path.unlink()


def told(path: Path) -> str:
    """Return a text from the chroot, where the build may have made anything of it.

    Raises:
        ToolError: it is no text of acceptable length.
        OSError: it is a link, or cannot be read.
    """
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise ToolError("the chroot left no regular file", where=path.name)
        data = file.read(MAX_METADATA_BYTES + 1)
    if len(data) > MAX_METADATA_BYTES:
        raise ToolError(f"the chroot left more than {MAX_METADATA_BYTES} bytes", where=path.name)
    return data.decode(errors="replace")


def status_of(text: str) -> int:
    """Return the exit status that a text is.

    Raises:
        ToolError: it is none.
    """
    if not re.fullmatch(r"[0-9]{1,3}\n", text):
        raise ToolError("the chroot does not tell how the script ended")
    return int(text)


def _unsuitable(plan: RebuildPlan, record: Record, archive: str) -> Iterator[PkggenError]:
    environment, where = record.environment, record.source
    distribution, version = environment.get("OS_DISTRIBUTION"), environment.get("OS_VERSION")
    if distribution != "debian" or version not in CODENAMES:
        yield InputError(
            f"a chroot is made for Debian {', '.join(CODENAMES)}; this was built on "
            f"{distribution or 'an unknown system'} {version or ''}".rstrip(),
            where=where,
        )
    if _architecture(record) not in ARCHITECTURES:
        yield InputError(f"a chroot for {_architecture(record)} cannot be made", where=where)
    if record.system_packages is None:
        yield InputError("the record does not say which system packages it needs", where=where)
    for package in record.system_packages or ():
        if not (_NAME.fullmatch(package.name) and _VERSION.fullmatch(package.version)):
            yield InputError(
                f"{package.name}={package.version} is no package of Debian", where=where
            )
    if not _ARCHIVE_URL.fullmatch(archive):
        yield InputError(f"{archive!r} is no URL of a Debian archive")
    for path in filter(None, (plan.prefix, plan.root.directory)):
        if path == "/rebuild" or path.startswith("/rebuild/"):
            yield InputError(f"{path} is where the chroot has the sources", where=where)


def _unable() -> Iterator[PkggenError]:
    for tool, package in (("mmdebstrap", "mmdebstrap"), ("unshare", "util-linux")):
        if shutil.which(tool) is None:
            yield ToolError(f"{tool} is not installed", hint=f"install the package {package}")
    if os.geteuid() and not (shutil.which("newuidmap") and _has_subordinate_ids()):
        yield ToolError(
            "a chroot needs root, or a user namespace with more than one user",
            hint="run it as root, or install uidmap and give yourself lines in /etc/subuid and "
            "/etc/subgid",
        )


def _has_subordinate_ids() -> bool:
    names = {getpass.getuser(), str(os.getuid())}
    try:
        return all(
            names & {line.partition(":")[0] for line in file.read_text().splitlines()}
            for file in (Path("/etc/subuid"), Path("/etc/subgid"))
        )
    except OSError:
        return False


def _architecture(record: Record) -> str:
    return record.environment.get("ARCH") or "x86_64"


def _namespaces() -> Sequence[str]:
    """Return what makes mounts and processes of root vanish with us, whatever kills us.

    Without root, mmdebstrap makes such namespaces itself.
    """
    if os.geteuid():
        return ()
    return ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def _write_inputs(work: Path, plan: RebuildPlan, record: Record) -> tuple[Path, ...]:
    packages = record.system_packages or ()
    wanted = {package.name for package in packages} | set(needed_tools(plan).values())
    texts = {
        "preferences": "\n".join(map(_preference, packages)),
        "wanted": "".join(f"{name}\n" for name in sorted(wanted)),
        "install.sh": _INSTALL,
        "probe.sh": PROBE,
        "build.sh": _BUILD,
    }
    for name, text in texts.items():
        (work / name).write_text(text)
    return tuple(work / name for name in texts)


def _preference(package: SystemPackage) -> str:
    return f"Package: {package.name}\nPin: version {package.version}\nPin-Priority: 1001\n"


def _missed(record: Record, machine: Machine) -> Iterator[str]:
    """Yield what the chroot could not get."""
    differences = package_differences(record.system_packages, machine.packages) or ()
    other = [
        f"{one.name} {one.recorded} (got {one.here})"
        for one in differences
        if one.recorded is not None and one.here is not None
    ]
    absent = [one.name for one in differences if one.here is None]
    if other:
        yield f"not in the archive at the recorded version: {', '.join(other)}"
    if absent:
        yield f"not in the archive at all: {', '.join(absent)}"


def _hooks(inputs: tuple[Path, ...], directory: Path, work: Path, jobs: int) -> Iterator[str]:
    preferences = shlex.quote(str(inputs[0]))
    copied = shlex.join(map(str, (*inputs, directory / SCRIPT, directory / DISTFILES)))
    yield f"--setup-hook=upload {preferences} /etc/apt/preferences.d/recorded"
    for hook in (
        'mkdir "$1/rebuild"',
        f"copy-in {copied} /rebuild",
        'sh "$1/rebuild/install.sh" "$1"',
        f'unshare --net chroot "$1" sh /rebuild/build.sh {jobs}',
        f"copy-out /rebuild/result {shlex.quote(str(directory))}",
        f"copy-out /rebuild/machine /rebuild/status {shlex.quote(str(work))}",
    ):
        yield f"--customize-hook={hook}"
