"""`pkggen rebuild`: real rebuilds of small records."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY
from tests.rebuild.made import Made, Package, archive, example, make, need_tools, programs

if TYPE_CHECKING:
    from tests.cli.conftest import Ran, Run

SOURCE = """\
int square(int x) { return x * x; }
int main(int count, char **arguments) { return square(count) == arguments[0][0]; }
"""


def rebuild(run: Run, made: Made, *more: object, code: int = 0) -> Ran:
    need_tools()
    return run("rebuild", made.record, "--offline", "--mirror", made.mirror, *more, code=code)


def program(*flags: str) -> Package:
    """Return a package whose program has the place of its build in its debug information."""
    compile_ = " ".join(f'"{word}"' for word in ("cc", "-g", *flags, "-o", "root", "root.c"))
    return Package(
        "root",
        f'build: [[{compile_}]] install: ["cp" "root" "%{{bin}}%/root"]',
        {"root.c": SOURCE},
    )


def built_elsewhere(run: Run, directory: Path, package: Package) -> bytes:
    """Return what the package gives below a longer prefix."""
    made = make(directory / "elsewhere", (package,), prefix=directory / "another-place" / "p")
    rebuild(run, made, "-o", directory / "elsewhere" / "d", code=4)
    return (directory / "elsewhere" / "d" / "result" / "bin" / "root").read_bytes()


def await_end(group: int) -> None:
    """Wait until no process of a group is left, not even one that nobody has asked for yet."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    pytest.fail(f"processes of the group {group} are left")


def test_the_example_reaches_its_hash(run: Run, tmp_path: Path) -> None:
    made = example(tmp_path, tmp_path / "p")
    done = rebuild(run, made, "--jobs", "2")
    digest = "5bfbbe733c8315cf4d28c04a7df7dc4f267c5f28fe096213cb4b687274035ff6"
    assert done.out.split("\n")[0] == f"same     bin/hello.hvt  sha256 {digest}"
    assert "\npkggen: greeting.0.1\n" in done.err
    logs = {path.name for path in (run.here / "rebuild/result/logs").iterdir()}
    assert logs == {"conf-gcc-hello.1.log", "greeting.0.1.log", "hello-unikernel.1.0.0.log"}
    assert not (tmp_path / "p").exists()


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["dash", "busybox sh", "bash --posix"])
def test_what_is_prepared_runs_by_hand(run: Run, shell: str, tmp_path: Path) -> None:
    if shutil.which(shell.partition(" ")[0]) is None:
        pytest.skip(f"NOT TRIED WITH {shell}: not found")
    made = example(tmp_path, tmp_path / "p")
    assert rebuild(run, made, "--prepare").out == f"{run.here}/rebuild/rebuild.sh\n"
    assert not (tmp_path / "p").exists()
    done = subprocess.run(
        [*shell.split(), "rebuild.sh"],
        cwd=run.here / "rebuild",
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[3].startswith("same     bin/hello.hvt  sha256 5bfbbe733c8315cf")


@pytest.mark.slow
def test_another_prefix_is_recognised(run: Run, tmp_path: Path) -> None:
    package = program()
    recorded = built_elsewhere(run, tmp_path, package)
    made = make(tmp_path, (package,), prefix=tmp_path / "p", built={"bin/root": recorded})
    done = rebuild(run, made, code=4)
    assert done.out.startswith("differs  bin/root\n         recorded sha256 ")
    assert "equal after `strip -g`: only debug information differs" in done.out
    assert f"  PREFIX: {tmp_path}/p\n" in done.out
    assert re.search(r"  diffoscope \S+/recorded/bin/root \S+/result/bin/root\n", done.out)
    assert (run.here / "rebuild/recorded/bin/root").read_bytes() == recorded


@pytest.mark.slow
def test_another_flag_is_no_matter_of_paths(run: Run, tmp_path: Path) -> None:
    recorded = built_elsewhere(run, tmp_path, program("-O1"))
    made = make(tmp_path, (program(),), prefix=tmp_path / "p", built={"bin/root": recorded})
    done = rebuild(run, made, "--json", code=4)
    shown = json.loads(done.out)
    assert shown["schema"] == "1.0.0"
    assert shown["same"] is False
    assert shown["files"][0]["stripped"] == {"debug": False, "symbols": False}
    assert shown["files"][0]["path"] == "bin/root"
    assert shown["compilers"][0][0] == "cc"


@pytest.mark.slow
def test_differing_system_packages_are_named(run: Run, tmp_path: Path) -> None:
    if shutil.which("dpkg-query") is None:
        pytest.skip("PACKAGES NOT COMPARED: dpkg-query not found")
    made = make(
        tmp_path,
        (Package("root", 'install: ["touch" "%{bin}%/root"]'),),
        prefix=tmp_path / "p",
        system_packages="dpkg=0.1\ngcc-1=1\n",
        environment={"OS_VERSION": "7"},
    )
    out = rebuild(run, made, code=4).out
    assert "system packages: 1 of another version, 1 recorded ones not here, " in out
    assert "    dpkg: recorded 0.1, here " in out
    assert "    gcc-1: recorded 1, here not installed\n" in out
    assert "  OS_VERSION: recorded 7, here " in out


@pytest.mark.slow
def test_all_obstacles_come_before_any_work(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "mine").touch()
    made = example(tmp_path, tmp_path / "p")
    (tmp_path / "nothing").mkdir()
    monkeypatch.setenv("REBUILD_PATH", str(tmp_path / "nothing"))
    done = rebuild(run, made, code=6)
    assert "opam-installer is needed" in done.err
    assert "the recorded PREFIX is in use by something else" in done.err
    assert not (run.here / "rebuild").exists()
    assert (tmp_path / "p" / "mine").exists()


@pytest.mark.slow
def test_a_switch_that_is_kept_serves_the_next_record(run: Run, tmp_path: Path) -> None:
    tool = Package("tool", 'build: ["touch" "%{lib}%/tool"]')
    for name in ("one", "two"):
        root = Package(name, f'install: ["cp" "%{{lib}}%/tool" "%{{bin}}%/{name}"]')
        built = {f"bin/{name}": b""}
        made = make(tmp_path / name, (tool, root), prefix=tmp_path / "p", built=built)
        done = rebuild(run, made, "--keep")
        assert done.out.startswith(f"same     bin/{name}")
        assert ("pkggen: tool.1\n" in done.err) == (name == "one")
    other = make(tmp_path / "3", (Package("other"), Package("x")), prefix=tmp_path / "p")
    assert "in use by something else" in rebuild(run, other, code=3).err


@pytest.mark.slow
def test_a_record_without_files_proves_nothing(run: Run, tmp_path: Path) -> None:
    made = make(tmp_path, (Package("root"),), prefix=tmp_path / "p", built={})
    assert "holds no built file to compare with" in rebuild(run, made, code=3).err
    rebuild(run, made, "--prepare")


@pytest.mark.slow
def test_wrong_options(run: Run, tmp_path: Path) -> None:
    made = example(tmp_path, tmp_path / "p")
    assert "--jobs is from 1 to 64" in rebuild(run, made, "--jobs", "0", code=2).err
    assert "letters, digits" in rebuild(run, made, "-o", tmp_path / "a b", code=3).err


@pytest.mark.slow
def test_sources_that_are_nowhere(run: Run, tmp_path: Path) -> None:
    need_tools()
    made = example(tmp_path, tmp_path / "p")
    said = run("rebuild", made.record, "--offline", code=5).err
    assert "greeting" in said
    assert "hello-unikernel" in said


@pytest.mark.slow
def test_a_killed_rebuild_goes_on(run: Run, tmp_path: Path) -> None:
    need_tools()
    gate = tmp_path / "gate"
    made = make(
        tmp_path,
        (
            Package("first", 'build: ["touch" "%{lib}%/first"]'),
            Package("slow", f'depends: "first" build: ["sh" "-c" "test -e {gate} || sleep 600"]'),
            Package("root", 'depends: "slow" install: ["cp" "%{lib}%/first" "%{bin}%/root"]'),
        ),
        prefix=tmp_path / "p",
        built={"bin/root": b""},
    )
    argv = [sys.executable, "-m", "pkggen", "rebuild", str(made.record), "--offline"]
    child = subprocess.Popen(
        argv,
        cwd=run.here,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stderr is not None
    for line in child.stderr:
        if "slow.1" in line:
            break
    owner = int((tmp_path / "p/.opam-switch/rebuild.lock/process").read_text())
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    # What pkggen started outlives it, and still holds the prefix.
    assert f"process {owner} uses" in rebuild(run, made, code=6).err
    os.killpg(owner, signal.SIGKILL)
    await_end(owner)
    gate.touch()
    done = rebuild(run, made)
    assert done.out.startswith("same     bin/root")
    assert "pkggen: first.1\n" not in done.err
    assert "pkggen: slow.1\n" in done.err
    assert not (tmp_path / "p").exists()


@pytest.mark.slow
def test_ctrl_c_leaves_no_process(run: Run, tmp_path: Path) -> None:
    need_tools()
    made = make(
        tmp_path,
        (Package("slow", 'build: ["sleep" "600"]'), Package("root")),
        prefix=tmp_path / "p",
    )
    child = subprocess.Popen(
        [sys.executable, "-m", "pkggen", "rebuild", str(made.record)],
        cwd=run.here,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    for line in child.stderr:
        if "slow.1" in line:
            break
    owner = int((tmp_path / "p/.opam-switch/rebuild.lock/process").read_text())
    child.send_signal(signal.SIGINT)
    assert child.wait(30) == 130
    await_end(owner)


@pytest.mark.slow
def test_programs_of_another_path(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = programs(tmp_path / "programs", greet="echo hello from")
    made = make(
        tmp_path,
        (Package("root", 'build: ["sh" "-c" "greet here >%{bin}%/root"]'),),
        prefix=tmp_path / "p",
        built={"bin/root": b"hello from here\n"},
    )
    rebuild(run, made, code=6)
    shutil.rmtree(tmp_path / "p")
    monkeypatch.setenv("REBUILD_PATH", path)
    rebuild(run, made)


@pytest.mark.slow
def test_a_unikernel_is_built_at_orbs_place(run: Run, tmp_path: Path) -> None:
    place = Path("/tmp/orb-build")  # noqa: S108 - the one that is recorded
    if place.exists():
        pytest.skip(f"NOT BUILT AT {place}: another rebuild is there")
    vendored = Package("v", "", {"text": "vendored"})
    source = archive(vendored)
    digest = hashlib.sha256(source).hexdigest()
    fields = (
        f'x-opam-monorepo-duniverse-dirs: [["https://pkggen.test/v.tar" "v" ["sha256={digest}"]]]\n'
        'x-mirage-opam-lock-location: "mirage/root.opam"\n'
        'x-mirage-configure: ["sh" "-c" "pwd >out; cat duniverse/v/text duniverse/dune >>out"]\n'
        'x-mirage-pre-build: ["false"]\n'
        'build: ["sh" "-c" "cat mine >>out"] install: ["cp" "out" "%{bin}%/root"]'
    )
    made = make(
        tmp_path,
        (Package("tool", 'build: ["true"]'), Package("root", fields, {"mine": "own"})),
        prefix=tmp_path / "p",
        built={"bin/root": b"/tmp/orb-build\nvendored(vendored_dirs *)own"},
    )
    kept = made.mirror / "sha256" / digest[:2] / digest
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(source)
    assert rebuild(run, made).out.startswith("same     bin/root")
    assert not place.exists()
    assert not Path(f"{place}.lock").exists()
