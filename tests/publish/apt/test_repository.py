from __future__ import annotations

import errno
import gzip
import hashlib
import json
import lzma
import os
import shutil
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from debian.deb822 import Packages, Release, Sources

from pkggen.errors import Faults, InputError, ToolError, VerificationError
from pkggen.publish.apt.initialise import Wanted, initialise
from pkggen.publish.apt.repository import opened
from pkggen.publish.apt.suites import KEPT_GENERATIONS
from tests.publish.apt.conftest import WANTED, add, copy_of, packages, tree
from tests.publish.apt.make import (
    TIME,
    changes_text,
    deb_data,
    dsc_text,
    source_files,
    write_deb,
    write_source,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STABLE = "public/dists/stable"


def release(repository: Path) -> Release:
    return Release((repository / STABLE / "Release").read_text())


def test_indices_are_as_python_debian_reads_them(repository: Path, tmp_path: Path) -> None:
    every = write_deb(tmp_path / "in", architecture="all", name="doc")
    only = write_deb(tmp_path / "in", version="1:2.0-1", more="Source: libgreet (2.0-1)\n")
    add(repository, every, only, write_source(tmp_path / "in"))
    suite = repository / STABLE
    amd64 = list(
        Packages.iter_paragraphs(
            (suite / "main/binary-amd64/Packages").read_text(), use_apt_pkg=False
        )
    )
    arm64 = list(
        Packages.iter_paragraphs(
            (suite / "main/binary-arm64/Packages").read_text(), use_apt_pkg=False
        )
    )
    assert [stanza["Package"] for stanza in amd64] == ["doc", "hello"]
    assert [stanza["Package"] for stanza in arm64] == ["doc"]
    assert amd64[1]["Filename"] == "pool/main/libg/libgreet/hello_2.0-1_amd64.deb"
    for stanza in amd64:
        data = (repository / "public" / stanza["Filename"]).read_bytes()
        assert int(stanza["Size"]) == len(data)
        assert stanza["SHA256"] == hashlib.sha256(data).hexdigest()
        assert stanza["Description"] == "a greeting\n It says more\n .\n than one line."
    (source,) = Sources.iter_paragraphs(
        (suite / "main/source/Sources").read_text(), use_apt_pkg=False
    )
    assert (source["Package"], source["Version"]) == ("hello", "1.0-1")
    assert "Source" not in source
    assert {line["name"] for line in source["Checksums-Sha256"]} == {
        "hello_1.0-1.dsc",
        *source_files(),
    }
    for line in source["Checksums-Sha256"]:
        data = (repository / "public" / source["Directory"] / line["name"]).read_bytes()
        assert (line["sha256"], int(line["size"])) == (hashlib.sha256(data).hexdigest(), len(data))
    for line in source["Files"]:
        data = (repository / "public" / source["Directory"] / line["name"]).read_bytes()
        assert line["md5sum"] == hashlib.md5(data, usedforsecurity=False).hexdigest()


def test_release_lists_every_index_also_by_hash(repository: Path, tmp_path: Path) -> None:
    add(repository, write_deb(tmp_path / "in"))
    suite = repository / STABLE
    fields = release(repository)
    assert (fields["Acquire-By-Hash"], fields["Architectures"]) == ("yes", "amd64 arm64")
    assert (fields["Origin"], fields["Suite"], fields["Components"]) == (
        "greetings",
        "stable",
        "main",
    )
    assert "Valid-Until" not in fields
    listed = {line["name"]: line for line in fields["SHA256"]}
    assert len(listed) == 9
    for name, line in listed.items():
        data = (suite / name).read_bytes()
        assert (line["sha256"], int(line["size"])) == (hashlib.sha256(data).hexdigest(), len(data))
        assert ((suite / name).parent / "by-hash/SHA256" / line["sha256"]).read_bytes() == data
    plain = (suite / "main/binary-amd64/Packages").read_bytes()
    assert gzip.decompress((suite / "main/binary-amd64/Packages.gz").read_bytes()) == plain
    assert lzma.decompress((suite / "main/binary-amd64/Packages.xz").read_bytes()) == plain


def test_the_same_packages_give_the_same_bytes(repository: Path, tmp_path: Path) -> None:
    other = copy_of(repository, tmp_path / "other")
    files = [write_deb(tmp_path / "in", name) for name in ("bb", "aa", "cc")]
    add(repository, *files)
    add(repository, files[0])
    add(other, *reversed(files))
    names = ("Release", "InRelease", "Release.gpg", "main/binary-amd64/Packages.xz")
    for name in names:
        assert (repository / STABLE / name).read_bytes() == (other / STABLE / name).read_bytes()


def test_what_is_there_is_no_change_and_other_bytes_are_refused(
    repository: Path, tmp_path: Path
) -> None:
    deb = write_deb(tmp_path / "in")
    assert [done.changed for done in add(repository, deb)] == [True]
    before = tree(repository / "public")
    assert [done.changed for done in add(repository, deb)] == [False]
    other = write_deb(tmp_path / "other", content=b"another greeting")
    moved = write_deb(tmp_path / "moved", more="Source: elsewhere\n")
    for file in (other, moved):
        with pytest.raises(InputError, match="raise the revision"):
            add(repository, file)
    assert tree(repository / "public") == before


def test_epochs_share_a_file_name(repository: Path, tmp_path: Path) -> None:
    add(repository, write_deb(tmp_path / "in", version="1.0-1"))
    with pytest.raises(InputError, match="raise the revision"):
        add(repository, write_deb(tmp_path / "in", version="1:1.0-1"))
    assert packages(repository) == ["hello 1.0-1 amd64"]


def test_one_bad_file_of_several_changes_nothing(repository: Path, tmp_path: Path) -> None:
    before = tree(repository)
    (tmp_path / "bad.deb").write_bytes(deb_data()[:-90])
    (tmp_path / "fifo.deb").parent.mkdir(exist_ok=True)
    os.mkfifo(tmp_path / "fifo.deb")
    files = [
        write_deb(tmp_path / "in"),
        tmp_path / "bad.deb",
        tmp_path / "missing.deb",
        tmp_path / "fifo.deb",
        tmp_path / "text.txt",
    ]
    with pytest.raises(Faults) as refused:
        add(repository, *files)
    assert refused.value.exit_code == InputError.exit_code
    for word in ("breaks off", "No such file", "not a regular file", "not a .deb, .dsc"):
        assert word in str(refused.value)
    assert tree(repository) == before


def test_two_files_for_one_package(repository: Path, tmp_path: Path) -> None:
    one = write_deb(tmp_path / "in")
    same = write_deb(tmp_path / "same")
    other = write_deb(tmp_path / "other", content=b"another greeting")
    with pytest.raises(InputError, match="two different packages"):
        add(repository, one, other)
    assert len(add(repository, one, same)) == 1


def test_an_upload_brings_everything(repository: Path, tmp_path: Path) -> None:
    place = tmp_path / "in"
    dsc = write_source(place)
    deb = write_deb(place, version="1.0-1")
    info = place / "hello_1.0-1_amd64.buildinfo"
    info.write_text(changes_text({deb.name: deb.read_bytes()}).replace("Files:", "X-Files:"))
    names = (dsc.name, *source_files(), deb.name, info.name)
    changes = place / "hello_1.0-1_amd64.changes"
    changes.write_text(changes_text({name: (place / name).read_bytes() for name in names}))
    done = add(repository, changes, info, deb)
    assert [str(one.entry) for one in done] == ["hello 1.0-1 amd64", "hello 1.0-1 source"]
    pool = {path.name for path in (repository / "public/pool").rglob("*") if path.is_file()}
    assert pool == {*names} - {info.name}


@pytest.mark.parametrize("suffix", [".dsc", ".tar.xz", ".deb", ".buildinfo"])
def test_a_wrong_checksum_of_an_upload(repository: Path, tmp_path: Path, suffix: str) -> None:
    place = tmp_path / "in"
    names = [write_source(place).name, *source_files(), write_deb(place).name, "x.buildinfo"]
    (place / "x.buildinfo").write_text(changes_text({"hello.deb": b""}))
    changes = place / "x.changes"
    changes.write_text(changes_text({name: (place / name).read_bytes() for name in names}))
    before = tree(repository)
    wrong = place / next(name for name in names if name.endswith(suffix))
    data = wrong.read_bytes()
    wrong.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(VerificationError, match=f"{wrong.name}: the (md5|sha1|sha256) is"):
        add(repository, changes)
    assert tree(repository) == before


def test_strange_files_of_an_upload_are_refused(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "tool.bin").write_bytes(b"1")
    changes = tmp_path / "x.changes"
    changes.write_text(changes_text({"tool.bin": b"1"}))
    with pytest.raises(InputError, match=r"tool\.bin is neither"):
        add(repository, changes)


def test_a_source_keeps_its_original_tarball(repository: Path, tmp_path: Path) -> None:
    place = tmp_path / "in"
    add(repository, write_source(place))
    files = source_files()
    orig = "hello_1.0.orig.tar.xz"
    new = {orig: files[orig], "hello_1.0-2.debian.tar.xz": b"new"}
    for name, data in new.items():
        (place / name).write_bytes(data)
    (place / "hello_1.0-2.dsc").write_text(dsc_text(new, version="1.0-2"))
    add(repository, place / "hello_1.0-2.dsc")
    (place / orig).write_bytes(b"other")
    new[orig] = b"other"
    (place / "hello_1.0-3.dsc").write_text(dsc_text(new, version="1.0-3"))
    with pytest.raises(InputError, match=orig):
        add(repository, place / "hello_1.0-3.dsc")
    assert packages(repository) == ["hello 1.0-1 source", "hello 1.0-2 source"]


def test_architectures_and_suites_that_are_not_there(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--architecture riscv64"):
        add(repository, write_deb(tmp_path / "in", architecture="riscv64"))
    with pytest.raises(InputError, match="no suite next"):
        add(repository, write_deb(tmp_path / "in"), suite="next")


@pytest.mark.slow
def test_remove(repository: Path, tmp_path: Path) -> None:
    files = [write_deb(tmp_path / "in", version=version) for version in ("1-1", "2-1", "3-1")]
    add(repository, *files, write_deb(tmp_path / "in", "other"), write_source(tmp_path / "in"))
    with opened(repository) as here:
        here.remove("hello", version="2-1")
    assert packages(repository) == [
        "hello 1-1 amd64",
        "hello 1.0-1 source",
        "hello 3-1 amd64",
        "other 1.0-0pkggen1 amd64",
    ]
    with opened(repository) as here:
        here.remove("hello")
    assert packages(repository) == ["other 1.0-0pkggen1 amd64"]
    for arguments in ({"name": "hello"}, {"name": "other", "version": "9"}):
        with opened(repository) as here, pytest.raises(InputError, match="there is no"):
            here.remove(**arguments)
    with opened(repository) as here, pytest.raises(InputError, match="in next"):
        here.remove("other", suite="next")


def test_the_pool_keeps_what_the_last_generations_list(repository: Path, tmp_path: Path) -> None:
    deb = write_deb(tmp_path / "in")
    add(repository, deb)
    with opened(repository) as here:
        here.remove("hello")
    file = repository / "public/pool/main/h/hello" / deb.name
    for number in range(KEPT_GENERATIONS - 1):
        assert file.exists()
        add(repository, write_deb(tmp_path / "in", "other", f"{number}-1"))
    assert not file.exists()
    assert not file.parent.exists()
    generations = repository / "public/dists/.generations/stable"
    assert len([path for path in generations.iterdir() if path.name.isdecimal()]) == 3


@pytest.mark.slow
def test_dates(repository: Path, tmp_path: Path) -> None:
    made = release(repository)["Date"]
    add(repository, write_deb(tmp_path / "in", time=TIME))
    assert release(repository)["Date"] == made  # the key is newer than the package
    late = int(time.time()) + 1000
    deb = write_deb(tmp_path / "in", version="2-1", time=late)
    with pytest.raises(InputError, match="in the future"):
        add(repository, deb)
    with opened(repository) as here, pytest.raises(InputError, match="is before"):
        here.add([deb], "stable", date=TIME)
    now = int(time.time())
    with opened(repository) as here:
        here.add([deb], "stable", date=now)
    newest = release(repository)["Date"]
    assert newest == time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime(now))
    with opened(repository) as here:
        here.remove("hello")
    assert release(repository)["Date"] == newest


def test_http_can_tell_generations_apart(repository: Path, tmp_path: Path) -> None:
    times = [(repository / STABLE / "InRelease").stat().st_mtime]
    for version in ("1-1", "2-1"):
        add(repository, write_deb(tmp_path / "in", version=version))
        times.append((repository / STABLE / "InRelease").stat().st_mtime)
    assert [int(seconds) for seconds in times] == times
    assert sorted(set(times)) == times


@pytest.mark.parametrize("name", ["Release", "main/binary-amd64/Packages"])
def test_what_was_tampered_with_is_not_signed(repository: Path, tmp_path: Path, name: str) -> None:
    add(repository, write_deb(tmp_path / "in"))
    file = repository / STABLE / name
    file.write_bytes(file.read_bytes().replace(b"main", b"evil"))
    before = tree(repository / "public")
    with pytest.raises(VerificationError, match="restore them from a backup"):
        add(repository, write_deb(tmp_path / "in", "other"))
    assert tree(repository / "public") == before


def test_publish_hashes_the_pool_again(repository: Path, tmp_path: Path) -> None:
    add(repository, write_deb(tmp_path / "in"), write_source(tmp_path / "in"))
    (repository / "public/pool/main/h/hello/hello_1.0.orig.tar.xz").write_bytes(b"evil")
    with opened(repository) as here, pytest.raises(VerificationError, match=r"orig\.tar\.xz"):
        here.publish()
    with opened(repository) as here:
        here.remove("hello", version="1.0-1")
        here.publish()


@pytest.mark.parametrize("lost", [STABLE, f"{STABLE}/Release", f"{STABLE}/main/source/Sources"])
def test_nothing_is_deleted_because_something_is_lost(
    repository: Path, tmp_path: Path, lost: str
) -> None:
    add(repository, write_deb(tmp_path / "in"))
    (repository / lost).unlink()
    before = tree(repository)
    with pytest.raises(InputError, match="is missing"):
        add(repository, write_deb(tmp_path / "in", "other"))
    with pytest.raises(InputError, match="is missing"):
        initialise(repository, replace(WANTED, architectures=("riscv64",)))
    assert tree(repository) == before


def test_a_copy_without_links_is_refused(repository: Path, tmp_path: Path) -> None:
    (repository / STABLE).unlink()
    (repository / STABLE).mkdir()
    with pytest.raises(InputError, match="cp -a"):
        add(repository, write_deb(tmp_path / "in"))


@pytest.mark.slow
@pytest.mark.parametrize("call", ["fsync", "link", "symlink", "replace", "mkdir"])
def test_a_full_disk_leaves_it_as_it_was(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    add(repository, write_deb(tmp_path / "in"))
    before = tree(repository)

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "file")

    new = write_deb(tmp_path / "in", "other")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        patch.setattr(shutil, "copyfile", fail)
        with pytest.raises(ToolError, match="No space left"):
            add(repository, new)
    assert tree(repository) == before
    add(repository, new)


def test_file_systems_without_links(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", fail)
    add(repository, write_deb(tmp_path / "in"))
    test_release_lists_every_index_also_by_hash(repository, tmp_path)


# The key


def gpg(home: Path, *argv: str) -> str:
    done = subprocess.run(
        ["gpg", "--homedir", home, "--batch", *argv], check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.fixture
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a keyring of a user."""
    home = tmp_path_factory.mktemp("k")
    yield home
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=False)


def fingerprint_in(keyring: Path) -> str:
    listed = gpg(keyring, "--with-colons", "--list-secret-keys")
    return next(line for line in listed.splitlines() if line.startswith("fpr")).split(":")[9]


@pytest.mark.slow
def test_a_key_of_the_user(keyring: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpg(keyring, "--passphrase", "", "--quick-generate-key", "me", "rsa2048", "sign", "never")
    monkeypatch.setenv("GNUPGHOME", str(keyring))
    fingerprint = fingerprint_in(keyring)
    wanted = Wanted(name=None, url=None, fingerprint=fingerprint, suites=(), architectures=())
    place = tmp_path / "mine"
    settings = initialise(place, wanted)
    assert (settings.fingerprint, settings.suites, settings.architectures) == (
        fingerprint,
        ("stable",),
        ("amd64",),
    )
    add(place, write_deb(tmp_path / "in"))
    assert not (place / "private/gnupg").exists()
    gpg(keyring, "--quick-set-expire", fingerprint, "seconds=1")
    time.sleep(2.1)
    before = tree(place)
    with pytest.raises(InputError, match="has expired"):
        add(place, write_deb(tmp_path / "in", "other"))
    assert tree(place) == before
    gpg(keyring, "--yes", "--delete-secret-keys", fingerprint)
    with pytest.raises(InputError, match="no secret key"):
        add(place, write_deb(tmp_path / "in", "other"))


@pytest.mark.slow
def test_a_younger_subkey_signs(
    keyring: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--passphrase", "", "--faked-system-time", str(TIME), "--quick-generate-key")
    gpg(keyring, *words, "me", "ed25519", "cert", "never")
    monkeypatch.setenv("GNUPGHOME", str(keyring))
    fingerprint = fingerprint_in(keyring)
    wanted = Wanted(name=None, url=None, fingerprint=fingerprint, suites=(), architectures=())
    with pytest.raises(InputError, match="cannot sign"):
        initialise(tmp_path / "mine", wanted)
    gpg(keyring, "--passphrase", "", "--quick-add-key", fingerprint, "ed25519", "sign", "never")
    initialise(tmp_path / "mine", wanted)
    add(tmp_path / "mine", write_deb(tmp_path / "in"))
    assert packages(tmp_path / "mine") == ["hello 1.0-0pkggen1 amd64"]


def test_a_key_that_is_not_there(
    tmp_path: Path, keyring: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GNUPGHOME", str(keyring))
    for fingerprint, message in (("A" * 40, "no secret key"), ("alice", "fingerprint")):
        wanted = Wanted(name=None, url=None, fingerprint=fingerprint, suites=(), architectures=())
        with pytest.raises(InputError, match=message):
            initialise(tmp_path / "new", wanted)
        assert not (tmp_path / "new").exists()


def test_without_gpg(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(repository)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="gpg is not installed"):
        add(repository, write_deb(tmp_path / "in"))
    assert tree(repository) == before
    with pytest.raises(ToolError, match="gpg is not installed"):
        initialise(tmp_path / "new", WANTED)
    assert not (tmp_path / "new").exists()


def test_what_others_may_read(repository: Path, tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        add(repository, write_deb(tmp_path / "in"))
    finally:
        os.umask(old)
    assert (repository / "private").stat().st_mode & 0o777 == 0o700
    for path in (repository / "public").rglob("*"):
        assert path.stat().st_mode & 0o555 == (0o555 if path.is_dir() else 0o444), path


def test_no_agent_and_no_secret_is_left(repository: Path, tmp_path: Path) -> None:
    add(repository, write_deb(tmp_path / "in"))
    assert [p for p in (repository / "private/gnupg").iterdir() if p.is_socket()] == []
    assert not any(
        b"PRIVATE" in data
        for data in tree(repository / "public").values()
        if isinstance(data, bytes)
    )


# What it is like


def test_more_suites_and_architectures(repository: Path, tmp_path: Path) -> None:
    add(repository, write_deb(tmp_path / "in", architecture="all"))
    wanted = Wanted(
        name="greetings", url="https://new.example.org", fingerprint=None,
        suites=("stable", "next"), architectures=("riscv64",),
    )  # fmt: skip
    settings = initialise(repository, wanted)
    assert settings.suites == ("stable", "next")
    assert settings.architectures == ("amd64", "arm64", "riscv64")
    index = repository / STABLE / "main/binary-riscv64/Packages"
    assert "Package: hello" in index.read_text()
    assert "https://new.example.org/" in (repository / "public/greetings.sources").read_text()
    assert "Suites: next" in (repository / "public/greetings-next.sources").read_text()
    before = tree(repository)
    for name, key in (("other", None), (None, "A" * 40)):
        other = Wanted(name=name, url=None, fingerprint=key, suites=(), architectures=())
        with pytest.raises(InputError, match="keeps its name and its key"):
            initialise(repository, other)
    assert tree(repository) == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "../x"},
        {"name": "A"},
        {"url": "https://x/'; rm"},
        {"url": "javascript:alert"},
        {"url": "http://user@x/"},
        {"suites": ("../x",)},
        {"suites": (".generations",)},
        {"architectures": ("all",)},
        {"architectures": ("a/b",)},
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, wrong: dict[str, object]) -> None:
    stated = {"name": None, "url": None, "fingerprint": None, "suites": (), "architectures": ()}
    with pytest.raises(InputError):
        initialise(tmp_path / "new", Wanted(**(stated | wrong)))  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()


def test_a_directory_that_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="no repository"):
        initialise(tmp_path, WANTED)
    with pytest.raises(InputError, match="pkggen apt init"), opened(tmp_path):
        pass


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "suites": 3, "architectures": []}']
)
def test_settings_that_are_damaged(repository: Path, text: str) -> None:
    (repository / "repository.json").write_text(text)
    with pytest.raises(InputError, match=r"repository\.json"), opened(repository):
        pass


def test_the_page_and_the_sources(repository: Path) -> None:
    page = (repository / "public/index.html").read_text()
    fingerprint = json.loads((repository / "repository.json").read_text())["fingerprint"]
    assert " ".join(fingerprint[i : i + 4] for i in range(0, 40, 4)) in page
    assert "--output /etc/apt/sources.list.d/greetings.sources" in page
    assert "https://example.org/greetings/greetings.sources" in page
    assert "src=" not in page
    key = (repository / "public/greetings.asc").read_text()
    sources = (repository / "public/greetings.sources").read_text()
    stated = sources.partition("Signed-By:\n")[2].splitlines()
    assert [line[1:].removeprefix(".") for line in stated] == key.splitlines()


def test_an_edited_page_is_kept(repository: Path) -> None:
    page = repository / "public/index.html"
    page.write_text("<p>Mine</p>")
    (repository / "public/greetings.asc").write_text("not the key")
    with opened(repository) as here:
        kept = here.publish()
    assert [str(path) for path in kept] == ["index.html"]
    assert page.read_text() == "<p>Mine</p>"
    assert "PUBLIC KEY" in (repository / "public/greetings.asc").read_text()
