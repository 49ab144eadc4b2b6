from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

import pytest

from pkggen.errors import Faults, InputError, PkggenError, Place
from pkggen.recipe import shell
from pkggen.recipe.tool import Layout, matches
from pkggen.recipe.tool_reader import described_tool, known_tools, read_tool

PACKAGE: Final = (
    'packages: [{suffix: "", category: admin, summary: Does things, description: x, files:'
    " {bin/x: libexec/x, 'bin/y-*': sbin, 'lib/*-tool': lib}}]\n"
)
SERVICE: Final = """\
users: [{name: x, summary: X}]
services:
  - name: first
    summary: First
    program: libexec/x/x
    user: x
"""


def faults_of(text: str) -> list[tuple[int, str]]:
    with pytest.raises(PkggenError) as caught:
        read_tool(text.encode(), "x", "x.yaml")
    found = caught.value
    every = list(found.faults) if isinstance(found, Faults) else [found]
    return [
        (fault.where.line if isinstance(fault.where, Place) else 0, fault.message)
        for fault in every
    ]


@pytest.mark.parametrize("name", known_tools())
def test_every_description_is_read(name: str) -> None:
    tool = described_tool(name)
    assert tool is not None
    assert tool.name == name
    programs = [path for package in tool.packages for _, path in package.files]
    assert programs
    for daemon in tool.daemons:
        assert tool.place_of(daemon.program) == daemon.program, (
            "upstream's own package has it there"
        )
        assert any(
            pattern.endswith((daemon.program.name, "*"))
            for package in tool.packages
            for pattern, _ in package.files
        )


def test_the_tool_chain_is_described() -> None:
    assert {"solo5", "albatross", "orb", "builder", "builder-web", "opam-graph"} <= set(
        known_tools()
    )
    assert described_tool("mirage") is None
    assert described_tool("../solo5") is None


def test_secrets_are_no_words_of_a_command() -> None:
    tool = described_tool("albatross")
    assert tool is not None
    endpoint = next(one for one in tool.daemons if one.name == "albatross_tls_endpoint")
    assert [secret.file for secret in endpoint.secrets] == ["{etc}/albatross/server.key"]
    assert not endpoint.start, "it cannot work without certificates"


def test_files_go_where_their_pattern_says() -> None:
    tool = read_tool((PACKAGE + "omit: [bin/z]\n").encode(), "x", "x.yaml")

    def target(path: str) -> str | None:
        found = tool.place_of(PurePosixPath(path))
        return None if found is None else str(found)

    assert target("bin/x") == "libexec/x/x"
    assert target("libexec/x/x") == "libexec/x/x", "upstream's own package has it there"
    assert target("bin/y-a") == "sbin/y-a"
    assert target("lib/a-tool/b/c.h") == "lib/a-tool/b/c.h"
    assert target("bin/new") == "bin/new"
    assert target("bin/z") is None


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 0, "it is empty"),
        ("users: []\n", 1, "a tool needs packages"),
        (PACKAGE.replace('suffix: ""', "suffix: -a"), 1, "is one package, without suffix"),
        (PACKAGE + "sevices: []\n", 2, "unknown key 'sevices'"),
        (PACKAGE.replace("bin/x:", "../x:"), 1, "'../x' is no pattern of relative paths"),
        (PACKAGE.replace("bin/x:", "srv/x:"), 1, "'srv/x' does not begin with one of"),
        (PACKAGE.replace("libexec/x,", "/usr/x,"), 1, "'/usr/x/x' is no pattern"),
        (PACKAGE.replace("Does things", "does things."), 1, "the summary"),
        (PACKAGE.replace("admin", "games"), 1, "'games' is none of admin"),
        (PACKAGE + "build: {steps: [{run: [make, '{etc}', '{no}']}]}\n", 2, "the hole {no}"),
        (PACKAGE + "build: {steps: [{run: [make], system: plan9}]}\n", 2, "'plan9' is none of"),
        (PACKAGE + "build: {steps: [{system: linux}]}\n", 2, "'run' is missing"),
        (PACKAGE + SERVICE.replace("user: x", "user: y"), 7, "'y' is none of root, x"),
        (PACKAGE + SERVICE + "    arguments: [$HOME]\n", 8, "the variable HOME is neither"),
        (PACKAGE + SERVICE + "    after: [second]\n", 8, "'second' is none of"),
        (PACKAGE + SERVICE + "    relax: {NoSuch: it}\n", 8, "unknown key 'NoSuch'"),
        (PACKAGE + SERVICE + "    relax: {UMask: 'a\"b'}\n", 8, "has other characters"),
        (PACKAGE + SERVICE + "    writes: [/etc]\n", 8, "'/etc' is not an absolute path"),
        (PACKAGE + SERVICE + "    writes: ['{etc}/..']\n", 8, "'{etc}/..' is not an absolute path"),
        (PACKAGE + SERVICE + "    start: 7\n", 8, "expected text"),
        (
            PACKAGE + "directories: [{path: '{run}/x', user: root, group: root, mode: 755}]\n",
            2,
            "'755' is not a mode",
        ),
    ],
)
def test_faults_have_a_place(text: str, line: int, message: str) -> None:
    found = faults_of(text)
    assert any(at == line and message in fault for at, fault in found), found


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("bin/a", "bin/a", True),
        ("bin/ab", "bin/a", False),
        ("bin/a/b", "bin/*", True),
        ("bin", "bin/*", False),
        ("bin/a/b", "bin/*/c", False),
        ("etc/a/b/c", "etc/a/**", True),
    ],
)
def test_patterns(path: str, pattern: str, expected: bool) -> None:  # noqa: FBT001
    assert matches(PurePosixPath(path), pattern) is expected


def test_holes() -> None:
    layout = Layout(
        prefix="/usr", bin="/usr/bin", sbin="/usr/sbin", libexec="/usr/libexec", etc="/etc",
        state="/var/lib", run="/run",
    )  # fmt: skip
    assert layout.filled("{state}/x ${etc} {run}") == "/var/lib/x ${etc} /run"
    assert layout.program(PurePosixPath("libexec/x/y")) == "/usr/libexec/x/y"
    assert layout.program(PurePosixPath("share/x")) == "/usr/share/x"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{make}", "$(MAKE)"),
        ("-j{jobs}", "'-j$(JOBS)'"),
        ("CC=$(TOPDIR)/cc", "'CC=$$(TOPDIR)/cc'"),
        ("it's {jobs}", "'it'\\''s $(JOBS)'"),
        ("a b$", "'a b$$'"),
    ],
)
def test_words_in_recipes_of_make(text: str, expected: str) -> None:
    assert shell.in_make(text, {"make": "$(MAKE)", "jobs": "$(JOBS)"}) == expected


def test_no_hole_stays_open() -> None:
    with pytest.raises(InputError, match="nothing is known for 'x' here"):
        shell.in_make("{x}", {})
