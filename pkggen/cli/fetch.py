"""`pkggen fetch`: get the sources of recorded builds into the cache."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pkggen.cli.cache import recorded_sources
from pkggen.cli.common import download_cache
from pkggen.cli.talk import talk
from pkggen.errors import UsageError, printable
from pkggen.sources.addresses import PUBLIC_CACHES, Choices
from pkggen.sources.fetch import fetch
from pkggen.web import is_loopback

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from pkggen.sources.fetch import Event, Fetched

_MAX_JOBS: Final = 64


def run(arguments: argparse.Namespace) -> int:
    """Fetch the sources of all records at once, each file once."""
    chosen = replace(choices(arguments), jobs=jobs_of(arguments.jobs))
    sources = recorded_sources(arguments)
    with progress(len(sources)) as tell:
        results = fetch(sources, download_cache(arguments), chosen, tell)
    if arguments.json:
        json.dump({"sources": [_as_json(result) for result in results]}, sys.stdout, indent=2)
        print()
        return 0
    for result in results:
        weak = "" if result.strong else "  (recorded with md5 only)"
        print(f"{result.hashes.sha256}  {result.source.file_name}{weak}")
    return 0


def choices(arguments: argparse.Namespace) -> Choices:
    """Return how the options that all fetching commands share say to fetch.

    Raises:
        UsageError: a mirror is not secure.
    """
    return Choices(
        mirrors=tuple(map(_mirror, arguments.mirror)),
        public_caches=() if arguments.no_public_caches else PUBLIC_CACHES,
        offline=arguments.offline,
        insecure_http=arguments.insecure_http,
    )


def jobs_of(jobs: int) -> int:
    """Return the number that `--jobs` gives.

    Raises:
        UsageError: it is not from 1 to 64.
    """
    if not 1 <= jobs <= _MAX_JOBS:
        raise UsageError(f"--jobs is from 1 to {_MAX_JOBS}")
    return jobs


def _mirror(mirror: str) -> str:
    secure = mirror.startswith("https://")
    if "://" in mirror and not secure and not is_loopback(mirror):
        raise UsageError(
            f"--mirror {mirror} is not secure", hint="use https, or a directory of this machine"
        )
    return mirror


def _as_json(result: Fetched) -> dict[str, object]:
    source, hashes = result.source, result.hashes
    return {
        "file_name": source.file_name,
        "kind": source.kind,
        "urls": source.urls,
        "users": [str(user) for user in source.users],
        "recorded": [str(checksum) for checksum in source.checksums],
        "strong": result.strong,
        "commit": result.commit,
        "path": str(result.path),
        "origin": result.origin,
        "size": hashes.size,
        "sha256": hashes.sha256,
        "sha512": hashes.sha512,
    }


@contextmanager
def progress(total: int) -> Iterator[Callable[[Event], None]]:
    """Show a bar on a terminal, else one line for each file."""
    if not sys.stderr.isatty():
        yield lambda event: talk(_line(event))
        return
    from rich.console import Console  # noqa: PLC0415 - takes 100 ms
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("sources", total=total)

        def show(event: Event) -> None:
            if event.kind in {"trouble", "remark", "failed"}:
                bar.console.print(Text(printable(_line(event))))
            if event.kind not in {"trouble", "remark"}:
                bar.update(task, advance=1, description=event.source.file_name)

        yield show


def _line(event: Event) -> str:
    name = event.source.file_name
    match event.kind:
        case "cached":
            return f"cached   {name}"
        case "fetched":
            return f"fetched  {name} ({event.size} bytes) from {event.detail}"
        case "trouble":
            return f"trouble  {name}: {event.detail}"
        case "remark":
            return f"remark   {name}: {event.detail}"
        case "failed":
            return f"failed   {name}"
