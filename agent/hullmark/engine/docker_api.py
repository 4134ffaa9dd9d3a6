"""The Engine protocol over the Docker API, for Docker Engine and for Podman's compatible service."""

from __future__ import annotations

import ipaddress
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

import docker.errors
from docker.api.client import APIClient

from hullmark.engine import credentials, images, inspection, logstream, request, subnets
from hullmark.engine.boundary import translated
from hullmark.engine.protocol import (
    Container,
    CreateRequest,
    EngineEvent,
    EngineInfo,
    Listed,
    LogLine,
    Resolved,
)
from hullmark.errors import Conflict, EngineUnavailable, NotFound, Refused
from hullmark.model import names
from hullmark.model.app import Bundle, Network, Volume
from hullmark.model.observed import Health

CALL_TIMEOUT_S = 60
STOP_RESERVE_S = 30
"""How much longer than the container's grace a stop may take before the engine counts as gone."""

SOCKETS = ("/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock")

HostNetworks = Callable[[], Sequence[ipaddress.IPv4Network]]


def find_engine(configured: str = "") -> str:
    """The engine's socket as a URL: the configured one, else the first that is there.

    Raises EngineUnavailable where there is none.
    """
    if configured:
        return configured
    for path in SOCKETS:
        if Path(path).is_socket():
            return f"unix://{path}"
    raise EngineUnavailable(
        f"no container engine found: none of {', '.join(SOCKETS)} is there",
        remedy="install and start one: apt install docker.io, or apt install podman "
        "and systemctl enable --now podman.socket; or set engine.socket in agent.yaml",
    )


class DockerApiEngine:
    """`subnet_pool` and `subnet_prefix`: where networks get their addresses. `host_networks` gives
    what the host itself knows. Nothing is contacted before the first call."""

    def __init__(
        self,
        socket_url: str,
        *,
        registries: Path = Path("/etc/hullmark/registries.d"),
        subnet_pool: str = "10.213.0.0/16",
        subnet_prefix: int = 25,
        host_networks: HostNetworks = tuple,
    ) -> None:
        self.socket_url = socket_url
        self._registries = registries
        self._pool = ipaddress.IPv4Network(subnet_pool)
        self._prefix = subnet_prefix
        self._host_networks = host_networks
        self._connecting = threading.Lock()
        self._allocating = threading.Lock()
        self._connected: Optional[tuple[APIClient, EngineInfo]] = None
        self._streams: set[Any] = set()

    # -- the engine itself

    def info(self) -> EngineInfo:
        return self._connect()[1]

    def close(self) -> None:
        """Ends `events` in other threads too. The engine may be used again afterwards."""
        for stream in list(self._streams):
            stream.close()
        with self._connecting:
            connected, self._connected = self._connected, None
        if connected:
            connected[0].close()

    def _connect(self) -> tuple[APIClient, EngineInfo]:
        with self._connecting:
            if self._connected is None:
                with translated(self.socket_url):
                    client = APIClient(
                        base_url=self.socket_url, version="auto", timeout=CALL_TIMEOUT_S
                    )
                    self._connected = client, _info(client.version(), self.socket_url)
            return self._connected

    @property
    def _client(self) -> APIClient:
        return self._connect()[0]

    # -- containers

    def listed(self) -> Sequence[Listed]:
        with translated(self.socket_url):
            rows = self._client.containers(all=True, filters={"label": names.LABEL_CLUSTER})
        return [inspection.listed(row) for row in rows]

    def container(self, container_id: str) -> Container:
        with translated(self.socket_url):
            found = inspection.container(self._client.inspect_container(container_id))
        if found is None:
            raise NotFound(f"container {container_id} is not one of ours")
        return found

    def create(self, request_: CreateRequest) -> str:
        name = request_.instance.container_name
        engine = self.info().name
        made = request.body(request_, engine, self._default_ulimits(engine))
        _check_sources(request_.bundle)
        platform = request_.bundle.container.platform
        try:
            with translated(self.socket_url):
                container_id = str(self._post_container(made, name, platform)["Id"])
        except Conflict:
            container_id = self._existing(name, request_.spec_hash)
        if len(request_.bundle.container.networks) > 1:
            self._connect_networks(container_id, request_.bundle)
        return container_id

    def _post_container(self, made: dict[str, Any], name: str, platform: str) -> dict[str, Any]:
        client = self._client
        parameters = {"name": name, **({"platform": platform} if platform else {})}
        answer = client.post(
            f"{_api(client)}/containers/create",
            json=made,
            params=parameters,
            timeout=CALL_TIMEOUT_S,
        )
        client._raise_for_status(answer)
        result: dict[str, Any] = answer.json()
        return result

    def _existing(self, name: str, spec_hash: str) -> str:
        found = self.container(name)
        if found.spec_hash != spec_hash:
            raise Conflict(f"container {name} exists with another spec")
        return found.container_id

    def _connect_networks(self, container_id: str, bundle: Bundle) -> None:
        connected = self.container_networks(container_id)
        for place in bundle.container.networks[1:]:
            network = request.network_name(bundle, place.network)
            if network not in connected:
                client = self._client
                body = {
                    "Container": container_id,
                    "EndpointConfig": request.endpoint(place, bundle),
                }
                with translated(self.socket_url):
                    answer = client.post(
                        f"{_api(client)}/networks/{network}/connect",
                        json=body,
                        timeout=CALL_TIMEOUT_S,
                    )
                    client._raise_for_status(answer)

    def container_networks(self, container_id: str) -> set[str]:
        """Names of the engine's networks that a container is on."""
        with translated(self.socket_url):
            inspected = self._client.inspect_container(container_id)
        return set(inspected["NetworkSettings"]["Networks"] or ())

    def start(self, container_id: str) -> None:
        with translated(self.socket_url):
            self._client.start(container_id)

    def stop(self, container_id: str) -> None:
        try:
            with translated(self.socket_url):
                inspected = self._client.inspect_container(container_id)
                grace_s = inspected["Config"].get("StopTimeout")
                grace_s = 10 if grace_s is None else int(grace_s)
                self._stop_within(container_id, grace_s)
        except NotFound:
            return

    def _stop_within(self, container_id: str, grace_s: int) -> None:
        client = self._client
        answer = client.post(
            f"{_api(client)}/containers/{container_id}/stop",
            params={"t": grace_s},
            timeout=grace_s + STOP_RESERVE_S,
        )
        if answer.status_code != 304:  # stopped already
            client._raise_for_status(answer)

    def remove(self, container_id: str) -> None:
        try:
            with translated(self.socket_url):
                self._client.remove_container(container_id, v=True)
        except NotFound:
            return
        except Conflict as error:
            if "already in progress" not in error.message:
                raise

    def check_health(self, container_id: str) -> Health:
        client = self._client
        url = f"{client.base_url}/v4.0.0/libpod/containers/{container_id}/healthcheck"
        with translated(self.socket_url):
            answer = client.get(url, timeout=CALL_TIMEOUT_S * 2)
            # 409: the container does not run at the moment; its state tells the rest.
            if answer.status_code not in (200, 409):
                client._raise_for_status(answer)
        return self.container(container_id).health

    # -- images

    def has_image(self, bundle: Bundle) -> bool:
        with translated(self.socket_url):
            return images.present(self._client, request.image(bundle.container))

    def pull(self, bundle: Bundle) -> None:
        container = bundle.container
        reference = images.parse(container.image)
        credential = credentials.find(self._registries, reference.registry)
        images.pull(
            self._client,
            reference,
            container.digest,
            container.platform,
            credential,
            time.time(),
        )

    def resolve(self, image: str, platform: str, pull_policy: str) -> Resolved:
        with translated(self.socket_url):
            return images.resolve(self._client, image, pull_policy, self._registries, time.time())

    # -- networks and volumes

    def ensure_network(self, cluster_id: str, app: str, key: str, network: Network) -> None:
        if network.external:
            with translated(self.socket_url):
                self._client.inspect_network(network.external)
            return
        name = names.engine_name(app, key)
        with self._allocating, translated(self.socket_url):
            if self._client.networks(names=[name]) and self._owned_network(name, app):
                return
            self._create_network(name, cluster_id, app, key, network)

    def _owned_network(self, name: str, app: str) -> bool:
        for found in self._client.networks(names=[name]):
            if found["Name"] == name:
                if (found.get("Labels") or {}).get(names.LABEL_APP) != app:
                    raise Conflict(f"network {name} exists and is not one of ours")
                return True
        return False

    def _create_network(
        self, name: str, cluster_id: str, app: str, key: str, network: Network
    ) -> None:
        labels = {
            **network.labels,
            names.LABEL_CLUSTER: cluster_id,
            names.LABEL_APP: app,
            names.LABEL_NETWORK: key,
        }
        taken = [*self._host_networks(), *self._engine_networks()]
        while True:
            subnet = network.subnet or str(subnets.first_free(self._pool, self._prefix, taken))
            pool = {"Subnet": subnet, **({"Gateway": network.gateway} if network.gateway else {})}
            try:
                self._client.create_network(
                    name,
                    driver="bridge",
                    options=dict(network.driver_options) or None,
                    ipam={"Driver": "default", "Config": [pool]},
                    check_duplicate=True,
                    internal=network.internal,
                    labels=labels,
                    enable_ipv6=network.enable_ipv6,
                )
                return
            except docker.errors.APIError as error:
                # Somebody took the subnet since it was looked at: try the next one.
                if network.subnet or "overlap" not in str(error.explanation).lower():
                    raise
                taken.append(ipaddress.IPv4Network(subnet))

    def _engine_networks(self) -> list[ipaddress.IPv4Network]:
        found = []
        for listed in self._client.networks():
            for pool in (listed.get("IPAM") or {}).get("Config") or ():
                subnet = ipaddress.ip_network(pool["Subnet"], strict=False)
                if isinstance(subnet, ipaddress.IPv4Network):
                    found.append(subnet)
        return found

    def networks(self) -> Sequence[tuple[str, str]]:
        with translated(self.socket_url):
            listed = self._client.networks(filters={"label": names.LABEL_NETWORK})
        labels = [found.get("Labels") or {} for found in listed]
        return sorted((one[names.LABEL_APP], one[names.LABEL_NETWORK]) for one in labels)

    def remove_network(self, app: str, key: str) -> None:
        name = names.engine_name(app, key)
        try:
            with translated(self.socket_url):
                if not self._owned_network(name, app):
                    return
                if not self._client.inspect_network(name).get("Containers"):
                    self._client.remove_network(name)
        except (NotFound, Conflict):
            return  # gone already, or in use again
        except Refused as error:
            if "active endpoints" not in error.message and "being used" not in error.message:
                raise

    def ensure_volume(self, cluster_id: str, app: str, key: str, volume: Volume) -> None:
        name = volume.external or names.engine_name(app, key)
        with translated(self.socket_url):
            try:
                self._client.inspect_volume(name)
                return
            except docker.errors.NotFound:
                if volume.external:
                    raise
            self._client.create_volume(
                name,
                driver=volume.driver or "local",
                driver_opts=dict(volume.driver_options) or None,
                labels={
                    **volume.labels,
                    names.LABEL_CLUSTER: cluster_id,
                    names.LABEL_APP: app,
                    names.LABEL_VOLUME: key,
                },
            )

    def remove_volume(self, app: str, key: str) -> None:
        name = names.engine_name(app, key)
        try:
            with translated(self.socket_url):
                labels = self._client.inspect_volume(name).get("Labels") or {}
                if labels.get(names.LABEL_APP) == app:
                    self._client.remove_volume(name)
        except NotFound:
            return

    # -- streams

    def events(self) -> Iterator[EngineEvent]:
        with translated(self.socket_url):
            stream = self._client.events(decode=True, filters={"type": ["container"]})
        self._streams.add(stream)
        try:
            with translated(self.socket_url):
                for event in stream:
                    attributes = (event.get("Actor") or {}).get("Attributes") or {}
                    if names.LABEL_CLUSTER in attributes:
                        yield _event(event, attributes)
        finally:
            self._streams.discard(stream)
            stream.close()
        raise EngineUnavailable(f"the engine at {self.socket_url} closed its stream of events")

    def logs(self, container_id: str, *, tail: str, since: str, follow: bool) -> Iterator[LogLine]:
        client = self._client
        with translated(self.socket_url):
            tty = bool(client.inspect_container(container_id)["Config"].get("Tty"))
            answer = client.get(
                f"{_api(client)}/containers/{container_id}/logs",
                params={
                    "stdout": 1,
                    "stderr": 1,
                    "timestamps": 1,
                    "tail": tail,
                    "follow": int(follow),
                    **({"since": since} if since else {}),
                },
                stream=True,
                timeout=(CALL_TIMEOUT_S, None),
            )
            client._raise_for_status(answer)
            self._streams.add(answer)
            try:
                yield from logstream.lines(answer, tty=tty)
            finally:
                self._streams.discard(answer)
                answer.close()

    def _default_ulimits(self, engine: str) -> dict[str, tuple[int, int]]:
        """Podman sets limits above the machine's where it lacks CAP_SYS_RESOURCE, and then can't start
        the container; told the machine's own, it can."""
        if engine != "podman":
            return {}
        found = {}
        for name, number in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
            _, hard = resource.getrlimit(number)
            hard = -1 if hard == resource.RLIM_INFINITY else hard
            found[name] = (hard, hard)
        return found


def _api(client: APIClient) -> str:
    return f"{client.base_url}/v{client.api_version}"


def _info(version: dict[str, Any], socket_url: str) -> EngineInfo:
    components = {str(part.get("Name", "")).lower() for part in version.get("Components") or ()}
    podman = any("podman" in name for name in components)
    return EngineInfo(
        name="podman" if podman else "docker",
        version=str(version.get("Version", "")),
        socket=socket_url,
        # Podman leaves health checks to timers of systemd (sd_booted(3) looks for this folder).
        runs_health_checks=not podman or os.path.isdir("/run/systemd/system"),
    )


def _event(event: dict[str, Any], attributes: dict[str, str]) -> EngineEvent:
    at = event.get("timeNano")
    known = {"died": "die", "remove": "destroy"}
    action = str(event.get("Action") or event.get("status") or "")
    return EngineEvent(
        action=known.get(action, action),
        container_id=str(event["Actor"]["ID"]),
        name=attributes.get("name", ""),
        at=at / 1e9 if at else float(event.get("time") or 0),
        fields={
            key: value
            for key, value in attributes.items()
            if not key.startswith(names.LABEL_PREFIX)
        },
    )


def _check_sources(bundle: Bundle) -> None:
    """Files on the host that the container needs. Raises Refused naming the one that is missing."""
    for mount in bundle.container.mounts:
        if mount.kind.value == "bind" and not mount.create_host_path:
            if not os.path.exists(mount.source):
                raise Refused(
                    f"{mount.source} does not exist on this host",
                    remedy="make it, or allow create_host_path",
                )
    for reference in bundle.container.secrets:
        path = bundle.secrets[reference.source].path
        if not os.path.isfile(path):
            raise Refused(
                f"secret {reference.source}: {path} is not a file on this host",
                remedy="put the secret there, readable by root only",
            )
