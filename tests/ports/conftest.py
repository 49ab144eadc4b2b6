"""The commands' fixtures, for ports that are built."""

from tests.cli.conftest import here, run

__all__ = ["here", "run"]
