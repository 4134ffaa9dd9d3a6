"""What a service asks for that gives its container more of the host than a container should have.

Nothing here is refused: what a host allows is the host's own decision. Each is a warning that says what is given.
"""

from __future__ import annotations

import posixpath

from hullmark.compose.findings import Node
from hullmark.model.app import ContainerSpec, Mount, MountKind, Volume

_KEYS = {
    ("privileged", True): "the host: every device, every capability",
    ("pid", "host"): "the host's processes: it sees them all and may signal them",
    ("ipc", "host"): "the shared memory of the host's processes",
    ("userns_mode", "host"): "the host's user ids: its root is the host's root",
    ("network_mode", "host"): "the host's network: its ports, and what listens on loopback only",
    ("cgroup", "host"): "the host's control groups",
}
_CAPABILITIES = {
    "ALL": "the host",
    "BPF": "the host's kernel",
    "DAC_READ_SEARCH": "every file of the host",
    "NET_ADMIN": "its networks' settings: addresses, routes, firewall",
    "SYS_ADMIN": "the host",
    "SYS_BOOT": "the host: it may restart it",
    "SYS_MODULE": "the host: it may load kernel modules",
    "SYS_PTRACE": "every process that it sees",
    "SYS_RAWIO": "the host's memory and disks",
    "SYS_TIME": "the host's clock",
}
_UNCONFINED = {
    "seccomp=unconfined": "the filter of system calls",
    "apparmor=unconfined": "AppArmor",
    "label=disable": "SELinux",
    "systempaths=unconfined": "the cover over the kernel's files",
}
_FOLDERS = {
    "/": "all of the host's files",
    "/boot": "the host's kernel",
    "/dev": "the host's devices",
    "/etc": "the host's configuration, with its passwords and keys",
    "/proc": "the host's processes",
    "/root": "the host's root's own files",
    "/run": "the host's sockets, an engine's among them",
    "/sys": "the host's kernel settings",
    "/var": "the data of the engine and of Hullmark",
    "/var/lib": "the data of the engine and of Hullmark",
    "/var/run": "the host's sockets, an engine's among them",
}
_WITH_ALL_BELOW = {
    "/etc/hullmark": "Hullmark's configuration",
    "/var/lib/containerd": "the engine's data: every container",
    "/var/lib/containers": "the engine's data: every container",
    "/var/lib/docker": "the engine's data: every container",
    "/var/lib/hullmark": "the keys of this host, or of the cluster",
}
_SOCKETS = ("docker.sock", "podman.sock", "containerd.sock", "crio.sock")
_GIVES = "gives the container"


def warn_container(service: Node, spec: ContainerSpec) -> None:
    for (key, value), what in _KEYS.items():
        if getattr(spec, key) == value:
            service.child(key).warn(f"{_GIVES} {what}")
    for name in spec.cap_add:
        if name in _CAPABILITIES:
            service.child("cap_add").warn(f"{name} {_GIVES} {_CAPABILITIES[name]}")
    for option in spec.security_opt:
        what = _UNCONFINED.get(option.replace(":", "=", 1), "")
        if what:
            service.child("security_opt").warn(f"{option} takes away {what} around the container")
    if spec.devices:
        sources = ", ".join(device.partition(":")[0] for device in spec.devices)
        service.child("devices").warn(f"{_GIVES} devices of the host: {sources}")


def warn_mount(item: Node, mount: Mount) -> None:
    what = _of_path(mount.source) if mount.kind is MountKind.BIND else ""
    if what:
        item.warn(f"{_GIVES} {what}")


def warn_volume(item: Node, volume: Volume) -> None:
    """A volume's driver can bind a folder of the host just as well."""
    options = volume.driver_options
    words = {*options.get("o", "").split(","), options.get("type", "")}
    what = _of_path(options.get("device", "")) if words & {"bind", "rbind"} else ""
    if what:
        item.warn(f"{_GIVES} {what}")


def _of_path(source: str) -> str:
    """What a path of the host gives away; empty for one that gives nothing in particular."""
    if not source.startswith("/"):
        return ""
    path = "/" + posixpath.normpath(source).lstrip("/")
    if posixpath.basename(path) in _SOCKETS:
        return "the host: who may use the engine's socket is its root"
    for folder, what in _WITH_ALL_BELOW.items():
        if f"{path}/".startswith(f"{folder}/"):
            return what
    return _FOLDERS.get(path, "")
