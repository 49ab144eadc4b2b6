"""A checkout: its texts, and its git repository with commits that are made apart and then moved to.

Sources: git's own manual pages: git-update-index (`--index-info`), git-commit-tree,
git-update-ref.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pkggen import process
from pkggen.errors import InputError, ToolError, VerificationError
from pkggen.tree import TextFile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import PurePosixPath

    from pkggen.tree import File, Tree

_GIT_SECONDS: Final = 600
_INSTALL: Final = "install git: the package is called git in Debian, FreeBSD and nixpkgs"


def read_text(checkout: Path, path: PurePosixPath) -> str | None:
    """Return a text of the work tree as it is, line ends included; None if it is not there.

    Raises:
        InputError: it is not UTF-8, and could not be written again as it was.
    """
    file = checkout / path
    if not file.is_file():
        return None
    try:
        return file.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise InputError(f"it is not UTF-8 at byte {error.start}", where=str(path)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit that was made."""

    id: str
    """Its hash, hexadecimal."""
    subject: str
    """First line of its message."""


@dataclass(frozen=True, slots=True)
class Repository:
    """The git repository of a checkout, changed in small steps that can be taken back."""

    root: Path
    """Root of its work tree."""

    def _git(self, *argv: str, stdin: bytes = b"", index: Path | None = None) -> str:
        """Run git with the user's configuration, but none of another repository's variables.

        Raises:
            ToolError: it failed.
        """
        environment = process.inherited(
            *("PATH", "HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"),
            *("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_AUTHOR_DATE"),
            *("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "GIT_COMMITTER_DATE"),
        )
        if index is not None:
            environment["GIT_INDEX_FILE"] = str(index)
        output = process.run(
            ("git", "-c", "user.useConfigOnly=true", *argv),
            environment={**environment, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"},
            timeout=_GIT_SECONDS,
            install=_INSTALL,
            cwd=self.root,
            stdin=stdin,
        )
        return output.decode(errors="replace")

    def require_clean_index(self) -> None:
        """Raise InputError unless this is the root of a repository with nothing staged."""
        try:
            top = self._git("rev-parse", "--show-toplevel").removesuffix("\n")
        except process.ExitError as error:
            raise InputError(
                f"it is no git repository: {error.said}", where=str(self.root)
            ) from error
        if Path(top) != self.root.resolve():
            raise InputError(f"the root of the git repository is {top}", where=str(self.root))
        if self._differs("--cached"):
            raise InputError(
                "something is staged already, and would get into the commits",
                where=str(self.root),
                hint="commit or unstage it first: git restore --staged .",
            )

    def require_unchanged(self, path: PurePosixPath) -> None:
        """Raise InputError if a file is not as it was committed."""
        if self._differs("HEAD", "--", str(path)):
            raise InputError(
                "it has changes that are not committed",
                where=str(path),
                hint="commit or undo them first",
            )

    def _differs(self, *what: str) -> bool:
        try:
            self._git("diff", "--quiet", *what)
        except process.ExitError as error:
            if error.status == 1:
                return True
            raise
        return False

    def head(self) -> str:
        """Return the hash of the last commit."""
        return self._git("rev-parse", "--verify", "HEAD^{commit}").strip()

    def committed(self, path: PurePosixPath) -> str | None:
        """Return a file of the last commit; None if it is not there."""
        self.require_clean_index()
        if not self._git("ls-tree", "HEAD", "--", str(path)):
            return None
        return self._git("cat-file", "blob", f"HEAD:{path}")

    def make_commits(self, parent: str, steps: Iterable[tuple[str, Tree]]) -> tuple[Commit, ...]:
        """Make commits that nothing refers to yet; none where nothing would change.

        Args:
            parent: Hash of the commit that the first one follows.
            steps: Subjects, and the files that are added or replaced.
        """
        commits: list[Commit] = []
        with tempfile.TemporaryDirectory(prefix="pkggen-") as directory:
            index = Path(directory) / "index"
            self._git("read-tree", parent, index=index)
            before = self._git("write-tree", index=index)
            for subject, tree in steps:
                self._git(
                    "update-index",
                    "--add",
                    "-z",
                    "--index-info",
                    stdin=self._listing(tree),
                    index=index,
                )
                after = self._git("write-tree", index=index)
                if after == before:
                    continue
                argv = ("commit-tree", after.strip(), "-p", parent)
                parent = self._git(*argv, stdin=f"{subject}\n".encode()).strip()
                commits.append(Commit(id=parent, subject=subject))
                before = after
        return tuple(commits)

    def _listing(self, tree: Tree) -> bytes:
        """Store files, and return them as `update-index --index-info` reads them."""
        lines = []
        for path, file in tree.items():
            data = _data_of(path, file)
            blob = self._git("hash-object", "-w", "--stdin", stdin=data)
            lines.append(f"{'100755' if file.executable else '100644'} {blob.strip()}\t{path}\0")
        return "".join(lines).encode()

    def move(self, new: str, old: str, paths: Iterable[PurePosixPath]) -> None:
        """Move the branch from one commit to another, and the index of these paths with it."""
        self._git("update-ref", "-m", "pkggen nix --commit", "HEAD", new, old)
        try:
            self._git("reset", "--quiet", "--", *map(str, paths))
        except ToolError:
            self._git("update-ref", "-m", "pkggen nix --commit: undone", "HEAD", old, new)
            raise


def _data_of(path: PurePosixPath, file: File) -> bytes:
    if isinstance(file, TextFile):
        return file.data
    with file.content.open() as stream:
        data = stream.read(file.size + 1)
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise VerificationError(f"expected sha256 {file.sha256}", where=str(path))
    return data
