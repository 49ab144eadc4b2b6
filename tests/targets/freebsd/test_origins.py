from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pkggen.errors import InputError
from pkggen.targets.freebsd import names
from pkggen.targets.freebsd.origins import (
    BASE,
    LIBRARIES,
    ORIGINS,
    RUNTIME,
    USES,
    Dependencies,
    dependencies,
    read_origins,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_the_tables_agree_with_each_other() -> None:
    assert not BASE & ORIGINS.keys()
    assert {*USES, *LIBRARIES, *RUNTIME} <= {*ORIGINS.values()}
    for origin in ORIGINS.values():
        assert origin.split("/")[0] in names.CATEGORIES


def test_a_rebuilt_image_needs_all_of_it_while_it_is_built() -> None:
    found = dependencies(
        ["gmp", "pkgconf", "gmake", "zlib", "ca_root_nss"], {}, built=True, linked=False
    )
    assert found == Dependencies(
        build=("ca_root_nss>0:security/ca_root_nss", "gmp>0:math/gmp"), uses=("gmake", "pkgconfig")
    )


def test_a_tool_is_linked_to_libraries() -> None:
    asked = ["gmp", "libev", "pkgconf", "ca_root_nss", "autoconf"]
    assert dependencies(asked, {}, built=False, linked=True) == Dependencies(
        lib=("libev.so:devel/libev", "libgmp.so:math/gmp"),
        run=("ca_root_nss>0:security/ca_root_nss",),
    )
    built = dependencies(asked, {}, built=True, linked=True)
    assert built.build == ("autoconf>0:devel/autoconf",)
    assert built.uses == ("pkgconfig",)


def test_all_unknown_names_are_listed_at_once() -> None:
    with pytest.raises(InputError) as caught:
        dependencies(["gtk3", "gmp", "graphics/cairo"], {}, built=True, linked=False)
    assert "2 system package(s): graphics/cairo, gtk3" in caught.value.message
    assert "--origins" in (caught.value.hint or "")
    known = {"gtk3": "x11-toolkits/gtk30", "cairo": "graphics/cairo"}
    asked = ["gtk3", "gmp", "graphics/cairo"]
    assert dependencies(asked, known, built=True, linked=False).build == (
        *("cairo>0:graphics/cairo", "gmp>0:math/gmp", "gtk3>0:x11-toolkits/gtk30"),
    )


def test_a_given_index_goes_first() -> None:
    found = dependencies(["gcc"], {"gcc": "lang/gcc99"}, built=True, linked=False)
    assert found.build == ("gcc>0:lang/gcc99",)


def test_the_forms_of_an_index(tmp_path: Path) -> None:
    site = tmp_path / "packagesite.yaml"
    entries = [{"name": "gtk3", "origin": "x11-toolkits/gtk30", "version": "3"}]
    site.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert read_origins(site) == {"gtk3": "x11-toolkits/gtk30"}
    index = tmp_path / "INDEX-14"
    index.write_text(
        "gtk3-3.24.43_1|/usr/ports/x11-toolkits/gtk30|/usr/local|c|d|e|f|g|h|i|j|k|l\n"
    )
    assert read_origins(index) == {"gtk3": "x11-toolkits/gtk30"}
    for origin in ("math/gmp", "devel/twice", "lang/twice"):
        (tmp_path / "tree" / origin).mkdir(parents=True)
        (tmp_path / "tree" / origin / "Makefile").touch()
    assert read_origins(tmp_path / "tree") == {"gmp": "math/gmp"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{\n", "no line of a packagesite.yaml"),
        ('{"name": "a"}\n', "no line of a packagesite.yaml"),
        ('{"name": "a", "origin": "../x"}\n', "names no package and origin"),
        ('{"name": ["a"], "origin": "a/b"}\n', "names no package and origin"),
        ("a|b\n", "neither packagesite.yaml nor INDEX"),
        (b"\xff\n", "not UTF-8"),
    ],
)
def test_what_is_no_index(tmp_path: Path, text: str | bytes, said: str) -> None:
    file = tmp_path / "index"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as caught:
        read_origins(file)
    assert said in caught.value.message
    assert str(file) in str(caught.value.where)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_origins(tmp_path / "none")
    with pytest.raises(InputError, match="no port"):
        read_origins(tmp_path)
