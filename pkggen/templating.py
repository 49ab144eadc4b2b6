"""The one way from values to text: strict templates, and nothing printed that was not quoted."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jinja2 import Environment

PACKAGE_ROOT = Path(__file__).parent


def directory(package_root: Path = PACKAGE_ROOT) -> Path:
    """Return the directory of all templates: inside an installed package, beside a checkout's.

    Args:
        package_root: Directory of the package `pkggen`.
    """
    installed = package_root / "templates"
    return installed if installed.is_dir() else package_root.parent / "templates"


def only(language: str, *kinds: type[str]) -> Callable[[object], str]:
    """Return the `finalize` of a language, which lets only text through that was quoted for it.

    Args:
        language: Name for the message of the `TypeError` that everything else, a bug, raises.
        kinds: What marks such text.
    """

    def finalize(value: object) -> str:
        if not isinstance(value, kinds):
            raise TypeError(f"not quoted for {language}: {value!r}")
        return value

    return finalize


def render(name: str, values: Mapping[str, object], *, finalize: Callable[[object], str]) -> str:
    """Return the text of one template.

    Args:
        name: Path of the template below `directory()`, e.g. `nix/package.nix.j2`.
        values: What the template may use; it may use nothing else.
        finalize: Called with everything that is about to be printed; it raises unless the value
            was quoted for the language of the template.

    Raises:
        jinja2.UndefinedError: the template uses a value that is not there (a bug).
    """
    return _environment(directory(), finalize).get_template(name).render(values)


@cache
def _environment(place: Path, finalize: Callable[[object], str]) -> Environment:
    """Return the environment of a language, which keeps its templates compiled."""
    import jinja2  # noqa: PLC0415 - dear to import, and only few commands need it

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(place),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=finalize,
        autoescape=False,  # noqa: S701 - HTML's escapes are wrong here; finalize demands the right
    )
