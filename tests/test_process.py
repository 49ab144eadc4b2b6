"""Running other programs: environment, time limit, and errors that say what to do."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

import pytest

from pkggen import process
from pkggen.errors import InputError, ToolError

ENVIRONMENT: Final = {"PATH": os.defpath}
INSTALL: Final = "it is in the package sh"


def sh(script: str, *, timeout: float = 20, limit: int = 1000, stdin: bytes = b"") -> bytes:
    return process.run(
        ["sh", "-c", script],
        environment=ENVIRONMENT,
        timeout=timeout,
        install=INSTALL,
        limit=limit,
        stdin=stdin,
    )


def test_output_is_returned_and_input_is_given() -> None:
    assert sh("cat; echo more", stdin=b"given\n") == b"given\nmore\n"


def test_without_input_nothing_is_read() -> None:
    assert sh("cat") == b""


def test_the_environment_is_the_stated_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PKGGEN_TEST_SECRET", "hidden")
    assert b"hidden" not in sh("env")


def test_inherited_takes_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PKGGEN_TEST_THERE", "yes")
    monkeypatch.delenv("PKGGEN_TEST_GONE", raising=False)
    found = process.inherited("PKGGEN_TEST_THERE", "PKGGEN_TEST_GONE")
    assert found == {"PKGGEN_TEST_THERE": "yes"}


def test_cwd(tmp_path: Path) -> None:
    said = process.run(
        ["pwd", "-P"], environment=ENVIRONMENT, timeout=20, install=INSTALL, cwd=tmp_path
    )
    assert Path(said.decode().strip()) == tmp_path.resolve()


def test_arguments_are_no_shell_line() -> None:
    said = process.run(
        ["printf", "%s", "$HOME; `id`"], environment=ENVIRONMENT, timeout=20, install=INSTALL
    )
    assert said == b"$HOME; `id`"


def test_command_is_shown_before_it_runs() -> None:
    shown: list[str] = []
    with pytest.raises(ToolError):
        process.run(
            ["sh", "-c", "exit 1"],
            environment=ENVIRONMENT,
            timeout=20,
            install=INSTALL,
            show=shown.append,
        )
    assert shown == ["sh -c 'exit 1'"]


def test_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(ToolError) as caught:
        process.run(["pkggen-no-such-tool"], environment=ENVIRONMENT, timeout=20, install=INSTALL)
    assert str(caught.value) == f"pkggen-no-such-tool is not installed\nhint: {INSTALL}"
    assert caught.value.exit_code == 6


def test_without_path_nothing_is_found() -> None:
    with pytest.raises(ToolError, match="sh is not installed"):
        process.run(["sh"], environment={}, timeout=20, install=INSTALL)


def test_program_that_cannot_be_run(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o755)
    with pytest.raises(ToolError, match="broken cannot be run"):
        process.run([str(broken)], environment=ENVIRONMENT, timeout=20, install=INSTALL)


def test_failure_keeps_status_and_the_end_of_what_was_said() -> None:
    with pytest.raises(process.ExitError) as caught:
        sh("i=0; while [ $i -lt 2000 ]; do echo noise >&2; i=$((i+1)); done; echo last >&2; exit 3")
    assert caught.value.status == 3
    assert caught.value.said.endswith("noise\nlast")
    assert len(caught.value.said) < 5000


def test_failure_cannot_steer_the_terminal() -> None:
    with pytest.raises(process.ExitError) as caught:
        sh(r"printf '\033[2Jgone' >&2; exit 1")
    assert caught.value.said == r"\x1b[2Jgone"


def test_death_by_signal_is_a_failure() -> None:
    with pytest.raises(process.ExitError) as caught:
        sh("kill -9 $$")
    assert caught.value.status == -9


def test_too_much_output_ends_the_program() -> None:
    started = time.monotonic()
    with pytest.raises(process.OutputLimitError, match="sh printed more than 1000 bytes"):
        sh("while :; do echo endless; done")
    assert time.monotonic() - started < 10


def test_as_much_output_as_is_allowed() -> None:
    assert len(sh("head -c 1000 /dev/zero")) == 1000


def test_time_limit_kills_children_that_hold_the_output() -> None:
    started = time.monotonic()
    with pytest.raises(ToolError, match=r"sh took longer than 0\.3 seconds"):
        sh("sleep 60 & sleep 60", timeout=0.3)
    assert time.monotonic() - started < 10


def test_fault_of_the_reader_ends_the_program(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    def reader() -> None:
        with process.stream(
            ["sh", "-c", f"echo first; sleep 0.3; touch {mark}"],
            environment=ENVIRONMENT,
            timeout=20,
            install=INSTALL,
        ) as output:
            raise InputError(output.readline().decode())

    with pytest.raises(InputError, match="first"):
        reader()
    time.sleep(0.5)
    assert not mark.exists()


def test_failure_after_all_output_is_still_one() -> None:
    with (
        pytest.raises(process.ExitError),
        process.stream(
            ["sh", "-c", "echo all; exit 4"],
            environment=ENVIRONMENT,
            timeout=20,
            install=INSTALL,
        ) as output,
    ):
        assert output.read() == b"all\n"
