"""What the engine did to a cluster's containers, as the engine itself tells it, and the rules it must keep."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

import docker

from tests.cluster import LABEL_CLUSTER

_WATCHED = ("start", "die", "destroy")


@dataclass(frozen=True)
class Happening:
    """One container event. `at_ns` is the engine's clock; `slot` is `app/service.number`."""

    at_ns: int
    action: str
    container_id: str
    slot: str


class History:
    """Follows the engine's events in a thread, from `__enter__` to `__exit__`."""

    def __init__(self, engine_socket: str, cluster_id: str) -> None:
        self._client = docker.APIClient(base_url=engine_socket, timeout=60)
        self._cluster_id = cluster_id
        self._stream: Optional[Any] = None
        self._thread = threading.Thread(target=self._follow, name="history", daemon=True)
        self._lock = threading.Lock()
        self._happenings: list[Happening] = []

    def __enter__(self) -> History:
        self._stream = self._client.events(
            decode=True,
            filters={"label": f"{LABEL_CLUSTER}={self._cluster_id}", "type": "container"},
        )
        self._thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        if self._stream is not None:
            self._stream.close()
        self._thread.join(5)
        self._client.close()

    def happenings(self) -> list[Happening]:
        with self._lock:
            return sorted(self._happenings, key=lambda found: found.at_ns)

    def _follow(self) -> None:
        assert self._stream is not None
        for event in self._stream:
            action = {"died": "die", "remove": "destroy"}.get(event["Action"], event["Action"])
            if action not in _WATCHED:
                continue
            attributes = event["Actor"]["Attributes"]
            happening = Happening(
                at_ns=int(event.get("timeNano") or event["time"] * 10**9),
                action=action,
                container_id=event["Actor"]["ID"],
                slot=_slot(attributes),
            )
            with self._lock:
                self._happenings.append(happening)


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
        else:
            running[found.slot].discard(found.container_id)


def restarted(happenings: list[Happening]) -> Iterator[str]:
    """Containers that were started more than once."""
    starts: dict[str, int] = defaultdict(int)
    for found in happenings:
        if found.action == "start":
            starts[found.container_id] += 1
            if starts[found.container_id] == 2:
                yield f"{found.slot}: {found.container_id[:12]} was started again"
