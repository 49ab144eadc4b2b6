"""Fixtures of the rebuild's tests: a place with a short path, and opam's own results."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.rebuild_oracle import oracle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.rebuild_oracle.oracle import Script, Tree, VendoredRoot, World

HERE: Final = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A record, what opam makes of it, and the script."""

    world: World
    """Where all of them are built."""
    record: Path
    """Directory of the record."""
    by_opam: Tree
    """What the prefix holds after opam rebuilt it."""
    script: Script
    """What pkggen generates."""


@pytest.fixture(scope="module")
def base() -> Iterator[Path]:
    """Return a directory whose path is short enough for a `#!` line, or skip."""
    if missing := oracle.missing_tools():
        pytest.skip(f"REBUILD NOT COMPARED WITH OPAM: {', '.join(missing)} not found")
    directory = Path(tempfile.mkdtemp(prefix="oracle-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def shells(base: Path) -> dict[str, Path]:
    """Return directories that come first in PATH, by what their `sh` or `make` is."""
    places = {name: base / "first" / name for name in ("dash", "busybox", "bmake")}
    for place in places.values():
        place.mkdir(parents=True)
    (places["dash"] / "sh").symlink_to(_tool("dash"))
    (places["bmake"] / "make").symlink_to(_tool("bmake"))
    for applet in (
        *("sh", "awk", "basename", "cat", "cp", "dirname", "grep", "head", "ls", "md5sum"),
        *("mkdir", "mv", "patch", "printf", "rm", "sed", "sha256sum", "tail", "unzip"),
    ):
        (places["busybox"] / applet).symlink_to(_tool("busybox"))
    return places


def _tool(name: str) -> str:
    found = shutil.which(name, path=oracle.SEARCH_PATH)
    assert found is not None, name
    return found


def make_case(
    world: World,
    root: str,
    vendored: VendoredRoot | None = None,
    *,
    jobs: int = 1,
    mirror: str | None = None,
) -> Case:
    """Record a root, rebuild it with opam, and generate its script."""
    record = world.record(root, vendored, jobs)
    by_opam, _ = world.rebuild(record, vendored, jobs)
    script = oracle.script(record, world.base / f"{root}.made", mirror or str(world.cache))
    return Case(world=world, record=record, by_opam=by_opam, script=script)
