"""`pkggen toolchain`: list the recorded packages of a build host for Nix."""

from __future__ import annotations

import gzip
import lzma
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from pkggen.cli.common import source_opener
from pkggen.errors import DownloadError, InputError, UsageError, raise_all
from pkggen.rebuild.chroot import ARCHITECTURES, ARCHIVE, CODENAMES
from pkggen.rebuild.here import needed_tools
from pkggen.recipe.depexts import depexts
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.record.web import Client
from pkggen.targets.nix.toolchain import choose, read_index, toolchain_file
from pkggen.tree import Tree, write
from pkggen.web import Patience, is_loopback

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from pkggen.record.model import Record
    from pkggen.targets.nix.toolchain import Deb

_ARCHIVE: Final = re.compile(
    r"((?:https?|file)://[A-Za-z0-9._~:/@%+-]+?)/*(?: +([A-Za-z0-9./-]+))?"
)
_PACKED_BYTES: Final = 256 * 1024 * 1024
_LINES: Final = 20_000_000
_LINE_CHARACTERS: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Archive:
    """One suite of a Debian archive."""

    url: str
    """URL without final slash."""
    suite: str
    """Directory below `dists`."""


def run(arguments: argparse.Namespace) -> int:
    """Write toolchain.json for one record."""
    with source_opener(arguments) as opened:
        record = opened(arguments.source)
        plan = rebuild_plan(record)
        raise_all(_unsuitable(record))
        suite = CODENAMES[record.environment.get("OS_VERSION") or ""]
        archives = [_archive(text, suite) for text in arguments.archive or [ARCHIVE]]
        names = [package.name for package in plan.packages]
        wanted = {*depexts(record, names), *needed_tools(plan).values()}
        debs = choose(_packages(archives, record), record.system_packages or (), wanted)
    output = Path(arguments.output)
    tree = Tree({PurePosixPath(output.name): toolchain_file(debs)})
    for change in write(tree, output.parent, force=arguments.force):
        print(f"{change.kind:<9} {output}: {len(debs)} packages")
    return 0


def _unsuitable(record: Record) -> Iterator[InputError]:
    environment, where = record.environment, record.source
    system = (environment.get("OS_DISTRIBUTION"), environment.get("OS_VERSION"))
    if system[0] != "debian" or system[1] not in CODENAMES:
        yield InputError(
            f"toolchains can be listed for Debian {', '.join(CODENAMES)}; this was built on "
            f"{system[0] or 'an unknown system'} {system[1] or ''}".rstrip(),
            where=where,
        )
    if (environment.get("ARCH") or "x86_64") not in ARCHITECTURES:
        yield InputError(f"Debian has no {environment.get('ARCH')}", where=where)
    if record.system_packages is None:
        yield InputError("the record does not say which system packages it had", where=where)


def _archive(text: str, suite: str) -> _Archive:
    found = _ARCHIVE.fullmatch(text)
    if found is None or ".." in text:
        raise UsageError(
            f"--archive {text!r} is no archive", hint="give URL or 'URL SUITE', as in sources.list"
        )
    if found[1].startswith("http:") and not is_loopback(found[1]):
        raise UsageError(f"--archive {found[1]} is not secure", hint="use https")
    return _Archive(url=found[1], suite=found[2] or suite)


def _packages(archives: Iterable[_Archive], record: Record) -> Iterator[Deb]:
    architecture = ARCHITECTURES[record.environment.get("ARCH") or "x86_64"]
    for archive in archives:
        path = f"dists/{archive.suite}/main/binary-{architecture}/Packages"
        with tempfile.TemporaryFile() as file:
            opened = _opened(archive.url, path, file)
            try:
                yield from read_index(_lines(opened, archive.url), archive.url)
            except (EOFError, lzma.LZMAError, OSError, UnicodeDecodeError) as error:
                raise DownloadError(f"{path} is damaged: {error}", where=archive.url) from error


def _opened(url: str, path: str, file: IO[bytes]) -> IO[bytes]:
    """Return the unpacked index, which is got into a file."""
    for suffix in ("xz", "gz"):
        if _get(f"{url}/{path}.{suffix}", file):
            file.seek(0)
            return lzma.open(file) if suffix == "xz" else gzip.open(file)  # type: ignore[return-value]
    raise DownloadError(f"it has no {path}.xz and no {path}.gz", where=url)


def _get(url: str, file: IO[bytes]) -> bool:
    """Get a file; False if there is none."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        local = Path(unquote(parts.path))
        if local.is_file():
            file.write(local.read_bytes())
        return local.is_file()
    client = Client(f"{parts.scheme}://{parts.netloc}", Patience())
    return client.get(parts.path, file, _PACKED_BYTES).found  # type: ignore[arg-type]


def _lines(index: IO[bytes], where: str) -> Iterator[str]:
    for _ in range(_LINES):
        line = index.readline(_LINE_CHARACTERS)
        if not line:
            return
        yield line.decode()
    raise DownloadError("the index is too long", where=where)
