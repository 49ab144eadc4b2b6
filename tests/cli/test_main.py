"""The command line as a whole: exit codes, help, interruptions, bugs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from pkggen import __version__, errors
from pkggen.cli import show
from tests.cli.conftest import EXAMPLE, process
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run
    from tests.conftest import MakeRecord
    from tests.record.builder_web_server import BuilderWeb


def test_help_states_the_exit_codes_of_the_errors(run: Run) -> None:
    text = run("--help").out
    stated = dict(re.findall(r"^  (\d+) +(.*)$", text, re.MULTILINE))
    documented = dict(re.findall(r"^    (\d+) +(\S+)", errors.__doc__ or "", re.MULTILINE))
    assert set(stated) == {"0", "1", *documented}
    for code, word in documented.items():
        assert word in stated[code]
    codes = {errors.BUG_EXIT_CODE, 2, 3, 4, 5, 6}
    assert {str(code) for code in codes} == set(documented)
    kinds = (kind.exit_code for kind in errors.PkggenError.__subclasses__())
    assert {code for code in kinds if isinstance(code, int)} == codes - {errors.BUG_EXIT_CODE}


def test_every_command_has_a_module_and_help(run: Run) -> None:
    text = run("--help").out
    names = re.findall(r"^    ([a-z-]+) {2,}\S", text, re.MULTILINE)
    assert {"nix", "record", "show"} <= set(names)
    for name in names:
        assert callable(import_module(f"pkggen.cli.{name}").run)
        assert f"usage: pkggen {name}" in run(name, "--help").out


def test_version(run: Run) -> None:
    assert run("--version").out == f"pkggen {__version__}\n"


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["nothing"],
        ["show"],
        ["nix"],
        ["record", "x"],
        ["show", "x", "--no-such-option"],
        ["nix", "x", "--dry-run", "--check"],
        ["nix", "x", "--nixpkgs", "a", "--output", "b"],
        ["nix", "x", "--nixpkgs", "a", "--overlay"],
        ["nix", "x", "--nixpkgs", "a", "--flake"],
        ["record", "x", "-o", "y", "--started", "yesterday"],
        ["record", "x", "-o", "y", "--started", "2026-08-23T09:00:00"],
    ],
)
def test_wrong_usage(run: Run, here: Path, argv: list[str]) -> None:
    ran = run(*argv, code=2)
    assert ran.out == ""
    assert ran.err != ""
    assert list(here.iterdir()) == []


def test_python_m_pkggen() -> None:
    assert process("--version").stdout == f"pkggen {__version__}\n"
    assert process("nothing").returncode == 2
    gone = process("show", "./gone")
    assert (gone.returncode, gone.stdout) == (3, "")
    assert gone.stderr.startswith("pkggen: ./gone: no such path")
    assert "\nhint: " in gone.stderr


def test_a_bug_is_called_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> int:
        raise RuntimeError("\x1b[2Jodd")

    monkeypatch.setattr(show, "run", fail)
    ran = run("show", EXAMPLE, code=errors.BUG_EXIT_CODE)
    assert ran.err.startswith("pkggen: this is a bug in pkggen: RuntimeError: \\x1b[2Jodd\nhint: ")
    assert "Traceback" not in ran.err
    monkeypatch.setenv("PKGGEN_TRACEBACK", "1")
    with pytest.raises(RuntimeError, match="odd"):
        run("show", EXAMPLE)


def test_an_interruption(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(show, "run", interrupt)
    ran = run("show", EXAMPLE, code=130)
    assert (ran.out, ran.err) == ("", "")


@pytest.mark.slow
def test_an_interrupted_download(here: Path, web: BuilderWeb) -> None:
    web.faults["/f/opam-switch"] = "drip"
    argv = [sys.executable, "-m", "pkggen", "nix", f"{web.url}/job/hello-git", "-o", "nix"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(argv, stderr=subprocess.PIPE, env=environment) as child:
        while not any(path.endswith("/f/opam-switch") for path in web.requests):
            assert child.poll() is None
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        _, told = child.communicate(timeout=10)
    assert (child.returncode, told) == (130, b"")
    assert list(here.iterdir()) == []
    assert not [path for path in (here.parent / "cache").rglob("*") if path.is_file()]


def test_nobody_reads_the_output() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ran = subprocess.run(
        [sys.executable, "-m", "pkggen", "show", EXAMPLE],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
        cwd=REPOSITORY,
    )
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (141, b"")


def test_the_disk_is_full() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - not a path of ours
        ran = subprocess.run(
            [sys.executable, "-m", "pkggen", "show", EXAMPLE],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=REPOSITORY,
        )
    assert ran.returncode == errors.ToolError.exit_code
    first, second = ran.stderr.splitlines()
    assert first == "pkggen: the system refused: [Errno 28] No space left on device"
    assert second.startswith("hint: ")


@pytest.mark.slow
def test_an_output_that_knows_no_unicode(tmp_path: Path, make_record: MakeRecord) -> None:
    saved = make_record(tmp_path / "saved").rename(tmp_path / "enregistré")
    for encoding in ("ascii", "utf-8"):
        ran = process("nix", saved, "-o", tmp_path / "é", "--json", PYTHONIOENCODING=encoding)
        assert ran.returncode == 0, ran.stderr
    ran = process(
        "record", saved, "-o", tmp_path / "sauvé", PYTHONIOENCODING="ascii", LC_ALL="C.UTF-8"
    )
    assert (ran.returncode, ran.stdout) == (0, f"{tmp_path}/sauv\\xe9\n")


def test_hostile_texts_cannot_steer_the_terminal(
    run: Run, tmp_path: Path, make_record: MakeRecord
) -> None:
    escape = "\x1b]0;owned\x07\x9b2J\u202e"
    assert escape not in run("show", escape, code=3).err
    orb = make_record(tmp_path / "orb", saved=False)
    switch = (orb / "opam-switch").read_text()
    (orb / "opam-switch").write_text(switch.replace('"ISC"', f'"{escape}"'))
    for argv, code in (
        (("show", orb), 0),
        (("show", orb, "--json"), 0),
        (("nix", orb, "-o", "out"), 3),
        (("nix", orb, "-o", "out", "--json"), 3),
    ):
        ran = run(*argv, code=code)
        printed = (ran.out + ran.err).replace("\n", "")
        assert printed.isprintable()
        assert "owned" in printed
