"""The README tells the truth: its commands are run in a copy of the repository, in its order."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.opam.parser import MAX_DEPTH
from pkggen.recipe.overrides import read_overrides
from pkggen.record.model import MAX_ARTIFACT_BYTES, MAX_ARTIFACTS, MAX_METADATA_BYTES
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOOLS: Final = ("dh", "dpkg-deb", "gcc", "gpg", "make", "opam-installer", "patch")
NOT_INSIDE_ITSELF: Final = "make test"
HELLO: Final = "pkgs/by-name/he/hello-unikernel"


def blocks(language: str) -> list[str]:
    """Return the blocks of one language in the README and then in docs/."""
    pages = [REPOSITORY / "README.md", *sorted(REPOSITORY.glob("docs/**/*.md"))]
    found = [BLOCK.findall(page.read_text(encoding="utf-8")) for page in pages]
    return [text for page in found for kind, text in page if kind == language]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tour:
    """What came of running every command."""

    place: Path
    """The copy of the repository."""
    out: dict[str, str]
    """Commands and what they printed."""
    err: str
    """What all of them told."""


def copy_of_the_repository(place: Path) -> None:
    """Copy what git knows or would add, so that a forgotten file is missed by the clean clone."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip(f"README NOT RUN: no git checkout: {listed.stderr}")
    for name in listed.stdout.split("\0"):
        if name and (REPOSITORY / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, place / name)


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Tour:
    """Run all commands in one shell; the virtual environment is a script that needs no network."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"README NOT RUN: install {', '.join(missing)}")
    place = tmp_path_factory.mktemp("readme") / "pkggen"
    place.mkdir()
    copy_of_the_repository(place)
    pkggen = place / ".venv/bin/pkggen"
    pkggen.parent.mkdir(parents=True)
    words = (f"PYTHONPATH={place}", sys.executable, "-m", "pkggen")
    pkggen.write_text(f'#!/bin/sh\nexec env {shlex.join(words)} "$@"\n')
    pkggen.chmod(0o755)
    commands = [block for block in blocks("sh") if block.strip() != NOT_INSIDE_ITSELF]
    script = "set -eu\n" + "".join(f"{command}printf '\\000'\n" for command in commands)
    ran = subprocess.run(
        ["sh"],
        input=script,
        cwd=place,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    printed = ran.stdout.split("\0")
    assert len(printed) == len(commands) + 1
    return Tour(
        place=place,
        out={command.strip(): text for command, text in zip(commands, printed, strict=False)},
        err=ran.stderr,
    )


@pytest.mark.slow
def test_the_first_command_builds_the_example(tour: Tour) -> None:
    first, *rest = tour.out
    assert first == "make example"
    assert rest
    out = tour.out[first]
    assert f"create    {HELLO}/package.nix" in out
    recorded = hashlib.sha256((tour.place / "examples/hello/record/bin/hello.hvt").read_bytes())
    if shutil.which("nix-build") is None:
        assert "nix-build is not installed" in tour.err
        pytest.skip("EXAMPLE NOT BUILT: install nix-bin")
    assert out.count(recorded.hexdigest()) == 2
    result = tour.place / "build/example/result"
    assert f"{result.readlink()}\n" in out
    assert result.resolve().is_relative_to(tour.place / "build/nix/store")


@pytest.mark.slow
def test_the_tour_shows_what_it_promises(tour: Tour) -> None:
    sha256 = hashlib.sha256((tour.place / "examples/hello/record/bin/hello.hvt").read_bytes())
    assert sha256.hexdigest() in tour.out["pkggen show examples/hello/record"]
    assert (tour.place / "saved/record.json").is_file()
    for name in (f"{HELLO}/package.nix", "overlay.nix", "default.nix", "module.nix"):
        assert (tour.place / "nix" / name).is_file()
    checked = [out for command, out in tour.out.items() if command.endswith("--check")]
    assert len(checked) == 1
    (lines,) = (out.splitlines() for out in checked)
    assert {line.split()[0] for line in lines} == {"unchanged"}
    assert (tour.place / "nix" / HELLO / "rebuild.nix").is_file()
    assert tour.out["pkggen lint nix nix"] == ""


@pytest.mark.slow
def test_ports_are_as_their_page_says(tour: Tour) -> None:
    for overlay in ("ports", "freebsd"):
        lint = f"\npkggen lint freebsd {overlay}"
        (lines,) = (out.splitlines() for command, out in tour.out.items() if command.endswith(lint))
        assert {line.split()[0] for line in lines} == {"create"}
        assert (tour.place / overlay / "sysutils/hello-unikernel/distinfo").is_file()
        assert (tour.place / overlay / "UIDs").is_file()
    script = tour.place / "freebsd/sysutils/hello-unikernel/files/unikernel_hello_unikernel.in"
    page = (REPOSITORY / "docs/freebsd.md").read_text(encoding="utf-8")
    for variable in re.findall(r"sysrc unikernel_hello_unikernel_(\w+)=", page):
        assert f"#   {variable}:" in script.read_text(), variable
    for variable, default in re.findall(r"^\| `(\w+)` \| .*\(`(\w+)`\) \|$", page, re.MULTILINE):
        name = variable.replace("DEVICE", "storage")
        assert re.search(rf"#   {name}: [^#]*\(default: {default}\b", script.read_text()), variable


@pytest.mark.slow
def test_the_catalogue_is_as_its_page_says(tour: Tour) -> None:
    flake = (tour.place / "catalogue/flake.nix").read_text()
    page = (REPOSITORY / "docs/catalogue.md").read_text(encoding="utf-8")
    for output in re.findall(r"^\| `(\w+)", page, re.MULTILINE):
        assert re.search(rf"\b{output}\b", flake), output
    (lines,) = (
        out.splitlines() for command, out in tour.out.items() if command.endswith("nix catalogue")
    )
    assert {line.split()[0] for line in lines} == {"unchanged"}


@pytest.mark.slow
def test_the_apt_repository_is_as_its_page_says(tour: Tour) -> None:
    assert tour.out["pkggen apt list repository"] == "stable  greet 1.0-1 all\n"
    page = (REPOSITORY / "docs/apt.md").read_text(encoding="utf-8")
    for name in re.findall(r"`(repository/[a-z./]+)`", page):
        assert (tour.place / name).exists(), name


@pytest.mark.slow
def test_the_yaml_is_accepted_and_used(tour: Tour) -> None:
    text = blocks("yaml")[0]
    overrides = read_overrides(text.encode(), "README.md")
    ((job, stated),) = overrides.packages
    assert overrides.maintainer is not None
    (tour.place / "pkggen.yaml").write_text(text)
    try:
        done = subprocess.run(
            [tour.place / ".venv/bin/pkggen", "nix", "saved", "--output", "stated"],
            cwd=tour.place,
            check=False,
            capture_output=True,
            text=True,
        )
    finally:
        (tour.place / "pkggen.yaml").unlink()
    assert done.returncode == 0, done.stderr
    assert job in (tour.place / "saved/record.json").read_text()
    assert stated.name is not None
    package = tour.place / f"stated/pkgs/by-name/{stated.name[:2]}/{stated.name}/package.nix"
    made = package.read_text()
    assert f'description = "{stated.description}";' in made
    assert f"lib.maintainers.{overrides.maintainer.nixpkgs}" in made


def test_ci_runs_what_the_readme_says() -> None:
    assert NOT_INSIDE_ITSELF in {block.strip() for block in blocks("sh")}
    script = (REPOSITORY / ".ci/run").read_text().splitlines()
    assert NOT_INSIDE_ITSELF in script
    for target in re.findall(r"`(make [a-z]+)`", (REPOSITORY / "README.md").read_text()):
        ran = subprocess.run(
            ["make", "--dry-run", *target.split()[1:]],
            cwd=REPOSITORY,
            check=False,
            capture_output=True,
        )
        assert ran.returncode == 0, ran.stderr


def test_links_of_the_readme_lead_somewhere() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (REPOSITORY / target).exists(), target


def test_every_option_of_the_readme_exists() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    names = ("arguments", "options", "package_arguments")
    modules = [REPOSITORY / f"pkggen/cli/{name}.py" for name in names]
    source = "".join(module.read_text(encoding="utf-8") for module in modules)
    options = set(re.findall(r"`[^`\n]*?(--[a-z-]+)", text))
    assert len(options) > 5
    for option in options - {"--help"}:
        assert f'"{option}"' in source, option


def test_limits_of_the_readme_are_those_of_the_code() -> None:
    text = " ".join((REPOSITORY / "README.md").read_text(encoding="utf-8").split())
    for limit in (
        f"{MAX_METADATA_BYTES // 2**20} MiB for a metadata file",
        f"{MAX_ARTIFACT_BYTES // 2**30} GiB for an artefact",
        f"{MAX_ARTIFACTS:,} artefacts",
        f"{MAX_DEPTH} levels of nesting",
    ):
        assert limit in text
