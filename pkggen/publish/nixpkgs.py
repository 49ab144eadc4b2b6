"""Packages for a checkout of nixpkgs: files and commits.

Nothing is ever pushed.

Sources: nixpkgs `pkgs/README.md`, `CONTRIBUTING.md` (where a package goes, commit messages).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, raise_all
from pkggen.publish.checkout import Repository, read_text
from pkggen.publish.maintainers import MAINTAINERS, missing_entry, with_maintainer
from pkggen.publish.pull_request import image_section, release_section
from pkggen.recipe.overrides import OVERRIDES_FILE
from pkggen.targets.nix import names, quote
from pkggen.targets.nix.edit import with_release
from pkggen.targets.nix.lint import subject_faults
from pkggen.targets.nix.render import commit_message, image_tree
from pkggen.tree import SEAL, TextFile, Tree
from pkggen.writer import write

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.publish.checkout import Commit
    from pkggen.publish.maintainers import Entry
    from pkggen.recipe.model import ImageRecipe, Release
    from pkggen.recipe.overrides import Overrides
    from pkggen.tree import File
    from pkggen.writer import Change

_VERSION: Final = re.compile(r'^  version = "([^"\\$]+)";$', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One package for nixpkgs."""

    name: str
    """Its pname."""
    tree: Tree
    """Its files, relative to the checkout."""
    commit_message: str
    """Subject of the commit that adds or updates it."""
    old_version: str | None
    """Version before; None if it is new."""
    new_version: str
    """Version in `tree`."""
    new_maintainer: Entry | None
    """What nixpkgs' list of maintainers lacks."""
    section: str
    """What the text of a pull request says about it, in Markdown."""
    builds: tuple[str, ...]
    """Attributes that its reviewers build."""


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
    _require_checkout(checkout)
    config = _config(recipe, checkout, overrides)
    tree = image_tree(recipe, nixpkgs=True, config=config, rebuild=rebuild)
    raise_all(names.taken(checkout, recipe.name))
    path = names.directory(recipe.name) / names.PACKAGE_FILE
    text = Repository(checkout).committed(path) if committed else read_text(checkout, path)
    old_version = None if text is None else _version_in(text)
    message = commit_message(recipe, old_version=old_version)
    _require_lintable(message, tree)
    maintainer = recipe.maintainer
    assert maintainer is not None  # noqa: S101 - the tree would not be
    assert maintainer.nixpkgs is not None  # noqa: S101 - likewise
    new_version = _version_in(_text_of(tree[path]))
    attribute = names.attribute(recipe.name)
    return Submission(
        name=recipe.name,
        tree=tree,
        commit_message=message,
        old_version=old_version,
        new_version=new_version,
        new_maintainer=missing_entry(checkout, maintainer, maintainer.nixpkgs),
        section=image_section(recipe, f"{attribute} {new_version}"),
        builds=(attribute, f"{attribute}.tests.image"),
    )


def release_submission(release: Release, checkout: Path, *, committed: bool = False) -> Submission:
    """Return the update of a package that people made to a release; nothing is written.

    Args:
        release: What it is to build.
        checkout: Root of the checkout.
        committed: Whether the package must be as it was committed.

    Raises:
        InputError: the directory is no checkout, has no such package, has it changed, has it in a
            shape that is not known, or builds a later release.
        VerificationError: it builds this release already, but from other bytes.
        ToolError: git failed.
    """
    _require_checkout(checkout)
    path = names.directory(release.name) / names.PACKAGE_FILE
    old = read_text(checkout, path)
    repository = Repository(checkout)
    if old is None or (committed and repository.committed(path) is None):
        raise InputError(
            f"there is no {path} to update",
            where=str(checkout),
            hint=f"{release.name} is no unikernel, and pkggen adds no package of it",
        )
    if committed:
        repository.require_unchanged(path)
    edited = with_release(old, release, str(path))
    edits = hashlib.sha256(old.encode()).hexdigest()
    tree = Tree({path: TextFile(edited.text, edits=edits)})
    message = f"{release.name}: {edited.old_version} -> {release.version}"
    _require_lintable(message, tree)
    return Submission(
        name=release.name,
        tree=tree,
        commit_message=message,
        old_version=edited.old_version,
        new_version=release.version,
        new_maintainer=None,
        section=release_section(release),
        builds=(release.name,),
    )


def _require_checkout(checkout: Path) -> None:
    if not (checkout / names.BY_NAME).is_dir():
        raise InputError(
            f"there is no {names.BY_NAME} in it",
            where=str(checkout),
            hint="name the root of a checkout of nixpkgs",
        )


def _require_lintable(message: str, tree: Tree) -> None:
    raise_all(InputError(fault, where=message) for fault in subject_faults(message, tree))


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
            the list of maintainers is changed or unexpected, or see `writer.write`.
        ToolError: git or the system failed.
    """
    repository = Repository(checkout)
    repository.require_clean_index()
    steps: list[tuple[str, Tree]] = []
    listed: dict[str, Tree] = {}
    if submitted.new_maintainer is not None:
        repository.require_unchanged(MAINTAINERS)
        old = read_text(checkout, MAINTAINERS)
        if old is None:
            raise InputError("there is no such file in the checkout", where=str(MAINTAINERS))
        new = with_maintainer(old, submitted.new_maintainer)
        listed = {
            kind: Tree({MAINTAINERS: TextFile(t)}) for kind, t in (("old", old), ("new", new))
        }
        attribute = submitted.new_maintainer.attribute
        steps.append((f"maintainers: add {attribute}", listed["new"]))
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


def _text_of(file: File) -> str:
    assert isinstance(file, TextFile)  # noqa: S101 - expressions are
    return file.text


def _version_in(text: str) -> str:
    """Return the version that an expression of ours states."""
    found = _VERSION.search(text)
    if found is None:
        raise InputError(f"no version is stated in {names.PACKAGE_FILE}")
    return found[1]
