"""The NixOS module, evaluated: what becomes of a configuration, as words that systemd runs.

`exec_start` is for whoever else makes a service of the same `recipe.service`.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pkggen.recipe.service import Block, Configuration, Network, Paths, Service
from pkggen.targets.nix import quote
from pkggen.targets.nix.module import module_tree
from pkggen.writer import write
from tests.targets.nix.conftest import STAND_IN

if TYPE_CHECKING:
    from tests.targets.nix.conftest import Nix

SERVICE: Final = Service(
    name="dns",
    target="hvt",
    abi_version=2,
    networks=("service", "control"),
    blocks=("data",),
)
PATHS: Final = Paths(
    image="/image", tender="/solo5/bin/solo5-hvt", sh="/bash/bin/sh", ip="/iproute2/bin/ip"
)
GOOD: Final[dict[str, Any]] = {
    "networks": {"service": {"bridge": "br0"}, "control": {}},
    "blocks": {"data": {}},
}

PKGS: Final = """\
  solo5 = version: {
    type = "derivation";
    outPath = "/solo5";
    inherit version;
  };
  image = target: abi: networks: blocks: {
    type = "derivation";
    outPath = "/package";
    image = "/image";
    pname = "dns";
    solo5 = { inherit target abi networks blocks; };
  };
  pkgs = {
    bash = "/bash";
    iproute2 = "/iproute2";
    solo5 = solo5 "0.9.3";
    dns-primary = image "hvt" 2 [ "service" ] [ ];
    website = image "spt" 2 [ "service" ] [ "data" ];
  };
"""


@dataclass(frozen=True, slots=True)
class NixOS:
    """The module, evaluated by one of two module systems."""

    nix: Nix
    """Nix."""
    directory: Path
    """Where module.nix is."""
    lib: str
    """Expression of nixpkgs' lib, `null` for the stand-in."""

    def eval(self, unikernels: str, result: str = "system", status: int = 0) -> Any:  # noqa: ANN401
        """Evaluate `result`, where `system` is what `services.unikernels` became."""
        return self.configured(f"{{ services.unikernels = {unikernels}; }}", result, status)

    def configured(
        self,
        configuration: str,
        result: str = "system",
        status: int = 0,
        *,
        other: str = "{ }",
    ) -> Any:  # noqa: ANN401
        """Evaluate `result`, where `system` is what a NixOS configuration became.

        Args:
            configuration: The configuration, which knows the names of `PKGS`.
            result: What is evaluated.
            status: Exit status that is expected.
            other: Packages that `pkgs` has instead of those of `PKGS`.
        """
        return self.nix.eval(
            f"""let
  {PKGS}
  evaluate = configuration: import {quote.string(str(STAND_IN / "eval-modules.nix"))} {{
    module = {self.directory / "module.nix"};
    realLib = {self.lib};
    pkgs = pkgs // {other};
    inherit configuration;
  }};
  unikernels = set: evaluate {{ services.unikernels = set; }};
  system = evaluate ({configuration});
in {result}""",
            status=status,
        )

    def failed(self, unikernels: str) -> list[str]:
        """Return the messages of the assertions that fail; nothing else may fail before them."""
        messages = self.eval(unikernels, "builtins.deepSeq system system.failed")
        assert isinstance(messages, list)
        return messages


@pytest.fixture(scope="session", params=["stand-in", "nixpkgs"])
def module_system(request: pytest.FixtureRequest) -> str:
    """Return the expression of nixpkgs' lib, or `null` for the stand-in's module system."""
    if request.param == "stand-in":
        return "null"
    place = os.environ.get("PKGGEN_NIXPKGS_LIB")
    if not place:
        pytest.skip("NO NIXPKGS: set PKGGEN_NIXPKGS_LIB to the lib directory of a checkout")
    return f"import {place}"


@pytest.fixture(scope="session")
def nixos(module_system: str, nix: Nix, tmp_path_factory: pytest.TempPathFactory) -> NixOS:
    """Return the module below the stand-in's module system, and below that of nixpkgs."""
    directory = tmp_path_factory.mktemp("module")
    write(module_tree(), directory)
    return NixOS(nix, directory, module_system)


def nix_of(value: object) -> str:
    """Return a Nix expression of JSON data."""
    return f"builtins.fromJSON {quote.string(json.dumps(value))}"


def unikernel(options: dict[str, Any], described: Service = SERVICE) -> str:
    """Return an expression of a unikernel of a package."""
    package = (
        f"image {quote.string(described.target)} {described.abi_version}"
        f" ({nix_of(described.networks)}) ({nix_of(described.blocks)})"
    )
    return f"({{ package = {package}; }} // {nix_of(options)})"


def configuration_of(options: dict[str, Any], described: Service = SERVICE) -> Configuration:
    """Return what the options mean for `recipe.service`."""
    return Configuration(
        memory=str(options.get("memory", 32)),
        arguments=tuple(options.get("arguments", ())),
        arguments_file=options.get("argumentsFile"),
        networks=tuple(
            Network(
                device=device,
                tap=value["tap"]
                if "tap" in value
                else described.tap(device)
                if device in described.networks
                else "absent0",
                bridge=value.get("bridge"),
                mac=value.get("mac"),
            )
            for device, value in sorted(options.get("networks", {}).items())
        ),
        blocks=tuple(
            Block(
                device=device,
                file=value.get("path", f"/var/lib/unikernels/{described.name}/{device}.img"),
                sector_size=str(value["sectorSize"]) if "sectorSize" in value else None,
                create_megabytes=str(value["createSizeMB"]) if "createSizeMB" in value else None,
            )
            for device, value in sorted(options.get("blocks", {}).items())
        ),
    )


_ESCAPES: Final = {"\\": "\\", '"': '"', "n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def systemd_words(line: str) -> list[str]:
    """Read a command as systemd.service(5) and systemd.syntax(7) say, refusing all expansions."""
    words = re.findall(r'"((?:[^"\\]|\\.)*)"(?: |$)', line, re.DOTALL)
    assert line == " ".join(f'"{word}"' for word in words)
    assert "\n" not in line

    def unescape(match: re.Match[str]) -> str:
        text = match[0]
        if text[0] == "\\":
            return json.loads(f'"{text}"') if text[1] == "u" else _ESCAPES[text[1]]
        assert len(text) == 2, f"systemd would expand {text}"
        return text[0]

    pattern = re.compile(r"\\u[0-9a-f]{4}|\\.|%%?|\$\$?", re.DOTALL)
    return [pattern.sub(unescape, word) for word in words]


def exec_start(
    nixos: NixOS, service: Service, options: dict[str, Any], paths: Paths = PATHS
) -> list[str]:
    """Return the words of ExecStart that the module makes of a configuration.

    Args:
        nixos: The fixture.
        service: The image; `configuration_of` says what the options mean for it.
        options: What `services.unikernels.<name>` is set to, JSON data, without `package`.
        paths: Where image, tender (`.../bin/solo5-...`) and shell (`.../bin/sh`) are said to be.
    """
    tender, sh = Path(paths.tender), Path(paths.sh)
    assert (tender.parent.name, tender.name) == ("bin", service.tender)
    assert sh.parts[-2:] == ("bin", "sh")
    system = nixos.configured(
        f"""{{
          services.unikernels.{quote.attribute(service.name)} =
            let unikernel = {unikernel(options, service)};
            in unikernel // {{
              package = unikernel.package // {{ image = {quote.string(paths.image)}; }};
            }};
        }}""",
        "{ inherit (system) failed services; }",
        other=f"""{{
          bash = {quote.string(paths.sh.removesuffix("/bin/sh"))};
          solo5 = pkgs.solo5 // {{ outPath = {quote.string(str(tender.parents[1]))}; }};
        }}""",
    )
    assert system["failed"] == []
    (made,) = system["services"].values()
    return systemd_words(made["serviceConfig"]["ExecStart"])
