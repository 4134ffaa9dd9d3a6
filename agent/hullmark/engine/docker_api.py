"""The Engine protocol over the Docker API, for Docker Engine and for Podman's compatible service."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

from hullmark.engine import (
    abilities,
    credentials,
    executing,
    images,
    inspection,
    limits,
    logstream,
    request,
    restarts,
    sources,
)
from hullmark.engine.boundary import EngineMissing, EngineSilent
from hullmark.engine.connection import CALL_TIMEOUT_S, Connection, segment
from hullmark.engine.places import HostNetworks, Places
from hullmark.engine.protocol import (
    Attendant,
    Command,
    Container,
    CreateRequest,
    Deed,
    DeedKind,
    EngineEvent,
    EngineInfo,
    Gate,
    Hand,
    Listed,
    LogLine,
    OpenGate,
    Passage,
    Progress,
    Resolved,
)
from hullmark.errors import Conflict, EngineUnavailable, HullmarkError, NotFound, Refused
from hullmark.model import names
from hullmark.model.app import Bundle, Network, Volume
from hullmark.model.ejection import EngineRestart
from hullmark.model.observed import Health
from hullmark.model.reference import parse

STOP_RESERVE_S = 30
"""How much longer than the container's grace a stop may take before the engine counts as gone."""

CHECK_RESERVE_S = 5
"""The same for a health check and its own time limit."""

LIBPOD = "/v4.0.0/libpod"
"""Where Podman's own API begins, in the version that all from 4.0 on answer to."""

SOCKETS = ("/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock")
POOL = "10.213.0.0/16"


def find_engine(configured: str = "") -> str:
    """The engine's socket as a URL: the configured one, else the first that is there.

    Raises EngineUnavailable where there is none, or this user may not look.
    """
    if configured:
        return configured
    for path in SOCKETS:
        if is_socket(Path(path)):
            return f"unix://{path}"
    raise EngineMissing(
        f"no container engine found: none of {', '.join(SOCKETS)} is there",
        remedy="start one (systemctl start docker, or: service docker start, or start dockerd), or install "
        "one: apt install docker.io, or apt install podman and systemctl enable --now podman.socket; "
        "or set engine.socket in agent.yaml",
    )


def is_socket(path: Path) -> bool:
    """Raises EngineUnavailable where this user may not look."""
    try:
        return path.is_socket()
    except PermissionError as error:
        raise EngineUnavailable(
            f"whether {path} is there can't be seen: {error.strerror}", remedy="run it as root"
        ) from error


class DockerApiEngine:
    """`subnet_pool` and `subnet_prefix`: where networks get their addresses. `host_networks` gives
    what the host itself knows. Every call that changes something goes through the `gate`. Nothing is contacted before
    the first call."""

    def __init__(
        self,
        socket_url: str,
        *,
        registries: Path = Path("/etc/hullmark/registries.d"),
        subnet_pool: str = POOL,
        subnet_prefix: int = 25,
        host_networks: HostNetworks = tuple,
        pull_stall_s: float = images.STALL_S,
        gate: Optional[Gate] = None,
    ) -> None:
        self.socket_url = socket_url
        self._registries = registries
        self._pull_stall_s = pull_stall_s
        self._connection = Connection(socket_url)
        self._gate: Gate = gate or OpenGate()
        pool = ipaddress.IPv4Network(subnet_pool)
        self._places = Places(self._connection, self._gate, pool, subnet_prefix, host_networks)

    def info(self) -> EngineInfo:
        return self._connection.info()

    def ping(self, timeout_s: int) -> None:
        self._connection.ping(timeout_s)

    def close(self) -> None:
        self._connection.close()

    # -- containers

    def listed(self) -> Sequence[Listed]:
        filters = json.dumps({"label": [names.LABEL_CLUSTER]})
        # The other listing of Podman's doesn't tell how healthy they are.
        own = LIBPOD if self.info().name == "podman" else ""
        rows = self._connection.get(f"{own}/containers/json", all="true", filters=filters)
        return [inspection.listed(row) for row in rows]

    def container(self, container_id: str) -> Container:
        found = inspection.container(self._inspect(container_id))
        if found is None:
            raise NotFound(f"container {container_id} is not one of ours")
        return found

    def create(self, request_: CreateRequest) -> str:
        engine = self.info().name
        abilities.check(request_.bundle.container, engine)
        bundle = self._for_podman(request_.bundle) if engine == "podman" else request_.bundle
        made = request.body(replace(request_, bundle=bundle), engine, limits.defaults(engine))
        name, platform = request_.instance.container_name, bundle.container.platform
        parameters = {"name": name, **({"platform": platform} if platform else {})}
        with self._gate.passing(
            Deed(DeedKind.CONTAINER_CREATE, name, made, request=request_)
        ) as passage:
            # After the judgement: whoever orders learns of no file that he may not have.
            sources.check(request_.bundle)
            try:
                answer = self._connection.post("/containers/create", made, **parameters)
                container_id, connected = str(answer["Id"]), bundle.container.networks[:1]
            except Conflict as error:
                container_id, connected = self._existing(request_, error), ()
                passage.fields["found"] = "it was there already"
            passage.container_id = container_id
        if len(bundle.container.networks) > 1:
            self._connect_networks(container_id, bundle, len(connected))
        return container_id

    def _for_podman(self, bundle: Bundle) -> Bundle:
        """With the image's own health check, which Podman forgets when it is given other times for it."""
        spec, check = bundle.container, bundle.container.healthcheck
        timed = check is not None and not check.disabled and not check.test
        if not timed and not spec.platform:
            return bundle
        # Only Podman's own description of the image tells.
        image = self._connection.get(f"{LIBPOD}/images/{request.image(spec)}/json")
        abilities.check_platform(spec, image)
        if check is None or not timed:
            return bundle
        test = tuple((image.get("Healthcheck") or {}).get("Test") or ())
        return replace(bundle, container=replace(spec, healthcheck=replace(check, test=test)))

    def _existing(self, request_: CreateRequest, error: Conflict) -> str:
        name = request_.instance.container_name
        try:
            found = self.container(name)
        except NotFound:
            raise Conflict(
                f"a container {name} exists that is not ours: {error.message}",
                remedy=f"rename or remove it: docker rename {name} NAME",
            ) from error
        if found.cluster_id != request_.cluster_id:
            raise Conflict(
                f"a container {name} of another cluster is on this engine; if nobody needs it: "
                f"docker rm -f {name}"
            )
        if found.spec_hash != request_.spec_hash:
            raise Conflict(f"container {name} exists with another spec")
        return found.container_id

    def _connect_networks(self, container_id: str, bundle: Bundle, connected: int) -> None:
        """All but the first `connected` networks, where it isn't on them already."""
        there = set() if connected else self._networks_of(container_id)
        for place in bundle.container.networks[connected:]:
            network = request.network_name(bundle, place.network)
            if network not in there:
                body = {
                    "Container": container_id,
                    "EndpointConfig": request.endpoint(place, bundle),
                }
                with self._gate.passing(
                    Deed(DeedKind.NETWORK_CONNECT, network, body, container_id)
                ):
                    self._connection.post(f"/networks/{segment(network)}/connect", body)

    def _networks_of(self, container_id: str) -> set[str]:
        return set(self._inspect(container_id)["NetworkSettings"]["Networks"] or ())

    def start(self, container_id: str) -> None:
        found = self._whole(self._own(container_id))
        with self._gate.passing(_deed(DeedKind.CONTAINER_START, found, found)) as passage:
            self._connection.post(f"/containers/{segment(container_id)}/start")
            self._note_process(passage)

    def _note_process(self, passage: Passage) -> None:
        """By which number the kernel knows what was started: in other logs of the host it has no other name."""
        with contextlib.suppress(HullmarkError):
            pid = int(self._inspect(passage.container_id)["State"].get("Pid") or 0)
            if pid:
                passage.fields["pid"] = str(pid)

    def stop(self, container_id: str) -> None:
        with contextlib.suppress(NotFound):
            found = self._own(container_id)
            grace_s = found["Config"].get("StopTimeout")
            grace_s = 10 if grace_s is None else int(grace_s)
            body = {"t": grace_s}
            with self._gate.passing(_deed(DeedKind.CONTAINER_STOP, found, body)):
                self._connection.call(
                    "POST",
                    f"/containers/{segment(container_id)}/stop",
                    body,
                    timeout_s=grace_s + STOP_RESERVE_S,
                )

    def remove(self, container_id: str) -> None:
        try:
            found = self._own(container_id)
            with self._gate.passing(_deed(DeedKind.CONTAINER_REMOVE, found, {"v": 1})):
                self._connection.delete(f"/containers/{segment(container_id)}", v=1)
        except NotFound:
            return
        except Conflict as error:
            if "already in progress" not in error.message:
                raise

    def restart_policy(self, container_id: str) -> EngineRestart:
        return restarts.policy_of(self._own(container_id))

    def set_restart_policy(self, container_id: str, wanted: EngineRestart) -> EngineRestart:
        body = restarts.body(wanted)
        deed = _deed(DeedKind.CONTAINER_UPDATE, self._own(container_id), body)
        with self._gate.passing(deed) as passage:
            restarts.change(self._connection, container_id, body)
            became = self.restart_policy(container_id)
            passage.fields["became"] = str(became)
        return became

    def check_health(self, container_id: str) -> Health:
        if not self.info().runs_health_checks:
            check = self._inspect(container_id)["Config"].get("Healthcheck") or {}
            timeout_s = (check.get("Timeout") or 30 * request.NS_PER_S) / request.NS_PER_S
            try:
                self._connection.call(
                    "GET",
                    f"{LIBPOD}/containers/{segment(container_id)}/healthcheck",
                    {},
                    timeout_s=timeout_s + CHECK_RESERVE_S,
                )
            except Conflict:
                pass  # it doesn't run at the moment; its state tells the rest
            except EngineSilent:
                return Health.UNHEALTHY
        return self.container(container_id).health

    def execute(self, container_id: str, command: Command, attendant: Attendant) -> int:
        found = self._own(container_id)
        return executing.execute(self._connection, self._gate, found, command, attendant)

    def _own(self, container_id: str) -> Any:
        """What the engine says of it. Raises Refused for one that isn't ours: it is never touched."""
        found = self._inspect(container_id)
        if names.LABEL_CLUSTER not in (found["Config"].get("Labels") or {}):
            raise Refused(f"container {container_id} is not one of ours")
        return found

    def _inspect(self, container_id: str) -> Any:
        return self._connection.get(f"/containers/{segment(container_id)}/json")

    def inspected(self, container_id: str) -> Mapping[str, Any]:
        return self._whole(self._inspect(container_id))

    def _whole(self, found: Any) -> dict[str, Any]:
        """With the capabilities that it has, and the annotations that its image brought: Podman tells them only by its own API."""
        if self.info().name != "podman":
            return dict(found)
        path = f"{LIBPOD}/containers/{segment(found['Id'])}/json"
        return inspection.whole(found, self._connection.get(path))

    def hands(self) -> Sequence[Hand]:
        return tuple(inspection.hands(self._connection.get("/containers/json", all="true")))

    def told(self, path: str, **parameters: str) -> Any:
        return self._connection.get(path, **parameters)

    def stat(self, container_id: str, path: str) -> Mapping[str, Any]:
        place = f"/containers/{segment(container_id)}/archive"
        answer = self._connection.call("HEAD", place, {"path": path})
        return inspection.file_stat(answer.headers.get("X-Docker-Container-Path-Stat", ""))

    # -- images

    def inspected_image(self, image: str) -> Mapping[str, Any]:
        return dict(self._connection.get(f"/images/{image}/json"))

    def has_image(self, bundle: Bundle) -> bool:
        return images.found(self._connection, request.image(bundle.container)) is not None

    def pull(self, bundle: Bundle, progress: Optional[Progress] = None) -> None:
        wanted = images.Wanted.of(bundle.container)
        credential = credentials.find(self._registries, wanted.reference.registry)
        with images.named(wanted.reference, wanted.pinned, credential, time.time()):
            images.pull(
                self._connection, self._gate, wanted, credential, self._pull_stall_s, progress
            )

    def resolve(self, image: str, platform: str, pull_policy: str) -> Resolved:
        reference = parse(image)
        if not reference.digest and (pull_policy == "never" or reference.local):
            return images.local(self._connection, reference, image, "on the host only")
        credential = credentials.find(self._registries, reference.registry)
        if reference.digest:
            known = reference, reference.digest, platform, credential
            exposed = images.exposed_by(self._connection, *known)
            return Resolved(image, reference.digest, note="pinned in the file", exposed=exposed)
        return images.resolve(self._connection, reference, image, platform, credential, time.time())

    # -- networks and volumes

    def inspected_network(self, name: str) -> Mapping[str, Any]:
        return dict(self._connection.get(f"/networks/{segment(name)}"))

    def inspected_volume(self, name: str) -> Mapping[str, Any]:
        return dict(self._connection.get(f"/volumes/{segment(name)}"))

    def ensure_network(self, cluster_id: str, app: str, key: str, network: Network) -> None:
        self._places.ensure_network(cluster_id, app, key, network)

    def networks(self, cluster_id: str) -> Sequence[tuple[str, str]]:
        return self._places.networks(cluster_id)

    def remove_network(self, app: str, key: str) -> None:
        self._places.remove_network(app, key)

    def ensure_volume(self, cluster_id: str, app: str, key: str, volume: Volume) -> bool:
        return self._places.ensure_volume(cluster_id, app, key, volume)

    def remove_volume(self, app: str, key: str) -> None:
        self._places.remove_volume(app, key)

    # -- streams

    def events(self) -> Iterator[EngineEvent]:
        wanted = inspection.events_wanted(self.info().name)
        with self._connection.stream("GET", "/events", wanted) as stream:
            for event in logstream.objects(stream.chunks()):
                found = inspection.event(event)
                if found is not None:
                    yield found
        if not stream.was_cut:
            raise EngineUnavailable(f"the engine at {self.socket_url} closed its stream of events")

    def logs(self, container_id: str, *, tail: str, since: str, follow: bool) -> Iterator[LogLine]:
        tty = bool(self._inspect(container_id)["Config"].get("Tty"))
        parameters: Mapping[str, Any] = {
            "stdout": 1,
            "stderr": 1,
            "timestamps": 1,
            "tail": tail,
            "follow": int(follow),
            **({"since": since} if since else {}),
        }
        path = f"/containers/{segment(container_id)}/logs"
        silence_s = None if follow else CALL_TIMEOUT_S
        with self._connection.stream("GET", path, parameters, silence_s=silence_s) as stream:
            yield from logstream.lines(stream.chunks(), tty=tty)


def _deed(kind: DeedKind, found: Mapping[str, Any], body: Mapping[str, Any]) -> Deed:
    """To a container that `inspect` has found."""
    return Deed(kind, str(found.get("Name", "")).lstrip("/"), body, str(found["Id"]))
