"""The files that run an image, in the programs that read them: shells, systemd, shellcheck."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkggen.recipe.model import ImageRecipe
from pkggen.recipe.service import (
    Block,
    Configuration,
    Network,
    Paths,
    after,
    before,
    command_line,
    service,
)
from pkggen.record.assemble import assemble
from pkggen.record.directory import read_directory
from pkggen.targets.deb import unikernel
from pkggen.targets.deb.quote import Deb
from pkggen.targets.deb.render import debian_tree
from tests.targets.deb.made import EXAMPLE, example_record, inputs_of, ran, started, write_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pkggen.tree import Tree
    from tests.conftest import MakeRecord

GOLDEN: Final = Path(__file__).parent / "golden"
SHELLS: Final = ("dash", "busybox sh")
DEVICES: Final = (
    *(("in", "NET_BASIC"), ("out", "NET_BASIC")),
    *(("data", "BLOCK_BASIC"), ("log", "BLOCK_BASIC")),
)
VALUES = st.text(
    st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from(" '\"\\$`*?!=-()\n"),
    min_size=1,
    max_size=12,
).filter(lambda text: text.strip() != "")
LEAST: Final = {
    "net_in_bridge": "br0",
    "net_out_bridge": "none",
    "block_data_file": "/srv/data",
    "block_log_file": "/srv/log",
}


@dataclass(frozen=True, slots=True)
class Launcher:
    """A launcher whose programs write down their arguments."""

    directory: Path
    recipe: ImageRecipe

    @property
    def paths(self) -> Paths:
        return Paths(
            image=unikernel.paths(self.recipe).image,
            tender=str(self.directory / "tender"),
            sh="/bin/sh",
            ip=str(self.directory / "ip"),
        )

    def run(
        self, shell: str, action: str, variables: Mapping[str, str], status: int = 0
    ) -> tuple[list[list[str]], str]:
        """Return the commands that were run, and what was said."""
        log = self.directory / "log"
        log.unlink(missing_ok=True)
        done = subprocess.run(
            [*shell.split(), str(self.directory / "launcher"), *action.split()],
            env={
                "PATH": os.environ["PATH"],
                "CREDENTIALS_DIRECTORY": str(self.directory / "credentials"),
                **variables,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        said = done.stdout.decode()
        assert done.returncode == status, said
        commands = log.read_bytes().decode().split("\0\0") if log.exists() else []
        return [command.split("\0") for command in commands if command], said


@pytest.fixture(scope="session")
def launcher(make_record: MakeRecord, tmp_path_factory: pytest.TempPathFactory) -> Launcher:
    place = tmp_path_factory.mktemp("launcher")
    record = make_record(place / "r", "proxy", "spt", DEVICES, saved=False)
    recipe = inputs_of(started(assemble(read_directory(record, "spt")))).recipe
    assert isinstance(recipe, ImageRecipe)
    made = Launcher(place, recipe)
    # What SetCredential= of the unit stands for.
    write_files(place, {"credentials/arguments": b"\n"})
    text = unikernel.service_files(recipe, Deb("# test"))[PurePosixPath("unikernel/proxy")].text
    assert text.count("/usr/bin/solo5-spt ") == 1
    text = text.replace("/usr/bin/solo5-spt ", f"{made.paths.tender} ")
    (place / "launcher").write_text(text.replace("/sbin/ip ", f"{made.paths.ip} "))
    for name in ("tender", "ip"):
        stub = f"""#!/bin/sh
            {{ printf '%s\\0' "$0" "$@"; printf '\\0'; }} >>{shlex.quote(str(place / "log"))}
            [ ! -e {shlex.quote(str(place / "fail"))} ]
        """
        (place / name).write_text(stub)
        (place / name).chmod(0o755)
    return made


def shell_of(shell: str) -> str:
    if shutil.which(shell.split(maxsplit=1)[0]) is None:
        pytest.skip(f"LAUNCHER NOT RUN: {shell} not found")
    return shell


def configured(launcher: Launcher, variables: Mapping[str, str]) -> Configuration:
    """Return what the variables of a configuration file mean."""
    described = service(launcher.recipe)
    given = {one.name: variables.get(one.name) or one.default for one in described.variables}

    def bridge(device: str) -> str | None:
        value = given[f"net_{device}_bridge"]
        return None if value == "none" else value

    return Configuration(
        memory=given["memory"] or "",
        networks=tuple(
            Network(
                device=device,
                tap=given[f"net_{device}_tap"] or "",
                bridge=bridge(device),
                mac=given[f"net_{device}_mac"] or None,
            )
            for device in described.networks
        ),
        blocks=tuple(
            Block(
                device=device,
                file=given[f"block_{device}_file"] or "",
                sector_size=given[f"block_{device}_sector_size"],
            )
            for device in described.blocks
        ),
    )


def expected(launcher: Launcher, variables: Mapping[str, str]) -> list[str]:
    configuration = configured(launcher, variables)
    words = list(command_line(service(launcher.recipe), configuration, launcher.paths))
    line = variables.get("arguments")
    return [*words, *([line] if line else [])]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_exact_command_line(launcher: Launcher, shell: str) -> None:
    shell_of(shell)
    commands, said = launcher.run(shell, "run", LEAST)
    assert (commands, said) == ([expected(launcher, LEAST)], "")
    full = {
        **LEAST,
        "memory": "64",
        "arguments": r'--name="a b" \"c',
        "net_in_tap": "tap0",
        "net_in_mac": "02:00:00:00:00:01",
        "block_log_sector_size": "4096",
    }
    commands, _ = launcher.run(shell, "run", full)
    assert commands == [expected(launcher, full)]
    assert commands[0][1:] == [
        "--mem=64",
        "--net:in=tap0",
        "--net-mac:in=02:00:00:00:00:01",
        "--net:out=vm-proxy-1",
        "--block:data=/srv/data",
        "--block-sector-size:data=512",
        "--block:log=/srv/log",
        "--block-sector-size:log=4096",
        "--",
        "/usr/lib/unikernels/proxy.spt",
        r'--name="a b" \"c',
    ]


@pytest.mark.parametrize("shell", SHELLS)
@given(data=st.data())
@settings(max_examples=6)
def test_hostile_values_stay_values(launcher: Launcher, shell: str, data: st.DataObject) -> None:
    shell_of(shell)
    names = [one.name for one in service(launcher.recipe).variables]
    others = data.draw(st.dictionaries(st.sampled_from(names), VALUES))
    variables = {**LEAST, **others}
    for name in names:
        if name.endswith("_tap"):
            variables[name] = "\N{SNOWMAN}'$x`"[: data.draw(st.integers(1, 5))]
    commands, said = launcher.run(shell, "run", variables)
    assert (commands, said) == ([expected(launcher, variables)], "")
    commands, said = launcher.run(shell, "up", variables)
    configuration = configured(launcher, variables)
    steps = before(service(launcher.recipe), configuration, launcher.paths)
    assert (commands, said) == ([list(step.words) for step in steps], "")
    assert all(step.root for step in steps)
    commands, said = launcher.run(shell, "down", variables)
    steps = after(service(launcher.recipe), configuration, launcher.paths)
    assert (commands, said) == ([list(step.words) for step in steps], "")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_secret_part_comes_last(launcher: Launcher, shell: str, tmp_path: Path) -> None:
    shell_of(shell)
    (tmp_path / "arguments").write_text("--key='s e c' $(x)\n")
    secret = {"CREDENTIALS_DIRECTORY": str(tmp_path), **LEAST, "arguments": "--a"}
    commands, _ = launcher.run(shell, "run", secret)
    assert commands == [[*expected(launcher, secret), "--key='s e c' $(x)"]]
    for nothing in ("", "\n"):
        (tmp_path / "arguments").write_text(nothing)
        commands, _ = launcher.run(shell, "run", secret)
        assert commands == [expected(launcher, secret)]


@pytest.mark.parametrize("shell", SHELLS)
def test_all_that_is_missing_is_said_at_once(launcher: Launcher, shell: str) -> None:
    shell_of(shell)
    commands, said = launcher.run(shell, "run", {"net_in_tap": "x" * 16}, 78)
    assert commands == []
    assert [line.split(": ")[1] for line in said.splitlines()] == [
        "net_in_tap is longer than 15 characters",
        "net_in_bridge is not set",
        "net_out_bridge is not set",
        "block_data_file is not set",
        "block_log_file is not set",
    ]
    assert all(line.startswith("/etc/unikernels/proxy.conf: ") for line in said.splitlines())
    # `up` is silent then, so that the unit gets to `run`, whose status stops restarts.
    assert launcher.run(shell, "up", {}) == ([], "")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_failing_tap_stops_the_start_and_not_the_end(launcher: Launcher, shell: str) -> None:
    shell_of(shell)
    (launcher.directory / "fail").touch()
    try:
        commands, _ = launcher.run(shell, "up", LEAST, 1)
        assert len(commands) == 1
        commands, _ = launcher.run(shell, "down", LEAST)
        assert len(commands) == 2
    finally:
        (launcher.directory / "fail").unlink()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("action", ["", "stop", "up-down"])
def test_usage(launcher: Launcher, shell: str, action: str) -> None:
    shell_of(shell)
    commands, said = launcher.run(shell, action, LEAST, 2)
    assert commands == []
    assert said.startswith("usage: /usr/libexec/unikernels/proxy up|run|down\n")
    assert "seal" not in said


# What other programs say


def need(tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"NO {tool}: what it says is not known")


def test_shellcheck_has_nothing_to_say() -> None:
    need("shellcheck")
    scripts = [
        path
        for path in sorted((GOLDEN / "spt").rglob("*"))
        if path.is_file() and path.read_bytes().startswith(b"#!/bin/sh\n")
    ]
    assert {path.name for path in scripts} == {"payload", "launcher", "proxy", "proxy.postrm"}
    ran("shellcheck", "--norc", "--shell=dash", *scripts, cwd=GOLDEN)


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the units of the goldens, with programs that exist."""
    place = tmp_path_factory.mktemp("units")
    found = []
    for path in sorted(GOLDEN.rglob("*.service")):
        text = re.sub(r"(Exec\w+=\+?)/\S+", r"\1/bin/true", path.read_text())
        unit = place / f"{path.relative_to(GOLDEN).parts[0]}.service"
        unit.write_text(text.replace("file:///usr/share/doc", "https://e.org"))
        found.append(unit)
    assert len(found) == 4
    return found


def test_systemd_reads_the_units(units: list[Path], tmp_path: Path) -> None:
    need("systemd-analyze")
    said = ran("systemd-analyze", "verify", "--man=no", *units, cwd=tmp_path)
    # Only what is said of these units counts, not what of those of this machine.
    assert not [line for line in said.splitlines() if str(units[0].parent) in line]


def test_the_units_are_confined(units: list[Path], tmp_path: Path) -> None:
    need("systemd-analyze")
    for unit in units:
        command = ("systemd-analyze", "security", "--offline=yes", "--threshold=40", str(unit))
        said = ran(*command, cwd=tmp_path)
        exposure = float(re.findall(r"exposure level for .*: ([0-9.]+)", said)[0])
        assert exposure <= 4.0


def test_systemd_makes_the_users(tmp_path: Path) -> None:
    need("systemd-sysusers")
    (tmp_path / "etc").mkdir()
    files = sorted(GOLDEN.rglob("*.sysusers"))
    ran("systemd-sysusers", f"--root={tmp_path}", *files, cwd=tmp_path)
    users = {line.split(":")[0]: line.split(":") for line in lines(tmp_path / "etc/passwd")}
    groups = {line.split(":")[0]: line.split(":") for line in lines(tmp_path / "etc/group")}
    assert users.keys() == {
        "_unikernel-hello",
        "_unikernel-hello-unikernel",
        "_unikernel-proxy",
    }
    for name, fields in users.items():
        assert fields[4].startswith("MirageOS unikernel ")
        assert fields[5].startswith("/var/lib/unikernels/")
        assert fields[6].endswith("nologin")
        assert groups[name][2] == fields[3]
    assert sorted(groups["kvm"][3].split(",")) == ["_unikernel-hello", "_unikernel-hello-unikernel"]


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


# The tests that the package has itself


@pytest.fixture(scope="module")
def tree() -> Tree:
    return debian_tree(inputs_of(example_record()))


def installed(tree: Tree, directory: Path) -> Path:
    """Write what the tests of the package look at."""
    for path, file in tree.items():
        place = directory / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.data if hasattr(file, "data") else b"")
    image = directory / "root/usr/lib/unikernels/hello.hvt"
    image.parent.mkdir(parents=True)
    shutil.copy(EXAMPLE / "record/bin/hello.hvt", image)
    return image


@pytest.mark.parametrize("shell", SHELLS)
def test_the_payload_is_compared(tree: Tree, shell: str, tmp_path: Path) -> None:
    shell_of(shell)
    image = installed(tree, tmp_path)
    command = (*shell.split(), "debian/tests/payload", "root")
    assert ran(*command, cwd=tmp_path) == ""
    data = image.read_bytes()
    ran("gzip", "-n", str(image), cwd=tmp_path)
    assert ran(*command, cwd=tmp_path) == ""
    image.with_name("hello.hvt.gz").unlink()
    wanted = "usr/lib/unikernels/hello.hvt is not as it was recorded: "
    assert ran(*command, cwd=tmp_path, status=1).startswith(f"{wanted}missing, recorded 5bfb")
    image.write_bytes(data[:-1] + b"x")
    assert ran(*command, cwd=tmp_path, status=1).startswith(wanted)


def test_the_test_of_the_launcher(tree: Tree, tmp_path: Path) -> None:
    installed(tree, tmp_path)
    launcher = tmp_path / "debian/unikernel/hello-unikernel"
    launcher.chmod(0o755)
    test = tmp_path / "debian/tests/launcher"
    text = test.read_text().replace("/usr/bin/solo5-hvt", "/bin/true")
    test.write_text(text.replace("/usr/libexec/unikernels/hello-unikernel", str(launcher)))
    done = subprocess.run(["sh", str(test)], capture_output=True, text=True, check=False)
    # autopkgtest takes a word on stderr for a failure.
    assert (done.returncode, done.stderr) == (0, "")
    assert "net_service_bridge is not set" in done.stdout
    launcher.write_text("#!/bin/sh\n")
    ran("sh", str(test), cwd=tmp_path, status=1)
