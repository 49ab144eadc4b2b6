"""From a SOURCE of the command line to a `Record`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pkggen.errors import DownloadError, InputError
from pkggen.record.artifact import RawBuild, open_file
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.record.elf import ELF_MAGIC
from pkggen.record.query import FORMS, parse_query

if TYPE_CHECKING:
    from collections.abc import Callable

    from pkggen.record.model import Record

DEFAULT_SERVER: Final = "https://builds.robur.coop"
"""The builder-web server of robur."""

_EXEC_START: Final = b"\xa0"


def open_record(  # noqa: PLR0913 - each is a choice of the caller
    source: str,
    *,
    server: str = DEFAULT_SERVER,
    platform: str | None = None,
    cache: Callable[[], Path],
    spool: Path,
    note: Callable[[str], None],
) -> Record:
    """Find and read a recorded build.

    A path that exists is taken for a path; everything else is a question to a server.

    Args:
        source: What the user names: see `pkggen.record.query.FORMS`.
        server: builder-web server that names without one refer to.
        platform: Platform that the build must be of; None for any.
        cache: Gives the directory of pkggen's downloads, which is made when it is missing; called
            for a build on a server only.
        spool: Existing directory for what has to be unpacked; it must outlive the record.
        note: Receives sentences that the user should read.

    Raises:
        InputError: the source has no known form, or is no acceptable record.
        VerificationError: bytes do not have a recorded hash or size.
        DownloadError: the server does not give what is needed.
        Faults: several of these.
    """
    if (raw := _local(source, spool)) is None:
        from pkggen.record.builder_web import read_builder_web  # noqa: PLC0415 - see `_local`

        query = parse_query(source, server, platform)
        if query is None:
            raise InputError("no such path, and no name of a build", where=source, hint=FORMS)
        try:
            return assemble(read_builder_web(query, source, cache=cache(), note=note))
        except DownloadError as error:
            if error.hint is None and ":" not in source:  # it may be a mistyped path
                error.hint = f"there is no path {source!r} here, so a server was asked for a build"
            raise
    record = assemble(raw)
    if platform is not None and record.platform != platform:
        raise InputError(
            f"the build's platform is {record.platform or 'not recorded'}, not {platform}",
            where=source,
        )
    return record


def _local(source: str, spool: Path) -> RawBuild | None:
    """Return the build at a path, None when there is nothing at the path."""
    if not source:  # which Path takes for the current directory
        return None
    path = Path(source)
    try:
        if path.is_dir():
            return read_directory(path, source)
        if not path.exists():
            return None
    except (OSError, ValueError):
        return None
    if not path.is_file():
        raise InputError("neither a file nor a directory", where=source)
    # Most records are directories; the other readers cost 20 ms to load.
    from pkggen.record.archive import is_archive, read_archive  # noqa: PLC0415
    from pkggen.record.exec import read_exec  # noqa: PLC0415

    with open_file(path) as file:
        head = file.read(512)
    if head.startswith(_EXEC_START):
        return read_exec(path, source)
    if is_archive(head):
        return read_archive(path, source, spool)
    if head.startswith(ELF_MAGIC):
        raise InputError(
            "an image alone does not say how it was built",
            where=source,
            hint="give its build instead: the directory that orb left, or sha256:HEX of the image "
            "to look it up on a server",
        )
    raise InputError("neither a tar archive nor builder's file `full`", where=source, hint=FORMS)
