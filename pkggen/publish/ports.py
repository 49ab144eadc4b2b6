"""Ports in an overlay or in a checkout of the ports tree: what stands outside of their directories.

Nothing that others wrote into these files is lost: lines are only added.

Sources: freebsd-ports `Mk/bsd.port.subdir.mk` (SUBDIR), `UIDs` and `GIDs` (forms of passwd(5) and
group(5)), Committer's Guide (subjects of commits).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError
from pkggen.targets.freebsd import names
from pkggen.tree import SEAL, TextFile, Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FIRST_ID: Final = 63000
"""Users of an overlay get numbers from here on: the tree's own list ends far below."""
_LAST_ID: Final = 63999
_SUBDIR: Final = re.compile(r"^\s*SUBDIR\s*\+=\s*(\S+)\s*$")
_SEALED: Final = re.compile(r"seal: [0-9a-f]{16}")
_INCLUDE: Final = ".include <bsd.port.subdir.mk>"
_VERSION: Final = re.compile(r"^PORTVERSION=\s*(\S+)$", re.MULTILINE)
_HEADER: Final = f"# {names.GENERATED}, which only adds lines; you may add others.\n# {SEAL}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """What is known of a finished port."""

    directory: PurePosixPath
    """Category and name."""
    user: str | None
    """System user, whose group has the same name; None without."""


def overlay_tree(root: Path, ports: Sequence[Port]) -> Tree:
    """Return Makefiles of categories, UIDs and GIDs of an overlay, with these ports added.

    Args:
        root: The overlay; it need not exist.
        ports: What is in it, or will be.

    Raises:
        InputError: an existing file has not the form that is known, or no number is free.
    """
    files = {**_categories(root, ports)}
    users = sorted({port.user for port in ports if port.user is not None})
    if users:
        uids, gids = (_old(root / name) or _HEADER for name in ("UIDs", "GIDs"))
        numbers = _numbers(uids, gids, users)
        uids = _with(uids, {user: _account(user, numbers[user]) for user in users})
        gids = _with(gids, {user: f"{user}:*:{numbers[user]}:" for user in users})
        files |= {PurePosixPath("UIDs"): TextFile(uids), PurePosixPath("GIDs"): TextFile(gids)}
    return Tree(files)


def checkout_tree(root: Path, ports: Sequence[Port]) -> Tree:
    """Return the Makefiles of categories of a checkout of the ports tree, with these ports added.

    Raises:
        InputError: it is no checkout.
    """
    require_checkout(root)
    return Tree(_categories(root, ports))


def require_checkout(root: Path) -> None:
    """Raise InputError unless a directory is a checkout of the ports tree."""
    if not (root / "Mk/bsd.port.mk").is_file():
        raise InputError(
            "it is no checkout of the ports tree: there is no Mk/bsd.port.mk in it",
            where=str(root),
            hint="`--overlay DIR` writes an overlay",
        )


def commit_message(root: Path, directory: PurePosixPath, version: str, comment: str) -> str:
    """Return the subject of the commit that adds or updates a port.

    Args:
        root: The checkout, as it is before.
        directory: Of the port.
        version: PORTVERSION.
        comment: COMMENT.
    """
    old = _old(root / directory / "Makefile")
    if old is None:
        return f"{directory}: New port: {comment}"
    found = _VERSION.search(old)
    if found is not None and found[1] == version:
        return f"{directory}: Generate the port anew"
    return f"{directory}: Update to {version}"


def account_lines(ports: Iterable[Port]) -> tuple[str, ...]:
    """Return what UIDs and GIDs of the ports tree need, `N` for a free number."""
    users = sorted({port.user for port in ports if port.user is not None})
    return tuple(
        line for user in users for line in (f"UIDs: {_account(user, 'N')}", f"GIDs: {user}:*:N:")
    )


def _categories(root: Path, ports: Sequence[Port]) -> dict[PurePosixPath, TextFile]:
    found: dict[PurePosixPath, TextFile] = {}
    for category in sorted({port.directory.parts[0] for port in ports}):
        path = PurePosixPath(category, "Makefile")
        old = _old(root / path)
        if old is None:
            old = f"{_HEADER}\n    COMMENT = MirageOS unikernels and tools\n\n{_INCLUDE}\n"
        added = [port.directory.name for port in ports if port.directory.parts[0] == category]
        found[path] = TextFile(_with_ports(old, added, str(root / path)))
    return found


def _with_ports(text: str, added: Sequence[str], where: str) -> str:
    """Return the Makefile of a category with more lines, each where it sorts."""
    lines = text.split("\n")
    if _INCLUDE not in lines:
        raise InputError(f"there is no line `{_INCLUDE}` in it", where=where)
    for name in sorted(added):
        listed = [(i, match[1]) for i, line in enumerate(lines) if (match := _SUBDIR.match(line))]
        if any(other == name for _, other in listed):
            continue
        behind = next((i for i, other in listed if other > name), None)
        if behind is None and listed:
            behind = listed[-1][0] + 1
        if behind is None:
            behind = lines.index(_INCLUDE)
            lines.insert(behind, "")
        lines.insert(behind, f"    SUBDIR += {name}")
    return _resealed("\n".join(lines))


def _numbers(uids: str, gids: str, users: Sequence[str]) -> dict[str, int]:
    """Return a number for each user: the one it has, or the first that nobody has."""
    known: dict[str, int] = {}
    for line in uids.split("\n"):
        fields = line.split(":")
        if len(fields) > 2 and fields[2].isdecimal():
            known[fields[0]] = int(fields[2])
    groups = (line.split(":") for line in gids.split("\n"))
    taken = {*known.values()} | {int(f[2]) for f in groups if len(f) > 2 and f[2].isdecimal()}
    free = (number for number in range(FIRST_ID, _LAST_ID + 1) if number not in taken)
    found: dict[str, int] = {}
    for user in users:
        number = known[user] if user in known else next(free, None)
        if number is None:
            raise InputError(f"all numbers from {FIRST_ID} to {_LAST_ID} are taken", where="UIDs")
        found[user] = number
    return found


def _account(user: str, number: int | str) -> str:
    return f"{user}:*:{number}:{number}::0:0:MirageOS unikernel:/nonexistent:/usr/sbin/nologin"


def _with(text: str, added: Mapping[str, str]) -> str:
    known = {line.split(":")[0] for line in text.split("\n")}
    new = "".join(f"{line}\n" for user, line in added.items() if user not in known)
    return _resealed(text + new)


def _resealed(text: str) -> str:
    return _SEALED.sub(SEAL, text, count=1)


def _old(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
