"""A record whose sources are of every kind: zip, bzip2, xz, git with a submodule, patches."""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import tarfile
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pkggen.recipe.distfiles import Distfile, carried_distfile
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.record.artifact import FileContent
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.sources.git import fetch_git
from pkggen.targets.freebsd.model import Sources
from pkggen.tree import Bytes
from tests.rebuild.made import Package, make

if TYPE_CHECKING:
    from pathlib import Path

    from pkggen.record.model import Record

STARTED: Final = datetime(2026, 8, 20, 12, tzinfo=UTC)
BUILT: Final = b"from a zip\nfrom bzip2\nfrom xz, patched twice\nfrom git\nbelow\n"
SWITCH: Final = """\
opam-version: "2.0"
roots: ["root.1"]
installed: ["committed.1" "bzipped.1" "root.1" "xzed.1" "zipped.1"]
extra-files: [["md5={carried_md5}" "{carried}"]]
package "zipped" {{
  version: "1"
  license: "ISC"
  install: ["sh" "-c" "mkdir -p $0 && cp a.txt $0/zipped" "%{{share}}%"]
  url {{ src: "http://127.0.0.1:9/zipped.zip" checksum: "sha256={zipped}" }}
}}
package "bzipped" {{
  version: "1"
  license: "ISC"
  install: ["sh" "-c" "mkdir -p $0 && cp a.txt $0/bzipped" "%{{share}}%"]
  url {{ src: "http://127.0.0.1:9/bzipped.tbz" checksum: "md5={bzipped}" }}
}}
package "xzed" {{
  version: "1"
  license: "ISC"
  patches: ["down.patch" "own.patch"]
  extra-files: ["own.patch" "md5={carried_md5}"]
  install: ["sh" "-c" "mkdir -p $0 && cp a.txt $0/xzed" "%{{share}}%"]
  url {{ src: "http://127.0.0.1:9/xzed.tar.xz" checksum: "sha256={xzed}" }}
  extra-source "down.patch" {{
    src: "http://127.0.0.1:9/down.patch" checksum: "sha256={patch}"
  }}
}}
package "committed" {{
  version: "1"
  license: "ISC"
  install: ["sh" "-c" "cat a.txt sub/b.txt >$0/committed" "%{{share}}%"]
  url {{ src: "git+https://pkggen.test/committed.git#{commit}" }}
}}
package "root" {{
  version: "1"
  license: "ISC"
  synopsis: "Made of everything"
  depends: ["zipped" "bzipped" "xzed" "committed"]
  install: ["sh" "-c" "cat $0/zipped $0/bzipped $0/xzed $0/committed >$1/root" "%{{share}}%"
    "%{{bin}}%"]
}}
"""


def every_kind(directory: Path, prefix: Path) -> tuple[Record, Sources, dict[str, bytes]]:
    """Return the record, its sources, and the bytes of these by their sha256."""
    repository, commit = _committed(directory)
    files = {
        "zipped.zip": _zip("zipped/a.txt", b"from a zip\n"),
        "bzipped.tbz": _tar("bz2", "bzipped/a.txt", b"from bzip2\n"),
        "xzed.tar.xz": _tar("xz", "xzed/a.txt", b"from xz\n"),
        "down.patch": _patch("from xz", "from xz, patched"),
    }
    own = _patch("from xz, patched", "from xz, patched twice")
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    made = make(directory, [Package("root")], prefix=prefix, built={"bin/root": BUILT})
    (made.record / "opam-switch").write_text(
        SWITCH.format(
            carried_md5=_md5(own),
            carried=base64.b64encode(own).decode(),
            zipped=digests["zipped.zip"],
            bzipped=_md5(files["bzipped.tbz"]),
            xzed=digests["xzed.tar.xz"],
            patch=digests["down.patch"],
            commit=commit,
        )
    )
    record = assemble(read_directory(made.record, "made"))
    plan = rebuild_plan(record, "freebsd")
    tar = fetch_git(
        repository.as_uri(), commit, directory / "commit.tar", name="committed", local=True
    )
    distfiles = [carried_distfile(one, Bytes(one.content)) for one in plan.carried]
    for source in plan.sources:
        if source.kind == "git":
            data, place = tar.tar.read_bytes(), tar.tar
        else:
            name = source.urls[0].rpartition("/")[2]
            data, place = files[name], directory / name
            place.write_bytes(data)
        distfiles.append(
            Distfile(
                name=source.file_name,
                sha256=hashlib.sha256(data).hexdigest(),
                size=len(data),
                content=FileContent(place),
                source=source,
                commit=source.commit,
            )
        )
    served = {
        hashlib.sha256(data).hexdigest(): data for data in (*files.values(), tar.tar.read_bytes())
    }
    sources = Sources(
        plan=plan, distfiles=tuple(sorted(distfiles, key=lambda one: one.name)), depexts=()
    )
    return replace(record, started=STARTED, finished=STARTED), sources, served


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _zip(name: str, data: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(zipfile.ZipInfo(name, (2020, 5, 10, 19, 14, 46)), data)
    return packed.getvalue()


def _tar(compression: str, name: str, data: bytes) -> bytes:
    packed = io.BytesIO()
    writer = {"bz2": "w:bz2", "xz": "w:xz"}[compression]
    with tarfile.open(fileobj=packed, mode=writer) as tar:  # type: ignore[call-overload]
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def _patch(old: str, new: str) -> bytes:
    return f"--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-{old}\n+{new}\n".encode()


def _committed(directory: Path) -> tuple[Path, str]:
    """Make a repository with a submodule, and return it with its commit."""

    def git(where: Path, *argv: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        allowed = ("-c", "protocol.file.allow=always")
        command = ("git", *identity, *allowed, "-C", str(where), *argv)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    for name, file, text in (("sub", "b.txt", "below\n"), ("committed.git", "a.txt", "from git\n")):
        (directory / name).mkdir(parents=True)
        git(directory / name, "init", "--quiet")
        (directory / name / file).write_text(text)
        git(directory / name, "add", ".")
        git(directory / name, "commit", "--quiet", "-m", name)
    top = directory / "committed.git"
    git(top, "submodule", "--quiet", "add", (directory / "sub").as_uri(), "sub")
    git(top, "commit", "--quiet", "-m", "more")
    return top, git(top, "rev-parse", "HEAD")
