"""The ports tree's rules for ports, as far as they can be told from the text of the files alone.

`finding.RULES` names the source of each rule. `portlint -AC` and `poudriere testport` remain the
last steps before a submission: they have the tree, and build.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError
from pkggen.recipe.finding import Breach, Entry
from pkggen.targets.freebsd import names
from pkggen.targets.freebsd.finding import Finding
from pkggen.targets.freebsd.lint_port import Port

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_TEXT_BYTES: Final = 4 * 1024 * 1024
_BINARY: Final = "carried"
"""Directory of what records carry, which is data, whatever it holds."""
_IN_TEXT: Final = {
    "line-end": (r"\r", "lines must end with a newline only"),
    "trailing-blanks": (r"(?m)[ \t]+$", "blanks at the end of a line"),
    "final-newline": (r"(?<!\n)\Z|\n\n\Z", "the file must end with exactly one newline"),
}
_SUBDIR: Final = re.compile(r"(?m)^\s*SUBDIR\s*\+=\s*(\S+)\s*$")


def lint(root: Path) -> tuple[Finding, ...]:
    """Return every breach of a rule, sorted.

    Args:
        root: A directory that pkggen wrote ports into, an overlay, or a checkout of the ports tree,
            of which only the ports that pkggen made are looked at.

    Raises:
        InputError: there is no port in it.
    """
    checkout = (root / "Mk/bsd.port.mk").is_file()
    ports = [
        makefile.parent
        for makefile in sorted(root.glob("*/*/Makefile"))
        if not checkout or names.GENERATED in makefile.read_text("utf-8", "replace")
    ]
    if not ports:
        raise InputError(
            "there is no port in it",
            where=str(root),
            hint="name a directory that `pkggen freebsd` wrote into, or the root of the ports tree",
        )
    found: list[Finding] = []
    for port in ports:
        place = PurePosixPath(port.relative_to(root))
        files = {PurePosixPath(path.relative_to(port)): _entry(path) for path in _below(port)}
        for path, entry in files.items():
            found += (
                Finding(path=place / path, line=line, rule=rule, message=message)
                for line, rule, message in _file(path, entry)
            )
        found += Port.findings(place, files, submitted=checkout)
    found += _categories(root, ports)
    found += _accounts(root, ports)
    return tuple(sorted(found, key=Breach.key))


def _below(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _below(path)
        else:
            yield path


def _entry(path: Path) -> Entry:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return Entry(link=str(path.readlink()))
    readable = stat.S_ISREG(status.st_mode) and status.st_size <= _MAX_TEXT_BYTES
    return Entry(
        data=path.read_bytes() if readable else None,
        executable=bool(status.st_mode & stat.S_IXUSR),
    )


def _file(path: PurePosixPath, entry: Entry) -> Iterator[tuple[int, str, str]]:
    """Yield line, rule and message of what is wrong with any file."""
    if path.parts[0] == "work":
        yield 1, "leftover", "the work directory does not belong to a port"
        return
    if entry.link is not None:
        yield 1, "symbolic-link", f"it points to {entry.link}; a port holds plain files only"
        return
    if entry.executable:
        yield 1, "mode", "files of a port are not executable"
    if entry.data == b"":
        yield 1, "empty-file", "the file is empty"
    elif entry.data is not None and _BINARY not in path.parts:
        text = entry.data.decode("utf-8", "replace")
        for rule, (pattern, message) in _IN_TEXT.items():
            for match in re.finditer(pattern, text):
                yield text.count("\n", 0, match.start()) + 1, rule, message


def _categories(root: Path, ports: list[Path]) -> Iterator[Finding]:
    """Check the Makefiles of categories, where there are any."""
    for category in sorted({port.parent for port in ports}):
        makefile = category / "Makefile"
        if not makefile.is_file():
            continue
        place = PurePosixPath(makefile.relative_to(root))
        listed = _SUBDIR.findall(makefile.read_text("utf-8", "replace"))
        for name in sorted({p.name for p in ports if p.parent == category} - set(listed)):
            yield Finding(path=place, rule="subdir", message=f"SUBDIR does not list {name}")
        for name in listed:
            if not (category / name / "Makefile").is_file():
                yield Finding(path=place, rule="subdir", message=f"there is no port {name}")
        if listed != sorted(set(listed)):
            yield Finding(path=place, rule="subdir", message="SUBDIR is sorted, each port once")


def _accounts(root: Path, ports: list[Path]) -> Iterator[Finding]:
    """Check that UIDs and GIDs know all users, where there are any."""
    for file, variable in (("UIDs", "USERS"), ("GIDs", "GROUPS")):
        if not (root / file).is_file():
            continue
        lines = (root / file).read_text("utf-8", "replace").split("\n")
        known = {line.split(":")[0] for line in lines if not line.startswith("#")}
        for port in ports:
            text = (port / "Makefile").read_text("utf-8", "replace")
            for match in re.finditer(rf"(?m)^{variable}=\s*(\S+)$", text):
                if match[1] not in known:
                    yield Finding(
                        path=PurePosixPath(port.relative_to(root), "Makefile"),
                        line=text.count("\n", 0, match.start()) + 1,
                        rule="accounts",
                        message=f"{file} does not list {match[1]}",
                    )
