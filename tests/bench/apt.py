"""How fast `pkggen apt` is, compared with apt-ftparchive, gzip, xz and gpg, which verify nothing.

300 packages of 200 kB. `add` verifies and copies them into an empty repository, `publish` hashes
them all again; both then write and sign all indices and force them to the disk. The peers only make
the same indices of a directory that holds the packages already, and sign them. Everything counts,
the start of Python included; a turn each, the best of all turns.

    python -m tests.bench.apt
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.publish.apt.make import control, deb_data

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGES: Final = 300
BYTES: Final = 200_000
TURNS: Final = 7
MOST_SECONDS: Final = 1.0
MOST_OF_PEERS: Final = 1.5
TOOLS: Final = ("apt-ftparchive", "gzip", "xz", "gpg")
ROOT: Final = Path(__file__).resolve().parents[2]

_PEERS: Final = """
set -eu
cd "$1"
mkdir -p dists/stable/main/binary-amd64 dists/stable/main/source
apt-ftparchive packages pool > dists/stable/main/binary-amd64/Packages
apt-ftparchive sources pool > dists/stable/main/source/Sources
gzip -9kf dists/stable/main/*/Packages dists/stable/main/*/Sources
xz -kf dists/stable/main/*/Packages dists/stable/main/*/Sources
apt-ftparchive release dists/stable > Release
mv Release dists/stable
gpg --batch --yes --clearsign --output dists/stable/InRelease dists/stable/Release
gpg --batch --yes --armor --detach-sign --output dists/stable/Release.gpg dists/stable/Release
"""


def main() -> int:
    """Print the times and their ratios; return 1 when a goal is missed or nothing was measured."""
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        print("SKIPPED, not found:", ", ".join(missing))  # noqa: T201 - a report
        return 1
    with tempfile.TemporaryDirectory(prefix="pkggen-") as work:
        return _measure(Path(work))


def _measure(work: Path) -> int:
    pool = work / "peers" / "pool"
    pool.mkdir(parents=True)
    chance = random.Random(5)  # noqa: S311 - the same in every run
    for number in range(PACKAGES):
        text = control(f"package{number:03}", "1.0-1", more="Depends: libc6 (>= 2.36)\n")
        data = deb_data(text, content=chance.randbytes(BYTES))
        (pool / f"package{number:03}_1.0-1_amd64.deb").write_bytes(data)
    debs = sorted(str(path) for path in pool.iterdir())
    home = work / "gpg"
    home.mkdir(mode=0o700)
    environment = {**os.environ, "GNUPGHOME": str(home)}
    words = ("--batch", "--quiet", "--passphrase", "", "--quick-generate-key")
    subprocess.run(
        ["gpg", *words, "bench", "ed25519", "sign", "never"], check=True, env=environment
    )
    times: dict[str, list[float]] = {"add": [], "publish": [], "peers": []}
    try:
        for turn in range(TURNS):
            place = str(work / f"repository{turn}")
            _pkggen("init", place)
            times["add"].append(_timed(partial(_pkggen, "add", place, *debs)))
            times["publish"].append(_timed(partial(_pkggen, "publish", place)))
            times["peers"].append(_timed(partial(_peers, work / "peers", environment)))
            shutil.rmtree(place)
    finally:
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=False, env=environment)
    return _report({what: min(seconds) for what, seconds in times.items()})


def _pkggen(*words: str) -> None:
    command = [sys.executable, "-m", "pkggen", "apt", *words]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def _peers(place: Path, environment: dict[str, str]) -> None:
    command = ["sh", "-c", _PEERS, "sh", str(place)]
    subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL)


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _report(best: dict[str, float]) -> int:
    lines = [f"{PACKAGES} packages of {BYTES // 1000} kB, best of {TURNS}"]
    lines += [f"{what:<10}{seconds:6.2f} s" for what, seconds in best.items()]
    missed = False
    for what in ("add", "publish"):
        ratio = best[what] / best["peers"]
        lines.append(
            f"{what} takes {ratio:.2f} x the peers' time (goals: at most {MOST_OF_PEERS}, and "
            f"{MOST_SECONDS:g} s)"
        )
        missed |= ratio > MOST_OF_PEERS or best[what] > MOST_SECONDS
    print(*lines, sep="\n")  # noqa: T201 - a report
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
