"""Package versions for the three package managers, made of a release and the time of a build.

A package of pkggen is one *build* of a release, and there are several: the version names the
release first, so that the next release is an upgrade, and the build time behind it, so that the
next build of the same release is one.

Sources: nixpkgs `pkgs/README.md` (versioning), Debian Policy 5.6.12, Porter's Handbook 5.2 with
the order of freebsd/pkg `libpkg/pkg_version.c`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Final

from pkggen.errors import InputError
from pkggen.opam.version import compare

if TYPE_CHECKING:
    from datetime import datetime

    from pkggen.opam.version import OpamVersion
    from pkggen.recipe.model import Version

_HINT: Final = "set `version` of this package in pkggen.yaml, with digits and dots only"
_RELEASE: Final = re.compile(r"v?[0-9][A-Za-z0-9.+~_-]*")
_NO_RELEASE: Final = re.compile(r"(dev|git|head|main|master|snapshot|trunk)[0-9]*")


@dataclass(frozen=True, slots=True)
class NixVersion:
    """The version of a derivation."""

    text: str
    """Starts with a digit; only what a store path may hold."""

    def __post_init__(self) -> None:
        """Refuse a text that is none."""
        _check(self.text, r"[0-9][A-Za-z0-9+._-]*", "a Nix version")

    def __str__(self) -> str:
        """Return the version as the package manager takes it."""
        return self.text


@dataclass(frozen=True, slots=True)
class DebVersion:
    """The version of a Debian package, without epoch."""

    upstream: str
    """Upstream part; may hold hyphens."""
    revision: str
    """Debian part, behind the last hyphen."""

    def __post_init__(self) -> None:
        """Refuse a text that is none."""
        _check(self.upstream, r"[0-9][A-Za-z0-9.+~-]*", "an upstream version of Debian")
        _check(self.revision, r"[A-Za-z0-9.+~]+", "a Debian revision")

    def __str__(self) -> str:
        """Return the version as the package manager takes it."""
        return f"{self.upstream}-{self.revision}"


@dataclass(frozen=True, slots=True)
class PortVersion:
    """The version of a FreeBSD port, without PORTREVISION and PORTEPOCH."""

    text: str
    """Numbers of at most 18 digits (pkg reads them as 64 bit) joined by dots.

    No letters: pkg sorts a component that starts with one below a missing one, and the ports
    framework cuts words down to their first letter.
    """

    def __post_init__(self) -> None:
        """Refuse a text that is none."""
        _check(self.text, r"[0-9]{1,18}(\.[0-9]{1,18})*", "a version of a FreeBSD port")

    def __str__(self) -> str:
        """Return the version as the package manager takes it."""
        return self.text


def nix_version(version: Version) -> NixVersion:
    """Return `1.5.2-unstable-2026-08-23`, or `0-unstable-2026-08-23` without a release.

    Nix sorts it between 1.5.2 and 1.5.2.1. Two builds of one day have the same version.

    Raises:
        InputError: the release holds characters that a store path cannot.
    """
    return NixVersion(f"{_release(version, '0')}-unstable-{version.built.astimezone(UTC):%Y-%m-%d}")


def deb_version(version: Version, revision: int = 1) -> DebVersion:
    """Return `1.5.2-20260823120000Z-0pkggen1`, or `0~20260823120000Z-0pkggen1`.

    dpkg sorts a hyphen behind `~` and `+` and before `.`, so the version is above an official
    1.5.2-1 or 1.5.2+dfsg-1 and below 1.5.2.1-1. The Z (UTC) puts it above the package of the same
    build in robur's own repository, `1.5.2-20260823120000-<sha256>`. The form without a release is
    below every other version in use, `0~git…` and `0.0~git…` included.

    Args:
        version: Release and build time.
        revision: Number of the packaging of that build, from 1.

    Raises:
        InputError: the release holds characters that a Debian version cannot.
    """
    separator = "~" if version.release is None else "-"
    upstream = f"{_release(version, '0')}{separator}{_stamp(version.built)}Z"
    return DebVersion(upstream, f"0pkggen{revision}")


def port_version(version: Version) -> PortVersion:
    """Return `1.5.2.0.20260823120000`, or `0.0.0.20260823120000` without a release.

    The 0 keeps the build time out of the place where the next release counts: pkg sorts
    `1.5.20260823120000` above every 1.5.1. So the version is above an official 1.5.2 and above
    robur's own `1.5.2.0.g0000000.<time>.<sha256>`, and below 1.5.2.1.

    Raises:
        InputError: the release is not made of numbers and dots.
    """
    return PortVersion(f"{_release(version, '0.0')}.0.{_stamp(version.built)}")


def release_of(version: OpamVersion | str) -> str | None:
    """Return the opam version when it names a release, else None.

    A release starts with a digit, or with `v` and a digit, and has no part such as `dev`:
    `1.5.2`, `v0.16.0` and `2.0.0~beta3` are releases, `dev`, `~dev`, `master` and `1.0~dev` (what
    comes before 1.0) are not.
    """
    text = str(version)
    if not _RELEASE.fullmatch(text):
        return None
    parts = re.split(r"[.+~_-]", text.lower())
    return None if any(_NO_RELEASE.fullmatch(part) for part in parts) else text


def is_earlier(version: str, other: str) -> bool:
    """Tell whether a release is older than another one, in opam's order."""
    return compare("<", version, other)


def _release(version: Version, none: str) -> str:
    """Return the release without the `v` in front of it, or the text for none."""
    return none if version.release is None else re.sub(r"^v(?=[0-9])", "", version.release)


def _stamp(built: datetime) -> str:
    return f"{built.astimezone(UTC):%Y%m%d%H%M%S}"


def _check(text: str, pattern: str, what: str) -> None:
    if not re.fullmatch(pattern, text):
        raise InputError(f"{text!r} cannot be {what}", hint=_HINT)
