"""solo5: no package is added, nixpkgs' own is updated, by `pkggen nix` and `pkggen update`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from tests.cli.conftest import STARTED
from tests.conftest import ENVIRONMENT
from tests.publish.conftest import Checkout, checkout
from tests.targets.nix.conftest import STAND_IN
from tests.targets.nix.test_edit import NEW, SHA512, sri

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

__all__ = ["checkout"]  # the fixture

PACKAGE: Final = "pkgs/by-name/so/solo5/package.nix"
UPDATE: Final = "solo5: 0.8.1 -> 0.12.1"
SWITCH: Final = f"""\
opam-version: "2.0"
roots: ["solo5.0.12.1"]
installed: ["solo5.0.12.1"]
package "solo5" {{
  opam-version: "2.0"
  version: "0.12.1"
  license: "ISC"
  url {{
    src: "{NEW}"
    checksum: "{SHA512}"
  }}
}}
"""


@pytest.fixture
def solo5(checkout: Checkout) -> Path:
    """Return the package in a checkout, committed."""
    text = (STAND_IN / "solo5.nix").read_text()
    package = checkout.write(PACKAGE, text)
    checkout.git("add", ".")
    checkout.git("commit", "--quiet", "-m", "solo5: init at 0.8.1")
    return package


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Return a directory as orb left it."""
    directory = tmp_path / "orb"
    directory.mkdir()
    (directory / "opam-switch").write_text(SWITCH)
    (directory / "build-environment").write_text(ENVIRONMENT.format(name="solo5"))
    return directory


def test_commit(run: Run, checkout: Checkout, solo5: Path, record: Path) -> None:
    argv = ("nix", record, "--nixpkgs", checkout.root)
    ran = run(*argv, "--commit", "--pr-text", "pr.md")
    head = checkout.git("rev-parse", "HEAD").strip()
    assert ran.out == f"update    {PACKAGE}\ncommitted {head} {UPDATE}\n"
    assert ran.err == ""
    assert checkout.subjects()[0] == UPDATE
    assert checkout.git("status", "--porcelain") == ""
    assert checkout.git("show", "--format=", "--name-only", "HEAD") == f"{PACKAGE}\n"
    assert f'hash = "{sri(SHA512)}";' in solo5.read_text()
    text = (run.here / "pr.md").read_text()
    for part in (
        "## `solo5 0.12.1`\n",
        f"- Archive: `{NEW}`\n",
        f"- Recorded sha512: `{SHA512.digest}`\n",
        "pkggen did not download the archive",
        "```sh\nnix-build -A solo5\nnixpkgs-review rev HEAD\n```\n",
    ):
        assert part in text
    before = checkout.state()
    assert run(*argv, "--commit").out == f"unchanged {PACKAGE}\n"
    assert run(*argv, "--check").out == f"unchanged {PACKAGE}\n"
    assert checkout.state() == before


def test_without_commit(run: Run, checkout: Checkout, solo5: Path, record: Path) -> None:
    argv = ("nix", record, "--nixpkgs", checkout.root)
    before = checkout.state()
    wanted = f"update    {PACKAGE}\ncommit    {UPDATE}\n"
    assert run(*argv, "--dry-run").out == wanted
    assert run(*argv, "--check", code=1).out == wanted
    diff = run(*argv, "--diff").out
    assert diff.startswith(f"--- a/{PACKAGE}\n+++ b/{PACKAGE}\n")
    assert '-  version = "0.8.1";\n+  version = "0.12.1";\n' in diff
    (result,) = json.loads(run(*argv, "--dry-run", "--json").out)["results"]
    assert result == {
        "source": str(record),
        "name": "solo5",
        "files": [{"path": PACKAGE, "change": "update"}],
        "commit_message": UPDATE,
    }
    assert checkout.state() == before
    solo5.write_text(solo5.read_text().replace("# indented", "# edited"))
    assert run(*argv).out == wanted
    assert "# edited like nothing else" in solo5.read_text()
    assert checkout.git("status", "--porcelain") == f" M {PACKAGE}\n"


def test_update(
    run: Run,
    checkout: Checkout,
    solo5: Path,
    record: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UPDATE_NIX_ATTR_PATH", "solo5")
    monkeypatch.setenv("UPDATE_NIX_PNAME", "solo5")
    monkeypatch.setenv("UPDATE_NIX_OLD_VERSION", "0.8.0")
    argv = ("update", record, "--nixpkgs", checkout.root)
    before = checkout.state()
    assert "UPDATE_NIX_OLD_VERSION is '0.8.0'" in run(*argv, code=3).err
    assert checkout.state() == before
    monkeypatch.setenv("UPDATE_NIX_OLD_VERSION", "0.8.1")
    assert json.loads(run(*argv).out) == [
        {
            "attrPath": "solo5",
            "oldVersion": "0.8.1",
            "newVersion": "0.12.1",
            "files": [PACKAGE],
            "commitMessage": UPDATE,
        }
    ]
    assert 'version = "0.12.1";' in solo5.read_text()
    monkeypatch.delenv("UPDATE_NIX_OLD_VERSION")
    assert json.loads(run(*argv).out) == []


def refused(run: Run, checkout: Checkout, *argv: object, code: int = 3) -> str:
    before = checkout.state()
    error = run(*argv, code=code).err
    assert checkout.state() == before
    return error


@pytest.mark.usefixtures("solo5")
def test_what_is_no_checkout(run: Run, checkout: Checkout, record: Path) -> None:
    error = refused(run, checkout, "nix", record, "--nixpkgs", checkout.root / "pkgs")
    assert "there is no pkgs/by-name in it" in error
    error = refused(run, checkout, "nix", record, "--nixpkgs", checkout.root, "--rebuild")
    assert "nixpkgs builds solo5 from its release already" in error


def test_nothing_is_added(run: Run, checkout: Checkout, record: Path) -> None:
    error = refused(run, checkout, "nix", record, "--nixpkgs", checkout.root)
    assert f"there is no {PACKAGE} to update" in error
    error = refused(run, checkout, "update", record, "--nixpkgs", checkout.root)
    assert f"there is no {PACKAGE} to update" in error
    checkout.write(PACKAGE, (STAND_IN / "solo5.nix").read_text())  # of no commit
    error = refused(run, checkout, "nix", record, "--nixpkgs", checkout.root, "--commit")
    assert f"there is no {PACKAGE} to update" in error


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.8.1", "0.13.0", "it builds 0.13.0 already, and the record is of 0.12.1"),
        ("fetchurl {", "fetchzip {", "the expression has not the expected shape"),
        ("Sandbox", "\x80", f"{PACKAGE}: it is not UTF-8 at byte"),
    ],
)
def test_what_is_not_touched(
    run: Run, checkout: Checkout, solo5: Path, record: Path, *, old: str, new: str, message: str
) -> None:
    solo5.write_bytes(solo5.read_text().replace(old, new).encode("latin-1"))
    checkout.git("commit", "--quiet", "-am", "solo5: another shape")
    argv = ("nix", record, "--nixpkgs", checkout.root, "--commit")
    assert message in refused(run, checkout, *argv)


def test_changes_of_others_are_not_committed(
    run: Run, checkout: Checkout, solo5: Path, record: Path
) -> None:
    solo5.write_text(solo5.read_text() + "# mine\n")
    argv = ("nix", record, "--nixpkgs", checkout.root, "--commit")
    assert "it has changes that are not committed" in refused(run, checkout, *argv, "--force")
    checkout.git("add", ".")
    assert "something is staged already" in refused(run, checkout, *argv)


def test_another_archive(run: Run, checkout: Checkout, solo5: Path, record: Path) -> None:
    run("nix", record, "--nixpkgs", checkout.root, "--commit")
    other = SWITCH.replace(SHA512.digest, "0" * 128)
    (record / "opam-switch").write_text(other)
    argv = ("nix", record, "--nixpkgs", checkout.root)
    assert "two archives" in refused(run, checkout, *argv, code=4)
    assert 'version = "0.12.1";' in solo5.read_text()


def test_a_package_of_our_own(run: Run, record: Path) -> None:
    """Outside of nixpkgs; images of the same overlay get this one as `solo5`."""
    (run.here / "pkggen.yaml").write_text("packages: {solo5: {description: Tenders}}\n")
    run("record", record, *STARTED, "-o", "saved")
    out = run("nix", "saved", "-o", "out", "--overlay").out
    assert f"create    {PACKAGE}\n" in out
    text = (run.here / "out" / PACKAGE).read_text()
    assert f'    hash = "{sri(SHA512)}";\n' in text
    assert '  version = "0.12.1";\n' in text
    assert run("lint", "nix", "out").out == ""
    assert run("nix", "saved", "-o", "out", "--overlay", "--check").out.count("unchanged") == 5


@pytest.mark.usefixtures("solo5")
def test_twice_in_one_command(run: Run, checkout: Checkout, record: Path) -> None:
    argv = ("nix", record, record, "--nixpkgs", checkout.root, "--dry-run")
    assert "gives a package solo5 already" in refused(run, checkout, *argv)


@pytest.mark.usefixtures("solo5")
def test_the_real_record(run: Run, checkout: Checkout, records: Path) -> None:
    argv = ("nix", records / "made" / "solo5", "--nixpkgs", checkout.root, "--commit")
    assert f" {UPDATE}\n" in run(*argv).out
    assert run("lint", "nix", checkout.root).out == ""
