"""debian/control and what else follows from what a package depends on.

Sources: Debian Policy 5 (fields) and 7 (relationships), debhelper(7).
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, PkggenError
from pkggen.recipe.model import ImageRecipe
from pkggen.recipe.service import service
from pkggen.targets.deb import names, quote
from pkggen.targets.deb.deb822 import render
from pkggen.targets.deb.native import packages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pkggen.recipe.model import AnyRecipe, Maintainer
    from pkggen.recipe.service import Service
    from pkggen.recipe.tool import BinaryPackage
    from pkggen.targets.deb.model import Inputs

STANDARDS: Final = "4.6.2"
_ABI: Final = 2
_WIDTH: Final = 76
_ITEM: Final = re.compile(r"\s*([-*+\u2022]|[0-9]{1,2}[.)])\s+\S")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_NOT_NAMED: Final = frozenset(
    {"bash", "coreutils", "dash", "dpkg-dev", "g++", "gcc", "grep", "gzip", "hostname", "libc-dev"}
    | {"libc6-dev", "make", "mawk", "perl-base", "sed", "tar"}
)
"""What every build has without saying so: essential packages and build-essential (Policy 4.2)."""


def control(inputs: Inputs, maintainer: Maintainer) -> str:
    """Return the text: one stanza for the source, one for the package.

    Raises:
        InputError: a name cannot be used.
    """
    recipe = inputs.recipe
    source = {
        "Source": recipe.name,
        "Section": _section(inputs),
        "Priority": "optional",
        "Maintainer": f"{maintainer.name} <{maintainer.email}>",
        "Build-Depends": ",\n".join(build_depends(inputs)),
        "Standards-Version": STANDARDS,
        **({} if recipe.homepage is None else {"Homepage": _literal(recipe.homepage)}),
        "Rules-Requires-Root": "no",
    }
    tool = inputs.tool
    if tool is None:
        binaries = [
            {
                "Package": recipe.name,
                "Architecture": names.ARCHITECTURES[recipe.machine],
                "Depends": ",\n".join(_depends(recipe)),
                "Description": "\n".join([_literal(recipe.description), *_description(inputs)]),
            }
        ]
    else:
        binaries = [_binary(inputs, package) for package in packages(tool)]
    return "\n".join(map(render, (source, *binaries)))


def faults(inputs: Inputs) -> Iterator[PkggenError]:
    """Yield an error for each reason why there can be no such package."""
    recipe = inputs.recipe
    yield from names.faults(recipe.name)
    yield from _unstated(recipe)
    if recipe.machine not in names.ARCHITECTURES:
        yield InputError(f"Debian has no {recipe.machine}", where=recipe.name)
    if isinstance(recipe, ImageRecipe):
        try:
            described = service(recipe)
        except PkggenError as error:
            yield error
        else:
            if described.abi_version != _ABI:
                yield InputError(
                    f"Debian has no tender for Solo5's ABI version {described.abi_version}",
                    where=str(recipe.image.path),
                )
    for name in () if inputs.rebuild is None else inputs.rebuild.depends:
        if not _NAME.fullmatch(name):
            yield InputError(
                f"a package asks for the system package {name!r}, which Debian cannot have",
                where=recipe.name,
            )


def _unstated(recipe: AnyRecipe) -> Iterator[PkggenError]:
    """Yield an error for what only a person can state."""
    if recipe.maintainer is None:
        yield InputError(
            "a Debian package needs a maintainer",
            where=recipe.name,
            hint="set maintainer, with name and email, in pkggen.yaml",
        )
    elif "${" in recipe.maintainer.email:
        # dpkg-gencontrol would put the value of a variable there.
        yield InputError(
            f"the address {recipe.maintainer.email!r} cannot be in a Debian package",
            where=recipe.name,
        )
    if len(recipe.description.split()) < 2:
        yield InputError(
            f"the description {recipe.description!r} is a single word, which Debian takes for an"
            " error",
            where=recipe.name,
            hint=f"set description of {recipe.provenance.job} in pkggen.yaml",
        )


def build_depends(inputs: Inputs) -> Iterator[str]:
    """Yield what a build needs."""
    yield "debhelper-compat (= 13)"
    if isinstance(inputs.recipe, ImageRecipe):
        yield "dh-sequence-installsysusers"
    if inputs.tool is not None and inputs.tool.users:
        yield "dh-sequence-installsysusers"
    if inputs.tool is not None and inputs.tool.build is not None:
        yield from inputs.tool.build.needs_of("debian")
    if inputs.rebuild is not None:
        yield from sorted(set(inputs.rebuild.depends) - _NOT_NAMED)


def tender_depends(described: Service) -> str:
    """Return the dependency of an image on its tender: what that provides, whatever its version.

    A tender runs images of one version of the ABI only, and its release does not tell which.
    """
    return f"{described.tender}-abi-{described.abi_version}"


def _binary(inputs: Inputs, package: BinaryPackage) -> dict[str, str]:
    """Return the stanza of a package of a described tool."""
    recipe = inputs.recipe
    relations = dict(package.debian)
    depends = (*relations.pop("Depends", ()), "${misc:Depends}", "${shlibs:Depends}")
    last = (
        "It is built from the release tarball that a recorded build names."
        if inputs.release is not None
        else "It was built from the recorded sources and has the recorded sha256."
        if inputs.rebuild is not None
        else "It is packaged as it was recorded."
    )
    # What pkggen.yaml states is about the package that has the tool's own name.
    summary = package.summary if package.suffix else recipe.description
    section = {} if package.category == _section(inputs) else {"Section": package.category}
    return {
        "Package": recipe.name + package.suffix,
        **section,
        "Architecture": " ".join(
            sorted(names.ARCHITECTURES[one] for one in package.machines or (recipe.machine,))
        ),
        "Depends": ",\n".join(depends),
        **{field: ",\n".join(values) for field, values in relations.items()},
        "Description": "\n".join(
            [_literal(summary), *_extended(package.description), "", *_wrapped(last)]
        ),
    }


def _section(inputs: Inputs) -> str:
    recipe, tool = inputs.recipe, inputs.tool
    if tool is not None:
        return tool.packages[0].category
    return "net" if isinstance(recipe, ImageRecipe) and service(recipe).networks else "misc"


def _depends(recipe: AnyRecipe) -> Iterable[str]:
    if not isinstance(recipe, ImageRecipe):
        return ("${misc:Depends}", "${shlibs:Depends}")
    described = service(recipe)
    network = ("iproute2",) if described.networks else ()
    return (*network, tender_depends(described), "${misc:Depends}")


def _description(inputs: Inputs) -> Iterator[str]:
    described = _extended(inputs.record.switch.root.description or "")
    yield from described
    if described:
        yield ""
    recipe = inputs.recipe
    if isinstance(recipe, ImageRecipe):
        tender = service(recipe).tender
        what = f"This is the image of a MirageOS unikernel, which {tender} runs as a service."
        built = "It was built from the recorded sources and has the recorded sha256."
        kept = "It is packaged as it was recorded."
    else:
        what = "These are the files of a recorded build."
        built = "They were built from the recorded sources and have the recorded sha256."
        kept = "They are packaged as they were recorded."
    yield from _wrapped(f"{what} {kept if inputs.rebuild is None else built}")


def _extended(text: str) -> list[str]:
    """Return the lines of a description: paragraphs filled, items of lists and what is indented."""
    found: list[str] = []
    begun, indent = "", ""
    for line in (*textwrap.dedent(text).splitlines(), ""):
        words = _literal(" ".join(line.split()))
        item = _ITEM.match(line)
        verbatim = line.startswith(("    ", "\t")) and not begun
        # A line that is only full stops would stand for an empty one, or for who knows what.
        if item or verbatim or not words.strip(". "):
            found += _wrapped(begun, indent)
            begun, indent = "", ""
        if not words.strip(". "):
            if found and found[-1]:
                found.append("")
        elif verbatim:
            found.append(f" {_literal(line.expandtabs().rstrip())}")
        elif item:
            begun, indent = words, " "
        else:
            begun = f"{begun} {words}".strip()
    return found[:-1] if found and not found[-1] else found


def _wrapped(text: str, indent: str = "") -> list[str]:
    lines = textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  " if indent else "",
        break_long_words=False,
        break_on_hyphens=False,
    )
    # Policy keeps lines that start with a full stop for the future.
    return [f" {line}" if line.startswith(".") else line for line in lines]


def _literal(text: str) -> str:
    """Return one line in which dpkg-gencontrol sees no variables; it has no escape for them."""
    return quote.prose(text).replace("${", "$ {")
