from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.errors import InputError
from pkggen.recipe.distfiles import Distfile
from pkggen.recipe.model import Maintainer
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.record.model import Origin
from pkggen.targets.freebsd.distfiles import Mirrors
from pkggen.targets.freebsd.lint import lint
from pkggen.targets.freebsd.model import Sources
from pkggen.targets.freebsd.render import port_tree
from pkggen.targets.freebsd.view import port_view
from pkggen.tree import Bytes, TextFile, Tree
from pkggen.writer import ChangeKind, plan, write
from tests.rebuild.made import EXAMPLE
from tests.targets.freebsd.conftest import WANTED, licences, read, tool, written

if TYPE_CHECKING:
    from pkggen.recipe.model import ImageRecipe
    from tests.conftest import CheckGolden
    from tests.targets.freebsd.conftest import Bmake, MakePortRecipe

GOLDEN: Final = Path(__file__).with_name("golden")
PUBLIC: Final = Mirrors(public=("https://opam.ocaml.org/cache",))
EXCEPTION: Final = "LGPL-2.1-only WITH OCaml-LGPL-linking-exception"
HOSTILE: Final = "Hostile $(X) ${Y} # \\ 'z' \"w\" `v` %%PREFIX%% {{ 7 }} é"


def image(make_port_recipe: MakePortRecipe) -> ImageRecipe:
    devices = (("service", "NET_BASIC"), ("data", "BLOCK_BASIC"))
    return make_port_recipe(
        devices=devices,
        description="Primary DNS server with its zones in a git repository",
        homepage="https://example.org/dns-primary",
        licences=licences("ISC", "MIT", EXCEPTION),
        maintainer=Maintainer(name="E. X.", email="someone@example.org", nixpkgs=None),
        revision=3,
    )


def test_golden_image(make_port_recipe: MakePortRecipe, check_golden: CheckGolden) -> None:
    check_golden(port_tree(port_view(image(make_port_recipe), WANTED)), GOLDEN / "image")


def albatross(make_port_recipe: MakePortRecipe) -> Tree:
    paths = ("bin/albatross", "sbin/albatrossd", "man/man8/albatrossd.8", "doc/albatross/README.md")
    files = {path: path.encode() for path in (*paths, "share/a", "share/b")}
    recipe = tool(image(make_port_recipe), files)
    return port_tree(port_view(recipe, WANTED, ("gmp", "pkgconf")))


def test_golden_tool(make_port_recipe: MakePortRecipe, check_golden: CheckGolden) -> None:
    check_golden(albatross(make_port_recipe), GOLDEN / "tool")


def hello(tmp_path: Path, recipe: ImageRecipe) -> tuple[ImageRecipe, Sources]:
    """Return the recipe of the example, and its sources as if they had been fetched."""
    record = read(EXAMPLE / "record", tmp_path)
    assert record.image is not None
    steps = rebuild_plan(record, "freebsd")
    found = []
    for source in steps.sources:
        digest = source.checksums[0].digest
        data = (EXAMPLE / "download-cache/sha256" / digest[:2] / digest).read_bytes()
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
    sources = Sources(plan=steps, distfiles=tuple(found), depexts=("gcc", "gmake"))
    return replace(recipe, name="hello-unikernel", image=record.image), sources


def test_golden_rebuild(
    make_port_recipe: MakePortRecipe, check_golden: CheckGolden, tmp_path: Path
) -> None:
    recipe, sources = hello(tmp_path, image(make_port_recipe))
    view = port_view(recipe, replace(WANTED, mirrors=PUBLIC), (), sources)
    check_golden(port_tree(view, sources), GOLDEN / "rebuild")


@pytest.mark.parametrize("name", ["image", "tool", "rebuild"])
def test_goldens_break_no_rule(name: str) -> None:
    assert lint(GOLDEN / name) == ()


def test_hostile_values(make_port_recipe: MakePortRecipe, bmake: Bmake, tmp_path: Path) -> None:
    recipe = make_port_recipe(
        description=HOSTILE,
        homepage="https://example.org/$(rm -rf)`x`#y".replace(" ", "%20"),
        maintainer=Maintainer(name="x", email="a'b@example.org", nixpkgs=None),
    )
    recipe = replace(
        recipe,
        maintainer=None,
        provenance=replace(
            recipe.provenance,
            job="x\n.error broken out\n",
            root="a\nb.1",
            origin=Origin(server="https://x", job="j\\\n.error x", build="$(b)#"),
        ),
    )
    with pytest.raises(InputError, match="no address"):
        port_tree(port_view(recipe, WANTED))
    origin = Origin(server="https://x", job="j$(k)\\", build="$(b)'")
    recipe = replace(recipe, provenance=replace(recipe.provenance, origin=origin))
    port = written(port_tree(port_view(recipe, WANTED)), tmp_path)
    (tmp_path / "mk").mkdir()
    (tmp_path / "mk/sys.mk").touch()
    (tmp_path / "mk/bsd.port.mk").touch()
    asked = [
        "-m",
        str(tmp_path / "mk"),
        "-V",
        "${COMMENT}",
        "-V",
        "${WWW}",
        "-V",
        "${MASTER_SITES}",
    ]
    assert bmake(port, asked).split("\n")[:3] == [
        HOSTILE,
        "https://example.org/%24%28rm%20-rf%29%60x%60",
        "https://x/job/j%24%28k%29%5C/build/%24%28b%29%27/f/bin/",
    ]
    text = (port / "Makefile").read_text()
    assert not re.search(r"^\.error", text, re.MULTILINE)
    assert (port / "pkg-descr").read_text().startswith(HOSTILE)


def test_the_hash_in_a_header_vouches_for_what_has_no_seal(
    make_port_recipe: MakePortRecipe, tmp_path: Path
) -> None:
    recipe = image(make_port_recipe)
    write(port_tree(port_view(recipe, WANTED)), tmp_path)
    version = replace(recipe.version, built=datetime(2026, 9, 1, tzinfo=UTC))
    newer = port_tree(port_view(replace(recipe, version=version), WANTED))
    kinds = {change.path.name: change.kind for change in plan(newer, tmp_path)}
    assert kinds["distinfo"] is kinds["Makefile"] is ChangeKind.UPDATE
    descr = tmp_path / "sysutils/dns-primary/pkg-descr"
    descr.write_text("edited\n")
    with pytest.raises(InputError, match="edited by hand"):
        write(newer, tmp_path)


def test_the_same_port_at_any_place_and_time(make_port_recipe: MakePortRecipe) -> None:
    view = port_view(image(make_port_recipe), WANTED)
    assert dict(port_tree(view)) == dict(port_tree(view))


def test_few_files_stand_in_the_makefile(make_port_recipe: MakePortRecipe) -> None:
    recipe = tool(image(make_port_recipe), {"bin/a": b"a", "bin/b": b"b"})
    tree = port_tree(port_view(recipe, WANTED))
    makefile = tree[PurePosixPath("sysutils/albatross/Makefile")]
    assert isinstance(makefile, TextFile)
    assert "PLIST_FILES=\tbin/a \\\n\t\tbin/b\n" in makefile.text
    assert PurePosixPath("sysutils/albatross/pkg-plist") not in tree
