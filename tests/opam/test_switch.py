from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.errors import Faults, InputError, Place, VerificationError
from pkggen.opam.package import Checksum, ExtraFile
from pkggen.opam.read import MAX_FAULTS
from pkggen.opam.switch import read_opam, read_switch
from pkggen.opam.version import OpamVersion

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.opam.switch import SwitchExport

REAL: Final = [
    # name, package sections, installed, roots, extra-files of all packages
    ("made/albatross-1.5.1_repo2022-09/opam-switch", 109, 109, 1, 8),
    ("made/albatross/opam-switch", 82, 82, 1, 0),
    ("made/builder/opam-switch", 73, 73, 1, 0),
    ("made/dns-primary-git/opam-switch", 41, 41, 1, 0),
    ("made/hello-spt/opam-switch", 41, 41, 1, 0),
    ("made/lablgtk3-sourceview3/opam-switch", 18, 18, 1, 0),
    ("made/mirage-4.2.1_repo2022-09/opam-switch", 48, 48, 1, 5),
    ("made/mirage-hosttools/opam-switch", 40, 40, 31, 0),
    ("made/mirage/opam-switch", 37, 37, 1, 0),
    ("made/opam-graph/opam-switch", 33, 33, 1, 0),
    ("made/orb/opam-switch", 40, 40, 1, 0),
    ("made/solo5/opam-switch", 3, 3, 1, 0),
    ("made/something/opam-switch", 1, 1, 1, 0),
    ("made/timestamp/opam-switch", 1, 1, 1, 1),
    ("public/Furetur+itmo-stella-typechecker@frozen_switch", 96, 95, 17, 6),
    ("public/hazelgrove+tylr@opam.export", 1, 149, 30, 0),
    ("public/o1-labs+snarky@opam.export", 4, 202, 33, 0),
    ("public/shlomenu+ahrefs_take_home_1@switch_meta.export", 76, 80, 9, 0),
    ("public/xiaoxiangmoe+ocaml-helloworld@opam-switch-universe", 28, 31, 2, 0),
]

# Lengths of all three remainders of base64: 0, 1 and 2 padding characters.
CONTENTS: Final = (b"", b"a", b"ab", b"abc", bytes(range(256)))
KINDS: Final = ("md5", "sha256", "sha512")

HOSTILE_NAMES: Final = (
    *("../../etc", "/etc/passwd", "a/b", "a\\\\b", "..", ".", "", "a b", "a\\nb", "a\\n", "é"),
    *("1", "-", "$(reboot)", "`x`", "a;b", "a'b", '\\"', "a%b", "\\x1b[2J", "~", "*"),
)


def switch(text: str) -> SwitchExport:
    return read_switch(text.encode(), "f")


def checksum(kind: str, content: bytes) -> str:
    return f"{kind}={hashlib.new(kind, content).hexdigest()}"


def encoded(content: bytes, *, pad: bool) -> str:
    text = base64.b64encode(content).decode()
    return text if pad else text.rstrip("=")


def place(error: InputError | VerificationError) -> Place:
    assert isinstance(error.where, Place)
    return error.where


def test_every_part_of_an_export() -> None:
    export = switch("""\
opam-version: "2.0"
compiler: ["ocaml-base-compiler.4.14.2"]
roots: ["a.1.0"]
installed: [
  "a.1.0"
  "base-unix.base"
  "ocaml-base-compiler.4.14.2"
]
pinned: "a.1.0"
package "a" {
  version: "1.0"
}
package "extra" {
  version: "0.1"
}
""")
    assert export.file == "f"
    assert export.compiler == ("ocaml-base-compiler.4.14.2",)
    assert export.roots == export.pinned == ("a.1.0",)
    assert export.installed_names == {"a", "base-unix", "ocaml-base-compiler"}
    assert list(export.packages) == ["a", "extra"]
    assert export.root is export.packages["a"]
    assert export.root.version == OpamVersion("1.0")
    with pytest.raises(TypeError):
        export.packages["a"] = export.root  # type: ignore[index]


def test_an_export_of_a_single_package_without_brackets() -> None:
    export = switch('roots: "a.1"\ninstalled: "a.1"\npackage "a" {\n version: "1"\n}')
    assert (export.roots, export.installed, export.compiler) == (("a.1",), ("a.1",), ())


def test_a_version_with_dots() -> None:
    export = switch('installed: "a.1.0.2" package "a" {version: "1.0.2"}')
    assert export.installed_names == {"a"}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('installed: ["a.1"]', "no root package", "the build failed"),
        ('roots: ["a.1" "b.1"] installed: ["a.1" "b.1"]', "2 root packages: a.1, b.1", "exactly"),
        ('roots: ["a.1"]', "root package a.1 is not installed", "the build failed"),
        ('roots: ["a.1"] installed: ["a.2"]', "root package a.1 is not installed", "failed"),
        ('roots: ["a.1"] installed: ["a.1"]', "root package a has no section", "--full"),
    ],
)
def test_an_export_without_its_root(text: str, message: str, hint: str) -> None:
    export = switch(text)
    with pytest.raises(InputError, match=message) as caught:
        _ = export.root
    assert hint in (caught.value.hint or "")
    assert caught.value.where == "f"


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_package_names_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="is no package name") as caught:
        switch(f'a: 1\npackage "{name}" {{\n  version: "1"\n}}')
    assert place(caught.value).line == 2
    with pytest.raises(InputError, match="is no package name"):
        read_opam(f'name: "{name}"'.encode(), "f", "a")


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("field", ["installed", "roots", "compiler", "pinned"])
def test_hostile_installed_names_are_refused(name: str, field: str) -> None:
    with pytest.raises(InputError, match=r"is no name\.version") as caught:
        switch(f'a: 1\n{field}: ["b.1" "{name}"]')
    assert place(caught.value).line == 2


@pytest.mark.parametrize("version", ["", "1/../2", "1 2", "1\\n", "$x", "é", "1:2"])
def test_hostile_versions_are_refused(version: str) -> None:
    with pytest.raises(InputError, match="not an opam version"):
        switch(f'installed: ["a.{version}"]')
    with pytest.raises(InputError, match="not an opam version"):
        switch(f'package "a" {{version: "{version}"}}')


def test_a_package_section_without_name() -> None:
    with pytest.raises(InputError, match="is no package name"):
        switch('package {version: "1"}')


def test_an_unknown_section_is_ignored() -> None:
    assert not switch('novelty "../x" {a: 1}').packages


@pytest.mark.parametrize("text", ["", "# opam-version", "(* roots *)"])
def test_an_empty_text_is_no_export(text: str) -> None:
    with pytest.raises(InputError, match="no opam fields at all"):
        switch(text)


def test_contradictions_are_refused() -> None:
    with pytest.raises(InputError, match=r"a\.1 is installed, but its section is of version 2"):
        switch('installed: ["a.1"] package "a" {version: "2"}')
    with pytest.raises(InputError, match="the package 'a' stands here a second time") as caught:
        switch('package "a" {version: "1"}\npackage "a" {version: "2"}')
    assert place(caught.value).line == 2
    with pytest.raises(InputError, match="'roots' stands here a second time") as caught:
        switch('roots: ["a.1"]\nroots: ["b.1"]')
    assert place(caught.value).line == 2


def test_all_faults_are_reported_together_with_their_package() -> None:
    with pytest.raises(Faults) as caught:
        switch(
            'package "a" {\n license: 1\n flags: "x"\n}\npackage "b" {\n url {}\n}\ninstalled: 1'
        )
    assert [fault.message.partition(":")[0] for fault in caught.value.faults] == [
        "package 'a'",
        "package 'a'",
        "package 'b'",
        "a string is wanted here",
    ]
    lines = [fault.where.line for fault in caught.value.faults if isinstance(fault.where, Place)]
    assert lines == [2, 3, 6, 8]


def test_reading_ends_at_many_faults() -> None:
    with pytest.raises(Faults) as caught:
        switch('package "a" {license: 1}\n' * 20_000)
    assert len(caught.value.faults) == MAX_FAULTS


@pytest.mark.parametrize(
    ("data", "line", "column", "byte"),
    [
        (b"\xff", 1, 1, "0xff"),
        (b'a: 1\nb: "\xc3\xa9\xe9"', 2, 6, "0xe9"),
        (b'a: "\xed\xa0\x80"', 1, 5, "0xed"),
        (b'a: "\xc3', 1, 5, "0xc3"),
        (b"\x7fELF\x02\x01\x01\x00\xb7", 1, 9, "0xb7"),
        ("a: 1".encode("utf-16"), 1, 1, "0xff"),
    ],
)
def test_other_encodings_are_refused(data: bytes, line: int, column: int, byte: str) -> None:
    for read in (lambda: read_switch(data, "f"), lambda: read_opam(data, "f", "a")):
        with pytest.raises(InputError, match=f"the byte {byte} is not UTF-8") as caught:
            read()
        assert (place(caught.value).line, place(caught.value).column) == (line, column)


@pytest.mark.parametrize("pad", [True, False], ids=["padded", "unpadded"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", CONTENTS, ids=len)
def test_a_single_extra_file_has_lost_its_brackets(content: bytes, kind: str, *, pad: bool) -> None:
    summed = checksum(kind, content)
    export = switch(
        f'extra-files: [\n  "{summed}"\n  "{encoded(content, pad=pad)}"\n]\n'
        'opam-version: "2.0"\n'
        f'package "a" {{\n  version: "1"\n  extra-files: ["files/f.patch" "{summed}"]\n}}'
    )
    expected = ExtraFile(
        name="files/f.patch", checksum=Checksum.parse(summed), content=content
    )  # fmt: skip
    assert export.packages["a"].extra_files == (expected,)


@pytest.mark.parametrize("pad", [True, False], ids=["padded", "unpadded"])
def test_extra_files_are_joined_by_their_checksum(*, pad: bool) -> None:
    sums = [checksum(kind, content) for kind in KINDS for content in CONTENTS]
    contents = [content for _ in KINDS for content in CONTENTS]
    pairs = zip(sums, contents, strict=True)
    top = " ".join(f'["{summed}" "{encoded(content, pad=pad)}"]' for summed, content in pairs)
    used = " ".join(f'["f{n}" "{summed}"]' for n, summed in enumerate(reversed(sums)))
    packages = "".join(
        f'package "{name}" {{version: "1" extra-files: [{used}]}}\n' for name in ("a", "b")
    )
    export = switch(f'extra-files: [{top}]\nopam-version: "2.0"\n{packages}')
    for name in ("a", "b"):
        files = export.packages[name].extra_files
        assert [file.content for file in files] == contents[::-1]
        assert [file.name for file in files] == [f"f{n}" for n in range(len(sums))]


def test_a_bare_digest_is_md5() -> None:
    digest = hashlib.md5(b"x", usedforsecurity=False).hexdigest()
    export = switch(
        f'extra-files: ["{digest}" "eA"] package "a" {{extra-files: ["f" "md5={digest}"]}}'
    )
    assert export.packages["a"].extra_files[0].content == b"x"


def test_a_wrong_extra_file_fails_the_verification() -> None:
    with pytest.raises(
        VerificationError, match="has the md5 92eb5ffee6ae2fec3ad71c777531578f"
    ) as caught:
        switch(f'opam-version: "2.0"\nextra-files: ["{checksum("md5", b"a")}" "Yg=="]')
    assert caught.value.exit_code == 4
    assert place(caught.value).line == 2


@pytest.mark.parametrize("encoded", ["a", "a===", "Y!", "é", "YQ==YQ==", "Y Q", "YQ\\n", "-_-_"])
def test_what_is_no_base64_is_refused(encoded: str) -> None:
    wrong = f'extra-files: ["{checksum("md5", b"a")}" "{encoded}"]'
    with pytest.raises(InputError, match="is not base64"):
        switch(wrong)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('"x"', "pairs of strings"),
        ('["x"]', "pairs of strings"),
        ("[x y]", "pairs of strings"),
        ('[["x" "y"] "z"]', "pairs of strings"),
        ('[["x" "y" "z"]]', "pairs of strings"),
        ('["crc=1" ""]', "no kind of checksum"),
        ('["md5=1" ""]', "32 hexadecimal digits"),
        (f'["md5={"G" * 32}" ""]', "32 hexadecimal digits"),
    ],
)
def test_malformed_extra_files_are_refused(value: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        switch(f"extra-files: {value}")


def test_an_extra_file_without_content_is_refused() -> None:
    with pytest.raises(InputError, match="package 'a': the export does not hold the file 'f'"):
        switch(f'package "a" {{extra-files: ["f" "{checksum("md5", b"a")}"]}}')


@pytest.mark.parametrize("name", ["../f", "/f", "a/../../f", "", ".", "a\\nb", "\\x1b"])
def test_hostile_extra_file_names_are_refused(name: str) -> None:
    summed = checksum("md5", b"a")
    with pytest.raises(InputError, match="is no relative path"):
        switch(f'extra-files: ["{summed}" "YQ"] package "a" {{extra-files: ["{name}" "{summed}"]}}')


@pytest.mark.parametrize(("file", "sections", "installed", "roots", "extra_files"), REAL)
def test_real_exports(  # noqa: PLR0917
    records: Path, file: str, sections: int, installed: int, roots: int, extra_files: int
) -> None:
    export = read_switch((records / file).read_bytes(), file)
    assert (len(export.packages), len(export.installed)) == (sections, installed)
    assert len(export.roots) == roots
    packages = export.packages.values()
    assert sum(len(package.extra_files) for package in packages) == extra_files
    assert all(package.name and package.items for package in packages)


def test_every_real_export_of_orb_has_its_root(records: Path) -> None:
    files = sorted(records.glob("made/*/opam-switch"))
    roots = [read_switch(file.read_bytes(), str(file)) for file in files]
    assert sum(len(export.roots) == 1 and bool(export.root.name) for export in roots) == 13


def test_the_typed_fields_of_a_real_unikernel(records: Path) -> None:
    file = records / "made" / "hello-spt" / "opam-switch"
    root = read_switch(file.read_bytes(), str(file)).root
    assert root.lock_location is not None
    assert root.mirage_configure is not None
    assert root.mirage_pre_build is not None
    assert root.orb_dependencies
    assert len(root.vendored) == 22
    assert root.install


def test_a_package_is_installed_once() -> None:
    with pytest.raises(InputError, match="x is installed twice"):
        read_switch(b'opam-version: "2.0" installed: ["x.1" "x.2"]', "switch")
