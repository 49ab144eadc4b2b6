"""The rc.d script, run with programs that only write down what they are asked."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pkggen.recipe.service import (
    Block,
    Configuration,
    Network,
    Paths,
    Service,
    command_line,
    guest_line,
)
from pkggen.targets.freebsd import names
from pkggen.targets.freebsd.service import message, rc_script

if TYPE_CHECKING:
    from collections.abc import Mapping

DNS: Final = Service(
    name="dns-primary", target="hvt", abi_version=2, networks=("in", "out"), blocks=("data",)
)
IMAGE: Final = "share/mirage/dns-primary.hvt"
RC: Final = "unikernel_dns_primary"
RC_SUBR: Final = Path(__file__).with_name("rc.subr")
LEAST: Final = {
    f"{RC}_enable": "YES",
    f"{RC}_net_in_bridge": "bridge0",
    f"{RC}_net_out_bridge": "none",
    f"{RC}_block_data_file": "/var/db/x.img",
}
STUBS: Final = {
    # Knows which interfaces there are.
    "ifconfig": """\
case $#:$2 in
1:) [ -e "$INTERFACES/$1" ]; exit ;;
esac
note ifconfig "$@"
[ ! -e "$FAIL/ifconfig-$2" ] || exit 1
case $2 in
create) : >"$INTERFACES/$4" ;;
destroy) rm "$INTERFACES/$1" ;;
esac
""",
    "kldstat": 'note kldstat "$@"\n[ ! -e "$FAIL/kldstat" ]\n',
    "install": 'note install "$@"\n[ ! -e "$FAIL/install" ]\n',
    "daemon": 'note daemon "$@"\n[ ! -e "$FAIL/daemon" ]\n',
}
NOTE: Final = """\
#!/bin/sh
note() {
  printf '%s' "$#" >>"$LOG"
  printf '\\037%s' "$@" >>"$LOG"
  printf '\\036' >>"$LOG"
}
"""


@dataclass
class Host:
    """A place with the script, stubs, and what they have written."""

    root: Path
    shell: str = "sh"

    def __post_init__(self) -> None:
        for name in ("bin", "interfaces", "fail", "run", "db", "local/bin", "local/etc/unikernels"):
            (self.root / name).mkdir(parents=True)
        for name, body in STUBS.items():
            (self.root / "bin" / name).write_text(NOTE + body)
            (self.root / "bin" / name).chmod(0o755)
        image = self.root / "local" / IMAGE
        image.parent.mkdir(parents=True)
        image.write_text("image")

    def put(self, described: Service = DNS) -> Path:
        """Write the script with the places of this host."""
        text = rc_script(described, "Test's unikernel", IMAGE, ("Generated for a test",))
        for old, new in {
            "/etc/rc.subr": str(RC_SUBR),
            "/sbin/ifconfig": f"{self.root}/bin/ifconfig",
            "/sbin/kldstat": f"{self.root}/bin/kldstat",
            "/usr/bin/install": f"{self.root}/bin/install",
            "/usr/sbin/daemon": f"{self.root}/bin/daemon",
            "/var/run/": f"{self.root}/run/",
            "%%PREFIX%%": f"{self.root}/local",
        }.items():
            assert old in text or not described.networks
            text = text.replace(old, new)
        script = self.root / names.rc_name(described.name)
        script.write_text(text)
        return script

    def run(
        self, command: str, variables: Mapping[str, str], script: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the script."""
        return self.sh((str(script or self.put()), command), variables)

    def sh(
        self, arguments: tuple[str, ...], variables: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run the shell with variables in rc.conf."""
        conf = self.root / "rc.conf"
        conf.write_text("".join(f"{k}={shlex.quote(v)}\n" for k, v in variables.items()))
        return subprocess.run(
            [*self.shell.split(), *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=20,
            env={
                "PATH": os.environ["PATH"],
                "RC_CONF": str(conf),
                "LOG": str(self.root / "log"),
                "FAIL": str(self.root / "fail"),
                "INTERFACES": str(self.root / "interfaces"),
            },
        )

    def log(self) -> list[list[str]]:
        """Return what the stubs were asked, and forget it."""
        path = self.root / "log"
        if not path.exists():
            return []
        text = path.read_text()
        path.unlink()
        return [entry.split("\037")[1:] for entry in text.split("\036")[:-1]]

    def fail(self, what: str) -> None:
        """Let a stub fail."""
        (self.root / "fail" / what).touch()

    def interfaces(self) -> list[str]:
        """Return the interfaces that there are."""
        return sorted(path.name for path in (self.root / "interfaces").iterdir())


@pytest.fixture(params=["sh", "busybox sh", "bash"])
def host(tmp_path: Path, request: pytest.FixtureRequest) -> Host:
    shell: str = request.param
    if shutil.which(shell.partition(" ")[0]) is None:
        pytest.skip(f"NO {shell}: the rc.d script is not run with it")
    return Host(tmp_path, shell)


def ifconfigs(log: list[list[str]]) -> list[list[str]]:
    return [words[1:] for words in log if words[0] == "ifconfig"]


UP: Final = [
    ["tap", "create", "name", "vm-dns-9702a-0"],
    ["bridge0", "addm", "vm-dns-9702a-0"],
    ["vm-dns-9702a-0", "up"],
    ["tap", "create", "name", "vm-dns-9702a-1"],
    ["vm-dns-9702a-1", "up"],
]
DOWN: Final = [["vm-dns-9702a-0", "destroy"], ["vm-dns-9702a-1", "destroy"]]


def test_start_and_stop_in_their_order(host: Host) -> None:
    started = host.run("start", LEAST)
    assert (started.returncode, started.stderr) == (0, "")
    log = host.log()
    assert [words[0] for words in log] == [
        "kldstat",
        "install",
        "install",
        *["ifconfig"] * 5,
        "daemon",
    ]
    assert log[0] == ["kldstat", "-q", "-m", "vmm"]
    user = "_unikernel-dns-primary"
    state = "/var/db/unikernels/dns-primary"
    assert log[2] == ["install", "-d", "-o", user, "-g", user, "-m", "0750", state]
    assert ifconfigs(log) == UP
    local = f"{host.root}/local"
    assert log[-1] == [
        *("daemon", "-f", "-r", "-R", "5", "-S", "-T", RC, "-P", f"{host.root}/run/{RC}.pid"),
        *("-u", "root", f"{local}/bin/solo5-hvt", "--mem=32"),
        *("--net:in=vm-dns-9702a-0", "--net:out=vm-dns-9702a-1"),
        *("--block:data=/var/db/x.img", "--block-sector-size:data=512"),
        *("--", f"{local}/{IMAGE}"),
    ]
    (host.root / "run" / f"{RC}.pid").write_text("7")
    assert host.run("start", LEAST).stdout == "already running\n"
    assert host.run("teardown", LEAST).returncode == 1
    assert host.log() == []
    assert host.run("stop", LEAST).returncode == 0
    assert ifconfigs(host.log()) == DOWN
    assert host.interfaces() == []


def test_the_command_is_that_of_other_systems(host: Host) -> None:
    configuration = Configuration(
        memory="256",
        arguments=("--ipv4=10.0.0.2/24", 'a "quoted" b\\', "%h $x ${y}"),
        networks=(
            Network(device="out", tap="tap1", mac="02:00:00:00:00:01"),
            Network(device="in", tap="tap0", bridge="bridge0"),
        ),
        blocks=(Block(device="data", file="/srv/data", sector_size="4096"),),
    )
    variables = {
        "enable": "YES",
        "memory": configuration.memory,
        "arguments": guest_line(configuration.arguments),
        "net_in_tap": "tap0",
        "net_in_bridge": "bridge0",
        "net_out_tap": "tap1",
        "net_out_bridge": "none",
        "net_out_mac": "02:00:00:00:00:01",
        "block_data_file": "/srv/data",
        "block_data_sector_size": "4096",
    }
    host.run("start", {f"{RC}_{name}": value for name, value in variables.items()})
    local = f"{host.root}/local"
    paths = Paths(image=f"{local}/{IMAGE}", tender=f"{local}/bin/solo5-hvt", sh="/bin/sh", ip="x")
    words = host.log()[-1]
    expected = command_line(DNS, configuration, paths)
    assert words[words.index("root") + 1 :] == list(expected)


def test_nothing_happens_unless_it_is_enabled(host: Host) -> None:
    assert host.run("start", {**LEAST, f"{RC}_enable": ""}).stdout == "not enabled\n"
    assert host.log() == []


TEXT: Final = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXT, min_size=6, max_size=6))
def test_hostile_values_stay_one_word(tmp_path: Path, texts: list[str]) -> None:
    memory, line, mac, bridge, file, secret = texts
    root = tmp_path / os.urandom(8).hex()
    root.mkdir()
    host = Host(root)
    described = replace(DNS, networks=("in",))
    stored = root / "local/etc/unikernels/dns-primary.arguments"
    stored.write_text(f"{secret}\n")
    stored.chmod(0o600)
    configured = {
        f"{RC}_enable": "YES",
        f"{RC}_memory": memory,
        f"{RC}_arguments": line,
        f"{RC}_net_in_tap": "t 0;'$(x)",
        f"{RC}_net_in_mac": mac,
        f"{RC}_net_in_bridge": bridge,
        f"{RC}_block_data_file": file,
    }
    done = host.run("start", configured, host.put(described))
    assert (done.returncode, done.stderr) == (0, "")
    log = host.log()
    bridged = [] if bridge == "none" else [[bridge, "addm", "t 0;'$(x)"]]
    assert ifconfigs(log)[1:-1] == bridged
    (words,) = (words for words in log if words[0] == "daemon")
    assert words[words.index("root") + 2 :] == [
        *(f"--mem={memory}", "--net:in=t 0;'$(x)", f"--net-mac:in={mac}", f"--block:data={file}"),
        *("--block-sector-size:data=512", "--", f"{root}/local/{IMAGE}", line, secret),
    ]


def test_what_is_wrong_is_said_at_once_and_nothing_is_run(host: Host) -> None:
    host.fail("kldstat")
    done = host.run("start", {f"{RC}_enable": "YES", f"{RC}_net_in_tap": "a-tap-too-long-0"})
    assert done.returncode == 1
    for said in (
        f"{RC}_net_in_tap is longer than 15 characters",
        f"{RC}_net_in_bridge is not set: Bridge",
        f"{RC}_net_out_bridge is not set: Bridge",
        f"{RC}_block_data_file is not set: File",
        "vmm is not loaded: kldload vmm",
    ):
        assert said in done.stderr
    assert [words[0] for words in host.log()] == ["kldstat"]


def test_an_interface_of_somebody_else_is_left_alone(host: Host) -> None:
    (host.root / "interfaces/vm-dns-9702a-1").touch()
    done = host.run("start", LEAST)
    assert done.returncode == 1
    assert (
        f"the interface vm-dns-9702a-1 exists; if a killed start left it: service {RC} teardown"
        in (done.stderr)
    )
    assert ifconfigs(host.log()) == []
    assert host.run("teardown", LEAST).returncode == 0
    assert host.interfaces() == []


@pytest.mark.parametrize("step", ["ifconfig-addm", "ifconfig-up", "daemon"])
def test_a_start_that_fails_leaves_nothing(host: Host, step: str) -> None:
    host.fail(step)
    assert host.run("start", LEAST).returncode == 1
    log = host.log()
    assert [words[0] for words in log].count("daemon") == (step == "daemon")
    assert ifconfigs(log)[-2:] == DOWN
    assert host.interfaces() == []


def test_a_secret_that_others_can_read_is_refused(host: Host) -> None:
    secret = host.root / "local/etc/unikernels/dns-primary.arguments"
    secret.write_text("--key=x\n")
    secret.chmod(0o640)
    done = host.run("start", LEAST)
    assert done.returncode == 1
    assert f"{secret} must be a file of mode 0600" in done.stderr
    assert host.interfaces() == []
    assert all(words[0] != "daemon" for words in host.log())


def test_a_link_is_another_instance(host: Host) -> None:
    script = host.put()
    link = host.root / f"{RC}_b"
    link.symlink_to(script)
    secret = host.root / "local/etc/unikernels/dns-primary_b.arguments"
    secret.write_text("for b")
    secret.chmod(0o600)
    own = {f"{RC}_b{name.removeprefix(RC)}": value for name, value in LEAST.items()}
    own |= {f"{RC}_b_net_in_tap": "tap-b0", f"{RC}_b_net_out_tap": "tap-b1"}
    own |= {f"{RC}_b_user": "somebody", f"{RC}_b_memory": "64"}
    assert host.run("start", LEAST | own, script).returncode == 0
    host.log()
    assert host.run("start", LEAST | own, link).returncode == 0
    log = host.log()
    assert [words[-1] for words in ifconfigs(log)] == ["tap-b0", "tap-b0", "up", "tap-b1", "up"]
    assert log[-1][log[-1].index("-T") + 1] == f"{RC}_b"
    assert log[-1][log[-1].index("-u") + 1] == "somebody"
    assert "--mem=64" in log[-1]
    assert log[-1][-1] == "for b"
    assert len(host.interfaces()) == 4


@pytest.mark.parametrize("name", [f"{RC}b", f"{RC}_", f"{RC}_b-c", "other"])
def test_a_link_of_another_name_is_refused(host: Host, name: str) -> None:
    link = host.root / name
    link.symlink_to(host.put())
    done = host.run("start", LEAST, link)
    assert done.returncode == 3
    assert f"{name} is not {RC}, and not that with _WORD behind it" in done.stderr
    assert host.log() == []


def test_at_boot_the_name_is_that_of_the_file(host: Host) -> None:
    script = host.put()
    boot = '_file=$1; set -- start; . "$_file"'
    done = host.sh(("-c", boot, "/etc/rc", str(script)), LEAST)
    assert (done.returncode, done.stderr) == (0, "")
    assert host.log()[-1][0] == "daemon"


@pytest.mark.parametrize(
    "described",
    [
        DNS,
        Service(name="7proxy", target="hvt", abi_version=2, networks=(), blocks=()),
        Service(name="a" * 60, target="hvt", abi_version=2, networks=("x" * 67,), blocks=("y",)),
    ],
    ids=lambda described: described.name[:8],
)
def test_shellcheck_has_nothing_to_say(described: Service, tmp_path: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("NO shellcheck: rc.d scripts are not checked")
    script = tmp_path / names.rc_name(described.name)
    script.write_text(rc_script(described, "It's a $(test)", IMAGE, ("a\nb",)))
    done = subprocess.run(
        ["shellcheck", "--norc", "--shell=sh", script], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_no_devices_no_taps(host: Host) -> None:
    described = replace(DNS, networks=(), blocks=())
    assert host.run("start", {f"{RC}_enable": "YES"}, host.put(described)).returncode == 0
    assert [words[0] for words in host.log()] == ["kldstat", "install", "install", "daemon"]


def test_the_message_names_what_must_be_set() -> None:
    text = message(DNS, ("Generated for a test",))
    for name in ("enable=YES", "net_in_bridge=...", "net_out_bridge=...", "block_data_file=..."):
        assert f"  sysrc {RC}_{name}\n" in text
    assert "memory" not in text
    assert text.startswith("[\n# Generated")
    assert text.endswith("EOM\n}\n]\n")
