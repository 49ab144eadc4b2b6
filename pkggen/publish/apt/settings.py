"""What a repository remembers besides its packages: repository.json."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from pkggen.errors import InputError
from pkggen.publish.apt import disk
from pkggen.publish.apt.names import check

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS_FILE: Final = "repository.json"

_FORMAT: Final = 1
_URL: Final = re.compile(r"(https?://[A-Za-z0-9._:\[\]-]+|file://)(/[A-Za-z0-9._~%@+-]+)*/?")
_FINGERPRINT: Final = re.compile(r"[0-9A-F]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A repository's settings, checked."""

    name: str
    """Origin and label in Release, and name of the .sources file."""
    url: str
    """Where clients find it, without final slash."""
    fingerprint: str
    """Of its key: 40 hexadecimal digits in capitals."""
    own_key: bool
    """Whether the key is in the repository's own keyring instead of the user's."""
    suites: tuple[str, ...]
    """Its suites, the first being the default; at least one."""
    architectures: tuple[str, ...]
    """Its architectures without `all`, at least one."""

    def __post_init__(self) -> None:
        """Raise InputError if something cannot be so."""
        check("repository name", self.name, SETTINGS_FILE)
        for kind, values in (("suite name", self.suites), ("architecture", self.architectures)):
            for value in values:
                check(kind, value, SETTINGS_FILE)
        if not self.suites or not self.architectures or "all" in self.architectures:
            raise InputError("a suite and an architecture other than `all` are needed")
        if not _URL.fullmatch(self.url) or self.url.endswith("/"):
            raise InputError(
                f"{self.url!r} cannot be the URL of a repository",
                hint="give one with http, https or file, without user, query and spaces",
            )
        if not _FINGERPRINT.fullmatch(self.fingerprint):
            raise InputError(
                f"{self.fingerprint!r} is no fingerprint",
                hint="give the 40 digits that `gpg --list-secret-keys` shows",
            )


def write_settings(settings: Settings, directory: Path) -> None:
    """Put the settings on the disk."""
    text = json.dumps({"format": _FORMAT, **asdict(settings)}, indent=2)
    disk.replace(directory / SETTINGS_FILE, f"{text}\n".encode())


def read_settings(directory: Path) -> Settings | None:
    """Return the settings; None if there are none.

    Raises:
        InputError: they are wrong.
        OSError: they cannot be read.
    """
    file = directory / SETTINGS_FILE
    try:
        values: dict[str, Any] = json.loads(file.read_bytes())
        if values.pop("format") != _FORMAT:
            raise InputError("is of another version of pkggen", where=str(file))
        values |= {name: tuple(values[name]) for name in ("suites", "architectures")}
        return Settings(**values)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"not the settings of a repository: {error}", where=str(file)) from error
