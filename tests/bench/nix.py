"""What Nix needs to evaluate what pkggen writes, beyond an empty expression.

The source build of the largest record, and a catalogue of a thousand packages, both with the
stand-in for nixpkgs; a turn each, the best of all turns.

    python -m tests.bench.nix
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.conftest import REPOSITORY
from tests.targets.nix.conftest import Nix
from tests.targets.nix.large import example_recipe, packages_of, write_catalogue, write_largest

if TYPE_CHECKING:
    from collections.abc import Iterator

TURNS: Final = 10
BYTES: Final = 60_000
"""Most that rebuild.nix and deps.json may have for 250 sources."""
SOURCES: Final = 250
COLUMNS: Final = ("<50", ">12", ">12", ">14")

Row = tuple[str, str, int]
"""What, its expression, and how many milliseconds more than an empty one it may take."""


def main() -> int:
    """Print sizes and times; return 1 when a goal is missed or nothing was measured."""
    if shutil.which("nix-instantiate") is None:
        show("SKIPPED, not found:", "nix-instantiate")
        return 1
    show("what", "measured", "empty", "goal")
    missed = False
    with tempfile.TemporaryDirectory(prefix="pkggen-") as work:
        place = Path(work).resolve()
        nix = Nix.create(place, sandbox=False)
        records = Path(os.environ.get("PKGGEN_RECORDS", REPOSITORY.parent / "shared" / "records"))
        if records.is_dir():
            package, sources = write_largest(records, place / "largest")
            missed |= size(package.directory, sources) > BYTES
            evaluated = [("source build of the largest record", package.expression("drvPath"), 150)]
        else:
            show("source build of the largest record", "SKIPPED", "no records")
            evaluated = []
        write_catalogue(place / "catalogue", example_recipe())
        for label, expression, most in (*evaluated, *catalogue_rows(place / "catalogue")):
            ours, empty = in_turns(nix, expression, "{ }")
            missed |= ours - empty > most
            show(label, f"{ours:.0f} ms", f"{empty:.0f} ms", f"<= +{most} ms")
    return int(missed)


def size(package: Path, sources: int) -> float:
    """Print the bytes of the largest record's source build, and return those for 250 sources."""
    code, data = ((package / name).stat().st_size for name in ("rebuild.nix", "deps.json"))
    show(f"deps.json of {sources} sources", f"{data} bytes")
    show("rebuild.nix", f"{code} bytes")
    scaled = code + data / sources * SOURCES
    show(f"both for {SOURCES} sources", f"{scaled:.0f} bytes", "", f"<= {BYTES} bytes")
    return scaled


def show(*cells: str) -> None:
    """Print one line of the table."""
    line = (f"{cell:{width}}" for cell, width in zip(cells, COLUMNS, strict=False))
    print(*line, flush=True)  # noqa: T201 - a report


def catalogue_rows(root: Path) -> Iterator[Row]:
    """Give a catalogue: its names, one of its packages, and all with their checks."""
    every = packages_of(root)
    yield "names of 1,000 packages", f"builtins.attrNames {every}", 250
    yield "one of 1,000 packages", f"{every}.unikernel-0500.drvPath", 250
    checks = f"map (p: p.tests.image.drvPath) (builtins.attrValues {every})"
    yield "1,000 packages and their image checks", checks, 2000


def in_turns(nix: Nix, *expressions: str) -> list[float]:
    """Return the best milliseconds of many turns of each evaluation."""
    files = [nix.write(f"turn-{i}.nix", text) for i, text in enumerate(expressions)]
    turns = [[milliseconds(nix, file) for file in files] for _ in range(TURNS)]
    return [min(times) for times in zip(*turns, strict=True)]


def milliseconds(nix: Nix, file: Path) -> float:
    """Evaluate a file once."""
    started = time.perf_counter()
    nix.run("nix-instantiate", "--eval", "--strict", file)
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    sys.exit(main())
