"""How long from the loss of a host until what ran there runs elsewhere, with default settings: Hullmark and Swarm.

    python -m tests.bench.hosts_loss RUNS

Three hosts each, a network namespace and a dockerd for each host. Six replicas; then one host's cable is pulled. The time
ends with the last start of a container by the engines' own record. A process of its own: it moves into namespaces.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.contenders import APP
from tests.bench.measures import seconds_since_1970
from tests.cluster import wait_until
from tests.fleet import IMAGE, Fleet
from tests.integration import engines
from tests.integration.engines import Engine
from tests.integration.namespaces import HostNetwork, enter_private_network

REPLICAS = 6
LOST_AFTER_MOST_S = 120.0
RUNS_TOGETHER = 2.0
"""How long a cluster is left alone before its host is lost."""


class Side(ABC):
    """One of the two, with its hosts running. `lost` is the host that is cut off."""

    name: str
    lost: HostNetwork

    @abstractmethod
    def start(self, name: str) -> None:
        """Six replicas of a service; returns when they run, two on each host."""

    @abstractmethod
    def elsewhere(self, name: str) -> list[float]:
        """When each running container of the service on the other hosts was started."""

    @abstractmethod
    def tidy(self, name: str) -> None:
        """With the cable plugged in again: all hosts are ready and the service is gone."""

    def time_loss(self, name: str) -> float:
        self.start(name)
        time.sleep(RUNS_TOGETHER)
        self.lost.cut()
        began = time.time()

        def started() -> list[float]:
            found = self.elsewhere(name)
            return found if len(found) >= REPLICAS else []

        found: list[float] = wait_until(
            started, f"{self.name}: {name} runs elsewhere", LOST_AFTER_MOST_S
        )
        took_s = max(found) - began
        assert took_s > 0, "nothing was started after the loss"
        self.lost.heal()
        self.tidy(name)
        return took_s


class HullmarkSide(Side):
    name = "Hullmark"

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.lost = fleet.hosts["web2"].network

    def start(self, name: str) -> None:
        file = self.fleet.folder / f"{name}.yaml"
        file.write_text(APP.format(name=name, image=IMAGE, replicas=REPLICAS, network=""))
        self.fleet.hullmark("apply", "--wait", str(file))
        assert len(self.fleet.running(name, "web2")) == REPLICAS // 3

    def elsewhere(self, name: str) -> list[float]:
        return [
            seconds_since_1970(one.inspected["State"]["StartedAt"])
            for host in ("web1", "web3")
            for one in self.fleet.running(name, host)
        ]

    def tidy(self, name: str) -> None:
        self.fleet.wait_for_hosts()
        self.fleet.hullmark("rm", "--wait", name)


class SwarmSide(Side):
    name = "Swarm"

    def __init__(self, hosts: Mapping[str, tuple[HostNetwork, Engine]]) -> None:
        self.hosts = hosts
        self.lost = hosts["sw2"][0]
        manager = hosts["sw1"][0].address
        self.call("sw1", "swarm", "init", "--advertise-addr", manager, "--listen-addr", manager)
        token = self.call("sw1", "swarm", "join-token", "--quiet", "worker").strip()
        for host in ("sw2", "sw3"):
            own = hosts[host][0].address
            self.call(
                host, "swarm", "join", "--token", token, "--advertise-addr", own,
                "--listen-addr", own, f"{manager}:2377",
            )  # fmt: skip
        self._wait_for_nodes()

    def call(self, host: str, *arguments: str) -> str:
        command = [engines.docker_command(), "-H", self.hosts[host][1].socket, *arguments]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def running(self, host: str, name: str) -> list[str]:
        label = f"label=com.docker.swarm.service.name={name}"
        return self.call(host, "ps", "-q", "--filter", label, "--filter", "status=running").split()

    def start(self, name: str) -> None:
        self.call(
            "sw1", "service", "create", "-d", "--init", "--no-resolve-image",
            "--stop-grace-period", "1s", "--replicas", str(REPLICAS), "--name", name,
            IMAGE, "sleep", "100000",
        )  # fmt: skip
        wait_until(
            lambda: all(len(self.running(host, name)) == REPLICAS // 3 for host in self.hosts),
            "Swarm runs all replicas",
            60,
        )

    def elsewhere(self, name: str) -> list[float]:
        found = []
        for host in ("sw1", "sw3"):
            ids = self.running(host, name)
            inspected: list[dict[str, Any]] = json.loads(self.call(host, "inspect", *ids))
            found += [seconds_since_1970(item["State"]["StartedAt"]) for item in inspected]
        return found

    def tidy(self, name: str) -> None:
        self._wait_for_nodes()
        self.call("sw1", "service", "rm", name)
        wait_until(
            lambda: not any(self.running(host, name) for host in self.hosts), "Swarm is empty", 60
        )

    def _wait_for_nodes(self) -> None:
        states = ("node", "ls", "--format", "{{.Status}}")
        wait_until(
            lambda: self.call("sw1", *states).split() == ["Ready"] * len(self.hosts),
            "all of Swarm's nodes are ready",
            60,
        )


@contextlib.contextmanager
def hullmark(folder: Path) -> Iterator[Side]:
    kinds = dict.fromkeys(("web1", "web2", "web3"), engines.docker_engine)
    with Fleet(folder, kinds) as fleet:
        fleet.reconfigure("", "")  # what a user has who sets nothing
        yield HullmarkSide(fleet)


@contextlib.contextmanager
def swarm() -> Iterator[Side]:
    """Swarm refuses a dockerd that keeps containers over its own restart."""
    with contextlib.ExitStack() as stack:
        hosts = {}
        for number, name in enumerate(("sw1", "sw2", "sw3"), 21):
            network = stack.enter_context(HostNetwork(name, f"192.0.2.{number}"))
            engine = engines.docker_engine(network=network, live_restore=False)
            stack.callback(engine.stop)
            hosts[name] = network, engine
        with ThreadPoolExecutor() as pool:
            list(pool.map(_start, [engine for _, engine in hosts.values()]))
        yield SwarmSide(hosts)


def _start(engine: Engine) -> None:
    engine.start()
    engine.load_image(IMAGE)


def measure(runs: int) -> dict[str, list[float]]:
    """One side after the other, so that neither pays for the other's daemons."""
    enter_private_network()
    folder = Path(tempfile.mkdtemp(prefix="hm-loss-"))
    found = {}
    sides: tuple[Callable[[], contextlib.AbstractContextManager[Side]], ...] = (
        partial(hullmark, folder),
        swarm,
    )
    try:
        for begin in sides:
            with begin() as side:
                found[side.name] = [side.time_loss(f"loss{number}") for number in range(runs)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def table(found: dict[str, list[float]]) -> list[str]:
    base = statistics.median(found["Swarm"])
    return [
        f"  {name:26}{statistics.median(each):8.2f}s{min(each):8.2f}s{max(each):8.2f}s"
        f"   {statistics.median(each) / base:5.2f}"
        for name, each in found.items()
    ]


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
