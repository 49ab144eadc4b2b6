from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from pkggen.errors import Faults, InputError, PkggenError
from pkggen.opam.switch import read_switch
from pkggen.recipe.build import image_recipe, package_recipe
from pkggen.recipe.linked import linked_parts
from pkggen.recipe.model import ImageRecipe, Maintainer, Provenance, ToolRecipe, Version
from pkggen.recipe.overrides import Overrides, read_overrides
from pkggen.recipe.versions import deb_version
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pkggen.record.model import Record
    from pkggen.sources.model import Use
    from tests.conftest import MakeRecord

STARTED: Final = datetime(2026, 8, 23, 12, 0, 0, tzinfo=UTC)
NOTHING: Final = Overrides()


@pytest.fixture
def record(tmp_path: Path, make_record: MakeRecord) -> Record:
    directory = make_record(tmp_path / "record", name="hello", tender="spt", saved=False)
    return replace(assemble(read_directory(directory, "hello-record")), started=STARTED)


def with_root(record: Record, fields: str) -> Record:
    """Return the record with another root section, of the same name and licence."""
    text = f"""roots: ["hello.dev"] installed: ["hello.dev"]
        package "hello" {{ version: "dev" license: "ISC" {fields} }}"""
    return replace(record, switch=read_switch(text.encode(), "opam-switch"))


def stated(text: str) -> Overrides:
    return read_overrides(text.encode(), "pkggen.yaml")


def faults_of(
    record: Record,
    overrides: Overrides = NOTHING,
    by_sources: Mapping[Use, tuple[str, ...]] = MappingProxyType({}),
) -> list[PkggenError]:
    with pytest.raises(PkggenError) as caught:
        image_recipe(record, overrides, by_sources)
    found = caught.value
    assert found.exit_code == 3
    return list(found.faults) if isinstance(found, Faults) else [found]


def recipe_of_root(record: Record, fields: str) -> ImageRecipe:
    return image_recipe(with_root(record, fields), NOTHING)


def test_a_recipe_from_the_record_alone(record: Record) -> None:
    recipe = image_recipe(record, NOTHING)
    assert record.image is not None
    switch = next(file for file in record.metadata if file.path.name == "opam-switch")
    assert recipe == ImageRecipe(
        name="hello",
        version=Version(release="1.0", built=STARTED),
        description="Unikernel made for a test",
        homepage=None,
        licences=recipe.licences,
        maintainer=None,
        provenance=Provenance(
            job="hello", platform=None, origin=None, root="hello.1.0", switch_sha256=switch.sha256
        ),
        image=record.image,
        solo5=recipe.solo5,
    )
    assert recipe.licences.expression == "ISC"
    assert recipe.solo5.target == "spt"
    assert recipe.file_name == PurePosixPath("hello.spt")


def test_what_is_stated_goes_first(record: Record) -> None:
    recipe = image_recipe(
        record,
        stated("""
            maintainer: {name: Jane, email: jane@example.org}
            packages:
              hello:
                name: greeter
                version: "2.1"
                description: Greeting server
                homepage: https://example.org/greeter
                licence: MIT
                maintainer: {name: John, email: john@example.org, nixpkgs: john}
        """),
    )
    assert recipe.name == "greeter"
    assert recipe.version == Version(release="2.1", built=STARTED)
    assert recipe.description == "Greeting server"
    assert recipe.homepage == "https://example.org/greeter"
    assert recipe.licences.expression == "MIT"
    assert recipe.maintainer == Maintainer(name="John", email="john@example.org", nixpkgs="john")
    assert recipe.provenance.job == "hello"


def test_the_maintainer_of_all_packages(record: Record) -> None:
    recipe = image_recipe(record, stated("maintainer: {name: Jane, email: jane@example.org}"))
    assert recipe.maintainer == Maintainer(name="Jane", email="jane@example.org", nixpkgs=None)


@pytest.mark.parametrize(
    ("job", "name"),
    [
        ("dns-primary-git", "dns-primary"),
        ("DNS_Primary", "dns-primary"),
        ("git", "git"),
        ("a-git-git", "a-git"),
        ("9p", "9p"),
    ],
)
def test_names(record: Record, job: str, name: str) -> None:
    assert image_recipe(replace(record, job=job), NOTHING).name == name


@pytest.mark.parametrize("job", ["x", "x-git", "-git", "a b", "ünikernel", "a/b", "a\n", "job.1"])
def test_jobs_that_make_no_name(record: Record, job: str) -> None:
    (fault,) = faults_of(replace(record, job=job))
    assert repr(job) in fault.message
    assert "`name`" in (fault.hint or "")


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ('synopsis: "Unikernel hello - switch dependencies"', "MirageOS unikernel for Solo5 spt"),
        ('synopsis: ""', "MirageOS unikernel for Solo5 spt"),
        ("", "MirageOS unikernel for Solo5 spt"),
        ('synopsis: "hello: a server that greets."', "Server that greets"),
    ],
)
def test_descriptions(record: Record, fields: str, line: str) -> None:
    assert recipe_of_root(record, fields).description == line


@pytest.mark.parametrize("synopsis", ["word " * 15, "hello world", "bad \u202e direction"])
def test_synopses_that_make_no_description(record: Record, synopsis: str) -> None:
    (fault,) = faults_of(with_root(record, f'synopsis: "{synopsis}"'))
    assert fault.message.startswith("the description ")
    assert "`description` of hello" in (fault.hint or "")


def test_a_stated_description_may_not_start_with_the_name(record: Record) -> None:
    (fault,) = faults_of(record, stated("packages: {hello: {description: Hello server}}"))
    assert "starts with the name of the package" in fault.message


GIT: Final = 'url { src: "git+https://example.org/x/y.git#0123abc" }'


@pytest.mark.parametrize(
    ("fields", "homepage"),
    [
        ('homepage: "https://example.org/h"', "https://example.org/h"),
        ('homepage: ["dummy" "http://localhost" "http://b.example"]', "http://b.example"),
        (f'homepage: "dummy" {GIT}', "https://example.org/x/y"),
        (f'dev-repo: "git://dummy" {GIT}', "https://example.org/x/y"),
        ('dev-repo: "git://dummy"', None),
        ('dev-repo: "git+https://example.org/x/y"', "https://example.org/x/y"),
        ('dev-repo: "git+http://example.org/x/y.git"', "http://example.org/x/y"),
        ('dev-repo: "git+https://example.org/x/y.git/"', "https://example.org/x/y"),
        ('dev-repo: "git+ssh://git@example.org/x.git"', None),
        ('dev-repo: "git+https://me:pw@example.org/x.git"', None),
        ('dev-repo: "git+https://dummy/x.git"', None),
        ("", None),
    ],
)
def test_homepages(record: Record, fields: str, homepage: str | None) -> None:
    assert recipe_of_root(record, fields).homepage == homepage


def test_an_archive_is_no_homepage(record: Record) -> None:
    archive = """url { src: "https://example.org/x-1.tar.gz"
        checksum: "md5=00000000000000000000000000000000" }"""
    assert recipe_of_root(record, archive).homepage is None


def test_a_version_that_is_no_release(record: Record) -> None:
    recipe = recipe_of_root(record, "")
    assert recipe.version == Version(release=None, built=STARTED)
    assert recipe.provenance.root == "hello.dev"


def test_a_record_without_time_is_refused_even_with_a_release(record: Record) -> None:
    (fault,) = faults_of(replace(record, started=None))
    assert fault.message == "the record does not say when the build was started"
    assert "--started TIME" in (fault.hint or "")


@pytest.mark.parametrize("missing", ["image", "solo5"])
def test_a_record_without_image_is_refused(record: Record, missing: str) -> None:
    without = replace(record, **{missing: None})  # type: ignore[arg-type]
    (fault,) = faults_of(without)
    assert fault.message.startswith("the record has no Solo5 image")


def test_everything_that_is_missing_is_reported_together(record: Record) -> None:
    text = b'installed: ["a.1"] package "a" { version: "1" }'
    bare = replace(
        record,
        job="?",
        image=None,
        solo5=None,
        started=None,
        switch=read_switch(text, "opam-switch"),
    )
    assert [fault.message.split(":")[0] for fault in faults_of(bare)] == [
        "the record has no Solo5 image",
        "the record does not say when the build was started",
        "the job name '?' does not make a package name of a-z, 0-9 and hyphens",
        "the switch has no root package",
    ]


def test_licence_faults_are_reported_with_the_others(record: Record) -> None:
    text = b"""roots: ["hello.1"] installed: ["hello.1" "lib.1"]
        package "hello" { version: "1" depends: "lib" }
        package "lib" { version: "1" license: "GPL" build: ["make"] }"""
    broken = replace(record, started=None, switch=read_switch(text, "opam-switch"))
    time, licences = faults_of(broken)
    assert "when the build was started" in time.message
    assert "lib: 'GPL' is not an SPDX expression" in licences.message
    assert "nothing is recorded for hello" in licences.message
    half = stated("packages: {hello: {licences: {hello: ISC}}}")
    assert "hello" not in faults_of(broken, half)[1].message


def real(records: Path, name: str) -> Record:
    return assemble(read_directory(records / "made" / name, name))


@pytest.mark.parametrize(
    "name", ["albatross", "orb", "builder", "opam-graph", "mirage-4.2.1_repo2022-09"]
)
def test_real_metadata_is_refused_for_what_is_missing_and_nothing_else(
    records: Path, name: str
) -> None:
    assert [fault.message for fault in faults_of(real(records, name))] == [
        "the record has no Solo5 image: it holds no file under bin/",
        "the record does not say when the build was started",
    ]


def test_a_real_tool_is_not_a_unikernel(records: Path) -> None:
    found = [fault.message for fault in faults_of(real(records, "something"))]
    assert found[0].startswith("the record has no Solo5 image: not exactly one of its files")
    assert found[2].startswith("the licence of 1 linked-in part(s) is not known")


def test_a_real_unikernel(records: Path, record: Record) -> None:
    bare = real(records, "dns-primary-git")
    assert [type(fault) for fault in faults_of(bare)] == [InputError] * 3
    full = replace(bare, image=record.image, solo5=record.solo5, started=STARTED)
    (fault,) = faults_of(full)
    assert fault.message.startswith("the licence of 85 linked-in part(s) is not known")
    snippet = yaml.safe_load((fault.hint or "").partition("\n")[2])
    missing = snippet["packages"]["dns-primary-git"]["licences"]
    vendored = {source.directory for source in full.switch.root.vendored}
    assert missing == dict.fromkeys(vendored | {"dns-primary-git"})
    missing.update(dict.fromkeys(missing, "ISC"), emile="mit", Zarith="LGPL-2.0-only")
    recipe = image_recipe(full, stated(yaml.safe_dump(snippet)))
    assert recipe.licences.expression == (
        "ISC AND LGPL-2.0-only AND LGPL-2.1-or-later WITH OCaml-LGPL-linking-exception AND MIT"
    )
    assert recipe.name == "dns-primary"
    assert recipe.description == "MirageOS unikernel for Solo5 spt"
    assert recipe.homepage == "https://github.com/robur-coop/dns-primary-git"
    assert str(deb_version(recipe.version)) == "0~20260823120000Z-0pkggen1"


def test_sources_state_what_the_record_does_not(records: Path, record: Record) -> None:
    bare = real(records, "dns-primary-git")
    full = replace(bare, image=record.image, solo5=record.solo5, started=STARTED)
    uses = [source.use for source in linked_parts(full.switch) if not source.licences]
    by_sources = dict.fromkeys(uses, ("ISC",))
    recipe = image_recipe(full, NOTHING, by_sources)
    assert recipe.licences.expression == (
        "ISC AND LGPL-2.1-or-later WITH OCaml-LGPL-linking-exception AND MIT"
    )
    missing = uses.pop()
    (fault,) = faults_of(full, by_sources=dict.fromkeys(uses, ("ISC",)))
    assert fault.message == (
        "the licence of 1 linked-in part(s) is not known: nothing is recorded for "
        + (missing.path or missing.package)
    )


def test_what_is_no_image_is_packaged_as_a_tool(record: Record) -> None:
    recipe = package_recipe(replace(record, image=None, solo5=None), NOTHING)
    assert isinstance(recipe, ToolRecipe)
    assert recipe.payload == record.artifacts
    assert (recipe.name, recipe.machine) == ("hello", "x86_64")
    assert recipe.provenance == image_recipe(record, NOTHING).provenance
    assert package_recipe(record, NOTHING) == image_recipe(record, NOTHING)


def test_a_tool_without_files_is_refused(record: Record) -> None:
    bare = replace(record, image=None, solo5=None, artifacts=(), started=None)
    with pytest.raises(Faults) as caught:
        package_recipe(bare, NOTHING)
    first, second = caught.value.faults
    assert first.message.startswith("the record holds no built file")
    assert second.message.startswith("the record does not say when")
