"""The same record rebuilt twice: by opam itself, and by the script that pkggen generates.

opam works offline with an empty repository: the frozen export holds the metadata, and the download
cache the sources. What opam cannot do, the rebuild of a root with vendored sources, is done by hand
in the steps of orb (`src/orb.ml`, rebuild).
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import stat
import subprocess
import tarfile
import tempfile
import time
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pkggen.recipe.rebuild import ORB_BUILD, rebuild_plan
from pkggen.recipe.script import rebuild_script
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.sources.addresses import Choices
from pkggen.sources.cache import Cache
from pkggen.sources.fetch import fetch
from pkggen.web import Patience

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pkggen.recipe.plan import RebuildPlan

EPOCH: Final = 1589138087
SEARCH_PATH: Final = "/bin:/sbin:/usr/bin:/usr/sbin"
TOOLS: Final = (
    *("awk", "bmake", "busybox", "dpkg-query", "dune", "gcc", "make", "ocamlfind", "ocamlopt"),
    *("opam", "opam-installer", "patch", "tar", "unshare", "unzip", "xz"),
)
"""What the tests of this directory run."""

_WRITERS: Final = {
    ".tar.bz2": "w:bz2",
    ".tar.gz": "w:gz",
    ".tgz": "w:gz",
    ".tbz": "w:bz2",
    ".tar.xz": "w:xz",
}
_KINDS: Final = ("md5", "sha256", "sha512")
_REFERENCE: Final = re.compile(r'"(md5|sha256|sha512)=@([^"]+)"')


class FailedError(Exception):
    """A command failed; the message ends with what it said."""


Tree = dict[str, tuple[str, ...]]
"""What is below a directory: type, mode, and the hash of a file or the target of a link."""


def missing_tools() -> list[str]:
    """Return what has to be installed first, also a network of its own for a process."""
    missing = [tool for tool in TOOLS if shutil.which(tool, path=SEARCH_PATH) is None]
    if not missing:
        version = subprocess.run(["opam", "--version"], check=True, capture_output=True, text=True)
        if not version.stdout.startswith("2.1."):
            missing.append(f"opam 2.1 (there is {version.stdout.strip()})")
        if subprocess.run([*_without_network(), "true"], check=False).returncode:
            missing.append("the right to use unshare --net")
    return missing


def _without_network() -> tuple[str, ...]:
    return ("unshare", "--net", *(() if os.geteuid() == 0 else ("--map-root-user",)))


# Packages of the test


def archive(directory: Path, name: str) -> bytes:
    """Return an archive of what is in a directory, the same bytes each time.

    Args:
        directory: Its entries become the top entries of the archive.
        name: Its suffix says which format.
    """
    members = sorted(path.relative_to(directory) for path in directory.rglob("*"))
    packed = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(packed, "w") as file:
            for member in members:
                info = zipfile.ZipInfo.from_file(directory / member, str(member))
                info.date_time = (2020, 5, 10, 19, 14, 46)
                info.external_attr = _mode(directory / member) << 16
                content = b"" if info.is_dir() else (directory / member).read_bytes()
                file.writestr(info, content)
        return packed.getvalue()
    mode = next(mode for suffix, mode in _WRITERS.items() if name.endswith(suffix))
    with tarfile.open(fileobj=packed, mode=mode, format=tarfile.USTAR_FORMAT) as tar:  # type: ignore[call-overload]
        for member in members:
            info = tar.gettarinfo(directory / member, str(member))
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.mtime = EPOCH
            info.mode = _mode(directory / member) & 0o777
            data = (directory / member).read_bytes() if info.isreg() else b""
            tar.addfile(info, io.BytesIO(data))
    whole = packed.getvalue()
    # gzip states when it packed.
    return whole[:4] + bytes(4) + whole[8:] if mode == "w:gz" else whole


def _mode(path: Path) -> int:
    found = path.lstat().st_mode
    bits = 0o755 if found & 0o100 else 0o644
    return stat.S_IFMT(found) | bits


def own_sources(*packages: Path) -> dict[str, bytes]:
    """Return the sources that stand below packages: files, and directories to be packed."""
    return {
        path.name: path.read_bytes() if path.is_file() else archive(path, path.name)
        for directory in packages
        for path in sorted(directory.glob("*/src/*"))
    }


def new_world(base: Path, packages: Sequence[Path], files: Mapping[str, bytes]) -> World:
    """Write an opam repository and a download cache.

    Args:
        base: A directory of its own with a short path.
        packages: Directories with packages: metadata in which `"KIND=@FILE"` stands for the
            checksum of a source, and own sources.
        files: Further sources.
    """
    files = {**own_sources(*packages), **files}
    repository = base / "repository"
    repository.mkdir()
    (repository / "repo").write_text('opam-version: "2.0"\n')

    def stated(match: re.Match[str]) -> str:
        return f'"{match[1]}={hashlib.new(match[1], files[match[2]]).hexdigest()}"'

    for package in (path for directory in packages for path in sorted(directory.iterdir())):
        name = package.name.partition(".")[0]
        place = repository / "packages" / name / package.name
        shutil.copytree(package, place, ignore=shutil.ignore_patterns("src"))
        opam = place / "opam"
        opam.write_text(_REFERENCE.sub(stated, opam.read_text()))
    cache = base / "cache"
    for data in files.values():
        for kind in _KINDS:
            digest = hashlib.new(kind, data).hexdigest()
            named = cache / kind / digest[:2] / digest
            named.parent.mkdir(parents=True, exist_ok=True)
            named.write_bytes(data)
    return World(base=base, repository=repository, files=files, cache=cache)


# Trees


def tree(directory: Path) -> Tree:
    """Return what a prefix holds, without opam's own state."""
    found: Tree = {}
    for parent, directories, names in os.walk(directory):
        if Path(parent) == directory and ".opam-switch" in directories:
            directories.remove(".opam-switch")
        for path in (Path(parent, name) for name in (*directories, *names)):
            status = path.lstat()
            mode = oct(stat.S_IMODE(status.st_mode))
            name = str(path.relative_to(directory))
            if path.is_symlink():
                found[name] = ("link", str(path.readlink()))
            elif path.is_dir():
                found[name] = ("directory", mode)
            else:
                found[name] = ("file", mode, hashlib.sha256(path.read_bytes()).hexdigest())
    return found


def differences(wanted: Tree, found: Tree) -> list[str]:
    """Return a line for everything that is not the same."""
    return [
        f"{name}: {wanted.get(name, 'not there')}, here {found.get(name, 'not there')}"
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name)
    ]


def files_of(found: Tree) -> int:
    """Return how many files and links there are."""
    return sum(kind != "directory" for kind, *_ in found.values())


# opam


@dataclass(frozen=True, slots=True, kw_only=True)
class VendoredRoot:
    """The steps of a root with vendored sources, written down by hand."""

    archive: str
    """Its source."""
    below: str
    """Where `duniverse` is; empty, or a relative directory with a final slash."""
    vendored: Mapping[str, str]
    """Source of each vendored directory."""
    commands: tuple[tuple[str, ...], ...]
    """Configure, build and install, with `@PREFIX@` where the prefix stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Places of one record: all builds of it use the same prefix, one after the other."""

    base: Path
    """A directory of its own with a short path."""
    repository: Path
    """opam repository with all packages."""
    files: Mapping[str, bytes]
    """Sources by name."""
    cache: Path
    """The sources as opam keeps them."""

    @property
    def opam_root(self) -> Path:
        """OPAMROOT."""
        return self.base / "r"

    @property
    def prefix(self) -> Path:
        """Where everything is installed."""
        return self.opam_root / "s"

    @property
    def environment(self) -> dict[str, str]:
        """Return what orb gives to opam, and what spares questions."""
        return {
            "HOME": "/nonexistent",
            "OPAMCOLOR": "never",
            "OPAMERRLOGLEN": "0",
            "OPAMNODEPEXTS": "1",
            "OPAMPRECISETRACKING": "1",
            "OPAMROOT": str(self.opam_root),
            "OPAMROOTISOK": "1",
            "OPAMYES": "1",
            "PATH": SEARCH_PATH,
            "PREFIX": str(self.prefix),
            "SOURCE_DATE_EPOCH": str(EPOCH),
        }

    def clear(self) -> None:
        """Remove the prefix and opam's root."""
        if self.opam_root.exists():
            shutil.rmtree(self.opam_root)

    def opam(self, *arguments: str, jobs: int = 1, cwd: Path | None = None) -> None:
        """Run opam without network."""
        run(
            [*_without_network(), "opam", *arguments],
            environment=self.environment | {"OPAMJOBS": str(jobs)},
            cwd=cwd or self.base,
        )

    def new_switch(self, repository: Path) -> None:
        """Make an empty switch."""
        self.clear()
        options = ("--bare", "--no-setup", "--disable-sandboxing", "--bypass-checks")
        self.opam("init", *options, "--kind=local", "default", str(repository))
        shutil.copytree(self.cache, self.opam_root / "download-cache", dirs_exist_ok=True)
        self.opam("switch", "create", "s", "--empty")

    def record(self, root: str, vendored: VendoredRoot | None = None, jobs: int = 1) -> Path:
        """Build a root from the repository and write what orb records; return the record."""
        directory = self.base / f"{root}.record"
        directory.mkdir()
        self.new_switch(self.repository)
        if vendored is None:
            self.opam("install", "--switch=s", root, jobs=jobs)
            changes = self.prefix / ".opam-switch" / "install" / f"{root}.changes"
            hashes = changes.read_text()
        else:
            self.opam("install", "--switch=s", "--deps-only", root, jobs=jobs)
            self._export("dependencies")
            before = tree(self.prefix)
            self.build_vendored(vendored)
            added = [name for name in tree(self.prefix) if name not in before]
            hashes = _changes(self.prefix, added)
            self.opam("install", "--switch=s", "--fake", root)
        self._export("opam-switch")
        export = (self.base / "opam-switch").read_text()
        # opam 2.1 makes roots of what --deps-only installs; orb does not.
        full = re.search(rf'"({re.escape(root)}\.[^"]+)"', export)
        assert full is not None
        export = re.sub(r"^roots: \[[^]]*\]", f'roots: ["{full[1]}"]', export, flags=re.MULTILINE)
        (directory / "opam-switch").write_text(export)
        (directory / f"{root}.build-hashes").write_text(hashes)
        for name in re.findall(r'"([^"]+)" \{"F:', hashes):
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.prefix / name, directory / name)
        shown = ["dpkg-query", "--showformat=${Package}=${Version}\n", "--show"]
        (directory / "system-packages").write_bytes(run(shown))
        (directory / "build-environment").write_text(self._build_environment(root))
        self.clear()
        return directory

    def rebuild(
        self, record: Path, vendored: VendoredRoot | None = None, jobs: int = 1
    ) -> tuple[Tree, float]:
        """Rebuild with opam, offline and with an empty repository.

        Returns:
            What the prefix holds, and the seconds that it took once there was a switch.
        """
        empty = self.base / "empty"
        (empty / "packages").mkdir(parents=True, exist_ok=True)
        (empty / "repo").write_text('opam-version: "2.0"\n')
        self.new_switch(empty)
        start = time.monotonic()
        export = record / "opam-switch" if vendored is None else self.base / "dependencies"
        self.opam("switch", "import", "--switch=s", str(export), jobs=jobs)
        if vendored is not None:
            self.build_vendored(vendored)
        took = time.monotonic() - start
        found = tree(self.prefix)
        self._move_aside()
        return found, took

    def _move_aside(self) -> None:
        """Keep what opam built, for whoever looks into a difference."""
        aside = self.base / "by-opam"
        if aside.exists():
            shutil.rmtree(aside)
        self.prefix.replace(aside)
        self.clear()

    def _export(self, name: str) -> None:
        path = self.base / name
        path.unlink(missing_ok=True)
        self.opam("switch", "export", "--switch=s", "--full", "--freeze", str(path))

    def _build_environment(self, root: str) -> str:
        release = dict(
            line.partition("=")[::2]
            for line in Path("/etc/os-release").read_text().replace('"', "").splitlines()
        )
        lines = {
            "HOME": "/home/builder",
            "PATH": SEARCH_PATH,
            "SOURCE_DATE_EPOCH": EPOCH,
            "OPAMSOLVERTIMEOUT": 600,
            "OPAMERRLOGLEN": 0,
            "ORB_BUILDING_PACKAGE": root,
            "OPAMROOT": self.opam_root,
            "PREFIX": self.prefix,
            "SWITCH_PATH": "s",
            "ORB_DATA": 2,
            "ARCH": "x86_64",
            "OS_FAMILY": "debian",
            "OS_VERSION": release["VERSION_ID"],
            "OS_DISTRIBUTION": release["ID"],
            "OS": "linux",
        }
        return "\n".join(f"{key}={value}" for key, value in lines.items())

    def build_vendored(self, root: VendoredRoot) -> None:
        """Do what orb does for a root with vendored sources."""
        place = Path(ORB_BUILD)
        with _claimed(place):
            self._unpack(root.archive, place)
            duniverse = place / root.below / "duniverse"
            duniverse.mkdir(parents=True)
            (duniverse / "dune").write_text("(vendored_dirs *)")
            for directory, name in root.vendored.items():
                self._unpack(name, duniverse / directory)
            for command in root.commands:
                words = [word.replace("@PREFIX@", str(self.prefix)) for word in command]
                self.opam("exec", "--switch=s", "--", *words, cwd=place)
            shutil.rmtree(place)

    def _unpack(self, name: str, directory: Path) -> None:
        if directory.exists():
            shutil.rmtree(directory)
        with tempfile.TemporaryDirectory(dir=self.base) as scratch:
            with tarfile.open(fileobj=io.BytesIO(self.files[name])) as tar:
                tar.extractall(scratch)  # noqa: S202 - the fixtures' own, or checked by hash
            top = list(Path(scratch).iterdir())
            shutil.copytree(top[0] if len(top) == 1 else scratch, directory, symlinks=True)


def _changes(prefix: Path, added: Iterable[str]) -> str:
    """Return build-hashes as opam prints them."""
    entries = [
        f'  "{name}" {{"F:{hashlib.md5((prefix / name).read_bytes()).hexdigest()}"}}'  # noqa: S324
        for name in sorted(added)
        if (prefix / name).is_file()
    ]
    return "\n".join(['opam-version: "2.0"', "added: [", *entries, "]", ""])


@contextmanager
def _claimed(place: Path) -> Iterator[None]:
    """Wait for a directory that all rebuilds share; the script uses the same lock."""
    lock = place.with_name(f"{place.name}.lock")
    deadline = time.monotonic() + 120
    while True:
        try:
            lock.mkdir()
            break
        except FileExistsError:
            assert time.monotonic() < deadline, f"{lock}: another rebuild uses {place}"
            time.sleep(0.5)
    try:
        (lock / "process").write_text(f"{os.getpid()}\n")
        yield
    finally:
        shutil.rmtree(lock)


# The script


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The script that pkggen generates for a record, and its sources."""

    path: Path
    """The script."""
    distfiles: Path
    """The directory that it reads."""
    plan: RebuildPlan
    """What it does."""

    def run(
        self,
        world: World,
        *,
        jobs: int = 1,
        shell: str = "sh",
        first_in_path: Path | None = None,
        stage: str = "all",
        keep: bool = False,
    ) -> tuple[Tree, float, str]:
        """Run a stage without network and environment.

        Returns:
            What the prefix holds, the seconds it took, and what it printed.
        """
        path = SEARCH_PATH if first_in_path is None else f"{first_in_path}:{SEARCH_PATH}"
        output = world.base / "result"
        clean = ("env", "-i", "HOME=/nonexistent", f"PATH={path}", f"REBUILD_PATH={path}")
        options = ("-d", str(self.distfiles), "-j", str(jobs), "-o", str(output))
        start = time.monotonic()
        printed = run(
            [*_without_network(), *clean, shell, str(self.path), *options, stage],
            environment={"PATH": SEARCH_PATH},
            cwd=world.base,
        )
        took = time.monotonic() - start
        found = tree(world.prefix)
        if not keep:
            world.clear()
            shutil.rmtree(output)
        return found, took, printed.decode()


def script(record: Path, place: Path, mirror: str) -> Script:
    """Plan, fetch and write the script for a record.

    Args:
        record: Directory of the record.
        place: A new directory for the script and its sources.
        mirror: Where the sources are, in the layout of opam's cache: a directory or a URL.
    """
    plan = rebuild_plan(assemble(read_directory(record, str(record))))
    patience = Patience(retries=0)  # the recorded addresses do not exist
    choices = Choices(mirrors=(mirror,), public_caches=(), patience=patience)
    fetched = fetch(plan.sources, Cache(place / "cache"), choices)
    distfiles = place / "distfiles"
    distfiles.mkdir(parents=True)
    for one in fetched:
        shutil.copyfile(one.path, distfiles / one.source.file_name)
    for carried in plan.carried:
        (distfiles / carried.file_name).write_bytes(carried.content)
    path = place / "rebuild.sh"
    digests = {one.source.file_name: one.hashes.sha256 for one in fetched}
    path.write_text(rebuild_script(plan, digests))
    return Script(path=path, distfiles=distfiles, plan=plan)


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> bytes:
    """Run a command and return what it printed; show everything when it fails."""
    done = subprocess.run(
        command,
        env=environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        umask=0o022,
        timeout=600,
        check=False,
    )
    said = done.stdout.decode(errors="replace")
    if done.returncode:
        raise FailedError(f"{' '.join(command)}: status {done.returncode}\n{said[-8000:]}")
    return done.stdout
