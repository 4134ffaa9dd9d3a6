"""What the engine says that it has for Hullmark's apps: containers, networks, and how it treats containers when it is restarted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

from hullmark.errors import HullmarkError
from hullmark.footprint.snapshot import Unseen
from hullmark.model import names

if TYPE_CHECKING:
    from hullmark.engine.connection import Connection

NOT_INSTALLED = "containers are asked for by the package hullmark-agent, which is not installed"


@dataclass(frozen=True)
class Container:
    """`ports`: (protocol, host port); `folders`: (where on the host, why)."""

    container_id: str
    name: str
    app: str
    state: str
    addresses: tuple[str, ...] = ()
    ports: tuple[tuple[str, int], ...] = ()
    folders: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Network:
    name: str
    app: str
    bridge: str
    subnets: tuple[str, ...]


@dataclass(frozen=True)
class Holdings:
    """`live_restore` None: the engine has no such choice, because its containers never depend on a daemon."""

    engine: str
    version: str
    socket: str
    live_restore: Optional[bool]
    containers: tuple[Container, ...] = ()
    networks: tuple[Network, ...] = ()


def ask(socket_url: str) -> Holdings:
    """`socket_url` empty: the engine's usual sockets are tried. Raises Unseen."""
    try:
        from hullmark.engine.connection import Connection  # noqa: PLC0415  (in another package)
        from hullmark.engine.docker_api import find_engine  # noqa: PLC0415
    except ImportError as error:
        raise Unseen(NOT_INSTALLED) from error
    try:
        connection = Connection(find_engine(socket_url))
        try:
            return _holdings(connection)
        finally:
            connection.close()
    except HullmarkError as error:
        raise Unseen(error.message) from error


def _holdings(connection: Connection) -> Holdings:
    about = connection.info()
    podman = about.name == "podman"
    live_restore = None if podman else bool(connection.get("/info").get("LiveRestoreEnabled"))
    labelled = json.dumps({"label": [names.LABEL_CLUSTER]})
    rows = connection.get("/containers/json", all="true", filters=labelled)
    found = [connection.get(f"/containers/{row['Id']}/json") for row in rows]
    networks = connection.get("/networks", filters=json.dumps({"label": [names.LABEL_NETWORK]}))
    bridges = {}
    if podman:
        own = connection.get("/v4.0.0/libpod/networks/json")
        bridges = {one.get("name"): one.get("network_interface", "") for one in own}
    return Holdings(
        about.name,
        about.version,
        about.socket,
        live_restore,
        tuple(sorted((container(one) for one in found), key=lambda one: one.name)),
        tuple(sorted((network(one, bridges) for one in networks), key=lambda one: one.name)),
    )


def container(inspected: Mapping[str, Any]) -> Container:
    settings = inspected.get("NetworkSettings") or {}
    places = (settings.get("Networks") or {}).values()
    ports = {
        (port.partition("/")[2] or "tcp", int(binding["HostPort"]))
        for port, bindings in (settings.get("Ports") or {}).items()
        for binding in bindings or ()
        if binding.get("HostPort")
    }
    labels = (inspected.get("Config") or {}).get("Labels") or {}
    folders = [(mount.get("Source"), _mount(mount)) for mount in inspected.get("Mounts") or ()]
    folders.append((inspected.get("LogPath"), "its output, kept by the engine"))
    return Container(
        str(inspected["Id"]),
        str(inspected.get("Name", "")).lstrip("/"),
        labels.get(names.LABEL_APP, ""),
        str((inspected.get("State") or {}).get("Status", "")),
        tuple(sorted(place["IPAddress"] for place in places if place and place.get("IPAddress"))),
        tuple(sorted(ports)),
        tuple(sorted((str(path), why) for path, why in folders if path)),
    )


def _mount(mount: Mapping[str, Any]) -> str:
    if mount.get("Type") == "volume":
        return f"volume {mount.get('Name', '')}, mounted at {mount.get('Destination', '')}"
    place = mount.get("Destination", "")
    if place == names.HOSTS_FILE:
        return f"mounted at {place}: names of services, kept by the agent, unless the app's file mounts one"
    return f"of the host, mounted at {place} as the app's file says"


def network(found: Mapping[str, Any], bridges: Mapping[Any, str]) -> Network:
    """Docker names a bridge after its network's id, unless it is told a name."""
    options = found.get("Options") or {}
    bridge = bridges.get(found.get("Name")) or options.get("com.docker.network.bridge.name")
    pools = (found.get("IPAM") or {}).get("Config") or ()
    return Network(
        str(found["Name"]),
        (found.get("Labels") or {}).get(names.LABEL_APP, ""),
        bridge or f"br-{str(found.get('Id', ''))[:12]}",
        tuple(pool["Subnet"] for pool in pools if pool.get("Subnet")),
    )
