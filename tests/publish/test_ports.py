from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.errors import InputError
from pkggen.publish.ports import (
    FIRST_ID,
    Port,
    account_lines,
    checkout_tree,
    commit_message,
    overlay_tree,
)
from pkggen.writer import ChangeKind, write

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.writer import Change


def port(directory: str, user: str | None = None) -> Port:
    return Port(directory=PurePosixPath(directory), user=user)


DNS: Final = port("dns/primary", "_unikernel-primary")
HELLO: Final = port("sysutils/hello", "_unikernel-hello")


def put(root: Path, *ports: Port) -> tuple[Change, ...]:
    return write(overlay_tree(root, ports), root, force=True)


def text(path: Path) -> str:
    return path.read_text()


def test_a_new_overlay(tmp_path: Path) -> None:
    put(tmp_path, DNS, HELLO, port("sysutils/albatross"))
    assert "    SUBDIR += albatross\n    SUBDIR += hello\n\n.include" in text(
        tmp_path / "sysutils/Makefile"
    )
    assert "    SUBDIR += primary\n" in text(tmp_path / "dns/Makefile")
    rest = "::0:0:MirageOS unikernel:/nonexistent:/usr/sbin/nologin"
    assert text(tmp_path / "UIDs").splitlines()[2:] == [
        f"_unikernel-hello:*:{FIRST_ID}:{FIRST_ID}{rest}",
        f"_unikernel-primary:*:{FIRST_ID + 1}:{FIRST_ID + 1}{rest}",
    ]
    assert text(tmp_path / "GIDs").splitlines()[2:] == [
        f"_unikernel-hello:*:{FIRST_ID}:",
        f"_unikernel-primary:*:{FIRST_ID + 1}:",
    ]


def test_again_nothing_changes_and_numbers_stay(tmp_path: Path) -> None:
    put(tmp_path, HELLO)
    put(tmp_path, DNS)
    for ports in ((HELLO,), (DNS, HELLO)):
        assert {change.kind for change in put(tmp_path, *ports)} == {ChangeKind.UNCHANGED}
    assert f"_unikernel-primary:*:{FIRST_ID + 1}:" in text(tmp_path / "GIDs")


def test_what_others_wrote_is_kept(tmp_path: Path) -> None:
    put(tmp_path, HELLO)
    makefile = tmp_path / "sysutils/Makefile"
    makefile.write_text(text(makefile).replace("    SUBDIR += hello", "    SUBDIR += mine\n#x"))
    (tmp_path / "UIDs").write_text(f"mine:*:{FIRST_ID}:{FIRST_ID}::0:0:me:/:/bin/sh\n")
    (tmp_path / "GIDs").write_text(f"mine:*:{FIRST_ID + 1}:\n")
    put(tmp_path, HELLO)
    assert "    SUBDIR += hello\n    SUBDIR += mine\n#x\n" in text(makefile)
    assert text(tmp_path / "UIDs").startswith("mine:")
    assert f"_unikernel-hello:*:{FIRST_ID + 2}:" in text(tmp_path / "UIDs")
    assert f"_unikernel-hello:*:{FIRST_ID + 2}:\n" in text(tmp_path / "GIDs")


def test_ports_without_users_need_no_lists(tmp_path: Path) -> None:
    assert [str(path) for path in overlay_tree(tmp_path, [port("net/a")])] == ["net/Makefile"]


def test_a_category_of_another_form(tmp_path: Path) -> None:
    (tmp_path / "dns").mkdir()
    (tmp_path / "dns/Makefile").write_text("all:\n")
    with pytest.raises(InputError, match=r"bsd\.port\.subdir\.mk"):
        put(tmp_path, DNS)


def test_no_number_is_left(tmp_path: Path) -> None:
    lines = (f"u{i}:*:{i}:{i}::0:0:x:/:/x\n" for i in range(FIRST_ID, FIRST_ID + 1000))
    (tmp_path / "UIDs").write_text("".join(lines))
    with pytest.raises(InputError, match="are taken"):
        put(tmp_path, HELLO)


TREE: Final = """\
# $FreeBSD$

    COMMENT = System utilities

    SUBDIR += bats
    SUBDIR += jdupes

.include <bsd.port.subdir.mk>
"""


def test_a_checkout(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkout of the ports tree"):
        checkout_tree(tmp_path, [HELLO])
    (tmp_path / "Mk").mkdir()
    (tmp_path / "Mk/bsd.port.mk").touch()
    (tmp_path / "sysutils").mkdir()
    (tmp_path / "sysutils/Makefile").write_text(TREE)
    tree = checkout_tree(tmp_path, [HELLO])
    assert [str(path) for path in tree] == ["sysutils/Makefile"]
    write(tree, tmp_path, force=True)
    expected = TREE.replace("    SUBDIR += j", "    SUBDIR += hello\n    SUBDIR += j")
    assert text(tmp_path / "sysutils/Makefile") == expected
    assert account_lines([HELLO, HELLO, port("a/b")]) == (
        "UIDs: _unikernel-hello:*:N:N::0:0:MirageOS unikernel:/nonexistent:/usr/sbin/nologin",
        "GIDs: _unikernel-hello:*:N:",
    )


def test_subjects_of_commits(tmp_path: Path) -> None:
    where = PurePosixPath("dns/primary")
    assert (
        commit_message(tmp_path, where, "1.0", "DNS server") == "dns/primary: New port: DNS server"
    )
    (tmp_path / where).mkdir(parents=True)
    (tmp_path / where / "Makefile").write_text("PORTNAME=\tx\nPORTVERSION=\t0.9\n")
    assert commit_message(tmp_path, where, "1.0", "x") == "dns/primary: Update to 1.0"
    assert commit_message(tmp_path, where, "0.9", "x") == "dns/primary: Generate the port anew"
