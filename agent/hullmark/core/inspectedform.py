"""From what inspect says of a container to the form of a request, so that both are judged by the same rules.

Docker and Podman word some things differently, and tell some that no request of ours can ask for: those are judged here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hullmark.core.judgement import Case, cited

_PLAIN = (
    "Privileged",
    "ReadonlyRootfs",
    "CapAdd",
    "CapDrop",
    "SecurityOpt",
    "GroupAdd",
    "PidMode",
    "IpcMode",
    "UTSMode",
)
_MORE = (
    "UsernsMode",
    "CgroupnsMode",
    "Devices",
    "Sysctls",
    "Ulimits",
    "ShmSize",
    "OomScoreAdj",
    "NanoCpus",
    "CpuQuota",
)
_MOST = (
    "CpuPeriod",
    "Memory",
    "MemorySwap",
    "PidsLimit",
    "LogConfig",
    "Annotations",
    "PortBindings",
    "NetworkMode",
)
KEPT = (*_PLAIN, *_MORE, *_MOST)


def body_of(inspected: Mapping[str, Any]) -> dict[str, Any]:
    """Of `GET /containers/ID/json` of either engine."""
    config, host = inspected.get("Config") or {}, inspected.get("HostConfig") or {}
    networks = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    kept = {key: host[key] for key in KEPT if host.get(key) not in (None, "", [], {})}
    return {
        "Image": str(config.get("Image") or ""),
        "Labels": config.get("Labels") or {},
        "User": str(config.get("User") or ""),
        "HostConfig": {**kept, "Mounts": [_mount(each) for each in inspected.get("Mounts") or ()]},
        "NetworkingConfig": {"EndpointsConfig": {name: {} for name in networks}},
    }


def _mount(mount: Mapping[str, Any]) -> dict[str, Any]:
    volume = mount.get("Type") == "volume"
    return {
        "Type": str(mount.get("Type") or ""),
        "Source": str((mount.get("Name") if volume else mount.get("Source")) or ""),
        "Target": str(mount.get("Destination") or ""),
        "ReadOnly": not mount.get("RW"),
        "BindOptions": {"Propagation": str(mount.get("Propagation") or "")},
    }


def judge_only_inspected(case: Case, inspected: Mapping[str, Any]) -> None:
    """What a request of ours can't ask for, and a container has all the same."""
    host = inspected.get("HostConfig") or {}
    for field in ("DeviceCgroupRules", "DeviceRequests"):
        if host.get(field) and case.rules["devices"].items is not None:
            case.no("devices", f"{field} {cited(host[field])}")
    if host.get("VolumesFrom"):
        case.never(f"it takes the volumes of another container, {cited(host['VolumesFrom'])}")
