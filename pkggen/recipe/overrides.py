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

import difflib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pkggen.errors import InputError, PkggenError, Place, raise_all
from pkggen.recipe import description
from pkggen.recipe.licences import all_of
from pkggen.recipe.model import Licences, Maintainer
from pkggen.recipe.versions import release_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TypeVar

    from yaml import Node

    T = TypeVar("T")

OVERRIDES_FILE: Final = "pkggen.yaml"
MAX_BYTES: Final = 1024 * 1024
_MAX_ENTRIES: Final = 50_000
PACKAGE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]+")

_EMAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_PERSON: Final = re.compile(r"[^\W_][\w .,'()-]{0,99}")
_ATTRIBUTE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_'-]*")
_GITHUB: Final = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}")
_GITHUB_ID: Final = re.compile(r"[1-9][0-9]{0,11}")
_REVISION: Final = re.compile(r"[1-9][0-9]{0,3}")
_URL: Final = re.compile(r"https?://[A-Za-z0-9!#$%&()*+,./:;=?@\[\]_~-]+")
_NULL: Final = "tag:yaml.org,2002:null"
_TEXT: Final = "tag:yaml.org,2002:str"
_NUMBER: Final = "tag:yaml.org,2002:int"
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
    import yaml  # noqa: PLC0415 - 25 ms, for few commands

    if len(data) > MAX_BYTES:
        raise InputError(f"it has more than {MAX_BYTES} bytes", where=file)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"it is not UTF-8 at byte {error.start}", where=file) from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = file if mark is None else Place.at(file, text, mark.index)
        raise InputError(f"it is not YAML: {error.problem}", where=where) from error
    except yaml.YAMLError as error:
        raise InputError("it is not YAML: it has control characters", where=file) from error
    except (ValueError, OverflowError) as error:  # of an escape or a directive
        raise InputError(f"it is not YAML: {error}", where=file) from error
    except RecursionError as error:
        raise InputError("it is nested too deeply", where=file) from error
    if root is None or root.tag == _NULL:
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


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns the nodes of YAML, which know their places, into overrides, and collects faults."""

    file: str
    text: str
    faults: list[PkggenError] = field(default_factory=list)
    entries: list[tuple[Node, Node]] = field(default_factory=list)
    """Keys and values of all mappings so far."""

    def overrides(self, root: Node) -> Overrides:
        fields = self._mapping(root, ("maintainer", "packages"))
        packages = self._mapping(fields["packages"]) if "packages" in fields else {}
        return Overrides(
            file=self.file,
            maintainer=self._maintainer(fields.get("maintainer")),
            packages=tuple((job, self._package(node)) for job, node in packages.items()),
        )

    def _package(self, node: Node) -> PackageOverrides:
        fields = self._mapping(node, PackageOverrides.__slots__)
        licences = self._mapping(fields["licences"]) if "licences" in fields else {}
        stated = {name: self._value(expression, _one) for name, expression in licences.items()}
        return PackageOverrides(
            name=self._value(fields.get("name"), _name),
            version=self._value(fields.get("version"), _version),
            revision=self._value(fields.get("revision"), _revision, (_TEXT, _NUMBER)),
            description=self._value(fields.get("description"), _description),
            homepage=self._value(fields.get("homepage"), _homepage),
            licence=self._value(fields.get("licence"), _one),
            licences=tuple((name, found.expression) for name, found in stated.items() if found),
            maintainer=self._maintainer(fields.get("maintainer")),
        )

    def _maintainer(self, node: Node | None) -> Maintainer | None:
        if node is None:
            return None
        fields = self._mapping(node, ("name", "email", "nixpkgs", "github", "githubId"))
        name = self._value(fields.get("name"), _person)
        email = self._value(fields.get("email"), _email)
        nixpkgs = self._value(fields.get("nixpkgs"), _nixpkgs_attribute)
        if not {"name", "email"} <= fields.keys():
            self._fault(node, "a maintainer needs a name and an email")
        github = self._value(fields.get("github"), _github)
        github_id = self._value(fields.get("githubId"), _github_id, (_TEXT, _NUMBER))
        if ("github" in fields) != ("githubId" in fields):
            self._fault(node, "github and githubId belong together")
        if name is None or email is None:
            return None
        return Maintainer(
            name=name, email=email, nixpkgs=nixpkgs, github=github, github_id=github_id
        )

    def _mapping(self, node: Node, known: Iterable[str] | None = None) -> dict[str, Node]:
        """Return keys and nodes of a mapping; every key once, and from `known` if that is given."""
        from yaml import MappingNode  # noqa: PLC0415 - loaded by `read_overrides`

        if not isinstance(node, MappingNode):
            self._fault(node, f"expected keys and values, found {_kind(node)}")
            return {}
        self.entries.extend(node.value)
        if len(self.entries) > _MAX_ENTRIES:
            raise InputError(
                f"it has more than {_MAX_ENTRIES} keys, counted again at each alias",
                where=self.file,
            )
        found: dict[str, Node] = {}
        for key_node, value_node in node.value:
            key = self._value(key_node, _key)
            if key is None:
                continue
            if key in found:
                self._fault(key_node, f"{key!r} is given twice")
            elif known is not None and key not in known:
                self._fault(key_node, f"unknown key {key!r}", _nearest(key, known))
            else:
                found[key] = value_node
        return found

    def _value(
        self, node: Node | None, read: Callable[[str], T], tags: Sequence[str] = (_TEXT,)
    ) -> T | None:
        """Return what `read` makes of a text; None when it is not given or faulty."""
        if node is None:
            return None
        from yaml import ScalarNode  # noqa: PLC0415 - loaded by `read_overrides`

        if not isinstance(node, ScalarNode) or node.tag not in tags:
            quotable = isinstance(node, ScalarNode) and node.tag != _NULL
            hint = "put it in double quotes" if quotable else None
            self._fault(node, f"expected text, found {_kind(node)}", hint)
            return None
        try:
            return read(node.value)
        except InputError as error:
            self._fault(node, error.message, error.hint)
            return None

    def _fault(self, node: Node, message: str, hint: str | None = None) -> None:
        where = Place.at(self.file, self.text, node.start_mark.index)
        self.faults.append(InputError(message, where=where, hint=hint))


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


def _kind(node: Node) -> str:
    names = {"map": "keys and values", "seq": "a list", "null": "nothing", "str": "text"}
    tag = node.tag.rpartition(":")[2]
    return names.get(tag, f"a value of type {tag}")


def _nearest(key: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"


def _key(text: str) -> str:
    if not text.isprintable():
        raise InputError(f"{text!r} has characters that cannot be seen")
    return text


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
