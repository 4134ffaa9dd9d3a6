"""The ways to start containers that are compared, behind one small interface.

An app of Hullmark's has a network of its own, which `docker run` has not: making a bridge is a good part of the time
that a first start takes. Both are therefore measured both ways.
"""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor

from tests.cluster import OneHostCluster, free_port, wait_until

APP = """\
name: {name}
services:
  one:
    image: {image}
    command: [sleep, "100000"]
    init: true
    pull_policy: never
    stop_grace_period: 1s
    {network}
    deploy: {{replicas: {replicas}}}
"""


class Contender(ABC):
    """`label` selects the containers of one name in the engine's listing."""

    name: str

    def __init__(self, docker: list[str], image: str) -> None:
        self.docker = docker
        self.image = image

    @abstractmethod
    def label(self, name: str) -> str: ...

    @abstractmethod
    def start(self, name: str) -> None:
        """Start one container; returns when the tool itself says it is done."""

    @abstractmethod
    def scale(self, name: str, replicas: int) -> None:
        """Go from one container to this many."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove all of it, and wait until it is gone."""

    def call(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self.docker, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout


class DockerRun(Contender):
    """Plain `docker run -d`; more than one: eight commands at a time."""

    name = "docker run"

    def label(self, name: str) -> str:
        return f"bench={name}"

    def start(self, name: str) -> None:
        self.run(name)

    def run(self, name: str) -> None:
        label = ("--label", f"bench={name}")
        network = ("--network", self.network(name))
        self.call("run", "-d", "--init", *label, *network, self.image, "sleep", "100000")

    def network(self, name: str) -> str:
        return "bridge"

    def scale(self, name: str, replicas: int) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: self.run(name), range(replicas - 1)))

    def remove(self, name: str) -> None:
        found = self.call("ps", "-aq", "--filter", f"label={self.label(name)}").split()
        if found:
            self.call("rm", "-f", *found)


class DockerRunOnNetwork(DockerRun):
    """`docker network create`, then `docker run -d` on it."""

    name = "docker run, own network"

    def network(self, name: str) -> str:
        return f"bench-{name}"

    def start(self, name: str) -> None:
        self.call("network", "create", self.network(name))
        self.run(name)

    def remove(self, name: str) -> None:
        super().remove(name)
        self.call("network", "rm", self.network(name))


class Swarm(Contender):
    """Docker Swarm, one manager. Its commands return at once; the engine says when containers run."""

    name = "Swarm"

    def begin(self) -> None:
        self.call(
            "swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", f"127.0.0.1:{free_port()}"
        )  # fmt: skip

    def end(self) -> None:
        self.call("swarm", "leave", "--force")

    def label(self, name: str) -> str:
        return f"com.docker.swarm.service.name={name}"

    def start(self, name: str) -> None:
        self.call(
            "service", "create", "-d", "--init", "--no-resolve-image", "--stop-grace-period", "1s",
            "--name", name, self.image, "sleep", "100000",
        )  # fmt: skip

    def scale(self, name: str, replicas: int) -> None:
        self.call("service", "scale", "-d", f"{name}={replicas}")

    def remove(self, name: str) -> None:
        self.call("service", "rm", name)
        label = f"label={self.label(name)}"
        wait_until(
            lambda: not self.call("ps", "-aq", "--filter", label), "Swarm has removed it", 60
        )


class Hullmark(Contender):
    """Hullmark with the embedded store, by its own command line; each app on a network of its own."""

    name = "Hullmark"
    network = ""

    def __init__(self, docker: list[str], image: str, cluster: OneHostCluster) -> None:
        super().__init__(docker, image)
        self.cluster = cluster

    def label(self, name: str) -> str:
        return f"io.hullmark.app={name}"

    def start(self, name: str) -> None:
        file = self.cluster.folder / f"{name}.yaml"
        file.write_text(APP.format(name=name, image=self.image, replicas=1, network=self.network))
        self.cluster.hullmark("apply", "--wait", str(file))

    def scale(self, name: str, replicas: int) -> None:
        self.cluster.hullmark("scale", f"{name}/one={replicas}")

    def remove(self, name: str) -> None:
        self.cluster.hullmark("rm", "--wait", name)


class HullmarkOnBridge(Hullmark):
    """The same on the engine's own bridge, as plain `docker run` is."""

    name = "Hullmark, engine's bridge"
    network = "network_mode: bridge"
