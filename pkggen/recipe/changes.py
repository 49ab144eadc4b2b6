"""What changed between two recorded builds, in the words of a changelog."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pkggen.opam.package import OpamPackage
    from pkggen.record.model import Record


def changes(old: Record, new: Record) -> Iterator[str]:
    """Yield one line for each package or vendored directory that is new, gone or another one.

    Args:
        old: The earlier build.
        new: The later one.
    """
    before, after = _packages(old), _packages(new)
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield f"New: {name} {after[name][0]}"
        elif name not in after:
            yield f"Gone: {name} {before[name][0]}"
        elif before[name][0] != after[name][0]:
            yield f"{name}: {before[name][0]} -> {after[name][0]}"
        elif before[name] != after[name]:
            yield f"{name} {after[name][0]}: other sources or build steps"
    sources_before, sources_after = _vendored(old), _vendored(new)
    for name in sorted(sources_before.keys() | sources_after.keys()):
        if name not in sources_before:
            yield f"New source: {name}"
        elif name not in sources_after:
            yield f"Gone source: {name}"
        elif sources_before[name] != sources_after[name]:
            yield f"Other source: {name} from {sources_after[name][0]}"


def _packages(record: Record) -> dict[str, tuple[str, object]]:
    """Return version and steps of each installed package; the root's sources are vendored."""
    packages = record.switch.packages
    found: dict[str, tuple[str, object]] = {}
    for full in record.switch.installed:
        name, _, version = full.partition(".")
        is_root = full in record.switch.roots
        package = None if is_root else packages.get(name)
        found[name] = (version, None if package is None else _steps(package))
    return found


def _steps(package: OpamPackage) -> tuple[object, ...]:
    """Return what a package is made of and by; places in the file and words for people are not."""
    return (
        *(package.url, package.extra_sources, package.extra_files, package.patches),
        *(package.substs, package.build, package.install, package.build_env, package.setenv),
    )


def _vendored(record: Record) -> dict[str, tuple[str, object]]:
    vendored = record.switch.root.vendored
    return {one.directory: (one.url.src, one.url.checksums) for one in vendored}
