"""What the engine has: a picture of our containers that is cheap to keep fresh.

A listing shows which containers changed; only those are inspected. The engine's events mark containers that are
to be inspected whatever the listing says (an address, a health state).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from hullmark.core.found import Found, FoundState
from hullmark.engine.protocol import Container, ContainerState, Engine, Listed
from hullmark.errors import NotFound
from hullmark.model.epoch import NO_EPOCH, Epoch

_STATES = {
    ContainerState.CREATED: FoundState.CREATED,
    ContainerState.RUNNING: FoundState.RUNNING,
    ContainerState.PAUSED: FoundState.PAUSED,
    ContainerState.RESTARTING: FoundState.RUNNING,
    ContainerState.EXITED: FoundState.ENDED,
    ContainerState.DEAD: FoundState.BROKEN,
}


class Observer:
    """Containers of one cluster. May be used from any thread."""

    def __init__(self, engine: Engine, cluster_id: str) -> None:
        self._engine = engine
        self._cluster_id = cluster_id
        self._lock = threading.Lock()
        self._containers: dict[str, tuple[Listed, Container]] = {}
        self._dirty: set[str] = set()

    def mark(self, container_id: str) -> None:
        """Inspect this one at the next look."""
        with self._lock:
            self._dirty.add(container_id)

    def look(self) -> Mapping[str, Found]:
        """All containers of the cluster by name. Raises EngineUnavailable."""
        with self._lock:
            dirty, self._dirty = self._dirty, set()
            known = dict(self._containers)
        fresh: dict[str, tuple[Listed, Container]] = {}
        for row in self._engine.listed():
            before = known.get(row.container_id)
            if before is not None and before[0] == row and row.container_id not in dirty:
                fresh[row.container_id] = before
                continue
            try:
                fresh[row.container_id] = row, self._engine.container(row.container_id)
            except NotFound:
                continue  # gone since it was listed, or its labels don't say whose it is
        with self._lock:
            self._containers = fresh
        mine = (found for _, found in fresh.values() if found.cluster_id == self._cluster_id)
        return {found.name: _found(found) for found in mine}

    def container(self, container_id: str) -> Container:
        """As last seen. Raises KeyError."""
        with self._lock:
            return self._containers[container_id][1]

    def seen(self) -> tuple[Container, ...]:
        with self._lock:
            return tuple(found for _, found in self._containers.values())

    def highest_epoch(self) -> Epoch:
        """Of the labels of this cluster's containers, as last seen."""
        mine = (found.epoch for found in self.seen() if found.cluster_id == self._cluster_id)
        return max(mine, default=NO_EPOCH)


def _found(container: Container) -> Found:
    return Found(
        container_id=container.container_id,
        name=container.name,
        instance=container.instance,
        spec_hash=container.spec_hash,
        state=_STATES[container.state],
        epoch=container.epoch,
        health=container.health,
        exit_code=container.exit_code,
        error=container.error,
        oom_killed=container.oom_killed,
        image=container.image,
        image_id=container.image_id,
        started_at=container.started_at,
        finished_at=container.finished_at,
        addresses=container.addresses,
        ports=container.ports,
    )
