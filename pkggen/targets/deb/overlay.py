"""A maintainer's own files: in an overlay, or edited in an unpacked source package.

Source: debcargo's `overlay` directories and `*.debcargo.hint` files.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError
from pkggen.targets.deb.render import DEBIAN
from pkggen.tree import CopiedFile, TextFile, Tree

if TYPE_CHECKING:
    from pkggen.tree import File

_MAX_BYTES: Final = 16 * 1024 * 1024


def read_overlay(directory: Path, name: str) -> Tree | None:
    """Return the files of a package in an overlay; None if it has none.

    Args:
        directory: The overlay; in it `NAME/debian/...`.
        name: Name of the package.

    Raises:
        InputError: something there is no regular file, is too large, or cannot be read.
    """
    top = directory / name
    if not directory.is_dir():
        raise InputError("there is no such directory", where=str(directory))
    if top.is_symlink():
        raise InputError("is no regular file", where=str(top))
    if not top.is_dir():
        return None
    files: dict[PurePosixPath, File] = {}
    for place, directories, names in os.walk(top):
        for entry in sorted((*directories, *names)):
            path = Path(place, entry)
            relative = PurePosixPath(path.relative_to(top))
            if relative.parts[0] != str(DEBIAN):
                raise InputError(f"only {DEBIAN}/ can be overlaid", where=str(path))
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise InputError("is no regular file", where=str(path))
            if path.is_file():
                files[relative] = _file(path)
    return Tree(files) if files else None


def _file(path: Path) -> File:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"it has more than {_MAX_BYTES} bytes", where=str(path))
        data = path.read_bytes()
        executable = os.access(path, os.X_OK)
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror}", where=str(path)) from error
    if not executable:
        return CopiedFile.of(data)
    try:
        return TextFile(data.decode(), executable=True)
    except UnicodeDecodeError:
        raise InputError("an executable file of an overlay is text", where=str(path)) from None
