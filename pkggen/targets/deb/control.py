"""debian/control and what else follows from what a package depends on.

Sources: Debian Policy 5 (fields) and 7 (relationships), debhelper(7).
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, PkggenError
from pkggen.recipe.model import ImageRecipe
from pkggen.recipe.service import SOLO5_WITH_ABI_2, service
from pkggen.targets.deb import names
from pkggen.targets.deb.deb822 import render

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pkggen.recipe.model import AnyRecipe, Maintainer
    from pkggen.recipe.service import Service
    from pkggen.targets.deb.model import Inputs

STANDARDS: Final = "4.6.2"
_ABI: Final = 2
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
        "Section": _section(recipe),
        "Priority": "optional",
        "Maintainer": f"{maintainer.name} <{maintainer.email}>",
        "Build-Depends": ",\n".join(build_depends(inputs)),
        "Standards-Version": STANDARDS,
        **({} if recipe.homepage is None else {"Homepage": recipe.homepage}),
        "Rules-Requires-Root": "no",
    }
    binary = {
        "Package": recipe.name,
        "Architecture": names.ARCHITECTURES[recipe.machine],
        "Depends": ",\n".join(_depends(recipe)),
        "Description": "\n".join([recipe.description, *_description(inputs)]),
    }
    return f"{render(source)}\n{render(binary)}"


def faults(inputs: Inputs) -> Iterator[PkggenError]:
    """Yield an error for each reason why there can be no such package."""
    recipe = inputs.recipe
    yield from names.faults(recipe.name)
    if recipe.maintainer is None:
        yield InputError(
            "a Debian package needs a maintainer",
            where=recipe.name,
            hint="set maintainer, with name and email, in pkggen.yaml",
        )
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


def build_depends(inputs: Inputs) -> Iterator[str]:
    """Yield what a build needs."""
    yield "debhelper-compat (= 13)"
    if isinstance(inputs.recipe, ImageRecipe):
        yield "dh-sequence-installsysusers"
    if inputs.rebuild is not None:
        yield from sorted(set(inputs.rebuild.depends) - _NOT_NAMED)


def tender_depends(described: Service) -> str:
    """Return the dependency of an image on its tender."""
    return f"{described.tender} (>= {SOLO5_WITH_ABI_2})"


def _section(recipe: AnyRecipe) -> str:
    return "net" if isinstance(recipe, ImageRecipe) and service(recipe).networks else "misc"


def _depends(recipe: AnyRecipe) -> Iterable[str]:
    if not isinstance(recipe, ImageRecipe):
        return ("${misc:Depends}", "${shlibs:Depends}")
    described = service(recipe)
    network = ("iproute2",) if described.networks else ()
    return (*network, tender_depends(described), "${misc:Depends}")


def _description(inputs: Inputs) -> Iterator[str]:
    recipe, root = inputs.recipe, inputs.record.switch.root
    for line in (root.description or "").strip().splitlines():
        yield from _wrapped(line)
    if (root.description or "").strip():
        yield ""
    if isinstance(recipe, ImageRecipe):
        tender = service(recipe).tender
        what = f"This is the image of a MirageOS unikernel, run as a service by {tender}."
    else:
        what = "This holds the files of a recorded, reproducible build of MirageOS."
    how = "built from its recorded sources" if inputs.rebuild is not None else "as it was recorded"
    yield from _wrapped(f"{what} It is {how}, and has the recorded sha256.")


def _wrapped(line: str) -> list[str]:
    shown = "".join(c if c.isprintable() else " " for c in line)
    # An opam description may have a line that is only a full stop, which control files cannot.
    return textwrap.wrap(shown.strip(". ") and shown, 76, break_long_words=False) or [""]
