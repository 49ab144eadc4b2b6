"""Packages for a checkout of nixpkgs: files, commits and the text of a pull request.

Nothing is ever pushed. An update of nixpkgs' own `solo5` is not made here.

Sources: nixpkgs `pkgs/README.md`, `CONTRIBUTING.md` (where a package goes, commit messages),
`maintainers/README.md` and the head of `maintainers/maintainer-list.nix` (entries and their order).
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen import process
from pkggen.errors import InputError, ToolError, VerificationError, raise_all
from pkggen.recipe.overrides import OVERRIDES_FILE
from pkggen.targets.nix import names, quote
from pkggen.targets.nix.lint import subject_faults
from pkggen.targets.nix.render import commit_message, image_tree
from pkggen.tree import SEAL, TextFile, Tree, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pkggen.recipe.model import ImageRecipe, Maintainer
    from pkggen.recipe.overrides import Overrides
    from pkggen.tree import Change, File

MAINTAINERS: Final = PurePosixPath("maintainers/maintainer-list.nix")

_VERSION: Final = re.compile(r'^  version = "([^"\\$]+)";$', re.MULTILINE)
_ENTRY: Final = re.compile(r'^  ("[^"\n]+"|[\w\'-]+) = \{$', re.MULTILINE)
_LIST: Final = re.compile(
    r"^\{\n  # keep-sorted start [^\n]*case=no[^\n]*\n\n?(?P<entries>(?:  [^\n]*\n)+)"
    r"  # keep-sorted end\n\}\n\Z",
    re.MULTILINE,
)
_GIT_SECONDS: Final = 600
_INSTALL: Final = "install git: the package is called git in Debian, FreeBSD and nixpkgs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One package for nixpkgs."""

    tree: Tree
    """Its files, relative to the checkout."""
    commit_message: str
    """Subject of the commit that adds or updates it."""
    old_version: str | None
    """Version before; None if it is new."""
    new_version: str
    """Version in `tree`."""
    maintainer_entry: str | None
    """What nixpkgs' list of maintainers lacks; None when the maintainer is in it."""
    maintainer_attribute: str
    """Name of the entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit that was made."""

    id: str
    """Its hash, hexadecimal."""
    subject: str
    """First line of its message."""


def submission(
    recipe: ImageRecipe,
    checkout: Path,
    overrides: Overrides,
    *,
    committed: bool = False,
    rebuild: Tree | None = None,
) -> Submission:
    """Return what to add to a checkout of nixpkgs; nothing is written.

    Args:
        recipe: What to package.
        checkout: Root of the checkout.
        overrides: What was stated about the recipe; it is submitted too, for later updates.
        committed: Whether the version before is that of the last commit instead of the files.
        rebuild: Files of the source build, from `rebuild_tree`.

    Raises:
        InputError: the directory is no checkout, the name is taken there, or the recipe does not
            meet nixpkgs' rules.
        ToolError: git failed.
    """
    if not (checkout / names.BY_NAME).is_dir():
        raise InputError(
            f"there is no {names.BY_NAME} in it",
            where=str(checkout),
            hint="name the root of a checkout of nixpkgs",
        )
    config = _config(recipe, checkout, overrides)
    tree = image_tree(recipe, nixpkgs=True, config=config, rebuild=rebuild)
    raise_all(names.taken(checkout, recipe.name))
    path = names.directory(recipe.name) / names.PACKAGE_FILE
    text = _Repository(checkout).committed(path) if committed else _read(checkout / path)
    old_version = None if text is None else _version_in(text)
    message = commit_message(recipe, old_version=old_version)
    raise_all(InputError(fault, where=message) for fault in subject_faults(message, tree))
    maintainer = recipe.maintainer
    assert maintainer is not None  # noqa: S101 - the tree would not be
    assert maintainer.nixpkgs is not None  # noqa: S101 - likewise
    return Submission(
        tree=tree,
        commit_message=message,
        old_version=old_version,
        new_version=_version_in(_text_of(tree[path])),
        maintainer_entry=_missing_entry(checkout, maintainer),
        maintainer_attribute=maintainer.nixpkgs,
    )


def write_and_commit(
    submitted: Submission, checkout: Path, *, force: bool
) -> tuple[tuple[Change, ...], tuple[Commit, ...]]:
    """Write a package and commit it, after a commit for its maintainer where one is missing.

    Objects and commits are made first, away from index and files; then the branch moves, and the
    files are written last. After any error branch, index and files are as they were before.

    Args:
        submitted: The package, whose version before is that of the last commit.
        checkout: Root of the checkout, with nothing staged.
        force: Overwrite files of the package that were edited by hand.

    Returns:
        What became of the files of the package, and the new commits, at most two.

    Raises:
        InputError: the checkout is not the root of a git repository, something is staged in it,
            the list of maintainers is changed or unexpected, or see `tree.write`.
        ToolError: git or the system failed.
    """
    repository = _Repository(checkout)
    repository.require_clean_index()
    steps: list[tuple[str, Tree]] = []
    listed: dict[str, Tree] = {}
    if submitted.maintainer_entry is not None:
        repository.require_unchanged(MAINTAINERS)
        old = _list_of(checkout)
        new = with_maintainer(old, submitted.maintainer_attribute, submitted.maintainer_entry)
        listed = {
            kind: Tree({MAINTAINERS: TextFile(t)}) for kind, t in (("old", old), ("new", new))
        }
        steps.append((f"maintainers: add {submitted.maintainer_attribute}", listed["new"]))
    steps.append((submitted.commit_message, submitted.tree))
    head = repository.head()
    commits = repository.make_commits(head, steps)
    paths = [path for _, tree in steps for path in tree]
    if commits:
        repository.move(commits[-1].id, head, paths)
    try:
        if listed:
            write(listed["new"], checkout, force=True)
        return write(submitted.tree, checkout, force=force), commits
    except BaseException:
        if commits:
            repository.move(head, commits[-1].id, paths)
        if listed:
            write(listed["old"], checkout, force=True)
        raise


def with_maintainer(text: str, attribute: str, entry: str) -> str:
    """Return the list of maintainers with one more entry, where keep-sorted wants it.

    Args:
        text: All of maintainer-list.nix.
        attribute: Name of the entry.
        entry: Its lines.

    Raises:
        InputError: the list has not the form that is known, or another entry differs from the name
            in capitals only.
    """
    unexpected = InputError(
        "the list of maintainers has not the expected form",
        where=str(MAINTAINERS),
        hint=f"add this to it yourself, and commit it:\n{entry}",
    )
    found = _LIST.search(text)
    if found is None:
        raise unexpected
    start, end = found.span("entries")
    key = _sort_key(attribute)
    for other in _ENTRY.finditer(text, start, end):
        if _sort_key(other[1]) == key:
            raise InputError(
                f"the list has a maintainer {other[1]} already",
                where=str(MAINTAINERS),
                hint="set another maintainer.nixpkgs in pkggen.yaml",
            )
        if _sort_key(other[1]) > key:
            if other.start() > start and not text.endswith("  };\n", start, other.start()):
                raise unexpected  # a comment may belong to either entry
            return text[: other.start()] + entry + text[other.start() :]
    return text[:end] + entry + text[end:]


def maintainer_entry(maintainer: Maintainer, attribute: str) -> str:
    """Return the lines of a maintainer in nixpkgs' list."""
    lines = [
        f"  {quote.attribute(attribute)} = {{",
        f"    email = {quote.string(maintainer.email)};",
    ]
    if maintainer.github is not None and maintainer.github_id is not None:
        lines.append(f"    github = {quote.string(maintainer.github)};")
        lines.append(f"    githubId = {quote.number(maintainer.github_id)};")
    lines += [f"    name = {quote.string(maintainer.name)};", "  };"]
    return "".join(f"{line}\n" for line in lines)


def pull_request(packages: Sequence[tuple[ImageRecipe, Submission]]) -> str:
    """Return the text of a pull request, in Markdown: what was verified, and what is to be run.

    Args:
        packages: At least one.
    """
    attributes = [names.attribute(recipe.name) for recipe, _ in packages]
    sections = [_section(recipe, submitted) for recipe, submitted in packages]
    builds = [f"nix-build -A {attribute}" for attribute in attributes]
    builds += [f"nix-build -A {attribute}.tests.image" for attribute in attributes]
    return "\n".join(
        (
            *sections,
            "## Built and tested",
            "",
            "pkggen built nothing with nixpkgs and started no image. Run this at the root of the",
            "checkout, and say here what it gave:",
            "",
            "```sh",
            *builds,
            "nixpkgs-review rev HEAD",
            "```",
            "",
        )
    )


def _section(recipe: ImageRecipe, submitted: Submission) -> str:
    solo5, provenance = recipe.solo5, recipe.provenance
    url = "" if provenance.origin is None else provenance.origin.file_url(recipe.image.path)
    devices = [f"  - {device.kind}: {_code(device.name)}" for device in solo5.devices]
    lines = (
        f"## {_code(f'{names.attribute(recipe.name)} {submitted.new_version}')}",
        "",
        "A MirageOS unikernel as its recorded build left it, a static image for Solo5.",
        "",
        f"- Description: {_code(recipe.description)}",
        f"- Image: {_code(url)}, {recipe.image.size} bytes",
        f"- Licences of all that is linked in: {_code(recipe.licences.expression)}",
        "",
        "Verified by pkggen when it made the expression:",
        "",
        f"- The image has the recorded sha256 {_code(recipe.image.sha256)}.",
        f"- The record's opam-switch has the sha256 {_code(provenance.switch_sha256)}.",
        f"- Its root package is {_code(provenance.root)}.",
        f"- The image's own notes say: target {_code(solo5.target)}, ABI {solo5.abi_version},"
        f" machine {_code(solo5.machine)}" + (", devices:" if devices else ", no devices."),
        *devices,
        "",
    )
    return "\n".join(lines)


def _code(text: str) -> str:
    """Return a code span of Markdown, which nothing in it can end (CommonMark 6.1)."""
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    pad = " " if line[:1] in {"`", ""} or line[-1:] == "`" else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def _config(recipe: ImageRecipe, checkout: Path, overrides: Overrides) -> str:
    """Return the text of the package's pkggen.yaml; when that was the one used, as it is."""
    own = checkout / names.directory(recipe.name) / OVERRIDES_FILE
    if overrides.file is not None and own.is_file() and own.samefile(overrides.file):
        return own.read_bytes().decode()
    header = (
        f"{names.GENERATED} for `pkggen update`: what the recorded build does not say.",
        "You may edit it: name this file with --config, then it is kept.",
        SEAL,
    )
    lines = [quote.comment(line) for line in header]
    return "\n".join((*lines, overrides.rendered(recipe.provenance.job)))


def _missing_entry(checkout: Path, maintainer: Maintainer) -> str | None:
    """Return the entry of a maintainer if the checkout's list lacks it, or is not there."""
    assert maintainer.nixpkgs is not None  # noqa: S101 - checked by the caller
    text = _read(checkout / MAINTAINERS) or ""
    attribute = quote.attribute(maintainer.nixpkgs)
    if any(found[1] == attribute for found in _ENTRY.finditer(text)):
        return None
    return maintainer_entry(maintainer, maintainer.nixpkgs)


def _list_of(checkout: Path) -> str:
    text = _read(checkout / MAINTAINERS)
    if text is None:
        raise InputError("there is no such file in the checkout", where=str(MAINTAINERS))
    return text


def _sort_key(attribute: str) -> str:
    return f"{attribute} = {{".lower()


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


def _data_of(path: PurePosixPath, file: File) -> bytes:
    if isinstance(file, TextFile):
        return file.data
    with file.content.open() as stream:
        data = stream.read(file.size + 1)
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise VerificationError(f"expected sha256 {file.sha256}", where=str(path))
    return data


def _text_of(file: File) -> str:
    assert isinstance(file, TextFile)  # noqa: S101 - expressions are
    return file.text


def _version_in(text: str) -> str:
    """Return the version that an expression of ours states."""
    found = _VERSION.search(text)
    if found is None:
        raise InputError(f"no version is stated in {names.PACKAGE_FILE}")
    return found[1]


@dataclass(frozen=True, slots=True)
class _Repository:
    """The git repository of a checkout, changed in small steps that can be taken back."""

    root: Path

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
