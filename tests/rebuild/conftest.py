"""A key that signs archives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.rebuild.signed import Signer, new_signer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def signer() -> Iterator[Signer]:
    """Return the key."""
    with new_signer() as made:
        yield made
