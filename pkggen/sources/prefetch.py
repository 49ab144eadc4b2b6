"""What the Nix tools say about a commit, where they are installed.

Source: nixpkgs `pkgs/build-support/fetchgit/nix-prefetch-git`.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pkggen.errors import InputError, ToolError, VerificationError, printable, raise_all
from pkggen.sources.nar import from_nix32
from pkggen.sources.repository import ISOLATED

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.sources.git import GitTree
    from pkggen.sources.hashes import Sri

_UNASKED: Final = {
    "NIX_HASH_ALGO": "sha256",
    "NIX_PREFETCH_GIT_BRANCH_NAME": "",
    "NIX_PREFETCH_GIT_CHECKOUT_HOOK": "",
    "NIX_PREFETCH_GIT_DEEP_CLONE": "",
    "NIX_PREFETCH_GIT_LEAVE_DOT_GIT": "",
    "PRINT_PATH": "",
}
"""Variables by which a user changes what nix-prefetch-url and nix-prefetch-git do."""


def confirm(tree: GitTree, *, timeout: float = 3600) -> tuple[str, ...]:
    """Compare our hash with that of the Nix tools that are installed.

    `nix-prefetch-url` unpacks the tar, `nix-prefetch-git` fetches the repository itself; both
    leave the files in the Nix store.

    Args:
        tree: What `fetch_git` returned.
        timeout: Seconds that each tool may take.

    Returns:
        Names of the tools that agree; empty when none is installed.

    Raises:
        VerificationError: one disagrees.
        ToolError: one fails.
    """
    asked = {
        "nix-prefetch-url": prefetch_tar(tree.tar, timeout=timeout),
        "nix-prefetch-git": prefetch_git(tree.url, tree.commit, timeout=timeout),
    }
    hint = None
    if tree.converted:
        told = printable(", ".join(tree.converted))
        hint = f"its .gitattributes make a checkout differ from the commit in: {told}"
    raise_all(
        VerificationError(
            f"{tool} says {said}, pkggen {tree.nar}", where=f"{tree.url}#{tree.commit}", hint=hint
        )
        for tool, said in asked.items()
        if said not in {None, tree.nar}
    )
    return tuple(tool for tool, said in asked.items() if said is not None)


def prefetch_tar(tar: Path, *, timeout: float = 3600) -> Sri | None:
    """Return the hash that `nix-prefetch-url` gives to an unpacked tar, None without that tool.

    Raises:
        ToolError: it fails.
    """
    # A store path cannot have every name that a file can have.
    options = ("--unpack", "--type", "sha256", "--name", "source")
    said = _nix("nix-prefetch-url", *options, tar.absolute().as_uri(), timeout=timeout)
    return None if said is None else from_nix32(said.strip())


def prefetch_git(url: str, commit: str, *, timeout: float = 3600) -> Sri | None:
    """Return the hash that `nix-prefetch-git` gives to a commit, None without that tool.

    Raises:
        ToolError: it fails, or does not print its JSON.
    """
    options = ("--quiet", "--fetch-submodules", "--url", url, "--rev", commit)
    protocol = {"GIT_ALLOW_PROTOCOL": urlsplit(url).scheme}
    said = _nix("nix-prefetch-git", *options, timeout=timeout, **protocol)
    if said is None:
        return None
    try:
        facts = json.loads(said)
        if facts["rev"] != commit:
            raise ToolError("nix-prefetch-git fetched another commit", where=f"{url}#{commit}")
        # Its field `hash` is younger, and empty where Nix is older than it.
        return from_nix32(str(facts["sha256"]))
    except (ValueError, KeyError, TypeError, InputError) as error:
        raise ToolError("nix-prefetch-git prints no hash", where=f"{url}#{commit}") from error


def _nix(tool: str, *arguments: str, timeout: float, **variables: str) -> str | None:
    found = shutil.which(tool)
    if found is None:
        return None
    import plumbum  # noqa: PLC0415 - dear, and only for those who have Nix

    # plumbum knows the environment of when it was imported.
    environment = os.environ | ISOLATED | _UNASKED | variables
    command = plumbum.local[found].with_env(**environment)
    try:
        _, said, _ = command.run(arguments, timeout=timeout)
    except plumbum.ProcessExecutionError as error:
        told = printable(str(error.stderr).strip())
        raise ToolError(f"{tool} failed with status {error.retcode}: {told}") from error
    except plumbum.ProcessTimedOut as error:
        raise ToolError(f"{tool} took longer than {timeout:g} seconds") from error
    return str(said)
