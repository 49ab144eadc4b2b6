"""Templates are found in a checkout and in a wheel, and print nothing unquoted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jinja2
import pytest

from pkggen import templating

if TYPE_CHECKING:
    from pathlib import Path


class Quoted(str):
    __slots__ = ()


def finalize(value: object) -> str:
    if not isinstance(value, Quoted):
        raise TypeError(value)
    return value


@pytest.fixture
def render(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RenderText:
    return RenderText(tmp_path, monkeypatch)


class RenderText:
    """Render the text of a template."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = directory / "t.j2"
        monkeypatch.setattr(templating, "directory", lambda: directory)

    def __call__(self, text: str, **values: object) -> str:
        self.file.write_text(text)
        return templating.render("t.j2", values, finalize=finalize)


def test_checkout_has_templates_beside_the_package(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "pkggen").mkdir()
    assert templating.directory(tmp_path / "pkggen") == tmp_path / "templates"


def test_wheel_has_templates_inside_of_the_package(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "pkggen/templates").mkdir(parents=True)
    assert templating.directory(tmp_path / "pkggen") == tmp_path / "pkggen/templates"


def test_real_directory_has_templates() -> None:
    assert (templating.directory() / "nix/package.nix.j2").is_file()


def test_layout_and_final_newline_are_kept(render: RenderText) -> None:
    text = "a\n  {% if x %}\n  {{ x }}\n  {% endif %}\n"
    assert render(text, x=Quoted("<&>")) == "a\n  <&>\n"


@pytest.mark.parametrize("expression", ["x", "x ~ y", "x | upper", "'literal'", "7", "[y]"])
def test_unquoted_values_are_refused(render: RenderText, expression: str) -> None:
    with pytest.raises(TypeError):
        render("{{ " + expression + " }}", x="plain", y=Quoted("y"))


def test_missing_values_are_refused(render: RenderText) -> None:
    with pytest.raises(jinja2.UndefinedError):
        render("{% if missing %}{% endif %}")
