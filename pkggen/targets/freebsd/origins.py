"""The ports behind the names by which opam packages ask FreeBSD's `pkg` for things.

Sources: opam-repository (the names in `depexts` for FreeBSD), FreeBSD's INDEX of ports and
`packagesite.yaml` of its package repository (name and origin), Porter's Handbook 5.8
(dependencies) and 17 (USES). Only what MirageOS needs is listed; the rest comes from `--origins`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

BASE: Final = frozenset(
    {"binutils", "clang", "libcrypto", "libssl", "llvm", "m4", "make", "openssl", "patch"}
    | {"tar", "unzip", "which", "zlib"}
)
"""Names of what FreeBSD's base system has, so that no port is needed."""
BASE_PACKAGES: Final = frozenset(
    {"conf-c++", "conf-libssl", "conf-m4", "conf-openssl", "conf-which", "conf-zlib"}
    | {"conf-gmp-powm-sec"}  # whose function is in any gmp, which conf-gmp asks for
)
"""Packages of opam that name nothing on FreeBSD because its base system has what they look for."""
USES: Final = {
    "devel/gmake": "gmake",
    "devel/pkgconf": "pkgconfig",
}
"""Ports that are asked for by USES."""
LIBRARIES: Final = {
    "databases/sqlite3": "libsqlite3.so",
    "devel/libev": "libev.so",
    "devel/libffi": "libffi.so",
    "math/gmp": "libgmp.so",
}
"""Ports that programs are linked to, and the library that shows that they are there."""
ORIGINS: Final = {
    "autoconf": "devel/autoconf",
    "automake": "devel/automake",
    "bash": "shells/bash",
    "ca_root_nss": "security/ca_root_nss",
    "cmake": "devel/cmake-core",
    "coreutils": "sysutils/coreutils",
    "curl": "ftp/curl",
    "gcc": "lang/gcc",
    "git": "devel/git",
    "gmake": "devel/gmake",
    "gmp": "math/gmp",
    "gpatch": "devel/patch",
    "gsed": "textproc/gsed",
    "gtar": "archivers/gtar",
    "libev": "devel/libev",
    "libffi": "devel/libffi",
    "libtool": "devel/libtool",
    "pkg-config": "devel/pkgconf",
    "pkgconf": "devel/pkgconf",
    "sqlite3": "databases/sqlite3",
}
"""Name of a package and the port that it is made of."""
RUNTIME: Final = frozenset({"security/ca_root_nss"})
"""Ports that programs read files of while they run."""

ORIGIN: Final = re.compile(r"[a-z0-9][a-z0-9-]*/[A-Za-z0-9][A-Za-z0-9._+-]*")
"""Category and directory of a port."""
_INDEX_FIELDS: Final = 13
_VERSION: Final = re.compile(r"-[^-]+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """What a port asks of other ports; each is sorted."""

    build: tuple[str, ...] = ()
    """BUILD_DEPENDS."""
    lib: tuple[str, ...] = ()
    """LIB_DEPENDS."""
    run: tuple[str, ...] = ()
    """RUN_DEPENDS."""
    uses: tuple[str, ...] = ()
    """USES."""


def read_origins(place: Path) -> dict[str, str]:
    """Return the origins of packages by name.

    Args:
        place: packagesite.yaml of a package repository, an INDEX of ports, or a ports tree.

    Raises:
        InputError: it is none of these.
    """
    if place.is_dir():
        return _of_tree(place)
    found: dict[str, str] = {}
    try:
        with place.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                name, origin = _entry(line, f"{place}:{number}")
                found[name] = origin
    except OSError as error:
        raise InputError(error.strerror or str(error), where=str(place)) from error
    except UnicodeDecodeError as error:
        raise InputError("it is not UTF-8", where=str(place)) from error
    return found


def dependencies(
    depexts: Iterable[str], known: Mapping[str, str], *, built: bool, linked: bool
) -> Dependencies:
    """Return what a port asks of other ports.

    Args:
        depexts: Names that recorded packages give.
        known: Origins by name, besides `ORIGINS`; they go first.
        built: Whether the port builds anything, and does not only install it.
        linked: Whether what it installs is linked to libraries of the system.

    Raises:
        InputError: the origin of a name is not known; all of them together.
    """
    ports: dict[str, str] = {}
    unknown = []
    table = {**ORIGINS, **{origin: origin for origin in ORIGINS.values()}}
    table |= {**known, **{origin: origin for origin in known.values()}}
    names = {origin: name for name, origin in {**ORIGINS, **known}.items()}
    for depext in sorted(set(depexts) - BASE):
        origin = table.get(depext)
        if origin is None:
            unknown.append(depext)
        else:
            ports[origin] = names[origin]
    if unknown:
        raise InputError(
            f"no FreeBSD port is known for {len(unknown)} system package(s): {', '.join(unknown)}",
            hint="name FreeBSD's packagesite.yaml, an INDEX or a ports tree with --origins",
        )
    build, lib, run, uses = set[str](), set[str](), set[str](), set[str]()
    for origin, name in ports.items():
        if origin in USES:
            uses |= {USES[origin]} if built else set()
        elif linked and origin in LIBRARIES:
            lib.add(f"{LIBRARIES[origin]}:{origin}")
        elif linked and origin in RUNTIME:
            run.add(f"{name}>0:{origin}")
        elif built:
            build.add(f"{name}>0:{origin}")
    return Dependencies(
        build=tuple(sorted(build)),
        lib=tuple(sorted(lib)),
        run=tuple(sorted(run)),
        uses=tuple(sorted(uses)),
    )


def _of_tree(tree: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for makefile in sorted(tree.glob("[a-z]*/*/Makefile")):
        name = makefile.parent.name
        # Of several ports with one name nobody but make can tell which package is called so.
        found[name] = "" if name in found else f"{makefile.parent.parent.name}/{name}"
    if not found:
        raise InputError("there is no port in it", where=str(tree))
    return {name: origin for name, origin in found.items() if origin}


def _entry(line: str, where: str) -> tuple[str, str]:
    """Return name and origin of a line of JSON, or of an INDEX."""
    if line.startswith("{"):
        try:
            entry = json.loads(line)
            name, origin = entry["name"], entry["origin"]
        except (ValueError, KeyError) as error:
            raise InputError("it is no line of a packagesite.yaml", where=where) from error
    else:
        fields = line.rstrip("\n").split("|")
        if len(fields) != _INDEX_FIELDS:
            raise InputError("it is a line of neither packagesite.yaml nor INDEX", where=where)
        name, origin = _VERSION.sub("", fields[0]), "/".join(fields[1].split("/")[-2:])
    if not isinstance(name, str) or not isinstance(origin, str) or not ORIGIN.fullmatch(origin):
        raise InputError(f"it names no package and origin: {name!r}, {origin!r}", where=where)
    return name, origin
