"""Configurations that no tender could run are told, all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pkggen.errors import InputError
from pkggen.recipe.service import (
    SECTOR_SIZES,
    Block,
    Configuration,
    Network,
)
from pkggen.recipe.service_faults import clashes, faults
from tests.recipe.test_service import DNS, FULL


def configured(**changes: object) -> Configuration:
    return replace(FULL, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("configuration", "messages"),
    [
        (FULL, []),
        (
            configured(networks=FULL.networks[:1], blocks=()),
            [
                "the image wants the network device `in`, which is not configured",
                "the image wants the block device `data`, which is not configured",
            ],
        ),
        (
            configured(
                networks=(*FULL.networks, Network(device="data", tap="x")),
                blocks=(*FULL.blocks, Block(device="in", file="/x")),
            ),
            [
                "the image has no network device `data`; it has in, out",
                "the image has no block device `in`; it has data",
            ],
        ),
        *(
            (
                configured(memory=memory),
                [f"the memory `{memory}` is not a whole number of MB from 1"],
            )
            for memory in ("", "0", "-1", "32M", "3.2", " 32", "032", "12345678", "\u0663")
        ),
        *(
            (
                configured(blocks=(Block(device="data", file="/x", sector_size=size),)),
                [
                    (
                        f"the sector size `{size}` of the block device `data` is not a power of two"
                        " from 512 to 32768"
                    )
                ],
            )
            for size in ("256", "513", "65536", "", "4k")
        ),
    ],
)
def test_faults(configuration: Configuration, messages: list[str]) -> None:
    found = list(faults(DNS, configuration))
    assert [fault.message for fault in found] == messages
    assert all(isinstance(fault, InputError) and fault.where == "dns-primary" for fault in found)


def test_an_image_without_devices_has_none() -> None:
    bare = replace(DNS, networks=(), blocks=())
    configuration = Configuration(networks=(Network(device="in", tap="x"),))
    assert [fault.message for fault in faults(bare, configuration)] == [
        "the image has no network device `in`; it has none"
    ]


@pytest.mark.parametrize("size", SECTOR_SIZES)
def test_sector_sizes(size: str) -> None:
    block = Block(device="data", file="/x", sector_size=size)
    assert not list(faults(DNS, configured(blocks=(block,))))


def test_clashes_within_and_between() -> None:
    other = configured(
        networks=(
            Network(device="in", tap="tap2", mac="02:00:00:00:00:0A"),
            Network(device="out", tap="tap2", mac="02:00:00:00:00:0a"),
        )
    )
    assert [fault.message for fault in clashes({"web": other, "dns": FULL})] == [
        "the tap `tap2` is shared by web.in, web.out",
        "the MAC address `02:00:00:00:00:0a` is shared by web.in, web.out",
        "the file `/srv/data` is shared by dns.data, web.data",
    ]
