"""The NixOS module says what `recipe.service` says, and refuses what it refuses."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pkggen.recipe.hardening import HARDENING
from pkggen.recipe.service import (
    Block,
    Command,
    Configuration,
    Paths,
    Service,
    after,
    before,
    command_line,
)
from pkggen.recipe.service_faults import clashes, faults
from pkggen.targets.nix import quote
from pkggen.targets.nix.module import module_tree
from pkggen.writer import write
from tests.targets.nix.nixos import (
    GOOD,
    PATHS,
    SERVICE,
    NixOS,
    configuration_of,
    exec_start,
    module_system,
    nix_of,
    nixos,
    systemd_words,
    unikernel,
)
from tests.targets.nix.test_quote import hostile_strings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.targets.nix.conftest import Nix

__all__ = ["module_system", "nixos"]  # the fixtures

DOCS: Final = Path(__file__).resolve().parents[3] / "docs" / "nixos.md"

EXPANDED: Final = ("%n", "%%", "%", "50%", "%h/$HOME", "${HOME}", "$$", "$", "$x%", "\\x20")
"""What systemd replaces in commands unless it is escaped: specifiers, variables, escapes."""


def prefixed(command: Command, prefix: str) -> str:
    return prefix if command.root else ""


CONFIGURATIONS: Final[list[dict[str, Any]]] = [
    GOOD,
    {**GOOD, "memory": 4096, "arguments": ["--ipv4=10.0.0.2/24", "-l", "*:debug"]},
    {
        "networks": {
            "service": {"tap": "t.ap_0-x", "mac": "02:aB:00:00:00:01", "bridge": "br-lan"},
            "control": {"bridge": "br0"},
        },
        "blocks": {"data": {"path": "/dev/vg0/data", "sectorSize": 4096}},
        "argumentsFile": "/run/keys/dns",
        "cpu": 3,
        "restart": "no",
    },
    {**GOOD, "blocks": {"data": {"createSizeMB": 64}}, "argumentsFile": "/k", "arguments": ["a b"]},
    {**GOOD, "blocks": {"data": {"path": "/srv/x/d.img", "createSizeMB": 1, "sectorSize": 512}}},
]


@pytest.mark.parametrize("options", CONFIGURATIONS)
def test_commands_are_those_of_the_recipe(nixos: NixOS, options: dict[str, Any]) -> None:
    system = nixos.eval(f"{{ dns = {unikernel(options)}; }}")
    assert system["failed"] == []
    configuration = configuration_of(options)
    assert not list(faults(SERVICE, configuration))
    made = system["services"]["unikernel-dns"]["serviceConfig"]
    assert systemd_words(made["ExecStart"]) == list(command_line(SERVICE, configuration, PATHS))
    for lines, commands, prefix in (
        (made["ExecStartPre"], before(SERVICE, configuration, PATHS), "+"),
        (made["ExecStopPost"], after(SERVICE, configuration, PATHS), "-+"),
    ):
        assert len(lines) == len(commands)
        for line, command in zip(lines, commands, strict=True):
            used = prefixed(command, prefix)
            assert line.startswith(used + '"')
            assert systemd_words(line[len(used) :]) == list(command.words)


@pytest.mark.parametrize("target", ["hvt", "spt"])
@pytest.mark.parametrize("options", CONFIGURATIONS)
def test_words_of_exec_start(nixos: NixOS, options: dict[str, Any], target: str) -> None:
    """Other services of the same recipe are compared with these words."""
    service = replace(SERVICE, name="a-b", target=target)
    paths = replace(PATHS, image="/usr/lib/x.img", tender=f"/usr/bin/solo5-{target}", sh="/bin/sh")
    wanted = command_line(service, configuration_of(options, service), paths)
    assert exec_start(nixos, service, options, paths) == list(wanted)


def test_the_rest_of_a_service(nixos: NixOS) -> None:
    system = nixos.eval(f"{{ dns = {unikernel(CONFIGURATIONS[2])}; }}")
    made = system["services"]["unikernel-dns"]
    bridges = [
        r"sys-subsystem-net-devices-br\x2dlan.device",
        "sys-subsystem-net-devices-br0.device",
    ]
    assert made["requires"] == made["after"] == bridges
    assert made["unitConfig"] == {"ConditionPathExists": "/dev/kvm"}
    assert made["wantedBy"] == ["multi-user.target"]
    settings = made["serviceConfig"]
    assert settings["User"] == settings["Group"] == SERVICE.user == "_unikernel-dns"
    assert settings["SupplementaryGroups"] == list(SERVICE.groups)
    assert settings["DeviceAllow"] == [
        *(f"{device} rw" for device in SERVICE.devices),
        "/dev/vg0/data rw",
    ]
    assert settings["LoadCredential"] == "arguments:/run/keys/dns"
    assert settings["CPUAffinity"] == "3"
    assert settings["Restart"] == "no"
    assert settings["StateDirectory"] == SERVICE.state_directory
    assert settings["ReadWritePaths"] == ["-/dev/vg0/data"]
    assert settings.items() >= {setting.name: setting.value for setting in HARDENING}.items()
    assert system["users"] == {"_unikernel-dns": {"group": "_unikernel-dns", "isSystemUser": True}}
    assert system["groups"] == ["_unikernel-dns"]
    assert system["denyInterfaces"] == ["t.ap_0-x", "vm-dns-1"]


def test_spt_needs_no_kvm(nixos: NixOS) -> None:
    spt = Service(name="x", target="spt", abi_version=2, networks=(), blocks=())
    made = nixos.eval(f"{{ x = {unikernel({}, spt)}; }}")["services"]["unikernel-x"]
    assert made["unitConfig"] == {}
    settings = made["serviceConfig"]
    assert settings["DeviceAllow"] == settings["ExecStartPre"] == settings["ExecStopPost"] == []
    assert "SupplementaryGroups" not in settings
    assert {s.name for s in HARDENING} - set(settings) == {"MemoryDenyWriteExecute"}
    assert settings.items() >= {s.name: s.value for s in spt.hardening}.items()
    assert systemd_words(settings["ExecStart"])[0] == "/solo5/bin/solo5-spt"


def test_hostile_arguments(nixos: NixOS) -> None:
    rng = random.Random(4)  # noqa: S311 - the same in every run
    texts = [text + rng.choice(EXPANDED) + text[:1] for text in hostile_strings(6_000)]
    lists = [texts[i : i + 6] for i in range(0, len(texts), 6)]
    spt = Service(name="x", target="hvt", abi_version=2, networks=(), blocks=())
    options = [
        {"arguments": arguments, "argumentsFile": "/k"} if rng.random() < 0.5 else
        {"arguments": arguments} for arguments in lists
    ]  # fmt: skip
    made = nixos.configured(
        "{}",
        f"""map (options:
          (unikernels {{ x = {{ package = image "hvt" 2 [ ] [ ]; }} // options; }})
            .services.unikernel-x.serviceConfig.ExecStart) ({nix_of(options)})""",
    )
    assert len(made) == len(options) == 1000
    for line, given in zip(made, options, strict=True):
        configuration = configuration_of(given, spt)
        assert systemd_words(line) == list(command_line(spt, configuration, PATHS))


@pytest.mark.parametrize(
    "name", ["a", "12345678", "123456789", "dns-primary", "x" * 19, "x" * 20, "a-b" * 30]
)
def test_names(nixos: NixOS, name: str) -> None:
    described = Service(name=name, target="hvt", abi_version=2, networks=("a",), blocks=())
    system = nixos.eval(
        f"{{ {quote.string(name)} = {unikernel({'networks': {'a': {}}}, described)}; }}"
    )
    assert system["failed"] == []
    assert system["denyInterfaces"] == [described.tap("a")]
    assert system["groups"] == [described.user]


BAD: Final[list[tuple[dict[str, Any], list[str]]]] = [
    (
        {**GOOD, "networks": {"service": {}}},
        ["the image wants the network device `control`, which is not configured"],
    ),
    ({**GOOD, "blocks": {}}, ["the image wants the block device `data`, which is not configured"]),
    (
        {**GOOD, "networks": {**GOOD["networks"], "extra": {"tap": "x"}}},
        ["the image has no network device `extra`; it has service, control"],
    ),
    (
        {**GOOD, "networks": {"service": {"tap": "vm-0123456789-00"}, "control": {}}},
        [
            (
                "the tap `vm-0123456789-00` of the network device `service` is not a name of at"
                " most 15 letters, digits, `-`, `_` and `.`, the first a letter or digit"
            )
        ],
    ),
    (
        {**GOOD, "networks": {"service": {"tap": "@3"}, "control": {"bridge": "a b"}}},
        [
            (
                "the bridge `a b` of the network device `control` is not a name of at most 15"
                " letters, digits, `-`, `_` and `.`, the first a letter or digit"
            ),
            (
                "the tap `@3` of the network device `service` is not a name of at most 15"
                " letters, digits, `-`, `_` and `.`, the first a letter or digit"
            ),
        ],
    ),
    *(
        (
            {**GOOD, "networks": {"service": {"mac": mac}, "control": {}}},
            [
                (
                    f"the MAC address `{mac}` of the network device `service` is not six pairs of"
                    " hexadecimal digits joined by `:`, the first of them even, not all 0"
                )
            ],
        )
        for mac in ("", "01:00:00:00:00:00", "00:00:00:00:00:00", "02-00-00-00-00-01", "02:0:0:0:0")
    ),
    *(
        (
            {**GOOD, "blocks": {"data": {"path": path}}},
            [
                (
                    f"the file `{path}` of the block device `data` is not an absolute path without"
                    " blanks, quotes, `\\`, `$`, `%` and backticks"
                )
            ],
        )
        for path in ("data.img", "/a b", "/a\tb", "/a\nb", "/%n", "/$x", '/"', "/'", "/`", "/\\")
    ),
    (
        {**GOOD, "argumentsFile": "/a b"},
        [
            (
                "the arguments file `/a b` is not an absolute path without blanks, quotes, `\\`,"
                " `$`, `%` and backticks"
            )
        ],
    ),
    (
        {**GOOD, "arguments": ["a", ""]},
        ["an argument is empty, and an image cannot be given an empty argument"],
    ),
    (
        {**GOOD, "arguments": [" " * 4096]},
        ["the arguments take 8192 bytes, a tender passes at most 8191"],
    ),
]


@pytest.mark.parametrize(("options", "messages"), BAD)
def test_assertions_are_the_faults_of_the_recipe(
    nixos: NixOS, options: dict[str, Any], messages: list[str]
) -> None:
    expected = [fault.message for fault in faults(SERVICE, configuration_of(options))]
    assert sorted(expected) == messages
    failed = nixos.failed(f"{{ dns = {unikernel(options)}; }}")
    assert sorted(failed) == [f"services.unikernels.dns: {message}" for message in messages]


def test_the_longest_command_line_fits(nixos: NixOS) -> None:
    assert nixos.failed(f"{{ dns = {unikernel({**GOOD, 'arguments': ['x' * 8191]})}; }}") == []


@pytest.mark.parametrize(
    ("expression", "messages"),
    [
        (
            ('{ package = pkgs.dns-primary; networks.service = { };'
            ' argumentsFile = builtins.storeDir + "/abc-key"; }'),
            ["the arguments file `STORE/abc-key` is in the Nix store, which every user can read"],
        ),
        (
            '{ package = pkgs.dns-primary; networks.service = { }; tender = "spt"; }',
            ["the image is for solo5-hvt, not for solo5-spt"],
        ),
        (
            '{ package = image "hvt" 1 [ ] [ ]; solo5Package = solo5 "0.8.1"; }',
            ["the image wants version 1 of the Solo5 ABI, which solo5 0.8.1 does not have"],
        ),
        (
            '{ package = image "hvt" 2 [ ] [ ]; solo5Package = solo5 "0.7.5"; }',
            ["the image wants version 2 of the Solo5 ABI, which solo5 0.7.5 does not have"],
        ),
        ('{ package = image "hvt" 1 [ ] [ ]; solo5Package = solo5 "0.7.5"; }', []),
        ('{ package = image "hvt" 2 [ ] [ ]; solo5Package = solo5 "0.8.0"; }', []),
        ('{ package = image "hvt" 2 [ ] [ ]; solo5Package = solo5 "0.12.1"; }', []),
        (
            '{ package = image "muen" 2 [ ] [ ]; }',
            ["no tender runs an image for `muen` as a service"],
        ),
        ("{ }", ["neither `package` nor `image` is set"]),
        (
            '{ package = image "hvt" 2 [ ] [ ]; image = "/x.hvt"; tender = "hvt"; }',
            ["both `package` and `image` are set"],
        ),
        ('{ image = "/x.hvt"; }', ["`tender` is not set, which an `image` needs"]),
        ('{ image = "/x.spt"; tender = "spt"; networks.any = { }; }', []),
        (
            "{ package = pkgs.solo5; }",
            [
                ("the package does not say which devices its image wants; set `image` and `tender`"
                " instead")
            ],
        ),
        ("{ enable = false; }", []),
    ],
)  # fmt: skip
def test_assertions_of_nixos(nixos: NixOS, expression: str, messages: list[str]) -> None:
    store = str(nixos.nix.root / "store")
    assert nixos.failed(f"{{ dns = {expression}; }}") == [
        f"services.unikernels.dns: {message}".replace("STORE", store) for message in messages
    ]


def test_a_strange_name(nixos: NixOS) -> None:
    assert nixos.failed('{ "a b" = { package = image "hvt" 2 [ ] [ ]; }; }') == [
        "services.unikernels.a b: the name is not made of lower-case letters, digits and `-`"
    ]


def test_what_unikernels_share(nixos: NixOS) -> None:
    network = {"tap": "tap0", "mac": "02:00:00:00:00:0A"}
    one = {
        "networks": {"service": network, "control": {"tap": "x", "mac": "02:00:00:00:00:0a"}},
        "blocks": {"data": {"path": "/dev/vg0/data"}},
    }
    two = {"networks": {"service": {"tap": "tap0"}}, "blocks": {"data": {"path": "/dev/vg0/data"}}}
    other = Service(
        name="web", target="hvt", abi_version=2, networks=("service",), blocks=("data",)
    )
    found = clashes({"web": configuration_of(two, other), "dns": configuration_of(one)})
    messages = [
        "the tap `tap0` is shared by dns.service, web.service",
        "the MAC address `02:00:00:00:00:0a` is shared by dns.control, dns.service",
        "the file `/dev/vg0/data` is shared by dns.data, web.data",
    ]
    assert [clash.message for clash in found] == messages
    failed = nixos.failed(f"{{ dns = {unikernel(one)}; web = {unikernel(two, other)}; }}")
    assert failed == [f"services.unikernels: {message}" for message in messages]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("memory = 0;", "services.unikernels.dns.memory' is not of type"),
        ('memory = "32";', "services.unikernels.dns.memory' is not of type"),
        ("blocks.data.sectorSize = 1000;", "blocks.data.sectorSize' is not of type"),
        ('restart = "sometimes";', "services.unikernels.dns.restart' is not of type"),
        ('argumentsFile = "key";', "services.unikernels.dns.argumentsFile' is not of type"),
        ("netwroks = { };", "services.unikernels.dns.netwroks' does not exist"),
        ('networks.service.ipv4 = "";', "networks.service.ipv4' does not exist"),
    ],
)
def test_types(nixos: NixOS, options: str, complaint: str) -> None:
    said = nixos.eval(
        f"{{ dns = {{ package = pkgs.website; {options} }}; }}",
        "builtins.deepSeq system system",
        status=1,
    )
    assert complaint in said


def unit_text(made: dict[str, Any]) -> str:
    """Return a unit as NixOS writes it: one line per element of a list."""
    sections = {
        "Unit": {"Description": made["description"], **made["unitConfig"]},
        "Service": made["serviceConfig"],
    }
    lines = []
    for section, settings in sections.items():
        lines.append(f"[{section}]")
        for name, value in settings.items():
            lines += [f"{name}={item}" for item in (value if isinstance(value, list) else [value])]
    return "\n".join(lines) + "\n"


@pytest.fixture
def analyse(tmp_path: Path) -> Callable[..., str]:
    """Return a function that gives a unit to systemd-analyze, or skip without it."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("NO SYSTEMD: install systemd to test what it makes of the units")

    def analyse(text: str, *argv: str, debug: bool = False) -> str:
        unit = tmp_path / "unikernel-test.service"
        unit.write_text(text)
        done = subprocess.run(
            ["systemd-analyze", *argv, unit],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "SYSTEMD_LOG_LEVEL": "debug" if debug else "info"},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return analyse


@pytest.mark.parametrize("target", ["hvt", "spt"])
def test_exposure(nixos: NixOS, target: str, analyse: Callable[..., str]) -> None:
    described = Service(
        name="dns", target=target, abi_version=2, networks=("service",), blocks=("data",)
    )
    options = {"networks": {"service": {}}, "blocks": {"data": {"path": "/dev/vg0/data"}}}
    system = nixos.eval(f"{{ dns = {unikernel(options, described)}; }}")
    text = unit_text(system["services"]["unikernel-dns"])
    said = analyse(text, "security", "--offline=true", "--threshold=40", "--no-pager")
    level = re.search(r"Overall exposure level .*: ([0-9.]+)", said)
    assert level is not None
    assert float(level[1]) <= 4.0, said


def test_systemd_reads_the_words_back(nixos: NixOS, analyse: Callable[..., str]) -> None:
    texts = [text for text in hostile_strings(700) if text and text.isprintable()][:300]
    texts += EXPANDED
    options: dict[str, Any] = {**GOOD, "arguments": texts}
    made = nixos.eval(f"{{ dns = {unikernel(options)}; }}")["services"]["unikernel-dns"]
    line = made["serviceConfig"]["ExecStart"].replace("/solo5/bin/solo5-hvt", "/bin/true", 1)
    said = analyse(f"[Service]\nExecStart={line}\n", "verify", "--man=no", debug=True)
    read = re.search(r"Command Line: (.*)\n", said)
    assert read is not None, said
    expected = command_line(SERVICE, configuration_of(options), PATHS)
    assert words_shown(read[1]) == ["/bin/true", *(w.replace("$", "$$") for w in expected[1:])]


def words_shown(line: str) -> Sequence[str]:
    """Read a command line as systemd shows it: words with anything special in double quotes."""
    words = re.findall(r'"(?:[^"\\]|\\.)*"|\S+', line)
    return [re.sub(r'\\(["\\$`])', r"\1", word[1:-1]) if word[0] == '"' else word for word in words]


def test_the_secret_is_one_more_word(tmp_path: Path) -> None:
    (tmp_path / "arguments").write_text("--key=a\\ b --x\n\n")
    show = tmp_path / "show"
    show.write_text("#!/bin/sh\nfor word; do printf '<%s>' \"$word\"; done\n")
    show.chmod(0o755)
    configuration = Configuration(arguments=("$x `y`",), arguments_file="/secret")
    bare = Service(name="x", target="hvt", abi_version=2, networks=(), blocks=())
    paths = Paths(image="/image", tender=str(show), sh="/bin/sh", ip="/ip")
    words = command_line(bare, configuration, paths)
    environment = {"PATH": os.environ["PATH"], "CREDENTIALS_DIRECTORY": str(tmp_path)}
    shown = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    assert shown.stdout == "<--mem=32><--></image><$x\\ `y`><--key=a\\ b --x>"
    (tmp_path / "arguments").unlink()
    missing = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert missing.returncode != 0
    assert missing.stdout == ""


def test_a_block_file_is_made_once(tmp_path: Path) -> None:
    file = tmp_path / "data.img"
    bare = Service(name="x", target="hvt", abi_version=2, networks=(), blocks=("data",))
    configuration = Configuration(
        blocks=(Block(device="data", file=str(file), create_megabytes="2"),)
    )
    (make,) = before(bare, configuration, Paths(image="/i", tender="/t", sh="/bin/sh", ip="/ip"))
    subprocess.run(make.words, check=True)
    assert file.stat().st_size == 2 << 20
    file.write_bytes(b"kept")
    subprocess.run(make.words, check=True)
    assert file.read_bytes() == b"kept"


def test_generated_files_parse(nix: Nix, tmp_path: Path) -> None:
    write(module_tree(), tmp_path)
    for file in ("module.nix", "nixos-test.nix"):
        nix.run("nix-instantiate", "--parse", tmp_path / file)


def test_the_virtual_machine_test(nixos: NixOS) -> None:
    """Its node is a configuration that the module accepts; the machine itself needs nixpkgs."""
    test = nixos.configured(
        "{}",
        f"""let
          test = import {nixos.directory / "nixos-test.nix"} {{
            package = pkgs.website;
            pkgs.testers.runNixOSTest = test: test;
          }};
          node = test.nodes.machine {{
            lib.genAttrs = names: f:
              builtins.listToAttrs (map (name: {{ inherit name; value = f name; }}) names);
          }};
        in {{
          inherit (test) name testScript;
          inherit (unikernels node.services.unikernels) failed denyInterfaces users;
        }}""",
    )
    assert test["failed"] == []
    assert test["denyInterfaces"] == ["vm-test-0"]
    assert list(test["users"]) == ["_unikernel-test"]
    assert test["name"] == "dns-unikernel"
    compile(test["testScript"], "testScript", "exec")


def examples() -> list[str]:
    return re.findall(r"```nix\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("number", range(len(examples())))
def test_examples_of_the_documentation(nixos: NixOS, number: int) -> None:
    example = examples()[number]
    system = nixos.configured(f"(import {nixos.nix.write('example.nix', example)})")
    assert system["failed"] == []
    assert system["services"]
