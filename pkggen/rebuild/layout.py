"""The directory of a rebuild: the script and the files that it needs."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen.errors import ToolError
from pkggen.recipe.script import rebuild_script
from pkggen.tree import CopiedFile, TextFile, Tree, with_seal
from pkggen.writer import write

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pkggen.recipe.plan import RebuildPlan
    from pkggen.sources.fetch import Fetched

SCRIPT: Final = "rebuild.sh"
DISTFILES: Final = "distfiles"
RESULT: Final = "result"
RECORDED: Final = "recorded"


def lay_out(plan: RebuildPlan, fetched: Iterable[Fetched], directory: Path) -> None:
    """Write the script of a plan and, in `distfiles` beside it, every file that it needs.

    Files of the cache are linked where that is possible. Each file is completed under another
    name first.

    Args:
        plan: What the script does.
        fetched: All sources of the plan.
        directory: Made when it is missing.

    Raises:
        InputError: the script there was edited by hand.
        ToolError: the system refused to write.
    """
    got = {one.source.file_name: one for one in fetched}
    script = rebuild_script(plan, {name: one.hashes.sha256 for name, one in got.items()})
    files: dict[PurePosixPath, CopiedFile | TextFile] = {
        PurePosixPath(DISTFILES, carried.file_name): CopiedFile.of(carried.content)
        for carried in plan.carried
    }
    files[PurePosixPath(SCRIPT)] = TextFile(with_seal(script), executable=True)
    write(Tree(files), directory)
    distfiles = directory / DISTFILES
    try:
        distfiles.mkdir(exist_ok=True)
        for name in sorted(got):
            _link_or_copy(got[name].path, distfiles / name)
    except OSError as error:
        raise ToolError(
            f"the sources cannot be put there: {error.strerror or error}", where=str(distfiles)
        ) from error


def _link_or_copy(source: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".pkggen-", dir=target.parent) as directory:
        new = Path(directory, target.name)
        try:
            new.hardlink_to(source)
        except OSError:  # another file system, or one without hard links
            shutil.copyfile(source, new)
        os.replace(new, target)  # noqa: PTH105 - the pair of the link above
