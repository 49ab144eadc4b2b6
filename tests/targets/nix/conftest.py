"""Recipes, and a private Nix store that knows nothing of the host's."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import pytest

from pkggen.recipe.model import (
    ImageRecipe,
    Licences,
    LicenceTerm,
    Maintainer,
    Provenance,
    Version,
)
from pkggen.record.artifact import FileContent
from pkggen.record.model import Artifact, Origin, Solo5Device, Solo5Image

if TYPE_CHECKING:
    from tests.conftest import Devices, MakeImage

STAND_IN: Final = Path(__file__).resolve().parents[2] / "nixpkgs"

MakeRecipe = Callable[..., ImageRecipe]


@pytest.fixture(scope="session")
def make_recipe(make_image: MakeImage, tmp_path_factory: pytest.TempPathFactory) -> MakeRecipe:
    """Return a function that makes an image and its recipe; keywords replace fields."""

    def make(
        name: str = "dns-primary",
        target: str = "hvt",
        machine: str = "x86_64",
        devices: Devices = (("service", "NET_BASIC"),),
        file_name: str | None = None,
        **fields: Any,  # noqa: ANN401 - whatever dataclasses.replace takes
    ) -> ImageRecipe:
        path = PurePosixPath("bin", file_name or f"{name}.{target}")
        place = tmp_path_factory.mktemp("image") / "image"
        data = make_image(place, target, 2, devices, machine).read_bytes()
        recipe = ImageRecipe(
            name=name,
            version=Version(release=None, built=datetime(2026, 8, 20, 12, tzinfo=UTC)),
            description="Primary DNS server with its zones in a git repository",
            homepage="https://example.org/dns-primary",
            licences=Licences(expression="ISC", terms=(LicenceTerm("ISC"),)),
            maintainer=Maintainer(name="E. X.", email="someone@example.org", nixpkgs="example"),
            provenance=Provenance(
                job="dns-primary-git",
                platform="debian-12",
                origin=Origin(
                    server="https://builds.example.org",
                    job="dns-primary-git",
                    build="0b3b2f7c-8d30-4ad5-9a9b-5f1d3c2b1a00",
                ),
                root="dns-primary-git.dev",
                switch_sha256=hashlib.sha256(b"switch").hexdigest(),
            ),
            image=Artifact(
                path=path,
                size=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                content=FileContent(place),
            ),
            solo5=Solo5Image(
                target=target,
                abi_version=2,
                machine=machine,
                devices=tuple(Solo5Device(name=n, kind=kind) for n, kind in devices),
            ),
        )
        return replace(recipe, **fields)

    return make


@pytest.fixture(scope="session")
def local(make_recipe: MakeRecipe) -> ImageRecipe:
    """Return the recipe of a build that is on no server, with several of everything."""
    recipe = make_recipe(
        name="7proxy",
        target="spt",
        devices=(("in", "NET_BASIC"), ("out", "NET_BASIC"), ("data", "BLOCK_BASIC")),
        homepage=None,
        maintainer=None,
        version=Version(release="v1.5.2", built=datetime(2026, 8, 20, 12, tzinfo=UTC)),
        licences=Licences(
            expression="MIT AND LGPL-2.1-only WITH OCaml-LGPL-linking-exception",
            terms=(
                LicenceTerm("LGPL-2.1-only", "OCaml-LGPL-linking-exception"),
                LicenceTerm("MIT"),
            ),
        ),
    )
    return replace(recipe, provenance=replace(recipe.provenance, origin=None))


HOSTILE: Final = (
    "\"${builtins.abort \"x\"}'' ''${y} $$${z} \\ \\n \N{RIGHT-TO-LEFT OVERRIDE} -- */ {{ 7 }}"
)


@pytest.fixture(scope="session")
def hostile(make_recipe: MakeRecipe) -> ImageRecipe:
    """Return a recipe whose every free text tries to break out."""
    recipe = make_recipe(description=HOSTILE, homepage=HOSTILE, devices=())
    return replace(
        recipe,
        provenance=replace(
            recipe.provenance,
            job=f"x\n}}: builtins.abort {HOSTILE}",
            origin=Origin(server="https://x", job=f"x\r\n{HOSTILE}", build="a\u2028b"),
        ),
        solo5=replace(
            recipe.solo5,
            devices=(
                Solo5Device(name=HOSTILE, kind="NET_BASIC"),
                Solo5Device(name="''", kind="NET_BASIC"),
            ),
        ),
    )


@dataclass(frozen=True, slots=True)
class Nix:
    """Nix with a configuration, a store and a state of its own below one directory."""

    root: Path
    """The directory."""

    @classmethod
    def create(cls, root: Path, *, sandbox: bool) -> Nix:
        """Write the configuration."""
        root = root.resolve()
        for name in ("conf", "sources", "home"):
            (root / name).mkdir()
        (root / "conf/nix.conf").write_text(
            f"sandbox = {'true' if sandbox else 'false'}\n"
            "sandbox-fallback = false\n"
            "build-users-group =\n"
            "substitute = false\n"
            "experimental-features = nix-command flakes\n"
            "flake-registry =\n"
            "extra-sandbox-paths = /bin /usr /lib /lib64? /etc/alternatives?"
            f" {root / 'sources'}\n"
        )
        return cls(root)

    def run(self, *argv: str | Path, status: int = 0, timeout: float = 60) -> str:
        """Run a program of Nix, expect its exit status, and return stdout, or else stderr."""
        root = self.root
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            check=False,
            cwd=root,
            timeout=timeout,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(root / "home"),
                "NIX_CONF_DIR": str(root / "conf"),
                "NIX_STORE_DIR": str(root / "store"),
                "NIX_STATE_DIR": str(root / "state"),
                "NIX_LOG_DIR": str(root / "log"),
            },
        )
        assert done.returncode == status, done.stderr
        return done.stderr if status else done.stdout.strip()

    def eval(self, expression: str, *, status: int = 0) -> Any:  # noqa: ANN401 - any JSON
        """Evaluate an expression to JSON, or return the error."""
        file = self.write("expression.nix", expression)
        text = self.run("nix-instantiate", "--eval", "--strict", "--json", file, status=status)
        return text if status else json.loads(text)

    def write(self, name: str, text: str) -> Path:
        """Write a file and return its path."""
        path = self.root / name
        path.write_text(text, encoding="utf-8", newline="")
        return path

    def build(self, expression: str, *options: str, status: int = 0, timeout: float = 60) -> str:
        """Build an expression and return the path of its output, or the error."""
        file = self.write("build.nix", expression)
        return self.run(
            *("nix-build", "--no-out-link", *options), file, status=status, timeout=timeout
        )


def _create(factory: pytest.TempPathFactory, *, sandbox: bool) -> Nix:
    if shutil.which("nix-build") is None:
        pytest.skip("NO NIX: install nix-bin to test what Nix makes of the expressions")
    return Nix.create(factory.mktemp("nix"), sandbox=sandbox)


@pytest.fixture(scope="session")
def nix(tmp_path_factory: pytest.TempPathFactory) -> Nix:
    """Return Nix without a sandbox."""
    return _create(tmp_path_factory, sandbox=False)


@pytest.fixture(scope="session")
def sandboxed_nix(tmp_path_factory: pytest.TempPathFactory) -> Nix:
    """Return Nix with a sandbox, or skip where the machine permits none."""
    created = _create(tmp_path_factory, sandbox=True)
    probe = 'derivation { name = "probe"; system = builtins.currentSystem; builder = "/bin/sh";'
    probe += ' args = [ "-c" "echo > $out" ]; }'
    try:
        created.build(probe)
    except AssertionError as error:
        pytest.skip(f"NO NIX SANDBOX on this machine: {error}")
    return created
