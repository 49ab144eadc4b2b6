"""Which packages of a switch have object code in the image of its root.

What opam calls a dependency is more than that: compilers, build systems, generators and the
`mirage` tool with all its libraries are in the switch too. An image holds

* the root package itself;
* every source directory that the root vendors (MirageOS 4 builds its libraries in the root's own
  tree). The record knows a directory's name and address, not its licence: package sections
  describe the switch only, and a package of the same name there may be another version;
* what the root needs from the switch (MirageOS 3 has all its libraries there): the closure over
  `depends` and installed `depopts`, without dependencies that are marked `build`, `post`,
  `with-test`, `with-doc`, `with-dev-setup` or `dev`. A condition on anything else, such as `os`,
  is taken to hold, and so is every version bound, because only installed packages are followed;
* the OCaml runtime and, for a freestanding image, Solo5's bindings, the C library and the OCaml
  runtime built for it. These are marked `build` by mirage (`lib/mirage/target/solo5.ml`),
  although their object code is linked into every image: `RUNTIMES`.

Build tools are named by many packages without the mark; `TOOLS` says which packages are nothing
else. Their dependencies are not followed, nor are those of `conf` packages, which only look for
things on the build host. A package without bytes of its own links nothing itself, and neither does
one of version `base`: the compiler brings what it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from pkggen.recipe.dependencies import dependency_names
from pkggen.sources.model import Use

if TYPE_CHECKING:
    from pkggen.opam.package import OpamPackage
    from pkggen.opam.switch import SwitchExport

RUNTIMES: Final = (
    "ocaml-base-compiler",
    "ocaml-freestanding",
    "ocaml-solo5",
    "ocaml-solo5-cross-*",
    "ocaml-src",
    "ocaml-system",
    "ocaml-variants",
    "solo5",
    "solo5-bindings-*",
    "solo5-cross-*",
)
"""Packages, as shell patterns, that are linked in wherever they are installed."""

TOOLS: Final = frozenset(
    {
        "camlp4",
        "camlp5",
        "cppo",
        "cppo_ocamlbuild",
        "dune",
        "dune-configurator",
        "jbuilder",
        "menhir",  # the generator; what its parsers link is menhirLib
        "mirage",  # the configuration tool; what images link is mirage-runtime
        "oasis",
        "ocaml",  # names a compiler, which is among RUNTIMES
        "ocaml-config",
        "ocaml-syntax-shims",
        "ocamlbuild",
        "ocamlfind",
        "ocamlfind-secondary",
        "opam-installer",
        "opam-monorepo",
        "topkg",
        "topkg-care",
    }
)
"""Packages whose code runs while others are built and is linked into none of them."""

_NOT_IN_IMAGES: Final = frozenset(
    {"build", "post", "with-test", "with-doc", "with-dev-setup", "dev"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedPart:
    """A package or vendored directory with object code in an image."""

    name: str
    """Name of the package, or of the directory."""
    licences: tuple[str, ...]
    """The recorded licences as written, of which all apply; empty when none is recorded."""
    source: str | None
    """Address of the source."""
    use: Use
    """Under which its source is known."""


def linked_parts(switch: SwitchExport) -> tuple[LinkedPart, ...]:
    """Return what is linked into the image of the switch's root, sorted by name.

    A package and a vendored directory may have the same name. A package without section is
    returned without licences.

    Raises:
        InputError: the switch has no root.
    """
    root = switch.root
    runtimes = {
        name
        for name in switch.installed_names
        if any(fnmatchcase(name, pattern) for pattern in RUNTIMES)
    }
    parts = [
        LinkedPart(
            name=vendored.directory,
            licences=(),
            source=vendored.url.src,
            use=Use("vendored", root.name, vendored.directory),
        )
        for vendored in root.vendored
    ]
    always = runtimes | {root.name}
    for name in _closure(switch, always):
        package = switch.packages.get(name)
        if package is None and not name.startswith("base-"):
            parts.append(LinkedPart(name=name, licences=(), source=None, use=Use("package", name)))
        elif package is not None and (name in always or _has_bytes(package)):
            source = None if package.url is None else package.url.src
            parts.append(
                LinkedPart(
                    name=name,
                    licences=package.licences,
                    source=source,
                    use=Use("package", name),
                )
            )
    return tuple(sorted(parts, key=lambda part: (part.name, part.source or "")))


def _closure(switch: SwitchExport, start: set[str]) -> set[str]:
    """Return the names of installed packages that are reached from `start`, with `start`."""
    installed = switch.installed_names
    reached = set(start)
    waiting = list(start)
    while waiting:
        package = switch.packages.get(waiting.pop())
        if package is None:
            continue
        for name in (
            *dependency_names(package.depends, _scope),
            *dependency_names(package.depopts, _scope),
        ):
            if name in installed and name not in reached and not _is_tool(switch, name):
                reached.add(name)
                waiting.append(name)
    return reached


def _is_tool(switch: SwitchExport, name: str) -> bool:
    package = switch.packages.get(name)
    return (
        name in TOOLS
        or name.startswith("conf-")
        or (package is not None and "conf" in package.flags)
    )


def _has_bytes(package: OpamPackage) -> bool:
    return package.version.text != "base" and bool(
        package.url
        or package.extra_sources
        or package.extra_files
        or package.build
        or package.install
    )


def _scope(package: str | None, variable: str) -> bool | None:
    return False if package is None and variable in _NOT_IN_IMAGES else None
