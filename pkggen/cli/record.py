"""`pkggen record`: save a recorded build to a directory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pkggen.cli.common import source_opener
from pkggen.errors import InputError, UsageError, printable
from pkggen.record.identity import parse_time
from pkggen.record.saved import save

if TYPE_CHECKING:
    import argparse
    from datetime import datetime

    from pkggen.record.model import Record


def run(arguments: argparse.Namespace) -> int:
    """Save one record."""
    started, finished = _time(arguments.started), _time(arguments.finished)
    with source_opener(arguments) as opened:
        record = _timed(opened(arguments.source), started, finished)
        save(record, Path(arguments.output))
    print(printable(arguments.output))
    return 0


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_time(text, "")
    except InputError as error:
        raise UsageError(
            f"{text!r} is no time with a time zone", hint="write it as 2026-08-20T12:00:00Z"
        ) from error


def _timed(record: Record, started: datetime | None, finished: datetime | None) -> Record:
    """Return the record with the times that the user stated for it."""
    if started is None and finished is None:
        return record
    if record.started is not None or record.finished is not None:
        raise UsageError(
            "this build has its times recorded; --started and --finished are not for it"
        )
    if started is None:
        raise UsageError("--finished needs --started")
    if finished is not None and finished < started:
        raise UsageError("--finished is before --started")
    return replace(record, started=started, finished=finished or started)
