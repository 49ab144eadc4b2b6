"""How fast `pkggen fetch` is, compared with curl and aria2c, which verify nothing.

250 archives, 73 MB in all, from eight addresses of this machine that each answer after 60 ms.
Each run starts with an empty directory and ends when all files are there; for pkggen that includes
every recorded checksum, inspecting the archives and forcing them to the disk. The goals are for the
fetch itself; the time of the whole command, which also starts Python and reads the record, is
printed beside it.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.sources import server
from tests.sources.make import Package, checksum, export_text, tar_gz, write_record

if TYPE_CHECKING:
    from collections.abc import Callable

FILES: Final = 250
BYTES: Final = 73_000_000
LATENCY_SECONDS: Final = 0.06
HOSTS: Final = 8
RUNS: Final = 7

MOST_OF_CURL: Final = 1.15
LEAST_OF_ARIA2C: Final = 1.5
MOST_MEMORY: Final = 60 * 1024 * 1024

ROOT: Final = Path(__file__).resolve().parent.parent.parent


_COMMAND: Final = (sys.executable, "-m", "pkggen", "fetch", "--no-public-caches", "--cache")

_ALONE: Final = """
import pathlib, sys, time
import requests
from pkggen.opam.switch import read_switch
from pkggen.sources.cache import Cache
from pkggen.sources.addresses import Choices
from pkggen.sources.fetch import fetch
from pkggen.sources.model import collect_sources
file, to = map(pathlib.Path, sys.argv[1:])
sources = collect_sources(read_switch(file.read_bytes(), str(file)))
began = time.perf_counter()
fetch(sources, Cache(to), Choices(public_caches=()))
print(time.perf_counter() - began)
"""

_PEAK: Final = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


def main() -> int:
    """Print the times and their ratios; return 1 when a goal is missed."""
    with tempfile.TemporaryDirectory(prefix="pkggen-bench-") as work:
        return _measure_all(Path(work))


def _measure_all(work: Path) -> int:
    served = work / "served"
    served.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", server.__name__, str(served), "0", str(LATENCY_SECONDS)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        urls = _make(served, port, work / "record")
        pkggen = _pkggen(work)
        others: dict[str, Callable[[Path], None]] = {
            "curl": partial(_curl, urls),
            "aria2c": partial(_aria2c, urls),
            "aria2c -j 16": partial(_aria2c, urls, options=("-j", "16")),
        }
        times: dict[str, list[float]] = {"fetch": [], "pkggen": []}
        for run in range(RUNS):
            times["fetch"].append(_fetch_alone(work, work / f"alone{run}"))
            times["pkggen"].append(_timed(pkggen, work / f"pkggen{run}"))
            for tool, other in others.items():
                if shutil.which(tool.split(maxsplit=1)[0]) is None:
                    print(f"NO {tool}: not compared")  # noqa: T201 - a report
                    continue
                times.setdefault(tool, []).append(_timed(other, work / f"{tool}{run}"))
        again = _timed(pkggen, work / "pkggen0")
        memory = _memory(work)
    finally:
        process.kill()
        process.wait()
    return _report(times, again, memory)


def _make(served: Path, port: int, record: Path) -> list[str]:
    """Write the files and a record of them; return the URLs."""
    chance = random.Random(3)  # noqa: S311 - the same in every run
    weights = [chance.lognormvariate(0, 1.3) for _ in range(FILES)]
    hosts = cycle(f"127.0.0.{1 + host}" for host in range(HOSTS))
    packages = []
    for number, weight in enumerate(weights):
        data = tar_gz(chance.randbytes(max(1, int(BYTES * weight / sum(weights)))))
        name = f"p{number:03}.tar.gz"
        (served / name).write_bytes(data)
        sums = tuple(str(checksum(kind, data)) for kind in ("sha256", "sha512"))
        packages.append(Package(f"p{number:03}", f"http://{next(hosts)}:{port}/{name}", sums))
    write_record(record, export_text(*packages))
    return [package.url for package in packages if package.url is not None]


def _timed(fetch: Callable[[Path], None], to: Path) -> float:
    to.mkdir(exist_ok=True)
    began = time.perf_counter()
    fetch(to)
    return time.perf_counter() - began


def _pkggen(work: Path) -> Callable[[Path], None]:
    def run(to: Path) -> None:
        _run([*_COMMAND, str(to), str(work / "record")])
        assert sum(1 for _ in to.glob("download-cache/sha256/*/*")) == FILES

    return run


def _fetch_alone(work: Path, to: Path) -> float:
    """Return the seconds of a fetch in a process that has read the record already."""
    done = subprocess.run(
        [sys.executable, "-c", _ALONE, str(work / "record" / "opam-switch"), str(to)],
        check=True,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    return float(done.stdout)


def _curl(urls: list[str], to: Path) -> None:
    config = to.with_suffix(".config")
    config.write_text("".join(f'url = "{url}"\nremote-name\n' for url in urls))
    options = ["--silent", "--parallel", "--parallel-max", "16", "--output-dir", str(to)]
    _run(["curl", *options, "--config", str(config)])
    assert sum(1 for _ in to.iterdir()) == FILES


def _aria2c(urls: list[str], to: Path, options: tuple[str, ...] = ()) -> None:
    listed = to.with_suffix(".list")
    listed.write_text("\n".join(urls))
    _run(["aria2c", "--quiet", *options, "--dir", str(to), "--input-file", str(listed)])
    assert sum(1 for _ in to.iterdir()) == FILES


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)


def _memory(work: Path) -> int:
    """Return the bytes that a fetch needs at its peak over a Python that does nothing."""
    used = _peak([*_COMMAND, str(work / "memory"), str(work / "record")])
    return used - _peak([sys.executable, "-c", ""])


def _peak(command: list[str]) -> int:
    # A process of its own: Linux counts what the parent had before exec as the child's.
    measured = subprocess.run(
        [sys.executable, "-c", _PEAK, *command], cwd=ROOT, capture_output=True, check=True
    )
    return int(measured.stdout)


def _report(times: dict[str, list[float]], again: float, memory: int) -> int:
    best = {tool: min(seconds) for tool, seconds in times.items()}
    lines = [f"{FILES} files, {BYTES / 1e6:.0f} MB, best of {RUNS}"]
    lines += [f"{tool:<14}{seconds:6.2f} s" for tool, seconds in best.items()]
    lines += [f"{'pkggen again':<14}{again:6.2f} s (all in the cache, all hashes compared again)"]
    lines += [f"{'memory':<14}{memory / 2**20:6.1f} MiB over Python (goal: {MOST_MEMORY >> 20})"]
    missed = memory > MOST_MEMORY
    if "curl" in best:
        ratio = best["fetch"] / best["curl"]
        lines += [f"the fetch takes {ratio:.2f} x curl's time (goal: at most {MOST_OF_CURL})"]
        missed |= ratio > MOST_OF_CURL
    if "aria2c" in best:
        ratio = best["aria2c"] / best["fetch"]
        lines += [f"aria2c takes {ratio:.2f} x its time (goal: at least {LEAST_OF_ARIA2C})"]
        missed |= ratio < LEAST_OF_ARIA2C
    print(*lines, sep="\n")  # noqa: T201 - a report
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
