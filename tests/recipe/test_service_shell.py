from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkggen.recipe.service import (
    Block,
    Configuration,
    Network,
    Paths,
    Service,
    after,
    before,
    command_line,
)
from pkggen.recipe.service_shell import arguments, checks, defaults, down, up

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PATHS: Final = Paths(image="/i.hvt", tender="/bin/solo5-hvt", sh="/bin/sh", ip="/sbin/ip")
DNS: Final = Service(
    name="dns-primary", target="hvt", abi_version=2, networks=("in", "out"), blocks=("data",)
)
SHOW: Final = 'printf \'%s\\n\' "$#" "$@"'
IP: Final = 'ip() { printf "%s\\n" "$*"; }'


def sh(lines: Iterable[str], variables: Mapping[str, str], *before: str) -> str:
    script = "\n".join(["set -eu", *before, *lines])
    done = subprocess.run(
        ["sh", "-c", script], env=dict(variables), capture_output=True, text=True, check=True
    )
    return done.stdout


def words(variables: Mapping[str, str], described: Service = DNS, prefix: str = "") -> list[str]:
    lines = [*defaults(described, prefix), *arguments(described, PATHS, prefix), SHOW]
    count, *found = sh(lines, variables).splitlines()
    assert int(count) == len(found)
    return found


def test_the_least_configuration() -> None:
    configuration = Configuration(
        networks=(
            Network(device="in", tap="vm-dns-9702a-0", bridge="br0"),
            Network(device="out", tap="vm-dns-9702a-1", bridge="br0"),
        ),
        blocks=(Block(device="data", file="/srv/data", sector_size="512"),),
    )
    given = {"net_in_bridge": "br0", "net_out_bridge": "br0", "block_data_file": "/srv/data"}
    assert words(given) == list(command_line(DNS, configuration, PATHS))


@given(
    texts=st.lists(
        st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1), min_size=6
    )
)
def test_any_value_stays_one_word(texts: list[str]) -> None:
    tap, mac, file, sector, memory, line = texts[:6]
    described = replace(DNS, networks=("in",))
    configuration = Configuration(
        memory=memory,
        networks=(Network(device="in", tap=tap, mac=mac),),
        blocks=(Block(device="data", file=file, sector_size=sector),),
    )
    given = {
        "s_memory": memory,
        "s_arguments": line,
        "s_net_in_tap": tap,
        "s_net_in_mac": mac,
        "s_block_data_file": file,
        "s_block_data_sector_size": sector,
    }
    expected = [*command_line(described, configuration, PATHS), line]
    assert words(given, described, "s_") == expected


def test_optional_words_are_left_out() -> None:
    described = replace(DNS, blocks=(), networks=())
    assert words({}, described) == ["/bin/solo5-hvt", "--mem=32", "--", "/i.hvt"]
    assert words({"arguments": "a b"}, described)[-1] == "a b"


def test_around() -> None:
    given = {"net_in_bridge": "br0", "net_out_bridge": "none", "net_in_tap": "t 0"}
    paths = replace(PATHS, ip="ip")
    user = DNS.user
    assert sh([*defaults(DNS), *up(DNS, paths)], given, IP).splitlines() == [
        f"tuntap add dev t 0 mode tap user {user}",
        "link set dev t 0 master br0",
        "link set dev t 0 up",
        f"tuntap add dev vm-dns-9702a-1 mode tap user {user}",
        "link set dev vm-dns-9702a-1 up",
    ]
    failing = "ip() { printf '%s\\n' \"$*\"; false; }"
    assert sh([*defaults(DNS), *down(DNS, paths)], given, failing).splitlines() == [
        "tuntap del dev t 0 mode tap",
        "tuntap del dev vm-dns-9702a-1 mode tap",
    ]


def test_the_lines_say_what_the_model_says() -> None:
    """What `up` and `down` run is what `before` and `after` return, for fixed values too."""
    network = Network(device="in", tap="t0", bridge="br0")
    described = replace(DNS, networks=("in",), blocks=())
    configuration = Configuration(networks=(network,))
    given = {"net_in_tap": "t0", "net_in_bridge": "br0"}
    paths = replace(PATHS, ip="ip")
    for made, lines in ((before, up), (after, down)):
        commands = made(described, configuration, paths)
        expected = [shlex.join(command.words).removeprefix("ip ") for command in commands]
        assert sh([*defaults(described), *lines(described, paths)], given, IP).splitlines() == (
            expected
        )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"net_in_bridge": "br0", "block_data_file": "/x"},
            "net_out_bridge: is not set: Bridge that the tap becomes part of, or `none`",
        ),
        (
            {"net_in_bridge": "br0", "net_out_bridge": "br0"},
            "block_data_file: is not set: File or device behind the block device data",
        ),
        (
            {
                "net_in_bridge": "br0",
                "net_out_bridge": "br0",
                "block_data_file": "/x",
                "net_out_tap": "a-tap-too-long-0",
            },
            "net_out_tap: is longer than 15 characters",
        ),
    ],
)
def test_what_is_missing_is_named(given: dict[str, str], said: str) -> None:
    wrong = 'wrong() { echo "$1: $2"; }'
    assert sh([*defaults(DNS), *checks(DNS)], given, wrong).splitlines() == [said]
