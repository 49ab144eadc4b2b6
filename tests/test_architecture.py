"""The rooms of the package, who may import whom, and what `--help` may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE: Final = Path(__file__).resolve().parent.parent / "pkggen"

ALLOWED: Final = {
    "errors": set[str](),
    "ar": {"errors"},
    "compression": set[str](),
    "process": {"errors"},
    "tree": {"errors"},
    "writer": {"tree", "errors"},
    "templating": set[str](),
    "opam": {"errors"},
    "web": {"errors"},
    "record": {"ar", "compression", "opam", "web", "errors"},
    "sources": {"compression", "opam", "process", "web", "errors"},
    "recipe": {"record", "opam", "sources.hashes", "sources.model", "templating", "errors"},
    "targets": {
        "recipe",
        "record.model",
        "sources.model",
        "compression",
        "templating",
        "tree",
        "errors",
    },
    "publish": {
        "targets",
        "recipe.model",
        "recipe.overrides",
        "ar",
        "compression",
        "templating",
        "process",
        "tree",
        "writer",
        "errors",
    },
    "rebuild": {
        "record",
        "recipe",
        "sources",
        "opam",
        "process",
        "tree",
        "web",
        "writer",
        "errors",
    },
    "cli": {
        "rebuild",
        "opam",
        "record",
        "sources",
        "web",
        "recipe",
        "targets",
        "publish",
        "process",
        "tree",
        "writer",
        "errors",
    },
}
"""Room and the rooms or modules that it may import; besides itself."""

DEAR: Final = frozenset(
    {"elftools", "jinja2", "license_expression", "platformdirs", "plumbum", "pyasn1", "requests"}
    | {"rich", "semver", "yaml", "zstandard"}
)
"""Packages that cost more than 20 ms, or are needed by few commands."""

MODULES: Final = sorted(PACKAGE.rglob("*.py"))


def imported(module: Path) -> Iterator[str]:
    """Yield the dotted names that a module imports, at any depth of nesting."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_arrows(module: Path) -> None:
    room = module.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room.startswith("__"):
        return
    allowed = ALLOWED[room] | {room}
    for name in imported(module):
        if name.startswith("pkggen."):
            inner = name.removeprefix("pkggen.")
            if inner == "__version__":
                continue
            assert any(inner == a or inner.startswith(f"{a}.") for a in allowed), (
                f"{room} must not import {name}"
            )


@pytest.mark.parametrize("module", sorted((PACKAGE / "targets").rglob("*.py")), ids=str)
def test_targets_do_not_know_each_other(module: Path) -> None:
    parts = module.relative_to(PACKAGE / "targets").parts
    own = parts[0] if len(parts) > 1 else None
    for name in imported(module):
        if name.startswith("pkggen.targets.") and own is not None:
            other = name.removeprefix("pkggen.targets.").split(".")[0]
            assert other == own, f"{own} must not import {name}"


def test_help_loads_nothing_dear() -> None:
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "pkggen", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in shown.stderr.splitlines()}
    assert "argparse" in loaded
    assert not loaded & DEAR
