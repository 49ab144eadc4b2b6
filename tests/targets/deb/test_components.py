"""Sources as component tarballs: which can be, their names, and a real build."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.cli import main
from pkggen.errors import InputError
from pkggen.opam.package import Checksum
from pkggen.recipe.distfiles import Distfile
from pkggen.sources.model import Source, Use
from pkggen.targets.deb.components import MAX_COMPONENTS, components
from pkggen.tree import Bytes
from tests.rebuild.made import Package, archive, make
from tests.test_compression import zstd

if TYPE_CHECKING:
    from pkggen.sources.model import Kind

PLAIN: Final = archive(Package("a", files={"x": "1"}))


def distfile(name: str, data: bytes, kind: Kind = "archive") -> Distfile:
    digest = hashlib.sha256(data).hexdigest()
    source = Source(
        kind=kind,
        file_name=name,
        checksums=(Checksum("sha256", digest),),
        urls=(f"https://pkggen.test/{name}",),
        users=(Use("package", "a"),),
        commit=None,
    )
    return Distfile(
        name=name, sha256=digest, size=len(data), content=Bytes(data), source=source, commit=None
    )


@pytest.mark.parametrize(
    ("data", "suffix"),
    [
        (gzip.compress(PLAIN, mtime=0), "gz"),
        (bz2.compress(PLAIN), "bz2"),
        (lzma.compress(PLAIN), "xz"),
        (zlib.compress(PLAIN), None),
        (zstd(PLAIN), None),
        (PLAIN, None),
        (b"PK\3\4 whatever", None),
        (b"", None),
    ],
    ids=["gz", "bz2", "xz", "zlib", "zstd", "tar", "zip", "empty"],
)
def test_the_bytes_and_not_the_name_tell_the_compression(data: bytes, suffix: str | None) -> None:
    found = components([distfile("lib+x_0.1-12345678.tbz", data)], "here")
    expected = [] if suffix is None else [("lib-x-0-1-12345678", suffix)]
    assert [(one.name, one.suffix) for one in found] == expected


def test_what_is_to_be_copied_is_no_component() -> None:
    assert (
        components([distfile("a-1-12345678.tar.gz", gzip.compress(PLAIN, mtime=0), "file")], "x")
        == ()
    )


def test_two_of_one_name_are_refused() -> None:
    two = [distfile(f"a{sign}1-12345678.tar.gz", gzip.compress(PLAIN, mtime=0)) for sign in "._"]
    with pytest.raises(InputError, match="more than one component would have the name a-1-12"):
        components(two, "here")


def test_too_many_are_refused() -> None:
    many = [distfile(f"a{n}.tbz", gzip.compress(PLAIN, mtime=0)) for n in range(MAX_COMPONENTS + 1)]
    assert len(components(many[:-1], "here")) == MAX_COMPONENTS
    with pytest.raises(InputError, match="61 sources are too many for component tarballs"):
        components(many, "here")


SCRIPT: Final = "set -e\ntest -f x.orig -a -f TAGS\ncp program $1/bin/root\n"


@pytest.mark.slow
def test_a_package_of_components_builds_twice(tmp_path: Path) -> None:
    """Upstream's files that debhelper takes for backups survive."""
    if missing := [tool for tool in ("dpkg-buildpackage", "dh") if shutil.which(tool) is None]:
        pytest.skip(f"COMPONENTS NOT BUILT: {', '.join(missing)} not found")
    prefix = Path("/tmp/pkggen-components")  # noqa: S108 - as orb does
    files = {"program": "#!/bin/sh\n", "x.orig": "", "TAGS": "", "build.sh": SCRIPT}
    root = Package(
        "root",
        'license: "ISC" synopsis: "Program for a test" authors: "A" '
        'install: ["sh" "build.sh" prefix]',
        files,
    )
    made = make(tmp_path, (root,), prefix=prefix, built={"bin/root": b"#!/bin/sh\n"})
    compress_sources(made.record / "opam-switch", made.mirror)
    saved = tmp_path / "saved"
    assert main(["record", str(made.record), "-o", str(saved), *STARTED]) == 0
    config = tmp_path / "pkggen.yaml"
    config.write_text("maintainer: {name: A B, email: a@example.org}\n")
    out = tmp_path / "out"
    argv = ["deb", str(saved), "-o", str(out), "--config", str(config), "--rebuild"]
    argv += ["--components", "--offline", "--mirror", str(made.mirror)]
    assert main([*argv, "--cache", str(tmp_path / "cache")]) == 0
    (dsc,) = out.glob("*.dsc")
    tree = tmp_path / "tree"
    subprocess.run(["dpkg-source", "-x", dsc, tree], check=True, capture_output=True)
    for _ in range(2):
        subprocess.run(
            ["dpkg-buildpackage", "-us", "-uc"], cwd=tree, check=True, capture_output=True
        )
    assert not prefix.exists()


STARTED: Final = ("--started", "2026-08-23T09:00:00Z")


def compress_sources(switch: Path, mirror: Path) -> None:
    """Replace the plain tars of a record by compressed ones."""
    text = switch.read_text()
    for path in sorted(mirror.rglob("*")):
        if path.is_file():
            data = gzip.compress(path.read_bytes(), mtime=0)
            digest = hashlib.sha256(data).hexdigest()
            place = mirror / "sha256" / digest[:2] / digest
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(data)
            text = text.replace(path.name, digest).replace('.tar"', '.tar.gz"')
    switch.write_text(text)
