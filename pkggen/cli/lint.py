"""`pkggen lint`: the rules of a distribution for packages, checked on their files alone."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen import process
from pkggen.cli.talk import talk
from pkggen.errors import InputError
from pkggen.recipe.finding import Breach
from pkggen.targets.freebsd import lint as freebsd
from pkggen.targets.nix import lint as nix
from pkggen.targets.nix.finding import Finding

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pkggen.recipe.finding import Entry

FOUND_BREACHES: Final = 1
"""Exit code when a rule is broken."""

_FILES_AT_A_TIME: Final = 50
_PARSE_SECONDS: Final = 60
_INSTALL: Final = "install Nix: the package is called nix-bin in Debian"
_LINTIAN_SECONDS: Final = 3600
_TAG: Final = re.compile(r"[EW]: (?P<name>[^:]+): (?P<tag>[a-z0-9-]+)(?P<context>.*)")
_FAULT: Final = re.compile(r"error: (?P<message>[^\n]+)(?s:.*?):(?P<line>\d+):(?P<column>\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tag(Breach):
    """What lintian found."""

    @property
    def source(self) -> str:
        """Who made the rule."""
        return f"lintian, https://lintian.debian.org/tags/{self.rule}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """What a linter found."""

    findings: tuple[Breach, ...]
    """Breaches, sorted."""
    unchecked: tuple[str, ...] = ()
    """What could not be checked here."""


def run(arguments: argparse.Namespace) -> int:
    """Print the breaches, one on each line."""
    checked = _TARGETS[arguments.target](Path(arguments.directory))
    for note in checked.unchecked:
        talk(note)
    if arguments.json:
        findings = [
            {
                "path": str(finding.path),
                "line": finding.line,
                "column": finding.column,
                "rule": finding.rule,
                "message": finding.message,
                "source": finding.source,
            }
            for finding in checked.findings
        ]
        json.dump({"findings": findings, "unchecked": checked.unchecked}, sys.stdout, indent=2)
        print()
    else:
        for finding in checked.findings:
            print(finding)
    return FOUND_BREACHES if checked.findings else 0


def _nix(root: Path) -> _Checked:
    files = nix.entries(root)
    findings = nix.lint(files, submitted=nix.is_checkout(root))
    if shutil.which("nix-instantiate") is None:
        note = f"nothing was parsed by Nix itself: nix-instantiate is not installed; {_INSTALL}"
        return _Checked(findings=findings, unchecked=(note,))
    faults = tuple(_unparsed(root, files))
    return _Checked(findings=tuple(sorted((*findings, *faults), key=Breach.key)))


def _freebsd(root: Path) -> _Checked:
    return _Checked(findings=freebsd.lint(root))


def _deb(root: Path) -> _Checked:
    packages = sorted(path for path in root.glob("*") if path.suffix in {".dsc", ".deb"})
    if not packages:
        raise InputError(
            "holds no .dsc and no .deb", where=str(root), hint="name what `pkggen deb` wrote into"
        )
    return _Checked(
        findings=tuple(
            sorted((tag for package in packages for tag in _lintian(package)), key=Breach.key)
        )
    )


def _lintian(package: Path) -> Iterator[_Tag]:
    """Yield lintian's errors and warnings; what it calls informational or pedantic is no breach."""
    said = process.run(
        ("lintian", "--allow-root", "--fail-on", "none", "--tag-display-limit", "0", str(package)),
        environment={**process.inherited("PATH", "HOME"), "LC_ALL": "C.UTF-8"},
        timeout=_LINTIAN_SECONDS,
        install="install lintian, Debian's own linter",
    )
    for line in said.decode(errors="replace").splitlines():
        found = _TAG.fullmatch(line)
        if found is not None:
            message = found["context"] or found["name"]
            name = PurePosixPath(package.name)
            yield _Tag(path=name, rule=found["tag"], message=message.strip())


def _unparsed(root: Path, files: Mapping[PurePosixPath, Entry]) -> Iterator[Finding]:
    """Yield what Nix cannot parse; files are tried one by one only where many fail together."""
    paths = [
        path for path, file in files.items() if path.suffix == ".nix" and file.data is not None
    ]
    for start in range(0, len(paths), _FILES_AT_A_TIME):
        some = paths[start : start + _FILES_AT_A_TIME]
        try:
            _parse(root, some)
        except process.ExitError:
            for path in some:
                try:
                    _parse(root, [path])
                except process.ExitError as error:
                    yield _finding(path, error.said)


def _parse(root: Path, paths: Sequence[PurePosixPath]) -> None:
    process.run(
        ("nix-instantiate", "--parse", *(str((root / path).resolve()) for path in paths)),
        # A store that is nowhere: none is needed to parse, and none may be there to be opened.
        environment={**process.inherited("PATH", "HOME"), "NIX_REMOTE": "dummy://"},
        timeout=_PARSE_SECONDS,
        install=_INSTALL,
        limit=256 * 1024 * 1024,
    )


def _finding(path: PurePosixPath, said: str) -> Finding:
    found = _FAULT.search(said)
    line, column = (int(found["line"]), int(found["column"])) if found else (1, 1)
    message = found["message"] if found else said
    return Finding(path=path, line=line, column=column, rule="nix-parse", message=message)


_TARGETS: Final[Mapping[str, Callable[[Path], _Checked]]] = {
    "deb": _deb,
    "freebsd": _freebsd,
    "nix": _nix,
}
