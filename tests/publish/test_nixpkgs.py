"""Submissions to a checkout of nixpkgs: collisions, maintainers, commits and pull requests."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.errors import InputError, PkggenError, ToolError, VerificationError
from pkggen.publish import nixpkgs
from pkggen.publish.nixpkgs import (
    MAINTAINERS,
    maintainer_entry,
    pull_request,
    submission,
    with_maintainer,
    write_and_commit,
)
from pkggen.recipe.model import Maintainer, Version
from pkggen.record.artifact import FileContent
from pkggen.record.model import Solo5Device
from pkggen.targets.nix.lint import entries, lint, subject_faults
from pkggen.tree import CopiedFile, Tree, write
from tests.publish.conftest import LIST, Checkout
from tests.targets.nix.conftest import HOSTILE, MakeRecipe, make_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.recipe.model import ImageRecipe

__all__ = ["make_recipe"]  # the fixture

PACKAGE: Final = "pkgs/by-name/dn/dns-primary/package.nix"
INIT: Final = "dns-primary: init at 0-unstable-2026-08-20"
ADD: Final = "maintainers: add janedoe"
ENTRY: Final = """\
  janedoe = {
    email = "jane@example.org";
    github = "jane-doe";
    githubId = 1234567;
    name = "Jane \\"J\\" Doe";
  };
"""
JANE: Final = Maintainer(
    name='Jane "J" Doe',
    email="jane@example.org",
    nixpkgs="janedoe",
    github="jane-doe",
    github_id=1234567,
)


@pytest.fixture
def recipe(make_recipe: MakeRecipe) -> ImageRecipe:
    return make_recipe(maintainer=JANE)


def submit(recipe: ImageRecipe, checkout: Checkout, *, force: bool = False) -> list[str]:
    submitted = submission(recipe, checkout.root, "packages: {}\n", committed=True)
    _, commits = write_and_commit(submitted, checkout.root, force=force)
    return [commit.subject for commit in commits]


def later(recipe: ImageRecipe) -> ImageRecipe:
    return replace(recipe, version=Version(release="1.2", built=datetime(2026, 9, 1, tzinfo=UTC)))


# The list of maintainers


def test_entry() -> None:
    assert maintainer_entry(JANE, "janedoe") == ENTRY
    assert maintainer_entry(replace(JANE, github=None, github_id=None), "with") == (
        '  "with" = {\n    email = "jane@example.org";\n    name = "Jane \\"J\\" Doe";\n  };\n'
    )


@pytest.mark.parametrize(
    ("attribute", "before"),
    [
        ("_0", "_1example"),
        ("_2", "a-b"),
        ("a", "a-b"),
        ("a1", "Alice"),
        ("ALICE2", "mallory"),
        ("zoe", None),
    ],
)
def test_entries_are_sorted_as_keep_sorted_does(attribute: str, before: str | None) -> None:
    entry = maintainer_entry(JANE, attribute)
    text = with_maintainer(LIST, attribute, entry)
    follows = "  # keep-sorted end\n" if before is None else f"  {before} = {{\n"
    assert entry + follows in text
    assert text.replace(entry, "", 1) == LIST


def test_a_blank_line_after_the_start_is_kept() -> None:
    text = LIST.replace("newline_separated=no\n", "newline_separated=no\n\n")
    assert "no\n\n  _0 = {" in with_maintainer(text, "_0", maintainer_entry(JANE, "_0"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # keep-sorted start case=no numeric=no block=yes newline_separated=no\n", ""),
        ("  # keep-sorted end\n", ""),
        ("  # keep-sorted end\n}\n", "  # keep-sorted end\n  zoe = { };\n}\n"),
        ("case=no", "case=yes"),
        ("  mallory = {", "  # left in 2025\n  mallory = {"),
        ("\n{\n", "\nrec {\n"),
    ],
)
def test_an_unexpected_list_is_refused(old: str, new: str) -> None:
    assert old in LIST
    with pytest.raises(InputError, match="has not the expected form") as caught:
        with_maintainer(LIST.replace(old, new), "janedoe", ENTRY)
    assert ENTRY in (caught.value.hint or "")


def test_names_that_differ_in_capitals_only() -> None:
    with pytest.raises(InputError, match="has a maintainer Alice already"):
        with_maintainer(LIST, "alice", ENTRY)


@pytest.mark.parametrize(("attribute", "missing"), [("janedoe", True), ("mallory", False)])
def test_only_a_missing_maintainer_gets_an_entry(
    make_recipe: MakeRecipe, checkout: Checkout, attribute: str, *, missing: bool
) -> None:
    recipe = make_recipe(maintainer=replace(JANE, nixpkgs=attribute))
    entry = submission(recipe, checkout.root, None).maintainer_entry
    assert (entry is not None) is missing


# Collisions


@pytest.mark.parametrize("name", ["him", "her", "albatross"])
def test_names_that_are_taken(make_recipe: MakeRecipe, checkout: Checkout, name: str) -> None:
    with pytest.raises(InputError, match=f"nixpkgs has a package {name}|'{name}' means something"):
        submission(make_recipe(name=name, maintainer=JANE), checkout.root, None)


def test_a_package_may_be_called_like_a_conventional_type(
    make_recipe: MakeRecipe, checkout: Checkout
) -> None:
    assert submit(make_recipe(name="feat", maintainer=JANE), checkout)[-1].startswith("feat: init")


# Commits


def test_two_commits_for_a_package_of_a_new_maintainer(
    recipe: ImageRecipe, checkout: Checkout
) -> None:
    assert submit(recipe, checkout) == [ADD, INIT]
    assert checkout.subjects() == [INIT, ADD, "nixpkgs: begin"]
    assert checkout.git("status", "--porcelain") == ""
    assert checkout.git("symbolic-ref", "HEAD") == "refs/heads/master\n"
    changed = [checkout.git("show", "--format=", "--name-only", f"HEAD~{i}") for i in (1, 0)]
    assert changed == [f"{MAINTAINERS}\n", f"{PACKAGE}\n{PACKAGE[:-11]}pkggen.yaml\n"]
    who = "Tester <tester@example.org>"
    for commit in ("HEAD", "HEAD~1"):
        assert checkout.git("log", "-1", "--format=%an <%ae>|%cn <%ce>", commit) == f"{who}|{who}\n"
        assert checkout.git("log", "-1", "--format=%B", commit).rstrip().count("\n") == 0
    listed = (checkout.root / MAINTAINERS).read_text()
    assert listed == LIST.replace("  mallory", f"{ENTRY}  mallory")
    assert not lint(entries(checkout.root), submitted=True)
    assert not [f for subject in checkout.subjects()[:2] for f in subject_faults(subject)]


def test_an_update_is_one_commit(recipe: ImageRecipe, checkout: Checkout) -> None:
    submit(recipe, checkout)
    message = "dns-primary: 0-unstable-2026-08-20 -> 1.2-unstable-2026-09-01"
    assert submit(later(recipe), checkout) == [message]
    assert checkout.git("status", "--porcelain") == ""


def test_nothing_is_committed_when_nothing_changed(recipe: ImageRecipe, checkout: Checkout) -> None:
    submit(recipe, checkout)
    before = checkout.state()
    assert submit(recipe, checkout) == []
    assert checkout.state() == before


def test_no_commit_is_empty(recipe: ImageRecipe, checkout: Checkout) -> None:
    submit(recipe, checkout)
    checkout.write(str(MAINTAINERS), LIST)
    checkout.git("commit", "--quiet", "-am", "maintainers: drop janedoe")
    assert submit(recipe, checkout) == [ADD]


def test_files_that_were_written_without_a_commit(recipe: ImageRecipe, checkout: Checkout) -> None:
    written = submission(recipe, checkout.root, "packages: {}\n")
    write(written.tree, checkout.root)
    assert "use another build" in submission(recipe, checkout.root, None).commit_message
    assert submit(recipe, checkout) == [ADD, INIT]
    assert checkout.git("status", "--porcelain") == ""


def test_other_changes_stay_uncommitted(recipe: ImageRecipe, checkout: Checkout) -> None:
    checkout.write("pkgs/top-level/all-packages.nix", "{\n}\n")
    checkout.write("pkgs/new", "x\n")
    submit(recipe, checkout)
    assert checkout.git("status", "--porcelain").splitlines() == [
        " M pkgs/top-level/all-packages.nix",
        "?? pkgs/new",
    ]


def test_a_detached_head_moves(recipe: ImageRecipe, checkout: Checkout) -> None:
    checkout.git("checkout", "--quiet", "--detach")
    submit(recipe, checkout)
    assert checkout.subjects()[0] == INIT
    assert checkout.git("log", "-1", "--format=%s", "master") == "nixpkgs: begin\n"


def test_copied_files_are_committed_and_verified(
    recipe: ImageRecipe, checkout: Checkout, tmp_path: Path
) -> None:
    patch = tmp_path / "patch"
    patch.write_bytes(b"\0\r\n")
    digest = hashlib.sha256(b"\0\r\n").hexdigest()
    copied = CopiedFile(content=FileContent(patch), sha256=digest, size=3)
    path = PurePosixPath(PACKAGE).with_name("fix.patch")
    submitted = submission(recipe, checkout.root, None, committed=True)
    submitted = replace(submitted, tree=submitted.tree | Tree({path: copied}))
    patch.write_bytes(b"\0\r\n.")
    before = checkout.state()
    with pytest.raises(VerificationError, match="expected sha256"):
        write_and_commit(submitted, checkout.root, force=False)
    assert checkout.state() == before
    patch.write_bytes(b"\0\r\n")
    write_and_commit(submitted, checkout.root, force=False)
    assert checkout.git("status", "--porcelain") == ""
    assert (checkout.root / path).read_bytes() == b"\0\r\n"


def refused(recipe: ImageRecipe, checkout: Checkout, message: str) -> PkggenError:
    before = checkout.state()
    with pytest.raises(PkggenError, match=message) as caught:
        submit(recipe, checkout)
    assert checkout.state() == before
    return caught.value


def test_something_staged_is_refused(recipe: ImageRecipe, checkout: Checkout) -> None:
    checkout.write("pkgs/new", "x\n")
    checkout.git("add", "pkgs/new")
    assert isinstance(refused(recipe, checkout, "something is staged already"), InputError)


def test_something_staged_meanwhile_is_refused(recipe: ImageRecipe, checkout: Checkout) -> None:
    submitted = submission(recipe, checkout.root, None, committed=True)
    checkout.write("pkgs/new", "x\n")
    checkout.git("add", "pkgs/new")
    before = checkout.state()
    with pytest.raises(InputError, match="something is staged already"):
        write_and_commit(submitted, checkout.root, force=False)
    assert checkout.state() == before


def test_a_changed_list_is_refused(recipe: ImageRecipe, checkout: Checkout) -> None:
    checkout.write(str(MAINTAINERS), LIST.replace("Mallory", "M."))
    assert isinstance(refused(recipe, checkout, "changes that are not committed"), InputError)


def test_an_unexpected_list_leaves_all_as_it_was(recipe: ImageRecipe, checkout: Checkout) -> None:
    checkout.write(str(MAINTAINERS), "{ }\n")
    checkout.git("commit", "--quiet", "-am", "x: y")
    refused(recipe, checkout, "has not the expected form")


def test_a_missing_list_leaves_all_as_it_was(recipe: ImageRecipe, checkout: Checkout) -> None:
    checkout.git("rm", "--quiet", str(MAINTAINERS))
    checkout.git("commit", "--quiet", "-m", "x: y")
    refused(recipe, checkout, "there is no such file in the checkout")


def test_a_hand_edit_leaves_all_as_it_was(recipe: ImageRecipe, checkout: Checkout) -> None:
    submit(recipe, checkout)
    file = checkout.root / PACKAGE
    file.write_text(file.read_text().replace("Primary", "My"))
    checkout.git("commit", "--quiet", "-am", "dns-primary: mine")
    other = replace(later(recipe), maintainer=replace(JANE, nixpkgs="zoe"))
    refused(other, checkout, "edited by hand")
    assert "zoe" in submit(other, checkout, force=True)[0]
    assert checkout.git("status", "--porcelain") == ""


def test_no_identity_leaves_all_as_it_was(recipe: ImageRecipe, checkout: Checkout) -> None:
    checkout.git("config", "--unset", "user.email")
    error = refused(recipe, checkout, "git failed")
    assert isinstance(error, ToolError)
    assert "auto-detection is disabled" in str(error)


def test_a_locked_index_leaves_all_as_it_was(recipe: ImageRecipe, checkout: Checkout) -> None:
    lock = checkout.root / ".git/index.lock"
    lock.touch()
    with pytest.raises(ToolError, match=r"index\.lock"):
        submit(recipe, checkout)
    lock.unlink()
    assert checkout.subjects() == ["nixpkgs: begin"]
    assert checkout.git("status", "--porcelain") == ""


def test_a_failing_write_leaves_all_as_it_was(
    recipe: ImageRecipe, checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(tree: Tree, root: Path, *, force: bool = False) -> object:
        if MAINTAINERS not in tree:
            raise ToolError("disk full")
        return write(tree, root, force=force)

    monkeypatch.setattr(nixpkgs, "write", failing)
    refused(recipe, checkout, "disk full")


def test_a_directory_inside_of_a_repository_is_refused(
    recipe: ImageRecipe, checkout: Checkout
) -> None:
    inner = Checkout(checkout.root / "inner")
    inner.write("pkgs/by-name/README.md", "x\n")
    with pytest.raises(InputError, match="the root of the git repository is"):
        submit(recipe, inner)


def test_a_directory_without_git_is_refused(recipe: ImageRecipe, tmp_path: Path) -> None:
    plain = Checkout(tmp_path / "plain")
    plain.write("pkgs/by-name/README.md", "x\n")
    with pytest.raises(InputError, match="it is no git repository"):
        submit(recipe, plain)


# Pull requests


def test_text_of_a_pull_request(recipe: ImageRecipe, checkout: Checkout) -> None:
    text = pull_request([(recipe, submission(recipe, checkout.root, None))])
    origin = recipe.provenance.origin
    assert origin is not None
    for part in (
        "## `dns-primary 0-unstable-2026-08-20`\n",
        f"`{recipe.image.sha256}`",
        f"`{recipe.provenance.switch_sha256}`",
        f"`{origin.file_url(recipe.image.path)}`, {recipe.image.size} bytes",
        "target `hvt`, ABI 2, machine `x86_64`, devices:\n  - NET_BASIC: `service`\n",
        "\nnix-build -A dns-primary\nnix-build -A dns-primary.tests.image\n",
        "\nnixpkgs-review rev HEAD\n",
        "pkggen built nothing with nixpkgs and started no image",
    ):
        assert part in text


def test_a_pull_request_of_several_packages(make_recipe: MakeRecipe, checkout: Checkout) -> None:
    recipes = [make_recipe(name=name, maintainer=JANE, devices=()) for name in ("one", "7up")]
    text = pull_request([(r, submission(r, checkout.root, None)) for r in recipes])
    assert text.count("\n## ") == 2
    assert text.startswith("## ")
    assert "nix-build -A one\nnix-build -A _7up\n" in text
    assert "no devices." in text


@pytest.mark.parametrize(
    ("name", "span"),
    [
        ("a`b", "``a`b``"),
        ("`", "`` ` ``"),
        ("a``@team", "```a``@team```"),
        ("a\n# b", "`a\N{REPLACEMENT CHARACTER}# b`"),
    ],
)
def test_hostile_names_stay_in_code_spans(
    recipe: ImageRecipe, checkout: Checkout, name: str, span: str
) -> None:
    device = Solo5Device(name=name, kind="NET_BASIC")
    hostile = replace(recipe, solo5=replace(recipe.solo5, devices=(device,)), homepage=HOSTILE)
    text = pull_request([(hostile, submission(hostile, checkout.root, None))])
    assert f"  - NET_BASIC: {span}\n" in text


def test_paths_are_relative_to_the_checkout(recipe: ImageRecipe, checkout: Checkout) -> None:
    submitted = submission(recipe, checkout.root, None)
    assert list(submitted.tree) == [PurePosixPath(PACKAGE)]
    assert (submitted.old_version, submitted.new_version) == (None, "0-unstable-2026-08-20")
