from __future__ import annotations

import hashlib
import re
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkggen.errors import Faults, InputError
from pkggen.opam.switch import read_switch
from pkggen.sources.model import ARCHIVE_SUFFIXES, Use, collect_sources
from tests.sources.make import Package, export

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.sources.model import Source

A = "sha256=" + "a" * 64
B = "sha256=" + "b" * 64
MD5 = "md5=" + "1" * 32
SHA512 = "sha512=" + "c" * 128
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def one(package: Package) -> Source:
    (source,) = collect_sources(export(package))
    return source


def refused(package: Package) -> str:
    with pytest.raises(InputError) as caught:
        collect_sources(export(package))
    assert str(caught.value).startswith("opam-switch: a")
    return str(caught.value)


@pytest.mark.parametrize("suffix", [*ARCHIVE_SUFFIXES, ".TAR.GZ"])
def test_names_end_as_the_address_does(suffix: str) -> None:
    source = one(Package("a", f"https://x.org/v1{suffix}?query#part", (A,)))
    assert source.file_name == f"a.1-aaaaaaaa{suffix.lower()}"
    assert source.suffix == suffix.lower()
    assert source.kind == "archive"


@pytest.mark.parametrize("path", ["v1", "a.tar.zst", "a.exe", "a.tar.gz/", "%2e%2e/x"])
def test_other_ends_are_left_out(path: str) -> None:
    source = one(Package("a", f"https://x.org/{path}", (A,)))
    assert source.file_name == "a.1-aaaaaaaa"
    assert source.suffix == ""


def test_the_best_checksum_names_the_file() -> None:
    source = one(Package("a", "https://x.org/a.tbz", (MD5, SHA512, A)))
    assert source.file_name == "a.1-aaaaaaaa.tbz"
    assert [checksum.kind for checksum in source.checksums] == ["sha256", "sha512", "md5"]
    assert source.strong


def test_md5_alone_is_not_strong() -> None:
    assert not one(Package("a", "https://x.org/a.tbz", (MD5,))).strong


def test_mirrors_come_after_all_addresses() -> None:
    mirrors = 'mirrors: ["https://m.org/a" "https://x.org/a.tbz"]'
    packages = [
        Package("a", "https://x.org/a.tbz", (A,), inside=mirrors),
        Package("b", "https://y.org/a.tbz", (A,)),
    ]
    (source,) = collect_sources(export(*packages))
    assert source.urls == ("https://x.org/a.tbz", "https://y.org/a.tbz", "https://m.org/a")
    assert source.users == (Use("package", "a"), Use("package", "b"))


def test_what_shares_a_checksum_is_one_source() -> None:
    packages = [
        Package("a", "https://x.org/1", (A, MD5)),
        Package("b", "https://x.org/2", (MD5, SHA512)),
        Package("c", "https://x.org/3", (SHA512,)),
        Package("d", "https://x.org/4", (B,)),
    ]
    first, second = collect_sources(export(*packages))
    assert [str(user) for user in first.users] == ["a", "b", "c"]
    assert sorted(map(str, first.checksums)) == sorted([A, MD5, SHA512])
    assert [str(user) for user in second.users] == ["d"]


def test_checksums_that_contradict_each_other() -> None:
    packages = [
        Package("a", "https://x.org/1", (A, MD5)),
        Package("b", "https://x.org/2", (B, MD5)),
    ]
    with pytest.raises(
        InputError, match=r"a, b: one file has 2 different sha256 checksums: a+, b+"
    ):
        collect_sources(export(*packages))


def test_extra_sources_and_vendored_directories() -> None:
    extra = f'extra-source "sub/fix.patch" {{ src: "https://x.org/p" checksum: "{A}" }}'
    dirs = f"""x-opam-monorepo-duniverse-dirs: [
      ["https://x.org/v.tbz" "v_" ["{B}"]] ["git+https://g.org/r.git#{COMMIT}" "r"] ]"""
    root = Package("a", None, more=extra + "\n" + dirs)
    patch, git, vendored = sorted(
        collect_sources(export(root)), key=lambda one: one.kind == "archive"
    )
    assert {patch.kind, git.kind} == {"file", "git"}
    by_kind = {source.kind: source for source in (patch, git, vendored)}
    assert by_kind["file"].file_name == "a.1-fix.patch-aaaaaaaa"
    assert by_kind["file"].users == (Use("extra", "a", "sub/fix.patch"),)
    assert by_kind["archive"].file_name == "v_-bbbbbbbb.tbz"
    assert by_kind["archive"].users == (Use("vendored", "a", "v_"),)
    assert by_kind["git"].file_name == "r-01234567.tar"
    assert by_kind["git"].commit == COMMIT
    assert by_kind["git"].urls == ("git+https://g.org/r.git",)


def test_only_the_root_has_vendored_directories() -> None:
    dirs = f'x-opam-monorepo-duniverse-dirs: [["https://x.org/v.tbz" "v" ["{B}"]]]'
    assert collect_sources(export(Package("a", None), Package("b", None, more=dirs))) == ()


def test_only_what_is_installed_counts() -> None:
    assert collect_sources(export(Package("a", "hg://x.org/a"), installed=False)) == ()


@pytest.mark.parametrize(
    ("commit", "full"), [(COMMIT, True), (COMMIT[:7], False), (COMMIT[:39], False)]
)
def test_commits(commit: str, full: bool) -> None:  # noqa: FBT001 - a parameter of the test
    source = one(Package("a", f"git+https://x.org/r.git#{commit}"))
    assert (source.kind, source.commit, source.full_commit) == ("git", commit, full)
    assert source.strong


def test_one_commit_of_two_repositories() -> None:
    packages = [Package("a", f"git+https://{host}/r#{COMMIT}") for host in ("x.org", "y.org")]
    exports = [export(package) for package in packages]
    first, second = collect_sources(*exports)
    assert first.file_name != second.file_name
    assert collect_sources(exports[0], exports[0]) == collect_sources(exports[0])


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://x.org/a.tbz", "has no checksum"),
        ("git+https://x.org/r.git", "is pinned to no commit"),
        ("git+https://x.org/r.git#main", "is pinned to the branch or tag 'main'"),
        (f"git+https://x.org/r.git#{COMMIT}0", "is pinned to the branch or tag"),
        (f"git+https://x.org/r.git#{COMMIT.upper()}", "is pinned to the branch or tag"),
        (f"git+file:///home/me/r#{COMMIT}", "only the machine it was recorded on"),
        (f"git+ssh://git@x.org/r#{COMMIT}", r"cannot fetch git\+ssh"),
        ("file:///home/me/project", "is a directory of the machine"),
        ("/home/me/project", "only the machine it was recorded on"),
        ("rsync://x.org/a", "only the machine it was recorded on"),
        ("path+/home/me", "only the machine it was recorded on"),
        ("hg+https://x.org/a#1", r"cannot fetch hg\+https"),
        ("darcs+https://x.org/a", r"cannot fetch darcs\+https"),
        ("ftp://x.org/a.tbz", "cannot fetch ftp"),
        ("https:///a.tbz", "names no server"),
        ("https://me:secret@x.org/a.tbz", "has a user name or password"),
        ("https://[::1/a", "is no URL"),
    ],
)
def test_what_cannot_be_fetched(url: str, told: str) -> None:
    checksums = () if "checksum" in told or url.startswith(("git", "hg")) else (A,)
    assert re.search(told, refused(Package("a", url, checksums)))


def test_passwords_are_not_repeated() -> None:
    assert "secret" not in refused(Package("a", "https://me:secret@x.org/a.tbz", (A,)))


def test_bad_mirrors_are_refused() -> None:
    mirrors = 'mirrors: "hg://x.org/a"'
    assert "hg" in refused(Package("a", "https://x.org/a.tbz", (A,), inside=mirrors))


def test_archives_of_this_machine_may_be_used() -> None:
    assert one(Package("a", "file:///srv/a.tar.gz", (A,))).urls == ("file:///srv/a.tar.gz",)


def test_all_faults_are_told() -> None:
    packages = [
        Package("a", "https://x.org/a"),
        Package("b", "git+https://x.org/b#main"),
        Package("c", "ftp://x.org/c", (A,)),
        Package("d", "https://x.org/d", (B,)),
        Package("e", "https://x.org/e", (B, MD5)),
        Package("f", "https://x.org/f", (A, MD5)),
    ]
    with pytest.raises(Faults) as caught:
        collect_sources(export(*packages))
    assert len(caught.value.faults) == 4


NAMES = st.from_regex(r"[a-z+_-]*[a-z][A-Z0-9+_-]{0,3}", fullmatch=True)
DIGESTS = st.sampled_from(["0" * 64, "0" * 63 + "1", "0" * 8 + "1" * 56, "f" * 64])


@pytest.mark.slow
@given(st.dictionaries(NAMES, st.tuples(DIGESTS, st.sampled_from(["x.tbz", "x", "y.zip"]))))
def test_names_never_collide(chosen: dict[str, tuple[str, str]]) -> None:
    packages = [
        Package(name, f"https://x.org/{path}", (f"sha256={digest}",))
        for name, (digest, path) in chosen.items()
    ]
    sources = collect_sources(export(*packages))
    names = [source.file_name.lower() for source in sources]
    assert len(set(names)) == len(names)
    assert len(names) == len({digest for digest, _ in chosen.values()})
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,250}", name) for name in names)


@given(st.lists(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1), max_size=6))
def test_hostile_names_are_made_harmless(files: list[str]) -> None:
    names = [name.replace("\\", "").replace('"', "").strip("./") or "x" for name in files]
    digests = [hashlib.sha256(name.encode()).hexdigest() for name in names]
    more = "\n".join(
        f'extra-source "d{i}/{name.replace("..", "_")}" '
        f'{{ src: "https://x.org/{i}" checksum: "sha256={digest}" }}'
        for i, (name, digest) in enumerate(zip(names, digests, strict=True))
    )
    made = [source.file_name for source in collect_sources(export(Package("a", None, more=more)))]
    assert len(set(made)) == len(set(digests))
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,250}", name) for name in made)


def test_the_order_of_packages_does_not_matter() -> None:
    packages = [
        Package("a", "https://x.org/1", (A, MD5)),
        Package("b", "https://x.org/2", (MD5,)),
        Package("c", "https://x.org/3", (B,)),
    ]
    there = collect_sources(export(*packages, root="a"))
    assert there == collect_sources(export(*reversed(packages), root="a"))


REAL = {
    "albatross": (67, 0),
    "albatross-1.5.1_repo2022-09": (76, 0),
    "builder": (59, 0),
    "dns-primary-git": (103, 1),
    "hello-spt": (49, 0),
    "lablgtk3-sourceview3": (11, 0),
    "mirage": (31, 0),
    "mirage-4.2.1_repo2022-09": (32, 0),
    "mirage-hosttools": (31, 0),
    "opam-graph": (27, 0),
    "orb": (30, 0),
    "solo5": (3, 0),
    "something": (0, 0),
    "timestamp": (0, 0),
}


@pytest.mark.parametrize("name", REAL)
def test_real_records(records: Path, name: str) -> None:
    file = records / "made" / name / "opam-switch"
    sources = collect_sources(read_switch(file.read_bytes(), name))
    assert (len(sources), sum(source.kind == "git" for source in sources)) == REAL[name]
    assert all(source.suffix for source in sources if source.kind == "archive")


def test_a_real_record_of_a_local_checkout(records: Path) -> None:
    (file,) = (records / "public").glob("xiaoxiangmoe*")
    with pytest.raises(InputError, match=r"ocaml-helloworld: git\+file:.* only the machine"):
        collect_sources(read_switch(file.read_bytes(), file.name))


@pytest.mark.slow
def test_many_sources_are_named_in_linear_time() -> None:
    many = [Package(f"p{i}", f"https://a.bc/{i}.tar", (f"sha256={i:064x}",)) for i in range(10_000)]
    switch = export(*many)
    began = time.process_time()
    assert len(collect_sources(switch)) == len(many)
    assert time.process_time() - began < 2.5
