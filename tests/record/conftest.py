"""Fixtures of the readers' tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from pkggen.record.open import open_record

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.record.model import Record


class Open(Protocol):
    """`open_record` with a cache and a spool of the test's own."""

    def __call__(
        self, source: object, *, server: str = "https://none.invalid", platform: str | None = None
    ) -> Record: ...


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def opened(tmp_path: Path, notes: list[str]) -> Open:
    spool = tmp_path / "spool"
    spool.mkdir()

    def opened(
        source: object, *, server: str = "https://none.invalid", platform: str | None = None
    ) -> Record:
        return open_record(
            str(source),
            server=server,
            platform=platform,
            cache=lambda: tmp_path / "cache",
            spool=spool,
            note=notes.append,
        )

    return opened
