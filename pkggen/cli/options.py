"""Options that several commands share; light to load, as `arguments` is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import argparse

DEFAULT_SERVER: Final = "https://builds.robur.coop"

SOURCE: Final = (
    "a directory of orb or of `pkggen record`, a builder `full` file, a tar archive, "
    "a build's URL, or on the server: JOB, JOB/UUID, UUID or sha256:HEX"
)
CACHE: Final = "keep downloads there (default: the user's cache directory)"


def how_to_write(parser: argparse.ArgumentParser) -> None:
    """Add how a command writes packages."""
    how = parser.add_argument_group("how to write").add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="only say what would be written")
    how.add_argument("--diff", action="store_true", help="only show the differences")
    how.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if something would change"
    )
    how.add_argument("--force", action="store_true", help="overwrite files edited by hand")
    parser.add_argument("--json", action="store_true", help="print results as JSON")
    parser.add_argument(
        "--config", metavar="FILE", help="default: pkggen.yaml here, if there is one"
    )


def fetch_options(parser: argparse._ActionsContainer) -> None:
    """Add how a command fetches sources."""
    parser.add_argument(
        "--mirror",
        metavar="URL",
        action="append",
        default=[],
        help="a cache of opam archives, a URL or a directory, for what is not where it was "
        "recorded; may be repeated",
    )
    parser.add_argument(
        "--no-public-caches",
        action="store_true",
        help="do not ask opam.ocaml.org and opam.robur.coop for what is not elsewhere",
    )
    parser.add_argument("--offline", action="store_true", help="use no network")
    parser.add_argument(
        "--insecure-http",
        action="store_true",
        help="allow plain http where a checksum better than md5 is recorded",
    )


def source_options(parser: argparse.ArgumentParser) -> None:
    """Add where a command finds builds."""
    group = parser.add_argument_group("where builds are")
    group.add_argument(
        "--server",
        metavar="URL",
        default=DEFAULT_SERVER,
        help="builder-web server (default: %(default)s)",
    )
    group.add_argument("--platform", metavar="NAME", help="take the build of this platform")
    group.add_argument("--cache", metavar="DIR", help=CACHE)
