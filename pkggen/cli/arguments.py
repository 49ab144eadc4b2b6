"""The command line, as argparse sees it; light to load, because `--help` needs nothing else."""

from __future__ import annotations

import argparse
from typing import Final

from pkggen import __version__
from pkggen.cli import package_arguments
from pkggen.cli.options import CACHE, SOURCE, fetch_options, source_options

DEFAULT_KEYRING: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"

_EPILOG: Final = """\
exit codes:
  0   done
  1   --check found something to change, or `lint` a breach of a rule
  2   usage: the command line is wrong
  3   bad input: a record, pkggen.yaml or an existing file is not acceptable
  4   verification: bytes do not have the recorded hash
  5   download: a server or the network failed
  6   external tool: a program that pkggen ran failed, or the disk is full
  70  a bug in pkggen
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser; the `command` of what it parses is a module of this package."""
    top = argparse.ArgumentParser(
        prog="pkggen",
        description="Turn recorded MirageOS builds into packages that check every byte.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"pkggen {__version__}")
    commands = top.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", required=True
    )
    package_arguments.nix(
        commands.add_parser(
            "nix",
            help="package recorded images for Nix",
            description="Write a Nix package for each recorded image: the image itself is a "
            "fixed-output derivation with the recorded sha256.",
        )
    )
    package_arguments.deb(
        commands.add_parser(
            "deb",
            help="package recorded builds for Debian",
            description="Write a Debian source package for each recorded build: its image, or all "
            "of its files, with the recorded sha256, as they are or built from their sources.",
        )
    )
    _record(
        commands.add_parser(
            "record",
            help="save a recorded build to a directory",
            description="Save a recorded build, every file of it verified, to a directory that "
            "can be a SOURCE itself and remembers where the build came from.",
        )
    )
    _show(
        commands.add_parser(
            "show",
            help="print what is in a recorded build",
            description="Print what is in a recorded build.",
        )
    )
    _fetch(
        commands.add_parser(
            "fetch",
            help="get the sources of recorded builds",
            description="Get every source file of recorded builds into the cache: each file "
            "once, every recorded checksum verified, archives checked to be safe to unpack.",
        )
    )
    _cache(
        commands.add_parser(
            "cache",
            help="look after the cache of sources",
            description="Look after the cache of sources, which has the layout of opam's "
            "download cache.",
        )
    )
    _plan(
        commands.add_parser(
            "plan",
            help="print how a recorded build is done again",
            description="Print every step from the sources of a recorded build to its files.",
        )
    )
    package_arguments.update(
        commands.add_parser(
            "update",
            help="update a package in a checkout of nixpkgs",
            description="Generate a package in a checkout of nixpkgs anew, in its place, from the "
            "newest build, and print what changed as the JSON that nixpkgs' "
            "maintainers/scripts/update.nix wants of an update script with the feature `commit`. "
            "The variables UPDATE_NIX_ATTR_PATH, UPDATE_NIX_PNAME and UPDATE_NIX_OLD_VERSION, "
            "where they are set, must fit.",
        )
    )
    package_arguments.lint(
        commands.add_parser(
            "lint",
            help="check generated packages against the rules of a distribution",
            description="Check generated packages against the rules of a distribution, as far as "
            "the files alone tell. Exits with 1 if a rule is broken.",
        )
    )
    package_arguments.build(
        commands.add_parser(
            "build",
            help="build generated source packages",
            description="Build source packages with the tools of their distribution, without "
            "network, and keep the log of each.",
        )
    )
    _rebuild(
        commands.add_parser(
            "rebuild",
            help="build a record again and compare every byte",
            description="Build a recorded build again from its sources, without network and "
            "without opam, and compare every file with the record. Exits with 4 if one differs, "
            "and says what may be the reason.",
        )
    )
    _toolchain(
        commands.add_parser(
            "toolchain",
            help="list the recorded packages of a build host for Nix",
            description="Write toolchain.json, which lets the rebuild of a Nix package use the "
            "recorded compiler: the recorded Debian packages that a rebuild needs, with address "
            "and sha256. Fails unless the archives have every one at its recorded version.",
        )
    )
    package_arguments.apt(
        commands.add_parser(
            "apt",
            help="keep a signed apt repository in a directory",
            description="Keep a signed apt repository in a directory: DIR/public is the "
            "repository, for any web server; DIR/private holds its key.",
        )
    )
    package_arguments.freebsd(
        commands.add_parser(
            "freebsd",
            help="package recorded builds as FreeBSD ports",
            description="Write a FreeBSD port for each recorded build: it installs what was "
            "recorded, or with --rebuild builds it from the recorded sources and compares.",
        )
    )
    return top


def _record(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=SOURCE)
    parser.add_argument(
        "-o", "--output", metavar="DIR", required=True, help="missing, or holding this build"
    )
    parser.add_argument(
        "--started",
        metavar="TIME",
        help="when the build started (RFC 3339), for a directory of orb, which does not record it",
    )
    parser.add_argument(
        "--finished", metavar="TIME", help="when it finished (default: as --started)"
    )
    source_options(parser)


def _show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=SOURCE)
    parser.add_argument("--json", action="store_true", help="print JSON")
    source_options(parser)


def _fetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", metavar="SOURCE", nargs="+", help=SOURCE)
    parser.add_argument(
        "-j", "--jobs", metavar="N", type=int, default=16, help="transfers at a time (default: 16)"
    )
    fetch_options(parser)
    parser.add_argument("--json", action="store_true", help="print results as JSON")
    source_options(parser)


def _cache(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    listing = actions.add_parser("list", help="print what is there")
    listing.add_argument("--json", action="store_true", help="print JSON")
    verify = actions.add_parser("verify", help="hash every file again; exit 4 if one is wrong")
    verify.add_argument("--remove", action="store_true", help="take wrong files away")
    verify.add_argument("--cache", metavar="DIR", help=CACHE)
    collect = actions.add_parser(
        "gc", help="remove incomplete files and, given SOURCEs, whatever they do not need"
    )
    collect.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    export = actions.add_parser("export", help="make a directory that opam can use as a mirror")
    export.add_argument("directory", metavar="DIR", help="made when it is missing")
    for action in (listing, collect, export):
        action.add_argument("sources", metavar="SOURCE", nargs="*", help=SOURCE)
        source_options(action)


def _plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=SOURCE)
    parser.add_argument(
        "--target",
        choices=("record", "debian", "freebsd", "nixos"),
        default="record",
        help="whose operating system opam's variables tell of (default: what was recorded)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    source_options(parser)


def _rebuild(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=SOURCE)
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        default="rebuild",
        help="gets rebuild.sh, its sources, logs and the built files (default: rebuild)",
    )
    where = parser.add_argument_group("where to build").add_mutually_exclusive_group()
    where.add_argument(
        "--here", action="store_true", help="on this machine, at the recorded PREFIX (default)"
    )
    where.add_argument(
        "--in-chroot",
        action="store_true",
        help="in a Debian chroot with the recorded system packages; needs mmdebstrap",
    )
    where.add_argument(
        "--prepare", action="store_true", help="build nothing; only write what is needed for it"
    )
    parser.add_argument(
        "--archive",
        metavar="URL",
        help="Debian archive for --in-chroot (default: https://deb.debian.org/debian); "
        "snapshot.debian.org has old versions",
    )
    parser.add_argument(
        "-j", "--jobs", metavar="N", type=int, default=1, help="processes at a time (default: 1)"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the PREFIX for other records, or the chroot"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    fetch_options(parser)
    source_options(parser)


def _toolchain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=SOURCE)
    parser.add_argument(
        "--archive",
        metavar="'URL [SUITE]'",
        action="append",
        help="Debian archive (default: https://deb.debian.org/debian and the recorded release); "
        "may be repeated; snapshot.debian.org has old versions",
    )
    parser.add_argument(
        "--keyring",
        metavar="FILE",
        default=DEFAULT_KEYRING,
        help="binary keyring of the keys that must have signed the archives (default: %(default)s)",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default="toolchain.json",
        help="put it beside rebuild.nix (default: toolchain.json)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite a file edited by hand")
    source_options(parser)
