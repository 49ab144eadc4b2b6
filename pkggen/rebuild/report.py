"""Whether a rebuild gave the recorded bytes, and if not, what may be the reason."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pkggen.errors import ToolError, printable
from pkggen.process import ExitError, run
from pkggen.recipe.variables import SYSTEM_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pkggen.rebuild.machine import Machine
    from pkggen.recipe.plan import Expected, RebuildPlan
    from pkggen.record.model import Artifact, Record, SystemPackage

_COMPILERS: Final = (
    "gcc",
    "cpp",
    "g++",
    "clang",
    "llvm",
    "binutils",
    "libc6-dev",
    "linux-libc-dev",
)
# The linker's hash of all that it wrote: it differs whenever anything does.
_BUILD_ID: Final = "--remove-section=.note.gnu.build-id"
_SHOWN: Final = 20
_SECONDS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Stripped:
    """How two files compare without their build ID and what only debuggers read."""

    debug: bool
    """Equal after `strip -g`, which removes debug information."""
    symbols: bool
    """Equal after `strip`, which removes the symbol table too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltFile:
    """A file that the rebuild should give."""

    path: str
    """Relative to the prefix."""
    kind: str
    """`sha256` or `md5`."""
    expected: str
    """The recorded digest, hexadecimal."""
    found: str | None
    """That of the rebuilt file; None when there is none."""
    stripped: Stripped | None
    """None when the files are equal, or cannot both be stripped."""
    compare: tuple[str, str] | None
    """Recorded and rebuilt file; None when they are equal, or one of them is not at hand."""

    @property
    def same(self) -> bool:
        """Whether it has the recorded bytes."""
        return self.found == self.expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One thing that decides what is built."""

    name: str
    """Name, e.g. `OS_VERSION`."""
    recorded: str | None
    """Recorded value; None when it was not recorded."""
    here: str | None
    """Value of the rebuild; None when it is not known."""

    @property
    def differs(self) -> bool:
        """Whether both are known and differ."""
        return None not in (self.recorded, self.here) and self.recorded != self.here


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageVersions:
    """A system package that is not the same in the record and here."""

    name: str
    """Name."""
    recorded: str | None
    """Recorded version; None when it is installed here only."""
    here: str | None
    """Version here; None when it is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a rebuild came to."""

    job: str
    """Name of the job."""
    files: tuple[BuiltFile, ...]
    """Every recorded file, sorted by path."""
    conditions: tuple[Condition, ...]
    """What is known of both builds."""
    packages: tuple[PackageVersions, ...] | None
    """Differing system packages, compilers first; None when one of the lists is missing."""
    compilers: tuple[tuple[str, str], ...]
    """Tool of the rebuild and what it says of itself; this is not recorded."""
    offline: bool
    """Whether the rebuild had no network."""
    diffoscope: bool
    """Whether diffoscope is installed."""

    @property
    def same(self) -> bool:
        """Whether all files have the recorded bytes."""
        return all(file.same for file in self.files)


def compare(  # noqa: PLR0913 - what was recorded, and what a rebuild gave
    record: Record,
    plan: RebuildPlan,
    machine: Machine,
    *,
    result: Path,
    originals: Path,
    offline: bool,
    environment: Mapping[str, str],
) -> Report:
    """Compare a finished rebuild with the record.

    Args:
        record: What was rebuilt.
        plan: How it was rebuilt.
        machine: Where it was rebuilt.
        result: Directory of the rebuilt files.
        originals: Directory that gets copies of those recorded files that differ.
        offline: Whether the rebuild had no network.
        environment: Its PATH finds `strip` and `diffoscope`.

    Raises:
        ToolError: the system refused to read or write a file.
    """
    artifacts = {str(artifact.path): artifact for artifact in record.artifacts}
    try:
        files = tuple(
            _built(expected, artifacts.get(expected.path), result, originals, environment)
            for expected in plan.expected
        )
    except OSError as error:
        raise ToolError(
            f"the rebuilt files cannot be compared: {error.strerror or error}", where=str(result)
        ) from error
    return Report(
        job=record.job,
        files=files,
        conditions=_conditions(record, plan, machine),
        packages=package_differences(record.system_packages, machine.packages),
        compilers=machine.compilers,
        offline=offline,
        diffoscope=shutil.which("diffoscope", path=environment.get("PATH", "")) is not None,
    )


def describe(report: Report) -> Iterator[str]:
    """Yield the lines of a report for people; none holds control characters."""
    return map(printable, _lines(report))


def _built(
    expected: Expected,
    artifact: Artifact | None,
    result: Path,
    originals: Path,
    environment: Mapping[str, str],
) -> BuiltFile:
    rebuilt = result / expected.path
    found = None
    # A link that a build left could make anything of this machine count as built.
    if rebuilt.is_file() and rebuilt.resolve() == result.resolve() / expected.path:
        with rebuilt.open("rb") as file:
            found = hashlib.file_digest(file, expected.kind).hexdigest()
    stripped = sides = None
    if artifact is not None and found is not None and found != expected.digest:
        original = originals / expected.path
        _copy(artifact, original)
        sides = (str(original), str(rebuilt))
        stripped = _stripped(original, rebuilt, environment)
    return BuiltFile(
        path=expected.path,
        kind=expected.kind,
        expected=expected.digest,
        found=found,
        stripped=stripped,
        compare=sides,
    )


def _copy(artifact: Artifact, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with artifact.content.open() as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy)


def _stripped(one: Path, other: Path, environment: Mapping[str, str]) -> Stripped | None:
    with tempfile.TemporaryDirectory(prefix="pkggen-") as directory:

        def equal(*options: str) -> bool:
            contents = []
            for name, file in (("one", one), ("other", other)):
                target = Path(directory, name)
                run(
                    ("strip", *options, _BUILD_ID, "-o", str(target), str(file)),
                    environment=environment,
                    timeout=_SECONDS,
                    install="it is part of binutils",
                )
                contents.append(target.read_bytes())
            return contents[0] == contents[1]

        try:
            return Stripped(debug=equal("-g"), symbols=equal())
        except ExitError:  # not object files
            return None


def _conditions(record: Record, plan: RebuildPlan, machine: Machine) -> tuple[Condition, ...]:
    here = dict(machine.system)
    variables = dict(plan.environment)
    system = sorted(set(SYSTEM_KEYS.values()) - {"OS_FAMILY"})
    return (
        *(Condition(name=k, recorded=record.environment.get(k), here=here.get(k)) for k in system),
        Condition(name="PREFIX", recorded=record.environment.get("PREFIX"), here=plan.prefix),
        Condition(
            name="build directory",
            recorded=None,
            here=plan.root.directory
            or f"{plan.prefix}/.opam-switch/build/{plan.root.package.full_name}",
        ),
        Condition(
            name="SOURCE_DATE_EPOCH",
            recorded=record.environment.get("SOURCE_DATE_EPOCH"),
            here=variables.get("SOURCE_DATE_EPOCH"),
        ),
    )


def package_differences(
    recorded: tuple[SystemPackage, ...] | None, here: tuple[SystemPackage, ...] | None
) -> tuple[PackageVersions, ...] | None:
    """Return the packages that are not the same, compilers first; None when a list is missing."""
    if recorded is None or here is None:
        return None
    old, new = _versions(recorded), _versions(here)
    names = sorted(old.keys() | new.keys(), key=lambda name: (_rank(name), name))
    return tuple(
        PackageVersions(name=name, recorded=old.get(name), here=new.get(name))
        for name in names
        if old.get(name) != new.get(name)
    )


def _versions(packages: tuple[SystemPackage, ...]) -> dict[str, str]:
    """Return versions by name; a package of several architectures may have several."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for package in packages:
        found[package.name].append(package.version)
    return {name: ", ".join(versions) for name, versions in found.items()}


def _rank(name: str) -> int:
    return next(
        (
            i
            for i, compiler in enumerate(_COMPILERS)
            if name == compiler or name.startswith(f"{compiler}-")
        ),
        len(_COMPILERS),
    )


def _lines(report: Report) -> Iterator[str]:
    for file in report.files:
        if file.same:
            yield f"same     {file.path}  {file.kind} {file.found}"
        elif file.found is None:
            yield f"missing  {file.path}  {file.kind} {file.expected}"
        else:
            yield f"differs  {file.path}"
            yield f"         recorded {file.kind} {file.expected}"
            yield f"         rebuilt  {file.kind} {file.found}"
            yield f"         {_meaning(file)}"
    if not report.offline:
        yield "the rebuild could not be kept from the network"
    if report.same:
        yield from (line.strip() for line in _package_lines(report, shown=0))
        return
    yield ""
    yield from _condition_lines(report)
    yield from _package_lines(report, shown=_SHOWN)
    for tool, version in report.compilers:
        yield f"  {tool} of the rebuild: {version}"
    if not any(c.differs for c in report.conditions) and report.packages == ():
        yield "nothing that was recorded differs: perhaps the build is not deterministic; repeat it"
    yield from _advice(report)


def _meaning(file: BuiltFile) -> str:
    match file.stripped:
        case None if file.compare is None:
            return "the record has its digest only, so no more can be said"
        case None:
            return "they are not both object files, or cannot be stripped"
        case Stripped(debug=True):
            return (
                "equal after `strip -g`: only debug information differs, most often the paths "
                "in it, which come from PREFIX and the build directory"
            )
        case Stripped(symbols=True):
            return "equal after `strip`: only debug information and the symbol table differ"
        case _:
            return "different even after `strip`: code or data differ"


def _condition_lines(report: Report) -> Iterator[str]:
    yield "what was recorded, and how the rebuild was done:"
    for condition in report.conditions:
        recorded = condition.recorded or "not recorded"
        here = condition.here or "not known"
        if condition.differs:
            yield f"  {condition.name}: recorded {recorded}, here {here}"
        elif condition.recorded is None:
            yield f"  {condition.name}: not recorded, here {here}"
        else:
            yield f"  {condition.name}: {recorded}" + ("" if condition.here else ", here not known")


def _package_lines(report: Report, *, shown: int) -> Iterator[str]:
    if report.packages is None:
        yield "  system packages: not recorded, or not known here"
        return
    both = [p for p in report.packages if p.recorded is not None and p.here is not None]
    gone = [p for p in report.packages if p.here is None]
    new = len(report.packages) - len(both) - len(gone)
    yield (
        f"  system packages: {len(both)} of another version, {len(gone)} recorded ones not here, "
        f"{new} here that were not recorded"
    )
    for package in [*both, *gone][:shown]:
        yield (
            f"    {package.name}: recorded {package.recorded}, "
            f"here {package.here or 'not installed'}"
        )
    if len(both) + len(gone) > shown > 0:
        yield f"    … and {len(both) + len(gone) - shown} more (--json names all)"


def _advice(report: Report) -> Iterator[str]:
    pairs = [file.compare for file in report.files if file.compare is not None]
    if pairs and not report.diffoscope:
        yield "diffoscope shows what differs inside the files (Debian package diffoscope-minimal):"
    for recorded, rebuilt in pairs:
        yield f"  diffoscope {recorded} {rebuilt}"
