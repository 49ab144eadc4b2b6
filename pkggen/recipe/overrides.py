"""pkggen.yaml: what a person states about packages where a record is silent or wrong.

    maintainer:
      name: Jane Doe
      email: jane@example.org
      nixpkgs: janedoe                # attribute in nixpkgs' maintainers/maintainer-list.nix
      github: jane-doe                # for a new entry there, with
      githubId: 1234567               # `id` of https://api.github.com/users/jane-doe
    packages:
      dns-primary-git:                # name of the job
        name: dns-primary             # of the package
        version: "1.2"                # release, instead of the root package's version
        revision: 2                   # of the packaging of one build: -0pkggen2, PORTREVISION 1
        description: Primary authoritative DNS server
        homepage: https://example.org/dns
        licence: ISC AND MIT          # of the whole image, instead of the union
        licences: {emile: MIT}        # of single linked-in packages and vendored directories
        maintainer: {name: John Doe, email: john@example.org}

Everything is optional; an unknown key is an error. `licences` may name what an image does not have
(any more), so that one file serves many builds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pkggen.errors import InputError, raise_all
from pkggen.recipe import description
from pkggen.recipe.licences import all_of
from pkggen.recipe.model import Licences, Maintainer
from pkggen.recipe.versions import release_of
from pkggen.recipe.yaml_reader import NUMBER, TEXT, Reader, compose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yaml import Node

OVERRIDES_FILE: Final = "pkggen.yaml"
PACKAGE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]+")

_EMAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_PERSON: Final = re.compile(r"[^\W_][\w .,'()-]{0,99}")
_ATTRIBUTE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_'-]*")
_GITHUB: Final = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}")
_GITHUB_ID: Final = re.compile(r"[1-9][0-9]{0,11}")
_REVISION: Final = re.compile(r"[1-9][0-9]{0,3}")
_URL: Final = re.compile(r"https?://[A-Za-z0-9!#$%&()*+,./:;=?@\[\]_~-]+")
_HOST: Final = re.compile(r"([a-z0-9-]+\.)+[a-z][a-z0-9-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageOverrides:
    """What is stated about the package of one job; None or empty is not stated."""

    name: str | None = None
    """Package name."""
    version: str | None = None
    """Release."""
    revision: int | None = None
    """Number of the packaging of one build, from 1."""
    description: str | None = None
    """One line."""
    homepage: str | None = None
    """http or https URL."""
    licence: Licences | None = None
    """Of the whole image."""
    licences: tuple[tuple[str, str], ...] = ()
    """Name of a linked-in package or vendored directory, and its SPDX expression."""
    maintainer: Maintainer | None = None
    """Of this package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """A whole pkggen.yaml."""

    maintainer: Maintainer | None = None
    """Of every package that does not name its own."""
    packages: tuple[tuple[str, PackageOverrides], ...] = ()
    """Name of a job and what is stated about its package."""
    file: str | None = field(default=None, compare=False)
    """Path of the file; None when there was none."""

    def of(self, job: str) -> PackageOverrides:
        """Return what is stated about the package of a job."""
        return dict(self.packages).get(job, PackageOverrides())

    def rendered(self, job: str) -> str:
        """Return a pkggen.yaml that states of this job what this one does, and of no other."""
        import yaml  # noqa: PLC0415 - 25 ms, for few commands

        stated = self.of(job)
        package = {
            "name": stated.name,
            "version": stated.version,
            "revision": stated.revision,
            "description": stated.description,
            "homepage": stated.homepage,
            "licence": None if stated.licence is None else stated.licence.expression,
            "licences": dict(stated.licences),
        }
        document = {
            "maintainer": _maintainer_fields(stated.maintainer or self.maintainer),
            "packages": _given({job: _given(package)}),
        }
        text: str = yaml.safe_dump(_given(document), allow_unicode=True, sort_keys=False)
        return text


def read_overrides(data: bytes, file: str) -> Overrides:
    """Read a pkggen.yaml.

    Args:
        data: The bytes of the file, UTF-8.
        file: Name of the file, for messages.

    Raises:
        InputError: the bytes are not YAML of the form above; with line and column, and together
            with all others of the kind as `Faults`.
    """
    text, root = compose(data, file)
    if root is None:
        return Overrides(file=file)
    reader = _Reader(file, text)
    overrides = reader.overrides(root)
    raise_all(reader.faults)
    return overrides


def web_url(text: str) -> str | None:
    """Return the text when it is an http or https URL of a host on the internet, else None."""
    if not _URL.fullmatch(text):
        return None
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises when it is no number
    except ValueError:
        return None
    host = parts.hostname or ""
    return text if "@" not in parts.netloc and _HOST.fullmatch(host) else None


class _Reader(Reader):
    """Turns the nodes of a pkggen.yaml into overrides."""

    def overrides(self, root: Node) -> Overrides:
        fields = self.mapping(root, ("maintainer", "packages"))
        packages = self.mapping(fields.get("packages"))
        return Overrides(
            file=self.file,
            maintainer=self._maintainer(fields.get("maintainer")),
            packages=tuple((job, self._package(node)) for job, node in packages.items()),
        )

    def _package(self, node: Node) -> PackageOverrides:
        fields = self.mapping(node, PackageOverrides.__slots__)
        licences = self.mapping(fields.get("licences"))
        stated = {name: self.value(expression, _one) for name, expression in licences.items()}
        return PackageOverrides(
            name=self.value(fields.get("name"), _name),
            version=self.value(fields.get("version"), _version),
            revision=self.value(fields.get("revision"), _revision, (TEXT, NUMBER)),
            description=self.value(fields.get("description"), _description),
            homepage=self.value(fields.get("homepage"), _homepage),
            licence=self.value(fields.get("licence"), _one),
            licences=tuple((name, found.expression) for name, found in stated.items() if found),
            maintainer=self._maintainer(fields.get("maintainer")),
        )

    def _maintainer(self, node: Node | None) -> Maintainer | None:
        if node is None:
            return None
        fields = self.mapping(node, ("name", "email", "nixpkgs", "github", "githubId"))
        name = self.value(fields.get("name"), _person)
        email = self.value(fields.get("email"), _email)
        nixpkgs = self.value(fields.get("nixpkgs"), _nixpkgs_attribute)
        if not {"name", "email"} <= fields.keys():
            self.fault(node, "a maintainer needs a name and an email")
        github = self.value(fields.get("github"), _github)
        github_id = self.value(fields.get("githubId"), _github_id, (TEXT, NUMBER))
        if ("github" in fields) != ("githubId" in fields):
            self.fault(node, "github and githubId belong together")
        if name is None or email is None:
            return None
        return Maintainer(
            name=name, email=email, nixpkgs=nixpkgs, github=github, github_id=github_id
        )


def _maintainer_fields(maintainer: Maintainer | None) -> dict[str, object]:
    if maintainer is None:
        return {}
    return _given(
        {
            "name": maintainer.name,
            "email": maintainer.email,
            "nixpkgs": maintainer.nixpkgs,
            "github": maintainer.github,
            "githubId": maintainer.github_id,
        }
    )


def _given(fields: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in fields.items() if value}


def _one(expression: str) -> Licences:
    return all_of((expression,))


def _name(text: str) -> str:
    return _matching(text, PACKAGE_NAME, "a package name (a-z, 0-9 and hyphens, at least two)")


def _version(text: str) -> str:
    if release_of(text) is None:
        raise InputError(f"{text!r} is not the version of a release, such as 1.2")
    return text


def _revision(text: str) -> int:
    return int(_matching(text, _REVISION, "a number from 1 to 9999"))


def _description(text: str) -> str:
    fault = description.fault(text, "")
    if fault is not None:
        raise InputError(f"the description {fault}")
    return text


def _homepage(text: str) -> str:
    if web_url(text) is None:
        raise InputError(f"{text!r} is not an http or https URL")
    return text


def _person(text: str) -> str:
    return _matching(text, _PERSON, "a name as in `Name <email>`")


def _email(text: str) -> str:
    return _matching(text, _EMAIL, "an email address")


def _nixpkgs_attribute(text: str) -> str:
    return _matching(text, _ATTRIBUTE, "an attribute of nixpkgs' lib.maintainers")


def _github(text: str) -> str:
    return _matching(text, _GITHUB, "the name of an account on GitHub")


def _github_id(text: str) -> int:
    return int(_matching(text, _GITHUB_ID, "the number of an account on GitHub"))


def _matching(text: str, pattern: re.Pattern[str], what: str) -> str:
    if not pattern.fullmatch(text):
        raise InputError(f"{text!r} is not {what}")
    return text
