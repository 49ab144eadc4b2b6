"""The recorded packages of a build host: which ones are taken, and that they give the bytes."""

from __future__ import annotations

import hashlib
import json
import lzma
import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.cli import main
from pkggen.errors import Faults, InputError
from pkggen.recipe.finding import Entry
from pkggen.record.model import SystemPackage
from pkggen.targets.nix.lint import lint
from pkggen.targets.nix.toolchain import Deb, choose, read_index, toolchain_file
from pkggen.tree import is_sealed
from tests.rebuild.conftest import signer
from tests.rebuild.made import EXAMPLE, example
from tests.rebuild.signed import write_archive
from tests.targets.nix.rebuilds import IMAGE_SHA256, image_in, new_prefix, packaged, sha256_of

if TYPE_CHECKING:
    from tests.rebuild.signed import Signer
    from tests.targets.nix.conftest import Nix

__all__ = ["signer"]  # the fixture

ARCHIVE: Final = "https://deb.example.org/debian"
DIGEST: Final = hashlib.sha256(b"deb").hexdigest()


def deb(name: str, needs: str = "", *, version: str = "1", more: str = "") -> str:
    """Return a stanza."""
    return (
        f"Package: {name}\nVersion: {version}\nDescription: nothing\n more of it\n"
        + (f"Depends: {needs}\n" if needs else "")
        + more
        + f"Filename: pool/main/{name}_{version.partition(':')[2] or version}_amd64.deb\n"
        + f"SHA256: {DIGEST}\n\n"
    )


def index(*stanzas: str) -> list[Deb]:
    return list(read_index("".join(stanzas).splitlines(keepends=True), ARCHIVE))


def recorded(*packages: str) -> list[SystemPackage]:
    pairs = (package.partition("=")[::2] for package in packages)
    return [SystemPackage(name=name, version=version) for name, version in pairs]


def chosen(debs: list[Deb], record: list[SystemPackage], *wanted: str) -> list[str]:
    return [f"{one.name}={one.version}" for one in choose(debs, record, wanted)]


# The index


def test_index() -> None:
    needs = "libc6 (>= 2.34), cpp:any (= 4:1) | cc | gcc [amd64],  awk"
    more = "Pre-Depends: dpkg (>= 1)\nProvides: c-compiler (= 1), cc\nEssential: yes\n"
    stanza = deb("g++-12", needs, version="4:12.2.0-3~x+b1", more=more).rstrip("\n") + "\n"
    assert index(stanza) == [
        Deb(
            name="g++-12",
            version="4:12.2.0-3~x+b1",
            url=f"{ARCHIVE}/pool/main/g++-12_12.2.0-3~x+b1_amd64.deb",
            sha256=DIGEST,
            essential=True,
            needs=(("dpkg",), ("libc6",), ("cpp", "cc", "gcc"), ("awk",)),
            provides=("c-compiler", "cc"),
        )
    ]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("Package: gcc\n", "", "Package ''"),
        ("Package: gcc\n", "Package: ../gcc\n", "Package '../gcc'"),
        ("Version: 1\n", "Version: 1;x\n", "Version '1;x'"),
        ("pool/main/gcc", "pool/../../gcc", "Filename 'pool/../../gcc"),
        ("pool/main/gcc", "/pool/gcc", "Filename '/pool"),
        ("pool/main/gcc", "pool/${x}", "Filename 'pool/${x}"),
        (DIGEST, DIGEST.upper(), "SHA256"),
        (DIGEST, "", "SHA256 ''"),
    ],
)
def test_hostile_index(old: str, new: str, what: str) -> None:
    with pytest.raises(InputError) as caught:
        index(deb("gcc").replace(old, new))
    assert f"with the {what}" in str(caught.value)
    assert ARCHIVE in str(caught.value)


# What is taken


def test_takes_what_is_needed_at_the_recorded_version() -> None:
    debs = index(
        deb("base", more="Essential: yes\n"),
        deb("gcc", "cpp (= 2), libc6", version="2"),
        deb("gcc", version="3"),
        deb("cpp", "gcc", version="1"),
        deb("cpp", version="2"),
        deb("libc6"),
        deb("vim", "libx"),
    )
    record = recorded("gcc=3", "cpp=2", "vim=1", "emacs=5")
    assert chosen(debs, record, "gcc") == ["base=1", "gcc=3"]
    assert chosen(debs, recorded("gcc=2", "cpp=2"), "gcc") == [
        *("base=1", "cpp=2", "gcc=2", "libc6=1"),
    ]


def test_alternatives_and_virtual_packages() -> None:
    debs = index(
        deb("gcc", "awk | perl"),
        deb("mawk", more="Provides: awk\n"),
        deb("gawk", more="Provides: awk\n"),
        deb("perl"),
    )
    assert chosen(debs, [], "gcc") == ["gcc=1", "perl=1"]
    assert chosen(debs, recorded("mawk=1"), "gcc") == ["gcc=1", "mawk=1"]
    assert chosen(debs, recorded("gawk=1"), "awk") == ["gawk=1"]
    assert chosen(debs, [], "awk") == ["gawk=1"]
    assert chosen(debs, [], "gcc", "mawk") == ["gcc=1", "mawk=1"]


def test_archives_are_asked_in_their_order() -> None:
    first, second = deb("gcc", version="1"), deb("gcc", version="2")
    assert chosen(index(first, second), [], "gcc") == ["gcc=1"]
    assert chosen(index(second, first), [], "gcc") == ["gcc=2"]
    assert chosen(index(first, second), recorded("gcc=2"), "gcc") == ["gcc=2"]


def test_all_that_is_missing_is_said_at_once() -> None:
    debs = index(deb("gcc", "cpp, libc6, absent | gone"), deb("cpp"), deb("libc6", version="2"))
    with pytest.raises(Faults) as caught:
        choose(debs, recorded("gcc=1", "cpp=0", "libc6=1"), ["gcc", "make"])
    assert {fault.message for fault in caught.value.faults} == {
        "no archive has make, for the rebuild",
        "no archive has absent or gone, for gcc",
        "no archive has cpp 0; there is 1",
        "no archive has libc6 1; there is 2",
    }
    assert "snapshot.debian.org" in str(caught.value)


def test_file() -> None:
    made = toolchain_file(index(deb("g++"), deb("zlib1g")))
    assert is_sealed(made.data)
    text = made.data.decode()
    assert len(text.splitlines()) == 7
    first, second = json.loads(text)["packages"]
    assert first["url"] == f"{ARCHIVE}/pool/main/g++_1_amd64.deb"
    assert second["name"] == "zlib1g"
    assert first["hash"].startswith("sha256-")
    entries = {PurePosixPath("toolchain.json"): Entry(data=made.data, executable=made.executable)}
    assert not lint(entries, submitted=False)


# The command


def toolchain(signer: Signer, output: Path, *words: str, archive: str, code: int = 0) -> None:
    """Run the command for the example."""
    argv = ("toolchain", str(EXAMPLE / "record"), "-o", str(output), "--archive", archive)
    assert main([*argv, "--keyring", str(signer.keyring), *words]) == code


ALL: Final = (
    *("coreutils", "dash", "gcc", "gzip", "make", "mawk", "opam-installer", "sed", "tar"),
)


def stanzas(**versions: str) -> list[str]:
    known = {
        "coreutils": "9.1-1",
        "dash": "0.5.12-2",
        "gcc": "4:12.2.0-3",
        "gzip": "1.12-1",
        "make": "4.3-4.1",
        "tar": "1.34+dfsg-1.2+deb12u1",
    } | versions
    return [deb(name, version=known.get(name, "1")) for name in ALL]


@pytest.mark.parametrize("packer", ["xz", "gz"])
def test_command(
    tmp_path: Path, signer: Signer, packer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = write_archive(tmp_path / "debian", signer, *stanzas(), packer=packer)
    output = tmp_path / "out/toolchain.json"
    toolchain(signer, output, archive=url)
    assert capsys.readouterr().out == f"create    {output}: 9 packages\n"
    packages = json.loads(output.read_text())["packages"]
    assert [one["name"] for one in packages] == list(ALL)
    assert packages[2]["version"] == "4:12.2.0-3"
    assert packages[2]["url"] == f"{url}/pool/main/gcc_12.2.0-3_amd64.deb"
    toolchain(signer, output, archive=url)
    assert capsys.readouterr().out.startswith("unchanged")
    output.write_text(output.read_text().replace("gcc", "clang"))
    toolchain(signer, output, archive=url, code=3)
    toolchain(signer, output, "--force", archive=url)


def test_command_asks_several_suites(tmp_path: Path, signer: Signer) -> None:
    url = write_archive(tmp_path / "debian", signer, *stanzas(gcc="4:13"))
    output = tmp_path / "toolchain.json"
    toolchain(signer, output, archive=url, code=3)
    write_archive(tmp_path / "debian", signer, *stanzas()[2:3], suite="old/x")
    toolchain(signer, output, "--archive", f"{url}/ old/x", archive=url)
    packages = json.loads(output.read_text())["packages"]
    assert packages[2]["version"] == "4:12.2.0-3"


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ("http://deb.example.org/debian", 2, "is not secure"),
        ("ftp://deb.example.org/debian", 2, "is no archive"),
        ("https://deb.example.org/../x", 2, "is no archive"),
        ("https://deb.example.org/d book worm", 2, "is no archive"),
        ("file:///nonexistent", 5, "it has no dists/bookworm/InRelease"),
    ],
)
def test_archives_that_are_none(
    tmp_path: Path,
    signer: Signer,
    capsys: pytest.CaptureFixture[str],
    *,
    given: str,
    code: int,
    message: str,
) -> None:
    output = tmp_path / "toolchain.json"
    toolchain(signer, output, archive=given, code=code)
    assert message in capsys.readouterr().err
    assert not output.exists()


def test_an_index_that_nobody_signed(
    tmp_path: Path, signer: Signer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = write_archive(tmp_path / "debian", signer, *stanzas())
    index_file = next((tmp_path / "debian").rglob("Packages.xz"))
    index_file.write_bytes(lzma.compress("".join(stanzas(gcc="4:13")).encode()))
    output = tmp_path / "toolchain.json"
    toolchain(signer, output, archive=url, code=4)
    assert "but InRelease has" in capsys.readouterr().err
    shutil.copy(EXAMPLE / "record/opam-switch", tmp_path / "none.gpg")
    toolchain(signer, output, "--keyring", str(tmp_path / "none.gpg"), archive=url, code=4)
    assert "no key of the keyring vouches for it" in capsys.readouterr().err
    toolchain(signer, output, "--keyring", str(tmp_path / "nowhere"), archive=url, code=3)
    assert "hint: install debian-archive-keyring" in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("OS_VERSION=12", "OS_VERSION=7", "this was built on debian 7"),
        ("OS_DISTRIBUTION=debian", "OS_DISTRIBUTION=alpine", "this was built on alpine 12"),
        ("ARCH=x86_64", "ARCH=m68k", "Debian has no m68k"),
    ],
)
def test_hosts_without_toolchain(
    tmp_path: Path, old: str, new: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = example(tmp_path, new_prefix())
    environment = made.record / "build-environment"
    environment.write_text(environment.read_text().replace(old, new))
    output = tmp_path / "toolchain.json"
    assert main(["toolchain", str(made.record), "-o", str(output)]) == 3
    assert message in capsys.readouterr().err


# The bytes


def test_without_toolchain(nix: Nix, tmp_path: Path) -> None:
    made = example(tmp_path / "hello", new_prefix())
    package = packaged(nix, tmp_path / "tree", made.read(), made.mirror)
    error = nix.build(package.expression("rebuild.withRecordedToolchain"), status=1)
    assert "there is no toolchain.json; `pkggen toolchain` makes it" in error


@pytest.mark.slow
@pytest.mark.parametrize("which", ["nix", "sandboxed_nix"])
def test_the_recorded_toolchain_gives_the_recorded_bytes(
    request: pytest.FixtureRequest,
    which: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Take Debian's own packages; the compiler of the host would give other bytes."""
    nix: Nix = request.getfixturevalue(which)
    for tool in ("bwrap", "dpkg-deb"):
        if shutil.which(tool) is None:
            pytest.skip(f"RECORDED TOOLCHAIN NOT TRIED: {tool} not found")
    made = example(tmp_path / "hello", new_prefix())
    package = packaged(nix, tmp_path / "tree", made.read(), made.mirror)
    argv = ["toolchain", str(made.record), "-o", str(package.directory / "toolchain.json")]
    if status := main(argv):
        pytest.skip(f"RECORDED TOOLCHAIN NOT TRIED: status {status}: {capsys.readouterr().err}")
    other = tmp_path / "other/bin/gcc"
    other.parent.mkdir(parents=True)
    other.write_text('#!/bin/sh\nexec /usr/bin/gcc "$@" -O1\n')
    other.chmod(0o755)
    compiler = other.parent.parent
    assert sha256_of(image_in(nix.build(package.expression(compiler=compiler)))) != IMAGE_SHA256
    wanted = "rebuild.withRecordedToolchain"
    output = nix.build(package.expression(wanted, compiler), timeout=900)
    assert sha256_of(image_in(output)) == IMAGE_SHA256
    assert nix.build(package.expression(wanted, compiler), "--check", timeout=900) == output
    assert nix.build(package.expression(f"{wanted}.tests.reproduces", compiler))
    fixed = package.expression("rebuild.override { fixedOutput = true; }", compiler)
    image = nix.build(f"({fixed}).withRecordedToolchain", timeout=900)
    assert sha256_of(Path(image)) == IMAGE_SHA256
