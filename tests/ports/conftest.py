"""The commands' fixtures, for ports that are built."""

from tests.cli.conftest import here as here
from tests.cli.conftest import run as run
