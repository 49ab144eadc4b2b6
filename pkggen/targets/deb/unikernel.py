"""The files with which systemd runs an image: unit, launcher, configuration, user.

The words of every command come from `recipe.service` and `recipe.service_shell`.

Sources: systemd.unit(5), systemd.exec(5), sysusers.d(5).
"""

from __future__ import annotations

import textwrap
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pkggen import templating
from pkggen.recipe import service_shell, shell
from pkggen.recipe.service import RESTARTS, Paths, service
from pkggen.targets.deb import names, quote
from pkggen.tree import TextFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pkggen.recipe.model import ImageRecipe
    from pkggen.recipe.service import Service

_WIDTH: Final = 98
_ROOT: Final = PurePosixPath("/")


def service_files(recipe: ImageRecipe, header: quote.Deb) -> dict[PurePosixPath, TextFile]:
    """Return the files below `debian/`.

    Args:
        recipe: The image.
        header: Comment at the head of each.

    Raises:
        InputError: no tender can run the image, or a name cannot be used.
    """
    described = service(recipe)
    name = quote.word(recipe.name)
    values = _values(recipe, described, header)
    templates = {
        f"{name}.service": "service",
        f"{name}.sysusers": "sysusers",
        f"{name}.postrm": "postrm",
        f"unikernel/{name}.conf": "unikernel.conf",
        f"unikernel/{name}": "launcher.sh",
    }
    return {
        PurePosixPath(path): TextFile(
            templating.render(f"deb/{template}.j2", values, finalize=quote.finalize),
            executable=template.endswith(".sh"),
        )
        for path, template in templates.items()
    }


def paths(recipe: ImageRecipe) -> Paths:
    """Return where Debian has what the service runs."""
    described = service(recipe)
    return Paths(
        image=str(_ROOT / names.IMAGES / recipe.file_name),
        tender=f"/usr/bin/{described.tender}",
        sh="/bin/sh",
        ip="/sbin/ip",
    )


def required(described: Service) -> tuple[str, ...]:
    """Return the names of the variables that an operator has to set."""
    return tuple(one.name for one in described.variables if one.default is None)


def launcher(name: str) -> str:
    """Return the path of the script that runs an image."""
    return str(_ROOT / names.LAUNCHERS / name)


def configuration(name: str) -> str:
    """Return the path of the configuration."""
    return str(_ROOT / names.CONFIGURATION / f"{name}.conf")


def secret(name: str) -> str:
    """Return the path of the file with the secret part of the command line."""
    return str(_ROOT / names.CONFIGURATION / f"{name}.arguments")


def _values(recipe: ImageRecipe, described: Service, header: quote.Deb) -> dict[str, object]:
    where = paths(recipe)
    device = described.required_device
    return {
        "header": header,
        "name": quote.word(recipe.name),
        "description": quote.unit(recipe.description),
        "required_device": None if device is None else quote.absolute(device),
        "networks": bool(described.networks),
        "blocks": bool(described.blocks),
        "configuration": quote.absolute(configuration(recipe.name)),
        "secret": quote.absolute(secret(recipe.name)),
        "launcher": quote.absolute(launcher(recipe.name)),
        "restart": quote.word(RESTARTS[1]),
        "user": quote.word(described.user),
        "groups": [quote.word(group) for group in described.groups],
        "devices": [quote.absolute(device) for device in described.devices],
        "state": quote.path(described.state_directory),
        "hardening": list(_hardening(described)),
        "variables": [
            {
                "meaning": quote.comment(_meaning(variable.meaning, variable.default)),
                "name": quote.word(variable.name),
                "default": quote.word(variable.default) if variable.default else shell.Shell(),
            }
            for variable in described.variables
        ],
        "defaults": list(service_shell.defaults(described)),
        "checks": list(service_shell.checks(described)),
        "arguments": list(service_shell.arguments(described, where)),
        "up": list(service_shell.up(described, where)),
        "down": list(service_shell.down(described, where)),
    }


def _meaning(meaning: str, default: str | None) -> str:
    if default is None:
        return f"{meaning}; has to be set"
    return f"{meaning}; by default {default}" if default else meaning


def _hardening(described: Service) -> Iterator[dict[str, quote.Deb | None]]:
    """Yield the settings; one that has the reason of the one before it has none of its own."""
    last = None
    for setting in described.hardening:
        lines = textwrap.wrap(setting.reason, _WIDTH)
        yield {
            "name": quote.word(setting.name),
            "value": quote.unit(setting.value),
            "reason": None if setting.reason == last else quote.comments(lines),
        }
        last = setting.reason
