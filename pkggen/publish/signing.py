"""Signing with gpg: by a key of a repository's own, or one of the user's keyring.

A signature carries a stated time, such as that of a Release file, instead of the clock's
(`--faked-system-time`), so that with an ed25519 or RSA key the same text is signed with the same
bytes.

Sources: gpg(1); GnuPG `doc/DETAILS` (the colon listings and status lines).
"""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pkggen import process
from pkggen.errors import InputError, ToolError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_SECONDS: Final = 120
_TICK: Final = 0.02
_INSTALL: Final = "install gpg: the package is called gnupg in Debian, FreeBSD and nixpkgs"
_UNUSABLE: Final = frozenset("eidnr")  # expired, invalid, disabled, not valid, revoked
_FOR_THE_USERS_KEYRING: Final = (
    *("PATH", "HOME", "GNUPGHOME", "GPG_TTY", "XDG_RUNTIME_DIR"),
    *("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key that can sign."""

    fingerprint: str
    """Of the primary key, 40 hexadecimal digits in capitals."""
    signer: str
    """Fingerprint of the key or subkey that signs."""
    created: int
    """When the younger of the two was made, in seconds since 1970."""
    armoured: str
    """The public key, as a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """A secret key or subkey as gpg lists it."""

    fingerprint: str
    """40 hexadecimal digits in capitals."""
    validity: str
    """`r` for revoked, `e` for expired and so on."""
    created: int
    """Seconds since 1970."""
    signs: bool
    """Whether it is made for signing."""


class Keyring:
    """The keys that gpg finds in one environment."""

    def __init__(
        self, environment: Mapping[str, str], show: Callable[[str], None] | None = None
    ) -> None:
        """Keep the environment of gpg."""
        self._environment = {**environment, "LC_ALL": "C"}
        self._show = show

    def _gpg(self, *argv: str, stdin: bytes = b"") -> bytes:
        return process.run(
            ("gpg", "--batch", "--no-tty", "--quiet", *argv),
            environment=self._environment,
            timeout=_SECONDS,
            install=_INSTALL,
            stdin=stdin,
            show=self._show,
        )

    def make(self, user: str) -> str:
        """Make a key that never expires and needs no passphrase; return its fingerprint.

        A key that was made before is taken instead.

        Args:
            user: Whom the key names.

        Raises:
            ToolError: gpg failed.
        """
        if not (found := self._listed()):
            self._gpg("--passphrase", "", "--quick-generate-key", user, "ed25519", "sign", "never")
            found = self._listed()
        return found[0].fingerprint

    def key(self, fingerprint: str) -> Key:
        """Return a key, to sign with.

        Raises:
            InputError: there is no such secret key, or it has expired or been revoked.
            ToolError: gpg failed.
        """
        try:
            primary, *subkeys = self._listed(fingerprint)
        except process.ExitError as error:
            raise InputError(
                f"there is no secret key {fingerprint}: {error.said}",
                hint="put it back; whoever trusts the repository trusts this key only",
            ) from error
        if primary.fingerprint != fingerprint:
            raise InputError(f"{fingerprint} is not the fingerprint of a primary key")
        signers = [key for key in (primary, *subkeys) if key.signs]
        usable = [key for key in signers if key.validity not in _UNUSABLE]
        if primary.validity in _UNUSABLE or not usable:
            expired = "e" in {primary.validity, *(key.validity for key in signers)}
            raise InputError(
                f"the key {fingerprint} {'has expired' if expired else 'cannot sign'}",
                hint="lengthen its life with `gpg --quick-set-expire`, then `pkggen apt publish`, "
                "and give the new .sources file to those who use the repository",
            )
        signer = max(usable, key=lambda key: key.created)
        export = ("--armor", "--export-options", "export-minimal", "--export", fingerprint)
        return Key(
            fingerprint=fingerprint,
            signer=signer.fingerprint,
            created=max(primary.created, signer.created),
            armoured=self._gpg(*export).decode("ascii"),
        )

    def _listed(self, *which: str) -> list[_Listed]:
        """Return secret keys, each followed by its subkeys."""
        keys = []
        argv = ("--with-colons", "--fixed-list-mode", "--list-secret-keys", *which)
        last: list[str] = []
        for line in self._gpg(*argv).decode().splitlines():
            words = line.split(":")
            if words[0] in {"sec", "ssb"}:
                last = words
            elif words[0] == "fpr":
                keys.append(
                    _Listed(
                        fingerprint=words[9],
                        validity=last[1],
                        created=int(last[5]),
                        signs="s" in last[11],
                    )
                )
        return keys

    def sign(self, text: bytes, key: Key, seconds: int) -> tuple[bytes, bytes]:
        """Return the text inside of its signature, and a signature apart from it.

        Args:
            text: Lines, each with its end.
            key: Of this keyring.
            seconds: Time of the signature, since 1970, not before the key was made.

        Raises:
            ToolError: gpg failed.
        """
        # gpg lets its clock run when it is told the current second (`common/gettime.c`).
        while int(time.time()) == seconds:
            time.sleep(_TICK)
        options = (
            *("--faked-system-time", f"{seconds}!", "--local-user", f"{key.signer}!"),
            *("--digest-algo", "SHA512", "--armor", "--output", "-"),
        )
        inline = self._gpg(*options, "--clearsign", stdin=text)
        return inline, self._gpg(*options, "--detach-sign", stdin=text)

    def verify(self, signature: Path, text: bytes, fingerprint: str) -> None:
        """Check a signature that is apart from its text.

        Raises:
            VerificationError: it is not that of the key over the text.
        """
        try:
            said = self._gpg("--status-fd", "1", "--verify", str(signature), "-", stdin=text)
        except process.ExitError as error:
            raise VerificationError(
                f"the signature is wrong: {error.said}", where=str(signature), hint=_RESTORE
            ) from error
        valid = [line.split() for line in said.decode(errors="replace").splitlines()]
        if not any(w[:2] == ["[GNUPG:]", "VALIDSIG"] and w[-1] == fingerprint for w in valid):
            raise VerificationError(
                f"it is not signed by {fingerprint}", where=str(signature), hint=_RESTORE
            )


_RESTORE: Final = (
    "the published files are not as pkggen left them; restore them from a backup, or make a new "
    "repository"
)


@contextmanager
def own_keyring(home: Path, show: Callable[[str], None] | None = None) -> Iterator[Keyring]:
    """Give the keyring of a directory, which is made if it is missing.

    gpg reaches it by a short path: a socket below it cannot have a name of more than 107 bytes.
    """
    home.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pkggen-") as place:
        short = Path(place) / "g"
        short.symlink_to(home.absolute())
        environment = {**process.inherited("PATH"), "GNUPGHOME": str(short)}
        try:
            yield Keyring(environment, show)
        finally:
            # The agent would stay for ever, and hold a secret key without a passphrase.
            with suppress(ToolError):
                process.run(
                    ("gpgconf", "--kill", "gpg-agent"),
                    environment=environment,
                    timeout=_SECONDS,
                    install=_INSTALL,
                )


def users_keyring(show: Callable[[str], None] | None = None) -> Keyring:
    """Return the keyring of the user, whose agent may ask for a passphrase."""
    return Keyring(process.inherited(*_FOR_THE_USERS_KEYRING), show)
