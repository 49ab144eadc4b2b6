"""`pkggen apt`: a signed apt repository in a directory."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkggen.cli.talk import talk
from pkggen.errors import UsageError
from pkggen.publish.apt.initialise import Wanted, initialise
from pkggen.publish.apt.page import sources_file
from pkggen.publish.apt.repository import opened, public_directory

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from pkggen.publish.apt.indices import Entry


def run(arguments: argparse.Namespace) -> int:
    """Do one of the actions."""
    return _ACTIONS[arguments.action](Path(arguments.directory), arguments)


def _init(directory: Path, arguments: argparse.Namespace) -> int:
    key = arguments.key
    wanted = Wanted(
        name=arguments.name,
        url=None if arguments.url is None else arguments.url.rstrip("/"),
        fingerprint=None if key is None else key.replace(" ", "").upper(),
        suites=tuple(arguments.suite),
        architectures=tuple(arguments.architecture),
    )
    settings = initialise(directory, wanted)
    print(f"key       {settings.fingerprint}")
    for suite in settings.suites:
        print(f"suite     {suite}  {public_directory(directory) / sources_file(settings, suite)}")
    return 0


def _add(directory: Path, arguments: argparse.Namespace) -> int:
    date = _date(arguments)
    with opened(directory) as repository:
        suites = repository.settings.suites
        if arguments.suite is None and len(suites) > 1:
            raise UsageError("the repository has several suites", hint="choose with --suite")
        suite = arguments.suite or suites[0]
        added = repository.add(map(Path, arguments.files), suite, date=date)
    for done in added:
        print(f"{'added' if done.changed else 'unchanged':<9} {done.suite}  {done.entry}")
    return 0


def _remove(directory: Path, arguments: argparse.Namespace) -> int:
    with opened(directory) as repository:
        gone = repository.remove(arguments.name, version=arguments.version, suite=arguments.suite)
    for done in gone:
        print(f"removed   {done.suite}  {done.entry}")
    return 0


def _list(directory: Path, arguments: argparse.Namespace) -> int:
    with opened(directory) as repository:
        packages = repository.packages()
    if arguments.json:
        shown = {
            suite: [_as_json(entry) for entry in entries] for suite, entries in packages.items()
        }
        json.dump({"suites": shown}, sys.stdout, indent=2)
        print()
        return 0
    for suite, entries in packages.items():
        for entry in entries:
            print(f"{suite}  {entry}")
    return 0


def _as_json(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "version": entry.version,
        "architecture": entry.architecture,
        "files": [
            {"path": file.path, "size": file.size, "sha256": file.sha256} for file in entry.files
        ],
    }


def _publish(directory: Path, arguments: argparse.Namespace) -> int:
    with opened(directory) as repository:
        kept = repository.publish(date=_date(arguments))
        suites = repository.settings.suites
    for path in kept:
        talk(f"{path} was edited by hand and has been kept")
    for suite in suites:
        print(f"published {suite}")
    return 0


def _serve(directory: Path, arguments: argparse.Namespace) -> int:
    from pkggen.publish.apt.serve import Server  # noqa: PLC0415 - the others need no server

    public = public_directory(directory)
    with Server(public, bind=arguments.bind, port=arguments.port, log=talk) as server:
        print(server.url, flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            talk("stopped")
    return 0


def _date(arguments: argparse.Namespace) -> int | None:
    if arguments.date is None:
        return None
    try:
        date = datetime.fromisoformat(arguments.date)
        if date.tzinfo is not None:
            return int(date.timestamp())
    except (ValueError, OverflowError):
        pass
    raise UsageError(
        f"--date {arguments.date} is no time with a zone", hint="e.g. 2026-08-23T09:00:00Z"
    )


_ACTIONS: dict[str, Callable[[Path, argparse.Namespace], int]] = {
    "init": _init,
    "add": _add,
    "remove": _remove,
    "list": _list,
    "publish": _publish,
    "serve": _serve,
}
