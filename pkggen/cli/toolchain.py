"""`pkggen toolchain`: list the recorded packages of a build host for Nix."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen.cli.common import source_opener
from pkggen.errors import InputError, UsageError, raise_all
from pkggen.rebuild.archive import Suite, package_lines
from pkggen.rebuild.chroot import ARCHITECTURES, ARCHIVE, CODENAMES
from pkggen.rebuild.here import needed_tools
from pkggen.recipe.depexts import depexts
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.targets.nix.toolchain import choose, read_index, toolchain_file
from pkggen.tree import Tree
from pkggen.web import is_loopback
from pkggen.writer import write

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from pkggen.record.model import Record
    from pkggen.targets.nix.toolchain import Deb

_ARCHIVE: Final = re.compile(
    r"((?:https?|file)://[A-Za-z0-9._~:/@%+-]+?)/*(?: +([A-Za-z0-9./-]+))?"
)


def run(arguments: argparse.Namespace) -> int:
    """Write toolchain.json for one record."""
    with source_opener(arguments) as opened:
        record = opened(arguments.source)
        plan = rebuild_plan(record)
        raise_all(_unsuitable(record))
        codename = CODENAMES[record.environment.get("OS_VERSION") or ""]
        suites = [_suite(text, codename) for text in arguments.archive or [ARCHIVE]]
        names = [package.name for package in plan.packages]
        wanted = {*depexts(record, names), *needed_tools(plan).values()}
        debs = choose(
            _packages(suites, record, Path(arguments.keyring)),
            record.system_packages or (),
            wanted,
        )
    output = Path(arguments.output)
    tree = Tree({PurePosixPath(output.name): toolchain_file(debs)})
    for change in write(tree, output.parent, force=arguments.force):
        print(f"{change.kind:<9} {output}: {len(debs)} packages")
    return 0


def _unsuitable(record: Record) -> Iterator[InputError]:
    environment, where = record.environment, record.source
    system = (environment.get("OS_DISTRIBUTION"), environment.get("OS_VERSION"))
    if system[0] != "debian" or system[1] not in CODENAMES:
        yield InputError(
            f"toolchains can be listed for Debian {', '.join(CODENAMES)}; this was built on "
            f"{system[0] or 'an unknown system'} {system[1] or ''}".rstrip(),
            where=where,
        )
    if (environment.get("ARCH") or "x86_64") not in ARCHITECTURES:
        yield InputError(f"Debian has no {environment.get('ARCH')}", where=where)
    if record.system_packages is None:
        yield InputError("the record does not say which system packages it had", where=where)


def _suite(text: str, codename: str) -> Suite:
    found = _ARCHIVE.fullmatch(text)
    if found is None or ".." in text:
        raise UsageError(
            f"--archive {text!r} is no archive", hint="give URL or 'URL SUITE', as in sources.list"
        )
    if found[1].startswith("http:") and not is_loopback(found[1]):
        raise UsageError(f"--archive {found[1]} is not secure", hint="use https")
    return Suite(url=found[1], name=found[2] or codename)


def _packages(suites: Iterable[Suite], record: Record, keyring: Path) -> Iterator[Deb]:
    architecture = ARCHITECTURES[record.environment.get("ARCH") or "x86_64"]
    for suite in suites:
        yield from read_index(package_lines(suite, architecture, keyring), suite.url)
