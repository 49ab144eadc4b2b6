"""`pkggen update`, and `pkggen nix --commit`: what nixpkgs' update script and reviewers get."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.cli.arguments import parser
from pkggen.targets.nix.view import package_view
from tests.cli.test_nix import HELLO, MAINTAINER
from tests.conftest import SWITCH
from tests.publish.conftest import Checkout, checkout
from tests.targets.nix.conftest import MakeRecipe, make_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run
    from tests.record.builder_web_server import BuilderWeb

__all__ = ["checkout", "make_recipe"]  # the fixtures

PACKAGE: Final = "pkgs/by-name/he/hello/package.nix"
CONFIG: Final = "pkgs/by-name/he/hello/pkggen.yaml"
OLD: Final = "1.0-unstable-2026-08-23"
NEW: Final = "1.0-unstable-2026-09-01"
INIT: Final = f"hello: init at {OLD}"


def newer(web: BuilderWeb) -> None:
    web.builds[0].start = "2026-09-01T09:00:00-00:00"
    web.builds[0].finish = "2026-09-01T09:00:12-00:00"


@pytest.fixture
def packaged(run: Run, checkout: Checkout, web: BuilderWeb, here: Path) -> tuple[str, ...]:
    """Return the update command that the package in the checkout states, run at its root."""
    (here / "pkggen.yaml").write_text(MAINTAINER.replace("janedoe", "mallory"))
    argv = ("nix", "hello-git", "--server", web.url, "--nixpkgs", checkout.root, "--commit")
    run(*argv, "--platform", "debian-12")
    text = (checkout.root / PACKAGE).read_text()
    script = re.search(r"updateScript = \{\n +command = \[([^]]*)\];(.*?)\};", text, re.DOTALL)
    assert script is not None
    assert script[2].split() == ["supportedFeatures", "=", "[", '"commit"', "];"]
    command: list[str] = [json.loads(word) for word in script[1].split()]
    assert command[:4] == ["pkggen", "update", "--nixpkgs", "."]
    return tuple(command[1:])


@pytest.fixture
def at_root(
    packaged: tuple[str, ...], checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, ...]:
    monkeypatch.chdir(checkout.root)
    return packaged


@pytest.mark.slow
def test_nothing_new_is_an_empty_list(
    run: Run, checkout: Checkout, at_root: tuple[str, ...]
) -> None:
    before = checkout.state()
    assert json.loads(run(*at_root).out) == []
    assert checkout.state() == before


@pytest.mark.slow
def test_a_new_build(
    run: Run,
    checkout: Checkout,
    at_root: tuple[str, ...],
    web: BuilderWeb,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UPDATE_NIX_ATTR_PATH", "hello")
    monkeypatch.setenv("UPDATE_NIX_PNAME", "hello")
    monkeypatch.setenv("UPDATE_NIX_OLD_VERSION", OLD)
    newer(web)
    head = checkout.git("rev-parse", "HEAD")
    assert json.loads(run(*at_root).out) == [
        {
            "attrPath": "hello",
            "oldVersion": OLD,
            "newVersion": NEW,
            "files": [PACKAGE],
            "commitMessage": f"hello: {OLD} -> {NEW}",
        }
    ]
    assert checkout.git("rev-parse", "HEAD") == head
    assert checkout.git("status", "--porcelain") == f" M {PACKAGE}\n"
    assert f'version = "{NEW}"' in (checkout.root / PACKAGE).read_text()
    monkeypatch.delenv("UPDATE_NIX_OLD_VERSION")
    assert json.loads(run(*at_root).out) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "variable", ["UPDATE_NIX_ATTR_PATH", "UPDATE_NIX_PNAME", "UPDATE_NIX_OLD_VERSION"]
)
def test_another_package_than_was_asked_for(
    run: Run,
    checkout: Checkout,
    at_root: tuple[str, ...],
    web: BuilderWeb,
    monkeypatch: pytest.MonkeyPatch,
    *,
    variable: str,
) -> None:
    newer(web)
    before = checkout.state()
    monkeypatch.setenv(variable, "other")
    assert f"{variable} is 'other', but the package has" in run(*at_root, code=3).err
    assert checkout.state() == before


@pytest.mark.slow
def test_a_package_that_is_not_there(
    run: Run, checkout: Checkout, at_root: tuple[str, ...]
) -> None:
    checkout.git("rm", "-r", "--quiet", "pkgs/by-name/he")
    checkout.git("commit", "--quiet", "-m", "hello: drop")
    (checkout.root / "pkggen.yaml").write_text(MAINTAINER)
    before = checkout.state()
    argv = [word for word in at_root if word not in {"--config", CONFIG}]
    error = run(*argv, code=3).err
    assert "there is no package hello to update" in error
    assert "hint: add it with `pkggen nix --nixpkgs`" in error
    assert checkout.state() == before


@pytest.mark.slow
def test_a_hand_edit_is_kept(
    run: Run, checkout: Checkout, at_root: tuple[str, ...], web: BuilderWeb
) -> None:
    newer(web)
    file = checkout.root / PACKAGE
    file.write_text(file.read_text().replace("A unikernel", "My unikernel").replace("made", "m"))
    before = checkout.state()
    assert "edited by hand" in run(*at_root, code=3).err
    assert checkout.state() == before


@pytest.mark.slow
def test_the_packages_own_configuration_may_be_edited(
    run: Run, checkout: Checkout, at_root: tuple[str, ...]
) -> None:
    own = checkout.root / CONFIG
    own.write_text(f"{own.read_text()}packages: {{hello-git: {{description: Greets you}}}}\n")
    edited = own.read_bytes()
    (change,) = json.loads(run(*at_root).out)
    assert change["files"] == [PACKAGE]
    assert 'description = "Greets you";' in (checkout.root / PACKAGE).read_text()
    assert own.read_bytes() == edited


@pytest.mark.slow
def test_another_configuration_replaces_what_pkggen_wrote(
    run: Run, checkout: Checkout, packaged: tuple[str, ...], web: BuilderWeb
) -> None:
    (run.here / "pkggen.yaml").write_text(
        MAINTAINER + "packages:\n  hello-git: {description: Greets you}\n  other: {name: secret}\n"
    )
    argv = ("nix", "hello-git", "--server", web.url, "--nixpkgs", checkout.root)
    ran = run(*argv, "--platform", "debian-12")
    assert ran.out.splitlines()[:2] == [f"update    {PACKAGE}", f"update    {CONFIG}"]
    assert "secret" not in (checkout.root / CONFIG).read_text()
    assert packaged[-1] == f"{web.url}/job/hello-git"


@pytest.mark.slow
def test_the_command_of_a_package_with_its_source_build_is_understood(
    make_recipe: MakeRecipe,
) -> None:
    command = package_view(make_recipe(), nixpkgs=True, configured=True, rebuilt=True).update
    assert command is not None
    assert parser().parse_args(command[1:]).rebuild


@pytest.mark.slow
def test_an_update_needs_a_checkout(run: Run) -> None:
    assert "--nixpkgs" in run("update", "x", code=2).err


# pkggen nix --commit, --pr-text


@pytest.mark.slow
def test_commits_and_a_pull_request(run: Run, checkout: Checkout, web: BuilderWeb) -> None:
    (run.here / "pkggen.yaml").write_text(
        "maintainer:\n  {name: Jane Doe, email: jane@example.org, nixpkgs: janedoe,"
        " github: jane, githubId: 7}\n"
    )
    argv = ("nix", "hello-git", "--server", web.url, "--nixpkgs", checkout.root)
    ran = run(*argv, "--dry-run")
    assert "maintainers/maintainer-list.nix has no janedoe" in ran.err
    assert "    githubId = 7;\n" in ran.err
    ran = run(*argv, "--commit", "--pr-text", "pr.md")
    ids = checkout.git("log", "--format=%H").splitlines()
    assert ran.out.splitlines() == [
        f"create    {PACKAGE}",
        f"create    {CONFIG}",
        f"committed {ids[1]} maintainers: add janedoe",
        f"committed {ids[0]} {INIT}",
    ]
    assert "has no janedoe" not in ran.err
    text = (run.here / "pr.md").read_text()
    assert text.startswith(f"## `hello {OLD}`\n")
    assert "nix-build -A hello.tests.image\n" in text
    assert run("lint", "nix", checkout.root).out == ""
    ran = run(*argv, "--commit", "--json")
    (result,) = json.loads(ran.out)["results"]
    assert not {"commits", "commit_message", "maintainer_entry"} & result.keys()
    newer(web)
    (result,) = json.loads(run(*argv, "--commit", "--json").out)["results"]
    assert [commit["subject"] for commit in result["commits"]] == [f"hello: {OLD} -> {NEW}"]
    assert result["commits"][0]["id"] == checkout.git("rev-parse", "HEAD").strip()


@pytest.mark.slow
def test_the_entry_of_a_maintainer_in_json(run: Run, checkout: Checkout, web: BuilderWeb) -> None:
    (run.here / "pkggen.yaml").write_text(MAINTAINER)
    argv = ("nix", "hello-git", "--server", web.url, "--nixpkgs", checkout.root)
    (result,) = json.loads(run(*argv, "--dry-run", "--json").out)["results"]
    assert result["maintainer_entry"].startswith("  janedoe = {\n")


@pytest.mark.slow
def test_text_of_a_pull_request_is_not_overwritten(
    run: Run, checkout: Checkout, web: BuilderWeb
) -> None:
    (run.here / "pkggen.yaml").write_text(MAINTAINER)
    (run.here / "pr.md").write_text("mine\n")
    argv = ("nix", "hello-git", "--server", web.url, "--nixpkgs", checkout.root)
    error = run(*argv, "--pr-text", "pr.md", code=3).err
    assert "pr.md: it exists, and has been kept" in error
    assert (run.here / "pr.md").read_text() == "mine\n"
    run(*argv, "--pr-text", "pr.md", "--force")
    assert "## `hello" in (run.here / "pr.md").read_text()
    assert "\n## Built and tested\n" in run(*argv, "--pr-text", "-").out
    assert "refused" in run(*argv, "--pr-text", "missing/pr.md", code=6).err


@pytest.mark.slow
@pytest.mark.parametrize(
    "argv",
    [
        ("--commit",),
        ("--pr-text", "pr.md"),
        ("--nixpkgs", ".", "--commit", "--dry-run"),
        ("--nixpkgs", ".", "--commit", "--diff"),
        ("--nixpkgs", ".", "--commit", "--check"),
        ("--nixpkgs", ".", "--pr-text", "-", "--json"),
    ],
)
def test_usage(run: Run, argv: tuple[str, ...]) -> None:
    error = run("nix", "x", *argv, code=2).err
    assert "--commit" in error or "pull request" in error
    assert not list(run.here.iterdir())


@pytest.mark.slow
def test_a_failing_source_commits_nothing(run: Run, checkout: Checkout, web: BuilderWeb) -> None:
    (run.here / "pkggen.yaml").write_text(MAINTAINER)
    checkout.write("x", "y\n")
    checkout.git("add", "x")
    before = checkout.state()
    argv = ("nix", "hello-git", "--server", web.url, "--nixpkgs", checkout.root, "--commit")
    assert "something is staged already" in run(*argv, code=3).err
    assert checkout.state() == before


# A source build with files that opam-switch carries

CARRIED: Final = bytes(range(256)) + b"\r\n\0no newline"


def carrying(data: bytes) -> bytes:
    """Return a switch without downloads whose root carries a file."""
    switch = re.sub(r"  url \{.*?\n  \}\n", "", SWITCH.format(name="hello"), flags=re.DOTALL)
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    stated = f'  extra-files: ["own.bin" "md5={digest}"]\n  build: '
    kept = f'extra-files: [["md5={digest}" "{base64.b64encode(data).decode()}"]]\npackage '
    return switch.replace("  build: ", stated).replace("package ", kept, 1).encode()


@pytest.mark.slow
def test_a_source_build_with_binary_files_is_committed(
    run: Run, checkout: Checkout, web: BuilderWeb
) -> None:
    web.builds[0].files["opam-switch"] = carrying(CARRIED)
    (run.here / "pkggen.yaml").write_text(MAINTAINER.replace("janedoe", "mallory"))
    argv = ("nix", "hello-git", "--server", web.url, "--nixpkgs", checkout.root, "--rebuild")
    run(*argv, "--commit", "--offline")
    assert checkout.git("status", "--porcelain") == ""
    assert checkout.subjects()[0] == INIT
    package = checkout.root / PACKAGE
    (carried,) = (package.parent / "carried").iterdir()
    assert carried.read_bytes() == CARRIED
    committed = checkout.git("ls-tree", "-r", "--name-only", "HEAD", f"{package.parent}/")
    assert set(committed.split()) == {
        *(f"{HELLO}/{name}" for name in ("package.nix", "pkggen.yaml", "rebuild.nix", "deps.json")),
        *(f"{HELLO}/{name}" for name in ("root.sh", "switch.sh", f"carried/{carried.name}")),
    }
    assert run("lint", "nix", checkout.root).out == ""
    checkout.git("diff", "--exit-code", "HEAD")
