"""Each rule is broken once in a port that breaks none."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.errors import InputError
from pkggen.targets.freebsd.finding import RULES, Finding
from pkggen.targets.freebsd.lint import lint

if TYPE_CHECKING:
    from collections.abc import Sequence

GOLDEN: Final = Path(__file__).with_name("golden")
IMAGE: Final = "sysutils/dns-primary"
TOOL: Final = "sysutils/albatross"
REBUILD: Final = "sysutils/hello-unikernel"
SUBDIR: Final = "    COMMENT = x\n\n    SUBDIR += dns-primary\n\n.include <bsd.port.subdir.mk>\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a directory with all golden ports."""
    for name in ("image", "tool", "rebuild"):
        shutil.copytree(GOLDEN / name, tmp_path, dirs_exist_ok=True)
    return tmp_path


def rules(found: Sequence[Finding]) -> list[str]:
    return sorted({finding.rule for finding in found})


@pytest.mark.parametrize(
    ("file", "old", "new", "broken"),
    [
        (f"{IMAGE}/Makefile", "CATEGORIES=\tsysutils\n", "", ["required"]),
        (f"{IMAGE}/Makefile", "=\tsysutils\n", "=\tlocal\n", ["category"]),
        (f"{IMAGE}/Makefile", "=\tsysutils\n", "=\tdns sysutils\n", ["category"]),
        (f"{IMAGE}/Makefile", "PORTVERSION=\t", "PORTVERSION=    ", ["tabs"]),
        (f"{IMAGE}/Makefile", "\n\t\tshare/mirage", "\n        share/mirage", ["tabs"]),
        (f"{IMAGE}/Makefile", "\n\nLICENSE=", "\nLICENSE=", ["blocks"]),
        (f"{IMAGE}/Makefile", "\nCOMMENT=", "\n\nCOMMENT=", ["blocks"]),
        (f"{IMAGE}/Makefile", "USERS=", "WRKSRC=\tx\nUSERS=", ["blocks"]),
        (f"{IMAGE}/Makefile", "NO_BUILD=\tyes\nNO_ARCH=", "NO_ARCH=\tyes\nNO_BUILD=", ["order"]),
        (f"{IMAGE}/Makefile", "PORTVERSION=\t1", "PORTVERSION=\tg1", ["version"]),
        (f"{IMAGE}/Makefile", "someone@", "someone", ["maintainer"]),
        (f"{IMAGE}/Makefile", "COMMENT=\tPrimary", "COMMENT=\tA primary", ["comment"]),
        (f"{IMAGE}/Makefile", "git repository\n", "git repository.\n", ["comment"]),
        (f"{IMAGE}/Makefile", "git repository\n", f"git{' repository' * 5}\n", ["comment"]),
        (f"{IMAGE}/Makefile", "ISCL ", "ISC ", ["licence"]),
        (f"{IMAGE}/Makefile", "\tmulti\n", "\tsingle\n", ["licence"]),
        (f"{IMAGE}/Makefile", "LICENSE_PERMS_", "LICENSE_PERMS_x", ["licence"]),
        (f"{IMAGE}/Makefile", "<bsd.port.mk>\n", "<bsd.port.mk>\n# x\n", ["include"]),
        (f"{IMAGE}/Makefile", "/f/bin/\n", "/f/bin\n", ["groups"]),
        (f"{IMAGE}/Makefile", "=\tunikernel_", "=\tother_", ["rc-script"]),
        (f"{IMAGE}/Makefile", "=\tpkg-message", "=\tpkg-other", ["rc-script"]),
        (f"{IMAGE}/Makefile", "${FILESDIR}/LGPL", "${FILESDIR}/GPL", ["licence"]),
        (f"{IMAGE}/Makefile", '"@dir etc/unikernels"', '"@dir /etc/unikernels"', ["prefix"]),
        (f"{IMAGE}/Makefile", "\t\tshare/mirage/", "\t\tshare/../../", ["prefix"]),
        (f"{IMAGE}/Makefile", "EXTRACT_SUFX=\t.hvt", "EXTRACT_SUFX=\t.spt", ["distinfo"]),
        (f"{IMAGE}/Makefile", "NO_BUILD=\tyes\n", "NO_BUILD=\tyes \n", ["trailing-blanks"]),
        (f"{IMAGE}/distinfo", "TIMESTAMP = ", "TIMESTAMP= ", ["distinfo"]),
        (f"{IMAGE}/distinfo", "SIZE ", "\nSIZE ", ["distinfo"]),
        (f"{IMAGE}/distinfo", "SHA256", "MD5", ["distinfo"]),
        (f"{IMAGE}/distinfo", "SIZE (", "SIZE (x", ["distinfo"]),
        (f"{IMAGE}/pkg-descr", "\n\nThe port installs", " The port" * 9 + "\ninstalls", ["descr"]),
        (f"{TOOL}/Makefile", '.include "Makefile.distfiles"\n', "", ["list-file"]),
        (f"{TOOL}/Makefile.distfiles", "\t\tshare/b", "\t\tshare/c", ["distinfo"]),
        (f"{TOOL}/Makefile.distfiles", "share/a \\\n\t\tshare/b", "share/b \\\n\t\tshare/a",
         ["distinfo", "sorted"]),
        (f"{TOOL}/pkg-plist", "share/a\nshare/b\n", "share/b\nshare/a\n", ["plist"]),
        (f"{TOOL}/pkg-plist", "share/a\n", "/share/a\n", ["plist", "prefix"]),
        (f"{TOOL}/pkg-plist", "share/a\n", "", ["plist"]),
        (f"{REBUILD}/Makefile.distfiles", "greeting-0.1.tar.gz?dummy=/:g", "x:y:g", ["groups"]),
        (f"{REBUILD}/Makefile.distfiles", "dummy=/:ge243", "dummy=/:gf243", ["groups"]),
        (f"{REBUILD}/Makefile", "gcc>0:lang/gcc \\\n\t\topam-installer:devel/ocaml-opam",
         "opam-installer:devel/ocaml-opam \\\n\t\tgcc>0:lang/gcc", ["sorted"]),
    ],
)  # fmt: skip
def test_rules_of_texts(root: Path, file: str, old: str, new: str, broken: list[str]) -> None:
    path = root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    found = lint(root)
    assert rules(found) == broken
    assert all(str(finding.path).startswith(str(Path(file).parent)) for finding in found)


def test_rules_of_files(root: Path) -> None:
    port = root / IMAGE
    (port / "work").mkdir()
    (port / "work/x").touch()
    (port / "pkg-descr").write_text("One line\n")
    (port / "empty").touch()
    (port / "link").symlink_to("/etc/passwd")
    (port / "distinfo").chmod(0o755)
    (port / "crlf").write_bytes(b"a\r\nb")
    assert {(str(f.path.relative_to(IMAGE)), f.rule) for f in lint(root)} == {
        ("work/x", "leftover"),
        ("pkg-descr", "descr"),
        ("empty", "empty-file"),
        ("link", "symbolic-link"),
        ("distinfo", "mode"),
        ("crlf", "line-end"),
        ("crlf", "final-newline"),
    }


def test_what_a_record_carries_is_data(root: Path) -> None:
    carried = root / REBUILD / "files/carried"
    carried.mkdir()
    (carried / "own.patch").write_bytes(b"-a \r\n+b")
    assert lint(root) == ()


def test_neither_list(root: Path) -> None:
    (root / TOOL / "pkg-plist").unlink()
    assert rules(lint(root)) == ["plist"]
    makefile = root / IMAGE / "Makefile"
    makefile.write_text(re.sub(r"PLIST_FILES=[^\n]*\n[^\n]*\n\n", "", makefile.read_text()))
    assert len(lint(root)) == 2


def test_both_lists(root: Path) -> None:
    (root / IMAGE / "pkg-plist").write_text("a\n")
    assert rules(lint(root)) == ["plist"]


def test_rules_of_an_overlay(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "image", tmp_path, dirs_exist_ok=True)
    category = tmp_path / "sysutils/Makefile"
    category.write_text(SUBDIR)
    (tmp_path / "UIDs").write_text("_unikernel-dns-primary:*:63000:63000::0:0:x:/x:/x\n")
    (tmp_path / "GIDs").write_text("_unikernel-dns-primary:*:63000:\n")
    assert lint(tmp_path) == ()
    category.write_text(SUBDIR.replace("dns-primary\n", "z\n    SUBDIR += a\n"))
    (tmp_path / "UIDs").write_text("#_unikernel-dns-primary:*:63000:63000::0:0:x:/x:/x\n")
    found = lint(tmp_path)
    assert sorted((str(f.path), f.rule, f.message) for f in found) == [
        ("sysutils/Makefile", "subdir", "SUBDIR does not list dns-primary"),
        ("sysutils/Makefile", "subdir", "SUBDIR is sorted, each port once"),
        ("sysutils/Makefile", "subdir", "there is no port a"),
        ("sysutils/Makefile", "subdir", "there is no port z"),
        (f"{IMAGE}/Makefile", "accounts", "UIDs does not list _unikernel-dns-primary"),
    ]


def test_in_the_ports_tree_only_our_ports_count_and_need_a_maintainer(root: Path) -> None:
    (root / "Mk").mkdir()
    (root / "Mk/bsd.port.mk").touch()
    (root / "misc/other").mkdir(parents=True)
    (root / "misc/other/Makefile").write_text("PORTNAME = other\n")
    assert lint(root) == ()
    makefile = root / IMAGE / "Makefile"
    makefile.write_text(makefile.read_text().replace("someone@example.org", "ports@FreeBSD.org"))
    assert rules(lint(root)) == ["maintainer"]


def test_a_directory_without_ports(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no port in it"):
        lint(tmp_path)


def test_every_rule_has_a_test_and_is_known() -> None:
    text = Path(__file__).read_text()
    for rule in RULES:
        assert f'"{rule}"' in text, rule


def test_a_finding_names_its_rule_and_source(root: Path) -> None:
    (root / IMAGE / "empty").touch()
    (finding,) = lint(root)
    assert str(finding) == f"{IMAGE}/empty:1:1 empty-file the file is empty (portlint)"
