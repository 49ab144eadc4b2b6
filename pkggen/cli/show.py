"""`pkggen show`: what is in a recorded build."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from pkggen.cli.common import source_opener
from pkggen.errors import PkggenError, printable
from pkggen.recipe.linked import linked_parts

if TYPE_CHECKING:
    import argparse
    from datetime import datetime

    from pkggen.record.model import Record

_BOLD: Final = "\x1b[1m"
_PLAIN: Final = "\x1b[0m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a user wants to know of a record, in the order in which it is shown."""

    job: str
    """Name of the job."""
    root: str | None
    """Root package as name.version."""
    platform: str | None
    """Name of the build platform."""
    system: str | None
    """Operating system and architecture of the build."""
    started: str | None
    """RFC 3339, UTC."""
    finished: str | None
    """RFC 3339, UTC."""
    origin: str | None
    """Permanent URL of the build."""
    image: str | None
    """Path of the main image."""
    image_size: int | None
    """Bytes."""
    image_sha256: str | None
    """Hexadecimal."""
    tender: str | None
    """Solo5 target."""
    abi_version: int | None
    """Of the Solo5 ABI."""
    machine: str | None
    """ELF machine."""
    devices: tuple[tuple[str, str], ...]
    """Names and kinds."""
    installed: int
    """Packages in the switch."""
    vendored: int
    """Source directories that the root builds in its own tree."""
    system_packages: int | None
    """Packages of the build host."""
    artifacts: tuple[str, ...]
    """Paths of all built files."""
    weak_sources: tuple[str, ...]
    """Sources without sha256 or sha512, by package."""
    licences: tuple[tuple[str, int], ...]
    """Licences as recorded of what is linked in, and of how many parts."""
    unlicensed: tuple[str, ...]
    """Linked-in parts without a recorded licence."""


def run(arguments: argparse.Namespace) -> int:
    """Show one record."""
    with source_opener(arguments) as opened:
        summary = summarise(opened(arguments.source))
    if arguments.json:
        json.dump(asdict(summary), sys.stdout, indent=2)
        print()
    else:
        coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        for key, value in _rows(summary):
            label = f"{key:<16}"
            print(f"{_BOLD}{label}{_PLAIN}{value}" if coloured else label + value)
    return 0


def summarise(record: Record) -> Summary:
    """Return the summary of a record."""
    switch, solo5, environment = record.switch, record.solo5, record.environment
    try:
        root, parts = switch.root, linked_parts(switch)
    except PkggenError:
        root, parts = None, ()
    system = (
        environment.get("OS_DISTRIBUTION"),
        environment.get("OS_VERSION"),
        environment.get("ARCH"),
    )
    licences = Counter(" AND ".join(part.licences) for part in parts if part.licences)
    return Summary(
        job=record.job,
        root=None if root is None else f"{root.name}.{root.version}",
        platform=record.platform,
        system=" ".join(filter(None, system)) or None,
        started=_rfc3339(record.started),
        finished=_rfc3339(record.finished),
        origin=None if record.origin is None else record.origin.url,
        image=None if record.image is None else str(record.image.path),
        image_size=None if record.image is None else record.image.size,
        image_sha256=None if record.image is None else record.image.sha256,
        tender=None if solo5 is None else solo5.target,
        abi_version=None if solo5 is None else solo5.abi_version,
        machine=None if solo5 is None else solo5.machine,
        devices=() if solo5 is None else tuple((d.name, d.kind) for d in solo5.devices),
        installed=len(switch.installed),
        vendored=0 if root is None else len(root.vendored),
        system_packages=None if record.system_packages is None else len(record.system_packages),
        artifacts=tuple(str(artifact.path) for artifact in record.artifacts),
        weak_sources=tuple(sorted({name for name, url in switch.sources() if not url.strong})),
        licences=tuple(sorted(licences.items(), key=lambda item: (-item[1], item[0]))),
        unlicensed=tuple(sorted({part.name for part in parts if not part.licences})),
    )


def _rfc3339(time: datetime | None) -> str | None:
    return None if time is None else time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _rows(summary: Summary) -> list[tuple[str, str]]:
    """Return labels and printable texts; what is not recorded is said to be so."""
    image = tender = None
    if summary.image is not None:
        image = f"{summary.image} ({summary.image_size:,} bytes)"
        tender = f"{summary.tender}, ABI version {summary.abi_version}, {summary.machine}"
    devices = [f"{name} ({kind})" for name, kind in summary.devices]
    packages = f"{summary.installed} installed, {summary.vendored} vendored"
    if summary.system_packages is not None:
        packages += f", {summary.system_packages} on the host"
    licences = [f"{count} of {text}" for text, count in summary.licences]
    if summary.unlicensed:
        licences.append(f"{len(summary.unlicensed)} of none recorded")
    rows = [
        ("job", summary.job),
        ("root package", summary.root),
        ("platform", summary.platform),
        ("system", summary.system),
        ("started", summary.started),
        ("finished", summary.finished),
        ("origin", summary.origin),
        ("image", image),
        ("sha256", summary.image_sha256),
        ("tender", tender),
        ("devices", ", ".join(devices) or ("none" if image else None)),
        ("packages", packages),
        ("built files", ", ".join(summary.artifacts) or "none"),
        ("weak sources", ", ".join(summary.weak_sources) or "none"),
        ("licences", ", ".join(licences) or None),
    ]
    return [(label, printable(text or "not recorded")) for label, text in rows]
