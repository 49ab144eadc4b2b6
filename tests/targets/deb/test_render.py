"""Whole `debian/` directories against goldens, and what is in none of them."""

from __future__ import annotations

import io
import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import pytest
import yaml
from debian.changelog import Changelog
from debian.copyright import Copyright
from debian.deb822 import Deb822

from pkggen.errors import InputError, PkggenError
from pkggen.opam.switch import read_switch
from pkggen.recipe.model import ImageRecipe, Maintainer, ToolRecipe, Version
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.record.model import Origin, Program, Solo5Device
from pkggen.targets.deb.model import Earlier
from pkggen.targets.deb.render import debian_tree
from pkggen.tree import CopiedFile, TextFile, Tree, is_sealed
from tests.targets.deb.made import (
    EXAMPLE,
    STARTED,
    TOOL_FILES,
    example_record,
    inputs_of,
    started,
    tool_directory,
    tool_record,
)

if TYPE_CHECKING:
    from pkggen.targets.deb.model import Inputs
    from tests.conftest import CheckGolden, MakeRecord

GOLDEN: Final = Path(__file__).parent / "golden"
DEBIAN: Final = PurePosixPath("debian")
CASES: Final = ("image", "rebuild", "spt", "tool", "hostile")
SPT_DEVICES: Final = (
    *(("in", "NET_BASIC"), ("out", "NET_BASIC")),
    *(("data", "BLOCK_BASIC"), ("log", "BLOCK_BASIC")),
)
HOSTILE: Final = (
    "$(shell touch owned) ${Newline}Evil: 1 %n ${misc:Depends} `touch owned` 'a\" closes: #1, #2"
    " LP: #3 \N{RIGHT-TO-LEFT OVERRIDE}# \u2028\n -- E <e@x>  Thu, 01 Jan 1970 00:00:00 +0000\n.\n"
    "\nEvil: 1\n \n---\r\x85\t{{ 7 }} \\"
)
HOSTILE_SWITCH: Final = r'''opam-version: "2.0"
roots: ["evil.1.0~rc1"]
installed: ["evil.1.0~rc1" "lib.2"]
package "evil" {
  version: "1.0~rc1"
  synopsis: "Two words"
  description: """
$(shell touch owned) ${Newline}Evil: 1 ${misc:Depends}

Package: evil
 Depends: evil
.
 .
..
.hidden
 ${shlibs:Depends}
%s `touch owned` \\
"""
  license: "ISC"
  authors: ["." " . " "" "x\nEvil: 1\n .\n" "A\n\nFiles: *\nLicense: Evil" "B # \\"]
  homepage: ["javascript:evil" "https://e.org/$(x)"]
  bug-reports: "http://e.org/\n- !!python/object:os.system [touch owned]\n# \\"
  dev-repo: "git+https://e.org/'; [\"}: &a *a\nEvil: 1"
  depends: ["lib"]
}
package "lib" {
  version: "2"
  license: "MIT"
  authors: "\nEvil: 1"
  url {
    src: "https://e.org/closes:#1"
    checksum: "sha256=0000000000000000000000000000000000000000000000000000000000000000"
  }
}
'''


@pytest.fixture(scope="session")
def image() -> Inputs:
    return inputs_of(example_record())


@pytest.fixture(scope="session")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return inputs_of(tool_record(tmp_path_factory.mktemp("tool") / "r"))


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory, make_record: MakeRecord) -> Inputs:
    """Return a build whose every free text tries to break out."""
    directory = make_record(tmp_path_factory.mktemp("hostile") / "r", saved=False)
    record = started(assemble(read_directory(directory, "hostile")))
    switch = read_switch(HOSTILE_SWITCH.encode(), "opam-switch")
    inputs = inputs_of(replace(record, switch=switch))
    old = replace(switch, installed=("evil.1.0~rc1", "gone.closes"))
    recipe = inputs.recipe
    provenance = replace(
        recipe.provenance,
        job=f"x{HOSTILE}",
        platform=HOSTILE,
        origin=Origin(server="https://x", job=f"x\r\n{HOSTILE}", build="a\u2028b\\"),
        root="evil\n.\nEvil: 1.2",
    )
    earlier = Earlier(
        version=Version(release="0.9", built=datetime(2026, 8, 1, tzinfo=UTC)),
        provenance=provenance,
        record=replace(record, switch=old),
    )
    return replace(
        inputs,
        recipe=replace(recipe, description=HOSTILE, homepage=HOSTILE, provenance=provenance),
        earlier=(earlier,),
    )


@pytest.fixture(scope="session")
def trees(
    image: Inputs,
    tool: Inputs,
    hostile: Inputs,
    make_record: MakeRecord,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Tree]:
    place = tmp_path_factory.mktemp("spt") / "r"
    spt = make_record(place, "proxy", "spt", SPT_DEVICES, saved=False)
    made = {
        "image": image,
        "rebuild": inputs_of(example_record(), mirror=EXAMPLE / "download-cache"),
        "spt": inputs_of(started(assemble(read_directory(spt, "spt")))),
        "tool": tool,
        "hostile": hostile,
    }
    return {case: debian_tree(inputs) for case, inputs in made.items()}


def text(tree: Tree, path: str) -> str:
    with tree[DEBIAN / path].content.open() as stream:
        return stream.read().decode()


@pytest.mark.parametrize("case", CASES)
def test_goldens(trees: dict[str, Tree], case: str, check_golden: CheckGolden) -> None:
    check_golden(trees[case], GOLDEN / case)


@pytest.mark.parametrize("case", CASES)
def test_pkggen_knows_each_file_as_its_own(trees: dict[str, Tree], case: str) -> None:
    listed = text(trees[case], "README.source")
    for path, file in trees[case].items():
        assert isinstance(file, TextFile)
        assert is_sealed(file.data) or f"{file.sha256}  {path}\n" in listed


@pytest.mark.parametrize("case", CASES)
def test_readers_of_debian_see_what_was_meant(trees: dict[str, Tree], case: str) -> None:
    tree = trees[case]
    source, binary = Deb822.iter_paragraphs(text(tree, "control"))
    assert set(source) <= {
        *("Source", "Section", "Priority", "Maintainer", "Build-Depends", "Standards-Version"),
        *("Homepage", "Rules-Requires-Root"),
    }
    assert list(binary) == ["Package", "Architecture", "Depends", "Description"]
    entries = list(Changelog(text(tree, "changelog"), strict=True))
    assert len(entries) == (2 if case == "hostile" else 1)
    assert {entry.author for entry in entries} == {"Jane Doe <jane@example.org>"}
    assert [bug for entry in entries for bug in (*entry.bugs_closed, *entry.lp_bugs_closed)] == []
    rights = Copyright(io.StringIO(text(tree, "copyright")), strict=True)
    assert next(iter(rights.all_files_paragraphs()))["Files"] == "*"
    assert rights.find_files_paragraph("debian/control") is not None
    used = {
        name
        for stanza in rights.all_files_paragraphs()
        for name in stanza["License"].replace(", and", " and").split(" and ")
    }
    assert used == {stanza["License"].split("\n")[0] for stanza in rights.all_license_paragraphs()}
    assert set(yaml.safe_load(text(tree, "upstream/metadata"))) <= {
        *("Bug-Database", "Documentation", "Name", "Repository"),
    }


@pytest.mark.parametrize("case", CASES)
def test_make_runs_what_is_written(trees: dict[str, Tree], case: str, tmp_path: Path) -> None:
    (tmp_path / "rules").write_text(text(trees[case], "rules"))
    shown = subprocess.run(
        ["make", "-n", "-f", "rules", "execute_before_dh_builddeb", "override_dh_strip"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (source, *_) = Deb822.iter_paragraphs(text(trees[case], "control"))
    assert shown.splitlines()[0] == f"sh debian/tests/payload debian/{source['Source']}"
    assert [path.name for path in tmp_path.iterdir()] == ["rules"]


def test_every_line_can_be_seen(trees: dict[str, Tree]) -> None:
    for tree in trees.values():
        for path in tree:
            for line in text(tree, str(path.relative_to(DEBIAN))).split("\n"):
                assert line.replace("\t", "").isprintable(), (path, line)


def test_a_list_of_what_changed(image: Inputs) -> None:
    record = image.record
    shorter = read_switch(
        b'roots: ["hello-unikernel.1.0.0"] installed: ["hello-unikernel.1.0.0" "greeting.0.0"]\n'
        b'package "hello-unikernel" { version: "1.0.0" }\n',
        "opam-switch",
    )
    past = Earlier(
        version=Version(release="1.0.0", built=STARTED.replace(year=2025)),
        provenance=image.recipe.provenance,
        record=replace(record, switch=shorter, image=None),
    )
    new, old = Changelog(text(debian_tree(replace(image, earlier=(past,))), "changelog"))
    changes = [line for line in new.changes() if line]
    assert changes[-2:] == ["  * New: conf-gcc-hello 1", "  * greeting: 0.0 -> 0.1"]
    assert str(old.version) == "1.0.0-20250823090000Z-0pkggen1"
    assert [line for line in old.changes() if line] == [
        "  * Build of job hello-unikernel on debian-12"
    ]


# Overrides of lintian


def overrides(inputs: Inputs, path: str) -> list[str]:
    tree = debian_tree(inputs)
    if DEBIAN / path not in tree:
        return []
    return [line for line in text(tree, path).splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("symbols", [True, False])
@pytest.mark.parametrize("static", [True, False])
def test_overrides_say_what_is_true(image: Inputs, *, symbols: bool, static: bool) -> None:
    image_path = PurePosixPath("bin/hello.hvt")
    of = {image_path: Program(symbols=symbols, static=static)}
    assert overrides(replace(image, programs=of), "hello-unikernel.lintian-overrides") == [
        *(["unstripped-binary-or-object [usr/lib/unikernels/hello.hvt]"] if symbols else []),
        *(["statically-linked-binary [usr/lib/unikernels/hello.hvt]"] if static else []),
    ]


def test_overrides_are_for_programs_only(tool: Inputs) -> None:
    assert overrides(tool, "source/lintian-overrides") == [
        "source-is-missing [bin/greet]",
        "source-contains-prebuilt-binary [bin/greet]",
    ]
    undocumented = "no-manual-page [usr/sbin/greetd]"
    assert overrides(tool, "greet.lintian-overrides") == [
        undocumented,
        "statically-linked-binary [usr/bin/greet]",
    ]
    none = replace(tool, programs={})
    assert DEBIAN / "source/lintian-overrides" not in debian_tree(none)
    objects = {PurePosixPath("lib/greet/words.txt"): Program(symbols=True, static=False)}
    assert overrides(replace(tool, programs=objects), "greet.lintian-overrides") == [
        undocumented,
        "unstripped-binary-or-object [usr/lib/greet/words.txt]",
    ]


# Overlays


def overlaid(inputs: Inputs, **files: bytes) -> Tree:
    overlay = Tree({DEBIAN / name: CopiedFile.of(data) for name, data in files.items()})
    return debian_tree(replace(inputs, overlay=overlay))


def test_a_file_of_the_overlay_counts(image: Inputs) -> None:
    tree = overlaid(image, rules=b"mine\n", extra=b"more\n")
    assert text(tree, "rules") == "mine\n"
    assert text(tree, "rules.pkggen.hint") == text(debian_tree(image), "rules")
    assert text(tree, "extra") == "more\n"
    assert DEBIAN / "extra.pkggen.hint" not in tree


def test_an_equal_file_needs_no_hint(image: Inputs) -> None:
    data = text(debian_tree(image), "docs").encode()
    assert DEBIAN / "docs.pkggen.hint" not in overlaid(image, docs=data)


def test_binary_files_are_allowed_by_name(image: Inputs) -> None:
    tree = overlaid(image, logo=b"\x89PNG\0", note=b"text", late=b"x" * 4096 + b"\0")
    assert text(tree, "source/include-binaries") == "debian/logo\n"


def test_a_copyright_file_of_ones_own_needs_no_known_licence(image: Inputs) -> None:
    (part, *others) = image.parts
    strange = replace(
        part, licences=replace(part.licences, terms=(replace(part.licences.terms[0], spdx="AAL"),))
    )
    inputs = replace(image, parts=(strange, *others))
    with pytest.raises(InputError, match="does not have the text of AAL"):
        debian_tree(inputs)
    assert text(overlaid(inputs, copyright=b"mine\n"), "copyright") == "mine\n"


# What cannot be


def refused(inputs: Inputs) -> str:
    with pytest.raises(PkggenError) as caught:
        debian_tree(inputs)
    return str(caught.value)


def changed(inputs: Inputs, **fields: object) -> Inputs:
    return replace(inputs, recipe=replace(inputs.recipe, **fields))  # type: ignore[arg-type]


BAD: Final[dict[str, tuple[dict[str, object], str]]] = {
    "no maintainer": ({"maintainer": None}, "needs a maintainer"),
    "name": ({"name": "Hello"}, "'Hello' cannot be the name of a Debian package"),
    "short name": ({"name": "x"}, "'x' cannot be the name"),
    "address": (
        {"maintainer": Maintainer(name="x", email="a${Newline}@x.org", nixpkgs=None)},
        "the address 'a${Newline}@x.org' cannot be",
    ),
    "one word": ({"description": "Greets"}, "single word"),
    "before 1980": (
        {"version": Version(release="1", built=datetime(1979, 12, 31, tzinfo=UTC))},
        "in 1979, which Debian refuses",
    ),
    "release": ({"version": Version(release="1_2", built=STARTED)}, "'1_2-20260823090000Z'"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_debian_forbids(image: Inputs, case: str) -> None:
    fields, message = BAD[case]
    assert message in refused(changed(image, **fields))


def test_all_reasons_come_together(image: Inputs) -> None:
    message = refused(changed(image, maintainer=None, name="X", description="y"))
    for part in ("maintainer", "'X' cannot be the name", "single word"):
        assert part in message


@pytest.mark.parametrize(
    ("solo5", "message"),
    [
        ({"abi_version": 1}, "Debian has no tender for Solo5's ABI version 1"),
        ({"machine": "riscv64"}, "Debian has no riscv64"),
        ({"target": "xen"}, "no tender runs an image for 'xen'"),
        ({"devices": (Solo5Device(name="a b", kind="NET_BASIC"),)}, "'a b' cannot be named"),
    ],
)
def test_images_that_debian_cannot_run(
    image: Inputs, solo5: dict[str, object], message: str
) -> None:
    recipe = image.recipe
    assert isinstance(recipe, ImageRecipe)
    wrong = replace(recipe, solo5=replace(recipe.solo5, **solo5))  # type: ignore[arg-type]
    assert message in refused(replace(image, recipe=wrong))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("share/a b", "the path 'share/a b' cannot be used"),
        ("share/*", "cannot be used"),
        ("share/a\nb", "cannot be used"),
        ("share/$x", "cannot be used"),
        ("share/[a]", "cannot be used"),
        ("-rf/x", "cannot be used"),
        ("readme", "no place for this file"),
        ("lib", "no place for this file"),
        ("var/x", "no place for this file"),
        ("man/man1/x.1", "share/man/man1/x.1 is installed at the same place"),
        ("bin/sh", "every Debian has a program of that name"),
        ("sbin/mount", "every Debian has a program of that name"),
    ],
)
def test_payload_that_has_no_place(tool: Inputs, path: str, message: str) -> None:
    recipe = tool.recipe
    assert isinstance(recipe, ToolRecipe)
    one = recipe.payload[0]
    strange = (
        replace(one, path=PurePosixPath("share/man/man1/x.1")),
        replace(one, path=PurePosixPath(path)),
    )
    assert message in refused(replace(tool, recipe=replace(recipe, payload=strange)))


def test_every_place(tool: Inputs) -> None:
    lines = text(debian_tree(tool), "SHA256SUMS").splitlines()
    assert [line.split("  ")[1] for line in lines] == [
        "usr/bin/greet",
        "usr/share/doc/greet/manual.txt",
        "etc/greet.conf",
        "usr/lib/greet/words.txt",
        "usr/share/man/man1/greet.1",
        "usr/sbin/greetd",
        "usr/share/greet/TAGS",
        "usr/share/greet/c++.orig",
    ]
    assert len(lines) == len(TOOL_FILES)


def test_what_dh_clean_would_delete(tool: Inputs) -> None:
    recipe = tool.recipe
    assert isinstance(recipe, ToolRecipe)
    paths = ("share/a~", "share/c++/d.bak", "lib/c++.orig", "lib/.deps/a.P", "share/a.TAGS")
    cache = "share/x/autom4te.cache/y"
    payload = tuple(
        replace(recipe.payload[0], path=PurePosixPath(path)) for path in (*paths, cache)
    )
    rules = text(debian_tree(replace(tool, recipe=replace(recipe, payload=payload))), "rules")
    assert re.findall("--exclude=(\\S+)", rules) == [
        ".orig",
        "autom4te.cache",
        "d.bak",
        "lib/.deps/a.P",
        "share/a~",
    ]


def test_a_system_package_that_debian_cannot_have() -> None:
    inputs = inputs_of(example_record(), mirror=EXAMPLE / "download-cache")
    assert inputs.rebuild is not None
    strange = replace(inputs.rebuild, depends=("gmp, evil", "libc6-dev"))
    assert "'gmp, evil', which Debian cannot have" in refused(replace(inputs, rebuild=strange))


def test_a_build_that_imitates_the_seal_is_refused(tmp_path: Path) -> None:
    directory = tool_directory(tmp_path)
    switch = directory / "opam-switch"
    switch.write_text(switch.read_text().replace("Bob  Builder", "seal: 0123456789abcdef"))
    record = started(assemble(read_directory(directory, "seal")))
    assert "more than one seal" in refused(inputs_of(record))
