"""The command line, as argparse sees it; light to load, because `--help` needs nothing else."""

from __future__ import annotations

import argparse
from typing import Final

from pkggen import __version__

DEFAULT_SERVER: Final = "https://builds.robur.coop"
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

_SOURCE: Final = (
    "a directory of orb or of `pkggen record`, a builder `full` file, a tar archive, "
    "a build's URL, or on the server: JOB, JOB/UUID, UUID or sha256:HEX"
)
_CACHE: Final = "keep downloads there (default: the user's cache directory)"


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
    _nix(
        commands.add_parser(
            "nix",
            help="package recorded images for Nix",
            description="Write a Nix package for each recorded image: the image itself is a "
            "fixed-output derivation with the recorded sha256.",
        )
    )
    _deb(
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
    _update(
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
    _lint(
        commands.add_parser(
            "lint",
            help="check generated packages against the rules of a distribution",
            description="Check generated packages against the rules of a distribution, as far as "
            "the files alone tell. Exits with 1 if a rule is broken.",
        )
    )
    _build(
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
    _apt(
        commands.add_parser(
            "apt",
            help="keep a signed apt repository in a directory",
            description="Keep a signed apt repository in a directory: DIR/public is the "
            "repository, for any web server; DIR/private holds its key.",
        )
    )
    _freebsd(
        commands.add_parser(
            "freebsd",
            help="package recorded builds as FreeBSD ports",
            description="Write a FreeBSD port for each recorded build: it installs what was "
            "recorded, or with --rebuild builds it from the recorded sources and compares.",
        )
    )
    return top


def _nix(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", metavar="SOURCE", nargs="+", help=_SOURCE)
    where = parser.add_argument_group("where to write").add_mutually_exclusive_group()
    where.add_argument(
        "-o", "--output", metavar="DIR", default=".", help="default: the current directory"
    )
    where.add_argument(
        "--nixpkgs",
        metavar="DIR",
        help="write into a checkout of nixpkgs and print the commit message",
    )
    parser.add_argument(
        "--commit",
        action="store_true",
        help="with --nixpkgs: commit each package, after its maintainer where nixpkgs' list has no "
        "such entry; never pushes",
    )
    parser.add_argument(
        "--pr-text",
        metavar="FILE",
        help="with --nixpkgs: write the text of a pull request; `-` prints it",
    )
    what = parser.add_argument_group("what to write besides the packages")
    what.add_argument(
        "--overlay", action="store_true", help="overlay.nix, default.nix and the NixOS module"
    )
    what.add_argument("--flake", action="store_true", help="these and flake.nix")
    what.add_argument(
        "--rebuild",
        action="store_true",
        help="in each package the build of its image from the recorded sources, which are fetched",
    )
    _how_to_write(parser)
    _fetch_options(parser.add_argument_group("how --rebuild fetches"))
    _source_options(parser)


def _deb(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", metavar="SOURCE", nargs="+", help=_SOURCE)
    parser.add_argument(
        "-o", "--output", metavar="DIR", default=".", help="default: the current directory"
    )
    what = parser.add_argument_group("what to write")
    what.add_argument(
        "--rebuild",
        action="store_true",
        help="build the files from the recorded sources, which are fetched and shipped",
    )
    what.add_argument(
        "--components",
        action="store_true",
        help="with --rebuild: each compressed tarball as a component of its own, at most 60",
    )
    what.add_argument(
        "--previous",
        metavar="SOURCE",
        action="append",
        default=[],
        help="an earlier build of the same job, for the changelog; may be repeated",
    )
    what.add_argument(
        "--overlay",
        metavar="DIR",
        help="files to put into a package instead of generated ones: DIR/NAME/debian/...",
    )
    what.add_argument(
        "--unpacked",
        action="store_true",
        help="write the directory of each package too, as dpkg-source would unpack it",
    )
    what.add_argument(
        "--sign",
        metavar="FINGERPRINT",
        help="sign each .dsc with this key of your keyring",
    )
    _how_to_write(parser)
    _fetch_options(parser.add_argument_group("how --rebuild fetches"))
    _source_options(parser)


def _how_to_write(parser: argparse.ArgumentParser) -> None:
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


def _record(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=_SOURCE)
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
    _source_options(parser)


def _show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=_SOURCE)
    parser.add_argument("--json", action="store_true", help="print JSON")
    _source_options(parser)


def _fetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", metavar="SOURCE", nargs="+", help=_SOURCE)
    parser.add_argument(
        "-j", "--jobs", metavar="N", type=int, default=16, help="transfers at a time (default: 16)"
    )
    _fetch_options(parser)
    parser.add_argument("--json", action="store_true", help="print results as JSON")
    _source_options(parser)


def _cache(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    listing = actions.add_parser("list", help="print what is there")
    listing.add_argument("--json", action="store_true", help="print JSON")
    verify = actions.add_parser("verify", help="hash every file again; exit 4 if one is wrong")
    verify.add_argument("--remove", action="store_true", help="take wrong files away")
    verify.add_argument("--cache", metavar="DIR", help=_CACHE)
    collect = actions.add_parser(
        "gc", help="remove incomplete files and, given SOURCEs, whatever they do not need"
    )
    collect.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    export = actions.add_parser("export", help="make a directory that opam can use as a mirror")
    export.add_argument("directory", metavar="DIR", help="made when it is missing")
    for action in (listing, collect, export):
        action.add_argument("sources", metavar="SOURCE", nargs="*", help=_SOURCE)
        _source_options(action)


def _plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=_SOURCE)
    parser.add_argument(
        "--target",
        choices=("record", "debian", "freebsd", "nixos"),
        default="record",
        help="whose operating system opam's variables tell of (default: what was recorded)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    _source_options(parser)


def _update(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=_SOURCE)
    parser.add_argument(
        "--nixpkgs", metavar="DIR", required=True, help="checkout of nixpkgs that has the package"
    )
    parser.add_argument(
        "--rebuild",
        action="store_true",
        help="renew the build of the image from the recorded sources too, which are fetched",
    )
    parser.add_argument(
        "--config", metavar="FILE", help="default: pkggen.yaml here, if there is one"
    )
    _fetch_options(parser.add_argument_group("how --rebuild fetches"))
    _source_options(parser)


def _lint(parser: argparse.ArgumentParser) -> None:
    targets = parser.add_subparsers(title="targets", metavar="TARGET", dest="target", required=True)
    nix = targets.add_parser(
        "nix",
        help="nixpkgs' rules",
        description="Check packages for Nix against nixpkgs' rules: all that `pkggen nix` wrote, "
        "or in a checkout of nixpkgs the packages that pkggen made.",
    )
    nix.add_argument("directory", metavar="DIR", help="holds pkgs/by-name")
    freebsd = targets.add_parser(
        "freebsd",
        help="rules of the ports tree",
        description="Check ports against the Porter's Handbook and portlint's rules: all that "
        "`pkggen freebsd` wrote, or in a checkout of the ports tree the ports that pkggen made.",
    )
    freebsd.add_argument("directory", metavar="DIR", help="holds CATEGORY/NAME")
    deb = targets.add_parser(
        "deb",
        help="Debian's rules, by lintian",
        description="Let lintian check source and binary packages; its errors and warnings count.",
    )
    deb.add_argument("directory", metavar="DIR", help="holds .dsc and .deb files")
    for target in (nix, freebsd, deb):
        target.add_argument("--json", action="store_true", help="print findings as JSON")


def _build(parser: argparse.ArgumentParser) -> None:
    targets = parser.add_subparsers(title="targets", metavar="TARGET", dest="target", required=True)
    deb = targets.add_parser(
        "deb",
        help="Debian packages",
        description="Build Debian packages: with sbuild in a clean chroot where this user can, "
        "else with dpkg-buildpackage on this machine.",
    )
    deb.add_argument("sources", metavar="DSC", nargs="+", help="a .dsc that `pkggen deb` wrote")
    deb.add_argument(
        "-o", "--output", metavar="DIR", default=".", help="default: the current directory"
    )
    where = deb.add_argument_group("where to build").add_mutually_exclusive_group()
    where.add_argument(
        "--chroot",
        metavar="FILE",
        help="tarball to build in; mmdebstrap makes it if it is missing (default: the one that "
        "sbuild would take)",
    )
    where.add_argument("--here", action="store_true", help="on this machine itself")
    deb.add_argument(
        "--suite", metavar="NAME", default="bookworm", help="of the chroot (default: bookworm)"
    )
    deb.add_argument(
        "--archive",
        metavar="URL",
        help="Debian archive for a new chroot (default: https://deb.debian.org/debian)",
    )
    deb.add_argument("--json", action="store_true", help="print results as JSON")


def _rebuild(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=_SOURCE)
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
    _fetch_options(parser)
    _source_options(parser)


def _toolchain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=_SOURCE)
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
    _source_options(parser)


def _apt(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    init = actions.add_parser(
        "init", help="make a repository; or add suites and architectures to one, or change its URL"
    )
    add = actions.add_parser("add", help="verify packages, add them to a suite and publish it")
    remove = actions.add_parser("remove", help="take packages out of suites and publish these")
    listing = actions.add_parser("list", help="print what is published")
    publish = actions.add_parser(
        "publish", help="verify all packages again, and write and sign all indices and pages anew"
    )
    serve = actions.add_parser("serve", help="serve it over HTTP until Ctrl-C")
    for action in (init, add, remove, listing, publish, serve):
        action.add_argument("directory", metavar="DIR", help="of the repository")
    init.add_argument("--name", metavar="NAME", help="how apt calls it (default: pkggen)")
    init.add_argument(
        "--url",
        metavar="URL",
        help="where machines find it (default: its place in the file system)",
    )
    init.add_argument(
        "--suite",
        metavar="NAME",
        action="append",
        default=[],
        help="default: stable; may be repeated",
    )
    init.add_argument(
        "--architecture",
        metavar="NAME",
        action="append",
        default=[],
        help="of Debian (default: amd64); may be repeated",
    )
    init.add_argument(
        "--key",
        metavar="FINGERPRINT",
        help="sign with this key of your keyring (default: a new one, in DIR/private)",
    )
    add.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help=".deb; .dsc with the files that it lists; .changes or .buildinfo with the packages "
        "that it lists",
    )
    add.add_argument("--suite", metavar="NAME", help="default: the only one")
    remove.add_argument("name", metavar="NAME", help="of binary and source packages")
    remove.add_argument("--version", metavar="VERSION", help="default: every version")
    remove.add_argument("--suite", metavar="NAME", help="default: every suite")
    listing.add_argument("--json", action="store_true", help="print JSON")
    for action in (add, publish):
        action.add_argument(
            "--date",
            metavar="TIME",
            help="of the Release file (RFC 3339; default: the newest time in the packages)",
        )
    serve.add_argument("--port", metavar="N", type=int, default=8000, help="default: 8000")
    serve.add_argument("--bind", metavar="ADDRESS", default="127.0.0.1", help="default: 127.0.0.1")


def _fetch_options(parser: argparse._ActionsContainer) -> None:
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


def _source_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where builds are")
    group.add_argument(
        "--server",
        metavar="URL",
        default=DEFAULT_SERVER,
        help="builder-web server (default: %(default)s)",
    )
    group.add_argument("--platform", metavar="NAME", help="take the build of this platform")
    group.add_argument("--cache", metavar="DIR", help=_CACHE)


def _freebsd(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", metavar="SOURCE", nargs="+", help=_SOURCE)
    where = parser.add_argument_group("where to write").add_mutually_exclusive_group()
    where.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        default=".",
        help="ports only, as CATEGORY/NAME (default: the current directory)",
    )
    where.add_argument(
        "--overlay",
        metavar="DIR",
        help="an overlay for OVERLAYS= and poudriere: ports, category Makefiles, UIDs and GIDs",
    )
    where.add_argument(
        "--ports",
        metavar="DIR",
        help="write into a checkout of the ports tree and print the commit message",
    )
    what = parser.add_argument_group("what to write")
    what.add_argument(
        "--rebuild",
        action="store_true",
        help="ports that build from the recorded sources, which are fetched",
    )
    what.add_argument(
        "--category",
        metavar="NAME",
        default="sysutils",
        help="directory of the ports tree (default: %(default)s)",
    )
    what.add_argument(
        "--origins",
        metavar="PATH",
        help="where the ports of further system packages are found: packagesite.yaml, an INDEX or "
        "a ports tree",
    )
    what.add_argument(
        "--tender-port",
        metavar="ORIGIN",
        default="sysutils/solo5",
        help="port that runs images (default: %(default)s)",
    )
    what.add_argument(
        "--distdir",
        metavar="DIR",
        help="put all distfiles there, also those that are on no server",
    )
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
    _fetch_options(parser.add_argument_group("how --rebuild fetches"))
    _source_options(parser)
