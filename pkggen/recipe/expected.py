"""Which files a rebuild must make, and what each must be.

Source: robur-coop/orb `src/orb.ml` (build-hashes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkggen.recipe.plan import Expected
from pkggen.recipe.tool import prefix_path
from pkggen.recipe.tool_reader import described_tool
from pkggen.record.assemble import verified_bytes
from pkggen.record.binary_package import is_package, read_package, recorded_package
from pkggen.record.metadata import read_build_hashes
from pkggen.record.model import BUILD_HASHES_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pkggen.record.model import Record


def expected_files(record: Record) -> tuple[Expected, ...]:
    """Return the recorded files, and those that only orb's build-hashes know, sorted by path.

    Raises:
        InputError: a recorded package or list of hashes cannot be read.
        VerificationError: one of them has not the recorded sha256.
    """
    found = {
        path: Expected(path=path, kind="sha256", digest=sha256)
        for path, sha256 in _recorded(record)
    }
    for file in record.metadata:
        if file.path.name.endswith(BUILD_HASHES_SUFFIX):
            hashes = read_build_hashes(verified_bytes(file, str(file.path)), str(file.path))
            for path, digest in hashes.items():
                if not is_package(path):
                    name = str(path)
                    found.setdefault(name, Expected(path=name, kind="md5", digest=digest))
    return tuple(found[path] for path in sorted(found))


def _recorded(record: Record) -> Iterator[tuple[str, str]]:
    """Yield paths below the prefix and sha256s of the recorded files.

    Of a binary package those of the programs in it: what makes it is not run.
    """
    package = recorded_package(record)
    if package is not None:
        tool = described_tool(record.switch.root.name)
        for file in read_package(package).files:
            origin = prefix_path(tool, file.path)
            omitted = tool is not None and tool.place_of(file.path) is None
            if origin is not None and not omitted:
                yield str(origin), file.sha256
    for file in record.artifacts:
        if not is_package(file.path):
            yield str(file.path), file.sha256
