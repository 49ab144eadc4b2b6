"""The one way to run another program: an argument list, a stated environment, a time limit."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from threading import Event, Timer
from typing import IO, TYPE_CHECKING, Final

from pkggen.errors import ToolError, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

_KEPT_ERROR_BYTES: Final = 4096


class ExitError(ToolError):
    """A program ran and failed; other `ToolError`s say that it could not run to its end."""

    def __init__(self, tool: str, status: int, said: str) -> None:
        """Keep what the program said.

        Args:
            tool: Its name.
            status: Its exit status; negative is the number of the signal that ended it.
            said: The end of its standard error.
        """
        super().__init__(f"{tool} failed with status {status}" + (f": {said}" if said else ""))
        self.status = status
        self.said = said


class OutputLimitError(ToolError):
    """A program printed more than it may."""


def inherited(*names: str) -> dict[str, str]:
    """Return those of the named variables that pkggen's own environment has."""
    return {name: os.environ[name] for name in names if name in os.environ}


def run(  # noqa: PLR0913 - each is one decision of the caller
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    timeout: float,
    install: str,
    cwd: Path | None = None,
    stdin: bytes = b"",
    limit: int = 16 * 1024 * 1024,
    show: Callable[[str], None] | None = None,
) -> bytes:
    """Run a program to its end and return its standard output.

    Args:
        argv: Program and arguments; never a shell line.
        environment: All that the program sees; its `PATH` finds the program.
        timeout: Seconds after which the program and its children are killed.
        install: What to do when the program is missing, e.g. the name of its package.
        cwd: Where to run it; None is the current directory.
        stdin: What it reads.
        limit: Bytes of output that are too many.
        show: Is told the command before it runs.

    Raises:
        ExitError: it failed.
        OutputLimitError: it printed too much.
        ToolError: it is missing, or took too long.
    """
    with stream(
        argv,
        environment=environment,
        timeout=timeout,
        install=install,
        cwd=cwd,
        stdin=stdin,
        show=show,
    ) as output:
        data = output.read(limit + 1)
        if len(data) > limit:
            raise OutputLimitError(f"{argv[0]} printed more than {limit} bytes")
    return data


@contextmanager
def stream(  # noqa: PLR0913 - likewise
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    timeout: float,
    install: str,
    cwd: Path | None = None,
    stdin: bytes = b"",
    show: Callable[[str], None] | None = None,
    joined: bool = False,
) -> Iterator[IO[bytes]]:
    """Run a program and give its standard output as it comes; it has to be read to its end.

    Arguments and errors are those of `run`; `joined` puts what it says on standard error into its
    output, too. The program has a session of its own: it cannot ask
    at the terminal, and is killed together with its children.
    """
    program = shutil.which(argv[0], path=environment.get("PATH", ""))
    if program is None:
        raise ToolError(f"{argv[0]} is not installed", hint=install)
    if show is not None:
        show(shlex.join(argv))
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(stdin)
        given.seek(0)
        try:
            child = subprocess.Popen(
                [program, *argv[1:]],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if joined else said,
                cwd=cwd,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise ToolError(f"{argv[0]} cannot be run: {error.strerror}") from error
        late = Event()
        timer = Timer(timeout, _expire, [child, late])
        timer.start()
        try:
            with child:
                assert child.stdout is not None  # noqa: S101 - it is a pipe
                try:
                    yield child.stdout
                except BaseException:
                    _kill(child)
                    raise
        finally:
            timer.cancel()
            if late.is_set():
                raise ToolError(f"{argv[0]} took longer than {timeout:g} seconds")
        if child.returncode:
            raise ExitError(argv[0], child.returncode, _end_of(said))


def _expire(child: subprocess.Popen[bytes], late: Event) -> None:
    late.set()
    _kill(child)


def _kill(child: subprocess.Popen[bytes]) -> None:
    # The group outlives its leader as long as a child of it runs.
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def _end_of(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _KEPT_ERROR_BYTES))
    return printable(file.read().decode(errors="replace")).strip()
