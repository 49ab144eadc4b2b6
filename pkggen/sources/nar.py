"""The hash that Nix gives to a file tree: sha256 of its serialisation as a Nix archive (NAR).

Source: E. Dolstra, "The Purely Functional Software Deployment Model" (2006), figure 5.2; NixOS/nix
`doc/manual/source/protocols/nix-archive/` and `src/libutil/archive.cc`.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import stat
import tarfile
import tempfile
import zlib
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import IO, TYPE_CHECKING, Final, TypeAlias

from pkggen.errors import InputError, raise_all
from pkggen.sources.hashes import CHUNK_BYTES, Sri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

MAX_TAR_BYTES: Final = 8 * 1024**3
"""Size of an unpacked tar from which on it is taken for a bomb."""

_BASE32: Final = "0123456789abcdfghijklmnpqrsvwxyz"


def from_nix32(text: str) -> Sri:
    """Read a sha256 in Nix's own base 32: the last digit is the least significant one.

    Raises:
        InputError: it is no sha256 in that form.
    """
    number = 0
    for character in text if len(text) == 52 else "":
        digit = _BASE32.find(character)
        if digit < 0:
            break
        number = number * 32 + digit
    else:
        if len(text) == 52 and number < 1 << 256:
            return Sri("sha256", number.to_bytes(32, "little"))
    raise InputError(f"{text[:200]!r} is no sha256 in Nix's base 32")


def hash_path(path: Path) -> Sri:
    """Return the NAR hash of a directory, a symbolic link or a file (Nix: `recursive`).

    Raises:
        InputError: it cannot be read, changes meanwhile, or holds a device, socket or pipe.
    """
    try:
        return _hash(_on_disk(os.fsencode(path)), str(path))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error


def hash_flat(path: Path) -> Sri:
    """Return the sha256 of a file's bytes (Nix: `flat`).

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return Sri("sha256", hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error


def hash_tar(path: Path) -> Sri:
    """Return the NAR hash of what a tar unpacks to, as `nix-prefetch-url --unpack` does.

    When the tar has a single member at its top, that member is hashed, else all of it. Nothing is
    unpacked to disk, but a compressed tar is uncompressed into one temporary file.

    Args:
        path: A tar, plain or compressed by gzip, bzip2, xz or lzma.

    Raises:
        InputError: it is damaged, too large, or has members that no safe tar has: devices,
            absolute paths, `..`, duplicates, or members below something that is no directory.
    """
    where = str(path)
    try:
        with (
            path.open("rb") as file,
            _uncompressed(file, where) as plain,
            tarfile.open(
                fileobj=plain, mode="r:", encoding="utf-8", errors="surrogateescape"
            ) as archive,
        ):
            root = _in_tar(archive, plain, where)
            single = len(root.entries) == 1
            return _hash(next(iter(root.entries.values())) if single else root, where)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError, ValueError) as error:
        raise InputError(f"is no readable tar: {error}", where=where) from error


@dataclass(frozen=True, slots=True)
class _Regular:
    executable: bool
    size: int
    open: Callable[[], AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True, slots=True)
class _Symlink:
    target: bytes


@dataclass(frozen=True, slots=True)
class _Directory:
    entries: dict[bytes, _Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _DirectoryOnDisk:
    path: bytes

    @property
    def entries(self) -> dict[bytes, _Node]:
        return {
            name: _on_disk(os.path.join(self.path, name))  # noqa: PTH118 - names are bytes
            for name in os.listdir(self.path)  # noqa: PTH208 - likewise
        }


_Node: TypeAlias = "_Regular | _Symlink | _Directory | _DirectoryOnDisk"


def _string(*texts: bytes) -> bytes:
    return b"".join(
        len(text).to_bytes(8, "little") + text + bytes(-len(text) % 8) for text in texts
    )


_CLOSE: Final = _string(b")")


def _hash(root: _Node, where: str) -> Sri:
    digest = hashlib.sha256()
    for part in _serialised(root, where):
        digest.update(part)
    return Sri("sha256", digest.digest())


def _serialised(root: _Node, where: str) -> Iterator[bytes]:
    """Yield the archive in parts; a stack instead of recursion, for trees of any depth."""
    yield _string(b"nix-archive-1")
    pending: list[bytes | _Node] = [root]
    while pending:
        item = pending.pop()
        if isinstance(item, bytes):
            yield item
        elif isinstance(item, _Symlink):
            yield _string(b"(", b"type", b"symlink", b"target", item.target, b")")
        elif isinstance(item, _Regular):
            executable = (b"executable", b"") if item.executable else ()
            yield _string(b"(", b"type", b"regular", *executable, b"contents")
            yield from _contents(item, where)
            yield _CLOSE
        else:
            yield _string(b"(", b"type", b"directory")
            pending.append(_CLOSE)
            for name, child in sorted(item.entries.items(), key=lambda pair: pair[0], reverse=True):
                pending += [_CLOSE, child, _string(b"entry", b"(", b"name", name, b"node")]


def _contents(file: _Regular, where: str) -> Iterator[bytes]:
    yield file.size.to_bytes(8, "little")
    left = file.size
    with file.open() as data:
        while chunk := data.read(min(left, CHUNK_BYTES)):
            left -= len(chunk)
            yield chunk
        if left or data.read(1):
            raise InputError("is damaged, or changes while it is read", where=where)
    yield bytes(-file.size % 8)


def _on_disk(path: bytes) -> _Node:
    status = os.lstat(path)
    if stat.S_ISDIR(status.st_mode):
        return _DirectoryOnDisk(path)
    if stat.S_ISLNK(status.st_mode):
        return _Symlink(os.readlink(path))  # noqa: PTH115 - names are bytes
    if stat.S_ISREG(status.st_mode):
        executable = bool(status.st_mode & stat.S_IXUSR)
        return _Regular(executable, status.st_size, partial(_open, path))
    raise InputError("is neither file, directory nor symbolic link", where=os.fsdecode(path))


def _open(path: bytes) -> IO[bytes]:
    # Between the look at it and here, a file can become a link or a pipe.
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


@contextmanager
def _uncompressed(file: IO[bytes], where: str) -> Iterator[IO[bytes]]:
    magic = file.read(6)
    file.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        packed: gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile = gzip.GzipFile(fileobj=file)
    elif magic.startswith(b"BZh"):
        packed = bz2.BZ2File(file)
    elif magic.startswith((b"\xfd7zXZ\x00", b"\x5d\x00\x00")):
        packed = lzma.LZMAFile(file)  # noqa: SIM115 - closed below
    else:
        yield file
        return
    with packed, tempfile.TemporaryFile() as plain:
        while chunk := packed.read(CHUNK_BYTES):
            plain.write(chunk)
            if plain.tell() > MAX_TAR_BYTES:
                raise InputError(f"unpacks to more than {MAX_TAR_BYTES} bytes", where=where)
        plain.seek(0)
        yield plain


def _in_tar(archive: tarfile.TarFile, plain: IO[bytes], where: str) -> _Directory:
    """Return the tree that a tar describes."""
    root = _Directory()
    faults = []
    for member in archive:
        try:
            _add(root, archive, member)
        except InputError as error:
            name = member.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            faults.append(InputError(f"member {name!r} {error.message}", where=where))
    raise_all(faults)
    # tarfile takes a damaged header for the end of the archive.
    plain.seek(archive.offset)
    if plain.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise InputError("has a damaged header", where=where)
    return root


def _add(root: _Directory, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    path = _components(member.name)
    if not path and member.isdir():
        return
    *above, name = path or (b"",)
    parent = _parent(root, above)
    node = _node(root, archive, member)
    known = parent.entries.get(name)
    if known is None and name:
        parent.entries[name] = node
    elif not (isinstance(known, _Directory) and isinstance(node, _Directory)):
        raise InputError("is there twice" if name else "has no name")


def _parent(root: _Directory, path: Iterable[bytes]) -> _Directory:
    for name in path:
        below = root.entries.setdefault(name, _Directory())
        if not isinstance(below, _Directory):
            raise InputError("lies below something that is no directory")
        root = below
    return root


def _node(root: _Directory, archive: tarfile.TarFile, member: tarfile.TarInfo) -> _Node:
    if member.isdir():
        return _Directory()
    if member.issym():
        return _Symlink(member.linkname.encode("utf-8", "surrogateescape"))
    if member.islnk():
        *above, name = _components(member.linkname) or (b"",)
        target = _parent(root, above).entries.get(name)
        if not isinstance(target, _Regular):
            raise InputError("is a hard link to no file before it")
        return target
    if not member.isreg() or member.issparse():
        raise InputError("is neither file, directory nor link")
    return _Regular(bool(member.mode & 0o100), member.size, partial(_extract, archive, member))


def _extract(
    archive: tarfile.TarFile, member: tarfile.TarInfo
) -> AbstractContextManager[IO[bytes]]:
    data = archive.extractfile(member)
    assert data is not None  # noqa: S101 - it is a regular file
    return data


def _components(name: str) -> tuple[bytes, ...]:
    if name.startswith("/"):
        raise InputError("has an absolute path")
    path = tuple(
        part
        for part in name.encode("utf-8", "surrogateescape").split(b"/")
        if part not in {b"", b"."}
    )
    if b".." in path:
        raise InputError("has '..' in its path")
    return path
