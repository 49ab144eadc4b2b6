from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pkggen.errors import Faults, InputError
from pkggen.recipe.model import Version
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.targets.freebsd.distfiles import Mirrors
from pkggen.targets.freebsd.model import Sources, Wanted
from pkggen.targets.freebsd.view import port_view
from tests.rebuild.made import Package, make
from tests.targets.freebsd.conftest import WANTED, licences, tool, without_origin

if TYPE_CHECKING:
    from pathlib import Path

    from tests.targets.freebsd.conftest import MakePortRecipe


def test_an_image_runs_as_a_service_and_needs_its_tender(make_port_recipe: MakePortRecipe) -> None:
    view = port_view(make_port_recipe(), WANTED)
    assert str(view.directory) == "sysutils/dns-primary"
    assert view.version == "1.0.0.20260823090000"
    assert view.dependencies.run == ("solo5>=0.8.0:sysutils/solo5",)
    assert view.dependencies.build == view.dependencies.lib == view.dependencies.uses == ()
    assert view.service is not None
    assert view.architecture == "amd64"
    (installed,) = view.payload
    assert (installed.path, installed.how) == ("bin/dns-primary.hvt", "DATA")
    assert installed.place == installed.packed == "share/mirage/dns-primary.hvt"
    assert view.site is not None
    assert view.site.endswith("/f/bin/")


def test_another_port_of_the_tender(make_port_recipe: MakePortRecipe) -> None:
    wanted = replace(WANTED, tender="emulators/solo5-tender", category="dns")
    view = port_view(make_port_recipe(), wanted)
    assert view.dependencies.run == ("solo5-tender>=0.8.0:emulators/solo5-tender",)
    assert str(view.directory) == "dns/dns-primary"


@pytest.mark.parametrize("tender", ["solo5", "", "a/b c", "a/b:c", "../x", "a/$(b)"])
def test_what_is_no_origin(make_port_recipe: MakePortRecipe, tender: str) -> None:
    with pytest.raises(InputError, match="no origin of a port"):
        port_view(make_port_recipe(), replace(WANTED, tender=tender))


def test_an_older_abi_needs_the_program_whatever_its_version(
    make_port_recipe: MakePortRecipe,
) -> None:
    recipe = make_port_recipe()
    recipe = replace(recipe, solo5=replace(recipe.solo5, abi_version=1))
    assert port_view(recipe, WANTED).dependencies.run == ("solo5-hvt:sysutils/solo5",)


def test_an_image_for_virtio_is_no_service(make_port_recipe: MakePortRecipe) -> None:
    recipe = make_port_recipe(tender="virtio")
    recipe = replace(recipe, solo5=replace(recipe.solo5, abi_version=1))
    view = port_view(recipe, WANTED)
    assert view.service is None
    assert view.dependencies.run == ("solo5-virtio-run:sysutils/solo5",)


@pytest.mark.parametrize("tender", ["spt", "muen", "genode", "xen"])
def test_what_nothing_on_freebsd_runs(make_port_recipe: MakePortRecipe, tender: str) -> None:
    with pytest.raises(InputError, match="nothing on FreeBSD runs") as caught:
        port_view(make_port_recipe(tender=tender), WANTED)
    assert "hvt and virtio" in (caught.value.hint or "")


def test_places_of_the_files_of_a_tool(make_port_recipe: MakePortRecipe) -> None:
    paths = ("bin/a", "sbin/b", "lib/a/c", "share/a/d", "etc/e", "man/man8/a.8", "doc/a/README")
    recipe = tool(make_port_recipe(), {path: path.encode() for path in paths})
    view = port_view(recipe, WANTED, ("gmp", "pkgconf", "ca_root_nss"))
    assert [(one.path, one.how, one.place) for one in view.payload] == [
        ("bin/a", "PROGRAM", "bin/a"),
        ("etc/e", "DATA", "etc/e"),
        ("lib/a/c", "DATA", "lib/a/c"),
        ("sbin/b", "PROGRAM", "sbin/b"),
        ("share/a/d", "DATA", "share/a/d"),
        ("doc/a/README", "DATA", "share/doc/a/README"),
        ("man/man8/a.8", "DATA", "share/man/man8/a.8"),
    ]
    assert view.payload[-1].packed == "share/man/man8/a.8.gz"
    assert view.dependencies.lib == ("libgmp.so:math/gmp",)
    assert view.dependencies.run == ("ca_root_nss>0:security/ca_root_nss",)
    assert view.service is None
    assert [file.name for file in view.files] == sorted(paths)


def test_what_cannot_be_installed_is_named_at_once(make_port_recipe: MakePortRecipe) -> None:
    files = {path: path.encode() for path in ("src/a", "bin", "man/x.1", "share/man/x.1", "b/../c")}
    with pytest.raises(Faults) as caught:
        port_view(tool(make_port_recipe(), files), WANTED)
    said = [fault.message for fault in caught.value.faults]
    assert "a port cannot install src/a" in said
    assert "a port cannot install bin" in said
    assert any("two recorded files" in message for message in said)
    assert any("'..'" in message for message in said)


def test_all_faults_come_together(make_port_recipe: MakePortRecipe) -> None:
    recipe = make_port_recipe(
        tender="spt",
        version=Version(release="1.0~beta", built=make_port_recipe().version.built),
        licences=licences("AFL-3.0"),
    )
    wanted = Wanted(category="local", origins={}, mirrors=Mirrors(), submitted=True)
    with pytest.raises(Faults) as caught:
        port_view(without_origin(recipe), wanted)
    said = "\n".join(str(fault) for fault in caught.value.faults)
    for part in (
        *("category 'local'", "nothing on FreeBSD runs", "without a maintainer", "'AFL-3.0'"),
        *("cannot be a version of a FreeBSD port", "it is on no server"),
    ):
        assert part in said


def test_a_build_on_no_server_needs_a_distdir(make_port_recipe: MakePortRecipe) -> None:
    recipe = without_origin(make_port_recipe())
    with pytest.raises(InputError, match="on no server"):
        port_view(recipe, WANTED)
    view = port_view(recipe, replace(WANTED, distdir=True))
    assert view.site is None


def test_a_rebuild_must_make_what_is_installed(
    make_port_recipe: MakePortRecipe, tmp_path: Path
) -> None:
    root = Package("root", 'build: ["%{make}%" "all"]')
    plan = rebuild_plan(make(tmp_path, [root]).read(), "freebsd")
    sources = Sources(plan=plan, distfiles=(), depexts=("gtk3",))
    with pytest.raises(Faults) as caught:
        port_view(make_port_recipe(), WANTED, (), sources)
    said = [fault.message for fault in caught.value.faults]
    assert any("does not make bin/dns-primary.hvt" in message for message in said)
    assert any("gtk3" in message for message in said)
    recipe = tool(make_port_recipe(), {"bin/root": b"x"})
    view = port_view(recipe, WANTED, (), replace(sources, depexts=("pkgconf",)))
    assert view.dependencies.build == ("opam-installer:devel/ocaml-opam",)
    assert view.dependencies.uses == ("gmake", "pkgconfig")
    assert view.subdirectory == "mirage"
