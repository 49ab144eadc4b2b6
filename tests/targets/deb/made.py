"""Records and what a source package is made from, as the command puts it together."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pkggen.recipe.build import package_recipe
from pkggen.recipe.depexts import depexts
from pkggen.recipe.distfiles import Distfile, carried_distfile
from pkggen.recipe.model import Maintainer
from pkggen.recipe.overrides import Overrides
from pkggen.recipe.parts import all_sources, linked_in
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.record.artifact import FileContent
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.record.elf import programs
from pkggen.record.manifest import write_manifest
from pkggen.targets.deb.model import Inputs, Rebuild
from pkggen.tree import Bytes
from tests.conftest import elf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pkggen.record.model import Record

EXAMPLE: Final = Path(__file__).resolve().parents[3] / "examples" / "hello"
STARTED: Final = datetime(2026, 8, 23, 9, tzinfo=UTC)
MAINTAINER: Final = Maintainer(name="Jane Doe", email="jane@example.org", nixpkgs=None)
OURS: Final = Overrides(maintainer=MAINTAINER)

TOOL_SWITCH: Final = r'''opam-version: "2.0"
roots: ["greet.1.0"]
installed: ["greet.1.0" "words.0.3"]
package "greet" {
  version: "1.0"
  synopsis: "Greets whoever is named on its command line"
  description: """
This tool greets everybody who is named, in an order that may surprise, and is otherwise a
test: its paragraphs were filled by somebody with a wide screen.
.
It can
- say hello, as often as is needed, to all of the people who are named on the command line
- wait

    greet --all

...and more."""
  license: "ISC"
  authors: ["Ada Author <ada@example.org>" "Bob  Builder"]
  homepage: "https://example.org/greet"
  bug-reports: "https://example.org/greet/issues"
  dev-repo: "git+https://example.org/greet.git"
  depends: ["words"]
}
package "words" {
  version: "0.3"
  license: "LGPL-2.1-or-later WITH OCaml-LGPL-linking-exception"
  authors: "Ada Author <ada@example.org>"
  url {
    src: "https://example.org/words-0.3.tbz"
    checksum: "sha256=0000000000000000000000000000000000000000000000000000000000000000"
  }
}
'''
TOOL_ENVIRONMENT: Final = (
    "HOME=/home/builder\nPATH=/bin:/usr/bin\nSOURCE_DATE_EPOCH=1589138087\n"
    "ORB_BUILDING_PACKAGE=greet\nPREFIX=/tmp/myswitch\nSWITCH_PATH=myswitch\nARCH=x86_64\n"
    "OS_FAMILY=debian\nOS_VERSION=12\nOS_DISTRIBUTION=debian\nOS=linux"
)
MANUAL: Final = b".TH GREET 1\n.SH NAME\ngreet \\- greets\n.SH DESCRIPTION\nIt greets.\n"
TOOL_FILES: Final[Mapping[str, bytes]] = {
    "bin/greet": elf([]),
    "doc/greet/manual.txt": b"A long manual.\n" * 400,
    "etc/greet.conf": b"loud = yes\n",
    "lib/greet/words.txt": b"hello\n",
    "man/man1/greet.1": MANUAL,
    "sbin/greetd": b"#!/bin/sh\nexec greet --all\n",
    "share/greet/TAGS": b"not for an editor\n",
    "share/greet/c++.orig": b"kept\n",
}


def write_files(directory: Path, files: Mapping[str, bytes]) -> Path:
    """Write files below a directory."""
    for name, data in files.items():
        place = directory / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return directory


def tool_directory(directory: Path, files: Mapping[str, bytes] = TOOL_FILES) -> Path:
    """Write what orb leaves of a tool."""
    return write_files(
        directory,
        {
            "opam-switch": TOOL_SWITCH.encode(),
            "build-environment": TOOL_ENVIRONMENT.encode(),
            "system-packages": b"gcc=4:12.2.0-3\n",
            **files,
        },
    )


def tool_record(directory: Path, files: Mapping[str, bytes] = TOOL_FILES) -> Record:
    """Return the record of a tool."""
    return started(assemble(read_directory(tool_directory(directory, files), "greet")))


def started(record: Record) -> Record:
    """Return a record that says when its build was."""
    return replace(record, started=STARTED, finished=STARTED)


def example_record() -> Record:
    """Return the example's record."""
    return assemble(read_directory(EXAMPLE / "record", "hello"))


def inputs_of(
    record: Record,
    overrides: Overrides = OURS,
    mirror: Path | None = None,
) -> Inputs:
    """Return what the source package of a record is made from.

    Args:
        record: The build.
        overrides: What pkggen.yaml states.
        mirror: Directory with its sources in the layout of opam's cache: makes a rebuild of it.
    """
    recipe = package_recipe(record, overrides, {})
    rebuild = None if mirror is None else rebuild_of(record, mirror)
    return Inputs(
        recipe=recipe,
        record=record,
        manifest=write_manifest(record),
        parts=(linked_in if rebuild is None else all_sources)(record, overrides, {}),
        programs=programs(record),
        rebuild=rebuild,
    )


def rebuild_of(record: Record, mirror: Path) -> Rebuild:
    """Return the rebuild of a record whose sources are in a mirror."""
    plan = rebuild_plan(record, "debian")
    found = []
    for source in plan.sources:
        places = [mirror / one.kind / one.digest[:2] / one.digest for one in source.checksums]
        place = next(place for place in places if place.exists())
        data = place.read_bytes()
        found.append(
            Distfile(
                name=source.file_name,
                sha256=hashlib.sha256(data).hexdigest(),
                size=len(data),
                content=FileContent(place),
                source=source,
                commit=None,
            )
        )
    found += [carried_distfile(carried, Bytes(carried.content)) for carried in plan.carried]
    names = [package.name for package in plan.packages]
    return Rebuild(
        plan=plan,
        distfiles=tuple(sorted(found, key=lambda one: one.name)),
        depends=tuple(sorted(depexts(record, names, "debian"))),
    )


def ran(*argv: str | Path, cwd: Path, status: int = 0, **environment: str) -> str:
    """Run a program, demand its exit status, and return all that it printed."""
    done = subprocess.run(
        argv,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **environment},
    )
    assert done.returncode == status, done.stdout
    return done.stdout
