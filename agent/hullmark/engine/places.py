"""Where containers live: networks and named volumes."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional

from hullmark.engine import subnets
from hullmark.engine.connection import Connection, segment
from hullmark.engine.protocol import Deed, DeedKind, Gate
from hullmark.errors import Conflict, NotFound, PolicyRefused, Refused
from hullmark.model import names
from hullmark.model.app import Network, Volume
from hullmark.model.wire import digest

HostNetworks = Callable[[], Sequence[ipaddress.IPv4Network]]

_TAKEN = ("overlap", "already used", "already being used")
"""Words of the engines for a subnet that somebody has."""

_IN_USE = ("active endpoints", "being used", "has associated containers")


class Places:
    """`pool` and `prefix`: where networks get their addresses. `host_networks` gives what the host itself knows."""

    def __init__(
        self,
        connection: Connection,
        gate: Gate,
        pool: ipaddress.IPv4Network,
        prefix: int,
        host_networks: HostNetworks,
    ) -> None:
        self._connection = connection
        self._gate = gate
        self._pool = pool
        self._prefix = prefix
        self._host_networks = host_networks
        self._allocating = threading.Lock()

    def ensure_network(self, cluster_id: str, app: str, key: str, network: Network) -> None:
        name = network.external or names.engine_name(app, key)
        found = self._network(name)
        if network.external:
            if found is None:
                raise NotFound(
                    f"network {name} does not exist on this host, and external networks are never made",
                    remedy="make it with the engine's own command, or take `external` away",
                )
            return
        labels = _labels(cluster_id, app, names.LABEL_NETWORK, key, network, network.labels)
        if found is not None:
            _check_owner(f"network {name}", found, app)
            if found["Labels"].get(names.LABEL_SPEC_HASH) == labels[names.LABEL_SPEC_HASH]:
                return
            self._remove_changed(name)
        with self._allocating:
            if self._network(name) is None:
                self._create_network(name, network, labels)

    def networks(self, cluster_id: str) -> Sequence[tuple[str, str]]:
        found = self._listed({"label": [names.LABEL_NETWORK]})
        labels = [one.get("Labels") or {} for one in found]
        return sorted(
            (one[names.LABEL_APP], one[names.LABEL_NETWORK])
            for one in labels
            if one.get(names.LABEL_CLUSTER) == cluster_id
        )

    def remove_network(self, app: str, key: str) -> None:
        name = names.engine_name(app, key)
        found = self._network(name)
        if found is None or not _owned(found, app):
            return
        try:
            self._remove_unused(name)
        except Conflict:
            return  # in use: whoever uses it keeps it

    def ensure_volume(self, cluster_id: str, app: str, key: str, volume: Volume) -> bool:
        name = volume.external or names.engine_name(app, key)
        found = self._volume(name)
        if volume.external:
            if found is None:
                raise NotFound(
                    f"volume {name} does not exist on this host, and external volumes are never made",
                    remedy="make it with the engine's own command, or take `external` away",
                )
            return False
        body = volume_body(cluster_id, app, key, volume)
        if found is None:
            with self._gate.passing(Deed(DeedKind.VOLUME_CREATE, name, body)):
                self._connection.post("/volumes/create", body)
            return True
        _check_owner(f"volume {name}", found, app)
        if found["Labels"].get(names.LABEL_SPEC_HASH) != body["Labels"][names.LABEL_SPEC_HASH]:
            raise Conflict(
                f"volume {name} was made with other settings, and settings of a volume can't be changed",
                remedy="put them back, or give the volume another name and move its data",
            )
        return False

    def remove_volume(self, app: str, key: str) -> None:
        name = names.engine_name(app, key)
        found = self._volume(name)
        if found is not None and _owned(found, app):
            with (
                contextlib.suppress(NotFound),
                self._gate.passing(Deed(DeedKind.VOLUME_REMOVE, name)),
            ):
                self._connection.delete(f"/volumes/{segment(name)}")

    def _network(self, name: str) -> Optional[dict[str, Any]]:
        """Of this very name: the engine's filter also finds parts of names."""
        found = self._listed({"name": [name]})
        return next((one for one in found if one["Name"] == name), None)

    def _listed(self, filters: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
        return list(self._connection.get("/networks", filters=json.dumps(filters)))

    def _volume(self, name: str) -> Optional[dict[str, Any]]:
        try:
            return dict(self._connection.get(f"/volumes/{segment(name)}"))
        except NotFound:
            return None

    def _remove_changed(self, name: str) -> None:
        """Make room for a network of other settings."""
        try:
            self._remove_unused(name)
        except Conflict as error:
            raise Conflict(
                f"network {name} has other settings now, and containers that were made with the old ones still use it",
                remedy="it is made anew once they are gone",
            ) from error

    def _remove_unused(self, name: str) -> None:
        """Raises Conflict for a network that a container uses."""
        try:
            if self._connection.get(f"/networks/{segment(name)}").get("Containers"):
                raise Conflict(f"network {name} is in use")
            with self._gate.passing(Deed(DeedKind.NETWORK_REMOVE, name)):
                self._connection.delete(f"/networks/{segment(name)}")
        except NotFound:
            return
        except Conflict:
            raise
        except Refused as error:
            if any(words in error.message for words in _IN_USE):
                raise Conflict(error.message) from error
            raise

    def _create_network(self, name: str, network: Network, labels: Mapping[str, str]) -> None:
        taken = [*self._host_networks(), *self._engine_networks()]
        while True:
            subnet = network.subnet or str(subnets.first_free(self._pool, self._prefix, taken))
            engine = self._connection.info().name
            body = network_body(name, network, labels, subnet, engine)
            try:
                with self._gate.passing(Deed(DeedKind.NETWORK_CREATE, name, body)):
                    self._connection.post("/networks/create", body)
                return
            except PolicyRefused:
                raise
            except Refused as error:
                # Somebody took the subnet since it was looked at: try the next one.
                if network.subnet or not any(words in error.message for words in _TAKEN):
                    raise
                taken.append(ipaddress.IPv4Network(subnet))

    def _engine_networks(self) -> list[ipaddress.IPv4Network]:
        found = []
        for listed in self._listed({}):
            for pool in (listed.get("IPAM") or {}).get("Config") or ():
                subnet = ipaddress.ip_network(pool["Subnet"], strict=False)
                if isinstance(subnet, ipaddress.IPv4Network):
                    found.append(subnet)
        return found


def network_body(
    name: str, network: Network, labels: Mapping[str, str], subnet: str, engine_name: str
) -> dict[str, Any]:
    # Docker keeps its networks apart; Podman does where it is told to (netavark 1.1 and later).
    apart = {"isolate": "true"} if engine_name == "podman" else {}
    gateway = {"Gateway": network.gateway} if network.gateway else {}
    return {
        "Name": name,
        "Driver": "bridge",
        "CheckDuplicate": True,
        "Internal": network.internal,
        "EnableIPv6": network.enable_ipv6,
        "Options": {**apart, **network.driver_options},
        "Labels": dict(labels),
        "IPAM": {"Driver": "default", "Config": [{"Subnet": subnet, **gateway}]},
    }


def volume_body(cluster_id: str, app: str, key: str, volume: Volume) -> dict[str, Any]:
    return {
        "Name": names.engine_name(app, key),
        "Driver": volume.driver or "local",
        "DriverOpts": dict(volume.driver_options),
        "Labels": _labels(cluster_id, app, names.LABEL_VOLUME, key, volume, volume.labels),
    }


def _labels(
    cluster_id: str, app: str, kind: str, key: str, spec: object, own: Mapping[str, str]
) -> dict[str, str]:
    return {
        **own,
        names.LABEL_CLUSTER: cluster_id,
        names.LABEL_APP: app,
        kind: key,
        names.LABEL_SPEC_HASH: digest(spec),
    }


def _owned(found: Mapping[str, Any], app: str) -> bool:
    """Of this app, in any cluster: a host that joins another one keeps its data."""
    return (found.get("Labels") or {}).get(names.LABEL_APP) == app


def _check_owner(what: str, found: Mapping[str, Any], app: str) -> None:
    if not _owned(found, app):
        raise Conflict(
            f"{what} exists and was not made for app {app}",
            remedy="remove it, or name it as `external`",
        )
