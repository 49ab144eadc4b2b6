"""How every systemd target confines tenders and the services of tools.

Sources: systemd.exec(5) and systemd.resource-control(5); Solo5 0.8 to 0.12 `tenders/{hvt,spt}`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting that confines a tender, as systemd.exec(5) names it."""

    name: str
    """Name of the setting."""
    value: str
    """Its value; never one that needs quoting."""
    reason: str
    """Why it is so, or what the tender needs of it."""
    hvt_only: bool = False
    """Whether solo5-spt cannot live with it."""


HARDENING: Final = (
    Setting(name="AmbientCapabilities", value="", reason="A tender needs no capability."),
    Setting(name="CapabilityBoundingSet", value="", reason="A tender needs no capability."),
    Setting(name="NoNewPrivileges", value="yes", reason="Both tenders set it for seccomp anyway."),
    Setting(
        name="DevicePolicy",
        value="closed",
        reason="Only the devices of DeviceAllow and those like /dev/null.",
    ),
    Setting(name="ProtectSystem", value="strict", reason="Only its own state is writable."),
    Setting(name="ProtectHome", value="yes", reason="Block files do not belong in a home."),
    Setting(name="PrivateTmp", value="yes", reason="A tender makes no temporary files."),
    Setting(name="PrivateMounts", value="yes", reason="It mounts nothing that others should see."),
    Setting(name="ProtectClock", value="yes", reason="An image may read the clock only."),
    Setting(name="ProtectControlGroups", value="yes", reason="It makes no control groups."),
    Setting(name="ProtectHostname", value="yes", reason="It never sets the name of the host."),
    Setting(name="ProtectKernelLogs", value="yes", reason="It never reads the kernel's log."),
    Setting(name="ProtectKernelModules", value="yes", reason="kvm and tun are loaded before."),
    Setting(name="ProtectKernelTunables", value="yes", reason="It changes no tunables."),
    Setting(name="ProtectProc", value="invisible", reason="It looks at no other process."),
    Setting(name="ProcSubset", value="pid", reason="It reads nothing else of /proc."),
    Setting(name="KeyringMode", value="private", reason="It uses no keys of the kernel."),
    Setting(name="RemoveIPC", value="yes", reason="It leaves no shared memory behind."),
    Setting(
        name="RestrictAddressFamilies",
        value="AF_INET AF_NETLINK",
        reason="For getifaddrs, and for the ioctl that asks a tap for its MTU.",
    ),
    Setting(
        name="IPAddressDeny",
        value="any",
        reason="Packets of the image go through the tap, never through a socket.",
    ),
    Setting(name="RestrictNamespaces", value="yes", reason="It makes no namespaces."),
    Setting(name="RestrictRealtime", value="yes", reason="It asks for no realtime scheduling."),
    Setting(name="RestrictSUIDSGID", value="yes", reason="It makes no set-user-id files."),
    Setting(name="SystemCallArchitectures", value="native", reason="One machine, one ABI."),
    Setting(
        name="SystemCallFilter",
        value="@system-service seccomp",
        reason="The tenders install their own, narrower filter with seccomp(2). LockPersonality="
        " must stay off: both ask personality(2) for the current one, which it forbids.",
    ),
    Setting(name="UMask", value="0077", reason="Block files are for the unikernel's user only."),
    Setting(
        name="MemoryDenyWriteExecute",
        value="yes",
        reason="solo5-spt makes the text of the image executable in its own memory.",
        hvt_only=True,
    ),
    Setting(
        name="KillSignal",
        value="SIGKILL",
        reason="A tender does not tell the image about signals; at SIGTERM it would only end with"
        " status 1, as a failing image does.",
    ),
    Setting(name="SuccessExitStatus", value="SIGKILL", reason="It was stopped, see KillSignal=."),
    Setting(
        name="RestartSec",
        value="5",
        reason="Slow enough for a failing image not to meet the default limit of 5 starts in 10 s.",
    ),
)
"""How every systemd target confines a tender; no capabilities, no devices but its own."""

DAEMON_HARDENING: Final = (
    Setting(name="AmbientCapabilities", value="", reason="It needs no capability."),
    Setting(name="CapabilityBoundingSet", value="", reason="It needs no capability."),
    Setting(name="NoNewPrivileges", value="yes", reason="It needs no capability."),
    Setting(name="DevicePolicy", value="closed", reason="It uses no devices but those like null."),
    Setting(name="PrivateDevices", value="yes", reason="It uses no devices but those like null."),
    Setting(name="ProtectSystem", value="strict", reason="Only its own state is writable."),
    Setting(name="ProtectHome", value="yes", reason="Only its own state is writable."),
    Setting(name="PrivateTmp", value="yes", reason="Its temporary files are nobody else's."),
    Setting(name="ProtectClock", value="yes", reason="It is no part of the system."),
    Setting(name="ProtectControlGroups", value="yes", reason="It is no part of the system."),
    Setting(name="ProtectHostname", value="yes", reason="It is no part of the system."),
    Setting(name="ProtectKernelLogs", value="yes", reason="It is no part of the system."),
    Setting(name="ProtectKernelModules", value="yes", reason="It is no part of the system."),
    Setting(name="ProtectKernelTunables", value="yes", reason="It is no part of the system."),
    Setting(name="ProtectProc", value="invisible", reason="It looks at no process of others."),
    Setting(name="KeyringMode", value="private", reason="It uses no keys of the kernel."),
    Setting(name="RestrictNamespaces", value="yes", reason="It makes no namespaces."),
    Setting(name="RestrictRealtime", value="yes", reason="It asks for no realtime scheduling."),
    Setting(name="RestrictSUIDSGID", value="yes", reason="It makes no set-user-id files."),
    Setting(name="LockPersonality", value="yes", reason="One machine, one ABI."),
    Setting(name="SystemCallArchitectures", value="native", reason="One machine, one ABI."),
    Setting(name="MemoryDenyWriteExecute", value="yes", reason="It makes no code while it runs."),
    Setting(name="SystemCallFilter", value="@system-service", reason="What a daemon calls."),
    Setting(name="UMask", value="0027", reason="What it writes is not for everybody."),
)
"""How every systemd target confines the service of a tool, unless its description says why not."""
