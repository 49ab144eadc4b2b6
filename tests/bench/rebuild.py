"""How fast the generated script is, compared with opam itself: the same record, the same jobs.

Real packages, whose sources come from Debian, and tiny ones, where only the effort of opam and of
the script counts. Both build the same files offline at the same prefix, a turn each; opam's time
does not count its `init`, the script's counts everything. The last row is a unikernel whose switch
is there already, compared with its image alone.

    python -m tests.bench.rebuild
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.rebuild_oracle import debian, oracle
from tests.rebuild_oracle.test_real_sources import LIBRARIES, OWN_COMPILER
from tests.rebuild_oracle.test_synthetic import PACKAGES, ROOTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.rebuild_oracle.oracle import World

JOBS: Final = 2
TURNS: Final = {"arith": 2, "tool": 7, "plain": 7}
MOST_OF_OPAM: Final = 1.0
MOST_OF_IMAGE: Final = 1.15
COLUMNS: Final = ("<50", ">10", ">10", ">7", ">8")

Row = tuple[str, float, float, float]
"""What, our best seconds, the others' best seconds, and the largest allowed ratio."""


def main() -> int:
    """Print the times and their ratios; return 1 when a goal is missed or nothing was measured."""
    if missing := oracle.missing_tools():
        show("SKIPPED, not found:", ", ".join(missing))
        return 1
    show("what", "script", "peer", "ratio", "goal")
    missed = False
    with tempfile.TemporaryDirectory(prefix="oracle-") as work:
        for rows in (real_rows, tiny_rows):
            place = Path(work) / rows.__name__
            place.mkdir()
            for label, ours, theirs, most in rows(place):
                ratio = ours / theirs
                missed |= ratio > most
                show(label, f"{ours:.2f} s", f"{theirs:.2f} s", f"{ratio:.2f}", f"<= {most:g}")
    return int(missed)


def show(*cells: str) -> None:
    """Print one line of the table."""
    line = (f"{cell:{width}}" for cell, width in zip(cells, COLUMNS, strict=False))
    print(*line, flush=True)  # noqa: T201 - a report


def real_rows(place: Path) -> Iterator[Row]:
    """Compare with opam on real packages."""
    files, missing = debian.tarballs(LIBRARIES, place / "apt")
    if missing:
        show("SKIPPED, not in the mirror:", ", ".join(missing))
        return
    packages = place / "packages"
    packages.mkdir()
    for name in OWN_COMPILER:
        (packages / name).symlink_to(PACKAGES / name)
    world = oracle.new_world(place, [packages, PACKAGES.parent / "real"], files)
    yield versus_opam(world, "arith", MOST_OF_OPAM)


def tiny_rows(place: Path) -> Iterator[Row]:
    """Compare with opam on tiny packages, and a second unikernel with its image alone."""
    world = oracle.new_world(place, [PACKAGES], {})
    yield versus_opam(world, "tool", MOST_OF_OPAM)
    yield second_unikernel(world)


def versus_opam(world: World, root: str, most: float) -> Row:
    """Let opam and the script build a record, a turn each."""
    record = world.record(root, jobs=JOBS)
    script = oracle.script(record, world.base / "made", str(world.cache))
    ours, theirs = [], []
    for _ in range(TURNS[root]):
        wanted, took = world.rebuild(record, jobs=JOBS)
        theirs.append(took)
        found, took, _ = script.run(world, jobs=JOBS)
        ours.append(took)
        assert not oracle.differences(wanted, found)
    label = f"{root}: {len(script.plan.packages)} packages, -j {JOBS}, and opam"
    return label, min(ours), min(theirs), most


def second_unikernel(world: World) -> Row:
    """Build a unikernel below a prefix in which another one was built before."""
    scripts = {}
    for root in ("sky", "plain"):
        record = world.record(root, ROOTS[root])
        scripts[root] = oracle.script(record, world.base / f"{root}.made", str(world.cache))
    first, second = scripts["sky"], scripts["plain"]
    assert first.plan.switch_id == second.plan.switch_id
    _, whole, printed = first.run(world, jobs=JOBS, keep=True)
    assert "countdown.2.0" in printed
    ours, theirs = [], []
    for _ in range(TURNS["plain"]):
        _, took, _ = second.run(world, jobs=JOBS, stage="root", keep=True)
        theirs.append(took)
        _, took, printed = second.run(world, jobs=JOBS, keep=True)
        ours.append(took)
        assert "countdown.2.0" not in printed
    world.clear()
    label = f"second unikernel (first: {whole:.2f} s), and its image"
    return label, min(ours), min(theirs), MOST_OF_IMAGE


if __name__ == "__main__":
    sys.exit(main())
