"""The next release in an expression that people wrote: what is changed, kept and refused."""

from __future__ import annotations

import base64
import difflib
import hashlib
import io
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.errors import InputError, VerificationError
from pkggen.opam.package import Checksum
from pkggen.recipe.model import Provenance, Release
from pkggen.targets.nix import quote
from pkggen.targets.nix.edit import with_release
from tests.targets.nix.conftest import STAND_IN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.targets.nix.conftest import Nix

SOLO5: Final = (STAND_IN / "solo5.nix").read_text()
NEW: Final = "https://github.com/Solo5/solo5/releases/download/v0.12.1/solo5-v0.12.1.tar.gz"
SHA512: Final = Checksum("sha512", hashlib.sha512(b"archive").hexdigest())
SHA256: Final = Checksum("sha256", hashlib.sha256(b"archive").hexdigest())
RELEASE: Final = Release(
    name="solo5",
    version="0.12.1",
    urls=(NEW,),
    checksums=(SHA512,),
    provenance=Provenance(
        job="solo5", platform=None, origin=None, root="solo5.0.12.1", switch_sha256="0" * 64
    ),
)


def sri(checksum: Checksum) -> str:
    digest = base64.b64encode(bytes.fromhex(checksum.digest)).decode()
    return f"{checksum.kind}-{digest}"


def edited(text: str = SOLO5, release: Release = RELEASE) -> str:
    return with_release(text, release, "package.nix").text


def changed(old: str, new: str) -> list[str]:
    """Return the lines that went and came."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), n=0)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


# What is changed


def test_only_what_has_to_change_is_changed() -> None:
    assert changed(SOLO5, edited()) == [
        '-  version = "0.8.1";',
        '+  version = "0.12.1";',
        '-    sha256 = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";',
        f'+    hash = "{sri(SHA512)}";',
        "-",
        '-  hardeningEnable = [ "pie" ];',
        '-      --replace "/usr/lib/syslinux" "${syslinux}/share/syslinux" \\',
        '-      --replace "cp " "cp --no-preserve=mode " \\',
        '-      --replace " -no-longer-there" ""',
        '+      --replace-warn "/usr/lib/syslinux" "${syslinux}/share/syslinux" \\',
        '+      --replace-warn "cp " "cp --no-preserve=mode " \\',
        '+      --replace-warn " -no-longer-there" ""',
    ]


def test_the_same_release_changes_nothing() -> None:
    once = edited()
    again = with_release(once, RELEASE, "package.nix")
    assert again.text == once
    assert again.old_version == "0.12.1"


def test_sha256_is_preferred() -> None:
    both = replace(RELEASE, checksums=(SHA256, SHA512))
    assert f'hash = "{sri(SHA256)}";' in edited(release=both)
    assert edited(edited(release=both), both) == edited(release=both)


@pytest.mark.parametrize("stated", [SHA256.digest, sri(SHA256)])
def test_hashes_of_any_form_are_compared(stated: str) -> None:
    release = replace(RELEASE, checksums=(SHA256,))
    text = edited(release=release).replace(f'hash = "{sri(SHA256)}"', f'sha256 = "{stated}"')
    assert edited(text, release) == text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("v${version}/solo5", "v${version}/renamed"),
        ("${version}", "${finalAttrs.version}"),
        ("Solo5/solo5/releases", "other/solo5/releases"),
    ],
)
def test_the_address_is_the_recorded_one(old: str, new: str) -> None:
    text = edited(SOLO5.replace(old, new))
    version = "finalAttrs.version" if "finalAttrs" in new else "version"
    assert f'url = "{NEW.replace("0.12.1", f"${{{version}}}")}";' in text


def test_an_address_without_version() -> None:
    text = SOLO5.replace("v${version}/solo5-v${version}", "latest/solo5")
    assert f'url = "{NEW}";' in edited(text)


def test_an_address_may_be_that_of_a_mirror() -> None:
    release = replace(RELEASE, urls=("https://example.org/solo5.tar.gz", NEW))
    assert edited(release=release) == edited()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('  hardeningEnable = [ "pie" "x" ];', '  hardeningEnable = [ "x" ];'),
        ('  hardeningEnable = [ "x" "pie" ];', '  hardeningEnable = [ "x" ];'),
        ('  hardeningEnable = [\n    "pie"\n    "x"\n  ];', '  hardeningEnable = [\n    "x"\n  ];'),
        ('  a = 1; hardeningEnable = [ "pie" ];', "  a = 1; "),
        ('  a = 1;\n  hardeningEnable = [ "pie" ];', "  a = 1;"),
        ('  hardeningEnable = [ "x" ];', None),
        ('  hardeningEnable = [ "pie" x ];', None),
        ('  hardeningEnable = lib.optional a "pie";', None),
        ('  hardeningEnable = [ "pie" ] ++ x;', None),
    ],
)
def test_hardening(old: str, new: str | None) -> None:
    whole = '  hardeningEnable = [ "pie" ];'
    kept = edited(SOLO5.replace(f"{whole}\n\n", "  a = b;\n\n"))
    text = edited(SOLO5.replace(whole, old))
    assert text == kept.replace("  a = b;", old if new is None else new)


def test_comments_and_other_commands_are_kept() -> None:
    text = edited()
    assert "# --replace in a comment is nobody's option" in text
    assert "sh configure.sh --prefix=/ --replace nothing" in text
    text = "substituteInPlace a --replace b c"
    assert f"# {text}\n" in edited(f"# {text}\n{SOLO5}")
    fixed = "substituteInPlace a --replace-fail b c"
    assert fixed in edited(SOLO5.replace("tar -xzf", f"{fixed}\n    tar -xzf"))


# What is refused


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('pname = "solo5"', 'pname = "solo6"', "pname is not 'solo5'"),
        ('pname = "solo5"', 'name = "solo5"', "pname is not set exactly once"),
        ('version = "0.8.1"', 'version = "0." + "8"', "version is no plain string"),
        ('version = "0.8.1"', 'version = "${x}"', "version is no plain string"),
        ("dontBuild", 'version = "1"; dontBuild', "version is not set exactly once"),
        ("src = fetchurl {", "src = fetchFromGitHub {", "exactly one `src = fetchurl"),
        ("src = fetchurl {", "src = fetchurl rec {", "exactly one `src = fetchurl"),
        ("sha256 =", "sha1 =", "exactly one hash or sha256 or sha512"),
        ("    sha256 =", '    hash = "x";\n    sha256 =', "exactly one hash or sha256 or sha512"),
        ("    url =", "    urls =", "exactly one url"),
        ("v${version}", "v${builtins.readFile ./v}", "the url has ${builtins . readFile ./v}"),
        ("v${version}/", "v${version}\\n/", "the url has escapes in it"),
        ('.tar.gz";', '.tar" + ".gz";', "exactly one url"),
    ],
)
def test_unexpected_shapes(old: str, new: str, what: str) -> None:
    assert old in SOLO5
    with pytest.raises(InputError) as caught:
        edited(SOLO5.replace(old, new))
    assert "the expression has not the expected shape: " in str(caught.value)
    assert what in caught.value.message
    assert caught.value.where == "package.nix"


def test_what_is_no_nix() -> None:
    with pytest.raises(InputError, match="nothing is closed by it"):
        edited(SOLO5.replace("];", ""))


@pytest.mark.parametrize("version", ["0.12.2", "0.13", "1.0", "0.12.1.1"])
def test_no_way_back(version: str) -> None:
    with pytest.raises(InputError, match=f"builds {version} already, and the record is of 0.12.1"):
        edited(SOLO5.replace("0.8.1", version))


def test_another_archive_of_the_same_release() -> None:
    other = Checksum("sha512", hashlib.sha512(b"other").hexdigest())
    with pytest.raises(VerificationError) as caught:
        edited(edited(), replace(RELEASE, checksums=(other,)))
    assert SHA512.digest in str(caught.value)
    assert other.digest in str(caught.value)


def test_hashes_that_cannot_be_compared() -> None:
    with pytest.raises(InputError, match=r"0\.12\.1 is there already, and its hash .* cannot be"):
        edited(edited(), replace(RELEASE, checksums=(SHA256,)))


@pytest.mark.parametrize("version", ["0.9~beta1", 'x"', "0.9;"])
def test_versions_that_no_store_path_can_hold(version: str) -> None:
    with pytest.raises(InputError, match="cannot be a Nix version"):
        edited(release=replace(RELEASE, version=version))


# What Nix makes of it


def expression(nix: Nix, text: str, archive: Path) -> str:
    file = nix.write("solo5.nix", text)
    return (
        f"(import {quote.string(str(STAND_IN))} {{\n"
        f"  urlMap = {{ {quote.string(NEW)} = {quote.string(archive.as_uri())}; }};\n"
        f"}}).callPackage {quote.string(str(file))} {{ }}"
    )


def test_build(nix: Nix) -> None:
    archive = nix.root / "sources" / "solo5.tar.gz"
    files = {"configure.sh": b"exit 0\n", "mkimage.sh": b"cp /usr/lib/syslinux/x y\n"}
    with tarfile.open(archive, "w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"solo5-v0.12.1/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    digest = hashlib.sha512(archive.read_bytes()).hexdigest()
    release = replace(RELEASE, checksums=(Checksum("sha512", digest),))
    assert "flag pie has been removed" in nix.eval(
        f"({expression(nix, SOLO5, archive)}).name", status=1
    )
    package = expression(nix, edited(release=release), archive)
    assert nix.eval(f"({package}).name") == "solo5-0.12.1"
    script = nix.build(package) + "/bin/solo5-virtio-mkimage"
    with open(script, encoding="utf-8") as file:  # noqa: PTH123 - a path of Nix
        text = file.read()
    assert text.startswith("cp --no-preserve=mode /")
    assert text.endswith("/share/syslinux/x y\n")
    wrong = expression(nix, edited(), archive)
    assert "hash mismatch in fixed-output derivation" in nix.build(wrong, status=102)
