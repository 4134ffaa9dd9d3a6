"""What the engine did to a cluster's containers, as the engine itself tells it, and the rules it must keep."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

import docker
import docker.errors
import requests

from tests.cluster import LABEL_CLUSTER
from tests.sdk import api_client

_WATCHED = ("create", "start", "die", "destroy")
AGAIN_S = 0.1


@dataclass(frozen=True)
class Happening:
    """One event of a container or a volume. `at_ns` is the engine's clock; `slot` is `app/service.number`, or a
    volume's name; `container_id` is empty for a volume."""

    at_ns: int
    action: str
    container_id: str
    slot: str
    host: str = ""


class History:
    """Follows the events of one engine in a thread, from `__enter__` to `__exit__`; again after the engine was away."""

    def __init__(self, engine_socket: str, cluster_id: str, host: str = "") -> None:
        self._client = api_client(engine_socket)
        self._cluster_id = cluster_id
        self._host = host
        self._stream: Optional[Any] = None
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._happenings: list[Happening] = []

    def __enter__(self) -> History:
        self._stream = self._open()
        self._thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._ending.set()
        if self._stream is not None:
            self._stream.close()
        self._thread.join(5)
        self._client.close()

    def happenings(self) -> list[Happening]:
        with self._lock:
            return sorted(self._happenings, key=lambda found: found.at_ns)

    def _open(self) -> Any:
        return self._client.events(decode=True, filters={"type": ["container", "volume"]})

    def _run(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(requests.RequestException, docker.errors.DockerException):
                self._stream = self._stream or self._open()
                for event in self._stream:
                    self._take(event)
            self._stream = None
            self._ending.wait(AGAIN_S)

    def _take(self, event: Mapping[str, Any]) -> None:
        action = {"died": "die", "remove": "destroy"}.get(event["Action"], event["Action"])
        attributes = event["Actor"]["Attributes"]
        if event["Type"] == "volume":
            container_id, slot = "", event["Actor"]["ID"]
        elif attributes.get(LABEL_CLUSTER) == self._cluster_id:
            container_id, slot = event["Actor"]["ID"], _slot(attributes)
        else:
            return
        if action in _WATCHED:
            at_ns = int(event.get("timeNano") or event["time"] * 10**9)
            with self._lock:
                self._happenings.append(Happening(at_ns, action, container_id, slot, self._host))


def _slot(labels: Mapping[str, str]) -> str:
    app, service, slot = (labels[f"io.hullmark.{key}"] for key in ("app", "service", "slot"))
    return f"{app}/{service}.{slot}"


def doubled(happenings: list[Happening]) -> Iterator[str]:
    """Slots in which a container started while another still ran."""
    running: dict[str, set[str]] = defaultdict(set)
    for found in happenings:
        if found.action == "start":
            others = running[found.slot] - {found.container_id}
            if others:
                yield f"{found.slot}: {found.container_id[:12]} started beside {sorted(others)}"
            running[found.slot].add(found.container_id)
        elif found.action != "create":
            running[found.slot].discard(found.container_id)


def restarted(happenings: list[Happening]) -> Iterator[str]:
    """Containers that were started more than once."""
    starts: dict[str, int] = defaultdict(int)
    for found in happenings:
        if found.action == "start":
            starts[found.container_id] += 1
            if starts[found.container_id] == 2:
                yield f"{found.slot}: {found.container_id[:12]} was started again"
