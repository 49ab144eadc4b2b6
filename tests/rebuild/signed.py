"""Tiny archives of Debian packages, signed by a key made for the tests."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

GPG: Final = ("gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "")
"""It asks nobody."""
RELEASE: Final = """\
Origin: Tests
Suite: oldstable
Codename: {suite}
Date: Sat, 01 Jan 2022 00:00:00 UTC
Valid-Until: Sat, 08 Jan 2022 00:00:00 UTC
SHA256:
"""


@dataclass(frozen=True, slots=True)
class Signer:
    """A key of GnuPG's, in a home of its own."""

    home: Path
    """GnuPG's home."""

    @property
    def keyring(self) -> Path:
        """The public key, as gpgv takes it."""
        return self.home / "public.gpg"

    def gpg(self, *argv: str, stdin: str = "") -> bytes:
        """Run gpg and return what it prints."""
        return subprocess.run(
            [*GPG, "--homedir", str(self.home), *argv],
            input=stdin.encode(),
            check=True,
            capture_output=True,
        ).stdout

    def sign(self, text: str) -> bytes:
        """Return a text with the signature that `InRelease` has."""
        return self.gpg("--clearsign", "--digest-algo", "SHA256", stdin=text)


@contextmanager
def new_signer() -> Iterator[Signer]:
    """Make a key; skip where there is no GnuPG."""
    for tool in ("gpg", "gpgv"):
        if shutil.which(tool) is None:
            pytest.skip(f"SIGNED ARCHIVES NOT TRIED: {tool} not found")
    # The path of a socket has room for few characters only.
    with tempfile.TemporaryDirectory(prefix="gpg-", ignore_cleanup_errors=True) as home:
        signer = Signer(Path(home))
        signer.gpg("--quick-generate-key", "A test <nobody@example.org>", "ed25519", "sign")
        signer.keyring.write_bytes(signer.gpg("--export"))
        try:
            yield signer
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


def write_archive(
    directory: Path, signer: Signer, *stanzas: str, suite: str = "bookworm", packer: str = "xz"
) -> str:
    """Write one suite of an archive, and return the archive's URL."""
    place = directory / "dists" / suite
    path = f"main/binary-amd64/Packages.{packer}"
    text = "".join(stanzas).encode()
    packed = lzma.compress(text) if packer == "xz" else gzip.compress(text, mtime=0)
    (place / path).parent.mkdir(parents=True, exist_ok=True)
    (place / path).write_bytes(packed)
    release = RELEASE.format(suite=suite) + listed(path, packed)
    (place / "InRelease").write_bytes(signer.sign(release))
    return directory.resolve().as_uri()


def listed(path: str, data: bytes) -> str:
    """Return the line of a file in `InRelease`."""
    return f" {hashlib.sha256(data).hexdigest()} {len(data):>8} {path}\n"
