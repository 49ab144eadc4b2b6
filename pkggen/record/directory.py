"""A directory as source: what orb left, or what `pkggen record` saved."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, PkggenError, raise_all
from pkggen.record.artifact import RECORD_FILE, FileContent, RawBuild, RawFile
from pkggen.record.model import MAX_ARTIFACTS

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUILD_DIRECTORY: Final = "build"


def read_directory(directory: Path, source: str) -> RawBuild:
    """Return the files below a directory.

    The directory `build` of orb's own output is left out: `orb build --keep-build-dir` leaves it,
    and it is never an artefact, because opam has no such directory in its prefix.

    Args:
        directory: An existing directory.
        source: How the user named it.

    Raises:
        InputError: something in it is no regular file, or a link that leaves it.
        Faults: several of these.
    """
    root = Path(os.path.realpath(directory))
    faults: list[PkggenError] = []
    files: list[RawFile] = []
    for path in _walk(root, source, is_saved=(root / RECORD_FILE).exists()):
        name = path.relative_to(root).as_posix()
        target = Path(os.path.realpath(path))
        if not target.is_relative_to(root):
            faults.append(InputError("a link that leaves the directory", where=str(path)))
        elif not target.is_file():
            faults.append(InputError("neither a regular file nor a directory", where=str(path)))
        else:
            files.append(RawFile(path=name, content=FileContent(target)))
        if len(files) + len(faults) > MAX_ARTIFACTS + 1:
            raise InputError(f"more than {MAX_ARTIFACTS} files", where=source)
    raise_all(faults)
    return RawBuild(source=source, files=tuple(files))


def _walk(root: Path, source: str, *, is_saved: bool) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise InputError(f"cannot be read: {error.strerror}", where=source) from error

    for parent, directories, names in os.walk(root, onerror=refuse):
        here = root / parent
        # os.walk does not follow a link to a directory, but lists it as one.
        links = [name for name in directories if (here / name).is_symlink()]
        if here == root and not is_saved:
            directories[:] = [name for name in directories if name != _BUILD_DIRECTORY]
        yield from (here / name for name in sorted([*names, *links]))
