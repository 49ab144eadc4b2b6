"""How fast `pkggen deb --rebuild` packs 250 sources that are in the cache, compared with tar.

73 MB of archives, as `tests.bench.fetch` makes them. The command reads the record, compares every
source with its recorded checksums, and writes a source package with the checksums that a `.dsc`
needs. Its peers check nothing: `tar | xz -1` compresses again what is compressed already, which is
what Debian's tools would do, and `cp` is what the disk takes.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench.fetch import _PEAK, BYTES, FILES
from tests.sources.make import Package, checksum, export_text, tar_gz, write_record

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS: Final = 5
SLOW: Final = "tar | xz -1"
"""Takes so long that once is enough."""
MOST_SECONDS: Final = 2.0
MOST_MEMORY: Final = 100 * 1024 * 1024
ROOT: Final = Path(__file__).resolve().parent.parent.parent

_COMMAND: Final = (sys.executable, "-m", "pkggen")


def main() -> int:
    """Print the times and their ratios; return 1 when a goal is missed."""
    with tempfile.TemporaryDirectory(prefix="pkggen-bench-") as work:
        return _measure(Path(work))


def _measure(work: Path) -> int:
    _make(work)
    command = _command(work)
    tree = work / "mirror"
    peers: dict[str, Callable[[Path], None]] = {
        "pkggen deb": lambda to: _run(*command, "-o", str(to)),
        SLOW: lambda to: _shell(f"tar -c -C {tree} . | xz -1 >{to}.tar.xz"),
        "tar": lambda to: _shell(f"tar -cf {to}.tar -C {tree} ."),
        "cp": lambda to: _shell(f"cp -r {tree} {to}"),
    }
    times: dict[str, list[float]] = {}
    for run in range(RUNS):
        for name, peer in peers.items():
            if run and name == SLOW:
                continue
            to = work / f"out-{len(times)}-{run}"
            began = time.perf_counter()
            peer(to)
            times.setdefault(name, []).append(time.perf_counter() - began)
            _remove(work, to)
    memory = _peak(*command, "-o", str(work / "memory")) - _peak(sys.executable, "-c", "")
    best = {name: min(seconds) for name, seconds in times.items()}
    lines = [f"{FILES} sources, {BYTES / 1e6:.0f} MB, best of {RUNS}"]
    lines += [f"{name:<14}{seconds:6.2f} s" for name, seconds in best.items()]
    lines += [f"{'memory':<14}{memory / 2**20:6.1f} MiB over Python (goal: {MOST_MEMORY >> 20})"]
    lines += [f"the goal is {MOST_SECONDS:.1f} s"]
    print(*lines, sep="\n")  # noqa: T201 - a report
    return int(best["pkggen deb"] > MOST_SECONDS or memory > MOST_MEMORY)


def _make(work: Path) -> None:
    """Write the sources, a record of them, and pkggen.yaml; put the sources into the cache."""
    chance = random.Random(3)  # noqa: S311 - the same in every run
    weights = [chance.lognormvariate(0, 1.3) for _ in range(FILES)]
    packages = []
    for number, weight in enumerate(weights):
        data = tar_gz(chance.randbytes(max(1, int(BYTES * weight / sum(weights)))))
        name = f"p{number:03}"
        sums = [checksum(kind, data) for kind in ("sha256", "sha512")]
        place = work / "mirror" / "sha256" / sums[0].digest[:2] / sums[0].digest
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        more = 'license: "ISC" synopsis: "Program of a benchmark"'
        packages.append(
            Package(name, f"https://pkggen.test/{name}.tar.gz", tuple(map(str, sums)), more)
        )
    orb = write_record(work / "orb", export_text(*packages))
    (orb / "bin").mkdir()
    (orb / "bin" / "p").write_bytes(b"#!/bin/sh\n")
    (work / "pkggen.yaml").write_text("maintainer: {name: A B, email: a@example.org}\n")
    record = ("record", str(orb), "--started", "2026-08-23T09:00:00Z", "-o", str(work / "record"))
    _run(*_COMMAND, *record)
    offline = ("--cache", str(work / "cache"), "--offline", "--mirror", str(work / "mirror"))
    _run(*_COMMAND, "fetch", str(work / "record"), *offline)


def _command(work: Path) -> tuple[str, ...]:
    options = ("--config", str(work / "pkggen.yaml"), "--cache", str(work / "cache"), "--offline")
    return (*_COMMAND, "deb", str(work / "record"), "--rebuild", *options)


def _remove(work: Path, to: Path) -> None:
    for made in work.glob(f"{to.name}*"):
        if made.is_dir():
            shutil.rmtree(made)
        else:
            made.unlink()


def _shell(command: str) -> None:
    _run("sh", "-c", command)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)


def _peak(*command: str) -> int:
    # A process of its own: Linux counts what the parent had before exec as the child's.
    measured = subprocess.run(
        [sys.executable, "-c", _PEAK, *command], cwd=ROOT, capture_output=True, check=True
    )
    return int(measured.stdout)


if __name__ == "__main__":
    sys.exit(main())
