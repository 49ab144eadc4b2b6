"""Debian archives: what is signed is read, and nothing else."""

from __future__ import annotations

import lzma
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.errors import DownloadError, InputError, PkggenError, ToolError, VerificationError
from pkggen.rebuild.archive import Suite, package_lines
from tests.rebuild.signed import RELEASE, listed, new_signer, write_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.rebuild.signed import Signer

TEXT: Final = "Package: gcc\nVersion: 1\n"
INDEX: Final = "main/binary-amd64/Packages.xz"


@pytest.fixture
def archive(tmp_path: Path, signer: Signer) -> Path:
    """Return the directory of an archive with one suite."""
    write_archive(tmp_path / "debian", signer, TEXT)
    return tmp_path / "debian"


def suite(archive: Path, name: str = "bookworm") -> Suite:
    return Suite(url=archive.as_uri(), name=name)


def read(archive: Path, keyring: Path, name: str = "bookworm") -> str:
    return "".join(package_lines(suite(archive, name), "amd64", keyring))


def refused(archive: Path, keyring: Path, error: type[PkggenError], name: str = "bookworm") -> str:
    with pytest.raises(error) as caught:
        read(archive, keyring, name)
    assert type(caught.value) is error
    return str(caught.value)


def in_release(archive: Path) -> Path:
    return archive / "dists/bookworm/InRelease"


def test_what_is_signed_is_read(archive: Path, signer: Signer) -> None:
    assert read(archive, signer.keyring) == TEXT


def test_a_relative_keyring(archive: Path, signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(signer.home)
    assert read(archive, Path(signer.keyring.name)) == TEXT


def test_gzip(tmp_path: Path, signer: Signer) -> None:
    write_archive(tmp_path / "debian", signer, TEXT, packer="gz")
    assert read(tmp_path / "debian", signer.keyring) == TEXT


@pytest.mark.parametrize(
    ("name", "codename"),
    [("oldstable", "bookworm"), ("buster/updates", "buster"), ("buster/updates", "buster/updates")],
)
def test_names_of_a_suite(archive: Path, signer: Signer, name: str, codename: str) -> None:
    release = RELEASE.format(suite=codename) + listed(INDEX, lzma.compress(TEXT.encode()))
    place = archive / "dists" / name
    shutil.copytree(archive / "dists/bookworm", place)
    (place / "InRelease").write_bytes(signer.sign(release))
    assert read(archive, signer.keyring, name) == TEXT


def test_another_suite(archive: Path, signer: Signer) -> None:
    (archive / "dists/bookworm").rename(archive / "dists/trixie")
    message = refused(archive, signer.keyring, VerificationError, "trixie")
    assert "what is signed as dists/trixie/InRelease is bookworm" in message


@pytest.fixture
def served(archive: Path) -> Iterator[str]:
    """Serve the archive on this machine, and return its URL."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    handler = partial(Handler, directory=archive)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_over_http(served: str, archive: Path, signer: Signer) -> None:
    of_server = Suite(url=served, name="bookworm")
    assert "".join(package_lines(of_server, "amd64", signer.keyring)) == TEXT
    (archive / "dists/bookworm" / INDEX).write_bytes(b"longer than it is said to be" * 9)
    with pytest.raises(DownloadError, match="longer than"):
        list(package_lines(of_server, "amd64", signer.keyring))


# Signatures


def test_an_unknown_key(archive: Path) -> None:
    with new_signer() as other:
        message = refused(archive, other.keyring, VerificationError)
    assert "dists/bookworm/InRelease: no key of the keyring vouches for it" in message
    assert "it has been signed by " in message
    assert "debian-archive-removed-keys.gpg" in message


def test_one_good_signature_of_several_suffices(archive: Path, signer: Signer) -> None:
    with new_signer() as other:
        other.gpg("--import", str(signer.keyring))
        secret = signer.gpg("--export-secret-keys")
        (other.home / "secret").write_bytes(secret)
        other.gpg("--import", str(other.home / "secret"))
        keys = other.gpg("--list-secret-keys", "--with-colons").decode().splitlines()
        fingerprints = [line.split(":")[9] for line in keys if line.startswith("fpr")]
        assert len(fingerprints) == 2
        users = [word for key in fingerprints for word in ("--local-user", key)]
        text = RELEASE.format(suite="bookworm") + listed(INDEX, lzma.compress(TEXT.encode()))
        both = other.gpg("--clearsign", *users, stdin=text)
        in_release(archive).write_bytes(both)
        assert read(archive, signer.keyring) == TEXT
        in_release(archive).write_bytes(both.replace(b"Origin: Tests", b"Origin: Tasts"))
        assert "a signature is wrong" in refused(archive, signer.keyring, VerificationError)


def test_an_expired_key_counts_and_a_revoked_one_does_not(archive: Path) -> None:
    text = RELEASE.format(suite="bookworm") + listed(INDEX, lzma.compress(TEXT.encode()))
    with new_signer() as other:
        at = ("--faked-system-time", "20220101T000000")
        other.gpg(*at, "--quick-generate-key", "B <b@example.org>", "ed25519", "sign", "2d")
        signed = other.gpg(*at, "--local-user", "b@example.org", "--clearsign", stdin=text)
        in_release(archive).write_bytes(signed)
        other.keyring.write_bytes(other.gpg("--export", "b@example.org"))
        assert read(archive, other.keyring) == TEXT
        in_release(archive).write_bytes(other.sign(text))
        other.keyring.write_bytes(other.gpg("--export", "nobody@example.org"))
        assert read(archive, other.keyring) == TEXT
        (revocation,) = (
            file
            for file in (other.home / "openpgp-revocs.d").iterdir()
            if b"A test" in other.gpg("--list-keys", file.stem)
        )
        certificate = revocation.read_text().replace(":-----", "-----")
        other.gpg("--import", stdin=certificate)
        other.keyring.write_bytes(other.gpg("--export", "nobody@example.org"))
        message = refused(archive, other.keyring, VerificationError)
        assert "no key of the keyring vouches for it" in message


def test_damaged_signatures(archive: Path, signer: Signer) -> None:
    file = in_release(archive)
    whole = file.read_bytes()
    signature = whole.index(b"-----BEGIN PGP SIGNATURE")
    for damaged, what in (
        (whole.replace(b"Origin: Tests", b"Origin: Tasts"), "a signature is wrong"),
        (whole.replace(b"-----BEGIN PGP SIGNED", b"-----BEGIN"), "it is not one signed text"),
        (whole[:signature], "it is not one signed text"),
        (b"", "it is not one signed text"),
    ):
        file.write_bytes(damaged)
        message = refused(archive, signer.keyring, VerificationError)
        assert f"dists/bookworm/InRelease: {what}" in message


def test_nothing_around_the_signed_text_is_read(archive: Path, signer: Signer) -> None:
    evil = RELEASE.format(suite="bookworm") + listed(INDEX, b"evil")
    (archive / "dists/bookworm" / INDEX).write_bytes(b"evil")
    signed = in_release(archive).read_bytes()
    for text in (evil.encode() + signed, signed + evil.encode(), evil.encode()):
        in_release(archive).write_bytes(text)
        message = refused(archive, signer.keyring, VerificationError)
        assert "evil" not in message


def test_two_signed_texts(archive: Path, signer: Signer) -> None:
    file = in_release(archive)
    file.write_bytes(file.read_bytes() * 2)
    message = refused(archive, signer.keyring, VerificationError)
    assert "it is not one signed text" in message


# What is vouched for


def test_another_index(archive: Path, signer: Signer) -> None:
    index = archive / "dists/bookworm" / INDEX
    data = bytearray(index.read_bytes())
    data[20] ^= 1
    for wrong in (bytes(data), bytes(data[:-1]), bytes(data) + b"x", lzma.compress(b"x" * 9999)):
        index.write_bytes(wrong)
        message = refused(archive, signer.keyring, VerificationError)
        assert f"dists/bookworm/{INDEX} has the sha256 " in message
        assert "try again" in message


def test_what_is_missing(archive: Path, signer: Signer) -> None:
    (archive / "dists/bookworm" / INDEX).unlink()
    message = refused(archive, signer.keyring, DownloadError)
    assert f"it has no dists/bookworm/{INDEX}, which InRelease lists" in message
    in_release(archive).write_bytes(signer.sign(RELEASE.format(suite="bookworm")))
    message = refused(archive, signer.keyring, DownloadError)
    assert "InRelease lists no main/binary-amd64/Packages.xz and no .gz" in message
    in_release(archive).unlink()
    assert "it has no dists/bookworm/InRelease" in refused(archive, signer.keyring, DownloadError)


def test_a_damaged_index_that_is_vouched_for(archive: Path, signer: Signer) -> None:
    index = archive / "dists/bookworm" / INDEX
    index.write_bytes(index.read_bytes()[:-20])
    text = RELEASE.format(suite="bookworm") + listed(INDEX, index.read_bytes())
    in_release(archive).write_bytes(signer.sign(text))
    assert "is damaged" in refused(archive, signer.keyring, DownloadError)


# What is needed here


def test_a_missing_keyring(archive: Path, tmp_path: Path) -> None:
    message = refused(archive, tmp_path / "none.gpg", InputError)
    assert f"{tmp_path}/none.gpg: there is no such keyring" in message
    assert "install debian-archive-keyring" in message


def test_what_is_no_keyring(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "text.gpg").write_text("no keys\n")
    message = refused(archive, tmp_path / "text.gpg", VerificationError)
    assert "no key of the keyring vouches for it" in message


def test_without_gpgv(
    archive: Path, signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    message = refused(archive, signer.keyring, ToolError)
    assert "gpgv is not installed" in message
    assert "install gpgv" in message
