"""The service of an image: names that fit, commands that tenders take, faults that are told."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkggen.errors import Faults
from pkggen.recipe.build import image_recipe
from pkggen.recipe.overrides import Overrides
from pkggen.recipe.service import (
    Block,
    Configuration,
    Network,
    Paths,
    Service,
    after,
    before,
    command_line,
    guest_line,
    service,
    shortened,
)
from pkggen.recipe.service_faults import clashes, faults
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.record.model import Solo5Device

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.recipe.model import ImageRecipe
    from tests.conftest import MakeRecord

PATHS: Final = Paths(image="/i.hvt", tender="/bin/solo5-hvt", sh="/bin/sh", ip="/sbin/ip")
DNS: Final = Service(
    name="dns-primary", target="hvt", abi_version=2, networks=("in", "out"), blocks=("data",)
)
FULL: Final = Configuration(
    memory="64",
    arguments=("--ipv4=10.0.0.2/24", 'a "b\\ c"'),
    networks=(
        Network(device="out", tap="tap1", mac="02:00:00:00:00:01"),
        Network(device="in", tap="tap0", bridge="br0"),
    ),
    blocks=(Block(device="data", file="/srv/data", sector_size="4096", create_megabytes="8"),),
)
NAMES: Final = st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,60}", fullmatch=True)


@pytest.fixture
def recipe(tmp_path: Path, make_record: MakeRecord) -> ImageRecipe:
    devices = (("in", "NET_BASIC"), ("data", "BLOCK_BASIC"), ("out", "NET_BASIC"))
    directory = make_record(tmp_path / "hello", devices=devices, saved=False)
    started = datetime(2026, 8, 20, 12, tzinfo=UTC)
    record = replace(assemble(read_directory(directory, "hello")), started=started)
    return image_recipe(record, Overrides())


def test_service_of_a_recipe(recipe: ImageRecipe) -> None:
    assert service(recipe) == Service(
        name="hello", target="hvt", abi_version=2, networks=("in", "out"), blocks=("data",)
    )


def test_no_service_for_other_targets_and_names(recipe: ImageRecipe) -> None:
    odd = replace(
        recipe.solo5,
        target="muen",
        devices=(
            Solo5Device(name="a b", kind="NET_BASIC"),
            Solo5Device(name="x" * 68, kind="BLOCK_BASIC"),
            Solo5Device(name="x" * 67, kind="BLOCK_BASIC"),
        ),
    )
    with pytest.raises(Faults) as caught:
        service(replace(recipe, solo5=odd))
    assert [fault.message for fault in caught.value.faults] == [
        "no tender runs an image for 'muen' as a service",
        *(
            f"the device {name!r} cannot be named on a tender's command line: letters and digits,"
            " at most 67"
            for name in ("a b", "x" * 68)
        ),
    ]


def test_command_line() -> None:
    assert command_line(DNS, FULL, PATHS) == (
        "/bin/solo5-hvt",
        "--mem=64",
        "--net:in=tap0",
        "--net:out=tap1",
        "--net-mac:out=02:00:00:00:00:01",
        "--block:data=/srv/data",
        "--block-sector-size:data=4096",
        "--",
        "/i.hvt",
        '--ipv4=10.0.0.2/24 a\\ \\"b\\\\\\ c\\"',
    )


def test_command_line_of_little() -> None:
    bare = replace(DNS, networks=(), blocks=())
    assert command_line(bare, Configuration(), PATHS) == (
        *("/bin/solo5-hvt", "--mem=32", "--", "/i.hvt"),
    )


def test_command_line_of_variables() -> None:
    """A unit or script may stand for the values: nothing in a variable is quoted."""
    bare = replace(DNS, networks=("in",), blocks=())
    configuration = Configuration(
        memory="${memory}",
        arguments=("${arguments}",),
        networks=(Network(device="in", tap="${net_in_tap}"),),
    )
    assert command_line(bare, configuration, PATHS)[1:] == (
        *("--mem=${memory}", "--net:in=${net_in_tap}", "--", "/i.hvt", "${arguments}"),
    )


def test_commands_around() -> None:
    assert [(command.root, " ".join(command.words)) for command in before(DNS, FULL, PATHS)] == [
        (True, "/sbin/ip tuntap add dev tap0 mode tap user _unikernel-dns-primary"),
        (True, "/sbin/ip link set dev tap0 master br0"),
        (True, "/sbin/ip link set dev tap0 up"),
        (True, "/sbin/ip tuntap add dev tap1 mode tap user _unikernel-dns-primary"),
        (True, "/sbin/ip link set dev tap1 up"),
        (
            False,
            '/bin/sh -c test -e "$1" || truncate -s "$2" "$1" unikernel /srv/data 8M',
        ),
    ]
    assert [(command.root, " ".join(command.words)) for command in after(DNS, FULL, PATHS)] == [
        (True, "/sbin/ip tuntap del dev tap0 mode tap"),
        (True, "/sbin/ip tuntap del dev tap1 mode tap"),
    ]


def split_by_the_image(line: str) -> list[str]:
    """Split as the README of mirage/parse-argv says: at blanks, minding quotes and `\\`."""
    words: list[str] = []
    word = ""
    quoted = False
    characters = iter(line)
    for character in characters:
        if character == "\\":
            word += next(characters)
        elif character == '"':
            quoted = not quoted
        elif character == " " and not quoted:
            words.append(word)
            word = ""
        else:
            word += character
    assert not quoted
    return [word for word in (*words, word) if word]


@given(st.lists(st.text(alphabet=st.sampled_from("ab \\\"'\n\t$%"), min_size=1)))
def test_the_image_gets_its_arguments(arguments: list[str]) -> None:
    assert split_by_the_image(guest_line(arguments)) == arguments


@given(name=NAMES, number=st.integers(0, 62))
def test_names_fit(name: str, number: int) -> None:
    devices = tuple(f"d{i}" for i in range(63))
    made = replace(DNS, name=name, networks=devices)
    assert re.fullmatch(r"[a-z][a-z0-9-]{1,14}", made.tap(f"d{number}"))
    assert re.fullmatch(r"_[a-z][a-z0-9-]{1,29}", made.user)
    configuration = Configuration(
        networks=tuple(Network(device=device, tap=made.tap(device)) for device in devices),
        blocks=(Block(device="data", file="/x"),),
    )
    assert not list(faults(made, configuration))
    assert not list(clashes({name: configuration}))


@pytest.mark.slow
@given(st.sets(NAMES, min_size=2), st.sampled_from([9, 20]))
def test_short_names_differ(names: set[str], width: int) -> None:
    assert len({shortened(name, width) for name in names}) == len(names)


def test_long_names_that_begin_alike() -> None:
    names = {f"dns-primary-{number}" for number in range(100)} | {"a.b", "a+b", "a-b"}
    assert len({shortened(name, 9) for name in names}) == len(names)
    assert shortened("a-b", 9) == "a-b"
    assert shortened("12345678", 9) == "12345678"
    assert shortened("dns-primary", 9) == "dns-9702a"


def test_variables_have_one_name_per_meaning() -> None:
    names = [variable.name for variable in DNS.variables]
    assert names == [
        *("memory", "arguments"),
        *("net_in_tap", "net_in_bridge", "net_in_mac"),
        *("net_out_tap", "net_out_bridge", "net_out_mac"),
        *("block_data_file", "block_data_sector_size"),
    ]
    assert all(re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name) for name in names)
    required = [variable.name for variable in DNS.variables if variable.default is None]
    assert required == ["net_in_bridge", "net_out_bridge", "block_data_file"]


def test_what_a_tender_gets_of_its_host() -> None:
    spt = replace(DNS, target="spt")
    assert (DNS.tender, spt.tender) == ("solo5-hvt", "solo5-spt")
    assert (DNS.groups, spt.groups) == (("kvm",), ())
    assert (DNS.required_device, spt.required_device) == ("/dev/kvm", None)
    assert (DNS.devices, spt.devices) == (("/dev/kvm", "/dev/net/tun"), ("/dev/net/tun",))
    assert replace(spt, networks=()).devices == ()
    assert {s.name for s in DNS.hardening} - {s.name for s in spt.hardening} == {
        "MemoryDenyWriteExecute"
    }
