"""All decisions about a Nix package, before anything is quoted or laid out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError, raise_all
from pkggen.recipe.overrides import OVERRIDES_FILE
from pkggen.recipe.versions import nix_version
from pkggen.targets.nix import licences, names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import PurePosixPath

    from pkggen.recipe.model import ImageRecipe

PLATFORMS: Final = {
    "x86_64": "x86_64-linux",
    "aarch64": "aarch64-linux",
    "ppc64le": "powerpc64le-linux",
}
"""Nix systems by machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageView:
    """What the template of `package.nix` prints; every string is still unquoted."""

    directory: PurePosixPath
    """Where the package goes, relative to the root of nixpkgs or of an overlay."""
    origin: str
    """Where the recorded build is, for the header."""
    switch_sha256: str
    """sha256 of the recorded opam-switch, hexadecimal."""
    pname: str
    """Package name."""
    version: str
    """Version in nixpkgs."""
    url: str | None
    """Permanent URL of the image; None if it is copied beside the expression."""
    sha256: str
    """sha256 of the image, hexadecimal."""
    file_name: str
    """Name of the image, safe unquoted."""
    target: str
    """Solo5 target, e.g. `hvt`, safe unquoted."""
    abi: int
    """Version of the Solo5 ABI."""
    networks: tuple[str, ...]
    """Names of the network devices that the image wants, in its order."""
    blocks: tuple[str, ...]
    """Names of the block devices that the image wants, in its order."""
    update: tuple[str, ...] | None
    """Command that generates the package anew from the newest build; only for nixpkgs."""
    description: str
    """One line without full stop."""
    homepage: str | None
    """URL."""
    licences: tuple[str, ...]
    """Attributes of `lib.licenses`, at least one."""
    maintainer: str | None
    """Attribute of `lib.maintainers`."""
    platform: str
    """Nix system that can run the image."""


def package_view(
    recipe: ImageRecipe, *, nixpkgs: bool, configured: bool = False, rebuilt: bool = False
) -> PackageView:
    """Decide everything about the package of a recorded image.

    Args:
        recipe: What to package.
        nixpkgs: Whether it is meant for submission to nixpkgs, which wants more.
        configured: Whether a pkggen.yaml lies beside the package, for updates to use.
        rebuilt: Whether the source build lies beside it, which updates have to renew.

    Raises:
        InputError: the recipe cannot become such a package; all reasons are given together.
    """
    raise_all(_faults(recipe, nixpkgs=nixpkgs))
    origin = recipe.provenance.origin
    devices = recipe.solo5.devices
    maintainer = recipe.maintainer
    return PackageView(
        directory=names.directory(recipe.name),
        origin=f"job {recipe.provenance.job}" if origin is None else origin.url,
        switch_sha256=recipe.provenance.switch_sha256,
        pname=recipe.name,
        version=str(nix_version(recipe.version)),
        url=None if origin is None else origin.file_url(recipe.image.path),
        sha256=recipe.image.sha256,
        file_name=recipe.file_name.name,
        target=recipe.solo5.target,
        abi=recipe.solo5.abi_version,
        networks=tuple(device.name for device in devices if device.kind == "NET_BASIC"),
        blocks=tuple(device.name for device in devices if device.kind == "BLOCK_BASIC"),
        update=_update(recipe, configured=configured, rebuilt=rebuilt) if nixpkgs else None,
        description=recipe.description,
        homepage=recipe.homepage,
        licences=licences.attributes(recipe.licences.terms),
        maintainer=None if maintainer is None else maintainer.nixpkgs,
        platform=PLATFORMS[recipe.solo5.machine],
    )


def _update(recipe: ImageRecipe, *, configured: bool, rebuilt: bool) -> tuple[str, ...] | None:
    """Return the command that packages the newest build, run at the root of nixpkgs."""
    provenance = recipe.provenance
    if provenance.origin is None:
        return None
    config = names.directory(recipe.name) / OVERRIDES_FILE
    return (
        *("pkggen", "update", "--nixpkgs", "."),
        *(("--rebuild",) if rebuilt else ()),
        *(("--config", str(config)) if configured else ()),
        *(() if provenance.platform is None else ("--platform", provenance.platform)),
        f"{provenance.origin.server}/job/{provenance.origin.job}",
    )


def _faults(recipe: ImageRecipe, *, nixpkgs: bool) -> Iterator[InputError]:
    yield from names.faults(recipe.name)
    try:
        nix_version(recipe.version)
    except InputError as error:
        yield error
    yield from licences.faults(recipe.licences.terms)
    if not recipe.licences.terms:
        yield InputError(
            "no licence is known", where=recipe.name, hint="set the licence in pkggen.yaml"
        )
    yield from names.recorded_file_faults(recipe.file_name.name)
    if recipe.solo5.machine not in PLATFORMS:
        yield InputError(
            f"no Nix system is known for the machine {recipe.solo5.machine!r}",
            where=str(recipe.image.path),
        )
    if nixpkgs and recipe.provenance.origin is None:
        yield InputError(
            "the build is on no server, so that nixpkgs could not download the image",
            where=recipe.name,
            hint="generate an overlay or a flake, which hold a copy of the image, or name the build"
            " by its URL",
        )
    if nixpkgs and (recipe.maintainer is None or recipe.maintainer.nixpkgs is None):
        yield InputError(
            "nixpkgs takes no package without a maintainer",
            where=recipe.name,
            hint="set maintainer.nixpkgs in pkggen.yaml to your attribute in nixpkgs'"
            " maintainers/maintainer-list.nix",
        )
