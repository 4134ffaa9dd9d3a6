"""Docker Swarm with three managers, each a dockerd in a network namespace of its own: time until the next accepted write.

A write is an update of a service's label through the API of a manager that is left: accepted once a manager answers 200, which Raft's
majority has then. Two ways to lose the leading manager: SIGKILL of its dockerd, and its machine's cable pulled.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.cluster import wait_until
from tests.e2e.callers import Answer, UnixConnection, exchange
from tests.fleet import IMAGE
from tests.integration import engines
from tests.integration.engines import Engine
from tests.integration.namespaces import HostNetwork

MANAGERS = {"s1": "192.0.2.31", "s2": "192.0.2.32", "s3": "192.0.2.33"}
SERVICE = "written"
TRY_S = 2.0
API = "/v1.40"
AGAIN_S = 0.05
MOST_S = 120.0


class SwarmManagers:
    """Three managers, all ready, with one service that writes change."""

    def __init__(self, machines: Mapping[str, tuple[HostNetwork, Engine]]) -> None:
        self.machines = machines
        self._count = itertools.count(1)
        first = MANAGERS["s1"]
        self.call("s1", "swarm", "init", "--advertise-addr", first, "--listen-addr", first)
        token = self.call("s1", "swarm", "join-token", "--quiet", "manager").strip()
        for name in ("s2", "s3"):
            own = ("--advertise-addr", MANAGERS[name], "--listen-addr", MANAGERS[name])
            self.call(name, "swarm", "join", "--token", token, *own, f"{first}:2377")
        self.call("s1", "service", "create", "-d", "--no-resolve-image", "--name", SERVICE,
                  "--replicas", "0", IMAGE, "sleep", "1000")  # fmt: skip
        self.wait()

    def call(self, name: str, *arguments: str) -> str:
        command = [engines.docker_command(), "-H", self.machines[name][1].socket, *arguments]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
        if done.returncode != 0:
            raise RuntimeError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def wait(self) -> None:
        """Until all three are ready and reachable, from each one's view."""

        def whole() -> bool:
            form = ("node", "ls", "--format", "{{.Status}}/{{.ManagerStatus}}")
            for name in self.machines:
                with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
                    found = self.call(name, *form).split()
                    good = [one for one in found if one in ("Ready/Leader", "Ready/Reachable")]
                    if len(good) == len(self.machines):
                        continue
                return False
            return True

        wait_until(whole, "Swarm's managers are whole", MOST_S)

    def leader(self) -> str:
        listing = ("node", "ls", "--format", "{{.Self}} {{.ManagerStatus}}")
        for name in self.machines:
            if "true Leader" in self.call(name, *listing):
                return name
        raise AssertionError("no manager leads")

    def write(self, name: str) -> bool:
        """One change through a manager; whether it was accepted."""
        path = f"{API}/services/{SERVICE}"
        try:
            found = self._ask(name, "GET", path)
            if found.status != 200:
                return False
            index = found.json["Version"]["Index"]
            spec = {**found.json["Spec"], "Labels": {"mark": str(next(self._count))}}
            update = f"{API}/services/{found.json['ID']}/update?version={index}"
            return self._ask(name, "POST", update, spec).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def _ask(self, name: str, method: str, path: str, body: Any = None) -> Answer:
        connection = UnixConnection(self.machines[name][1].socket[len("unix://") :])
        connection.timeout = TRY_S
        return exchange(connection, method, path, body)

    def until_accepted(self, names: list[str], began_s: float) -> float:
        """Through all of them at once, so that none waits for another's time-out."""
        accepted = threading.Event()
        times: list[float] = []

        def keep_writing(name: str) -> None:
            while not accepted.is_set() and time.monotonic() < began_s + MOST_S:
                if self.write(name):
                    times.append(time.monotonic() - began_s)
                    accepted.set()
                time.sleep(AGAIN_S)

        threads = [threading.Thread(target=keep_writing, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert times, "Swarm accepts nothing"
        return min(times)

    def killed(self) -> float:
        leader = self.leader()
        _, engine = self.machines[leader]
        began_s = time.monotonic()
        engine.kill()
        took_s = self.until_accepted([one for one in self.machines if one != leader], began_s)
        engine.start()
        self.wait()
        return took_s

    def cut(self) -> float:
        leader = self.leader()
        network, _ = self.machines[leader]
        network.cut()
        began_s = time.monotonic()
        took_s = self.until_accepted([one for one in self.machines if one != leader], began_s)
        network.heal()
        self.wait()
        return took_s


@contextlib.contextmanager
def swarm() -> Iterator[SwarmManagers]:
    """`enter_private_network` comes first. Swarm refuses a dockerd that keeps containers over its own restart."""
    with contextlib.ExitStack() as stack:
        machines = {}
        for name, address in MANAGERS.items():
            network = stack.enter_context(HostNetwork(name, address))
            engine = engines.docker_engine(network=network, live_restore=False)
            stack.callback(engine.stop)
            machines[name] = network, engine
        with ThreadPoolExecutor() as pool:
            list(pool.map(_start, [engine for _, engine in machines.values()]))
        yield SwarmManagers(machines)


def _start(engine: Engine) -> None:
    engine.start()
    engine.load_image(IMAGE)


def measure(runs: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"kill -9": [], "cut": []}
    with swarm() as managers:
        for number in range(runs):
            found["kill -9"].append(managers.killed())
            found["cut"].append(managers.cut())
            print(
                f"Swarm {number + 1}/{runs}: {json.dumps({k: v[-1] for k, v in found.items()})}",
                flush=True,
            )
    return found
