"""The command line: one module per command; nothing else in pkggen prints or exits."""

from __future__ import annotations

import gc
import importlib
import io
import os
import sys
from typing import TYPE_CHECKING

from pkggen.cli.arguments import parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    arguments = parser().parse_args(argv)
    from pkggen.cli.talk import talk  # noqa: PLC0415 - not for --help
    from pkggen.errors import BUG_EXIT_CODE, PkggenError, ToolError  # noqa: PLC0415

    if isinstance(sys.stdout, io.TextIOWrapper):  # as stderr is: no text is worth an exception
        sys.stdout.reconfigure(errors="backslashreplace")
    # A run is short: looking for cycles among a record's values costs more than it frees.
    gc.set_threshold(50_000)
    try:
        return _run(arguments)
    except PkggenError as error:
        talk(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # who read our output has seen enough
        return 141
    except Exception as error:
        if os.environ.get("PKGGEN_TRACEBACK"):
            raise
        if isinstance(error, OSError):
            talk(f"the system refused: {error}\nhint: check the free space and the permissions")
            return ToolError.exit_code
        talk(
            f"this is a bug in pkggen: {type(error).__name__}: {error}\n"
            "hint: please report it with what PKGGEN_TRACEBACK=1 shows"
        )
        return BUG_EXIT_CODE


def _run(arguments: argparse.Namespace) -> int:
    command = importlib.import_module(f"pkggen.cli.{arguments.command}")
    code: int = command.run(arguments)
    sys.stdout.flush()
    return code
