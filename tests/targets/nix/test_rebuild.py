"""The source build in Nix: recorded bytes, honest reports, one switch for many, every source."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import pytest

from pkggen.cli import main
from pkggen.errors import Faults, InputError
from pkggen.recipe.rebuild import rebuild_plan
from pkggen.record.artifact import FileContent
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.record.model import Artifact, Environment
from pkggen.sources.git import fetch_git
from pkggen.targets.nix.lint import entries, lint
from pkggen.targets.nix.rebuild import Inputs, Pin, rebuild_tree
from pkggen.targets.nix.render import flake_tree, image_tree
from pkggen.tree import TextFile, Tree, is_sealed
from pkggen.writer import write
from tests.rebuild.made import EXAMPLE, Made, Package, archive, example, make
from tests.rebuild_oracle.debian import tarballs
from tests.rebuild_oracle.oracle import missing_tools, new_world
from tests.rebuild_oracle.test_real_sources import JOBS, LIBRARIES, OWN_COMPILER, VAULT, VENDORED
from tests.rebuild_oracle.test_synthetic import PACKAGES, ROOTS
from tests.targets.nix.large import write_largest
from tests.targets.nix.rebuilds import (
    IMAGE_SHA256,
    Packaged,
    image_in,
    new_prefix,
    packaged,
    recipe_for,
    recorded_pins,
    serve,
    sha256_of,
    tree_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import CheckGolden
    from tests.rebuild_oracle.debian import Tarball
    from tests.rebuild_oracle.oracle import VendoredRoot, World
    from tests.targets.nix.conftest import MakeRecipe, Nix

GOLDEN: Final = Path(__file__).resolve().parent / "golden/rebuild"
DIRECTORY: Final = "pkgs/by-name/he/hello-unikernel"


@pytest.fixture
def hello(tmp_path: Path) -> Made:
    """Return the example, recorded below a prefix of its own."""
    return example(tmp_path / "hello", new_prefix())


@pytest.fixture
def built(nix: Nix, hello: Made, tmp_path: Path) -> Packaged:
    """Return its package."""
    return packaged(nix, tmp_path / "tree", hello.read(), hello.mirror)


@pytest.fixture
def other_compiler(tmp_path: Path) -> Path:
    """Return a directory with a gcc that optimises less."""
    gcc = tmp_path / "other/bin/gcc"
    gcc.parent.mkdir(parents=True)
    gcc.write_text(
        '#!/bin/sh\n[ "$1" != --version ] || { echo "gcc (Other) 99.1"; exit; }\n'
        'exec /usr/bin/gcc "$@" -O1\n'
    )
    gcc.chmod(0o755)
    return tmp_path / "other"


# The bytes


@pytest.mark.parametrize("which", [pytest.param("nix", marks=pytest.mark.slow), "sandboxed_nix"])
def test_gives_the_recorded_bytes(
    request: pytest.FixtureRequest, which: str, hello: Made, tmp_path: Path
) -> None:
    nix: Nix = request.getfixturevalue(which)
    package = packaged(nix, tmp_path / "tree", hello.read(), hello.mirror)
    output = nix.build(package.expression())
    assert sha256_of(image_in(output)) == IMAGE_SHA256
    report = Path(output, "report").read_text()
    assert report.startswith("What was rebuilt is what was recorded.\n\n  same     bin/hello.")
    assert f"  same     bin/hello.hvt  sha256 {IMAGE_SHA256}\n" in report
    assert "  gcc=4:12.2.0-3\n" in report
    assert "How to learn why" not in report
    assert nix.build(package.expression(), "--check") == output
    switch = nix.build(package.expression("rebuild.switch"))
    assert nix.build(package.expression("rebuild.switch"), "--check") == switch
    assert Path(switch, "lib/greeting/greeting.o").is_file()
    assert nix.build(package.expression("tests.reproduces"))
    for derivation in ("rebuild", "rebuild.switch"):
        assert nix.eval(f"({package.expression(derivation)}).drvAttrs.strictDeps") is True
        assert nix.eval(f"({package.expression(derivation)}).drvAttrs.__structuredAttrs") is True


@pytest.mark.slow
def test_builds_do_not_see_the_network(sandboxed_nix: Nix, tmp_path: Path) -> None:
    look = 'build: ["sh" "-c" "cat /proc/net/dev >&2; false"]'
    made = make(tmp_path, [Package("root", look)], prefix=new_prefix())
    record = made.read()
    package = packaged(
        sandboxed_nix, tmp_path / "tree", record, made.mirror, recipe=recipe_for(record)
    )
    error = sandboxed_nix.build(package.expression(), status=100)
    assert "lo:" in error
    assert error.count("eth") + error.count("ens") == 0


@pytest.mark.slow
def test_one_switch_serves_two_unikernels(
    nix: Nix, hello: Made, built: Packaged, tmp_path: Path
) -> None:
    later = tmp_path / "later"
    shutil.copytree(hello.record, later)
    switch = later / "opam-switch"
    text = switch.read_text().replace("hello-unikernel", "later-unikernel")
    switch.write_text(text.replace("1.0.0", "2.0.0"))
    other = packaged(nix, tmp_path / "later-tree", Made(later, hello.mirror).read(), hello.mirror)
    assert nix.eval(f"({built.expression()}).switch.outPath") == nix.eval(
        f"({other.expression()}).switch.outPath"
    )
    assert nix.eval(f"({built.expression()}).outPath") != nix.eval(
        f"({other.expression()}).outPath"
    )
    nix.build(built.expression())
    nix.run("nix-store", "--check-validity", nix.eval(f"({other.expression()}).switch.outPath"))
    nix.build(other.expression())


@pytest.mark.slow
def test_another_compiler_is_reported(nix: Nix, built: Packaged, other_compiler: Path) -> None:
    output = nix.build(built.expression(compiler=other_compiler))
    got = sha256_of(image_in(output))
    assert got != IMAGE_SHA256
    report = Path(output, "report").read_text()
    assert report.startswith("What was rebuilt differs from what was recorded.\n")
    assert "  gcc: gcc (Other) 99.1\n" in report
    assert "  gcc-12=12.2.0-14+deb12u1\n" in report
    assert f"  differs  bin/hello.hvt  sha256 {got}, recorded {IMAGE_SHA256}\n" in report
    assert "How to learn why:\n" in report
    error = nix.build(built.expression("tests.reproduces", other_compiler), status=100)
    assert f"ERROR: what was rebuilt differs from the recorded sha256\n{report}" in error


@pytest.mark.slow
def test_a_wrong_hash_of_a_source(nix: Nix, built: Packaged) -> None:
    deps = built.directory / "deps.json"
    text = deps.read_text()
    assert text.count("sha256-4") == 1
    deps.write_text(text.replace("sha256-4", "sha256-5"))
    error = nix.build(built.expression(), status=102)
    assert "error: hash mismatch in fixed-output derivation" in error
    assert "got:    sha256-4" in error


@pytest.mark.slow
def test_scripts_know_the_hashes_too(nix: Nix, built: Packaged) -> None:
    served = next(iter(built.urls.values()))
    data = Path(served.removeprefix("file://")).read_bytes() + b"\0"
    other = replace(built, urls={**built.urls, next(iter(built.urls)): serve(nix, data)})
    deps = built.directory / "deps.json"
    old, new = (
        base64.b64encode(hashlib.sha256(one).digest()).decode() for one in (data[:-1], data)
    )
    assert old in deps.read_text()
    deps.write_text(deps.read_text().replace(old, new))
    assert "does not have the sha256" in nix.build(other.expression(), status=100)


@pytest.mark.slow
def test_the_fixed_output_variant(nix: Nix, built: Packaged, other_compiler: Path) -> None:
    wanted = "rebuild.override { fixedOutput = true; }"
    output = nix.build(built.expression(wanted))
    assert sha256_of(Path(output)) == IMAGE_SHA256
    assert nix.run("nix-store", "--query", "--references", output) == ""
    root = built.directory / "root.sh"
    root.write_text(root.read_text().replace("run make ", "run false "))
    assert "hello-unikernel.1.0.0 failed" in nix.build(built.expression(wanted), status=1)
    root.write_text(root.read_text().replace("run false ", "run make "))
    error = nix.build(built.expression(wanted, other_compiler), status=102)
    assert "error: hash mismatch in fixed-output derivation" in error


@pytest.mark.slow
def test_only_nixpkgs_own_variables_reach_the_steps(nix: Nix, tmp_path: Path) -> None:
    step = "env | sed -n 's/=.*//p' | grep -c -e ^NIX_STORE -e ^rebuild -e ^REBUILD >$0/bin/root"
    made = make(
        tmp_path,
        [Package("root", f'install: ["sh" "-c" "{step}" "%{{prefix}}%"]')],
        prefix=new_prefix(),
        built={"bin/root": b"1\n"},
    )
    record = made.read()
    package = packaged(nix, tmp_path / "tree", record, made.mirror, recipe=recipe_for(record))
    assert image_in(nix.build(package.expression())).read_bytes() == b"1\n"


@pytest.mark.slow
def test_several_jobs_are_another_build(nix: Nix, built: Packaged) -> None:
    output = nix.build(built.expression("rebuild.override { buildJobs = 2; }"))
    assert sha256_of(image_in(output)) == IMAGE_SHA256
    assert output != nix.build(built.expression())


# A build that fails


@pytest.mark.slow
def test_a_failed_step_is_shown_and_leaves_nothing(nix: Nix, tmp_path: Path) -> None:
    prefix = new_prefix()
    packages = [Package("bad", 'build: ["sh" "-c" "echo what went wrong; false"]'), Package("root")]
    made = make(tmp_path, packages, prefix=prefix)
    record = made.read()
    package = packaged(nix, tmp_path / "tree", record, made.mirror, recipe=recipe_for(record))
    error = nix.build(package.expression(), status=100)
    assert "what went wrong" in error
    assert "bad.1 failed" in error
    assert not prefix.exists()


@pytest.mark.slow
def test_an_image_that_is_not_made(nix: Nix, tmp_path: Path) -> None:
    made = make(tmp_path, [Package("root", 'build: ["true"]')], prefix=new_prefix())
    record = made.read()
    package = packaged(nix, tmp_path / "tree", record, made.mirror, recipe=recipe_for(record))
    assert "missing  bin/root\n" in nix.build(package.expression(), status=100)


@pytest.mark.slow
def test_an_occupied_prefix_is_left_alone(nix: Nix, tmp_path: Path) -> None:
    prefix = new_prefix()
    made = example(tmp_path / "hello", prefix)
    package = packaged(nix, tmp_path / "tree", made.read(), made.mirror)
    prefix.mkdir()
    try:
        (prefix / "mine").touch()
        assert f"ERROR: {prefix} exists" in nix.build(package.expression(), status=100)
        assert [path.name for path in prefix.iterdir()] == ["mine"]
    finally:
        shutil.rmtree(prefix)


# Every kind of source

MIXED: Final = """\
opam-version: "2.0"
roots: ["root.1"]
installed: ["committed.1" "patched.1" "root.1" "weak.1" "zipped.1"]
extra-files: [["md5={carried_md5}" "{carried}"]]
package "zipped" {{
  version: "1"
  install: ["sh" "-c" "mkdir -p $0 && cp a.txt $0/zipped" "%{{share}}%"]
  url {{ src: "https://pkggen.test/zipped.zip" checksum: "sha256={zipped}" }}
}}
package "weak" {{
  version: "1"
  install: ["sh" "-c" "mkdir -p $0 && cp a.txt $0/weak" "%{{share}}%"]
  url {{ src: "https://pkggen.test/weak.tar.gz" checksum: "md5={weak}" }}
}}
package "patched" {{
  version: "1"
  patches: ["down.patch" "own.patch"]
  extra-files: ["own.patch" "md5={carried_md5}"]
  install: ["sh" "-c" "mkdir -p $0 && cp a.txt $0/patched" "%{{share}}%"]
  url {{ src: "https://pkggen.test/patched.tar" checksum: "sha256={patched}" }}
  extra-source "down.patch" {{
    src: "https://pkggen.test/down.patch" checksum: "sha256={patch}"
  }}
}}
package "committed" {{
  version: "1"
  install: ["sh" "-c" "mkdir -p $0 && cat a.txt sub/b.txt >$0/committed && ./run.sh >>$0/committed"
    "%{{share}}%"]
  url {{ src: "git+https://pkggen.test/committed.git#{commit}" }}
}}
package "root" {{
  version: "1"
  depends: ["zipped" "weak" "patched" "committed"]
  install: ["sh" "-c" "cat $0/zipped $0/weak $0/patched $0/committed >$1/root" "%{{share}}%"
    "%{{bin}}%"]
}}
"""
MIXED_IMAGE: Final = b"from a zip\nweak\nthree\nfrom git\nbelow\nruns\n"


def zipped(name: str, data: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(zipfile.ZipInfo(name, (2020, 5, 10, 19, 14, 46)), data)
    return packed.getvalue()


def gzipped(name: str, data: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def committed(directory: Path) -> tuple[Path, str]:
    """Make a repository with a submodule and a script, and return it with its commit."""

    def git(where: Path, *argv: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        allowed = ("-c", "protocol.file.allow=always")
        argv = ("git", *identity, *allowed, "-C", str(where), *argv)
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    for name, file, text in (("sub", "b.txt", "below\n"), ("committed.git", "a.txt", "from git\n")):
        (directory / name).mkdir(parents=True)
        git(directory / name, "init", "--quiet")
        (directory / name / file).write_text(text)
        git(directory / name, "add", ".")
        git(directory / name, "commit", "--quiet", "-m", name)
    top = directory / "committed.git"
    git(top, "submodule", "--quiet", "add", (directory / "sub").as_uri(), "sub")
    (top / "run.sh").write_text("#!/bin/sh\necho runs\n")
    (top / "run.sh").chmod(0o755)
    git(top, "add", ".")
    git(top, "commit", "--quiet", "-m", "more")
    return top, git(top, "rev-parse", "HEAD")


def patch(old: str, new: str) -> bytes:
    return f"--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-{old}\n+{new}\n".encode()


@pytest.mark.slow
@pytest.mark.parametrize("which", [pytest.param("nix", marks=pytest.mark.slow), "sandboxed_nix"])
def test_every_kind_of_source(request: pytest.FixtureRequest, which: str, tmp_path: Path) -> None:
    nix: Nix = request.getfixturevalue(which)
    repository, commit = committed(nix.root / "sources" / tmp_path.name)
    files = {
        "zipped.zip": zipped("zipped/a.txt", b"from a zip\n"),
        "weak.tar.gz": gzipped("weak/a.txt", b"weak\n"),
        "patched.tar": archive(Package("patched", files={"a.txt": "one\n"})),
        "down.patch": patch("one", "two"),
    }
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    own = patch("two", "three")
    made = make(tmp_path, [Package("root")], prefix=new_prefix(), built={"bin/root": MIXED_IMAGE})
    (made.record / "opam-switch").write_text(
        MIXED.format(
            carried_md5=hashlib.md5(own, usedforsecurity=False).hexdigest(),
            carried=base64.b64encode(own).decode(),
            zipped=digests["zipped.zip"],
            weak=hashlib.md5(files["weak.tar.gz"], usedforsecurity=False).hexdigest(),
            patched=digests["patched.tar"],
            patch=digests["down.patch"],
            commit=commit,
        )
    )
    record = made.read()
    fetched = fetch_git(
        repository.as_uri(), commit, tmp_path / "commit.tar", name="committed", local=True
    )
    pins = {}
    for source in rebuild_plan(record).sources:
        name = source.urls[0].rpartition("/")[2]
        pins[source.file_name] = (
            Pin(sha256=fetched.hashes.sha256, commit=commit, nar=fetched.nar.digest.hex())
            if source.kind == "git"
            else Pin(sha256=digests[name], commit=None, nar=None)
        )
    package = packaged(
        nix, tmp_path / "tree", record, made.mirror, recipe=recipe_for(record), pins=pins
    )
    urls = {f"https://pkggen.test/{name}": serve(nix, data) for name, data in files.items()}
    urls["https://pkggen.test/committed.git"] = repository.as_uri()
    package = replace(package, urls=urls)
    output = nix.build(package.expression())
    assert image_in(output).read_bytes() == MIXED_IMAGE
    assert Path(output, "report").read_text().startswith("What was rebuilt is what was recorded.\n")
    deps = json.loads((package.directory / "deps.json").read_text())
    assert [one[0].partition(".")[0] for one in deps["switch"]] == [
        *("committed", "patched", "patched", "patched", "weak", "zipped"),
    ]
    assert not deps["root"]
    assert [len(one) for one in deps["switch"]] == [4, 3, 1, 3, 3, 3]


@pytest.mark.slow
def test_a_directory_instead_of_an_archive_is_refused(nix: Nix, built: Packaged) -> None:
    deps = built.directory / "deps.json"
    text = deps.read_text().replace("pkggen.test/releases/greeting-0.1", "pkggen.test/d")
    place = nix.root / "sources" / "d"
    shutil.rmtree(place, ignore_errors=True)
    repository, commit = committed(place)
    tree = fetch_git(repository.as_uri(), commit, nix.root / "d.tar", name="d", local=True)
    deps.write_text(
        text.replace(
            base64.b64encode(bytes.fromhex(recorded_hash("greeting"))).decode() + '"',
            base64.b64encode(tree.nar.digest).decode() + f'","{commit}"',
        )
    )
    urls = {**built.urls, "https://pkggen.test/d.tar.gz": repository.as_uri()}
    assert "is missing" in nix.build(replace(built, urls=urls).expression(), status=100)


def recorded_hash(name: str) -> str:
    record = Made(EXAMPLE / "record", EXAMPLE / "download-cache").read()
    found = [one for one in rebuild_plan(record).sources if one.file_name.startswith(name)]
    return found[0].checksums[0].digest


# The record with every feature


@pytest.mark.slow
@pytest.mark.parametrize("root", ROOTS)
def test_the_synthetic_record(
    sandboxed_nix: Nix, synthetic: World, root: str, tmp_path: Path
) -> None:
    record = assemble(read_directory(synthetic.record(root, ROOTS[root]), root))
    image = {"tool": "bin/tool", "sky": "bin/sky.bin", "plain": "bin/plain.bin"}[root]
    recipe = recipe_for(record, image)
    package = packaged(sandboxed_nix, tmp_path / "tree", record, synthetic.cache, recipe=recipe)
    output = sandboxed_nix.build(package.expression(), timeout=600)
    assert sha256_of(image_in(output)) == recipe.image.sha256
    report = Path(output, "report").read_text()
    assert report.count("\n  same     ") == len(rebuild_plan(record).expected)
    assert sandboxed_nix.build(package.expression(), "--check", timeout=600) == output


@pytest.mark.slow
def test_the_synthetic_record_with_its_toolchain(
    sandboxed_nix: Nix, synthetic: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("RECORDED TOOLCHAIN NOT TRIED: bwrap not found")
    directory = synthetic.base / "tool.record"
    if not directory.exists():
        synthetic.record("tool")
    # The machine of the test need not be up to date; its compilers are those of the release.
    recorded = directory / "system-packages"
    decisive = re.compile(r"(binutils|cpp|gcc|ocaml)[^=]*=.*")
    kept = [line for line in recorded.read_text().splitlines() if decisive.fullmatch(line)]
    recorded.write_text("\n".join(kept))
    record = assemble(read_directory(directory, "tool"))
    recipe = recipe_for(record, "bin/tool")
    package = packaged(sandboxed_nix, tmp_path / "tree", record, synthetic.cache, recipe=recipe)
    debian = "https://deb.debian.org/debian"
    archives = (debian, f"{debian} bookworm-updates", f"{debian}-security bookworm-security")
    options = [word for archive in archives for word in ("--archive", archive)]
    output = str(package.directory / "toolchain.json")
    if status := main(["toolchain", str(directory), *options, "-o", output]):
        pytest.skip(f"RECORDED TOOLCHAIN NOT TRIED: status {status}: {capsys.readouterr().err}")
    built = sandboxed_nix.build(package.expression("rebuild.withRecordedToolchain"), timeout=900)
    assert sha256_of(image_in(built)) == recipe.image.sha256
    report = Path(built, "report").read_text()
    assert report.count("\n  same     ") == len(rebuild_plan(record).expected)


@pytest.fixture(scope="module")
def synthetic() -> Iterator[World]:
    """Return the packages that have every feature, with a short path for their prefix."""
    if missing := missing_tools():
        pytest.skip(f"SYNTHETIC RECORD NOT TRIED: {', '.join(missing)} not found")
    base = Path(tempfile.mkdtemp(prefix="oracle-"))
    yield new_world(base, [PACKAGES], {})
    shutil.rmtree(base)


# Real sources


@pytest.fixture(scope="module")
def real() -> Iterator[World]:
    """Return packages whose sources Debian has."""
    if missing := missing_tools():
        pytest.skip(f"REAL SOURCES NOT TRIED: {', '.join(missing)} not found")
    base = Path(tempfile.mkdtemp(prefix="oracle-"))
    downloads, _ = tarballs({*LIBRARIES, *VENDORED}, base / "apt")
    (base / "packages").mkdir()
    for name in OWN_COMPILER:
        (base / "packages" / name).symlink_to(PACKAGES / name)
    yield new_world(base, [base / "packages", PACKAGES.parent / "real"], downloads)
    shutil.rmtree(base)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("root", "image", "wanted", "vendored"),
    [
        ("arith", "bin/arith", LIBRARIES, None),
        ("vault", "bin/vault.bin", VENDORED, VAULT),
    ],
)
def test_real_sources(  # noqa: PLR0917 - a case and its fixtures
    sandboxed_nix: Nix,
    real: World,
    root: str,
    image: str,
    wanted: tuple[Tarball, ...],
    vendored: VendoredRoot | None,
    tmp_path: Path,
) -> None:
    if lacking := [one.package for one in wanted if one.name not in real.files]:
        pytest.skip(f"REAL SOURCES NOT TRIED: the mirror does not have {', '.join(lacking)}")
    record = assemble(read_directory(real.record(root, vendored, jobs=JOBS), root))
    recipe = recipe_for(record, image)
    package = packaged(sandboxed_nix, tmp_path / "tree", record, real.cache, recipe=recipe)
    wanted_build = package.expression(f"rebuild.override {{ buildJobs = {JOBS}; }}")
    output = sandboxed_nix.build(wanted_build, timeout=900)
    assert sha256_of(image_in(output)) == recipe.image.sha256


# The files


@pytest.mark.slow
def test_golden(check_golden: CheckGolden) -> None:
    record = Made(EXAMPLE / "record", EXAMPLE / "download-cache").read()
    recipe, rebuild = tree_of(record)
    tree = image_tree(recipe, nixpkgs=False, rebuild=rebuild)
    texts = Tree({path: file for path, file in tree.items() if isinstance(file, TextFile)})
    check_golden(texts, GOLDEN)
    for path, file in texts.items():
        assert isinstance(file, TextFile)
        assert is_sealed(file.data), path


@pytest.mark.slow
def test_keeps_the_rules_of_nixpkgs(tmp_path: Path) -> None:
    record = Made(EXAMPLE / "record", EXAMPLE / "download-cache").read()
    recipe, rebuild = tree_of(record)
    write(image_tree(recipe, nixpkgs=False, rebuild=rebuild) | flake_tree(), tmp_path)
    assert not lint(entries(tmp_path), submitted=False)


@pytest.mark.slow
def test_updates_renew_the_source_build(make_recipe: MakeRecipe) -> None:
    _, rebuild = tree_of(Made(EXAMPLE / "record", EXAMPLE / "download-cache").read())
    for tree, count in ((rebuild, 1), (None, 0)):
        made = image_tree(make_recipe(), nixpkgs=True, rebuild=tree)
        package = made[PurePosixPath("pkgs/by-name/dn/dns-primary/package.nix")]
        assert isinstance(package, TextFile)
        assert package.text.count('      "--rebuild"\n') == count
        assert package.text.count("callPackage ./rebuild.nix") == count


@pytest.mark.slow
@pytest.mark.parametrize("part", ["switch.sh", "root.sh"])
def test_scripts_are_sound(part: str, tmp_path: Path) -> None:
    _, rebuild = tree_of(Made(EXAMPLE / "record", EXAMPLE / "download-cache").read())
    file = rebuild[PurePosixPath(part)]
    assert isinstance(file, TextFile)
    (tmp_path / part).write_bytes(file.data)
    subprocess.run(["sh", "-n", tmp_path / part], check=True)
    if shutil.which("shellcheck") is None:
        pytest.skip("NOT CHECKED BY shellcheck: not found")
    subprocess.run(["shellcheck", tmp_path / part], check=True)


@pytest.mark.slow
def test_system_packages_become_inputs(nix: Nix, hello: Made, tmp_path: Path) -> None:
    switch = hello.record / "opam-switch"
    asked = '["gcc" "make"] {os-family = "debian"}\n    ["gmp" "a.b"] {os-distribution = "nixos"}'
    switch.write_text(switch.read_text().replace('["gcc" "make"] {os-family = "debian"}', asked))
    package = packaged(nix, tmp_path / "tree", hello.read(), hello.mirror)
    text = (package.directory / "rebuild.nix").read_text()
    assert "  switchInputs = [\n    a.b\n    gmp\n  ];\n  rootInputs = [ ];\n" in text
    assert "  lib,\n  a,\n  bubblewrap,\n" in text
    assert "called without required argument 'a'" in nix.eval(package.expression(), status=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"PREFIX": "/home/builder/switch"}, "where no build in Nix can write"),
        ({"PREFIX": "/tmpfs/switch"}, "where no build in Nix can write"),  # noqa: S108
    ],
)
def test_places_that_nix_has_not(hello: Made, change: dict[str, str], message: str) -> None:
    record = hello.read()
    variables = tuple((k, change.get(k, v)) for k, v in record.environment.variables)
    with pytest.raises(InputError, match=message):
        tree_of(replace(record, environment=Environment(variables=variables)))


@pytest.mark.slow
def test_all_that_is_wrong_is_said_at_once(hello: Made) -> None:
    switch = hello.record / "opam-switch"
    text = switch.read_text().replace("https://pkggen.test/releases", "file:///releases")
    asked = '["gcc" "make"] {os-family = "debian"} ["x y" "inherit" "fixedOutput" "a.in"]'
    switch.write_text(text.replace('["gcc" "make"] {os-family = "debian"}', asked))
    with pytest.raises(Faults) as caught:
        tree_of(hello.read())
    messages = sorted(fault.message for fault in caught.value.faults)
    assert messages == [
        "Nix cannot fetch file:///releases/greeting-0.1.tar.gz",
        "Nix cannot fetch file:///releases/hello-unikernel-1.0.0.tar.gz",
        "a package asks for the system package 'a.in', which is no name in nixpkgs",
        "a package asks for the system package 'inherit', which is no name in nixpkgs",
        "a package asks for the system package 'x y', which is no name in nixpkgs",
        "a package asks for the system package fixedOutput, which means something else here",
    ]


@pytest.mark.slow
def test_an_image_that_the_plan_does_not_make(hello: Made, tmp_path: Path) -> None:
    record = hello.read()
    recipe, _ = tree_of(record)
    (tmp_path / "else").write_bytes(b"")
    other = Artifact(
        path=PurePosixPath("bin/else.hvt"),
        size=0,
        sha256=hashlib.sha256(b"").hexdigest(),
        content=FileContent(tmp_path / "else"),
    )
    plan = rebuild_plan(record)
    with pytest.raises(InputError, match=r"does not make bin/else\.hvt"):
        rebuild_tree(
            replace(recipe, image=other),
            plan,
            recorded_pins(plan),
            Inputs(switch=(), root=()),
            (),
        )


# The largest record


@pytest.mark.slow
def test_size_of_the_largest_record(nix: Nix, records: Path, tmp_path: Path) -> None:
    """How long it takes to evaluate is measured by `tests/bench/nix.py`."""
    package, sources = write_largest(records, tmp_path / "tree")
    assert sources > 100
    assert (package.directory / "deps.json").stat().st_size / sources * 250 <= 60_000
    assert nix.eval(package.expression("drvPath")).endswith(".drv")


# The command


@pytest.mark.slow
def test_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    argv = ("nix", str(EXAMPLE / "record"), "--rebuild", "-o", "out", "--cache", "cache")
    assert main([*argv, "--offline"]) == 5
    assert "greeting" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    mirrored = [*argv, "--offline", "--mirror", str(EXAMPLE / "download-cache")]
    assert main(mirrored) == 0
    for path in sorted(GOLDEN.rglob("*")):
        if path.is_file():
            assert (tmp_path / "out" / path.relative_to(GOLDEN)).read_bytes() == path.read_bytes()
    capsys.readouterr()
    assert main([*argv, "--offline", "--check"]) == 0
    assert capsys.readouterr().out.count("unchanged") == 6
