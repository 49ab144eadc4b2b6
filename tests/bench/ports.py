"""How fast a port with many distfiles is made, compared with sha256sum on the same files.

250 archives, 73 MB in all, in a cache. What is measured is all that `pkggen freebsd --rebuild` does
about them: find each in the cache, compute its hashes and compare every recorded checksum, decide
about the port, and write distinfo and Makefile.distfiles. sha256sum reads and hashes the same
files, a turn each, and the best of all turns counts.

    python -m tests.bench.ports
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen.recipe.build import package_recipe
from pkggen.recipe.distfiles import Distfile
from pkggen.recipe.overrides import Overrides
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.record.artifact import FileContent
from pkggen.sources.addresses import Choices
from pkggen.sources.cache import Cache
from pkggen.sources.fetch import fetch
from pkggen.targets.freebsd.distfiles import Mirrors
from pkggen.targets.freebsd.model import Sources, Wanted
from pkggen.targets.freebsd.names import DISTFILES_FILE
from pkggen.targets.freebsd.render import distfiles_list, distinfo
from pkggen.targets.freebsd.view import port_view
from pkggen.tree import Tree
from pkggen.writer import write
from tests.rebuild.made import Package, make
from tests.sources.make import tar_gz

if TYPE_CHECKING:
    from pkggen.recipe.model import AnyRecipe
    from pkggen.recipe.plan import RebuildPlan
    from pkggen.record.model import Record

FILES: Final = 250
BYTES: Final = 73_000_000
TURNS: Final = 15
MOST_OF_SHA256SUM: Final = 1.2


def main() -> int:
    """Print the times and their ratio; return 1 when the goal is missed."""
    if shutil.which("sha256sum") is None:
        print("SKIPPED: there is no sha256sum")  # noqa: T201 - a report
        return 1
    with tempfile.TemporaryDirectory(prefix="pkggen-bench-") as work:
        return _measured(Path(work))


def _measured(work: Path) -> int:
    record, cache = _made(work)
    plan, recipe = rebuild_plan(record, "freebsd"), package_recipe(record, Overrides())
    files = sorted(path for path in (cache.directory / "sha256").rglob("*") if path.is_file())
    assert len(files) == FILES
    ours, theirs = [], []
    for turn in range(TURNS):
        began = time.perf_counter()
        _write(plan, recipe, cache, work / f"turn{turn}")
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        subprocess.run(["sha256sum", *files], check=True, stdout=subprocess.DEVNULL)
        theirs.append(time.perf_counter() - began)
    ratio = min(ours) / min(theirs)
    print(  # noqa: T201 - a report
        f"distinfo and Makefile.distfiles of {FILES} files: {min(ours):.3f} s, sha256sum"
        f" {min(theirs):.3f} s, ratio {ratio:.2f}, goal <= {MOST_OF_SHA256SUM}"
    )
    return int(ratio > MOST_OF_SHA256SUM)


def _made(work: Path) -> tuple[Record, Cache]:
    """Return a record, and a cache that has its sources."""
    chance = random.Random(3)  # noqa: S311 - the same in every run
    weights = [chance.lognormvariate(0, 1.3) for _ in range(FILES)]
    licence = 'license: "ISC" synopsis: "Measured"'
    names = [f"p{number:03}" for number in range(FILES)]
    sizes = [max(1, int(BYTES * weight / sum(weights))) for weight in weights]
    packages = [
        Package(name, licence, {"data.gz": tar_gz(chance.randbytes(size))})
        for name, size in zip(names, sizes, strict=True)
    ]
    depends = " ".join(f'"{name}"' for name in names)
    root = Package("root", f"{licence} depends: [{depends}]")
    made = make(work / "made", [*packages, root])
    started = datetime(2026, 8, 20, 12, tzinfo=UTC)
    record = replace(made.read(), started=started, finished=started)
    cache = Cache(work / "cache")
    choices = Choices(mirrors=(str(made.mirror),), public_caches=(), offline=True)
    fetch(rebuild_plan(record, "freebsd").sources, cache, choices)
    return record, cache


def _write(plan: RebuildPlan, recipe: AnyRecipe, cache: Cache, directory: Path) -> None:
    """Write the two files."""
    fetched = fetch(plan.sources, cache, Choices(public_caches=(), offline=True))
    distfiles = tuple(
        Distfile(
            name=one.source.file_name,
            sha256=one.hashes.sha256,
            size=one.hashes.size,
            content=FileContent(one.path),
            source=one.source,
            commit=one.commit,
        )
        for one in fetched
    )
    sources = Sources(plan=plan, distfiles=distfiles, depexts=())
    view = port_view(recipe, Wanted(origins={}, mirrors=Mirrors()), (), sources)
    files = {"distinfo": distinfo(view), DISTFILES_FILE: distfiles_list(view)}
    write(Tree({PurePosixPath(name): file for name, file in files.items()}), directory)


if __name__ == "__main__":
    sys.exit(main())
