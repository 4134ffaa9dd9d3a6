"""From what inspect says of a container to the form of a request, so that both are judged by the same rules.

Docker and Podman word some things differently, and tell some that no request of ours can ask for: those are judged here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hullmark.core.judgedidentity import steers
from hullmark.core.judgement import Case, cited, fits

KEPT = (
    *("Privileged", "ReadonlyRootfs", "SecurityOpt", "CapAdd", "CapDrop", "GroupAdd", "Devices"),
    *("PidMode", "IpcMode", "UTSMode", "UsernsMode", "CgroupnsMode", "Sysctls", "Ulimits"),
    *("ShmSize", "OomScoreAdj", "NanoCpus", "CpuQuota", "CpuPeriod", "Memory", "MemorySwap"),
    *("PidsLimit", "LogConfig", "Annotations", "PortBindings"),
)
"""Of HostConfig: what is judged as in a request. All else stands in `body_of`, or in `judge_only_inspected`."""
EXACT = "BoundingCaps"
"""Capabilities as the kernel has them; Podman's own API tells them."""
TOLD = "Annotations"
"""What Podman gives to its runtime, by its own API: with those that the image brought, which no request shows."""
_PODMANS = (
    "io.podman.annotations.*",
    "io.container.manager",
    "io.kubernetes.cri-o.*",
    "org.systemd.property.KillSignal",
    "org.systemd.property.TimeoutStopUSec",
)
"""It writes these itself, and takes the first kind from no image."""


def body_of(inspected: Mapping[str, Any]) -> dict[str, Any]:
    """Of `GET /containers/ID/json` of either engine."""
    config, host = inspected.get("Config") or {}, inspected.get("HostConfig") or {}
    networks = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    kept = {key: host[key] for key in KEPT if host.get(key) not in (None, "", [], {})}
    if EXACT in inspected:
        kept.update(CapAdd=inspected[EXACT] or [], CapDrop=["ALL"])
        told = {**(host.get("Annotations") or {}), **(inspected.get(TOLD) or {})}
        kept["Annotations"] = {name: told[name] for name in told if _steers_podman(name)}
    return {
        "Image": str(config.get("Image") or ""),
        "Labels": config.get("Labels") or {},
        "User": str(config.get("User") or ""),
        "WorkingDir": str(config.get("WorkingDir") or ""),
        "HostConfig": {
            **kept,
            "NetworkMode": _mode(str(host.get("NetworkMode") or ""), tuple(networks)),
            "Mounts": [_mount(each) for each in inspected.get("Mounts") or ()],
        },
        "NetworkingConfig": {"EndpointsConfig": {name: {} for name in networks}},
    }


def _steers_podman(annotation: str) -> bool:
    return steers(annotation) and not fits(_PODMANS, annotation)


def _mode(mode: str, networks: Sequence[str]) -> str:
    """Podman says `bridge` of every container that is on networks, whatever their names."""
    return networks[0] if mode == "bridge" and networks and "bridge" not in networks else mode


def _mount(mount: Mapping[str, Any]) -> dict[str, Any]:
    volume = mount.get("Type") == "volume"
    relabels = not {"z", "Z"}.isdisjoint(str(mount.get("Mode") or "").split(","))
    return {
        "Type": str(mount.get("Type") or ""),
        "Source": str((mount.get("Name") if volume else mount.get("Source")) or ""),
        "Target": str(mount.get("Destination") or ""),
        "ReadOnly": not mount.get("RW") and not relabels,
        "BindOptions": {"Propagation": "" if volume else str(mount.get("Propagation") or "")},
    }


UNCOVERED = "MaskedPaths"


def judge_only_inspected(case: Case, inspected: Mapping[str, Any]) -> None:
    """What a request of ours can't ask for, and a container has all the same."""
    host = inspected.get("HostConfig") or {}
    for field in ("DeviceCgroupRules", "DeviceRequests"):
        if host.get(field) and case.rules["devices"].items is not None:
            case.no("devices", f"{field} {cited(host[field])}")
    if host.get("VolumesFrom") and not case.yes("join_namespaces"):
        case.no("join_namespaces", f"it takes the volumes of {cited(host['VolumesFrom'])}")
    docker = case.sights.engine == "docker"  # Podman doesn't tell
    uncovered = docker and UNCOVERED in host and not host[UNCOVERED]
    if uncovered and not host.get("Privileged") and not case.yes("system_paths"):
        case.no("system_paths", "the cover is off the kernel's files")
