"""Measure pkggen against peers on this machine: `python tests/bench`.

Every row compares with something measured in the same run, a turn each, the best of all turns.

The exports of a wanted size are made of the package sections of the real records, without repeated
sections. When these do not fill the size, copies follow: in each copy every package name, every
version and every checksum is changed, so that no two copies share the elements of their lists and
the parser's memory of elements helps no more than it does in a file of a single copy's size.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from pkggen.opam.parser import parse  # noqa: E402 - after the path
from pkggen.opam.switch import decoded  # noqa: E402
from pkggen.opam.values import Section  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

TURNS: Final = 30
PACKAGES: Final = 250
ROOT: Final = "the-unikernel"
LIBRARY: Final = "opam-file-format"
COLUMNS: Final = ("<34", ">12", ">12", ">8", ">12")

_STARTER: Final = """
import os, sys, time
log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
outputs = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
start = time.perf_counter()
process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=outputs)
_, status, usage = os.wait4(process, 0)
print(time.perf_counter() - start, os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""
_VERSION: Final = re.compile(r'"(v?[0-9][0-9A-Za-z.~+-]*)"')
_DIGEST: Final = re.compile(r"\b(md5|sha256|sha512)=([0-9a-f]+)")
_LICENCE: Final = re.compile(r"^  license:", re.MULTILINE)


class SkippedError(Exception):
    """Something that a row needs is missing."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package section of a real record."""

    name: str
    text: str


def main() -> None:
    """Print the table; a row that cannot be measured says why."""
    show("what", "pkggen", "peer", "ratio", "goal")
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        for row in (parse_rows, help_row, nix_rows):
            try:
                for cells in row(directory):
                    show(*cells)
            except SkippedError as reason:
                show(row.__name__.partition("_")[0], "SKIPPED", str(reason))


def show(*cells: str) -> None:
    """Print one line of the table."""
    cells_in_columns = zip(cells, COLUMNS, strict=False)
    print(*(f"{cell:{width}}" for cell, width in cells_in_columns))  # noqa: T201 - a report


def parse_rows(directory: Path) -> Iterator[Sequence[str]]:
    """Compare our parser with the compiled one of opam."""
    records = real_records()
    packages = unique_packages(records)
    largest = max(records, key=lambda path: path.stat().st_size)
    texts = (
        ("largest record", largest.read_text(), ""),
        ("export", export(packages, 400_000), "<= 2.5"),
        ("export", export(packages, 1_500_000), "<= 1.5"),
    )
    peer = compiled_peer(directory)
    for name, text, goal in texts:
        file = directory / "opam-switch"
        file.write_text(text)
        data = file.read_bytes()
        with subprocess.Popen(
            [peer, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        ) as process:
            ours, theirs = in_turns(
                lambda data=data: timed(lambda: parse(decoded(data, "bench"), "bench")),  # type: ignore[misc]
                lambda process=process: ask(process),  # type: ignore[misc]
            )
            assert process.stdin is not None
            process.stdin.close()
        label = f"parse {name}, {len(data) / 1e6:.2f} MB"
        yield label, f"{ours:.1f} ms", f"{theirs:.1f} ms", f"{ours / theirs:.2f}", goal


def help_row(directory: Path) -> Iterator[Sequence[str]]:
    """Compare `pkggen --help` with the start of Python."""
    ours, bare = in_turns(
        lambda: run_pkggen(directory, "--help")[0],
        lambda: run([sys.executable, "-c", "pass"], directory)[0],
    )
    yield "pkggen --help", f"{ours:.1f} ms", f"{bare:.1f} ms", f"{ours / bare:.2f}", "<= 5"


def nix_rows(directory: Path) -> Iterator[Sequence[str]]:
    """Measure a whole `pkggen nix` of a large record, and its memory beyond bare Python's."""
    record = large_record(directory)
    runs = [run_pkggen(directory, "nix", str(record), "-o", "out") for _ in range(TURNS)]
    bare = [run([sys.executable, "-c", "pass"], directory) for _ in range(TURNS)]
    label = f"pkggen nix, {PACKAGES} packages"
    ours, theirs = min(wall for wall, _ in runs), min(wall for wall, _ in bare)
    yield label, f"{ours:.1f} ms", f"{theirs:.1f} ms", "", "<= 300 ms"
    ours, theirs = min(peak for _, peak in runs), min(peak for _, peak in bare)
    cells = f"{ours:.1f} MiB", f"{theirs:.1f} MiB", f"+{ours - theirs:.1f}"
    yield "  its peak memory", *cells, "<= +45 MiB"


def in_turns(*measures: Callable[[], float]) -> list[float]:
    """Return the best of many turns of each measure."""
    turns = [[measure() for measure in measures] for _ in range(TURNS)]
    return [min(times) for times in zip(*turns, strict=True)]


def timed(action: Callable[[], object]) -> float:
    """Return the milliseconds of an action, without the removal of its result."""
    start = time.perf_counter()
    kept = action()
    took = time.perf_counter() - start
    del kept
    return took * 1000


def ask(process: subprocess.Popen[str]) -> float:
    """Let the peer parse once and return its milliseconds."""
    assert process.stdin is not None
    assert process.stdout is not None
    print(file=process.stdin, flush=True)
    return float(process.stdout.readline())


def run(command: list[str], directory: Path) -> tuple[float, float]:
    """Run a command and return its milliseconds and its peak memory in MiB.

    A bare Python starts it, since the peak of a process counts from that of its parent.
    """
    process = subprocess.run(
        [sys.executable, "-c", _STARTER, *command],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    took, exit_code, peak = map(float, process.stdout.split())
    if exit_code:
        lines = (directory / "log").read_text().splitlines()
        raise SkippedError(f"{' '.join(command)}: exit code {exit_code:.0f}: {lines[-3:]}")
    return took * 1000, peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def run_pkggen(directory: Path, *arguments: str) -> tuple[float, float]:
    """Run pkggen, see `run`."""
    return run([sys.executable, "-m", "pkggen", *arguments], directory)


def real_records() -> list[Path]:
    """Return the switch exports of the real records."""
    default = REPOSITORY.parent / "shared" / "records"
    place = Path(os.environ.get("PKGGEN_RECORDS", default))
    files = sorted(place.glob("made/*/opam-switch"))
    if not files:
        raise SkippedError(f"no real records at {place}: set PKGGEN_RECORDS")
    return files


def unique_packages(files: list[Path]) -> list[Package]:
    """Return the package sections of all files, each text once."""
    packages: dict[str, Package] = {}
    for file in files:
        text = file.read_text()
        items = parse(text, str(file)).items
        ends = [*(item.offset for item in items[1:]), len(text)]
        for item, end in zip(items, ends, strict=True):
            if isinstance(item, Section) and item.kind == "package" and item.name is not None:
                section = text[item.offset : end].rstrip() + "\n"
                packages[section] = Package(item.name, section)
    return list(packages.values())


def copies(packages: list[Package]) -> Iterator[Package]:
    """Yield the packages, then endless copies of them with other names, versions and checksums."""
    names = "|".join(sorted({re.escape(package.name) for package in packages}, key=len)[::-1])
    name = re.compile(f'"({names})"')
    taken: set[str] = set()
    copy = 0
    while True:
        for package in packages:
            text, own = package.text, package.name
            if copy:
                text = name.sub(rf'"\1-copy{copy}"', text)
                text = _VERSION.sub(rf'"\1.{copy}"', text)
                text = _DIGEST.sub(partial(changed, copy), text)
                own += f"-copy{copy}"
            if own in taken:
                other = f"{own}-of-{len(taken)}"
                text = text.replace(f'package "{own}"', f'package "{other}"', 1)
                own = other
            taken.add(own)
            yield Package(own, text)
        copy += 1


def changed(copy: int, digest: re.Match[str]) -> str:
    """Return another checksum of the same kind."""
    kind, old = digest.groups()
    return f"{kind}={hashlib.new(kind, f'{copy} {old}'.encode()).hexdigest()}"


def export(packages: list[Package], size: int) -> str:
    """Return a switch export of at least `size` characters."""
    sections: list[str] = []
    length = 0
    for package in copies(packages):
        sections.append(package.text)
        length += len(package.text)
        if length >= size:
            return 'opam-version: "2.0"\n' + "".join(sections)
    raise AssertionError


def compiled_peer(directory: Path) -> Path:
    """Compile the timer of opam's parser."""
    finder = shutil.which("ocamlfind")
    if finder is None:
        raise SkippedError("ocamlfind is missing")
    if subprocess.run([finder, "query", LIBRARY], capture_output=True, check=False).returncode:
        raise SkippedError(f"the OCaml library {LIBRARY} is missing")
    source = Path(__file__).with_name("parse_time.ml")
    shutil.copy(source, directory)
    options = ("-package", f"{LIBRARY},unix", "-linkpkg", "-o", "parse_time")
    subprocess.run(
        [finder, "ocamlopt", *options, source.name],
        cwd=directory,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return directory / "parse_time"


def large_record(directory: Path) -> Path:
    """Make a saved record of a root package that links many others, and a pkggen.yaml."""
    fixtures = tests_conftest()
    # The contents of extra-files stand outside of the sections.
    whole = [item for item in unique_packages(real_records()) if "extra-files:" not in item.text]
    libraries = list(islice(copies(whole), PACKAGES - 1))
    versions = [parse(library.text, "bench").items[0] for library in libraries]
    installed = [f"{ROOT}.1.0"]
    for library, section in zip(libraries, versions, strict=True):
        assert isinstance(section, Section)
        version = next(item.value for item in section.items if item.name == "version")  # type: ignore[union-attr]
        installed.append(f"{library.name}.{version}")
    depends = " ".join(f'"{library.name}"' for library in libraries)
    orb = directory / "orb"
    (orb / "bin").mkdir(parents=True)
    root = fixtures.SWITCH.format(name=ROOT).replace('["base-unix"]', f"[{depends}]")
    root = re.sub(r"installed: \[.*\]", f"installed: [{' '.join(map(quoted, installed))}]", root)
    (orb / "opam-switch").write_text(root + "".join(library.text for library in libraries))
    (orb / "build-environment").write_text(fixtures.ENVIRONMENT.format(name=ROOT))
    (orb / "system-packages").write_text(fixtures.SYSTEM_PACKAGES)
    notes = [fixtures.manifest_note([(b"service", 2)]), fixtures.abi_note(1, 2)]
    (orb / "bin" / f"{ROOT}.hvt").write_bytes(fixtures.elf(notes))
    stated = "".join(
        f"      {library.name}: ISC\n" for library in libraries if not licensed(library)
    )
    (directory / "pkggen.yaml").write_text(f"packages:\n  {ROOT}:\n    licences:\n{stated}")
    started = "2026-08-23T09:00:00Z"
    run_pkggen(directory, "record", str(orb), "--started", started, "-o", "saved")
    return directory / "saved"


def quoted(text: str) -> str:
    """Return a string of the opam syntax; names need no escapes."""
    return f'"{text}"'


def licensed(package: Package) -> bool:
    """Say whether a package states a licence."""
    return _LICENCE.search(package.text) is not None


def tests_conftest() -> Any:  # noqa: ANN401 - a module
    """Load the fixtures of the tests."""
    file = REPOSITORY / "tests" / "conftest.py"
    spec = importlib.util.spec_from_file_location("bench_conftest", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
