"""Packages as Debian's own tools build and judge them, without network."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import uuid
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import pytest
from debian.debfile import DebFile

from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.targets.deb.source_package import source_package
from pkggen.tree import CopiedFile, Tree
from pkggen.writer import write
from tests.rebuild.made import example, need_tools
from tests.targets.deb.made import (
    EXAMPLE,
    MANUAL,
    TOOL_FILES,
    inputs_of,
    ran,
    started,
    tool_record,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pkggen.targets.deb.model import Inputs
    from pkggen.targets.deb.source_package import SourcePackage

pytestmark = pytest.mark.slow

IMAGE: Final = "usr/lib/unikernels/hello.hvt"
IMAGE_SHA256: Final = hashlib.sha256((EXAMPLE / "record/bin/hello.hvt").read_bytes()).hexdigest()
OFFLINE: Final = ("unshare", "--net") if os.getuid() == 0 else ("unshare", "-r", "--net")
HERE: Final = {"TZ": "UTC", "LC_ALL": "C.UTF-8", "DEB_BUILD_OPTIONS": "parallel=2"}
ELSEWHERE: Final = {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "DEB_BUILD_OPTIONS": "parallel=1"}
PROGRAM: Final = '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n'


@dataclass(frozen=True, slots=True)
class Built:
    """What dpkg-buildpackage left."""

    directory: Path
    package: SourcePackage

    @property
    def tree(self) -> Path:
        return self.directory / self.package.directory

    @property
    def deb(self) -> Path:
        (found,) = self.directory.glob("*.deb")
        return found

    def build(self, environment: Mapping[str, str] = HERE, mask: int = 0o022) -> None:
        """Build in the unpacked tree, without network."""
        done = subprocess.run(
            [*OFFLINE, "dpkg-buildpackage", "--no-sign", "--no-check-builddeps"],
            cwd=self.tree,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
            umask=mask,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment},
        )
        assert done.returncode == 0, done.stdout

    def files(self) -> dict[str, str]:
        """Return the sha256 of each packed file."""
        return {name: digest for name, (digest, _) in self.members().items()}

    def members(self) -> dict[str, tuple[str, int]]:
        """Return sha256 and mode of each packed file."""
        archive = DebFile(str(self.deb)).data.tgz()
        found = {}
        for member in archive:
            stream = archive.extractfile(member)
            if stream is not None:
                digest = hashlib.sha256(stream.read()).hexdigest()
                found[member.name.removeprefix("./")] = (digest, member.mode)
        return found


def unpack(inputs: Inputs, directory: Path) -> Built:
    tools = ("dpkg-buildpackage", "dpkg-source", "dh", "unshare")
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"NO PACKAGE BUILT: {', '.join(missing)} not found")
    package = source_package(inputs)
    write(package.packed, directory)
    ran("dpkg-source", "-x", str(package.dsc), cwd=directory)
    return Built(directory, package)


@pytest.fixture(scope="module")
def prefix() -> Iterator[Path]:
    place = Path("/tmp") / f"pkggen-{uuid.uuid4().hex[:12]}"  # noqa: S108 - as orb does
    yield place
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory, prefix: Path) -> dict[str, Inputs]:
    """Return the example as it was recorded, rebuilt, and a tool of several kinds of files."""
    need_tools()
    place = tmp_path_factory.mktemp("shapes")
    made = example(place / "example", prefix)
    record = started(assemble(read_directory(made.record, "hello")))
    (place / "p.c").write_text(PROGRAM)
    programs = {}
    for name, options in {"bin/greet": ["-g"], "sbin/greetd": ["-s"], "lib/x.o": ["-c"]}.items():
        output = place / Path(name).name
        ran("cc", "-O2", *options, "-o", str(output), "p.c", cwd=place)
        programs[name] = output.read_bytes()
    ran("ar", "rcs", "libx.a", "x.o", cwd=place)
    programs["lib/greet/libx.a"] = (place / "libx.a").read_bytes()
    programs["man/man8/greetd.8"] = MANUAL.replace(b"GREET 1", b"GREETD 8").replace(
        b"greet ", b"greetd "
    )
    # What it is packed with is one of the bytes that strip-nondeterminism rewrites.
    (place / "words").write_text("hello\n")
    ran("gzip", "-n", "words", cwd=place)
    programs["share/greet/words.gz"] = (place / "words.gz").read_bytes()
    return {
        "image": inputs_of(record),
        "rebuild": inputs_of(record, mirror=made.mirror),
        "tool": inputs_of(tool_record(place / "tool", {**TOOL_FILES, **programs})),
    }


@pytest.fixture(scope="module")
def built(
    shapes: dict[str, Inputs], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Built]:
    """Return a function that builds a shape once."""
    done: dict[str, Built] = {}

    def build(shape: str) -> Built:
        if shape not in done:
            one = unpack(shapes[shape], tmp_path_factory.mktemp(f"built-{shape}"))
            one.build()
            done[shape] = one
        return done[shape]

    return build


SHAPES: Final = ("image", "rebuild", "tool")


@pytest.mark.parametrize("shape", ["image", "rebuild"])
def test_the_packaged_image_is_the_recorded_one(built: Callable[[str], Built], shape: str) -> None:
    assert built(shape).members()[IMAGE] == (IMAGE_SHA256, 0o644)


def test_both_shapes_install_the_same(built: Callable[[str], Built]) -> None:
    image, rebuild = (built(shape).files() for shape in ("image", "rebuild"))
    documentation = {name for name in image if name.startswith("usr/share/")}
    assert image.keys() == rebuild.keys()
    assert {name for name in image if image[name] != rebuild[name]} <= documentation


def test_a_tool_is_installed_byte_for_byte(
    built: Callable[[str], Built], shapes: dict[str, Inputs]
) -> None:
    found = built("tool").files()
    for file in shapes["tool"].recipe.payload:
        top, *rest = file.path.parts
        place = {"etc": "etc", "man": "usr/share/man", "doc": "usr/share/doc"}.get(
            top, f"usr/{top}"
        )
        name = str(PurePosixPath(place, *rest))
        if name in found:
            assert found[name] == file.sha256
        else:
            assert top in {"man", "doc"}
            assert f"{name}.gz" in found
    modes = {name: mode for name, (_, mode) in built("tool").members().items()}
    assert modes["usr/bin/greet"] == modes["usr/sbin/greetd"] == 0o755
    control = DebFile(str(built("tool").deb)).debcontrol()
    assert "libc6" in control["Depends"]


@pytest.mark.parametrize("shape", SHAPES)
def test_two_directories_give_equal_packages(
    built: Callable[[str], Built], shapes: dict[str, Inputs], shape: str, tmp_path: Path
) -> None:
    other = unpack(shapes[shape], tmp_path / "quite-another-place")
    other.build(ELSEWHERE, mask=0o077)
    assert other.deb.read_bytes() == built(shape).deb.read_bytes()


@pytest.mark.parametrize("shape", SHAPES)
def test_twice_in_one_tree(built: Callable[[str], Built], shape: str) -> None:
    first = built(shape).deb.read_bytes()
    built(shape).build()
    assert built(shape).deb.read_bytes() == first


def test_a_tampered_payload_stops_the_build(shapes: dict[str, Inputs], tmp_path: Path) -> None:
    one = unpack(shapes["image"], tmp_path)
    image = one.tree / "bin/hello.hvt"
    image.write_bytes(image.read_bytes()[:-1] + b"x")
    # As a binary-only build, since dpkg-source itself refuses changes of the upstream files.
    log = ran(*OFFLINE, "debian/rules", "binary", cwd=one.tree, status=2)
    assert f"{IMAGE} is not as it was recorded: " in log
    assert f"recorded {IMAGE_SHA256}" in log
    assert not list(tmp_path.glob("*.deb"))


def test_a_tampered_source_stops_the_build(
    shapes: dict[str, Inputs], tmp_path: Path, prefix: Path
) -> None:
    one = unpack(shapes["rebuild"], tmp_path)
    source = next((one.tree / "distfiles").rglob("f4f77*"))
    source.write_bytes(source.read_bytes() + b"x")
    log = ran(*OFFLINE, "debian/rules", "binary", cwd=one.tree, status=2)
    assert "does not have the sha256 f4f77" in log
    assert not list(tmp_path.glob("*.deb"))
    assert not prefix.exists()


def test_binary_files_of_an_overlay(shapes: dict[str, Inputs], tmp_path: Path) -> None:
    overlay = Tree({PurePosixPath("debian/logo.png"): CopiedFile.of(b"\x89PNG\0\n")})
    one = unpack(replace(shapes["image"], overlay=overlay), tmp_path)
    one.build()
    one.build()


# lintian

COMMON: Final = {
    "debian-watch-does-not-check-openpgp-signature": "the file watches nothing, as it says",
    "hyphen-in-upstream-part-of-debian-changelog-version": "it is what makes versions sort right",
    "very-long-line-length-in-source-file": "of binary files, and of one shell script",
}
UNIKERNEL: Final = {
    "package-supports-alternative-init-but-no-init.d-script": "a unit is what Debian needs",
    "upstream-metadata-missing-repository": "the example has none",
}
LINTIAN: Final[dict[str, dict[str, str]]] = {
    "image": COMMON | UNIKERNEL,
    "rebuild": COMMON | UNIKERNEL,
    "tool": COMMON
    | {
        "binary-has-unneeded-section": "of the recorded bytes",
        "hardening-no-bindnow": "of the recorded bytes",
        "static-library-has-unneeded-sections": "of the recorded bytes",
        "package-contains-documentation-outside-usr-share-doc": "where it was recorded",
        "superficial-tests": "what a tool does is not recorded, only its bytes are",
    },
}


@pytest.mark.parametrize("shape", SHAPES)
def test_lintian(built: Callable[[str], Built], shape: str) -> None:
    if shutil.which("lintian") is None:
        pytest.skip("NO LINTIAN: install lintian to hear what it says of the packages")
    (changes,) = built(shape).directory.glob("*.changes")
    said = ran(
        *("lintian", "--fail-on", "error,warning", "-EvI", "--pedantic", "--allow-root"),
        *("--tag-display-limit", "0", str(changes)),
        cwd=changes.parent,
    )
    tags = set(re.findall(r"(?m)^[EWIPX]: [^:]+: ([a-z0-9.-]+)", said))
    assert tags == set(LINTIAN[shape]), said
