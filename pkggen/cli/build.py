"""`pkggen build`: build generated source packages with the tools of the distribution."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pkggen.cli.talk import talk
from pkggen.errors import PkggenError, ToolError
from pkggen.rebuild.chroot import ARCHIVE
from pkggen.rebuild.debian import Built, Chroot, build_here, build_in_chroot, why_no_chroot

if TYPE_CHECKING:
    import argparse


def run(arguments: argparse.Namespace) -> int:
    """Build each source package; one that fails does not lose the others."""
    results: list[tuple[str, Built | PkggenError]] = []
    for dsc in arguments.sources:
        try:
            results.append((dsc, _built(Path(dsc), arguments)))
        except PkggenError as error:
            talk(str(error))
            results.append((dsc, error))
    if arguments.json:
        json.dump({"results": [_as_json(*result) for result in results]}, sys.stdout, indent=2)
        print()
    else:
        for _, result in results:
            for file in result.files if isinstance(result, Built) else ():
                print(file)
    failed = [result for _, result in results if isinstance(result, PkggenError)]
    return failed[0].exit_code if failed else 0


def _built(dsc: Path, arguments: argparse.Namespace) -> Built:
    output = Path(arguments.output)
    chroot = Chroot(
        tarball=_tarball(arguments), suite=arguments.suite, archive=arguments.archive or ARCHIVE
    )
    reason = None if arguments.here else why_no_chroot(chroot)
    if reason is not None and arguments.chroot is not None:
        raise ToolError(reason, hint="--here builds on this machine itself")
    if reason is None and not arguments.here:
        return build_in_chroot(dsc, output, chroot, talk)
    if reason is not None:
        talk(f"building on this machine itself, not in a clean chroot: {reason}")
    return build_here(dsc, output, talk)


def _tarball(arguments: argparse.Namespace) -> Path:
    """Return the given chroot, else the one that sbuild itself would look for."""
    if arguments.chroot is not None:
        return Path(arguments.chroot)
    from platformdirs import user_cache_path  # noqa: PLC0415 - few commands need it

    return user_cache_path("sbuild") / f"{arguments.suite}.tar.zst"


def _as_json(dsc: str, result: Built | PkggenError) -> dict[str, object]:
    if isinstance(result, PkggenError):
        return {"source": dsc, "error": str(result), "exit_code": result.exit_code}
    return {"source": dsc, "files": list(map(str, result.files)), "log": str(result.log)}
