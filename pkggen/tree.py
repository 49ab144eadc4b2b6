"""Trees of files in memory; `writer` puts them on disk.

Generated text carries a seal: 16 hexadecimal digits of the sha256 of the text itself. It is no
signature; it only tells a file that pkggen left from one that a person has edited since, so that
a hand edit is never overwritten unasked.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import BinaryIO, Final, Protocol, TypeAlias

from pkggen.errors import InputError, raise_all

SEAL: Final = "seal: 0000000000000000"
"""Placeholder that the header comment of a generated text holds once."""

_SEAL_PATTERN: Final = re.compile(rb"seal: [0-9a-f]{16}")


class Content(Protocol):
    """Where the bytes of a copied file are."""

    def open(self) -> AbstractContextManager[BinaryIO]:
        """Open the bytes from their start."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """Content in memory."""

    data: bytes
    """The bytes."""

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the bytes from their start."""
        yield io.BytesIO(self.data)


@dataclass(frozen=True, slots=True)
class TextFile:
    """A generated text.

    A text that has to stay verbatim, whatever it holds, is a `CopiedFile`.
    """

    text: str
    """Content with `\\n` line ends; the placeholder `SEAL` is replaced when it is written."""
    executable: bool = False
    """Whether its mode is 0755 instead of 0644."""
    edits: str | None = None
    """sha256 of the text that this one is an edit of, hexadecimal: what lies there with this digest
    is replaced, although pkggen did not make it."""

    @property
    def data(self) -> bytes:
        """The sealed text in UTF-8."""
        return sealed(self.text).encode()

    @property
    def content(self) -> Content:
        """The same, to be opened."""
        return Bytes(self.data)

    @property
    def sha256(self) -> str:
        """Digest of `data`, hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of `data`."""
        return len(self.data)


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """A file copied byte for byte, with mode 0644; two are equal when their bytes are."""

    content: Content = field(compare=False)
    """Where the bytes are."""
    sha256: str
    """Digest that the copy must have: 64 lower-case hexadecimal digits."""
    size: int
    """Bytes that the copy must have."""

    @classmethod
    def of(cls, data: bytes) -> CopiedFile:
        """Return a file of these very bytes."""
        return cls(content=Bytes(data), sha256=hashlib.sha256(data).hexdigest(), size=len(data))

    @property
    def executable(self) -> bool:
        """Copies are data."""
        return False


File: TypeAlias = TextFile | CopiedFile
"""What a tree holds."""


class Tree(Mapping[PurePosixPath, File]):
    """An immutable mapping of relative paths to files, iterated in the order of the paths."""

    __slots__ = ("_files",)

    def __init__(self, files: Mapping[PurePosixPath, File]) -> None:
        """Check all paths and texts.

        Raises:
            InputError: a path is not a plain relative one, a file is also a directory, or a text
                cannot be sealed or encoded.
        """
        self._files = {path: files[path] for path in sorted(files)}
        raise_all(fault for path in self._files for fault in self._faults(path))

    def _faults(self, path: PurePosixPath) -> Iterator[InputError]:
        where = str(path)
        if path.is_absolute() or not path.parts or ".." in path.parts or not where.isprintable():
            yield InputError("not a plain relative path", where=repr(where))
        for parent in path.parents:
            if parent in self._files:
                yield InputError(f"is inside of {parent}, which is a file", where=where)
        file = self._files[path]
        if isinstance(file, TextFile):
            try:
                file.text.encode()
                sealed(file.text)
            except UnicodeEncodeError:
                yield InputError("the text cannot be encoded as UTF-8", where=where)
            except InputError as error:
                yield InputError(error.message, where=where, hint=error.hint)

    def __getitem__(self, path: PurePosixPath) -> File:
        """Return the file at `path`."""
        return self._files[path]

    def __iter__(self) -> Iterator[PurePosixPath]:
        """Iterate over the sorted paths."""
        return iter(self._files)

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self._files)

    def __or__(self, other: Tree) -> Tree:
        """Return the union of two trees.

        Raises:
            InputError: both hold a path with different files.
        """
        raise_all(
            InputError("two different files are generated for one path", where=str(path))
            for path in self
            if path in other and self[path] != other[path]
        )
        return Tree({**self, **other})


def sealed(text: str) -> str:
    """Return `text` with its placeholder replaced by the seal, or as it is without one.

    Raises:
        InputError: besides the placeholder the text holds another seal, so that nobody could
            tell which of them counts.
    """
    if SEAL not in text:
        return text
    data = text.encode(errors="surrogatepass")
    if len(_SEAL_PATTERN.findall(data)) > 1:
        raise InputError(
            "the text holds more than one seal",
            hint="a recorded value imitates the seal of pkggen's header; override that value",
        )
    return text.replace(SEAL, f"seal: {hashlib.sha256(data).hexdigest()[:16]}")


def with_seal(script: str) -> str:
    """Return a shell script with the placeholder `SEAL` below its `#!` and first comment."""
    first, header, rest = script.split("\n", 2)
    return f"{first}\n{header}\n# {SEAL}\n{rest}"


def is_sealed(data: bytes) -> bool:
    """Tell whether `data` is a sealed text that nobody has changed since."""
    original, seals = _SEAL_PATTERN.subn(SEAL.encode(), data)
    seal = f"seal: {hashlib.sha256(original).hexdigest()[:16]}"
    return seals == 1 and seal.encode() in data
