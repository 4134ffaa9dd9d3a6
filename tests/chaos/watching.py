"""What engines and agents do, seen from outside: an engine's events, and what is on an agent's disk."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Mapping
from typing import Any, Optional

import docker
import docker.errors
import requests

from hullmark.model.names import LABEL_PREFIX
from tests.bench.measures import seconds_since_1970
from tests.chaos.record import Happening, Obeyed, Running
from tests.cluster import LABEL_CLUSTER
from tests.fleet import Container, Host
from tests.sdk import api_client

AGAIN_S = 0.1
LOOK_S = 0.2
SAME_START_S = 2.0
_ACTIONS = {"died": "die", "remove": "destroy"}
_WATCHED = ("create", "start", "die", "destroy")


def monotonic(wall_s: float) -> float:
    """A moment of this machine's wall clock, which nobody sets meanwhile, on its monotonic one."""
    return wall_s - time.time() + time.monotonic()


class EngineEye:
    """Follows an engine's events; again after it was away, from where it was."""

    def __init__(self, host: Host, cluster_id: str) -> None:
        self._host = host
        self._cluster_id = cluster_id
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._found: dict[tuple[str, str, int], Happening] = {}
        self._since = int(time.time())
        self._thread = threading.Thread(target=self._run, name=f"eye {host.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()

    def happenings(self) -> list[Happening]:
        with self._lock:
            return list(self._found.values())

    def complete(self, containers: list[Container]) -> None:
        """Starts that the engine told nobody of, as when it was down: the container itself says when."""
        for one in containers:
            state, labels = one.inspected["State"], one.inspected["Config"]["Labels"]
            at_s = monotonic(seconds_since_1970(state["StartedAt"]))
            self._add(int(at_s * 1e9), "start", one.inspected["Id"], at_s, labels)

    def _run(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(requests.RequestException, docker.errors.DockerException):
                client = api_client(self._host.engine.socket, 5)
                with contextlib.closing(client):
                    self._follow(client)
            self._ending.wait(AGAIN_S)

    def _follow(self, client: docker.APIClient) -> None:
        """The client's time-out ends it now and then; it begins a second before that, and knows what it has."""
        filters = {"type": ["container"]}
        for event in client.events(since=self._since, decode=True, filters=filters):
            if self._ending.is_set():
                return
            self._take(event)

    def _take(self, event: Mapping[str, Any]) -> None:
        attributes = event["Actor"]["Attributes"]
        action = _ACTIONS.get(event["Action"], event["Action"])
        if attributes.get(LABEL_CLUSTER) == self._cluster_id and action in _WATCHED:
            at_ns = int(event.get("timeNano") or event["time"] * 10**9)
            self._since = max(self._since, at_ns // 10**9 - 1)
            at_s = monotonic(at_ns / 1e9)
            self._add(at_ns, action, event["Actor"]["ID"], at_s, attributes)

    def _add(
        self, at_ns: int, action: str, container: str, at_s: float, labels: Mapping[str, str]
    ) -> None:
        found = Happening(
            at_s,
            self._host.name,
            action,
            container,
            *_slot(labels),
            _epoch(labels[f"{LABEL_PREFIX}epoch"]),
        )
        with self._lock:
            if action != "start" or not self._knows_start(container, at_s):
                self._found.setdefault((container, action, at_ns), found)

    def _knows_start(self, container: str, at_s: float) -> bool:
        """The engine's event and the container's own word of one start are a moment apart, and either may come first."""
        own = [each for each in self._found.values() if each.container == container]
        return any(
            each.action == "start"
            and abs(each.at_s - at_s) < SAME_START_S
            and not any(
                other.action == "die" and min(each.at_s, at_s) < other.at_s < max(each.at_s, at_s)
                for other in own
            )
            for each in own
        )


class AgentsEye:
    """Looks at what agents hold on their disks, five times a second; keeps what changed."""

    def __init__(self, hosts: Mapping[str, Host]) -> None:
        self._hosts = hosts
        self._ending = threading.Event()
        self._last: dict[str, tuple[Any, ...]] = {}
        self._found: list[Obeyed] = []
        self._thread = threading.Thread(target=self._run, name="agents' eye", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()

    def found(self) -> list[Obeyed]:
        return list(self._found)

    def look(self, *, also_same: bool = False) -> None:
        for host in self._hosts.values():
            held = _held(host)
            if held is None:
                continue
            now = _epoch_of(held), str(held.get("leader", "")), int(held.get("revision", 0))
            if also_same or self._last.get(host.name) != now:
                self._last[host.name] = now
                self._found.append(Obeyed(time.monotonic(), host.name, *now))

    def _run(self) -> None:
        while not self._ending.wait(LOOK_S):
            self.look()


def running(containers: list[Container]) -> tuple[Running, ...]:
    return tuple(
        Running(one.host, one.inspected["Id"], *_slot(one.inspected["Config"]["Labels"]))
        for one in containers
        if one.running
    )


def _held(host: Host) -> Optional[dict[str, Any]]:
    """Each copy is a digest and a line of JSON, put in place at once."""
    with contextlib.suppress(OSError, ValueError, KeyError, IndexError):
        found: dict[str, Any] = json.loads((host.state / "held.json").read_bytes().split(b"\n")[1])
        held: dict[str, Any] = found["held"]
        return held
    return None


def _epoch_of(held: Mapping[str, Any]) -> tuple[int, int]:
    epoch = held.get("epoch", {})
    return int(epoch.get("incarnation", 0)), int(epoch.get("term", 0))


def _epoch(text: str) -> tuple[int, int]:
    incarnation, _, term = text.partition(".")
    return int(incarnation), int(term)


def _slot(labels: Mapping[str, str]) -> tuple[str, str, int, int]:
    app, service, slot, generation = (
        labels[f"{LABEL_PREFIX}{key}"] for key in ("app", "service", "slot", "generation")
    )
    return app, service, int(slot), int(generation)
