"""`pkggen nix`: many sources, careful writing, nixpkgs, pkggen.yaml, and bad input of all kinds."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from io import BytesIO
from itertools import product
from typing import TYPE_CHECKING, Final

import pytest

from tests.cli.conftest import EXAMPLE, archived, contents, process, snapshot
from tests.cli.test_show import IMAGELESS
from tests.conftest import ENVIRONMENT, SWITCH
from tests.record.builder_web_server import NEW_UUID
from tests.record.der import full

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run
    from tests.conftest import MakeRecord
    from tests.record.builder_web_server import BuilderWeb

HELLO: Final = "pkgs/by-name/he/hello"
OVERLAY: Final = ("default.nix", "module.nix", "nixos-test.nix", "overlay.nix")
MAINTAINER: Final = "maintainer: {name: Jane Doe, email: jane@example.org, nixpkgs: janedoe}\n"


@pytest.fixture
def saved(tmp_path: Path, make_record: MakeRecord) -> Path:
    """Return a record of the job `hello` with an origin."""
    return make_record(tmp_path / "saved")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return what looks like a checkout of nixpkgs, with pkggen.yaml naming a maintainer."""
    (tmp_path / "nixpkgs/pkgs/by-name/hi/him").mkdir(parents=True)
    (tmp_path / "nixpkgs/pkgs/by-name/hi/him/package.nix").write_text("{ }: null\n")
    (tmp_path / "nixpkgs/pkgs/top-level").mkdir()
    return tmp_path / "nixpkgs"


# What is packaged


def test_every_source_with_an_image(run: Run, source: Path) -> None:
    out = run("nix", source, "-o", "nix").out
    made = snapshot(run.here / "nix")
    package = next(data for name, (data, _, _) in made.items() if name.endswith("/package.nix"))
    assert b"pname = " in package
    assert [line.split()[0] for line in out.splitlines()] == ["create"] * len(made)
    assert {line.split()[1] for line in out.splitlines()} == set(made)
    again = run("nix", source, "-o", "nix").out
    assert [line.split()[0] for line in again.splitlines()] == ["unchanged"] * len(made)
    assert snapshot(run.here / "nix") == made


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in IMAGELESS if name != "solo5"])
def test_records_without_an_image_are_refused(run: Run, records: Path, name: str) -> None:
    error = run("nix", records / "made" / name, "-o", "nix", code=3).err
    if name.startswith("something"):  # holds a program
        assert "the licence of 1 linked-in part(s) is not known" in error
    else:
        assert ("holds no built file" in error) or ("licence" in error)
    assert ("when the build was started" in error) is (not name.endswith(".full"))
    assert error.count("hint: ") >= 1
    assert not (run.here / "nix").exists()


def test_a_record_without_its_environment_is_refused(run: Run, records: Path) -> None:
    error = run("nix", records / "made/mirage-hosttools", "-o", "nix", code=3).err
    assert "there is no build-environment" in error
    assert not (run.here / "nix").exists()


def test_the_current_directory_is_the_default(run: Run, saved: Path) -> None:
    run("nix", saved)
    assert list(contents(run.here)) == [f"{HELLO}/package.nix"]


# Several sources


def test_a_failing_source_does_not_lose_the_others(
    run: Run, tmp_path: Path, saved: Path, make_record: MakeRecord
) -> None:
    other = make_record(tmp_path / "other", name="other")
    damaged = make_record(tmp_path / "damaged", name="damaged")
    with (damaged / "opam-switch").open("ab") as switch:
        switch.write(b"\n")
    ran = run("nix", saved, damaged, "./gone", other, "-o", "nix", "--overlay", code=4)
    assert list(contents(run.here / "nix")) == [
        *OVERLAY,
        f"{HELLO}/package.nix",
        "pkgs/by-name/ot/other/package.nix",
    ]
    assert ran.err.count("pkggen: ") == 2
    assert "recorded size" in ran.err
    assert "./gone: no such path" in ran.err
    run("nix", "./gone", damaged, "-o", "none", "--overlay", code=3)
    assert not (run.here / "none").exists()
    ran = run("nix", saved, "./gone", "-o", "nix", "--json", code=3)
    good, bad = json.loads(ran.out)["results"]
    assert [file["change"] for file in good["files"]] == ["unchanged"]
    assert (bad["source"], bad["exit_code"]) == ("./gone", 3)
    assert bad["error"].startswith("./gone: no such path")


def test_one_name_for_two_packages(run: Run, tmp_path: Path, saved: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(saved, copy)
    error = run("nix", saved, copy, "-o", "nix", code=3).err
    assert f"{saved} gives a package hello already" in error
    assert "another name in pkggen.yaml" in error


# How it is written


@pytest.mark.parametrize("option", ["--dry-run", "--diff", "--check"])
def test_nothing_is_written_unless_wanted(run: Run, saved: Path, option: str) -> None:
    found = 1 if option == "--check" else 0
    ran = run("nix", saved, "-o", "nix", "--flake", option, code=found)
    assert not (run.here / "nix").exists()
    assert f"{HELLO}/package.nix" in ran.out
    assert ("+++ b/flake.nix" in ran.out) is (option == "--diff")
    run("nix", saved, "-o", "nix", "--flake")
    before = snapshot(run.here / "nix")
    assert set(before) == {*OVERLAY, "flake.nix", f"{HELLO}/package.nix"}
    ran = run("nix", saved, "-o", "nix", "--flake", option)
    assert ("unchanged" in ran.out) is (option != "--diff")
    (run.here / "nix/flake.nix").unlink()
    ran = run("nix", saved, "-o", "nix", "--flake", option, code=found)
    assert "flake.nix" in ran.out
    assert not (run.here / "nix/flake.nix").exists()
    before.pop("flake.nix")
    assert snapshot(run.here / "nix") == before


def test_check_tells_errors_from_changes(run: Run, saved: Path) -> None:
    run("nix", saved, "./gone", "-o", "nix", "--check", code=3)
    assert not (run.here / "nix").exists()


def test_a_hand_edit_is_kept_and_shown(run: Run, saved: Path) -> None:
    run("nix", saved, "-o", "nix", "--overlay")
    package = run.here / "nix" / HELLO / "package.nix"
    generated = package.read_text()
    package.write_text(generated.replace("A unikernel", "My unikernel").replace("made", "kept"))
    before = snapshot(run.here / "nix")
    ran = run("nix", saved, "-o", "nix", "--overlay", code=3)
    assert snapshot(run.here / "nix") == before
    assert "edited by hand" in ran.err
    assert '-    description = "' in ran.err
    assert "hint: `--force` overwrites" in ran.err
    assert "edited" in run("nix", saved, "-o", "nix", "--dry-run").out
    run("nix", saved, "-o", "nix", "--check", code=1)
    assert "kept" in run("nix", saved, "-o", "nix", "--diff").out
    run("nix", saved, "-o", "nix", "--force")
    assert package.read_text() == generated


def test_json(run: Run, saved: Path) -> None:
    (result,) = json.loads(run("nix", saved, "-o", "nix", "--json").out)["results"]
    stated = json.loads((saved / "record.json").read_text())
    assert result["source"] == str(saved)
    assert result["name"] == "hello"
    assert result["files"] == [{"path": f"{HELLO}/package.nix", "change": "create"}]
    assert result["image_sha256"] in json.dumps(stated)
    assert "commit_message" not in result
    document = json.loads(run("nix", saved, "-o", "new", "--json", "--diff", "--overlay").out)
    package, overlay = document["results"]
    assert package["files"][0]["diff"].startswith(f"--- /dev/null\n+++ b/{HELLO}/package.nix\n")
    assert overlay["source"] is None
    assert [file["path"] for file in overlay["files"]] == list(OVERLAY)
    assert not (run.here / "new").exists()


@pytest.mark.parametrize("blocker", ["nix", f"nix/{HELLO}", f"nix/{HELLO}/package.nix"])
def test_what_is_in_the_way(run: Run, saved: Path, blocker: str) -> None:
    place = run.here / blocker
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to("/dev/null")
    error = run("nix", saved, "-o", "nix", code=3).err
    assert "not a directory" in error or "not a regular file" in error
    assert list(contents(run.here)) == []


def test_a_place_that_cannot_be_written(run: Run, saved: Path) -> None:
    error = run("nix", saved, "-o", "/proc/nix", code=6).err
    assert "the system refused" in error
    assert "hint: nothing was written" in error


# nixpkgs


def test_a_package_for_nixpkgs(run: Run, checkout: Path, web: BuilderWeb) -> None:
    (run.here / "pkggen.yaml").write_text(MAINTAINER)
    argv = ("nix", "hello-git", "--server", web.url, "--nixpkgs", checkout)
    before = snapshot(checkout)
    ran = run(*argv, "--dry-run")
    assert snapshot(checkout) == before
    assert ran.out.splitlines() == [
        f"create    {HELLO}/package.nix",
        f"create    {HELLO}/pkggen.yaml",
        "commit    hello: init at 1.0-unstable-2026-08-23",
    ]
    (result,) = json.loads(run(*argv, "--json").out)["results"]
    assert result["commit_message"] == "hello: init at 1.0-unstable-2026-08-23"
    package = (checkout / HELLO / "package.nix").read_text()
    assert "lib.maintainers.janedoe" in package
    assert f"{web.url}/job/hello-git" in package
    assert "commit" not in run(*argv).out
    web.builds[0].start = "2026-09-01T09:00:00-00:00"
    web.builds[0].finish = "2026-09-01T09:00:12-00:00"
    out = run(*argv).out
    assert "hello: 1.0-unstable-2026-08-23 -> 1.0-unstable-2026-09-01" in out
    assert set(snapshot(checkout)) == {*before, f"{HELLO}/package.nix", f"{HELLO}/pkggen.yaml"}
    assert (
        (checkout / HELLO / "pkggen.yaml")
        .read_text()
        .endswith("maintainer:\n  name: Jane Doe\n  email: jane@example.org\n  nixpkgs: janedoe\n")
    )


def test_what_nixpkgs_does_not_take(run: Run, checkout: Path, saved: Path) -> None:
    argv = ("nix", saved, "--nixpkgs", checkout)
    before = snapshot(checkout)
    error = run(*argv, code=3).err
    assert "nixpkgs takes no package without a maintainer" in error
    assert "maintainer.nixpkgs in pkggen.yaml" in error
    (run.here / "pkggen.yaml").write_text(MAINTAINER)
    error = run("nix", EXAMPLE, "--nixpkgs", checkout, code=3).err
    assert "the build is on no server" in error
    (run.here / "pkggen.yaml").write_text(f"{MAINTAINER}packages: {{hello: {{name: him}}}}")
    error = run(*argv, code=3).err
    assert "nixpkgs has a package him already" in error
    assert "him-unikernel" in error
    (checkout / "pkgs/top-level/aliases.nix").write_text("{\n  her = him;\n}\n")
    (run.here / "pkggen.yaml").write_text(f"{MAINTAINER}packages: {{hello: {{name: her}}}}")
    assert "nixpkgs has a package her already" in run(*argv, code=3).err
    (checkout / "pkgs/top-level/aliases.nix").unlink()
    assert snapshot(checkout) == before
    error = run("nix", saved, "--nixpkgs", "elsewhere", code=3).err
    assert "there is no pkgs/by-name in it" in error
    assert not (run.here / "elsewhere").exists()


def test_a_hand_edit_in_nixpkgs_is_kept(run: Run, checkout: Path, saved: Path) -> None:
    (run.here / "pkggen.yaml").write_text(MAINTAINER)
    run("nix", saved, "--nixpkgs", checkout)
    package = checkout / HELLO / "package.nix"
    package.write_text(package.read_text().replace("janedoe", "johndoe"))
    assert "edited by hand" in run("nix", saved, "--nixpkgs", checkout, code=3).err
    assert "johndoe" in package.read_text()


# pkggen.yaml


def test_overrides(run: Run, saved: Path) -> None:
    (run.here / "mine.yaml").write_text(
        f"{MAINTAINER}packages:\n  hello:\n    name: greeter\n    description: Greets you\n"
        "    licence: BSD-2-Clause\n    homepage: https://greeter.example.org/\n"
    )
    run("nix", saved, "-o", "nix", "--config", "mine.yaml")
    package = (run.here / "nix/pkgs/by-name/gr/greeter/package.nix").read_text()
    for line in (
        'pname = "greeter";',
        'description = "Greets you";',
        'homepage = "https://greeter.example.org/";',
        "license = lib.licenses.bsd2;",
        "lib.maintainers.janedoe",
    ):
        assert line in package


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("maintainers: {}", "1:1: unknown key 'maintainers'", "did you mean 'maintainer'?"),
        ("packages: {hello: {license: ISC}}", "unknown key 'license'", "did you mean 'licence'?"),
        ("packages: {hello: {zzz: ISC}}", "unknown key 'zzz'", "known keys: name, version"),
        ("packages: {hello: {licence: NONESUCH}}", "1:29", "NONESUCH"),
        ("packages: {hello: {name: ../../etc}}", "'../../etc' is not a package name", "1:26"),
        ("packages: {hello: {name: [a]}}", "expected text, found a list", "1:26"),
        ("packages: [", "it is not YAML", "1:"),
        ("packages: \x00", "control characters", ""),
        ("!!python/object/apply:os.system ['touch owned']", "pkggen.yaml:1:1", "expected keys"),
        ("[" * 3_000, "nested too deeply", ""),
    ],
)
def test_wrong_overrides(run: Run, saved: Path, text: str, place: str, hint: str) -> None:
    (run.here / "pkggen.yaml").write_text(text)
    error = run("nix", saved, "-o", "nix", code=3).err
    assert error.startswith("pkggen: pkggen.yaml:")
    assert place in error
    assert hint in error
    assert [path.name for path in run.here.iterdir()] == ["pkggen.yaml"]


def test_a_config_that_is_not_there(run: Run, saved: Path) -> None:
    assert "no.yaml: there is no such file" in run("nix", saved, "--config", "no.yaml", code=3).err
    assert "Is a directory" in run("nix", saved, "--config", ".", code=3).err
    assert list(run.here.iterdir()) == []


# Bad input


def package(name: str, body: str = "") -> str:
    """Return a switch whose root has a name."""
    return (
        f'opam-version: "2.0"\nroots: ["{name}.1.0"]\ninstalled: ["{name}.1.0"]\n'
        f'package "{name}" {{\n  version: "1.0"\n  license: "ISC"\n{body}}}\n'
    )


GOOD: Final = SWITCH.format(name="hello")
BAD_SWITCHES: Final[dict[str, tuple[bytes, str]]] = {
    "empty": (b"", "opam-switch"),
    "truncated": (GOOD[: len(GOOD) // 2].encode(), "opam-switch:"),
    "binary": (bytes(range(256)) * 40, "opam-switch"),
    "elf": (b"\x7fELF\x02\x01\x01" + bytes(200), "opam-switch"),
    "too long": (b'x: "' + b"y" * 50_000_000 + b'"', "16777216 bytes"),
    "nested lists": (b"x: " + b"[" * 3_000 + b"]" * 10_000, "opam-switch:1:"),
    "nested groups": (b"x: " + b"(" * 10_000, "opam-switch:1:"),
    "nested sections": (b'x "y" {\n' * 10_000, "opam-switch:"),
    "nested options": (b"x: a " + b"{b " * 10_000, "opam-switch:1:"),
    "nested comments": (b"(*" * 10_000, "opam-switch:1:"),
    "negations": (b"x: " + b"!" * 10_000 + b"a", "opam-switch:1:"),
    "NUL": (GOOD.replace("test", "te\0st").encode(), "opam-switch:7:"),
    "not UTF-8": (GOOD.encode().replace(b"test", b"te\xffst"), "UTF-8"),
    "a number for a list": (GOOD.replace('["hello.1.0"]', "3").encode(), "opam-switch:2:"),
    "a list for a text": (GOOD.replace('"A unikernel', '[1] "').encode(), "opam-switch:7:"),
    "a section twice": ((GOOD + GOOD[GOOD.index("package") :]).encode(), "opam-switch:"),
    "a field twice": (GOOD.replace("  license", '  license: "MIT"\n  license').encode(), "licen"),
    "roots twice": (GOOD.replace("installed:", "roots: []\ninstalled:").encode(), "roots"),
    **{
        f"the name {name!r}": (package(name).encode(), "opam-switch")
        for name in (
            "../../etc",
            "${x}",
            "''",
            "a b",
            "a@b",
            "a\nb",
            r"a\"b",
            r"a\nb",
            "/etc",
            "..",
            "",
            "\u202e",
        )
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BAD_SWITCHES)
def test_bad_switches(run: Run, tmp_path: Path, make_record: MakeRecord, kind: str) -> None:
    data, place = BAD_SWITCHES[kind]
    orb = make_record(tmp_path / "orb", saved=False)
    (orb / "opam-switch").write_bytes(data)
    refused(run, orb, place)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "wrapping"),
    [
        *product(("truncated", "NUL", "the name '../../etc'"), ("full", "tar", "web")),
        ("too long", "tar"),
        ("too long", "web"),
    ],
)
def test_bad_switches_from_elsewhere(
    run: Run, tmp_path: Path, make_record: MakeRecord, web: BuilderWeb, *, kind: str, wrapping: str
) -> None:
    data, place = BAD_SWITCHES[kind]
    orb = make_record(tmp_path / "orb", saved=False)
    (orb / "opam-switch").write_bytes(data)
    if wrapping == "web":
        web.builds[0].files["opam-switch"] = data
        code = 5 if kind == "too long" else 3
        refused(run, f"{web.url}/job/hello-git", place, code=code)
    elif wrapping == "full":
        (tmp_path / "full").write_bytes(full(contents(orb)))
        refused(run, tmp_path / "full", place)
    else:
        refused(run, archived(orb, tmp_path / "orb.tar", ""), place)


def refused(run: Run, source: object, *texts: str, code: int = 3) -> str:
    """Demand that every command refuses a source, and that nothing is written."""
    errors = []
    for argv in (("nix", source, "-o", "out"), ("record", source, "-o", "out")):
        ran = run(*argv, code=code)
        assert ran.out == ""
        assert ran.err.startswith("pkggen: ")
        assert str(source) in ran.err or "http://" in ran.err
        assert len(ran.err) < 10_000
        for text in texts:
            assert text in ran.err
        assert list(run.here.iterdir()) == []
        errors.append(ran.err)
    return errors[0]


@pytest.mark.parametrize(
    ("file", "data", "text"),
    [
        ("build-environment", b"\xff", "not UTF-8 at byte 0"),
        ("build-environment", b"A=1\nB\0=2", "build-environment:2: a control character"),
        ("build-environment", b"A\n", "build-environment:1"),
        ("system-packages", b"\xff", "not UTF-8 at byte 0"),
        ("system-packages", b"gcc=4\n../../etc\n", "system-packages:2"),
        ("system-packages", b"gcc\x1b[2J=4\n", "system-packages:1: a control character"),
        ("hello.build-hashes", b"added: 3", "hello.build-hashes"),
        ("hello.build-hashes", b'added: "../x" {"F:%s"}' % (b"0" * 32), "'../x'"),
        ("bin/hello.hvt", b"\x7fELF\x02\x01\x01", "bin/hello.hvt"),
    ],
)
def test_other_bad_files(
    run: Run, tmp_path: Path, make_record: MakeRecord, *, file: str, data: bytes, text: str
) -> None:
    orb = make_record(tmp_path / "orb", saved=False)
    (orb / file).write_bytes(data)
    refused(run, orb, text)


@pytest.mark.parametrize("job", ["../../etc", "${x}", "''", "a b", 'a"b', "a@b"])
def test_hostile_jobs(run: Run, tmp_path: Path, make_record: MakeRecord, job: str) -> None:
    orb = make_record(tmp_path / "orb", saved=False)
    (orb / "build-environment").write_text(ENVIRONMENT.format(name=job))
    refused(run, orb, "job")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["../../etc/x", "/etc/x", "bin/../../x", "bin/a\nb", "bin/\x1b[2J", "bin//x", "a/./b"]
)
@pytest.mark.parametrize("wrapping", ["full", "tar"])
def test_hostile_paths(
    run: Run, tmp_path: Path, make_record: MakeRecord, name: str, wrapping: str
) -> None:
    files = contents(make_record(tmp_path / "orb", saved=False)) | {name: b"owned"}
    source = tmp_path / "source"
    if wrapping == "full":
        source.write_bytes(full(files))
    else:
        with tarfile.open(source, "w") as tar:
            for path, data in files.items():
                member = tarfile.TarInfo(path)
                member.size = len(data)
                tar.addfile(member, BytesIO(data))
    refused(run, source, "of an artefact")


@pytest.mark.parametrize("wrapping", ["full", "tar", "gz"])
def test_containers_that_break_off(run: Run, tmp_path: Path, wrapping: str) -> None:
    source = tmp_path / "source"
    if wrapping == "full":
        source.write_bytes(full(contents(EXAMPLE)))
    else:
        archived(EXAMPLE, source, wrapping.removeprefix("tar"))
    data = source.read_bytes()
    for length in (len(data) // 3, len(data) // 2, len(data) - 10_240):
        if length > 600:
            source.write_bytes(data[:length])
            refused(run, source)


def test_no_such_source(run: Run) -> None:
    error = refused(run, "./gone", "no such path")
    assert "hint: a job (NAME or NAME/latest)" in error


# Bad servers


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("page", "fault", "code", "text"),
    [
        ("/latest", "status 404", 5, "the job hello-git has no finished build"),
        ("/latest", "status 500", 5, "the server answered 500"),
        ("/f/opam-switch", "status 404", 5, "the build has no opam-switch"),
        ("/f/opam-switch", "status 503", 5, "the server answered 503"),
        ("/latest", "loop", 5, "more than 5 redirects"),
        ("/f/bin/hello.hvt", "loop", 5, "more than 5 redirects"),
        ("/latest", "redirect http://evil.example/", 5, "to 'http://evil.example/'"),
        ("/f/bin/hello.hvt", "redirect //evil.example/x", 5, "to '//evil.example/x'"),
        ("/f/opam-switch", "short", 5, "of 100 bytes"),
        ("/f/bin/hello.hvt", "short", 5, "of 100 bytes"),
        ("/f/bin/hello.hvt", "wrong", 4, "the server states sha256 "),
        ("/f/opam-switch", "drip", 5, "too slow"),
        ("/f/bin/hello.hvt", "drip", 5, "too slow"),
        ("/latest", "header", 5, "too slow"),
        ("/f/bin/hello.hvt", "drop", 5, "the transfer failed"),
    ],
)
def test_bad_servers(
    run: Run, web: BuilderWeb, tmp_path: Path, *, page: str, fault: str, code: int, text: str
) -> None:
    web.faults[page] = fault
    error = refused(run, f"{web.url}/job/hello-git", code=code)
    assert text in error or (fault == "short" and "transfer failed" in error)
    if fault == "wrong":
        assert ", gave " in error
    assert not list((tmp_path / "cache").rglob("partial*"))


@pytest.mark.usefixtures("impatient")
def test_no_server(run: Run) -> None:
    refused(run, "http://127.0.0.1:1/job/hello", "the transfer failed", code=5)
    assert "--server" in run("nix", "hello", "--server", "ftp://x", code=3).err


def test_a_hash_that_no_build_has(run: Run, web: BuilderWeb) -> None:
    error = run("nix", f"sha256:{'0' * 64}", "--server", web.url, code=5).err
    assert "no build holds a file with sha256" in error
    assert "not sha256: and 64" in run("nix", "sha256:12", "--server", web.url, code=3).err
    assert NEW_UUID not in error


def test_a_cache_that_cannot_be_used(run: Run, web: BuilderWeb, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    argv = ("nix", f"{web.url}/job/hello-git", "--cache", tmp_path / "file")
    assert "the cache cannot be used" in run(*argv, code=3).err


# As a process


@pytest.mark.slow
def test_a_process_of_its_own(here: Path, web: BuilderWeb) -> None:
    ran = process("nix", f"{web.url}/job/hello-git", "./gone", "--output", "nix")
    assert ran.returncode == 3
    assert ran.stdout == f"create    {HELLO}/package.nix\n"
    assert ran.stderr.startswith("pkggen: ./gone: ")
    assert list(contents(here / "nix")) == [f"{HELLO}/package.nix"]
    mask = os.umask(0o077)
    try:
        ran = process("nix", EXAMPLE, "--output", "nix")
    finally:
        os.umask(mask)
    assert (ran.returncode, ran.stderr) == (0, "")
    for path in (here / "nix").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)
