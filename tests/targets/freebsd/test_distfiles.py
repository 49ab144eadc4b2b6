from __future__ import annotations

import hashlib

import pytest

from pkggen.opam.package import Checksum
from pkggen.recipe.distfiles import Distfile, carried_distfile
from pkggen.recipe.plan import Carried
from pkggen.sources.model import Source, Use
from pkggen.targets.freebsd.distfiles import (
    Listed,
    Mirrors,
    distfiles,
    distinfo,
    faults,
    listed,
    master_sites,
)
from pkggen.tree import Bytes

SHA256 = hashlib.sha256(b"x").hexdigest()
SHA512 = hashlib.sha512(b"x").hexdigest()
MIRRORS = Mirrors(own=("https://own.example.org/",), public=("https://public.example.org",))


def source(kind: str, *urls: str) -> Distfile:
    git = kind == "git"
    return Distfile(
        name="a.1-12345678.tar",
        sha256=SHA256,
        size=1,
        content=Bytes(b"x"),
        commit="0" * 40 if git else None,
        source=Source(
            kind="git" if git else "archive",
            file_name="a.1-12345678.tar",
            checksums=() if git else (Checksum(kind="sha512", digest=SHA512),),
            urls=urls,
            users=(Use("package", "a"),),
            commit="0" * 40 if git else None,
        ),
    )


def one(distfile: Distfile) -> Listed:
    found = listed(distfile, MIRRORS)
    assert found is not None
    return found


def test_recorded_addresses_come_first_then_mirrors() -> None:
    made = one(source("archive", "https://e.org/a.tar", "file:///a.tar", "ftp://e.org/a.tar"))
    key = f"sha512/{SHA512[:2]}/{SHA512}"
    assert made.sites == (
        *("https://e.org/a.tar", "ftp://e.org/a.tar"),
        *(f"https://own.example.org/{key}", f"https://public.example.org/{key}"),
    )


def test_a_commit_is_on_mirrors_of_the_user_only() -> None:
    made = one(source("git", "git+https://e.org/a.git"))
    assert made.sites == (f"https://own.example.org/sha256/{SHA256[:2]}/{SHA256}",)
    alone = listed(source("git", "git+https://e.org/a.git"), Mirrors(public=("https://p.org",)))
    assert alone is not None
    assert distfiles([alone]) == ["a.1-12345678.tar"]
    (fault,) = faults([made, alone])
    assert fault.where == "a.1-12345678.tar"
    assert "--distdir" in (fault.hint or "")


def test_what_the_record_carries_is_no_distfile() -> None:
    carried = carried_distfile(Carried(file_name="a", content=b"x"), Bytes(b"x"))
    assert listed(carried, MIRRORS) is None


def test_each_file_has_a_group_whose_sites_swallow_its_name() -> None:
    files = [
        Listed(
            name="a.tar", sha256=SHA256, size=1, sites=("https://e.org/x", "https://e.org/y?z=1")
        )
    ]
    group = f"g{SHA256[:12]}"
    assert master_sites(files) == [
        f"https://e.org/x?dummy=/:{group}",
        f"https://e.org/y?z=1&dummy=/:{group}",
    ]
    assert distfiles(files) == [f"a.tar:{group}"]


@pytest.mark.parametrize("name", ["a:b", "a b", "../a", "-a"])
def test_hostile_names(name: str) -> None:
    with pytest.raises(Exception, match="cannot be used"):
        distfiles([Listed(name=name, sha256=SHA256, size=1)])


def test_distinfo() -> None:
    assert distinfo(7, "mirage", [Listed(name="a", sha256=SHA256, size=1)]) == (
        f"TIMESTAMP = 7\nSHA256 (mirage/a) = {SHA256}\nSIZE (mirage/a) = 1\n"
    )
