"""nixpkgs' rules for packages, as far as they can be told from the text of the files alone.

`RULES` names the source of each rule. What needs evaluation, nixfmt or a build is left to nixpkgs'
own tools.
"""

from __future__ import annotations

import re
import stat
from collections import defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError
from pkggen.recipe.finding import Entry
from pkggen.targets.nix import names
from pkggen.targets.nix.finding import Finding, exists, is_carried, package_of, resolved_in
from pkggen.targets.nix.lint_text import MAX_LINE, File

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_TEXTS: Final = frozenset({".nix", ".json", ".yaml", ".yml", ".sh", ".md"})
_CONVENTIONAL: Final = (
    *("build", "chore", "ci", "doc", "docs", "feat", "feature", "fix", "perf", "refactor"),
    *("services", "style", "test", "update"),
)


def entries(root: Path) -> dict[PurePosixPath, Entry]:
    """Return what there is to lint: in a checkout of nixpkgs the packages of ours, else all.

    Args:
        root: A checkout, or a directory that pkggen wrote into.

    Raises:
        InputError: there is no `pkgs/by-name` in it.
    """
    by_name = root / names.BY_NAME
    if not by_name.is_dir():
        raise InputError(
            f"there is no {names.BY_NAME} in it",
            where=str(root),
            hint="name a directory that `pkggen nix` wrote into, or the root of nixpkgs",
        )
    tops = [root]
    if is_checkout(root):
        tops = [package for package in by_name.glob("*/*") if names.is_ours(package)]
    return {
        relative: _entry(path, relative)
        for top in sorted(tops)
        for path in _below(top)
        for relative in (PurePosixPath(path.relative_to(root)),)
    }


def is_checkout(root: Path) -> bool:
    """Tell whether a directory is a checkout of nixpkgs, not only packages for it."""
    return (root / "pkgs/top-level").is_dir()


def _below(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.iterdir()):
        if path.is_dir() and not path.is_symlink():
            if path.name != ".git":
                yield from _below(path)
        else:
            yield path


def _entry(path: Path, relative: PurePosixPath) -> Entry:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return Entry(link=str(path.readlink()))
    is_text = path.suffix in _TEXTS and not is_carried(relative)
    readable = stat.S_ISREG(status.st_mode) and is_text
    return Entry(
        data=path.read_bytes() if readable else None,
        executable=bool(status.st_mode & stat.S_IXUSR),
    )


def lint(files: Mapping[PurePosixPath, Entry], *, submitted: bool) -> tuple[Finding, ...]:
    """Return every breach of a rule, sorted.

    Args:
        files: What lies at which path, relative to the root of nixpkgs or of an overlay.
        submitted: Whether the packages are for nixpkgs itself, which wants a maintainer.
    """
    found = [*_layout(files)]
    for path, entry in files.items():
        if entry.data is not None:
            found += File.findings(path, entry, files, submitted=submitted)
        if entry.link is not None:
            found += _link(path, entry.link, files)
    return tuple(sorted(found, key=Finding.key))


def subject_faults(subject: str, paths: Iterable[PurePosixPath] = ()) -> Iterator[str]:
    """Yield what nixpkgs' CI says about the subject of a commit.

    Args:
        subject: Its first line.
        paths: Files of the commit; a name among their directories is no conventional-commit type.

    Source: nixpkgs `ci/github-script/lint-commits.ts`, and git's advice to keep it short.
    """
    segments = {part for path in paths for part in path.parts}
    types = "|".join(kind for kind in _CONVENTIONAL if kind not in segments)
    if ": " not in subject:
        yield "a commit subject needs `: `"
    if subject.endswith("."):
        yield "a commit subject has no final full stop"
    if subject.startswith(("amend!", "fixup!", "squash!")):
        yield "a fixup is not for review"
    if re.match(rf"({types})!?(\(.*\))?!?:", subject):
        yield "nixpkgs does not use conventional commits"
    if "\n" in subject or len(subject) > MAX_LINE:
        yield f"a commit subject is one line of at most {MAX_LINE} characters"


# Where files are


def _layout(files: Mapping[PurePosixPath, Entry]) -> Iterator[Finding]:
    packages: dict[PurePosixPath, set[PurePosixPath]] = defaultdict(set)
    for path in files:
        if (package := package_of(path)) is not None:
            packages[package].add(path)
        elif names.BY_NAME in path.parents and path.name != "README.md":
            is_shard = path.parent == names.BY_NAME
            rule = "NPV-109" if is_shard else "NPV-140"
            yield Finding(path=path, rule=rule, message="there must be a directory here")
    for package, inner in packages.items():
        yield from _place(package, inner)
    seen: dict[str, PurePosixPath] = {}
    for package in sorted(packages):
        other = seen.setdefault(str(package).lower(), package)
        if other != package:
            message = f"{other} has the same name but for capitals"
            yield Finding(path=package, rule="NPV-111", message=message)


def _place(package: PurePosixPath, files: set[PurePosixPath]) -> Iterator[Finding]:
    shard, name = package.parts[2:]
    if not re.fullmatch(r"[a-z_][a-z0-9_-]?", shard):
        message = "a shard has one or two of a-z, 0-9, `-` and `_`, first a letter or `_`"
        yield Finding(path=package.parent, rule="NPV-110", message=message)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
        message = "a name has letters, digits, `-` and `_`, first a letter or `_`"
        yield Finding(path=package, rule="NPV-141", message=message)
    if shard != name[:2].lower():
        message = f"it must be in {names.BY_NAME / name[:2].lower()}"
        yield Finding(path=package, rule="NPV-142", message=message)
    expression = package / names.PACKAGE_FILE
    if any(expression in path.parents for path in files):
        yield Finding(path=expression, rule="NPV-144", message="it must be a file")
    elif expression not in files:
        yield Finding(path=package, rule="NPV-143", message=f"there is no {names.PACKAGE_FILE}")


def _link(
    path: PurePosixPath, target: str, files: Mapping[PurePosixPath, Entry]
) -> Iterator[Finding]:
    package = package_of(path)
    if package is None:
        return
    resolved = resolved_in(path.parent, target)
    if package != resolved and package not in resolved.parents:
        yield Finding(path=path, rule="NPV-125", message=f"it points outside: {target}")
    elif not exists(resolved, files):
        yield Finding(path=path, rule="NPV-126", message=f"it points to nothing: {target}")
