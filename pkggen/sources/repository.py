"""A bare repository of our own: which addresses git is given, how it is run, what it fetches.

A commit is trusted as far as SHA-1 goes: git computes the identity of each object that it receives
and refuses known collision attacks where it is built with sha1dc, which is its default.

Source: git's `Documentation/git-config.txt` (`fetch.fsck`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pkggen import process
from pkggen.errors import DownloadError, InputError, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

_FULL_DIGITS: Final = 40
_ADDRESS: Final = re.compile(r"[!-~]+")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_INSTALL: Final = "install git: the package is called git in Debian, FreeBSD and nixpkgs"
_LISTING_BYTES: Final = 64 * 1024 * 1024
_TOLD_CANDIDATES: Final = 10

# What fsck is told to forgive is harmless, and in the history of well-known repositories.
_CONFIG: Final = """\
[transfer]
	fsckObjects = true
[fetch "fsck"]
	zeroPaddedFilemode = warn
	badTimezone = warn
[core]
	hooksPath = /dev/null
[credential]
	helper =
[gc]
	auto = 0
[maintenance]
	auto = false
[http]
	lowSpeedLimit = 100
	lowSpeedTime = 60
"""
ISOLATED: Final = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
}
"""Variables that keep the user's and the system's set-up from git."""


def checked_address(url: str, *, local: bool) -> str:
    """Return the address when git may be given it.

    Raises:
        InputError: it may not.
    """
    where = printable(url[:200])
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise InputError(f"is no URL: {error}", where=where) from None
    if not _ADDRESS.fullmatch(url):
        raise InputError("is no address of a git repository", where=where)
    if "@" in parts.netloc:
        raise InputError("has a user name or password in it", where=parts.hostname)
    if parts.query or parts.fragment:
        raise InputError("an address of a git repository has no '?' or '#'", where=where)
    allowed = {
        "https": bool(parts.hostname),
        "http": local and parts.hostname in _LOOPBACK,
        "file": local and not parts.netloc and parts.path.startswith("/"),
    }
    if not allowed.get(parts.scheme):
        raise InputError(
            f"pkggen does not fetch git repositories by {parts.scheme or 'path'}",
            where=where,
            hint="only https:// tells who answers",
        )
    return url


def submodule_address(parent: str, url: str, *, local: bool) -> str:
    """Return the address of a submodule; one that starts with `./` or `../` follows its parent.

    Raises:
        InputError: it is not acceptable, or leaves the server of its parent.
    """
    if url.startswith(("./", "../")):
        parts = urlsplit(parent)
        path = [part for part in parts.path.split("/") if part]
        for step in url.split("/"):
            if step == ".." and not path:
                raise InputError("leaves the server of its parent", where=printable(url[:200]))
            if step == "..":
                path.pop()
            elif step not in {"", "."}:
                path.append(step)
        url = parts._replace(path="/" + "/".join(path)).geturl()
    # A repository from elsewhere must not reach for what is on this machine.
    return checked_address(url, local=local and not parent.startswith("https:"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """One bare repository and how git is run in it; nothing of the user's set-up is seen."""

    directory: Path
    """Where it is; empty before `create`."""
    timeout: float
    """Seconds that each run of git may take."""
    show: Callable[[str], None] | None
    """Is told each command before it runs."""

    def create(self) -> None:
        """Make it."""
        self.run("init", "--quiet", "--bare", "--template=", str(self.directory))
        with (self.directory / "config").open("a", encoding="utf-8") as config:
            config.write(_CONFIG)

    def obtain(self, url: str, commit: str) -> str:
        """Fetch a commit and return all its digits.

        Args:
            url: Where from; see `checked_address`.
            commit: 7 to 40 hexadecimal digits.

        Raises:
            InputError: it is no commit, or several commits start with it.
            DownloadError: the server does not give it.
            ToolError: git failed.
        """
        refused = None
        if len(commit) == _FULL_DIGITS:
            try:
                self._fetch(url, commit, depth=1)
            except process.ExitError as error:
                refused = error
            else:
                return self._commit(commit, url)
        try:
            # Of its own for each repository: `a` of one and `a/b` of the next would clash.
            own = (f"+refs/{kind}/*:refs/{commit}/{kind}/*" for kind in ("heads", "tags"))
            self._fetch(url, *own)
        except process.ExitError as error:
            raise DownloadError(f"git cannot fetch it: {error.said}", where=url) from error
        found = self._candidates(commit)
        if not found:
            raise DownloadError(
                f"there is no commit {commit} in its branches and tags"
                + (f"; asked for it alone, the server said: {refused.said}" if refused else ""),
                where=url,
                hint="it may have been removed there: is there a mirror or fork that still has it?",
            )
        if len(found) > 1:
            told = ", ".join(found[:_TOLD_CANDIDATES])
            raise InputError(
                f"{len(found)} commits start with {commit}: {told}",
                where=url,
                hint="give more digits of the one that was built",
            )
        return found[0]

    def _candidates(self, prefix: str) -> list[str]:
        objects = self.run("rev-parse", f"--disambiguate={prefix}")
        kinds = self.run("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=objects)
        lines = (line.split() for line in kinds.decode().splitlines())
        return sorted(name for name, kind in lines if kind == "commit")

    def _commit(self, commit: str, url: str) -> str:
        if self._candidates(commit) != [commit]:
            raise InputError(f"{commit} is no commit", where=url)
        return commit

    def committed(self, commit: str, url: str) -> datetime:
        """Return when a commit was made (UTC).

        Raises:
            InputError: it states no time.
        """
        stated = self.run("show", "--no-patch", "--format=%ct", commit).decode().strip()
        try:
            return datetime.fromtimestamp(int(stated), UTC)
        except (ValueError, OverflowError, OSError):
            raise InputError(f"{commit} states no time", where=url) from None

    def _fetch(self, url: str, *references: str, depth: int | None = None) -> None:
        limit = () if depth is None else (f"--depth={depth}",)
        # Stronger than any protocol.allow, and keeps https from being redirected to http.
        self.run(
            *("fetch", "--quiet", "--no-tags", *limit, "--", url, *references),
            variables={"GIT_ALLOW_PROTOCOL": urlsplit(url).scheme},
        )

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        limit: int = _LISTING_BYTES,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> bytes:
        """Run git to its end and return what it prints, see `process.run`."""
        return process.run(
            self._argv(arguments),
            environment={**_environment(), **variables},
            timeout=self.timeout,
            install=_INSTALL,
            stdin=stdin,
            limit=limit,
            show=self.show,
        )

    def stream(self, *arguments: str, stdin: bytes) -> AbstractContextManager[IO[bytes]]:
        """Run git and give what it prints as it comes, see `process.stream`."""
        return process.stream(
            self._argv(arguments),
            environment=_environment(),
            timeout=self.timeout,
            install=_INSTALL,
            stdin=stdin,
            show=self.show,
        )

    def _argv(self, arguments: Sequence[str]) -> list[str]:
        return ["git", f"--git-dir={self.directory}", *arguments]


def _environment() -> dict[str, str]:
    proxies = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")
    certificates = ("SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "NIX_SSL_CERT_FILE")
    inherited = process.inherited("PATH", *proxies, *certificates)
    return inherited | ISOLATED | {"HOME": "/nonexistent", "LC_ALL": "C"}
