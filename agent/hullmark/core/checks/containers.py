"""What of containers' effective settings is not as it should be. Containers of all that use the engine are looked at, not only ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Callable, Optional

from hullmark.core.checks import containerdrift, containerlisteners
from hullmark.core.checks.described import (
    Container,
    described,
    engine_untold,
    excused,
    joined,
    listed,
    of_each,
)
from hullmark.core.checks.judge import Judge, Seen, error, failed
from hullmark.model.checkkinds.containers import RULES
from hullmark.model.control import Finding

_SOCKETS = ("docker.sock", "podman.sock", "containerd.sock", "crio.sock")
_OF_A_HOST = ("NetworkMode", "PidMode", "IpcMode", "UTSMode", "UsernsMode")
_ROOTS = frozenset({"", "0", "root"})


def settings(seen: Seen) -> Finding:
    untold = engine_untold(seen)
    if untold is not None:
        return untold
    wanted = seen.texts("rules") or tuple(RULES)
    unknown = [each for each in wanted if each not in RULES]
    if unknown:
        return error(f"no such rule: {unknown[0]}; known are {', '.join(RULES)}")
    security = listed(seen.find("security"))
    if security is None:
        return error("what the engine confines containers with: not understood")
    wrong: list[str] = []
    for name, reading in of_each(seen, "container"):
        found = described(reading)
        if found is None:
            return error(f"what the engine says of container {name} is not understood")
        for rule in wanted:
            if not excused(seen.texts("except"), name, rule):
                wrong += _said(name, rule, found, security, seen.texts("paths"))
    return failed(joined(wrong)) if wrong else seen.passed()


def _said(
    name: str, rule: str, found: Container, security: Sequence[str], paths: Sequence[str]
) -> Iterator[str]:
    if rule == "unconfined":
        said: Optional[str] = _unconfined(found, security)
    elif rule == "host-paths":
        said = _host_path(found, paths)
    else:
        said = _RULES[rule](found)
    if said:
        yield f"{name} {said} ({rule})"


def _privileged(found: Container) -> str:
    return "is privileged" if found.host.get("Privileged") else ""


def _namespaces(found: Container) -> str:
    shared = [key for key in _OF_A_HOST if found.host.get(key) == "host"]
    words = [key.replace("Mode", "").replace("Userns", "user").lower() for key in shared]
    return f"has the host's {', '.join(words)} namespace" if words else ""


def _capabilities(found: Container) -> str:
    added = [str(each).upper().replace("CAP_", "", 1) for each in found.host.get("CapAdd") or ()]
    return f"has {', '.join(added)} added" if added else ""


def _devices(found: Container) -> str:
    devices = [
        str(one.get("PathOnHost") or "a device") if isinstance(one, dict) else "a device"
        for one in found.host.get("Devices") or ()
    ]
    return f"has {devices[0]}" if devices else ""


def _unconfined(found: Container, security: Sequence[str]) -> str:
    """An engine that has none of it on its host is told of by `engines.settings`."""
    options = [str(each).replace(":", "=", 1) for each in found.host.get("SecurityOpt") or ()]
    has = {each.partition(",")[0].partition("=")[2] for each in security}
    for kind, off in (
        ("seccomp", "seccomp=unconfined"),
        ("apparmor", "apparmor=unconfined"),
        ("selinux", "label=disable"),
    ):
        if kind in has and off in options:
            return f"runs with {off}"
    return (
        "runs with apparmor=unconfined"
        if "apparmor" in has and found.apparmor == "unconfined"
        else ""
    )


def _engine_socket(found: Container) -> str:
    for mount in found.mounts:
        source = str(mount.get("Source") or "")
        if source.rpartition("/")[2] in _SOCKETS:
            return f"has {source}"
    return ""


def _host_path(found: Container, paths: Sequence[str]) -> str:
    for mount in found.mounts:
        source = str(mount.get("Source") or "").rstrip("/") or "/"
        if mount.get("Type") == "bind" and source in paths:
            return f"has {source} of the host"
    return ""


def _propagation(found: Container) -> str:
    for mount in found.mounts:
        if mount.get("Propagation") in ("shared", "rshared"):
            return f"hands mounts below {mount.get('Destination')} back to the host"
    return ""


def _no_new_privileges(found: Container) -> str:
    options = [str(each).replace(":", "=", 1) for each in found.host.get("SecurityOpt") or ()]
    there = any(each in ("no-new-privileges", "no-new-privileges=true") for each in options)
    return "" if there else "can gain privileges"


def _root(found: Container) -> str:
    user = found.user.partition(":")[0]
    return "runs as root" if user in _ROOTS else ""


def _writable_root(found: Container) -> str:
    return "" if found.host.get("ReadonlyRootfs") else "can write to its image's files"


def _memory(found: Container) -> str:
    return "" if _above_zero(found.host.get("Memory")) else "has no limit of memory"


def _pids(found: Container) -> str:
    return "" if _above_zero(found.host.get("PidsLimit")) else "has no limit of processes"


def _cpu(found: Container) -> str:
    keys = ("NanoCpus", "CpuQuota", "CpuShares")
    there = any(_above_zero(found.host.get(key)) for key in keys)
    return "" if there else "has no limit of processor time"


def _above_zero(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


_RULES: Mapping[str, Callable[[Container], str]] = {
    "privileged": _privileged,
    "namespaces": _namespaces,
    "capabilities": _capabilities,
    "devices": _devices,
    "engine-socket": _engine_socket,
    "propagation": _propagation,
    "no-new-privileges": _no_new_privileges,
    "root": _root,
    "writable-root": _writable_root,
    "memory": _memory,
    "pids": _pids,
    "cpu": _cpu,
}

JUDGES: Mapping[str, Judge] = {
    "containers.settings": settings,
    "containers.drift": containerdrift.drift,
    "containers.files": containerdrift.files,
    "containers.listeners": containerlisteners.listeners,
}
