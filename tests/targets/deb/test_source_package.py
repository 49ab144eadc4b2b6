"""Source packages as dpkg unpacks them, and what can be none."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import pytest
from debian.deb822 import Dsc

from pkggen.errors import PkggenError, VerificationError
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.record.model import Artifact
from pkggen.targets.deb.source_package import source_package
from pkggen.tree import Bytes, CopiedFile, Tree
from pkggen.writer import write
from tests.rebuild.made import Package, make
from tests.targets.deb.made import EXAMPLE, example_record, inputs_of, ran, started, tool_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pkggen.targets.deb.model import Inputs
    from pkggen.targets.deb.source_package import SourcePackage

DEBIAN: Final = PurePosixPath("debian")
STEM: Final = "hello-unikernel_1.0.0-20260820120000Z"


@pytest.fixture(scope="module")
def image() -> Inputs:
    return inputs_of(example_record())


@pytest.fixture(scope="module")
def rebuilt() -> Inputs:
    return inputs_of(example_record(), mirror=EXAMPLE / "download-cache")


def unpacked(package: SourcePackage, directory: Path) -> dict[str, tuple[bytes, bool]]:
    """Return what dpkg-source makes of a source package."""
    if shutil.which("dpkg-source") is None:
        pytest.skip("NO dpkg-source: source packages are not unpacked")
    write(package.packed, directory)
    ran("dpkg-source", "--require-strong-checksums", "-x", str(package.dsc), cwd=directory)
    return files(directory / package.directory)


def files(directory: Path) -> dict[str, tuple[bytes, bool]]:
    found = {}
    for path in sorted(directory.rglob("*")):
        assert not path.is_symlink()
        name = str(path.relative_to(directory))
        if path.is_file() and not name.startswith(".pc/"):
            found[name] = (path.read_bytes(), bool(path.stat().st_mode & 0o100))
    return found


def contents(tree: Tree) -> dict[str, tuple[bytes, bool]]:
    found = {}
    for path, file in tree.items():
        with file.content.open() as stream:
            found[str(path)] = (stream.read(), file.executable)
    return found


def test_dpkg_unpacks_what_was_packed(image: Inputs, rebuilt: Inputs, tmp_path: Path) -> None:
    package = source_package(rebuilt)
    assert unpacked(package, tmp_path) == contents(package.unpacked)
    packed = {
        f"{STEM}-0pkggen1.debian.tar.xz",
        f"{STEM}-0pkggen1.dsc",
        f"{STEM}.orig.tar.xz",
    }
    assert {str(path) for path in source_package(image).packed} == packed
    sources = f"{STEM}.orig-distfiles.tar.gz"
    assert {str(path) for path in package.packed} == {*packed, sources}


def listed(line: str) -> dict[str, str]:
    keys = ("package", "package-type", "section", "priority", "_other")
    return dict(zip(keys, line.split(), strict=True))


def dsc_of(package: SourcePackage) -> Dsc:
    with package.packed[package.dsc].content.open() as stream:
        return Dsc(stream.read())


SUMS: Final = {"Files": "md5", "Checksums-Sha1": "sha1", "Checksums-Sha256": "sha256"}


def test_the_dsc_is_read_back(rebuilt: Inputs) -> None:
    package = source_package(rebuilt)
    dsc = dsc_of(package)
    assert {
        key: dsc[key]
        for key in ("Format", "Source", "Binary", "Architecture", "Version", "Testsuite")
    } == {
        "Format": "3.0 (quilt)",
        "Source": "hello-unikernel",
        "Binary": "hello-unikernel",
        "Architecture": "amd64",
        "Version": "1.0.0-20260820120000Z-0pkggen1",
        "Testsuite": "autopkgtest",
    }
    assert dsc["Package-List"] == [listed("hello-unikernel deb net optional arch=amd64")]
    for field, kind in SUMS.items():
        for line in dsc[field]:
            with package.packed[PurePosixPath(line["name"])].content.open() as stream:
                data = stream.read()
            digest = hashlib.new(kind, data, usedforsecurity=False).hexdigest()
            assert digest == line["md5sum" if kind == "md5" else kind]
            assert int(line["size"]) == len(data)
        assert len(dsc[field]) == 3


@pytest.mark.slow
def test_dpkg_source_makes_the_same_fields(rebuilt: Inputs, tmp_path: Path) -> None:
    package = source_package(rebuilt)
    unpacked(package, tmp_path)
    ours = dsc_of(package)
    ran("dpkg-source", "-b", str(package.directory), cwd=tmp_path)
    theirs = Dsc((tmp_path / package.dsc).read_bytes())
    differing = {"Files", "Checksums-Sha1", "Checksums-Sha256"}  # of the debian.tar.xz
    assert list(ours) == list(theirs)
    for field in ours:
        if field not in differing:
            assert ours[field] == theirs[field]


def test_no_sources(tmp_path: Path) -> None:
    made = make(tmp_path / "made", [Package("root", 'synopsis: "Two words" license: "ISC"')])
    package = source_package(inputs_of(started(made.read()), mirror=made.mirror))
    assert unpacked(package, tmp_path / "out") == contents(package.unpacked)


def test_odd_names(tmp_path: Path) -> None:
    odd = ("bin/greet", "share/x.orig", "share/.git/config", "share/a~", "share/TAGS")
    record = tool_record(tmp_path / "r", {name: name.encode() for name in odd})
    extra = Artifact(
        path=PurePosixPath("\u20ac uro/" + "d" * 120, "* ?\\"),
        size=1,
        sha256=hashlib.sha256(b"x").hexdigest(),
        content=Bytes(b"x"),
    )
    inputs = inputs_of(record)
    more = replace(record, artifacts=(*record.artifacts, extra))
    package = source_package(replace(inputs, record=more))
    assert unpacked(package, tmp_path / "out") == contents(package.unpacked)
    assert PurePosixPath("share/x.orig") in package.unpacked


# What cannot be


def refused(inputs: Inputs) -> str:
    with pytest.raises(PkggenError) as caught:
        source_package(inputs)
    return str(caught.value)


@pytest.mark.parametrize("path", ["debian/rules", "distfiles/x", "rebuilt/bin/x", ".pc/x"])
def test_a_record_in_the_way_of_debian(image: Inputs, path: str) -> None:
    one = replace(image.record.artifacts[0], path=PurePosixPath(path))
    record = replace(image.record, artifacts=(*image.record.artifacts, one))
    assert f"{path}: a file of the record is in the way" in refused(replace(image, record=record))


def overlaid(inputs: Inputs, files: Mapping[str, bytes]) -> Inputs:
    overlay = Tree({DEBIAN / name: CopiedFile.of(data) for name, data in files.items()})
    return replace(inputs, overlay=overlay)


CONTROL: Final = b"Source: hello-unikernel\n\nPackage: x\nArchitecture: any\n"


@pytest.mark.parametrize(
    ("control", "message"),
    [
        (b"", "no stanza of a source and one of a package"),
        (b"Source: hello-unikernel\n", "no stanza of a source and one of a package"),
        (b"Source: other\n\nPackage: x\n", "not about the source hello-unikernel"),
        (b"Package: x\n\nPackage: y\n", "not about the source hello-unikernel"),
        (CONTROL + b"\nArchitecture: all\n", "a stanza has no Package"),
        (b"Source: \xff\n", "it is not UTF-8"),
        (b"no field\n", "not a field"),
    ],
)
def test_a_wrong_control_file_of_an_overlay(image: Inputs, control: bytes, message: str) -> None:
    found = refused(overlaid(image, {"control": control}))
    assert message in found
    assert "debian/control" in found


def test_a_control_file_of_ones_own(image: Inputs) -> None:
    control = (
        b"# mine\n\nSource: hello-unikernel\nMaintainer: A <a@e.org>\n"
        b"# why\nUploaders: B <b@e.org>\n"
        b"Build-Depends: debhelper-compat (= 13),\n gcc\nSection: web\n\n\n"
        b"Package: hello-unikernel\nArchitecture: amd64 arm64\n# no\nDescription: x y\n\n"
        b"Package: hello-doc\nArchitecture: all\nSection: doc\nPriority: extra\n"
    )
    package = source_package(overlaid(image, {"control": control}))
    dsc = dsc_of(package)
    assert dsc["Binary"] == "hello-unikernel, hello-doc"
    assert dsc["Build-Depends"] == "debhelper-compat (= 13), gcc"
    assert dsc["Uploaders"] == "B <b@e.org>"
    assert dsc["Package-List"] == [
        listed("hello-doc deb doc extra arch=all"),
        listed("hello-unikernel deb web optional arch=amd64,arm64"),
    ]


@pytest.mark.parametrize(
    "first",
    [
        b"hello-unikernel (1.0.0-20260820120000Z-0pkggen2) unstable; urgency=medium\n",
        b"other (1.0.0-20260820120000Z-0pkggen1) unstable; urgency=medium\n",
        b"",
        b"\xff",
        b"hello-unikernel 1.0.0\n",
    ],
)
def test_a_changelog_of_another_version(image: Inputs, first: bytes) -> None:
    message = refused(overlaid(image, {"changelog": first}))
    assert "is not about hello-unikernel 1.0.0-20260820120000Z-0pkggen1" in message
    assert "revision" in message


def test_a_changelog_of_ones_own(image: Inputs) -> None:
    mine = (
        b"hello-unikernel (1.0.0-20260820120000Z-0pkggen1) bookworm; urgency=low\n\n  * Mine.\n\n"
        b" -- A <a@e.org>  Thu, 20 Aug 2026 12:00:00 +0000\n"
    )
    package = source_package(overlaid(image, {"changelog": mine}))
    assert package.unpacked[DEBIAN / "changelog"] == CopiedFile.of(mine)
    assert DEBIAN / "changelog.pkggen.hint" in package.unpacked


def test_a_record_that_changed_is_refused(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE / "record", tmp_path / "r")
    inputs = inputs_of(assemble(read_directory(tmp_path / "r", "hello")))
    (tmp_path / "r/bin/hello.hvt").write_bytes(b"changed")
    with pytest.raises(VerificationError, match=r"bin/hello.hvt: changed since it was read"):
        source_package(inputs)


def test_a_source_that_changed_is_refused(rebuilt: Inputs) -> None:
    assert rebuilt.rebuild is not None
    first, *others = rebuilt.rebuild.distfiles
    changed = replace(rebuilt.rebuild, distfiles=(replace(first, content=Bytes(b"x")), *others))
    with pytest.raises(VerificationError, match="changed since it was read"):
        source_package(replace(rebuilt, rebuild=changed))


def test_equal_inputs_give_equal_bytes(rebuilt: Inputs) -> None:
    one, other = (source_package(rebuilt).packed for _ in range(2))
    assert {path: file.sha256 for path, file in one.items()} == {
        path: file.sha256 for path, file in other.items()
    }
