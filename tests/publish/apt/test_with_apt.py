"""What a real apt makes of the repository, over file: and over HTTP."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from pkggen.publish.apt.initialise import Wanted, initialise
from pkggen.publish.apt.repository import opened
from pkggen.publish.apt.serve import Server
from tests.publish.apt.conftest import add, copy_of
from tests.publish.apt.make import control, write_deb, write_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.publish.apt.conftest import Apt


@pytest.fixture
def filled(repository: Path, tmp_path: Path) -> Path:
    """Return a repository with a binary and a source package."""
    add(repository, write_deb(tmp_path / "in"), write_source(tmp_path / "in"))
    return repository


def trust(apt: Apt, repository: Path) -> None:
    apt.trust(repository / "public/greetings.sources", f"file:{repository}/public/")


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@contextmanager
def served(repository: Path) -> Iterator[tuple[str, list[str]]]:
    log: list[str] = []
    with Server(repository / "public", bind="127.0.0.1", port=0, log=log.append) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.url, log
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.slow
def test_over_file(filled: Path, apt: Apt) -> None:
    trust(apt, filled)
    apt.update()
    assert apt.listed() == {"hello 1.0-0pkggen1"}
    done = apt.run("download", "hello")
    assert done.returncode == 0, done.stdout
    deb = apt.root / "hello_1.0-0pkggen1_amd64.deb"
    assert deb.read_bytes() == (filled / "public/pool/main/h/hello" / deb.name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("packing", ["xz", "zstd"])
def test_what_dpkg_deb_packs_is_installed(
    repository: Path, apt: Apt, tmp_path: Path, packing: str
) -> None:
    if os.geteuid() != 0 or shutil.which("dpkg-deb") is None:
        pytest.skip("NOTHING INSTALLED: be root, and install dpkg")
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(control())
    (tree / "usr/share").mkdir(parents=True)
    (tree / "usr/share/hello").write_text("greeting")
    deb = tmp_path / "hello_1.0-0pkggen1_amd64.deb"
    command = ["dpkg-deb", f"-Z{packing}", "--root-owner-group", "-b", str(tree), str(deb)]
    subprocess.run(command, check=True, capture_output=True)
    add(repository, deb)
    trust(apt, repository)
    apt.update()
    root = tmp_path / "root"
    (root / "var/lib/dpkg/updates").mkdir(parents=True)
    (root / "var/lib/dpkg/info").mkdir()
    (root / "var/lib/dpkg/status").touch()
    options = (f"--root={root}", "--force-architecture", "--log=/dev/null")
    done = apt.run(
        *("install", "--yes", "hello"),
        options=[f"Dir::Log={tmp_path}", *(f"DPkg::Options::={option}" for option in options)],
    )
    assert done.returncode == 0, done.stdout
    assert (root / "usr/share/hello").read_text() == "greeting"


@pytest.mark.slow
def test_sources_are_got_and_unpacked(filled: Path, apt: Apt) -> None:
    trust(apt, filled)
    apt.update()
    argv = ["--download-only"] if shutil.which("dpkg-source") is None else []
    done = apt.run("source", *argv, "hello")
    assert done.returncode == 0, done.stdout
    assert (apt.root / "hello_1.0-1.dsc").is_file()
    if argv:
        pytest.skip("SOURCE NOT UNPACKED: install dpkg-dev")
    assert (apt.root / "hello-1.0/README").read_text() == "read\n"


@pytest.mark.slow
def test_over_http_by_hash(filled: Path, apt: Apt, tmp_path: Path) -> None:
    with served(filled) as (url, log):
        apt.trust(filled / "public/greetings.sources", url)
        apt.update()
        asked = [line.split()[2] for line in log if '"GET' in line]
        assert [path for path in asked if "Packages" in path] == []
        assert sum("/binary-amd64/by-hash/SHA256/" in path for path in asked) == 1
        assert sum("/source/by-hash/SHA256/" in path for path in asked) == 1
        log.clear()
        apt.update()
        assert [line.split()[-2] for line in log] == ["304"]
        add(filled, write_deb(tmp_path / "in", version="1.1-1"))
        log.clear()
        apt.update()
        assert apt.listed() == {"hello 1.0-0pkggen1", "hello 1.1-1"}
        done = apt.run("download", "hello=1.0-0pkggen1")
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_an_index_read_a_moment_ago_can_still_be_used(
    filled: Path, apt: Apt, tmp_path: Path
) -> None:
    with served(filled) as (url, _):
        apt.trust(filled / "public/greetings.sources", url)
        old = (filled / "public/dists/stable/InRelease").read_bytes()
        for version in ("2-1", "3-1"):
            add(filled, write_deb(tmp_path / "in", version=version))
        # As if these had happened between two requests of apt.
        link = filled / "public/dists/stable"
        current = link.resolve()
        (current / "InRelease").write_bytes(old)
        apt.update()
        assert apt.listed() == {"hello 1.0-0pkggen1"}


@pytest.mark.slow
def test_a_tampered_index_is_refused(filled: Path, apt: Apt) -> None:
    trust(apt, filled)
    # The names by hash are links to the same bytes.
    for file in (filled / "public/dists/stable/main/binary-amd64").glob("Packages*"):
        file.write_bytes(flipped(file.read_bytes()))
    assert "Hash Sum mismatch" in apt.refuses("update", "--error-on=any")


@pytest.mark.slow
def test_a_tampered_package_is_refused(filled: Path, apt: Apt) -> None:
    trust(apt, filled)
    apt.update()
    deb = next((filled / "public/pool").rglob("*.deb"))
    deb.write_bytes(flipped(deb.read_bytes()))
    assert "Hash Sum mismatch" in apt.refuses("download", "hello")


@pytest.mark.slow
def test_a_tampered_release_is_refused(filled: Path, apt: Apt) -> None:
    trust(apt, filled)
    file = filled / "public/dists/stable/InRelease"
    file.write_bytes(file.read_bytes().replace(b"Components: main", b"Components: evil"))
    assert "BADSIG" in apt.refuses("update", "--error-on=any")


@pytest.mark.slow
def test_another_key_is_refused(filled: Path, apt: Apt) -> None:
    sources = filled / "public/greetings.sources"
    keyring = apt.root / "other"
    keyring.mkdir(mode=0o700)
    environment = {"PATH": "/usr/bin:/bin", "GNUPGHOME": str(keyring)}
    argv = ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", "x", "ed25519", "sign"]
    subprocess.run(argv, check=True, env=environment, capture_output=True)
    argv = ["gpg", "--armor", "--export"]
    other = subprocess.run(argv, check=True, env=environment, capture_output=True, text=True)
    subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=True, env=environment)
    start = sources.read_text().partition("Signed-By:")[0]
    key = "".join(f" {line or '.'}\n" for line in other.stdout.splitlines())
    sources.write_text(f"{start}Signed-By:\n{key}")
    trust(apt, filled)
    assert "NO_PUBKEY" in apt.refuses("update", "--error-on=any")


@pytest.mark.slow
def test_suites_are_apart(filled: Path, apt: Apt, tmp_path: Path) -> None:
    wanted = Wanted(name=None, url=None, fingerprint=None, suites=("next",), architectures=())
    initialise(filled, wanted)
    add(filled, write_deb(tmp_path / "in", version="2-1"), suite="next")
    trust(apt, filled)
    apt.update()
    assert apt.listed() == {"hello 1.0-0pkggen1"}
    apt.trust(filled / "public/greetings-next.sources", f"file:{filled}/public/")
    apt.update()
    assert apt.listed() == {"hello 2-1"}


@pytest.mark.slow
def test_a_place_with_spaces_and_a_long_path(filled: Path, apt: Apt, tmp_path: Path) -> None:
    place = tmp_path / "a place" / ("long" * 8)
    place.parent.mkdir()
    copy_of(filled, place)
    add(place, write_deb(tmp_path / "in", version="2-1", architecture="all"))
    apt.trust(place / "public/greetings.sources", f"{(place / 'public').as_uri()}/")
    apt.update()
    assert "hello 2-1" in apt.listed()


@pytest.mark.slow
def test_published_again_apt_is_content(filled: Path, apt: Apt) -> None:
    trust(apt, filled)
    apt.update()
    with opened(filled) as repository:
        repository.publish()
    apt.update()
    assert apt.listed() == {"hello 1.0-0pkggen1"}
