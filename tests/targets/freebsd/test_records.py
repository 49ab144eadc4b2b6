"""Ports of real records, as far as these go: their sources and files are made up."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.errors import Faults, InputError, PkggenError
from pkggen.recipe.build import package_recipe
from pkggen.recipe.depexts import depexts, without_names
from pkggen.recipe.distfiles import Distfile, carried_distfile
from pkggen.recipe.licences import all_of
from pkggen.recipe.overrides import Overrides, PackageOverrides
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.record.model import Artifact
from pkggen.targets.freebsd.distfiles import Mirrors
from pkggen.targets.freebsd.lint import lint
from pkggen.targets.freebsd.model import Sources, Wanted
from pkggen.targets.freebsd.origins import BASE_PACKAGES
from pkggen.targets.freebsd.render import port_tree
from pkggen.targets.freebsd.view import port_view
from pkggen.tree import Bytes
from pkggen.writer import write

if TYPE_CHECKING:
    from pkggen.record.model import Record

STARTED: Final = datetime(2026, 8, 20, 12, tzinfo=UTC)
MIRRORS: Final = Mirrors(own=("https://mirror.example.org",))
WITHOUT_NAMES: Final = {
    "albatross": {"conf-libnl3 needs libnl-3-dev, libnl-route-3-dev"},
    "albatross-1.5.1_repo2022-09": {"conf-libnl3 needs libnl-3-dev, libnl-route-3-dev"},
    "dns-primary-git": {"conf-libseccomp needs", "solo5 needs linux-libc-dev"},
    "hello-spt": {"conf-libseccomp needs", "solo5 needs linux-libc-dev"},
    "lablgtk3-sourceview3": {"3 system package(s): graphics/cairo, gtk3, gtksourceview3"},
    "mirage-4.2.1_repo2022-09": {"conf-libseccomp needs", "solo5 needs linux-libc-dev"},
    "solo5": {"conf-libseccomp needs", "solo5 needs linux-libc-dev"},
}
"""Records of Linux, and what of theirs FreeBSD has no name for."""
WITH_PORT: Final = ("builder", "mirage", "opam-graph", "orb", "something", "timestamp")


def opened(place: Path) -> Record:
    """Return a record with a time, and with a file if it has none."""
    record = assemble(read_directory(place, str(place)))
    data = b"made up"
    made = Artifact(
        path=PurePosixPath("bin/made-up"),
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        content=Bytes(data),
    )
    return replace(
        record, started=STARTED, finished=STARTED, artifacts=record.artifacts or (made,), image=None
    )


def sources_of(record: Record) -> Sources:
    """Return what a rebuild starts from, with made-up bytes."""
    plan = rebuild_plan(record, "freebsd")
    found = [carried_distfile(one, Bytes(one.content)) for one in plan.carried]
    for source in plan.sources:
        data = source.file_name.encode()
        found.append(
            Distfile(
                name=source.file_name,
                sha256=hashlib.sha256(data).hexdigest(),
                size=len(data),
                content=Bytes(data),
                source=source,
                commit=source.commit,
            )
        )
    packages = [package.name for package in plan.packages]
    asking = [name for name in packages if name not in BASE_PACKAGES]
    return Sources(
        plan=plan,
        distfiles=tuple(sorted(found, key=lambda one: one.name)),
        depexts=depexts(record, packages, "freebsd"),
        unnamed=tuple(without_names(record, asking, "freebsd")),
    )


def overrides(record: Record) -> Overrides:
    """Return a licence and a description, since many records lack one."""
    stated = PackageOverrides(
        name="made-up", version="1.0", licence=all_of(["ISC"]), description="Port of a real record"
    )
    return Overrides(packages=((record.job, stated),))


@pytest.mark.parametrize("name", WITH_PORT)
def test_a_port_that_breaks_no_rule(records: Path, tmp_path: Path, name: str) -> None:
    record = opened(records / "made" / name)
    recipe = package_recipe(record, overrides(record))
    sources = sources_of(record)
    view = port_view(recipe, Wanted(origins={}, mirrors=MIRRORS), (), sources)
    write(port_tree(view, sources), tmp_path)
    assert lint(tmp_path) == ()
    assert (tmp_path / "sysutils/made-up/distinfo").read_text().count("SIZE") == len(
        sources.plan.sources
    )


@pytest.mark.parametrize("name", sorted(WITHOUT_NAMES))
def test_what_freebsd_has_no_name_for_is_listed(records: Path, name: str) -> None:
    record = opened(records / "made" / name)
    recipe = package_recipe(record, overrides(record))
    with pytest.raises(PkggenError) as caught:
        port_view(recipe, Wanted(origins={}, mirrors=MIRRORS), (), sources_of(record))
    error = caught.value
    assert isinstance(error, InputError | Faults)
    said = error.faults if isinstance(error, Faults) else (error,)
    assert len(said) == len(WITHOUT_NAMES[name])
    for wanted in WITHOUT_NAMES[name]:
        assert any(wanted in fault.message for fault in said), wanted


def test_every_record_is_looked_at(records: Path) -> None:
    there = {
        place.name
        for place in (records / "made").iterdir()
        if (place / "build-environment").exists()
    }
    assert there == {*WITH_PORT, *WITHOUT_NAMES}
