"""The NixOS module that runs unikernels, and its test in a virtual machine.

Its text is the same for all packages: what it says about tenders, names and confinement comes from
`recipe.service`, and what is peculiar to an image from its package's `passthru.solo5`.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen import templating
from pkggen.recipe import service
from pkggen.recipe.hardening import HARDENING
from pkggen.targets.nix import names, quote
from pkggen.tree import SEAL, TextFile, Tree

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pkggen.recipe.hardening import Setting

MODULE: Final = "module.nix"
NIXOS_TEST: Final = "nixos-test.nix"


def module_tree() -> Tree:
    """Return `module.nix`, which declares `services.unikernels`, and `nixos-test.nix`.

    The test is a function of `pkgs`, the `package` of an image and `arguments` for it.
    """
    values = _quoted()
    return Tree(
        {
            PurePosixPath(file): TextFile(
                templating.render(f"nix/{file}.j2", values, finalize=quote.finalize)
            )
            for file in (MODULE, NIXOS_TEST)
        }
    )


def _quoted() -> dict[str, object]:
    header = (names.GENERATED, "Put your own changes into the configuration that imports it.", SEAL)
    return {
        "header": quote.Nix("\n".join(quote.comment(line) for line in header)),
        "tap_width": quote.number(service.TAP_SHORT),
        "user_prefix": quote.string(service.USER_PREFIX),
        "user_width": quote.number(service.USER_SHORT),
        "command_line_bytes": quote.number(service.COMMAND_LINE_BYTES),
        "solo5_with_abi_2": quote.file_name(service.SOLO5_WITH_ABI_2),
        "memory": quote.number(int(service.DEFAULT_MEMORY)),
        "tenders": _words(service.TENDERS, indent=2),
        "restarts": _words(service.RESTARTS, indent=8),
        "restart": quote.string(service.RESTARTS[1]),
        "groups": quote.string("kvm"),
        "sector_sizes": quote.listing(
            [quote.number(int(size)) for size in service.SECTOR_SIZES], indent=10
        ),
        "run_with_file": quote.string(service.RUN_WITH_FILE),
        "create_block": quote.string(service.CREATE_BLOCK),
        "hardening": [_setting(s) for s in HARDENING if not s.hvt_only],
        "hvt_hardening": [_setting(s) for s in HARDENING if s.hvt_only],
    }


def _words(texts: Iterable[str], *, indent: int) -> quote.Nix:
    return quote.listing([quote.string(text) for text in texts], indent=indent)


def _setting(setting: Setting) -> dict[str, quote.Nix]:
    return {"name": quote.attribute(setting.name), "value": quote.string(setting.value)}
