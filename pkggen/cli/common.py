"""What several commands share: options, opening sources, pkggen.yaml."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pkggen.cli.talk import talk
from pkggen.errors import InputError, PkggenError
from pkggen.recipe.linked import linked_parts
from pkggen.recipe.overrides import OVERRIDES_FILE, Overrides, read_overrides
from pkggen.recipe.yaml_reader import MAX_BYTES
from pkggen.record.open import open_record
from pkggen.sources.model import collect_sources

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator

    from pkggen.recipe.linked import LinkedPart
    from pkggen.record.model import Record
    from pkggen.sources.cache import Cache
    from pkggen.sources.model import Use


@contextmanager
def source_opener(arguments: argparse.Namespace) -> Iterator[Callable[[str], Record]]:
    """Give a function that opens a SOURCE; its records are valid inside the `with` only."""
    with tempfile.TemporaryDirectory(prefix="pkggen-") as spool:

        def opened(source: str) -> Record:
            return open_record(
                source,
                server=arguments.server,
                platform=arguments.platform,
                cache=lambda: Path(arguments.cache) if arguments.cache else _user_cache(),
                spool=Path(spool),
                note=talk,
            )

        yield opened


def _user_cache() -> Path:
    import platformdirs  # noqa: PLC0415 - for downloads only

    return platformdirs.user_cache_path("pkggen")


def load_overrides(config: str | None) -> Overrides:
    """Read pkggen.yaml: the given one, else the one in the current directory if there is one.

    Raises:
        InputError: it cannot be read, or is wrong.
    """
    path = Path(config or OVERRIDES_FILE)
    try:
        with path.open("rb") as file:
            return read_overrides(file.read(MAX_BYTES + 1), str(path))
    except FileNotFoundError:
        if config is None:
            return Overrides()
        raise InputError("there is no such file", where=str(path)) from None
    except OSError as error:
        raise InputError(error.strerror or str(error), where=str(path)) from error


def source_licences(
    record: Record,
    overrides: Overrides,
    arguments: argparse.Namespace,
    parts: Callable[[Record], Iterable[LinkedPart]] | None = None,
) -> dict[Use, tuple[str, ...]]:
    """Return what fetched sources state about parts for which no licence is recorded.

    Args:
        record: The build.
        overrides: What pkggen.yaml states.
        arguments: Say where the cache is.
        parts: Gives the parts; None takes those that are linked in.
    """
    if overrides.of(record.job).licence is not None:
        return {}
    try:
        wanted = linked_parts(record.switch) if parts is None else parts(record)
        silent = {part.use for part in wanted if not part.licences}
        sources = collect_sources(record.switch) if silent else ()
    except PkggenError:
        return {}  # who needs what is wrong there reports it
    if not sources:
        return {}
    from pkggen.sources.licences import cached_licences  # noqa: PLC0415 - git and more come along

    asked = (source for source in sources if silent & set(source.users))
    return cached_licences(asked, download_cache(arguments))


def download_cache(arguments: argparse.Namespace) -> Cache:
    """Return the cache of sources below `--cache`, or below the user's cache directory."""
    from pkggen.sources.cache import Cache  # noqa: PLC0415 - few commands need it

    return Cache((Path(arguments.cache) if arguments.cache else _user_cache()) / "download-cache")
