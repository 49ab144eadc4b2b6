from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from pkggen.errors import InputError
from pkggen.opam.switch import read_switch
from pkggen.recipe.linked import RUNTIMES, TOOLS, LinkedPart, linked_parts
from pkggen.sources.model import Use

if TYPE_CHECKING:
    from pathlib import Path

URL: Final = """url {{ src: "https://example.org/{name}.tar.gz"
  checksum: "md5=00000000000000000000000000000000" }}"""


def section(name: str, fields: str = "", *, version: str = "1", bytes_: bool = True) -> str:
    url = URL.format(name=name) if bytes_ else ""
    return f'package "{name}" {{\nversion: "{version}"\n{fields}\n{url}\n}}\n'


def parts(root: str, *sections: str, extra: str = "") -> tuple[LinkedPart, ...]:
    """Return what is linked into `app` of a switch in which every section is installed."""
    text = section("app", f'license: "ISC"\n{root}') + "".join(sections)
    versions = {
        block.split('"')[1]: block.split('version: "')[1].split('"')[0]
        for block in text.split("package ")[1:]
    }
    installed = " ".join(f'"{name}.{version}"' for name, version in versions.items())
    head = f'opam-version: "2.0"\nroots: ["app.1"]\ninstalled: [{installed} {extra}]\n'
    return linked_parts(read_switch((head + text).encode(), "opam-switch"))


def names(root: str, *sections: str, extra: str = "") -> list[str]:
    return [part.name for part in parts(root, *sections, extra=extra)]


def test_the_root_is_linked_and_so_is_the_closure_of_what_it_needs() -> None:
    assert names(
        'depends: ["lib"]',
        section("lib", 'depends: ["deep"]'),
        section("deep", 'depends: ["lib"]'),
        section("unrelated"),
    ) == ["app", "deep", "lib"]


def test_licences_and_sources_are_those_of_the_sections() -> None:
    assert parts('depends: ["lib"]', section("lib", 'license: ["MIT" "Zlib"]')) == (
        LinkedPart(
            use=Use("package", "app"),
            name="app",
            licences=("ISC",),
            source="https://example.org/app.tar.gz",
        ),
        LinkedPart(
            use=Use("package", "lib"),
            name="lib",
            licences=("MIT", "Zlib"),
            source="https://example.org/lib.tar.gz",
        ),
    )


@pytest.mark.parametrize(
    ("condition", "linked"),
    [
        ("", True),
        ('{>= "1.0" & < "2"}', True),
        ('{= "9"}', True),
        ("{build}", False),
        ("{post}", False),
        ("{with-test}", False),
        ("{with-doc}", False),
        ("{with-dev-setup}", False),
        ("{dev}", False),
        ('{with-test & >= "1"}', False),
        ('{>= "1" & with-test}', False),
        ('{(with-test | with-doc) & >= "1"}', False),
        ("{with-test | build}", False),
        ('{with-test | os = "linux"}', True),
        ("{!with-test}", True),
        ("{!build & !with-test}", True),
        ("{?monorepo}", False),
        ('{?monorepo & >= "4.0.0"}', False),
        ('{os = "linux"}', True),
        ('{os != "win32" & build}', False),
        ('{build & os = "linux"}', False),
        ('{!(>= "3")}', True),
        ("{build-id}", True),
        ('{"%{build}%" = "true"}', False),
    ],
)
def test_conditions(condition: str, linked: bool) -> None:  # noqa: FBT001 - a table
    found = names(f'depends: ["lib" {condition}]', section("lib"))
    assert ("lib" in found) is linked


def test_every_installed_alternative_and_optional_dependency_is_linked() -> None:
    assert names(
        'depends: [("one" | "two") & ("gone" | "three")]\ndepopts: ["four" "five" {with-test}]',
        *map(section, ("one", "two", "three", "four", "five")),
    ) == ["app", "four", "one", "three", "two"]


def test_overlay_sections_that_are_not_installed_are_not_linked() -> None:
    text = (
        'opam-version: "2.0"\nroots: ["app.1"]\ninstalled: ["app.1"]\n'
        + section("app", 'depends: ["lib"]')
        + section("lib")
    )
    switch = read_switch(text.encode(), "opam-switch")
    assert [part.name for part in linked_parts(switch)] == ["app"]


def test_a_package_without_bytes_links_nothing_but_is_followed() -> None:
    assert names(
        'depends: ["virtual"]',
        section("virtual", 'depends: ["lib"]', bytes_=False),
        section("lib", 'build: ["make"]', bytes_=False),
    ) == ["app", "lib"]


def test_what_the_compiler_brings_links_nothing_itself() -> None:
    assert names(
        'depends: ["seq" "base-unix" "base-threads"]',
        section("seq", 'install: ["true"]', version="base"),
        section("base-unix", version="base", bytes_=False),
        extra='"base-threads.base"',
    ) == ["app"]


def test_conf_packages_are_neither_linked_nor_followed() -> None:
    assert names(
        'depends: ["conf-gmp" "check"]',
        section("conf-gmp", 'depends: ["a"]'),
        section("check", 'flags: conf\ndepends: ["b"]'),
        section("a"),
        section("b"),
    ) == ["app"]


def test_build_tools_without_the_mark_are_neither_linked_nor_followed() -> None:
    assert names(
        'depends: ["dune" "ocamlfind" "menhir" "menhirLib"]',
        section("dune", 'license: "GPL"\ndepends: ["csexp"]'),
        section("ocamlfind"),
        section("menhir"),
        section("menhirLib"),
        section("csexp"),
    ) == ["app", "menhirLib"]


def test_runtimes_are_linked_although_they_are_marked_build() -> None:
    found = names(
        'depends: ["ocaml-solo5" {build} "solo5" {build} "ocaml" "mirage" {build}]',
        section("ocaml", 'flags: conf\ndepends: ["ocaml-base-compiler"]'),
        section("ocaml-solo5", 'depends: ["ocaml-src" {build} "helper" "ocamlfind" {build}]'),
        section("ocaml-src"),
        section("solo5"),
        section("solo5-bindings-hvt"),
        section("ocaml-base-compiler"),
        section("mirage", 'depends: ["uri"]'),
        section("uri"),
        section("helper"),
        section("ocamlfind"),
        section("solo5-elftool"),
    )
    assert found == [
        "app",
        "helper",
        "ocaml-base-compiler",
        "ocaml-solo5",
        "ocaml-src",
        "solo5",
        "solo5-bindings-hvt",
    ]


def test_a_linked_package_without_section_has_no_recorded_licence() -> None:
    found = parts('depends: ["lost"]', extra='"lost.1" "ocaml-base-compiler.4.14.2"')
    assert [(part.name, part.licences) for part in found] == [
        ("app", ("ISC",)),
        ("lost", ()),
        ("ocaml-base-compiler", ()),
    ]


def test_a_vendored_directory_has_no_recorded_licence_not_even_a_namesakes() -> None:
    found = parts(
        'depends: ["fmt" {?monorepo} "logs"]\n'
        'x-opam-monorepo-duniverse-dirs: [["https://example.org/v.tbz" "fmt" '
        '["md5=00000000000000000000000000000000"]] ["https://example.org/l.tbz" "logs" '
        '["md5=00000000000000000000000000000000"]]]',
        section("fmt", 'license: "MIT"'),
        section("logs", 'license: "MIT"'),
    )
    assert [(part.name, part.licences, part.source) for part in found[1:]] == [
        ("fmt", (), "https://example.org/v.tbz"),
        ("logs", (), "https://example.org/l.tbz"),
        ("logs", ("MIT",), "https://example.org/logs.tar.gz"),
    ]


def test_a_switch_without_root_is_refused() -> None:
    with pytest.raises(InputError):
        linked_parts(read_switch(b'opam-version: "2.0"\ninstalled: ["a.1"]\n', "opam-switch"))


def test_no_package_is_both_runtime_and_tool() -> None:
    assert not TOOLS & set(RUNTIMES)


def test_real_switches(records: Path) -> None:
    def found(name: str) -> tuple[LinkedPart, ...]:
        file = records / "made" / name / "opam-switch"
        return linked_parts(read_switch(file.read_bytes(), str(file)))

    unikernel = found("dns-primary-git")
    assert len(unikernel) == 84 + 5
    assert {part.name: part.licences for part in unikernel if part.licences} == {
        "ocaml-base-compiler": ("LGPL-2.1-or-later WITH OCaml-LGPL-linking-exception",),
        "ocaml-solo5": ("MIT",),
        "ocaml-src": ("LGPL-2.1-or-later WITH OCaml-LGPL-linking-exception",),
        "solo5": ("ISC",),
    }
    albatross = {part.name for part in found("albatross")}
    assert {"albatross", "lwt", "tls", "zarith", "ocaml-base-compiler"} <= albatross
    assert not albatross & (TOOLS | {"csexp", "seq", "base-unix", "conf-gmp", "conf-pkg-config"})
