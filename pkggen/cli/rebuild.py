"""`pkggen rebuild`: build a record again and compare every byte."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pkggen.cli.common import download_cache, source_opener
from pkggen.cli.fetch import choices, jobs_of, progress
from pkggen.cli.talk import talk
from pkggen.errors import InputError, VerificationError
from pkggen.process import inherited
from pkggen.rebuild.chroot import ARCHIVE, check_chroot, run_in_chroot
from pkggen.rebuild.here import check_directory, check_here, run_here, search_path
from pkggen.rebuild.layout import RECORDED, RESULT, SCRIPT, lay_out
from pkggen.rebuild.machine import this_machine
from pkggen.rebuild.report import compare, describe
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.sources.fetch import fetch

if TYPE_CHECKING:
    import argparse

    from pkggen.rebuild.report import Report
    from pkggen.recipe.plan import RebuildPlan
    from pkggen.record.model import Record


def run(arguments: argparse.Namespace) -> int:
    """Rebuild one record."""
    jobs = jobs_of(arguments.jobs)
    directory = Path(arguments.output).absolute()
    check_directory(directory)
    with source_opener(arguments) as opened:
        record = opened(arguments.source)
        plan = rebuild_plan(record)
        _check(arguments, record, plan)
        with progress(len(plan.sources)) as tell:
            fetched = fetch(plan.sources, download_cache(arguments), choices(arguments), tell)
        lay_out(plan, fetched, directory)
        if arguments.prepare:
            print(directory / SCRIPT)
            return 0
        report = _rebuilt(arguments, record, plan, directory, jobs)
    if arguments.json:
        shown = {"schema": "1.0.0", "same": report.same, **asdict(report)}
        json.dump(shown, sys.stdout, indent=2)
        print()
    else:
        for line in describe(report):
            print(line)
    return 0 if report.same else VerificationError.exit_code


def _check(arguments: argparse.Namespace, record: Record, plan: RebuildPlan) -> None:
    """Raise what can be known to go wrong, before anything is fetched."""
    if arguments.prepare:
        return
    if not plan.expected:
        raise InputError(
            "the record holds no built file to compare with",
            where=record.source,
            hint="--prepare writes the script nevertheless",
        )
    if arguments.in_chroot:
        check_chroot(plan, record, arguments.archive or ARCHIVE)
    else:
        check_here(plan)


def _rebuilt(
    arguments: argparse.Namespace, record: Record, plan: RebuildPlan, directory: Path, jobs: int
) -> Report:
    if arguments.in_chroot:
        offline = True
        machine = run_in_chroot(
            plan,
            record,
            directory,
            archive=arguments.archive or ARCHIVE,
            jobs=jobs,
            keep=arguments.keep,
            progress=talk,
        )
    else:
        offline = run_here(plan, directory, jobs=jobs, keep=arguments.keep, progress=talk)
        machine = this_machine({"PATH": search_path(plan)})
    return compare(
        record,
        plan,
        machine,
        result=directory / RESULT,
        originals=directory / RECORDED,
        offline=offline,
        # Not the recorded PATH: it may lead to what was just built.
        environment=inherited("PATH"),
    )
