"""Names that have to be the same everywhere: allowed forms, container names, labels, store keys."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Optional

from hullmark.model.epoch import Epoch
from hullmark.model.orders import InstanceId

APP_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
"""The Compose Specification's project name, cut to 63 characters. It holds no dot."""

SERVICE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}")
"""The Compose Specification's service key, with an alphanumeric first character as engines ask for."""

HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
"""RFC 1123 host names in lower case."""

HOSTS_FILE = "/etc/hosts"
"""Of a container: where it has the names of services."""

LABEL_PREFIX = "io.hullmark."
LABEL_CLUSTER = LABEL_PREFIX + "cluster"
LABEL_APP = LABEL_PREFIX + "app"
LABEL_SERVICE = LABEL_PREFIX + "service"
LABEL_SLOT = LABEL_PREFIX + "slot"
LABEL_GENERATION = LABEL_PREFIX + "generation"
LABEL_SPEC_HASH = LABEL_PREFIX + "spec-hash"
LABEL_EPOCH = LABEL_PREFIX + "epoch"
LABEL_SCOPE = LABEL_PREFIX + "scope"
"""A service's scope, where its app says one. No other place of a container has it: what is judged is what the engine has."""
LABEL_MADE = LABEL_PREFIX + "made"
"""With which rights, limits and mounts of the host a container was made: what can be changed later is held against it."""
LABEL_NETWORK = LABEL_PREFIX + "network"
LABEL_VOLUME = LABEL_PREFIX + "volume"

_SLOT = re.compile(r"[0-9]{1,9}")
_GENERATION = re.compile(r"g([0-9]{1,9})")


def parse_container_name(name: str) -> Optional[InstanceId]:
    """The instance that a container name belongs to, or None where the name isn't one of ours."""
    name = name.lstrip("/")
    app, _, rest = name.partition(".")
    parts = rest.rsplit(".", 2)
    if len(parts) != 3 or not (APP_NAME.fullmatch(app) and SERVICE_NAME.fullmatch(parts[0])):
        return None
    generation = _GENERATION.fullmatch(parts[2])
    if generation is None or not _SLOT.fullmatch(parts[1]):
        return None
    instance = InstanceId(app, parts[0], int(parts[1]), int(generation.group(1)))
    # `web.01` would be read as slot 1 as well, but no container of that slot has this name.
    return instance if instance.container_name == name else None


def instance_labels(
    cluster_id: str, instance: InstanceId, spec_hash: str, epoch: Epoch, scope: str = ""
) -> dict[str, str]:
    """The labels that mark a container as ours and say which instance it is."""
    labels = {
        LABEL_CLUSTER: cluster_id,
        LABEL_APP: instance.app,
        LABEL_SERVICE: instance.service,
        LABEL_SLOT: str(instance.slot),
        LABEL_GENERATION: str(instance.generation),
        LABEL_SPEC_HASH: spec_hash,
        LABEL_EPOCH: str(epoch),
    }
    return {**labels, LABEL_SCOPE: scope} if scope else labels


def engine_name(app: str, key: str) -> str:
    """The engine's name for an app's network or volume: `app_key`, as Compose names them."""
    return f"{app}_{key}"


def known_as(service: str, aliases: Iterable[str]) -> list[str]:
    """The names that a container of this service has on a network, beside its own."""
    return sorted({service, *aliases})


# Keys of the store. Every key begins with ROOT; a name in a key holds no slash.
ROOT = "/hullmark/"
CLUSTER_KEY = ROOT + "cluster"
LEADER_KEY = ROOT + "leader"
PULSE_KEY = ROOT + "pulse"
TERMS_KEY = ROOT + "terms"
RESTORING_KEY = ROOT + "restoring"
"""There while a snapshot is being restored, so that nobody makes a cluster of what is half there."""
MASTERS = ROOT + "masters/"
MARK_KEY = ROOT + "mark"
"""The newest write that was only to show that writes are accepted."""
APPS = ROOT + "apps/"
HOSTS = ROOT + "hosts/"
ASSIGNMENTS = ROOT + "assignments/"
REQUESTS = ROOT + "requests/"
INVITES = ROOT + "invites/"
SESSIONS = ROOT + "sessions/"
TOKENS = ROOT + "tokens/"
HOMES = ROOT + "homes/"
ROLLOUTS = ROOT + "rollouts/"
HISTORY = ROOT + "history/"
"""Of generations: `APP/GENERATION`, ten digits. Read when asked for, never held in memory."""
CONTROL = ROOT + "control/"
CONTROL_KEY = CONTROL + "document"
PENDING = ROOT + "pending/"
BREAK_GLASS = ROOT + "breakglass/"
INCIDENTS = ROOT + "incidents/"
LOADLINE = ROOT + "loadline/"
LOADLINE_KEY = LOADLINE + "document"
"""The mark: which controls a host has to prove before it gets new work."""
SERVICE_ADDRESSES = ROOT + "service_addresses"
"""One value: all of them, and what was released."""
PROXIES = ROOT + "proxies/"
"""What a leader last knew of each host's proxy. Nothing is planned from it."""
PLANNED = (APPS, HOSTS, ASSIGNMENTS, HOMES, ROLLOUTS, LOADLINE, SERVICE_ADDRESSES)
"""What a plan, or what hosts are told of services, is made from."""
EVENTS = ROOT + "events/"
