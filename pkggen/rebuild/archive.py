"""One suite of a Debian archive: its packages, as its signature vouches for them.

The expiry of a suite, `Valid-Until`, is not looked at: archives of the past are what old records
need, and what is taken is bound to the recorded versions. For the same reason the signature of a
key counts that has expired since; that of a revoked one does not.

Sources: Debian wiki "DebianRepository/Format" (`InRelease`, `Packages`); gpgv(1) and GnuPG's
`doc/DETAILS` (lines of the status); apt `methods/gpgv.cc` (which signatures count).
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from pkggen import process
from pkggen.errors import DownloadError, InputError, VerificationError
from pkggen.record.web import Client
from pkggen.web import Patience

if TYPE_CHECKING:
    from collections.abc import Iterator

_INSTALL: Final = "install gpgv: the package is called gpgv in Debian, gnupg elsewhere"
_KEYRING_HINT: Final = (
    "install debian-archive-keyring, or name a binary keyring with the archive's keys: --keyring"
)
_OLD_KEYS_HINT: Final = (
    "--keyring names another keyring; Debian has its keys of old releases in "
    "/usr/share/keyrings/debian-archive-removed-keys.gpg"
)
_GPGV_SECONDS: Final = 60
_RELEASE_BYTES: Final = 16 * 1024 * 1024
_INDEX_BYTES: Final = 256 * 1024 * 1024
_LINES: Final = 20_000_000
_LINE_CHARACTERS: Final = 1024 * 1024
_FILE: Final = re.compile(r" ([0-9a-f]{64}) +([0-9]{1,12}) ([!-~]+)")
_STATUS: Final = re.compile(rb"^\[GNUPG:\] ([A-Z_]+)([^\n]*)$", re.MULTILINE)
_MISSING_KEY: Final = "9"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One suite of an archive."""

    url: str
    """URL of the archive without final slash."""
    name: str
    """Directory below `dists`."""

    def path(self, file: str) -> str:
        """Return the path of a file below the archive."""
        return f"dists/{self.name}/{file}"


@dataclass(frozen=True, slots=True)
class _Listed:
    """What a suite says of one of its files."""

    sha256: str
    """64 hexadecimal digits."""
    size: int
    """Bytes."""


def package_lines(suite: Suite, architecture: str, keyring: Path) -> Iterator[str]:
    """Yield the lines of the suite's `Packages`, after its signature and hash were verified.

    Args:
        suite: Where it is.
        architecture: Debian's name of an architecture.
        keyring: Binary keyring with the keys whose signature counts.

    Raises:
        InputError: there is no such keyring.
        VerificationError: no key of the keyring has signed the suite, a signature is wrong, or the
            packages are not those of the signed suite.
        DownloadError: the archive does not give them, or they are damaged.
        ToolError: gpgv is missing.
    """
    if not keyring.is_file():
        raise InputError("there is no such keyring", where=str(keyring), hint=_KEYRING_HINT)
    with tempfile.TemporaryDirectory(prefix="pkggen-") as directory:
        place = Path(directory)
        listed = _listed(suite, _verified(suite, keyring, place))
        for suffix in ("xz", "gz"):
            path = f"main/binary-{architecture}/Packages.{suffix}"
            if path in listed:
                index = place / "index"
                _get_listed(suite, path, listed[path], index)
                with lzma.open(index) if suffix == "xz" else gzip.open(index) as unpacked:
                    yield from _lines(unpacked, suite, path)  # type: ignore[arg-type]
                return
    raise DownloadError(
        f"{suite.path('InRelease')} lists no main/binary-{architecture}/Packages.xz and no .gz",
        where=suite.url,
    )


def _verified(suite: Suite, keyring: Path, place: Path) -> str:
    """Return the text of InRelease that is signed, and nothing around it."""
    path = suite.path("InRelease")
    signed, text = place / "InRelease", place / "signed"
    if not _get(suite, path, signed, _RELEASE_BYTES):
        raise DownloadError(f"it has no {path}", where=suite.url)
    argv = (
        *("gpgv", "--homedir", str(place), "--keyring", str(keyring.absolute())),
        *("--weak-digest", "SHA1", "--status-fd", "1", "--output", str(text), str(signed)),
    )
    status, said = b"", ""
    try:
        with process.stream(
            argv,
            environment={**process.inherited("PATH"), "LC_ALL": "C"},
            timeout=_GPGV_SECONDS,
            install=_INSTALL,
        ) as output:
            status = output.read()
    except process.ExitError as error:  # also when only one key of several is unknown
        said = error.said
    fault = _fault(_STATUS.findall(status))
    if fault is None and text.is_file():
        return text.read_text(encoding="utf-8", errors="replace")
    raise VerificationError(
        f"{path}: {fault or 'it holds no signed text'}" + (f"; gpgv says: {said}" if said else ""),
        where=suite.url,
        hint=_OLD_KEYS_HINT,
    )


def _fault(status: list[tuple[bytes, bytes]]) -> str | None:
    """Return what is wrong with the signatures by gpgv's status, None if they vouch for the text.

    A suite is signed by the keys of several releases, and each keyring has some of them: one good
    signature suffices, unless another one is wrong.
    """
    good = bad = 0
    unknown: list[str] = []
    for keyword, rest in status:
        values = rest.decode(errors="replace").split()
        if keyword in {b"GOODSIG", b"EXPKEYSIG"}:
            good += 1
        elif keyword == b"ERRSIG" and values[5:6] == [_MISSING_KEY]:
            unknown.append(values[0])
        elif keyword in {b"BADSIG", b"ERRSIG"}:
            bad += 1
    if bad:
        return "a signature is wrong"
    keywords = [keyword for keyword, _ in status]
    if b"ERROR" in keywords or keywords.count(b"PLAINTEXT") != 1:
        return "it is not one signed text"
    if good:
        return None
    keys = f": it has been signed by {', '.join(unknown)}" if unknown else ""
    return f"no key of the keyring vouches for it{keys}"


def _listed(suite: Suite, text: str) -> dict[str, _Listed]:
    """Return the files of a suite by their paths.

    Raises:
        VerificationError: the signed text is about another suite.
    """
    fields: dict[str, str] = {}
    found: dict[str, _Listed] = {}
    name = ""
    for line in text.splitlines():
        if not line.startswith(" "):
            name, _, value = line.partition(":")
            fields[name] = value.strip()
        elif name == "SHA256" and (match := _FILE.fullmatch(line)):
            found[match[3]] = _Listed(match[1], int(match[2]))
    names = {fields.get("Suite"), fields.get("Codename")}
    if suite.name.removesuffix("/updates") not in names and suite.name not in names:
        raise VerificationError(
            f"what is signed as {suite.path('InRelease')} is {fields.get('Codename', 'no suite')}",
            where=suite.url,
            hint="the archive, or whoever answers for it, mixes up its suites",
        )
    return found


def _get_listed(suite: Suite, path: str, listed: _Listed, file: Path) -> None:
    whole = suite.path(path)
    if listed.size > _INDEX_BYTES:
        raise DownloadError(f"{whole} has more than {_INDEX_BYTES} bytes", where=suite.url)
    if not _get(suite, whole, file, listed.size):
        raise DownloadError(f"it has no {whole}, which InRelease lists", where=suite.url)
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != listed.sha256 or file.stat().st_size != listed.size:
        raise VerificationError(
            f"{whole} has the sha256 {digest}, but InRelease has {listed.sha256}",
            where=suite.url,
            hint="the archive may be changing right now: try again, or use snapshot.debian.org",
        )


def _get(suite: Suite, path: str, file: Path, limit: int) -> bool:
    """Get a file of an archive; False if there is none."""
    parts = urlsplit(f"{suite.url}/{path}")
    if parts.scheme == "file":
        local = Path(unquote(parts.path))
        if local.is_file():
            with local.open("rb") as stream:
                file.write_bytes(stream.read(limit + 1))
        return local.is_file()
    client = Client(f"{parts.scheme}://{parts.netloc}", Patience())
    with file.open("wb") as body:
        return client.get(parts.path, body, limit).found


def _lines(index: IO[bytes], suite: Suite, path: str) -> Iterator[str]:
    try:
        for _ in range(_LINES):
            line = index.readline(_LINE_CHARACTERS)
            if not line:
                return
            yield line.decode()
    except (EOFError, lzma.LZMAError, OSError, UnicodeDecodeError) as error:
        raise DownloadError(f"{suite.path(path)} is damaged: {error}", where=suite.url) from error
    raise DownloadError(f"{suite.path(path)} is too long", where=suite.url)
