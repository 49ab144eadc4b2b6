"""The plan itself: what it gathers, and how it is printed as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

from pkggen.opam.package import Checksum
from pkggen.recipe.plan import (
    Carried,
    Expected,
    PackagePlan,
    Placed,
    RebuildPlan,
    RootPlan,
    Runtime,
    Setting,
    Vendored,
    as_json,
)
from pkggen.sources.model import Source, Use


def source(name: str) -> Source:
    return Source(
        kind="archive",
        file_name=name,
        checksums=(Checksum("sha256", "0" * 64),),
        urls=("https://pkggen.test/x",),
        users=(Use("package", "x"),),
        commit=None,
    )


def package(name: str, own: Source | None = None, *placed: Placed) -> PackagePlan:
    return PackagePlan(
        name=name,
        version="1",
        after=(),
        source=own,
        placed=placed,
        substs=(),
        patches=(),
        inherits=(),
        environment=(Setting(name="A", op="+=", value=(Runtime.PREFIX, "/lib")),),
        commands=(),
        exports=(),
    )


FILE = Carried(file_name="c-file", content=b"\0\xff")
PLAN = RebuildPlan(
    job="job",
    target="record",
    variables=(("lib", (Runtime.PREFIX, "/lib")),),
    prefix="/p",
    environment=(("TZ", "UTC"),),
    search_path="/bin",
    switch=(
        package("a", source("b.tar"), Placed(path="x", source=FILE)),
        package("b", source("b.tar"), Placed(path="y", source=source("a.tar"))),
    ),
    root=RootPlan(
        package=package("root", None, Placed(path="z", source=FILE)),
        directory="/tmp/orb-build",  # noqa: S108
        vendored=(Vendored(path="duniverse/v", source=source("v.tar")),),
        dune_file="duniverse/dune",
        configure=(("x",),),
    ),
    expected=(Expected(path="bin/x", kind="sha256", digest="0" * 64),),
)


def test_files_are_gathered_once_and_sorted() -> None:
    assert [one.file_name for one in PLAN.sources] == ["a.tar", "b.tar", "v.tar"]
    assert PLAN.carried == (FILE,)
    assert [one.name for one in PLAN.packages] == ["a", "b", "root"]


def test_a_package_without_steps_is_empty() -> None:
    assert package("a").is_empty
    assert not package("a", source("x")).is_empty
    assert not replace(package("a"), commands=((("true",),),)).is_empty
    assert not package("a", None, Placed(path="x", source=FILE)).is_empty


def test_json_holds_all_and_is_json() -> None:
    shown = as_json(PLAN)
    assert json.loads(json.dumps(shown)) == shown
    assert isinstance(shown, dict)
    assert shown["switch"][0] == {
        "name": "a",
        "version": "1",
        "after": [],
        "source": "b.tar",
        "placed": [{"path": "x", "source": {"file_name": "c-file", "content": "AP8="}}],
        "substs": [],
        "patches": [],
        "inherits": [],
        "environment": [{"name": "A", "op": "+=", "value": [{"runtime": "PREFIX"}, "/lib"]}],
        "commands": [],
        "exports": [],
    }


def test_identity_is_of_what_builds_the_switch() -> None:
    same = replace(PLAN, job="other", root=replace(PLAN.root, configure=None), expected=())
    assert same.switch_id == PLAN.switch_id
    assert len(PLAN.switch_id) == 64
    for differing in (
        replace(PLAN, prefix="/q"),
        replace(PLAN, search_path="/sbin"),
        replace(PLAN, environment=()),
        replace(PLAN, switch=PLAN.switch[:1]),
    ):
        assert differing.switch_id != PLAN.switch_id


def test_variables_count_where_files_are_made_of_them() -> None:
    def with_os(name: str, root: str, *substs: str) -> str:
        variables = (("os", (name,)), ("root:version", (root,)))
        switch = (replace(package("a"), substs=substs),)
        return replace(PLAN, variables=variables, switch=switch).switch_id

    assert with_os("linux", "1") == with_os("freebsd", "2")
    assert with_os("linux", "1", "x") == with_os("linux", "2", "x")
    assert with_os("linux", "1", "x") != with_os("freebsd", "1", "x")
