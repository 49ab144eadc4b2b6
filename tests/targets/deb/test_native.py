"""A tool of the shape of Solo5: every trap that its packagers met, generated and built."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.cli import main
from tests.tools import solo5

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STARTED: Final = "2026-08-23T09:00:00Z"
PACKAGES: Final = ("dev", "hvt", "spt", "tools")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source package, unpacked."""

    directory: Path
    """Where its `debian/` is."""

    def text(self, name: str) -> str:
        return (self.directory / "debian" / name).read_text()


def package(root: Path) -> Source:
    made = solo5.record(root)
    (root / "pkggen.yaml").write_text("maintainer: {name: Jane Doe, email: jane@example.org}\n")
    argv: Sequence[object] = ("record", made.record, "--started", STARTED, "-o", root / "saved")
    assert main(list(map(str, argv))) == 0
    argv = (
        *("deb", root / "saved", "--config", root / "pkggen.yaml", "--unpacked"),
        *("-o", root / "out", "--mirror", made.mirror, "--offline", "--cache", root / "cache"),
    )
    assert main(list(map(str, argv))) == 0
    (directory,) = (path for path in (root / "out").iterdir() if path.is_dir())
    return Source(directory=directory)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return package(tmp_path_factory.mktemp("native"))


def test_one_source_gives_four_packages(source: Source) -> None:
    control = source.text("control")
    assert re.findall(r"^Package: solo5-(.*)", control, re.MULTILINE) == [
        *("hvt", "spt", "tools", "dev")
    ]
    assert "Provides: solo5-hvt-abi-2\n" in control
    assert "Build-Depends: debhelper-compat (= 13),\n libseccomp-dev,\n pkg-config\n" in control


def test_flags_travel_with_the_compilers(source: Source) -> None:
    rules = source.text("rules")
    assert "'HOSTCC=$(HOST_CC)'" in rules
    assert "HOSTCFLAGS=" not in rules
    assert " 'CFLAGS=" not in rules
    assert "-ffile-prefix-map=$$(TOPDIR)=." in rules


def test_the_release_is_kept_as_it_is(source: Source) -> None:
    """Nothing of it lies open: no prebuilt fixture for lintian, no `*.orig` for dh_clean."""
    (release,) = (path for path in (source.directory / "distfiles").rglob("*") if path.is_file())
    assert release.name in source.text("rules")
    assert source.text("clean") == "built/\n"
    assert not list(source.directory.rglob("buggyelf*"))


def test_every_program_has_a_manual_page(source: Source) -> None:
    if shutil.which("man") is None:
        pytest.skip("MANUAL PAGES NOT RENDERED: install man-db")
    pages = sorted((source.directory / "debian/man").iterdir())
    assert len(pages) == 15
    for page in pages:
        done = subprocess.run(
            ["man", "--warnings", "-l", str(page)],
            capture_output=True,
            text=True,
            check=True,
            env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "MANWIDTH": "80", "MANROFFSEQ": ""},
        )
        assert done.stderr == ""
        assert page.stem in done.stdout


def build(source: Source, *options: str) -> dict[str, bytes]:
    """Build the binary packages and return their bytes by name."""
    done = subprocess.run(
        ["dpkg-buildpackage", "-us", "-uc", *options],
        cwd=source.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    found = source.directory.parent.glob("*.deb")
    return {path.name.partition("_")[0]: path.read_bytes() for path in found}


@pytest.mark.slow
def test_it_is_built_twice_in_one_tree_and_in_another(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for tool in ("dpkg-buildpackage", "dh", "lintian", "pkg-config"):
        if shutil.which(tool) is None:
            pytest.skip(f"NOTHING BUILT: {tool} not found")
    here = package(tmp_path)
    first = build(here, "-F")
    assert {name for name in first if "dbgsym" not in name} == {f"solo5-{p}" for p in PACKAGES}
    changes = next(here.directory.parent.glob("*.changes"))
    linted = subprocess.run(
        ["lintian", "--allow-root", "--fail-on", "error,warning", str(changes)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout
    content = subprocess.run(
        ["dpkg", "-c", str(next(here.directory.parent.glob("solo5-dev_*.deb")))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "/stddef.h" in content
    assert "/objc/" not in content, "headers of another compiler are not there by accident"
    again = build(here, "-F")  # a tree that is not clean stops dpkg-source
    assert again == first
    elsewhere = tmp_path_factory.mktemp("a-rather-long-name-of-another-directory")
    shutil.copytree(here.directory, elsewhere / here.directory.name, symlinks=True)
    assert build(Source(directory=elsewhere / here.directory.name), "-b") == first


@pytest.mark.slow
def test_another_abi_fails_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What unikernels depend on is what the built program says, not what the description says."""
    if shutil.which("dh") is None:
        pytest.skip("NOTHING BUILT: dh not found")
    main_c = str(solo5.FILES["tenders/main.c"])
    monkeypatch.setitem(solo5.FILES, "tenders/main.c", main_c.replace("version 2", "version 3"))
    with pytest.raises(AssertionError, match="ABI version 2"):
        build(package(tmp_path), "-b")


@pytest.mark.slow
def test_a_tree_of_the_forge_fails_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("dh") is None:
        pytest.skip("NOTHING BUILT: dh not found")
    monkeypatch.delitem(solo5.FILES, "include/version.h.distrib")
    with pytest.raises(AssertionError, match=r"version\.h\.distrib"):
        build(package(tmp_path), "-b")
