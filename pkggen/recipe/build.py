"""From a record, and what a person stated, to the recipe of its package."""

from __future__ import annotations

import re
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypedDict, TypeVar

from pkggen.errors import Faults, InputError, PkggenError
from pkggen.recipe import description
from pkggen.recipe.licences import image_licences
from pkggen.recipe.linked import linked_parts
from pkggen.recipe.model import ImageRecipe, Provenance, ToolRecipe, Version
from pkggen.recipe.overrides import OVERRIDES_FILE, PACKAGE_NAME, web_url
from pkggen.recipe.places import place_faults
from pkggen.recipe.tool_reader import described_tool
from pkggen.recipe.versions import release_of
from pkggen.record.assemble import no_image_reason
from pkggen.record.binary_package import read_package, recorded_package
from pkggen.record.model import SWITCH_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from pkggen.opam.package import OpamPackage
    from pkggen.recipe.model import AnyRecipe, Licences, Maintainer
    from pkggen.recipe.overrides import Overrides, PackageOverrides
    from pkggen.recipe.tool import Tool
    from pkggen.record.model import Artifact, Record, RecordedPackage, Solo5Image
    from pkggen.sources.model import Use

T = TypeVar("T")

# Functoria writes this synopsis into every unikernel's opam file (`lib/functoria/opam.ml`).
_GENERATED_SYNOPSIS: Final = re.compile(r"Unikernel .* - switch dependencies")


def image_recipe(
    record: Record,
    overrides: Overrides,
    by_sources: Mapping[Use, tuple[str, ...]] = MappingProxyType({}),
) -> ImageRecipe:
    """Return how to package the image of a recorded build.

    Args:
        record: The build.
        overrides: What pkggen.yaml states.
        by_sources: What sources state themselves about parts for which no licence is recorded.

    Raises:
        InputError: the record lacks an image, Solo5's notes, a root package or a build time, or
            gives no usable name, description or licences; several of these come as `Faults`.
    """
    builder = _Builder(record, overrides, by_sources)
    image = builder.tried(lambda: _image(record))
    common = builder.common()
    if image is None or common is None:
        raise builder.error()
    return ImageRecipe(image=image[0], solo5=image[1], **common)


def package_recipe(
    record: Record,
    overrides: Overrides,
    by_sources: Mapping[Use, tuple[str, ...]] = MappingProxyType({}),
) -> AnyRecipe:
    """Return how to package a recorded build: its image, or else all of its files.

    Arguments are those of `image_recipe`.

    Raises:
        InputError: as `image_recipe`, and if the record holds no files, or some that no package may
            have.
    """
    if record.image is not None:
        return image_recipe(record, overrides, by_sources)
    builder = _Builder(record, overrides, by_sources)
    tool = builder.tried(lambda: described_tool(record.switch.root.name))
    builder.summary = None if tool is None else tool.summary
    payload = builder.tried(lambda: _payload(record, tool))
    common = builder.common()
    if payload is not None and common is not None:
        names = {common["name"], record.switch.root.name}
        builder.faults += place_faults(payload["payload"], tool, names)
    if payload is None or common is None or builder.faults:
        raise builder.error()
    return ToolRecipe(machine=_machine(record), tool=tool, **payload, **common)


def past_version(record: Record, overrides: Overrides) -> tuple[Version, Provenance]:
    """Return what is said of a build in the history of a package.

    Raises:
        InputError: the record has no root package or no build time.
    """
    stated, root = overrides.of(record.job), record.switch.root
    release = stated.version or release_of(root.version)
    return Version(release=release, built=_built(record)), provenance(record, root)


class _Common(TypedDict):
    """The fields of a `Recipe`."""

    name: str
    version: Version
    description: str
    homepage: str | None
    licences: Licences
    maintainer: Maintainer | None
    provenance: Provenance
    revision: int


class _Builder:
    """A record on its way to a recipe, and the faults found on the way."""

    def __init__(
        self,
        record: Record,
        overrides: Overrides,
        by_sources: Mapping[Use, tuple[str, ...]],
    ) -> None:
        self.record = record
        self.overrides = overrides
        self.stated = overrides.of(record.job)
        self.by_sources = by_sources
        self.faults: list[PkggenError] = []
        self.summary: str | None = None
        """What the description of a tool says of it in one line."""

    def tried(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except PkggenError as error:
            self.faults.append(error)
            return None

    def error(self) -> PkggenError:
        return self.faults[0] if len(self.faults) == 1 else Faults(self.faults)

    def common(self) -> _Common | None:
        """Return what every recipe has; None if there are faults."""
        record, stated = self.record, self.stated
        built = self.tried(lambda: _built(record))
        name = self.tried(lambda: stated.name or _name(record.job))
        root = self.tried(lambda: record.switch.root)
        licences = line = None
        if root is not None:
            licences = self.tried(
                lambda: stated.licence or _licences(record, stated, self.by_sources)
            )
            line = self.tried(lambda: _description(record, root, name or "", stated, self.summary))
        if not (built and name and root and licences and line):
            return None
        return _Common(
            name=name,
            version=Version(release=stated.version or release_of(root.version), built=built),
            description=line,
            homepage=stated.homepage or _homepage(root),
            licences=licences,
            maintainer=stated.maintainer or self.overrides.maintainer,
            provenance=provenance(record, root),
            revision=stated.revision or 1,
        )


def _image(record: Record) -> tuple[Artifact, Solo5Image]:
    if record.image is None or record.solo5 is None:
        raise InputError(
            f"the record has no Solo5 image: {no_image_reason(record)}",
            where=record.source,
            hint="only the image of a unikernel can be packaged, and only from a record that "
            "holds it",
        )
    return record.image, record.solo5


class _Payload(TypedDict):
    """The fields of a `ToolRecipe` about what is installed."""

    payload: tuple[Artifact, ...]
    package: RecordedPackage | None


def _payload(record: Record, tool: Tool | None) -> _Payload:
    if tool is not None and tool.build is not None:
        return _Payload(payload=(), package=None)
    archive = recorded_package(record)
    if archive is None:
        return _Payload(payload=_files(record), package=None)
    package = read_package(archive)
    return _Payload(payload=package.files, package=package)


def _files(record: Record) -> tuple[Artifact, ...]:
    if not record.artifacts:
        raise InputError(
            "the record holds no built file, so that there is nothing to install",
            where=record.source,
            hint="name a record that holds what was built, not only its metadata",
        )
    return record.artifacts


def _machine(record: Record) -> str:
    # orb records ARCH since 2024-08; before, all of robur's builders were x86_64.
    return record.environment.get("ARCH") or "x86_64"


def _built(record: Record) -> datetime:
    if record.started is None:
        raise InputError(
            "the record does not say when the build was started",
            where=record.source,
            hint="the version needs it, since one release is built many times; add it with "
            "`pkggen record SOURCE --started TIME -o DIR` and package DIR",
        )
    return record.started


def _name(job: str) -> str:
    """Return the package name: robur's jobs that build a git branch end in `-git`."""
    name = job.lower().removesuffix("-git").replace("_", "-")
    if not PACKAGE_NAME.fullmatch(name):
        raise InputError(
            f"the job name {job!r} does not make a package name of a-z, 0-9 and hyphens",
            hint=f"set `name` of this job in {OVERRIDES_FILE}",
        )
    return name


def _licences(
    record: Record, stated: PackageOverrides, by_sources: Mapping[Use, tuple[str, ...]]
) -> Licences:
    parts = [
        part if part.licences else replace(part, licences=by_sources.get(part.use, ()))
        for part in linked_parts(record.switch)
    ]
    return image_licences(parts, dict(stated.licences), record.job)


def _description(
    record: Record, root: OpamPackage, name: str, stated: PackageOverrides, summary: str | None
) -> str:
    if stated.description is not None or summary is not None:
        text = stated.description or summary or ""
    elif not root.synopsis or _GENERATED_SYNOPSIS.fullmatch(root.synopsis):
        text = "MirageOS unikernel" + (f" for Solo5 {record.solo5.target}" if record.solo5 else "")
    else:
        text = description.cleaned(root.synopsis, name)
    fault = description.fault(text, name)
    if fault is not None:
        raise InputError(
            f"the description {text!r} {fault}",
            where=record.source,
            hint=f"set `description` of {record.job} in {OVERRIDES_FILE}",
        )
    return text


def _homepage(root: OpamPackage) -> str | None:
    """Return the first homepage that is one, else the page of the repository, else None."""
    repositories = (root.url.src if root.url else None, root.dev_repo)
    candidates = [*root.homepage, *(_repository_page(url) for url in repositories if url)]
    return next((url for url in candidates if web_url(url)), None)


def _repository_page(url: str) -> str:
    """Return `https://host/path` of `git+https://host/path.git#commit`, else an empty text."""
    match = re.fullmatch(r"git\+(https?://[^#?]+?)(?:\.git)?/?(?:#.*)?", url)
    return match[1] if match else ""


def provenance(record: Record, root: OpamPackage) -> Provenance:
    """Return which recorded build a package comes from."""
    switch = next(file for file in record.metadata if str(file.path) == SWITCH_FILE)
    return Provenance(
        job=record.job,
        platform=record.platform,
        origin=record.origin,
        root=f"{root.name}.{root.version}",
        switch_sha256=switch.sha256,
    )
