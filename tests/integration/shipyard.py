"""Containers for the tests of the engine room, made through the Engine protocol as the agent makes them."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import docker

from hullmark.agentd.configs import Configs
from hullmark.compose import load
from hullmark.engine.docker_api import DockerApiEngine
from hullmark.engine.protocol import Container, ContainerState, CreateRequest, EngineEvent
from hullmark.errors import EngineUnavailable
from hullmark.host.routes import known_networks
from hullmark.model.app import App, Bundle, ContainerSpec, bundle
from hullmark.model.epoch import Epoch
from hullmark.model.observed import Health
from hullmark.model.orders import InstanceId, PublishedPort
from hullmark.model.wire import digest
from tests.cluster import wait_until
from tests.integration.engines import Engine, run_inside

IMAGE = "localhost/hullmark-test:1"
CLUSTER = "c0ffee"
EPOCH = Epoch(1, 4)
RUNTIMES = ("runc", "crun")

_slots = itertools.count(1)


def request_for(
    made: Bundle,
    ports: tuple[PublishedPort, ...] = (),
    files: Optional[Mapping[str, str]] = None,
    slot: int = 0,
) -> CreateRequest:
    """For an instance in a slot of its own, unless `slot` says which."""
    instance = InstanceId(made.app, made.service, slot or next(_slots), 1)
    return CreateRequest(CLUSTER, instance, digest(made), EPOCH, made, ports, files or {})


def app_of(text: str, folder: Path, name: str = "sea") -> App:
    """Of the text of a Compose file, in a folder where the files that it names are."""
    file = folder / f"{name}.yaml"
    file.write_text(text)
    return load([str(file)], project_name=name, environment={}).app


def published(app: App, service: str) -> tuple[PublishedPort, ...]:
    """As a scheduler would for the first instance: the lowest port of each range."""
    return tuple(
        PublishedPort(port.target, port.published_first, port.protocol, port.host_ip)
        for port in app.services[service].ports
    )


def single(app: str, spec: ContainerSpec, service: str = "web") -> Bundle:
    """A service that needs no network, volume, config or secret of the app."""
    return Bundle(app, service, spec)


@dataclass
class Yard:
    """`engine` is what is tested, `daemon` the real engine behind it, `folder` the test's own."""

    engine: DockerApiEngine
    daemon: Engine
    folder: Path

    @property
    def sdk(self) -> docker.DockerClient:
        """The engine as others see it."""
        return self.daemon.client()

    def run(self, made: Bundle, ports: tuple[PublishedPort, ...] = ()) -> str:
        """Do for a bundle what the agent does; the started container's id."""
        container_id = self.create(made, ports)
        self.engine.start(container_id)
        return container_id

    def create(self, made: Bundle, ports: tuple[PublishedPort, ...] = ()) -> str:
        self.prepare(made)
        files = Configs(self.folder / "configs").write(made)
        return self.engine.create(request_for(made, ports, files))

    def prepare(self, made: Bundle) -> None:
        """Networks and named volumes."""
        for key, network in made.networks.items():
            self.engine.ensure_network(CLUSTER, made.app, key, network)
        for key, volume in made.volumes.items():
            self.engine.ensure_volume(CLUSTER, made.app, key, volume)

    def up(self, text: str, service: str = "web", name: str = "sea") -> str:
        """Run a service of a Compose file, through everything between its text and the container."""
        app = app_of(text.replace("IMAGE", IMAGE), self.folder, name)
        return self.run(bundle(app, service), published(app, service))

    def sh(self, container_id: str, script: str) -> str:
        """The output of a script in a running container; it has to succeed."""
        code, output = self._exec(container_id, script)
        assert code == 0, f"{script}: exit {code}: {output}"
        return output

    def fails(self, container_id: str, script: str) -> str:
        """The same for a script that has to fail."""
        code, output = self._exec(container_id, script)
        assert code != 0, f"{script}: succeeded: {output}"
        return output

    def _exec(self, container_id: str, script: str) -> tuple[int, str]:
        code, output = run_inside(self.daemon.socket, container_id, script)
        return code, output.strip()

    def pid(self, container_id: str) -> int:
        """The container's first process, as the host has it."""
        return int(self.inspect(container_id)["State"]["Pid"])

    def proc(self, container_id: str, name: str) -> str:
        """What the kernel says of that process, once it is the container's: when an engine says that one runs, it may be the runtime's still."""
        place = Path(f"/proc/{self.pid(container_id)}")

        def is_the_containers() -> bool:
            program = (place / "cmdline").read_text().split("\0")[0]
            return Path(program).name not in RUNTIMES

        wait_until(is_the_containers, "the runtime has started the container's program", 10)
        return (place / name).read_text()

    def inspect(self, container_id: str) -> dict[str, Any]:
        """What the engine says itself."""
        attributes: dict[str, Any] = self.sdk.containers.get(container_id).attrs
        return attributes

    def output(self, container_id: str) -> list[str]:
        """The lines of a container that ends by itself."""
        self.ended(container_id)
        logs = self.engine.logs(container_id, tail="all", since="", follow=False)
        return [line.text for line in logs]

    def ended(self, container_id: str, timeout_s: float = 30.0) -> Container:
        def look() -> Optional[Container]:
            found = self.engine.container(container_id)
            return found if found.state is ContainerState.EXITED else None

        return wait_until(look, "the container has ended", timeout_s)

    def health(self, container_id: str) -> Health:
        """Now; checked as the agent does where the engine doesn't by itself."""
        if self.engine.info().runs_health_checks:
            return self.engine.container(container_id).health
        return self.engine.check_health(container_id)


class Events:
    """What an engine's stream of events brought so far, read in a thread until the stream ends."""

    def __init__(self, engine: DockerApiEngine) -> None:
        self.seen: list[EngineEvent] = []
        self.error: Optional[EngineUnavailable] = None
        self._engine = engine
        self._thread = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        try:
            for event in self._engine.events():
                self.seen.append(event)
        except EngineUnavailable as error:
            self.error = error

    def wait(self, action: str, container_id: str = "") -> EngineEvent:
        def look() -> Optional[EngineEvent]:
            for event in list(self.seen):
                if event.action == action and event.container_id.startswith(container_id):
                    return event
            return None

        return wait_until(look, f"event {action}")

    def ended(self) -> bool:
        self._thread.join(10)
        return not self._thread.is_alive()

    @classmethod
    def of(cls, yard: Yard) -> Events:
        """Reads already when this returns: an event of a container made for that has come."""
        events = cls(yard.engine)
        events._thread.start()
        probe = single("probe", ContainerSpec(IMAGE))

        def woken() -> bool:
            container_id = yard.engine.create(request_for(probe))
            yard.engine.remove(container_id)
            return bool(events.seen)

        wait_until(woken, "the stream of events")
        return events


def yard_for(daemon: Engine, folder: Path, socket: str = "") -> Yard:
    """`socket`: by which the tested engine room gets to the engine, if not by its own."""
    pool = daemon.workspace.addresses
    half = pool.rpartition("/")[0].split(".")
    engine = DockerApiEngine(
        socket or daemon.socket,
        registries=folder / "registries.d",
        subnet_pool=f"{half[0]}.{half[1]}.128.0/18",
        subnet_prefix=26,
        host_networks=known_networks,
    )
    return Yard(engine, daemon, folder)


def as_root_only(path: Path, content: str) -> Path:
    """A file that only root may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
    return path
