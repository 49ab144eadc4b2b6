"""`pkggen deb`: both shapes, earlier builds, overlays, and bad input of all kinds."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from debian.changelog import Changelog

from tests.cli.conftest import EXAMPLE, STARTED, contents, snapshot
from tests.rebuild.made import Package, archive, make
from tests.targets.deb.made import tool_directory, write_files

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.conftest import MakeRecord
    from tests.rebuild.made import Made

CONFIG: Final = "maintainer: {name: Jane Doe, email: jane@example.org}\n"
MIRROR: Final = EXAMPLE.parent / "download-cache"
REBUILD: Final = ("--rebuild", "--offline", "--mirror", MIRROR)
DIRECTORY: Final = "hello-unikernel-1.0.0-20260820120000Z"
DSC: Final = "hello-unikernel_1.0.0-20260820120000Z-0pkggen1.dsc"


@pytest.fixture(autouse=True)
def config(run: Run) -> Path:
    """Name a maintainer where the commands run."""
    (run.here / "pkggen.yaml").write_text(CONFIG)
    return run.here / "pkggen.yaml"


def nothing(run: Run) -> bool:
    """Tell whether a command left nothing."""
    return [path.name for path in run.here.iterdir()] == ["pkggen.yaml"]


def test_both_shapes(run: Run) -> None:
    run("deb", EXAMPLE, "-o", "image")
    run("deb", EXAMPLE, "-o", "rebuild", *REBUILD)
    image, rebuild = (contents(run.here / name) for name in ("image", "rebuild"))
    added = set(rebuild) - set(image)
    assert added == {"hello-unikernel_1.0.0-20260820120000Z.orig-distfiles.tar.gz"}
    differing = {name for name in image if image[name] != rebuild[name]}
    assert differing == {DSC, DSC.replace(".dsc", ".debian.tar.xz")}


def test_unpacked(run: Run) -> None:
    run("deb", EXAMPLE, "-o", "out", "--unpacked", *REBUILD)
    tree = contents(run.here / "out" / DIRECTORY)
    for name, data in contents(EXAMPLE).items():
        assert tree[name] == data
    digest = hashlib.sha256(tree["bin/hello.hvt"]).hexdigest()
    sums = tree["debian/SHA256SUMS"].decode()
    assert sums == f"{digest}  usr/lib/unikernels/hello.hvt\n"
    assert (run.here / "out" / DIRECTORY / "debian/rules").stat().st_mode & 0o111


def test_another_shape_of_the_same_build_replaces_what_pkggen_wrote(run: Run) -> None:
    run("deb", EXAMPLE, "-o", "out", "--unpacked")
    run("deb", EXAMPLE, "-o", "out", "--unpacked", "--force", *REBUILD)
    found = contents(run.here / "out" / DIRECTORY)
    assert not [name for name in found if name.endswith(".pkggen.hint")]
    assert b"rebuilt/bin/hello.hvt" in found["debian/install"]


def test_hand_edits_are_kept_and_hinted_at(run: Run, config: Path) -> None:
    run("deb", EXAMPLE, "-o", "out", "--unpacked")
    rules = run.here / "out" / DIRECTORY / "debian/control"
    mine = rules.read_text().replace("Section: net", "Section: web")
    rules.write_text(mine)
    config.write_text(CONFIG.replace("Jane", "John"))
    run("deb", EXAMPLE, "-o", "out", "--unpacked", "--force")
    assert rules.read_text() == mine
    assert "John Doe" in rules.with_name("control.pkggen.hint").read_text()
    assert "John Doe" in rules.with_name("copyright").read_text()


def test_an_overlay(run: Run) -> None:
    write_files(run.here / "overlay/hello-unikernel/debian", {"watch": b"version=4\n", "x": b"y"})
    run("deb", EXAMPLE, "-o", "out", "--unpacked", "--overlay", "overlay")
    found = contents(run.here / "out" / DIRECTORY / "debian")
    assert (found["watch"], found["x"]) == (b"version=4\n", b"y")
    assert b"There is nothing to watch" in found["watch.pkggen.hint"]


def test_overlays_that_are_refused(run: Run) -> None:
    assert "there is no such directory" in run("deb", EXAMPLE, "--overlay", "no", code=3).err
    debian = write_files(run.here / "o/hello-unikernel/debian", {"x": b""})
    (debian / "link").symlink_to("/etc/passwd")
    assert "is no regular file" in run("deb", EXAMPLE, "--overlay", "o", code=3).err
    (debian / "link").unlink()
    (debian / "changelog").write_text("hello-unikernel (1.0) unstable; urgency=medium\n")
    error = run("deb", EXAMPLE, "--overlay", "o", code=3).err
    assert "is not about hello-unikernel 1.0.0-20260820120000Z-0pkggen1" in error
    assert [path.name for path in sorted(run.here.iterdir())] == ["o", "pkggen.yaml"]


# Earlier builds


@pytest.fixture
def earlier(run: Run, tmp_path: Path) -> Path:
    """Return the example as a build of 2025, with another version of its library."""
    orb = tmp_path / "earlier-orb"
    shutil.copytree(EXAMPLE, orb)
    (orb / "record.json").unlink()
    switch = orb / "opam-switch"
    text = switch.read_text().replace('"greeting.0.1"', '"greeting.0.0"')
    switch.write_text(text.replace('version: "0.1"', 'version: "0.0"'))
    saved = tmp_path / "earlier"
    run("record", orb, "--started", "2025-01-02T03:04:05Z", "-o", saved)
    return saved


def test_what_changed_since_an_earlier_build(run: Run, earlier: Path) -> None:
    run("deb", EXAMPLE, "-o", "out", "--unpacked", "--previous", earlier)
    text = (run.here / "out" / DIRECTORY / "debian/changelog").read_text()
    new, old = Changelog(text, strict=True)
    assert "  * greeting: 0.0 -> 0.1" in new.changes()
    assert str(old.version) == "1.0.0-20250102030405Z-0pkggen1"
    assert old.date == "Thu, 02 Jan 2025 03:04:05 +0000"


def test_earlier_builds_that_are_none(
    run: Run, earlier: Path, tmp_path: Path, make_record: MakeRecord
) -> None:
    other = make_record(tmp_path / "other", name="other")
    for previous, source in ((EXAMPLE, EXAMPLE), (EXAMPLE, earlier), (other, EXAMPLE)):
        error = run("deb", source, "-o", "out", "--previous", previous, code=3).err
        assert "it is no earlier build of hello-unikernel" in error
    twice = ("--previous", earlier, "--previous", earlier)
    assert "named twice" in run("deb", EXAMPLE, "-o", "out", *twice, code=3).err
    assert "no such path" in run("deb", EXAMPLE, "-o", "out", "--previous", "./gone", code=3).err
    error = run("deb", EXAMPLE, earlier, "--previous", earlier, code=2).err
    assert "--previous is for one SOURCE" in error
    assert nothing(run)


# Bad input


def test_no_maintainer(run: Run, config: Path) -> None:
    config.write_text("{}\n")
    error = run("deb", EXAMPLE, "-o", "out", code=3).err
    assert "a Debian package needs a maintainer" in error
    assert "hint: set maintainer, with name and email, in pkggen.yaml" in error
    config.unlink()
    assert "needs a maintainer" in run("deb", EXAMPLE, "-o", "out", code=3).err
    assert list(run.here.iterdir()) == []


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ("{licence: AAL}", "does not have the text of AAL"),
        ("{licences: {greeting: AGPL-3.0-only WITH GCC-exception-3.1}}", "have the text of AGPL"),
        ("{description: Word}", "is a single word"),
        ("{name: Upper}", "'Upper' is not a package name"),
        ('{version: "1_0"}', "'1_0-20260820120000Z' cannot be an upstream version"),
    ],
)
def test_what_cannot_be_packaged(run: Run, config: Path, stated: str, message: str) -> None:
    config.write_text(f"{CONFIG}packages: {{hello-unikernel: {stated}}}\n")
    assert message in run("deb", EXAMPLE, "-o", "out", code=3).err
    assert nothing(run)


def saved(run: Run, made: Made, *started: str) -> Path:
    """Save a record that was made for a test."""
    record = made.record.with_name("saved")
    run("record", made.record, *(started or STARTED), "-o", record)
    return record


ROOT: Final = Package("root", 'license: "ISC" synopsis: "Program for a test"', {"a": "b"})


def test_a_build_before_1980(run: Run, tmp_path: Path) -> None:
    record = saved(run, make(tmp_path, [ROOT]), "--started", "1979-12-31T23:59:59Z")
    assert "in 1979, which Debian refuses" in run("deb", record, "-o", "out", code=3).err
    assert nothing(run)


def test_a_record_without_files(run: Run, tmp_path: Path) -> None:
    record = saved(run, make(tmp_path, [ROOT], built={}))
    assert "holds no built file" in run("deb", record, "-o", "out", code=3).err
    assert nothing(run)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("share/a b", "cannot be used in a Debian package"),
        ("share/[x]*", "cannot be used in a Debian package"),
        ("debian/rules", "Debian has no place for this file"),
        ("distfiles/x", "Debian has no place for this file"),
        ("top", "Debian has no place for this file"),
        ("share/man/man1/greet.1", "is installed at the same place"),
    ],
)
def test_payload_that_is_refused(run: Run, tmp_path: Path, path: str, message: str) -> None:
    files = {path: b"x", "bin/greet": b"y", "man/man1/greet.1": b"z"}
    run("record", tool_directory(tmp_path / "orb", files), *STARTED, "-o", tmp_path / "r")
    assert message in run("deb", tmp_path / "r", "-o", "out", code=3).err
    assert nothing(run)


def test_files_in_the_way_of_debian(run: Run, tmp_path: Path) -> None:
    orb = tmp_path / "orb"
    shutil.copytree(EXAMPLE, orb)
    (orb / "record.json").unlink()
    write_files(orb, {"debian/rules": b"", "rebuilt/x": b""})
    run("record", orb, *STARTED, "-o", tmp_path / "r")
    error = run("deb", tmp_path / "r", "-o", "out", code=3).err
    assert "debian/rules: a file of the record is in the way of Debian's" in error
    assert "rebuilt/x: a file of the record is in the way of Debian's" in error
    assert nothing(run)


# Sources


def rebuilt(run: Run, made: Made, *options: object, code: int = 0) -> str:
    record = saved(run, made)
    argv = ("deb", record, "-o", "out", "--rebuild", "--offline", "--mirror", made.mirror)
    return run(*argv, *options, code=code).err


def test_a_source_without_bytes(run: Run, tmp_path: Path) -> None:
    made = make(tmp_path, [ROOT])
    shutil.rmtree(made.mirror)
    made.mirror.mkdir()
    assert "root" in rebuilt(run, made, code=5)
    assert nothing(run)


def test_a_source_with_other_bytes(run: Run, tmp_path: Path) -> None:
    made = make(tmp_path, [ROOT])
    (source,) = (path for path in made.mirror.rglob("*") if path.is_file())
    source.write_bytes(b"other")
    assert "sha256" in rebuilt(run, made, code=4)
    assert nothing(run)


def with_source(tmp_path: Path, data: bytes, suffix: str, kind: str = "sha256") -> Made:
    """Return a record whose root has another kind of archive."""
    made = make(tmp_path, [ROOT])
    digest = hashlib.new(kind, data, usedforsecurity=False).hexdigest()
    write_files(made.mirror / kind / digest[:2], {digest: data})
    old = hashlib.sha256(archive(ROOT)).hexdigest()
    switch = made.record / "opam-switch"
    text = switch.read_text().replace(f"sha256={old}", f"{kind}={digest}")
    switch.write_text(text.replace("root.tar", f"root{suffix}"))
    return made


def sources(run: Run) -> list[str]:
    """Return what a source package lists in debian/distfiles."""
    subprocess.run(["tar", "-xf", next((run.here / "out").glob("*.debian.tar.xz"))], check=True)
    return Path("debian/distfiles").read_text().splitlines()


def test_a_zip_is_kept_as_it_is(run: Run, tmp_path: Path) -> None:
    place = write_files(tmp_path / "zip", {"root-1/a": b"b"})
    shutil.make_archive(str(tmp_path / "root"), "zip", place)
    data = (tmp_path / "root.zip").read_bytes()
    rebuilt(run, with_source(tmp_path / "made", data, ".zip"))
    digest = hashlib.sha256(data).hexdigest()
    (line,) = sources(run)
    assert line.startswith(f"distfiles/sha256/{digest[:2]}/{digest} root.1-")
    assert line.endswith(".zip")
    assert "unzip" in Path("debian/control").read_text()


def test_what_is_no_archive_is_refused(run: Run, tmp_path: Path) -> None:
    made = with_source(tmp_path, b"\x28\xb5\x2f\xfd not for tar here", ".tar.zst")
    assert "root" in rebuilt(run, made, code=3)
    assert nothing(run)


def test_an_unknown_system_package(run: Run, tmp_path: Path) -> None:
    conf = Package("conf-x", 'flags: conf depexts: ["libx, evil"] {os-family = "debian"}')
    root = ROOT._replace(fields=f'{ROOT.fields} depends: ["conf-x"]')
    assert "'libx, evil'" in rebuilt(run, make(tmp_path, [conf, root]), code=3)
    assert nothing(run)


def test_a_tool_is_packaged_too(run: Run, tmp_path: Path) -> None:
    run("record", tool_directory(tmp_path / "orb"), *STARTED, "-o", tmp_path / "r")
    out = run("deb", tmp_path / "r", "-o", "out").out
    assert "greet_1.0-20260823090000Z-0pkggen1.dsc" in out
    assert len(snapshot(run.here / "out")) == 3


def test_a_source_of_which_only_md5_is_recorded(run: Run, tmp_path: Path) -> None:
    """The build is refused later unless it gives the recorded bytes."""
    data = archive(ROOT)
    rebuilt(run, with_source(tmp_path, data, ".tar", "md5"))
    digest = hashlib.sha256(data).hexdigest()
    assert sources(run)[0].startswith(f"distfiles/sha256/{digest[:2]}/{digest} ")


def test_a_signature_of_the_same_bytes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The .dsc is signed by a key of the user's keyring, at a time that is not the clock's."""
    if shutil.which("gpg") is None:
        pytest.skip("NOTHING SIGNED: install gpg")
    home = tempfile.mkdtemp(prefix="gpg-")  # its path has to be short
    monkeypatch.setenv("GNUPGHOME", home)
    gpg = ["gpg", "--batch", "--quiet", "--passphrase", ""]
    make = [*gpg, "--quick-generate-key", "T <t@example.org>", "ed25519", "sign", "never"]
    subprocess.run(make, check=True, capture_output=True)
    listed = subprocess.run(
        [*gpg, "--with-colons", "--list-keys"], check=True, capture_output=True, text=True
    )
    fingerprint = next(
        line.split(":")[9] for line in listed.stdout.splitlines() if line.startswith("fpr")
    )
    run("deb", EXAMPLE, "-o", "signed", "--sign", fingerprint)
    run("deb", EXAMPLE, "-o", "again", "--sign", fingerprint)
    run("deb", EXAMPLE, "-o", "plain")
    signed, again, plain = (contents(run.here / name) for name in ("signed", "again", "plain"))
    assert signed == again
    assert plain[DSC] in signed[DSC]
    subprocess.run(["gpg", "--verify", run.here / "signed" / DSC], check=True, capture_output=True)
    assert (
        "there is no secret key" in run("deb", EXAMPLE, "-o", "no", "--sign", "0" * 40, code=3).err
    )
    assert not (run.here / "no").exists()
    subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=True)
    shutil.rmtree(home)
