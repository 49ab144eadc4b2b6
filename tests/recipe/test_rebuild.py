"""From a record to its plan: order, variables, environment, and what is refused."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.errors import Faults, PkggenError, VerificationError
from pkggen.opam.switch import read_switch
from pkggen.recipe.plan import RebuildPlan, Runtime, as_json
from pkggen.recipe.rebuild import ORB_BUILD, rebuild_plan
from pkggen.record.open import open_record
from tests.rebuild.made import EXAMPLE, Package, make

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.record.model import Record

PREFIX: Final = Runtime.PREFIX
SHA256: Final = "0" * 64
MD5_OF_X: Final = hashlib.md5(b"x").hexdigest()  # noqa: S324 - orb's choice
HEY: Final = b"hey\n"
HEY_SHA256: Final = hashlib.sha256(HEY).hexdigest()


def record_of(directory: Path, *packages: Package, **environment: str) -> Record:
    return make(directory, packages, environment=environment).read()


def plan_of(directory: Path, *packages: Package, **environment: str) -> RebuildPlan:
    return rebuild_plan(record_of(directory, *packages, **environment))


def faults_of(record: Record, target: str = "record") -> list[str]:
    with pytest.raises(PkggenError) as caught:
        rebuild_plan(record, target)
    assert caught.value.exit_code == 3
    faults = caught.value.faults if isinstance(caught.value, Faults) else (caught.value,)
    return sorted(fault.message for fault in faults)


def opened(source: Path, spool: Path) -> Record:
    return open_record(
        str(source),
        server="https://builds.example.org",
        platform=None,
        cache=lambda: spool,
        spool=spool,
        note=lambda _: None,
    )


# Order


def after(directory: Path, depends: str, depopts: str = "[]") -> tuple[str, ...]:
    plan = plan_of(
        directory,
        *map(Package, "abcde"),
        Package("me", f"depends: {depends} depopts: {depopts}"),
        Package("root"),
    )
    return next(package.after for package in plan.switch if package.name == "me")


@pytest.mark.parametrize(
    ("depends", "depopts", "expected"),
    [
        ('["a" "b"]', "[]", "ab"),
        ('"a" | "absent" | "b"', "[]", "ab"),
        ('["a"]', '"c" | "absent"', "ac"),
        ('["a" {>= "1" & post} "b" {post}]', "[]", ""),
        ('["a" {with-test} "b" {with-doc} "c" {with-dev-setup} "d" {build} "e"]', "[]", "de"),
        ('["a" {with-test | build} "b" {!with-test}]', "[]", "ab"),
        ('["a" {os = "linux"} "b" {os = "win32"} "c" {os-family = "debian"}]', "[]", "ac"),
        ('["a" {>= "9"} "b" {!(= "1")}]', "[]", "ab"),
        ('["a" {a:version = "7"} "b" {nonsense}]', "[]", "ab"),
        ('["me"]', "[]", ""),
    ],
)
def test_what_must_be_installed_before(
    depends: str, depopts: str, expected: str, tmp_path: Path
) -> None:
    assert "".join(after(tmp_path, depends, depopts)) == expected


def test_order_follows_dependencies_then_names(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        Package("b", 'depends: "z"'),
        Package("z"),
        Package("c"),
        Package("a", 'depopts: "b"'),
        Package("root", 'depends: "a"'),
    )
    assert [package.name for package in plan.packages] == ["c", "z", "b", "a", "root"]


def test_a_cycle_is_refused_and_named(tmp_path: Path) -> None:
    packages = (
        *(Package("a", 'depends: "b"'), Package("b", 'depends: "c"'), Package("c", 'depends: "a"')),
        *(Package("free"), Package("user", 'depends: "a"'), Package("root")),
    )
    assert faults_of(record_of(tmp_path, *packages)) == [
        "these packages need each other: a, b, c, user"
    ]


def test_a_cycle_through_post_is_none(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        Package("ocaml", 'depends: "ocaml-base-compiler"'),
        Package("ocaml-base-compiler", 'depends: "ocaml" {= "1" & post}'),
        Package("root"),
    )
    assert [package.name for package in plan.switch] == ["ocaml-base-compiler", "ocaml"]


# Steps


def test_commands_are_evaluated(tmp_path: Path) -> None:
    build = (
        '[make "-j%{jobs}%" "V=%{version}%" {dev} "P=%{prefix}%/x"]'
        ' ["never"] {with-test} ["cmd" "%{a:enable}%" "%{absent:enable}%" a:version "%%"]'
        ' ["empty" "" "%{absent:version}%"] [] ["x" {os = "win32"}]'
    )
    plan = plan_of(tmp_path, Package("a"), Package("root", f"build: [{build}] install: [jobs]"))
    assert plan.root.package.commands == (
        (("make",), ("-j", Runtime.JOBS), ("P=", PREFIX, "/x")),
        (("cmd",), ("enable",), ("disable",), ("1",), ("%",)),
        (("empty",), (), ()),
        ((Runtime.JOBS,),),
    )


def test_settings_are_kept_for_all_that_depend_in_opams_order(tmp_path: Path) -> None:
    sets = (
        'setenv: [[A += "%{lib}%/a"] [B = "%{version}%"] [C =+ "c"]'
        ' [D := "d"] [E =: "e"] [F =+= "f"]]'
    )
    plan = plan_of(
        tmp_path,
        Package("a", sets),
        Package("between", 'depends: "a"'),
        Package("last", 'depends: "between" setenv: [Z = "z"] build-env: [Y = "%{name}%"]'),
        Package("other"),
        Package("root", 'depends: ["last" "other"]'),
    )
    plans = {package.name: package for package in plan.packages}
    exports = [(setting.name, setting.op, setting.value) for setting in plans["a"].exports]
    assert exports == [
        ("A", "+=", (PREFIX, "/lib/a")),
        ("B", "=", ("1",)),
        ("C", "=+", ("c",)),
        ("D", ":=", ("d",)),
        ("E", "=:", ("e",)),
        ("F", "=+=", ("f",)),
    ]
    inherits = {name: package.inherits for name, package in plans.items()}
    assert inherits == {
        "a": (),
        "between": ("a",),
        "last": ("a",),
        "other": (),
        "root": ("last", "a"),
    }
    assert [(s.name, s.value) for s in plans["last"].environment] == [("Y", ("last",))]


def test_the_environment_is_the_recorded_one(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, Package("root"), EXTRA="a=b", HOME="/root", MAKEFLAGS="-j9")
    environment = dict(plan.environment)
    assert environment["EXTRA"] == "a=b"
    assert environment["SOURCE_DATE_EPOCH"] == "1589138087"
    assert environment["HOME"] == "/nonexistent"
    assert environment["MAKEFLAGS"] == ""
    assert not environment.keys() & {"PATH", "PREFIX", "OS", "ARCH", "ORB_BUILDING_PACKAGE"}
    assert plan.search_path == "/bin:/sbin:/usr/bin:/usr/sbin"


def test_a_switch_has_one_identity_for_all_jobs(tmp_path: Path) -> None:
    tool = Package("tool", 'build: ["true"]')
    one = plan_of(tmp_path / "1", tool, Package("root", 'build: ["one"]'))
    two = plan_of(
        tmp_path / "2", tool, Package("two", 'build: ["two"]'), ORB_BUILDING_PACKAGE="two"
    )
    assert one.switch_id == two.switch_id
    for differing in (
        plan_of(tmp_path / "3", Package("tool", 'build: ["false"]'), Package("root")),
        plan_of(tmp_path / "4", tool, Package("root"), PREFIX="/other"),
        plan_of(tmp_path / "5", tool, Package("root"), SOURCE_DATE_EPOCH="1"),
        plan_of(tmp_path / "6", tool, Package("root"), PATH="/bin"),
    ):
        assert differing.switch_id != one.switch_id


def test_sources_extra_files_and_patches(tmp_path: Path) -> None:
    fields = f"""
      patches: ["one.patch" "two.patch" {{os = "win32"}} "three" {{os = "linux"}}]
      substs: ["conf" "never" {{os = "win32"}}]
      extra-source "fix/one.patch" {{
        src: "https://pkggen.test/x" checksum: "sha256={SHA256}"
      }}
    """
    package = plan_of(tmp_path, Package("root", fields, {"file": "x"})).root.package
    assert package.source is not None
    assert package.source.file_name.startswith("root.1-")
    assert [placed.path for placed in package.placed] == ["fix/one.patch"]
    assert (package.patches, package.substs) == (("one.patch", "three"), ("conf",))
    assert not package.is_empty


def test_files_that_the_record_carries(tmp_path: Path) -> None:
    made = make(tmp_path, (Package("root", f'extra-files: ["a b.patch" "sha256={HEY_SHA256}"]'),))
    with (made.record / "opam-switch").open("a") as switch:
        switch.write(f'extra-files: ["sha256={HEY_SHA256}" "{b64encode(HEY).decode()}"]\n')
    plan = rebuild_plan(made.read())
    (placed,) = plan.root.package.placed
    assert placed.path == "a b.patch"
    assert plan.carried == (placed.source,)
    assert plan.carried[0].content == HEY
    assert plan.carried[0].file_name == f"root.1-{HEY_SHA256[:8]}-a_b.patch"


# Roots with vendored sources


def duniverse(fields: str = "", lock: str = "mirage/mirage-lock.opam") -> Package:
    entries = f'["https://pkggen.test/a.tbz" "a" ["sha256={SHA256}"]]'
    return Package(
        "root",
        f"x-opam-monorepo-duniverse-dirs: [{entries}] {fields}\n"
        + (f'x-mirage-opam-lock-location: "{lock}"' if lock else ""),
        {"config.ml": ""},
    )


def test_a_unikernel_is_built_at_orbs_place(tmp_path: Path) -> None:
    root = duniverse(
        'x-mirage-configure: ["sh" "-c" "mirage configure"] x-mirage-pre-build: [make "lock"]\n'
        'build: ["dune" "build"] install: ["cp" "x" "%{bin}%/x"]'
    )
    plan = plan_of(tmp_path, Package("tool", 'build: "true"'), root)
    assert [package.name for package in plan.switch] == ["tool"]
    assert plan.root.directory == "/tmp/orb-build"  # noqa: S108
    assert plan.root.dune_file == "duniverse/dune"
    assert [vendored.path for vendored in plan.root.vendored] == ["duniverse/a"]
    assert plan.root.configure == (("sh",), ("-c",), ("mirage configure",))
    assert plan.root.package.commands[0] == (("dune",), ("build",))
    assert "lock" not in json.dumps(as_json(plan))
    assert plan.root.package.after == ("tool",)


def test_vendored_sources_are_two_levels_above_the_lock_file(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, duniverse(lock="sub/dir/mirage/x.opam"))
    assert plan.root.dune_file == "sub/dir/duniverse/dune"
    assert plan.root.vendored[0].path == "sub/dir/duniverse/a"


def test_sources_of_mfetch_have_no_dune_file(tmp_path: Path) -> None:
    root = duniverse(lock="")
    fields = root.fields.replace("x-opam-monorepo-duniverse-dirs", "x-mfetch-vendored-dirs")
    plan = plan_of(tmp_path, root._replace(fields=fields))
    assert plan.root.directory == "/tmp/orb-build"  # noqa: S108
    assert [vendored.path for vendored in plan.root.vendored] == ["vendors/a"]
    assert plan.root.dune_file is None


# Refusals


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    record = record_of(
        tmp_path,
        Package("cycle-a", 'depends: "cycle-b"'),
        Package("cycle-b", 'depends: "cycle-a"'),
        Package("hash", 'build: ["x" "%{_:build-id}%"]'),
        Package("config", 'build: ["x" "%{cycle-a:speed}%" "%{colour}%"]'),
        Package("branch", 'url { src: "git+https://pkggen.test/x.git#main" }'),
        Package("unsummed", 'url { src: "https://pkggen.test/x.tgz" }'),
        Package("local", 'url { src: "file:///home/me/x" }'),
        Package(
            "deep",
            f'url {{ src: "https://pkggen.test/d.tgz" checksum: "md5={"0" * 32}" subpath: "sub" }}',
        ),
        Package("setter", 'setenv: ["BAD-NAME" = "x"]'),
        Package("root"),
        PREFIX="relative",
    )
    found = "\n".join(faults_of(record))
    for part in (
        "these packages need each other: cycle-a, cycle-b",
        "the variable build-id is a hash",
        "config: a step needs the variable cycle-a:speed",
        "config: a step needs the variable colour",
        "pinned to the branch or tag 'main'",
        "https://pkggen.test/x.tgz has no checksum",
        "is a directory of the machine",
        "deep is in a directory of its source: sub",
        "setter sets a variable with the name 'BAD-NAME'",
        "no usable PREFIX: 'relative'",
    ):
        assert part in found


@pytest.mark.parametrize(
    ("roots", "message"),
    [("", "has no root package"), ('"a.1" "b.1"', "has 2 root packages: a.1, b.1")],
)
def test_a_record_without_one_root_is_refused(roots: str, message: str, tmp_path: Path) -> None:
    made = make(tmp_path, (Package("a"), Package("b")))
    switch = made.record / "opam-switch"
    switch.write_text(switch.read_text().replace('roots: ["b.1"]', f"roots: [{roots}]"))
    with pytest.raises(PkggenError, match=message) as caught:
        rebuild_plan(made.read())
    assert caught.value.exit_code == 3


def test_an_installed_package_without_section_is_refused(tmp_path: Path) -> None:
    made = make(tmp_path, (Package("base-unix", version="base"), Package("root")))
    switch = made.record / "opam-switch"
    listed = switch.read_text().replace(
        '"root.1"]\npackage', '"root.1" "gone.2" "lost.3"]\npackage'
    )
    switch.write_text(listed)
    (fault,) = faults_of(made.read())
    assert fault.startswith("nothing says how gone.2, lost.3 is built")


@pytest.mark.parametrize(
    "prefix", ["", "p", "/a b", "/a/../b", "/", "/a//b", "/$x", "/a'", "/é", "/.", "/a/"]
)
def test_prefixes_that_scripts_stumble_over(prefix: str, tmp_path: Path) -> None:
    (fault,) = faults_of(record_of(tmp_path, Package("root"), PREFIX=prefix))
    assert "no usable PREFIX" in fault


# Results and real records


def test_expected_files_have_the_best_recorded_hash(tmp_path: Path) -> None:
    made = make(tmp_path, (Package("root"),), built={"bin/root": b"x"})
    (made.record / "root.build-hashes").write_text(
        f'opam-version: "2.0"\nadded: ["bin/root" {{"F:{MD5_OF_X}"}} "doc/x" {{"F:{"2" * 32}"}} '
        '"doc" {"D"}]\n'
    )
    expected = rebuild_plan(made.read()).expected
    assert [(file.path, file.kind) for file in expected] == [
        ("bin/root", "sha256"),
        ("doc/x", "md5"),
    ]
    assert expected[1].digest == "2" * 32


def test_real_records_are_planned(records: Path, tmp_path: Path) -> None:
    refused = {}
    switch_only = {"mirage-hosttools": "there is no build-environment"}
    for number, source in enumerate(sorted((records / "made").iterdir())):
        spool = tmp_path / str(number)
        spool.mkdir()
        try:
            plan = rebuild_plan(opened(source, spool))
        except PkggenError as error:
            refused[source.name] = error.message
            continue
        names = [package.name for package in plan.packages]
        for position, package in enumerate(plan.packages):
            assert set(package.after) <= set(names[:position])
        assert json.dumps(as_json(plan)) == json.dumps(as_json(plan))
    assert refused == switch_only


def test_the_unikernel_record_is_planned_as_it_was_built(records: Path, tmp_path: Path) -> None:
    plan = rebuild_plan(opened(records / "made" / "hello-spt", tmp_path))
    assert len(plan.switch) == 40
    assert len(plan.root.vendored) == 22
    assert plan.root.configure is not None
    assert len(plan.sources) == 49


def test_the_example_is_planned(tmp_path: Path) -> None:
    plan = rebuild_plan(opened(EXAMPLE / "record", tmp_path))
    assert [package.full_name for package in plan.packages] == [
        "conf-gcc-hello.1",
        "greeting.0.1",
        "hello-unikernel.1.0.0",
    ]
    assert plan.root.directory is None
    assert read_switch((EXAMPLE / "record/opam-switch").read_bytes(), "x").root.name == (
        plan.root.package.name
    )


@pytest.mark.parametrize(
    "path",
    ["bin:/usr/bin", ":/usr/bin", "/usr/bin:", ".", "/usr/../tmp", "/nonexistent/prefix/bin:/bin",
     ORB_BUILD, "/bin\t"],
)  # fmt: skip
def test_a_path_that_leads_to_what_is_built_is_refused(tmp_path: Path, path: str) -> None:
    record = record_of(tmp_path, Package("root"), PATH=path)
    assert faults_of(record) == [f"build-environment records no usable PATH: {path!r}"]


def test_build_hashes_that_change_before_they_are_used(tmp_path: Path) -> None:
    made = make(tmp_path, (Package("root"),))
    place = made.record / "root.build-hashes"
    place.write_text(f'added: "bin/x" {{"F:{MD5_OF_X}"}}')
    record = made.read()
    assert "bin/x" in {one.path for one in rebuild_plan(record).expected}
    place.write_text(f'added: "bin/y" {{"F:{MD5_OF_X}"}}')
    with pytest.raises(VerificationError, match="changed since it was read"):
        rebuild_plan(record)
