"""From the engine's answers to our own terms: pure. Docker and Podman differ in a few forms."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional

from hullmark.engine.protocol import Container, ContainerState, EngineEvent, Hand, Listed
from hullmark.model import names
from hullmark.model.app import Healthcheck
from hullmark.model.epoch import NO_EPOCH, Epoch
from hullmark.model.moments import NS_PER_S, nanoseconds
from hullmark.model.observed import Health
from hullmark.model.orders import InstanceId, PublishedPort

HEALTH_OUTPUT_MAX = 200
LOOPBACK = "127.0.0.1"
"""Characters of a failed check's output that are kept."""

_STATES = {
    "created": ContainerState.CREATED,
    "configured": ContainerState.CREATED,
    "initialized": ContainerState.CREATED,
    "running": ContainerState.RUNNING,
    "paused": ContainerState.PAUSED,
    "restarting": ContainerState.RESTARTING,
    "stopping": ContainerState.RUNNING,
    "stopped": ContainerState.EXITED,
    "exited": ContainerState.EXITED,
    "removing": ContainerState.DEAD,
    "dead": ContainerState.DEAD,
}

UP = frozenset({ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING})

_HEALTH = {
    "starting": Health.STARTING,
    "healthy": Health.HEALTHY,
    "unhealthy": Health.UNHEALTHY,
}

_ACTIONS = {
    "died": "die",
    "remove": "destroy",
    "exec": "exec_create",
    "exec_died": "exec_die",
    "loadfromarchive": "load",
    "prune": "destroy",
}
"""Podman's names of what Docker has its own for."""
ABOUT = ("container", "image", "network", "volume")
TOLD = (
    *("create", "start", "restart", "die", "stop", "kill", "oom", "pause", "unpause", "destroy"),
    *("rename", "update", "health_status", "exec_create", "commit", "attach", "archive-path"),
    *("extract-to-dir", "copy", "export", "checkpoint", "restore"),
    *("connect", "disconnect"),
    *("pull", "push", "load", "import", "save", "tag", "untag", "delete"),
)
"""The events that Docker is asked for. Of a command it tells when it was made, when it began and when it ended: the first is
enough."""


def container(inspected: Mapping[str, Any]) -> Optional[Container]:
    """None for one whose labels don't say which instance it is."""
    config, state = inspected["Config"], inspected["State"]
    labels = config.get("Labels") or {}
    instance = instance_of(labels)
    if instance is None:
        return None
    check = healthcheck(config.get("Healthcheck") or {})
    health = state.get("Health") or state.get("Healthcheck") or {}
    found = _STATES.get(str(state.get("Status", "")).lower(), ContainerState.DEAD)
    ended = found in (ContainerState.EXITED, ContainerState.DEAD)
    word = _HEALTH.get(health.get("Status", ""), Health.STARTING) if check else Health.NONE
    return Container(
        container_id=inspected["Id"],
        name=str(inspected["Name"]).lstrip("/"),
        instance=instance,
        cluster_id=labels.get(names.LABEL_CLUSTER, ""),
        spec_hash=labels.get(names.LABEL_SPEC_HASH, ""),
        epoch=_epoch(labels.get(names.LABEL_EPOCH, "")),
        state=found,
        health=word,
        health_output=_last_failure(health) if word is Health.UNHEALTHY else "",
        exit_code=int(state.get("ExitCode") or 0) if ended else None,
        error=str(state.get("Error") or ""),
        oom_killed=bool(state.get("OOMKilled")),
        image=str(config.get("Image") or ""),
        image_id=str(inspected.get("Image") or ""),
        started_at=seconds(state.get("StartedAt")),
        finished_at=seconds(state.get("FinishedAt")) if ended else 0.0,
        addresses=_addresses(inspected),
        ports=_ports(inspected),
        healthcheck=check,
        hostname=str(config.get("Hostname") or ""),
        domainname=str(config.get("Domainname") or ""),
        extra_hosts=tuple((inspected.get("HostConfig") or {}).get("ExtraHosts") or ()),
        hosts_file=_hosts_file(inspected),
        pid=int(state.get("Pid") or 0),
    )


def _hosts_file(inspected: Mapping[str, Any]) -> str:
    for mount in inspected.get("Mounts") or ():
        if mount.get("Destination") == names.HOSTS_FILE:
            return str(mount.get("Source") or "")
    return ""


def _last_failure(health: Mapping[str, Any]) -> str:
    """What the last check that failed printed, as one short line of printable text."""
    for entry in reversed(health.get("Log") or ()):
        if entry.get("ExitCode"):
            words = " ".join(str(entry.get("Output") or "").split())
            return "".join(each for each in words if each.isprintable())[:HEALTH_OUTPUT_MAX]
    return ""


def healthcheck(check: Mapping[str, Any]) -> Optional[Healthcheck]:
    """None where there is none, or it is switched off. What isn't said is as both engines then do it."""
    test = tuple(check.get("Test") or ())
    if not test or test[0] == "NONE":
        return None
    return Healthcheck(
        test,
        (check.get("Interval") or 0) / 1e9 or 30.0,
        (check.get("Timeout") or 0) / 1e9 or 30.0,
        check.get("Retries") or 3,
        (check.get("StartPeriod") or 0) / 1e9,
    )


def listed(row: Mapping[str, Any]) -> Listed:
    """A row of the engine's listing. Its health stands in words in the status text. Docker's has addresses, Podman's own the first
    process."""
    status = str(row.get("Status") or "").lower()
    health = next(
        (_HEALTH[word] for word in ("unhealthy", "healthy", "starting") if word in status),
        Health.NONE,
    )
    state = _STATES.get(str(row.get("State") or "").lower(), ContainerState.DEAD)
    return Listed(
        row["Id"],
        str((row.get("Names") or [""])[0]).lstrip("/"),
        state,
        health,
        _addresses(row) if row.get("NetworkSettings") else None,
        int(row.get("Pid") or 0),
    )


def whole(found: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Of a container of Podman's: what it says in Docker's terms and what only its own API tells."""
    annotations = (own.get("Config") or {}).get("Annotations") or {}
    return {**found, "BoundingCaps": own.get("BoundingCaps") or [], "Annotations": annotations}


def hands(rows: Sequence[Mapping[str, Any]]) -> Iterator[Hand]:
    """Of a listing: what those containers that are up write to on the host."""
    for row in rows:
        one = listed(row)
        for mount in row.get("Mounts") or () if one.state in UP else ():
            if mount.get("RW") and str(mount.get("Source") or "").startswith("/"):
                yield Hand(one.container_id, one.name, str(mount["Source"]))


def file_stat(header: str) -> dict[str, Any]:
    """Of the header that tells what is at a path. Empty where it can't be read."""
    try:
        found = json.loads(base64.b64decode(header))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def events_wanted(engine: str) -> dict[str, str]:
    """Parameters of the stream of events."""
    if engine == "podman":
        return {}  # not every version of it takes several values of one filter
    return {"filters": json.dumps({"type": ABOUT, "event": TOLD})}


def event(found: Mapping[str, Any]) -> Optional[EngineEvent]:
    """None for what is no container, image, network or volume. An action such as `health_status: healthy` is taken apart."""
    about = str(found.get("Type") or "container")
    if about not in ABOUT:
        return None
    actor = found.get("Actor") or {}
    attributes = actor.get("Attributes") or {}
    text = str(found.get("Action") or found.get("status") or "")
    action, _, detail = text.partition(": ")
    at_ns = found.get("timeNano")
    fields = {
        key: str(value)
        for key, value in attributes.items()
        if not key.startswith(names.LABEL_PREFIX)
    }
    subject_id = str(actor.get("ID") or found.get("id") or "")
    action = _ACTIONS.get(action, action)
    return EngineEvent(
        action="delete" if (about, action) == ("image", "destroy") else action,
        container_id=subject_id,
        name=str(attributes.get("name") or subject_id).lstrip("/"),
        at=at_ns / 1e9 if at_ns else float(found.get("time") or 0),
        fields={**fields, "detail": detail} if detail else fields,
        about=about,
        ours=about == "container" and names.LABEL_CLUSTER in attributes,
    )


def instance_of(labels: Mapping[str, str]) -> Optional[InstanceId]:
    """The instance that labels name, None where they don't."""
    try:
        return InstanceId(
            labels[names.LABEL_APP],
            labels[names.LABEL_SERVICE],
            int(labels[names.LABEL_SLOT]),
            int(labels[names.LABEL_GENERATION]),
        )
    except (KeyError, ValueError):
        return None


def seconds(text: Optional[str]) -> float:
    """An engine's time (RFC 3339) as seconds since 1970; 0.0 for none and for the year 1."""
    return max(0.0, (nanoseconds(text or "") or 0) / NS_PER_S)


def _epoch(text: str) -> Epoch:
    try:
        return Epoch.parse(text)
    except ValueError:
        return NO_EPOCH


def _addresses(inspected: Mapping[str, Any]) -> dict[str, str]:
    networks = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    return {
        name: place["IPAddress"]
        for name, place in sorted(networks.items())
        if place and place.get("IPAddress")
    }


def _ports(inspected: Mapping[str, Any]) -> tuple[PublishedPort, ...]:
    """Bound host ports; IPv6 repeats of an IPv4 binding are left out."""
    bound = (inspected.get("NetworkSettings") or {}).get("Ports") or {}
    found = []
    for port, bindings in bound.items():
        target, _, protocol = port.partition("/")
        addresses: dict[int, set[str]] = {}
        for binding in bindings or ():
            if binding.get("HostPort"):
                at = addresses.setdefault(int(binding["HostPort"]), set())
                at.add(str(binding.get("HostIp") or ""))
        for published, given in addresses.items():
            for address in _meant(given):
                found.append(PublishedPort(int(target), published, protocol or "tcp", address))
    return tuple(sorted(found, key=lambda p: (p.target, p.protocol, p.host_ip, p.published)))


def _meant(addresses: set[str]) -> set[str]:
    """A port on loopback and on others beside it is one that names no address (`CreateRequest.addresses`)."""
    if len(addresses) > 1 and LOOPBACK in addresses:
        return {""}
    return {"" if address in ("0.0.0.0", "::") else address for address in addresses}
