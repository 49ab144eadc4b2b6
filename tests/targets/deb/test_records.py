"""Every real record as a source package, with made-up files where it holds none."""

from __future__ import annotations

import hashlib
import io
import shutil
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import pytest
from debian.changelog import Changelog
from debian.copyright import Copyright
from debian.deb822 import Deb822, Dsc

from pkggen.errors import PkggenError
from pkggen.recipe.build import package_recipe
from pkggen.recipe.depexts import depexts
from pkggen.recipe.distfiles import Distfile, carried_distfile
from pkggen.recipe.licences import all_of
from pkggen.recipe.model import ImageRecipe
from pkggen.recipe.overrides import Overrides, PackageOverrides
from pkggen.recipe.parts import all_sources, every_part, linked_in
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.record.elf import programs
from pkggen.record.manifest import write_manifest
from pkggen.record.open import open_record
from pkggen.targets.deb.licences import text as licence_text
from pkggen.targets.deb.model import Inputs, Rebuild
from pkggen.targets.deb.source_package import source_package
from pkggen.tree import Bytes
from pkggen.writer import write
from tests.conftest import ENVIRONMENT, elf
from tests.targets.deb.made import MAINTAINER, STARTED, ran

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pkggen.record.model import Record
    from pkggen.targets.deb.source_package import SourcePackage
    from tests.conftest import MakeImage

DIRECTORIES: Final = (
    *("albatross", "albatross-1.5.1_repo2022-09", "builder", "dns-primary-git", "hello-spt"),
    *("lablgtk3-sourceview3", "mirage", "mirage-4.2.1_repo2022-09", "opam-graph", "orb", "solo5"),
    *("something", "timestamp"),
)
ARCHIVES: Final = ("something.full", "timestamp.full")
SHAPES: Final = ("image", "tool", "rebuild")
NATIVE: Final = (("solo5", "tool"), ("solo5", "rebuild"))
"""Built from the release tarball: `tests/targets/deb/test_native.py`."""
CASES: Final = [
    *((name, shape) for name in DIRECTORIES for shape in SHAPES if (name, shape) not in NATIVE),
    # No image can be put into an archive of builder.
    *((name, shape) for name in ARCHIVES for shape in SHAPES[1:]),
]


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes source packages of the real records."""

    records: Path
    work: Path
    make_image: MakeImage

    def record(self, name: str, shape: str) -> Record:
        """Return a record with the files and the time that a package needs."""
        place = self.work / f"{name}-{shape}"
        if name in ARCHIVES:
            return open_record(
                str(self.records / "made" / name),
                server="https://builds.example.org",
                platform=None,
                cache=lambda: self.work / "cache",
                spool=self.work,
                note=print,
            )
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.records / "made" / name, place)
        for readme in place.glob("README*"):
            readme.unlink()
        if shape == "image":
            target = "spt" if name == "hello-spt" else "hvt"
            self.make_image(place / "bin" / f"fake.{target}", target)
        elif not (place / "bin").exists() and not (place / "lib").exists():
            (place / "bin").mkdir()
            (place / "bin" / "fake").write_bytes(elf([]))
        found = assemble(read_directory(place, name))
        return replace(found, started=STARTED, finished=STARTED)

    def inputs(self, name: str, shape: str) -> Inputs:
        record = self.record(name, shape)
        stated = PackageOverrides(
            name=record.job.lower().removesuffix("-git"),
            description="Package of a test",
            licence=all_of(["ISC"]),
            licences=tuple(without_text(record)),
        )
        overrides = Overrides(maintainer=MAINTAINER, packages=((record.job, stated),))
        rebuild = None if shape != "rebuild" else faked(record)
        return Inputs(
            recipe=package_recipe(record, overrides, {}),
            record=record,
            manifest=write_manifest(record),
            parts=(linked_in if rebuild is None else all_sources)(record, overrides, {}),
            programs=programs(record),
            rebuild=rebuild,
        )


def without_text(record: Record) -> Iterator[tuple[str, str]]:
    """Yield what is stated for parts whose licence is none of SPDX's, or has no text here."""
    for part in every_part(record):
        try:
            for term in all_of(part.licences).terms:
                licence_text(term)
        except PkggenError:
            yield part.name, "ISC"


def faked(record: Record) -> Rebuild:
    """Return a rebuild whose sources are made up."""
    plan = rebuild_plan(record, "debian")
    found = []
    for source in plan.sources:
        data = source.file_name.encode()
        digest = hashlib.sha256(data).hexdigest()
        found.append(
            Distfile(
                name=source.file_name,
                sha256=digest,
                size=len(data),
                content=Bytes(data),
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


@pytest.fixture(scope="module")
def maker(records: Path, tmp_path_factory: pytest.TempPathFactory, make_image: MakeImage) -> Maker:
    return Maker(records, tmp_path_factory.mktemp("records"), make_image)


def texts(package: SourcePackage) -> dict[str, str]:
    """Return the texts below debian/."""
    found = {}
    for path, file in package.unpacked.items():
        if path.parts[0] == "debian":
            with file.content.open() as stream:
                found[str(PurePosixPath(*path.parts[1:]))] = stream.read().decode()
    return found


def check(inputs: Inputs, package: SourcePackage) -> None:
    """Compare what python-debian reads with what went in."""
    recipe = inputs.recipe
    found = texts(package)
    source, binary = Deb822.iter_paragraphs(found["control"])
    assert source["Source"] == binary["Package"] == recipe.name
    assert source["Maintainer"] == f"{MAINTAINER.name} <{MAINTAINER.email}>"
    assert source.get("Homepage") == recipe.homepage
    assert binary["Description"].split("\n")[0] == recipe.description
    if inputs.rebuild is not None:
        depends = set(source["Build-Depends"].replace("\n", " ").replace(" ", "").split(","))
        named = {one for one in inputs.rebuild.depends if one not in {"gcc", "make", "perl-base"}}
        assert named - {"g++", "libc6-dev", "mawk", "dash", "tar", "sed"} <= depends
    (entry,) = Changelog(found["changelog"], strict=True)
    with package.packed[package.dsc].content.open() as stream:
        dsc = Dsc(stream.read())
    assert (entry.package, str(entry.version)) == (recipe.name, dsc["Version"])
    assert entry.date == "Sun, 23 Aug 2026 09:00:00 +0000" or inputs.record.started != STARTED
    rights = Copyright(io.StringIO(found["copyright"]), strict=True)
    names = {one["License"].split("\n")[0] for one in rights.all_license_paragraphs()}
    for stanza in rights.all_files_paragraphs():
        for part in stanza["License"].replace(", and ", " and ").split(" and "):
            assert set(part.split(" or ")) <= names
    comment = next(iter(rights.all_files_paragraphs()))["Comment"]
    for one in inputs.parts:
        assert f" {one.name}" in comment
    for distfile in () if inputs.rebuild is None else inputs.rebuild.distfiles:
        own = rights.find_files_paragraph(str(inputs.rebuild.place(distfile)))  # type: ignore[union-attr]
        assert own is not None


def made(maker: Maker, name: str, shape: str) -> tuple[Inputs, SourcePackage]:
    inputs = maker.inputs(name, shape)
    assert isinstance(inputs.recipe, ImageRecipe) is (shape == "image")
    return inputs, source_package(inputs)


@pytest.mark.parametrize("shape", ["image", "tool"])
@pytest.mark.parametrize("name", ["dns-primary-git", "hello-spt", "something", "timestamp"])
def test_python_debian_reads_back_what_was_written(maker: Maker, name: str, shape: str) -> None:
    check(*made(maker, name, shape))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "shape"), CASES)
def test_every_record_is_unpacked(maker: Maker, name: str, shape: str, tmp_path: Path) -> None:
    if shutil.which("dpkg-source") is None:
        pytest.skip("NO dpkg-source: source packages are not unpacked")
    inputs, package = made(maker, name, shape)
    check(inputs, package)
    write(package.packed, tmp_path)
    ran("dpkg-source", "--require-strong-checksums", "-x", str(package.dsc), cwd=tmp_path)
    for path, file in package.unpacked.items():
        data = (tmp_path / package.directory / path).read_bytes()
        assert hashlib.sha256(data).hexdigest() == file.sha256


def test_exports_that_orb_did_not_make_are_refused(records: Path, tmp_path: Path) -> None:
    exports = sorted((records / "public").iterdir())
    assert len(exports) == 9
    for number, export in enumerate(exports):
        place = tmp_path / str(number)
        place.mkdir()
        shutil.copy(export, place / "opam-switch")
        (place / "build-environment").write_text(ENVIRONMENT.format(name="x"))
        (place / "bin").mkdir()
        (place / "bin/x").write_bytes(elf([]))
        record = replace(assemble(read_directory(place, export.name)), started=STARTED)
        with pytest.raises(PkggenError, match=r"the switch has (no|[0-9]+) root package"):
            package_recipe(record, Overrides(maintainer=MAINTAINER), {})
