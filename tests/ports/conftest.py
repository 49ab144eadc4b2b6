"""The commands' fixtures, for ports that are built, and a place to build."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import here, run

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["here", "run"]


@pytest.fixture
def prefix() -> Iterator[Path]:
    """Return a place that no other test builds in."""
    place = Path("/tmp") / f"pkggen-{uuid.uuid4().hex[:12]}"  # noqa: S108 - as orb does
    yield place
    shutil.rmtree(place, ignore_errors=True)
