from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from pkggen.errors import Faults, InputError, Place
from pkggen.opam.fields import MAX_CONDITIONS
from pkggen.opam.package import (
    AllOf,
    AnyOf,
    Argument,
    Checksum,
    Command,
    Dependency,
    DepExt,
    EnvSetting,
    ExtraSource,
    Filtered,
    Url,
    VendoredSource,
)
from pkggen.opam.read import MAX_FAULTS
from pkggen.opam.switch import read_opam
from pkggen.opam.values import Group, Ident, Logop, PrefixOp, PrefixRelop, Relop
from pkggen.opam.version import OpamVersion

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.opam.package import OpamPackage

MD5: Final = "0" * 32
SHA256: Final = "1" * 64
SHA512: Final = "aB" * 64

DEV, OS = Ident("dev"), Ident("os")
LINUX: Final = Relop("=", OS, "linux")


def package(text: str) -> OpamPackage:
    return read_opam(text.encode(), "f", "p")


def plain(*words: str) -> tuple[Argument, ...]:
    return tuple(Argument(word, None) for word in words)


def on(name: str) -> Dependency:
    return Dependency(name, None)


FIELDS: Final[list[tuple[str, str, object]]] = [
    # A one-element list of a typed field is printed without brackets: both forms are one.
    ("license", '"ISC"', ("ISC",)),
    ("license", '["ISC"]', ("ISC",)),
    ("license", "[]", ()),
    ("authors", '"A"', ("A",)),
    ("authors", '["A"]', ("A",)),
    ("authors", '["A" "B"]', ("A", "B")),
    ("maintainer", '"A"', ("A",)),
    ("homepage", '"h"', ("h",)),
    ("bug-reports", '"h"', ("h",)),
    ("tags", '"t"', ("t",)),
    ("tags", '["t" "u"]', ("t", "u")),
    ("flags", "conf", ("conf",)),
    ("flags", "[conf plugin]", ("conf", "plugin")),
    ("synopsis", '"s"', "s"),
    ("synopsis", '["s"]', "s"),
    ("description", '"""\\\n  a\n  b"""', "a\n  b"),
    ("dev-repo", '"git+https://e.org"', "git+https://e.org"),
    ("version", '"1.0~x"', OpamVersion("1.0~x")),
    # commands
    ("build", '["touch" "foo"]', (Command(plain("touch", "foo"), None),)),
    ("build", '[["touch" "foo"]]', (Command(plain("touch", "foo"), None),)),
    ("build", '"true"', (Command(plain("true"), None),)),
    ("build", '["true"]', (Command(plain("true"), None),)),
    ("build", "[]", ()),
    ("build", '[["a"] ["b" "c"]]', (Command(plain("a"), None), Command(plain("b", "c"), None))),
    ("build", '["a"] {dev}', (Command(plain("a"), DEV),)),
    ("build", '[["a"] {dev}]', (Command(plain("a"), DEV),)),
    ("build", '[["a"] {dev & os = "linux"}]', (Command(plain("a"), Logop("&", DEV, LINUX)),)),
    ("build", '[["a"] {dev} {!dev}]', (Command(plain("a"), Logop("&", DEV, PrefixOp("!", DEV))),)),
    ("build", '[["a"] {dev} ["b"]]', (Command(plain("a"), DEV), Command(plain("b"), None))),
    ("build", '["a" "b" {dev}]', (Command((Argument("a", None), Argument("b", DEV)), None),)),
    (
        "build",
        "[make jobs]",
        (Command((Argument(Ident("make"), None), Argument(Ident("jobs"), None)), None),),
    ),
    (
        "install",
        '[make "install"] {os = "linux"}',
        (Command((Argument(Ident("make"), None), *plain("install")), LINUX),),
    ),
    ("x-mirage-configure", '["sh" "-exc" "x"]', Command(plain("sh", "-exc", "x"), None)),
    (
        "x-mirage-pre-build",
        '[make "lock"]',
        Command((Argument(Ident("make"), None), *plain("lock")), None),
    ),
    ("x-mkernel-pre-build", '["a"]', Command(plain("a"), None)),
    # formulas
    ("depends", '"ocaml"', AllOf((on("ocaml"),))),
    ("depends", '["ocaml"]', AllOf((on("ocaml"),))),
    ("depends", "[]", AllOf(())),
    ("depends", '"a" {dev}', AllOf((Dependency("a", DEV),))),
    ("depends", '["a" {>= "1"} "b"]', AllOf((Dependency("a", PrefixRelop(">=", "1")), on("b")))),
    (
        "depends",
        '["a" {dev} {>= "1"}]',
        AllOf((Dependency("a", Logop("&", DEV, PrefixRelop(">=", "1"))),)),
    ),
    ("depends", '["a" {dev >= "1"}]', AllOf((Dependency("a", Relop(">=", DEV, "1")),))),
    ("depends", '["a" {}]', AllOf((on("a"),))),
    ("depends", '["a" | "b"]', AllOf((AnyOf((on("a"), on("b"))),))),
    ("depends", '"a" | "b" & "c"', AllOf((AnyOf((on("a"), AllOf((on("b"), on("c"))))),))),
    ("depends", '[("a" | "b") "c"]', AllOf((AllOf((AnyOf((on("a"), on("b"))),)), on("c")))),
    ("depopts", '"a"', AnyOf((on("a"),))),
    ("depopts", '["a" "b" {dev}]', AnyOf((on("a"), Dependency("b", DEV)))),
    ("depopts", '"a" | "b"', AnyOf((AnyOf((on("a"), on("b"))),))),
    ("conflicts", '["a" {< "1"} "b"]', AnyOf((Dependency("a", PrefixRelop("<", "1")), on("b")))),
    ("available", 'os = "linux"', LINUX),
    ("available", '[os = "linux"]', LINUX),
    ("available", "!(dev)", PrefixOp("!", Group((DEV,)))),
    ("available", "false", False),
    # depexts
    ("depexts", '["x"] {os = "linux"}', (DepExt(("x",), LINUX),)),
    ("depexts", '[["x"] {os = "linux"}]', (DepExt(("x",), LINUX),)),
    ("depexts", '"x" {os = "linux"}', (DepExt(("x",), LINUX),)),
    ("depexts", '["x" {os = "linux"}]', (DepExt(("x",), LINUX),)),
    (
        "depexts",
        '[["x" "y"] {os = "linux"} ["z"] {dev}]',
        (DepExt(("x", "y"), LINUX), DepExt(("z",), DEV)),
    ),
    ("depexts", '["x" "y"]', (DepExt(("x", "y"), None),)),
    ("depexts", '[["x" "y"]]', (DepExt(("x", "y"), None),)),
    ("depexts", '"x"', (DepExt(("x",), None),)),
    ("depexts", "[]", ()),
    # environment
    ("setenv", 'A = "x"', (EnvSetting("A", "=", "x", None),)),
    ("setenv", '[A += "x"]', (EnvSetting("A", "+=", "x", None),)),
    (
        "setenv",
        '[[A =+ "x"] [B := "y"]]',
        (EnvSetting("A", "=+", "x", None), EnvSetting("B", ":=", "y", None)),
    ),
    (
        "setenv",
        '[A =: "x" B =+= "y"]',
        (EnvSetting("A", "=:", "x", None), EnvSetting("B", "=+=", "y", None)),
    ),
    ("setenv", '[A = "x" {dev}]', (EnvSetting("A", "=", "x", DEV),)),
    ("setenv", '["A" = "x"]', (EnvSetting("A", "=", "x", None),)),
    ("build-env", '[[A = ""]]', (EnvSetting("A", "=", "", None),)),
    # files
    ("patches", '"a.patch"', (Filtered("a.patch", None),)),
    ("patches", '["a.patch"]', (Filtered("a.patch", None),)),
    ("patches", '"a.patch" {dev}', (Filtered("a.patch", DEV),)),
    ("patches", '["a" "d/b" {dev}]', (Filtered("a", None), Filtered("d/b", DEV))),
    ("substs", '"a"', (Filtered("a", None),)),
    ("x-mirage-opam-lock-location", '"mirage/x.opam.locked"', "mirage/x.opam.locked"),
    # vendored sources
    (
        "x-opam-monorepo-duniverse-dirs",
        '[["https://e.org/#1" "d"]]',
        (("d", "https://e.org/#1", ()),),
    ),
    (
        "x-opam-monorepo-duniverse-dirs",
        f'[["u" "d" ["md5={MD5}"]]]',
        (("d", "u", (Checksum("md5", MD5),)),),
    ),
    (
        "x-opam-monorepo-duniverse-dirs",
        '[["u" "d" []] ["v" "e"]]',
        (("d", "u", ()), ("e", "v", ())),
    ),
    ("x-mfetch-vendored-dirs", '[["u" "d"]]', (("d", "u", ()),)),
    ("x-orb-dependencies", '[["b" ["a"]] ["a" []] ["c"]]', (("b", ("a",)), ("a", ()), ("c", ()))),
]

ATTRIBUTES: Final = {
    "license": "licences",
    "x-mkernel-pre-build": "mirage_pre_build",
    "x-mirage-opam-lock-location": "lock_location",
    "x-opam-monorepo-duniverse-dirs": "vendored",
    "x-mfetch-vendored-dirs": "vendored",
}

URL: Final = 'url {\n  src: "https://e.org/a"\n}\n'

BAD: Final = [
    ("synopsis: 1", "a string is wanted"),
    ("synopsis: [a]", "a string is wanted"),
    ('synopsis: ["a" "b"]', "a string is wanted"),
    ("license: true", "a string is wanted"),
    ("license: [[]]", "a string is wanted"),
    ("authors: [x]", "a string is wanted"),
    ('maintainer: "a" {b}', "a string is wanted"),
    ('version: "1 2"', "not an opam version"),
    ('version: "../1"', "not an opam version"),
    ('version: ""', "not an opam version"),
    ('flags: "conf"', "words without quotes"),
    ('name: "../p"', "is no package name"),
    ('name: "1"', "is no package name"),
    ("build: 1", "a string or a variable"),
    ('build: ["a" ["b"]]', "are mixed"),
    ('build: [["a" ["b"]]]', "a string or a variable"),
    ('build: "a" & "b"', "a string or a variable"),
    ("install: [[true]]", "a string or a variable"),
    ("x-mirage-configure: [[]]", "a string or a variable"),
    ("depends: a", "a string is wanted"),
    ('depends: ["a b"]', "is no package name"),
    ('depends: "a" = "b"', "a string is wanted"),
    ('depends: ["../../etc"]', "is no package name"),
    ('depends: ["a\\n"]', "is no package name"),
    ('depends: ["-"]', "is no package name"),
    ("depopts: !a", "a string is wanted"),
    ('depends: ["a" {' + "b " * (MAX_CONDITIONS + 1) + "}]", "conditions stand behind one value"),
    ("available: [a b]", "one filter is wanted"),
    ("depexts: [[a]]", "a string is wanted"),
    ("depexts: 1", "a string is wanted"),
    ("setenv: a", "an environment update"),
    ('setenv: A != "x"', "an environment update"),
    ('setenv: [1 = "x"]', "a string is wanted"),
    ("setenv: A = b", "a string is wanted"),
    ('patches: "../a"', "is no relative path"),
    ('patches: "/a"', "is no relative path"),
    ('patches: ["a" "b/../../c"]', "is no relative path"),
    ('patches: ""', "is no relative path"),
    ('patches: "."', "is no relative path"),
    ('patches: "a\\nb"', "is no relative path"),
    ('substs: "../a"', "is no relative path"),
    ('x-mirage-opam-lock-location: "/l"', "is no relative path"),
    ('extra-files: ["../f" "md5=' + MD5 + '"]', "does not hold the file"),
    ('extra-files: ["f"]', "pairs of strings"),
    ('extra-files: "f"', "pairs of strings"),
    ('extra-files: ["f" "md5=0"]', "32 hexadecimal digits"),
    ('extra-files: [["f" "md5=' + MD5 + '"]]', "does not hold the file 'f'"),
    ('x-mfetch-vendored-dirs: ["u" "d"]', "an entry is"),
    ('x-mfetch-vendored-dirs: [["u"]]', "an entry is"),
    ('x-mfetch-vendored-dirs: [["u" "d" "md5=1"]]', "an entry is"),
    ('x-mfetch-vendored-dirs: [["u" "../d"]]', "is no relative path"),
    ('x-mfetch-vendored-dirs: [["u" "/d"]]', "is no relative path"),
    ('x-mfetch-vendored-dirs: [["u" "d\\n"]]', "is no relative path"),
    ('x-mfetch-vendored-dirs: [["u" "d"] ["v" "d"]]', "'d' is filled twice"),
    ('x-mfetch-vendored-dirs: [["u v" "d"]]', "is no URL"),
    ('x-mfetch-vendored-dirs: [["u" "d" ["crc=1"]]]', "is no kind of checksum"),
    ("x-orb-dependencies: [a]", "an entry is"),
    ('x-orb-dependencies: [["a" ["../b"]]]', "is no package name"),
    ("url {}", "this url section has no `src`"),
    ("url {src: 1}", "a string is wanted"),
    ('url {src: "a b"}', "is no URL"),
    ('url {src: ""}', "is no URL"),
    ('url {src: "https://e.org/\\n"}', "is no URL"),
    ('url {src: "https://é.org/"}', "is no URL"),
    ('url {src: "u" checksum: "0"}', "32 hexadecimal digits"),
    ('url {src: "u" checksum: "sha1=0"}', "is no kind of checksum"),
    ('url {src: "u" checksum: ["sha256=' + MD5 + '"]}', "64 hexadecimal digits"),
    ('url {src: "u" mirrors: ["v w"]}', "is no URL"),
    ('url {src: "u" subpath: "../x"}', "is no relative path"),
    (URL + URL, "a second `url` section"),
    ('extra-source "../x" {src: "u"}', "is no relative path"),
    ('extra-source "/x" {src: "u"}', "is no relative path"),
    ('extra-source {src: "u"}', "is no relative path"),
    ('extra-source "x" {}', "this extra-source section has no `src`"),
    ('license: "a"\nlicense: "b"', "'license' stands here a second time"),
    ('url {src: "u" src: "v"}', "'src' stands here a second time"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "expected"), FIELDS)
def test_fields(name: str, text: str, expected: object) -> None:
    found = getattr(
        package(f"{name}: {text}"), ATTRIBUTES.get(name, name.removeprefix("x-").replace("-", "_"))
    )
    if ATTRIBUTES.get(name) == "vendored":
        found = tuple((v.directory, v.url.src, v.url.checksums) for v in found)
    assert found == expected
    assert type(found) is type(expected)


def test_a_package_without_any_field() -> None:
    empty = package("# nothing")
    assert (empty.name, empty.items) == ("p", ())
    assert (empty.synopsis, empty.url, empty.available, empty.orb_dependencies) == (None,) * 4
    assert (empty.build, empty.depends, empty.depopts) == ((), AllOf(()), AnyOf(()))
    assert (empty.vendored, empty.mirage_configure, empty.lock_location) == ((), None, None)


def test_urls() -> None:
    full = package(f"""
url {{
  src:
    "https://e.org/a.tbz"
  checksum: ["{MD5}" "sha256={SHA256}" "sha512={SHA512}"]
  mirrors: ["https://f.org/a.tbz"]
  subpath: "sub/dir"
}}
extra-source "d/x.patch" {{
  src: "git+https://e.org/x#0123456"
}}
extra-source "y" {{
  src: "u"
  checksum: "md5={MD5}"
}}
""")
    assert full.url == Url(
        src="https://e.org/a.tbz",
        checksums=(
            Checksum("md5", MD5),
            Checksum("sha256", SHA256),
            Checksum("sha512", SHA512.lower()),
        ),
        mirrors=("https://f.org/a.tbz",),
        subpath="sub/dir",
    )
    bare = Url(src="git+https://e.org/x#0123456", checksums=(), mirrors=(), subpath=None)
    summed = Url(src="u", checksums=(Checksum("md5", MD5),), mirrors=(), subpath=None)
    assert full.extra_sources == (
        ExtraSource(name="d/x.patch", url=bare),
        ExtraSource(name="y", url=summed),
    )


def test_a_name_in_the_text_goes_first() -> None:
    assert package('name: "q"').name == "q"


def test_unknown_fields_and_sections_are_kept() -> None:
    kept = package('x-new: [1 {}]\nfancy "x" {y: z}')
    assert [getattr(item, "name", None) for item in kept.items] == ["x-new", "x"]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_bad_fields_are_refused_with_their_place(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        package(f"# first\n{text}")
    place = caught.value.where
    assert isinstance(place, Place)
    assert place.line > 1


def test_all_faults_are_reported_together() -> None:
    with pytest.raises(Faults) as caught:
        package('license: 1\nurl {\n  src: "a b"\n}\npatches: "../x"\nbuild: [["a"] "b"]')
    lines = [fault.where.line for fault in caught.value.faults if isinstance(fault.where, Place)]
    assert sorted(lines) == [1, 2, 5, 6]


def test_reading_ends_at_many_faults() -> None:
    with pytest.raises(Faults) as caught:
        package("a: 1\n" * (MAX_FAULTS + 50))
    assert len(caught.value.faults) == MAX_FAULTS


def test_many_conditions_behind_one_value() -> None:
    text = 'depends: ["a" {' + "b " * MAX_CONDITIONS + "}]"
    assert isinstance(package(text).depends.parts[0], Dependency)


def test_long_names_are_judged_quickly() -> None:
    with pytest.raises(InputError, match="is no package name"):
        package(f'depends: ["{"a" * 1_000_000}!"]')


@pytest.mark.parametrize(
    ("file", "vendored", "without_checksum", "depends"),
    [
        ("realworldocaml+book@rwo.opam.locked.1de21a83", 133, 1, 169),
        ("tarides+opam-monorepo@opam-monorepo.opam.locked", 39, 0, 54),
        ("tarides+opam-monorepo@opam-monorepo.opam.locked.9212df34", 39, 0, 54),
        ("mirage+mirage@test__opam-monorepo__unikernel.opam", 0, 0, 4),
    ],
)
def test_real_locks(
    records: Path, file: str, vendored: int, without_checksum: int, depends: int
) -> None:
    data = (records / "public" / file).read_bytes()
    lock = read_opam(data, file, "lock")
    assert len(lock.vendored) == vendored
    assert sum(not source.url.checksums for source in lock.vendored) == without_checksum
    assert len(lock.depends.parts) == depends
    assert all(isinstance(source, VendoredSource) for source in lock.vendored)
