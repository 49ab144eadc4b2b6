"""The only code that puts trees of files on disk.

What a person edited since pkggen left it, as its seal tells, is never overwritten unasked.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from difflib import unified_diff
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Final

from pkggen.errors import (
    InputError,
    PkggenError,
    ToolError,
    VerificationError,
    printable,
    raise_all,
)
from pkggen.tree import CopiedFile, File, TextFile, Tree, is_sealed, sealed

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_TEXT_BYTES: Final = 16 * 1024 * 1024
_CHUNK_BYTES: Final = 1024 * 1024


class ChangeKind(StrEnum):
    """What happens, or would happen, to one path."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    EDITED = "edited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What writing a tree does to one path."""

    path: PurePosixPath
    """Relative to the root."""
    kind: ChangeKind
    """`edited` means that the file on disk differs and is not as pkggen left it."""
    diff: str
    """For reading: a unified diff with control characters escaped, or sizes and digests of binary
    files, and the modes if they differ; empty if unchanged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _OnDisk:
    """A regular file that is already there."""

    sha256: str
    """Digest, hexadecimal."""
    size: int
    """Bytes."""
    data: bytes | None
    """Content; None if it is too long for a text."""
    executable: bool
    """Whether its owner may execute it."""


def plan(tree: Tree, root: Path) -> tuple[Change, ...]:
    """Return what `write` would do, in the order of the paths.

    Args:
        tree: The files.
        root: Directory that the paths are relative to; it need not exist. It may be a symbolic
            link, nothing below it may.

    Raises:
        InputError: something that is not a directory or not a regular file is in the way.
        ToolError: the system refused to read an existing file.
    """
    faults: list[PkggenError] = []
    changes: list[Change] = []
    for path, file in tree.items():
        try:
            with _blaming(root / path):
                changes.append(_change(path, file, _on_disk(root, path), root))
        except PkggenError as error:
            faults.append(error)
    raise_all(faults)
    return tuple(changes)


def with_edited_beside(tree: Tree, root: Path, suffix: str) -> Tree:
    """Return the files, those that were edited by hand under other names, so that edits are kept.

    Args:
        tree: Files that are about to be written.
        root: Where.
        suffix: What such a name gets at its end.

    Raises:
        InputError: see `plan`.
    """
    edited = {change.path for change in plan(tree, root) if change.kind is ChangeKind.EDITED}
    return Tree(
        {
            path.with_name(path.name + suffix) if path in edited else path: file
            for path, file in tree.items()
        }
    )


def write(tree: Tree, root: Path, *, force: bool = False) -> tuple[Change, ...]:
    """Write the files that differ; other files are not touched at all.

    All new files are first completed under temporary names, and copies verified; only then each
    is renamed to its place. After any error everything is as it was before. A kill in the middle
    may leave new beside old files and temporary ones, `.pkggen-*`, but never half a file.

    Args:
        tree: The files.
        root: Directory that the paths are relative to; made if it does not exist.
        force: Overwrite files that were edited by hand.

    Returns:
        What `plan` said; with `force`, the overwritten hand edits keep the kind `edited`.

    Raises:
        InputError: a file was edited by hand, or see `plan`.
        VerificationError: a copied file has not the sha256 or size that it should have.
        ToolError: the system refused to write: disk full, no permission.
    """
    changes = plan(tree, root)
    edited = tuple(change for change in changes if change.kind is ChangeKind.EDITED)
    if edited and not force:
        raise InputError(
            "these files were edited by hand and have been kept; nothing was written:\n"
            + "\n".join(change.diff for change in edited),
            where=str(root),
            hint="`--force` overwrites them; or move the edits to pkggen.yaml, which is kept",
        )
    due = [change for change in changes if change.kind is not ChangeKind.UNCHANGED]
    with ExitStack() as directories, ExitStack() as temporaries, ExitStack() as replaced:
        staged: list[tuple[Path, Path | None, Path]] = []
        for change in due:
            target = root / change.path
            with _blaming(target):
                _make_directory(target.parent, directories)
                new = _stage(tree[change.path], target, temporaries)
                is_new = change.kind is ChangeKind.CREATE
                old = None if is_new else _keep(target, temporaries)
            staged.append((new, old, target))
        for new, old, target in staged:
            with _blaming(target):
                os.replace(new, target)  # noqa: PTH105 - the tests make exactly this call fail
            replaced.callback(_restore, old, target)
        replaced.pop_all()
        directories.pop_all()
    return changes


@contextmanager
def _blaming(target: Path) -> Iterator[None]:
    """Turn an error of the system into a `ToolError` at `target`."""
    try:
        yield
    except OSError as error:
        raise ToolError(
            f"the system refused to read or write the file: {error.strerror or error}",
            where=str(target),
            hint="nothing was written; check the free space and the permissions of the directory",
        ) from error


def _on_disk(root: Path, path: PurePosixPath) -> _OnDisk | None:
    """Read what is at `path`, None if nothing is there."""
    if not root.exists():
        return None
    if not root.is_dir():
        raise InputError("is not a directory", where=str(root))
    for parent in reversed(path.parents[:-1]):
        if (root / parent).is_symlink() or (
            (root / parent).exists() and not (root / parent).is_dir()
        ):
            raise InputError(
                "is in the way: not a directory, or a symbolic link, which is never followed",
                where=str(root / parent),
            )
    target = root / path
    try:
        status = target.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise InputError(
            "is in the way: not a regular file; symbolic links are never followed",
            where=str(target),
        )
    with target.open("rb") as stream:
        short = stream.read() if status.st_size <= _MAX_TEXT_BYTES else None
        stream.seek(0)
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    executable = bool(status.st_mode & stat.S_IXUSR)
    return _OnDisk(sha256=digest, size=status.st_size, data=short, executable=executable)


def _change(path: PurePosixPath, file: File, old: _OnDisk | None, root: Path) -> Change:
    same = old is not None and old.sha256 == file.sha256
    if old is None:
        kind = ChangeKind.CREATE
    elif same and old.executable == file.executable:
        return Change(path=path, kind=ChangeKind.UNCHANGED, diff="")
    elif same or _is_edited_by(file, old) or _is_intact(old, (root / path).parent):
        kind = ChangeKind.UPDATE
    else:
        kind = ChangeKind.EDITED
    diff = "" if same else _diff(path, old, file)
    if old is not None and old.executable != file.executable:
        diff = f"{path}: mode {_mode(old):04o} -> {_mode(file):04o}\n{diff}"
    return Change(path=path, kind=kind, diff=diff)


def _is_edited_by(file: File, old: _OnDisk) -> bool:
    return isinstance(file, TextFile) and file.edits == old.sha256


def _is_intact(old: _OnDisk, directory: Path) -> bool:
    """Tell whether pkggen left the file so: sealed, or named by a sealed file beside it."""
    if old.data is not None and is_sealed(old.data):
        return True
    for sibling in sorted(directory.iterdir()):
        status = sibling.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_size <= _MAX_TEXT_BYTES:
            data = sibling.read_bytes()
            if old.sha256.encode() in data and is_sealed(data):
                return True
    return False


def _diff(path: PurePosixPath, old: _OnDisk | None, new: File) -> str:
    before = _as_text(b"" if old is None else old.data)
    if before is None or isinstance(new, CopiedFile):
        sides = ["does not exist" if old is None else f"{old.size} bytes, sha256 {old.sha256}"]
        sides.append(f"{new.size} bytes, sha256 {new.sha256}")
        return f"{path}: binary files differ\n-{sides[0]}\n+{sides[1]}\n"
    lines = unified_diff(
        list(io.StringIO(before, newline="\n")),
        list(io.StringIO(sealed(new.text), newline="\n")),
        "/dev/null" if old is None else f"a/{path}",
        f"b/{path}",
    )
    return "".join(
        printable(line[:-1] + "\n" if line.endswith("\n") else f"{line}\n\\ No newline at end\n")
        for line in lines
    )


def _as_text(data: bytes | None) -> str | None:
    if data is None or b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _mode(file: _OnDisk | File) -> int:
    return 0o755 if file.executable else 0o644


def _make_directory(directory: Path, undo: ExitStack) -> None:
    for missing in reversed([d for d in (directory, *directory.parents) if not d.exists()]):
        missing.mkdir()
        undo.callback(_remove_directory, missing)
        missing.chmod(0o755)


def _remove_directory(directory: Path) -> None:
    with suppress(OSError):  # somebody else's file in it keeps it
        directory.rmdir()


def _temporary(target: Path, undo: ExitStack) -> tuple[BinaryIO, Path]:
    descriptor, name = tempfile.mkstemp(prefix=".pkggen-", dir=target.parent)
    temporary = Path(name)
    undo.callback(temporary.unlink, missing_ok=True)
    return os.fdopen(descriptor, "wb"), temporary


def _stage(file: File, target: Path, undo: ExitStack) -> Path:
    """Complete the file under a temporary name beside `target`."""
    stream, temporary = _temporary(target, undo)
    with stream:
        if isinstance(file, TextFile):
            stream.write(file.data)
        else:
            _copy(file, stream, target)
        stream.flush()
        os.fsync(stream.fileno())
        os.fchmod(stream.fileno(), _mode(file))
    return temporary


def _copy(file: CopiedFile, stream: BinaryIO, target: Path) -> None:
    digest = hashlib.sha256()
    size = 0
    with file.content.open() as source:
        while size <= file.size and (chunk := source.read(_CHUNK_BYTES)):
            digest.update(chunk)
            size += len(chunk)
            stream.write(chunk)
    if size != file.size or digest.hexdigest() != file.sha256:
        raise VerificationError(
            f"expected {file.size} bytes with sha256 {file.sha256},"
            f" got {'more' if size > file.size else f'{size} with {digest.hexdigest()}'}",
            where=str(target),
            hint="the source changed while it was copied; read the record again",
        )


def _keep(target: Path, undo: ExitStack) -> Path:
    """Copy the existing file with its times and mode, to restore it after an error."""
    stream, temporary = _temporary(target, undo)
    stream.close()
    shutil.copy2(target, temporary)
    return temporary


def _restore(old: Path | None, target: Path) -> None:
    try:
        if old is None:
            target.unlink(missing_ok=True)
        else:
            os.replace(old, target)  # noqa: PTH105 - as in `write`
    except OSError as error:
        raise ToolError(
            f"the earlier file could not be put back: {error.strerror or error}",
            where=str(target),
            hint="the directory now holds new beside old files; write it again",
        ) from error
