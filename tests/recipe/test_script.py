"""The script: what it looks like, and what its substitutions and steps do."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.errors import Faults, InputError
from pkggen.opam.parser import parse
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.recipe.script import rebuild_script
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from tests.rebuild.made import EXAMPLE, Made, Package, make, need_tools, programs

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.recipe.plan import RebuildPlan

AWKS: Final = ("mawk", "busybox awk", "gawk", "gawk --posix", "original-awk")
SHELLS: Final = ("dash", "busybox sh", "bash --posix")

PIECES: Final = (
    *("%{p:version}%", "%{p:installed}%", "%{q:installed}%", "%{absent:installed}%", "%{p:name}%"),
    *("%{p+q:installed}%", "%{p+absent:installed}%", "%{p:enable}%", "%{absent:enable}%"),
    *("%{p+q:enable}%", "%{p+absent:enable}%", "%{name}%", "%{_:name}%", "%{version}%"),
    *("%{me:installed}%", "%{_:installed}%", "%{prefix}%", "%{lib}%", "%{p:lib}%", "%{_:share}%"),
    *("%{p:bin}%", "%{bin}%", "%{p:doc}%", "%{p:etc}%", "%{man}%", "%{stublibs}%", "%{toplevel}%"),
    *("%{p:installed?yes:no}%", "%{absent:installed?yes:no}%", "%{p:installed?:no}%"),
    *("%{absent:installed?yes:}%", "%{p+q:installed?a:b}%", "%{p+absent:installed?a b:c/d}%"),
    *("%{os}%", "%{os-family?a:b}%", "%{make}%", "%{pinned}%"),
    *("%{p:pinned}%", "%{absent:pinned}%", "%{with-test}%", "%{dev?x:y}%", "%{build}%"),
    *(
        "%%",
        "%%{p:version}%%",
        "%",
        "}%",
        "}",
        "%%%",
        " ",
        "\t",
        "\\",
        "\\n",
        "&",
        "\\&",
    ),
    *("$HOME", "`id`", "'", '"', "x=1", "é", "\n", "\n\n", "#", "/"),
)


def awk_or_skip(awk: str) -> str:
    if shutil.which(awk.partition(" ")[0]) is None:
        pytest.skip(f"NOT TRIED WITH {awk}: not found")
    return awk


def plan_of(made: Made) -> RebuildPlan:
    return rebuild_plan(made.read())


def script_in(directory: Path, made: Made) -> Path:
    """Write the script and its distfiles to a directory."""
    plan = plan_of(made)
    distfiles = directory / "distfiles"
    distfiles.mkdir(parents=True, exist_ok=True)
    digests = {}
    for source in plan.sources:
        digest = digests[source.file_name] = source.checksums[0].digest
        shutil.copy(made.mirror / "sha256" / digest[:2] / digest, distfiles / source.file_name)
    for carried in plan.carried:
        (distfiles / carried.file_name).write_bytes(carried.content)
    script = directory / "rebuild.sh"
    script.write_text(rebuild_script(plan, digests))
    return script


def execute(
    script: Path, *arguments: str, shell: str = "sh", path: str | None = None
) -> subprocess.CompletedProcess[str]:
    need_tools()
    environment = {"PATH": "/usr/bin:/bin"} | ({} if path is None else {"REBUILD_PATH": path})
    return subprocess.run(
        [*shell.split(), str(script), *arguments],
        cwd=script.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


# Substitution, with opam as oracle


def substituted(directory: Path, contents: dict[str, bytes], awk: str) -> dict[str, bytes]:
    """Return what the script makes of `NAME.in` files of the package `me`."""
    prefix = directory / "root" / "test"
    fields = "substs: [{}] install: [{}]".format(
        " ".join(f'"{name}"' for name in contents),
        " ".join(f'["cp" "{name}" "%{{share}}%/{name}"]' for name in contents),
    )
    made = make(
        directory,
        (
            Package("p", version="1.2"),
            Package("q", version="0"),
            Package("me", fields, {f"{name}.in": data for name, data in contents.items()}, "1.0"),
        ),
        prefix=prefix,
    )
    shutil.rmtree(prefix, ignore_errors=True)
    script = script_in(directory / "script", made)
    path = programs(directory / f"programs-{awk.replace(' ', '')}", awk=awk)
    done = execute(script, "root", path=path)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: (prefix / "share" / name).read_bytes() for name in contents}


def is_comparable(text: str) -> bool:
    """Tell whether opam ends the last line: it does not in what it takes for a file of its own."""
    try:
        parse(text, "text")
    except InputError:
        return True
    return not text or text.endswith("\n")


def random_files(count: int) -> dict[str, bytes]:
    dice = random.Random(0)  # noqa: S311
    texts = [*PIECES, "", "\n", "\n\n", "a", "a\n", "%{p:version}%", "%%\n%", "%{p:version}%\n\n"]
    while len(texts) < count:
        texts.append("".join(dice.choices(PIECES, k=dice.randrange(1, 40))))
    return {f"f{n}": text.encode() for n, text in enumerate(texts) if is_comparable(text)}


@pytest.fixture(scope="module")
def opams_answer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """Return what opam makes of the random files, and the directory that has its root."""
    if shutil.which("opam") is None:
        pytest.skip("the oracle opam is missing: apt-get install opam")
    home = tmp_path_factory.mktemp("oracle")
    contents = random_files(100)
    for name, data in contents.items():
        (home / f"{name}.in").write_bytes(data)
    names = " ".join(f'"{name}"' for name in contents)
    install = f'install: ["sh" "-c" "cp f*[0-9] \'{home}\'"]'
    package = home / "repository/packages/me/me.1.0"
    for full, fields in (("p.1.2", ""), ("q.0", "")):
        other = home / "repository/packages" / full.partition(".")[0] / full
        other.mkdir(parents=True)
        (other / "opam").write_text(f'opam-version: "2.0"\n{fields}')
    (package / "files").mkdir(parents=True)
    for name, data in contents.items():
        (package / "files" / f"{name}.in").write_bytes(data)
    (package / "opam").write_text(
        f'opam-version: "2.0"\ndepends: ["p" "q"]\nsubsts: [{names}]\n{install}\n'
    )
    (home / "repository/repo").write_text('opam-version: "2.0"\n')
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "OPAMROOT": str(home / "root"),
        "OPAMROOTISOK": "1",
        "OPAMYES": "1",
        "OPAMNODEPEXTS": "1",
    }
    quick = ("--bare", "--no-setup", "--disable-sandboxing", "--bypass-checks")
    for argv in (
        ("init", *quick, "default", str(home / "repository")),
        ("switch", "create", "test", "--empty"),
        ("install", "me"),
    ):
        done = subprocess.run(
            ["opam", *argv], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return home, {name: (home / name).read_bytes() for name in contents}


@pytest.mark.slow
@pytest.mark.parametrize("awk", AWKS)
def test_substitution_does_what_opam_does(
    awk: str, opams_answer: tuple[Path, dict[str, bytes]]
) -> None:
    home, expected = opams_answer
    contents = random_files(100)
    found = substituted(home, contents, awk_or_skip(awk))
    different = {
        contents[name]: (found[name], expected[name])
        for name in contents
        if found[name] != expected[name]
    }
    assert different == {}


@pytest.mark.slow
@pytest.mark.parametrize("awk", AWKS)
def test_an_unknown_variable_stops_the_build(awk: str, tmp_path: Path) -> None:
    for n, unknown in enumerate(("nope", "p:nope", "_:nope", "nope?a:b")):
        with pytest.raises(AssertionError, match="is known to opam only"):
            substituted(
                tmp_path / str(n),
                {"f": f"x%{{{unknown}}}%".encode()},
                awk_or_skip(awk),
            )


# The whole script


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
def test_steps_are_done_in_opams_order(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell.partition(" ")[0]) is None:
        pytest.skip(f"NOT TRIED WITH {shell}: not found")
    prefix = tmp_path / "p"
    patch = "--- a/text\n+++ b/text\n@@ -1 +1 @@\n-old\n+new %{name}%\n"
    made = make(
        tmp_path,
        (
            Package("base-unix", version="base"),
            Package(
                "lib",
                'setenv: [[LIB_PATH += "%{lib}%/lib"] [LIB_PATH += "second"]]\n'
                'build: [["sh" "-c" "echo built by $OPAM_PACKAGE_NAME.$OPAM_PACKAGE_VERSION >out"]]'
                ' install: ["cp" "out" "%{lib}%/out of lib"]',
                {"unused": ""},
            ),
            Package("virtual", 'depends: ["lib"]'),
            Package(
                "root",
                'depends: ["virtual" "base-unix"] substs: ["fix.patch"]\n'
                'patches: ["fix.patch" "never.patch" {os = "win32"}]\n'
                'build-env: [[GREETING = "it\'s $HOME"]]\n'
                'build: [["sh" "-c" "cat text; echo $GREETING; echo $LIB_PATH"]\n'
                '["false"] {with-test}]\n'
                'install: [["sh" "-c" "cat \'%{lib}%/out of lib\' text >\'%{bin}%/root\'"]'
                ' ["touch" "%{share}%/*" "-" "%{share}%/$x"]]',
                {
                    "text": "old\n",
                    "fix.patch.in": patch,
                    "root.install": 'share: ["text" {"in/by install"}]\n',
                },
            ),
        ),
        prefix=prefix,
        built={"bin/root": b"built by lib.1\nnew root\n"},
    )
    script = script_in(tmp_path / "script", made)
    done = execute(script, "-j", "3", shell=shell)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split("\n")[:2] == ["lib.1", "root.1"]
    assert (prefix / "share/root/in/by install").read_text() == "new root\n"
    assert {"*", "$x"} <= {path.name for path in (prefix / "share").iterdir()}
    log = (tmp_path / "script/result/logs/root.1.log").read_text()
    assert f"\nnew root\nit's $HOME\nsecond:{prefix}/lib/lib\n" in log
    assert not (prefix / ".opam-switch/build/root.1").exists()
    assert not list(prefix.rglob("*.lock"))
    assert execute(script, shell=shell).stdout.split("\n")[0] == "root.1"


def test_a_wrong_result_has_an_exit_status_of_its_own(tmp_path: Path) -> None:
    made = make(
        tmp_path,
        (Package("root", 'install: ["touch" "%{bin}%/root"]', {"x": ""}),),
        prefix=tmp_path / "p",
        built={"bin/root": b"x", "bin/other": b"y"},
    )
    done = execute(script_in(tmp_path / "script", made))
    assert done.returncode == 4
    assert re.search(
        r"^missing  bin/other\ndiffers  bin/root  sha256 e3b0", done.stdout, re.MULTILINE
    )


@pytest.mark.parametrize("damage", ["missing", "wrong"])
def test_a_source_is_verified_before_it_is_unpacked(damage: str, tmp_path: Path) -> None:
    made = make(
        tmp_path,
        (Package("root", 'install: ["touch" "%{bin}%/root"]', {"x": ""}),),
        prefix=tmp_path / "p",
    )
    script = script_in(tmp_path / "script", made)
    (source,) = (tmp_path / "script/distfiles").iterdir()
    source.unlink() if damage == "missing" else source.write_bytes(b"evil")
    done = execute(script)
    assert done.returncode == 1
    expected = "is missing" if damage == "missing" else "does not have the sha256"
    assert expected in done.stderr
    assert not (tmp_path / "p/bin/root").exists()


def test_a_failing_command_is_shown_with_its_log(tmp_path: Path) -> None:
    made = make(
        tmp_path,
        (
            Package("dep", 'build: ["sh" "-c" "echo oh no; exit 3"]'),
            Package("root", 'depends: "dep"'),
        ),
        prefix=tmp_path / "p",
    )
    done = execute(script_in(tmp_path / "script", made))
    assert done.returncode != 0
    assert "oh no" in done.stderr
    assert f"dep.1 failed; the whole log is {tmp_path}/script/result/logs/dep.1.log" in done.stderr
    assert "root.1" not in done.stdout


def test_two_rebuilds_do_not_share_a_prefix(tmp_path: Path) -> None:
    made = make(
        tmp_path,
        (Package("dep", 'build: ["sleep" "60"]'), Package("root", 'depends: "dep"')),
        prefix=tmp_path / "p",
    )
    script = script_in(tmp_path / "script", made)
    first = subprocess.Popen(
        ["sh", str(script)], cwd=script.parent, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == b"dep.1\n"
        second = execute(script)
        assert second.returncode == 1
        assert f"process {first.pid} uses {tmp_path}/p/.opam-switch/rebuild" in second.stderr
    finally:
        os.killpg(first.pid, 9)
        first.communicate()


def test_the_prefix_of_another_switch_is_left_alone(tmp_path: Path) -> None:
    prefix = tmp_path / "p"
    one = make(tmp_path / "1", (Package("a", 'build: "true"'), Package("root")), prefix=prefix)
    two = make(tmp_path / "2", (Package("b", 'build: "true"'), Package("root")), prefix=prefix)
    assert execute(script_in(tmp_path / "one", one), "switch").returncode == 0
    done = execute(script_in(tmp_path / "two", two), "switch")
    assert done.returncode == 1
    assert "holds another switch; remove it" in done.stderr


def test_options(tmp_path: Path) -> None:
    script = script_in(
        tmp_path / "script", make(tmp_path, (Package("root"),), prefix=tmp_path / "p")
    )
    for arguments in (("-j", "0"), ("-j", "x"), ("-x",), ("nonsense",)):
        done = execute(script, *arguments)
        assert done.returncode == 2
        assert done.stderr.count("usage: rebuild.sh") == 1
    done = execute(script, "-p", "/tmp/a b")  # noqa: S108
    assert done.returncode == 1
    assert "use letters" in done.stderr


def test_a_source_of_unknown_digest_is_refused() -> None:
    plan = rebuild_plan(assemble(read_directory(EXAMPLE / "record", "hello")))
    with pytest.raises(Faults) as caught:
        rebuild_script(plan, {})
    assert [str(fault.where) for fault in caught.value.faults] == ["greeting", "hello-unikernel"]
    with pytest.raises(InputError, match="not known yet"):
        rebuild_script(plan, {plan.sources[0].file_name: "0" * 64})


def test_the_script_says_what_made_it_and_stays_within_its_comment() -> None:
    plan = rebuild_plan(assemble(read_directory(EXAMPLE / "record", "hello")))
    digests = {source.file_name: "0" * 64 for source in plan.sources}
    text = rebuild_script(replace(plan, job="x\nrm -rf /"), digests)
    assert text.split("\n")[1].startswith(
        "# Generated by pkggen from job x\ufffdrm -rf /: rebuilds"
    )


@pytest.mark.slow
def test_shellcheck_is_content(tmp_path: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("SCRIPT NOT CHECKED: shellcheck not found")
    full = make(
        tmp_path,
        (
            Package("lib", 'setenv: [[A += "b"] [C = "d"]] build: ["true"]', {"x": ""}),
            Package(
                "root",
                'depends: "lib" substs: ["a b"] patches: ["p"] build-env: [[X =: "$y"]]\n'
                'build: [["it\'s" "%{lib}%" "a%{jobs}%b"] [make "-j" jobs]]',
                {"x": ""},
            ),
        ),
    )  # fmt: skip
    plans = [plan_of(full), rebuild_plan(assemble(read_directory(EXAMPLE / "record", "hello")))]
    for plan in plans:
        script = tmp_path / "rebuild.sh"
        script.write_text(rebuild_script(plan, {s.file_name: "0" * 64 for s in plan.sources}))
        done = subprocess.run(
            ["shellcheck", "-s", "sh", str(script)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
