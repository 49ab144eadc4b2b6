"""`pkggen cache`: look after the cache of sources."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pkggen.cli.common import download_cache, source_opener
from pkggen.cli.talk import talk
from pkggen.errors import UsageError, VerificationError
from pkggen.sources.commits import commit_checksum
from pkggen.sources.model import STRENGTH, collect_sources

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Collection

    from pkggen.opam.package import Checksum
    from pkggen.opam.switch import SwitchExport
    from pkggen.sources.cache import Cache
    from pkggen.sources.model import Source


def run(arguments: argparse.Namespace) -> int:
    """Do one of the actions."""
    return _ACTIONS[arguments.action](arguments, download_cache(arguments))


def recorded_sources(arguments: argparse.Namespace) -> tuple[Source, ...]:
    """Return the sources of all SOURCEs, what they share once."""
    switches = []
    with source_opener(arguments) as opened:
        for source in arguments.sources:
            switches.append(opened(source).switch)
            _tell_unknown(switches[-1])
    return collect_sources(*switches)


def _tell_unknown(switch: SwitchExport) -> None:
    unknown = sorted(switch.installed_names - switch.packages.keys())
    if unknown:
        talk(
            f"{switch.file}: {len(unknown)} installed packages have no section, so nobody knows "
            f"whether they have sources: {', '.join(unknown[:10])}{' …' if unknown[10:] else ''}"
        )


def _needed(sources: Collection[Source], cache: Cache) -> frozenset[Checksum] | None:
    """Return what the sources need in the cache; None when there are no sources."""
    if not sources:
        return None
    commits = (commit_checksum(source, cache) for source in sources if source.kind == "git")
    recorded = {checksum for source in sources for checksum in source.checksums}
    return frozenset(recorded.union(filter(None, commits)))


def _list(arguments: argparse.Namespace, cache: Cache) -> int:
    names: dict[Checksum, str] = {}
    for source in recorded_sources(arguments):
        tar = commit_checksum(source, cache) if source.kind == "git" else None
        for checksum in source.checksums if tar is None else (tar,):
            names[checksum] = source.file_name
    files = [
        (entry, next((names[one] for one in entry.checksums if one in names), None))
        for entry in cache.entries()
    ]
    if arguments.json:
        shown = [
            {
                "path": str(entry.path),
                "size": entry.size,
                "checksums": [str(checksum) for checksum in entry.checksums],
                "file_name": name,
            }
            for entry, name in files
        ]
        json.dump({"files": shown}, sys.stdout, indent=2)
        print()
        return 0
    for entry, name in files:
        best = min(entry.checksums, key=lambda one: STRENGTH.index(one.kind))
        print(f"{best}  {entry.size}  {name or ''}".rstrip())
    return 0


def _verify(arguments: argparse.Namespace, cache: Cache) -> int:
    count = 0
    wrong: list[VerificationError] = []
    for _, errors in cache.verify(remove=arguments.remove):
        count += 1
        wrong += errors
        for error in errors:
            talk(f"{error}{' (removed)' if arguments.remove else ''}")
    print(f"{count} files, {len(wrong)} wrong names")
    return VerificationError.exit_code if wrong and not arguments.remove else 0


def _gc(arguments: argparse.Namespace, cache: Cache) -> int:
    needed = _needed(recorded_sources(arguments), cache)
    if needed is None and arguments.sources:
        raise UsageError("these records have no sources, so everything would be removed")
    size = 0
    for removal in cache.collect_garbage(needed, dry_run=arguments.dry_run):
        size += removal.size
        print(removal.path)
    talk(f"{'would free' if arguments.dry_run else 'freed'} {size} bytes")
    return 0


def _export(arguments: argparse.Namespace, cache: Cache) -> int:
    needed = _needed(recorded_sources(arguments), cache)
    if needed is None and arguments.sources:
        needed = frozenset()
    count = sum(1 for _ in cache.export(Path(arguments.directory), needed))
    print(f"{count} files in {arguments.directory}")
    return 0


_ACTIONS: dict[str, Callable[[argparse.Namespace, Cache], int]] = {
    "list": _list,
    "verify": _verify,
    "gc": _gc,
    "export": _export,
}
