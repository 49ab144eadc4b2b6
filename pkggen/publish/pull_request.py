"""The text of a pull request to nixpkgs: what was verified, and what is to be run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pkggen.publish.nixpkgs import Submission
    from pkggen.recipe.model import ImageRecipe, Release


def pull_request(submissions: Sequence[Submission]) -> str:
    """Return the text, in Markdown.

    Args:
        submissions: At least one.
    """
    builds = [f"nix-build -A {build}" for one in submissions for build in one.builds]
    return "\n".join(
        (
            *(one.section for one in submissions),
            "## Built and tested",
            "",
            "pkggen built nothing with nixpkgs and started no image. Run this at the root of the",
            "checkout, and say here what it gave:",
            "",
            "```sh",
            *builds,
            "nixpkgs-review rev HEAD",
            "```",
            "",
        )
    )


def image_section(recipe: ImageRecipe, title: str) -> str:
    """Return what a pull request says about the package of an image.

    Args:
        recipe: What is packaged.
        title: Attribute and version.
    """
    solo5, provenance = recipe.solo5, recipe.provenance
    url = "" if provenance.origin is None else provenance.origin.file_url(recipe.image.path)
    devices = [f"  - {device.kind}: {_code(device.name)}" for device in solo5.devices]
    lines = (
        f"## {_code(title)}",
        "",
        "A MirageOS unikernel as its recorded build left it, a static image for Solo5.",
        "",
        f"- Description: {_code(recipe.description)}",
        f"- Image: {_code(url)}, {recipe.image.size} bytes",
        f"- Licences of all that is linked in: {_code(recipe.licences.expression)}",
        "",
        "Verified by pkggen when it made the expression:",
        "",
        f"- The image has the recorded sha256 {_code(recipe.image.sha256)}.",
        f"- The record's opam-switch has the sha256 {_code(provenance.switch_sha256)}.",
        f"- Its root package is {_code(provenance.root)}.",
        f"- The image's own notes say: target {_code(solo5.target)}, ABI {solo5.abi_version},"
        f" machine {_code(solo5.machine)}" + (", devices:" if devices else ", no devices."),
        *devices,
        "",
    )
    return "\n".join(lines)


def release_section(release: Release) -> str:
    """Return what a pull request says about the update of a tool."""
    lines = (
        f"## {_code(f'{release.name} {release.version}')}",
        "",
        f"- Archive: {_code(release.urls[0])}",
        *(f"- Recorded {one.kind}: {_code(one.digest)}" for one in release.checksums),
        "",
        "Address and hash are those of a recorded build, whose opam-switch has the sha256",
        f"{_code(release.provenance.switch_sha256)}. pkggen did not download the archive.",
        "",
        "`hardeningEnable` no longer names `pie`, and `substitute` has `--replace-warn` for",
        "`--replace`, where the expression had them: nixpkgs has given up both. Where every text",
        "is found, `--replace-fail` is better.",
        "",
    )
    return "\n".join(lines)


def _code(text: str) -> str:
    """Return a code span of Markdown, which nothing in it can end (CommonMark 6.1)."""
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    pad = " " if line[:1] in {"`", ""} or line[-1:] == "`" else ""
    return f"{fence}{pad}{line}{pad}{fence}"
