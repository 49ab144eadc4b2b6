"""The arguments of the commands that write, check, build and publish packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkggen.cli.options import SOURCE, fetch_options, how_to_write, source_options

if TYPE_CHECKING:
    import argparse


def nix(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `pkggen nix`."""
    parser.add_argument("sources", metavar="SOURCE", nargs="+", help=SOURCE)
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
        help="in each package the build of its files from the recorded sources, which are fetched",
    )
    how_to_write(parser)
    fetch_options(parser.add_argument_group("how --rebuild fetches"))
    source_options(parser)


def deb(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `pkggen deb`."""
    parser.add_argument("sources", metavar="SOURCE", nargs="+", help=SOURCE)
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
    how_to_write(parser)
    fetch_options(parser.add_argument_group("how --rebuild fetches"))
    source_options(parser)


def freebsd(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `pkggen freebsd`."""
    parser.add_argument("sources", metavar="SOURCE", nargs="+", help=SOURCE)
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
    fetch_options(parser.add_argument_group("how --rebuild fetches"))
    source_options(parser)


def update(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `pkggen update`."""
    parser.add_argument("source", metavar="SOURCE", help=SOURCE)
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
    fetch_options(parser.add_argument_group("how --rebuild fetches"))
    source_options(parser)


def lint(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `pkggen lint`."""
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


def build(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `pkggen build`."""
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


def apt(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `pkggen apt`."""
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
