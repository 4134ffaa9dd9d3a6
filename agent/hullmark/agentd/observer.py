"""What the engine has: a picture of our containers that is cheap to keep fresh.

While the engine's events are followed they say which containers changed, and only those are inspected. Now and then all are listed, and
those inspected that the listing has otherwise. Where events may have been missed all are inspected: no engine's listing tells of each one
that was started anew or moved to another address, and its former address may be somebody else's by now.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Callable, Optional

from hullmark.core.found import Found, FoundState
from hullmark.engine.protocol import Container, ContainerState, Engine, Listed
from hullmark.errors import HullmarkError, NotFound
from hullmark.model.epoch import NO_EPOCH, Epoch
from hullmark.model.observed import Health

SETTLE_S = 1.0
"""How long after it was opened a stream of events is taken to miss nothing: the engine doesn't say when it begins."""

_STATES = {
    ContainerState.CREATED: FoundState.CREATED,
    ContainerState.RUNNING: FoundState.RUNNING,
    ContainerState.PAUSED: FoundState.PAUSED,
    ContainerState.RESTARTING: FoundState.RUNNING,
    ContainerState.EXITED: FoundState.ENDED,
    ContainerState.DEAD: FoundState.BROKEN,
}


class Observer:
    """Containers of one cluster. `look` is one thread's, everything else anybody's."""

    def __init__(
        self,
        engine: Engine,
        cluster_id: str,
        resync_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._cluster_id = cluster_id
        self._resync_s = resync_s
        self._clock = clock
        self._lock = threading.Lock()
        self._containers: dict[str, tuple[Listed, Container]] = {}
        self._dirty: set[str] = set()
        self._looking = False
        self._judged: dict[str, Health] = {}
        self._listed_at: Optional[float] = None
        self._followed_at: Optional[float] = None
        self._inspected_at: Optional[float] = None
        self._found: Optional[Mapping[str, Found]] = None
        self._learned: dict[str, Found] = {}
        self._changed: list[Callable[[], None]] = []

    def when_changed(self, callback: Callable[[], None]) -> None:
        """Called after each look that found something else than the last one, by the thread that looked."""
        self._changed.append(callback)

    def mark(self, container_id: str) -> None:
        """Inspect this one at the next look."""
        with self._lock:
            self._dirty.add(container_id)

    def mark_known(self, container_id: str) -> bool:
        """The same for one that may be none of ours: whether it is looked at. All that come while a look is under way are."""
        with self._lock:
            if not self._looking and container_id not in self._containers:
                return False
            self._dirty.add(container_id)
            return True

    def follow(self, followed: bool) -> None:
        """Whether the engine's events come in. Changes from before that may have been missed."""
        with self._lock:
            self._followed_at = self._clock() + SETTLE_S if followed else None

    def judge(self, container_id: str, health: Optional[Health]) -> None:
        """The agent's own word on a container's health, over the engine's; None takes it back."""
        with self._lock:
            if health is None:
                self._judged.pop(container_id, None)
            else:
                self._judged[container_id] = health

    def settles_in(self) -> Optional[float]:
        """Seconds until a look can rely on events; None where no look before it will help."""
        with self._lock:
            if self._followed_at is None or (self._listed_at or 0.0) >= self._followed_at:
                return None
            return max(0.0, self._followed_at - self._clock())

    def look(self) -> Mapping[str, Found]:
        """All containers of the cluster by name. Raises EngineUnavailable, or Refused in the engine's words."""
        now = self._clock()
        with self._lock:
            dirty, self._dirty = self._dirty, set()
            self._learned = {}
            self._looking = True
            known = dict(self._containers)
            complete = (
                self._listed_at is not None
                and self._followed_at is not None
                and self._followed_at <= self._listed_at
                and now - self._listed_at < self._resync_s
            )
            afresh = not complete and self._inspects_all(now)
        try:
            if complete:
                fresh = self._update(known, dirty)
            else:
                fresh = self._list({} if afresh else known, dirty)
        except HullmarkError:
            with self._lock:
                self._dirty |= dirty
                self._looking = False
                self._listed_at = None
            raise
        with self._lock:
            self._containers = fresh
            self._looking = False
            self._judged = {key: one for key, one in self._judged.items() if key in fresh}
            if not complete:
                self._listed_at = now
            if afresh:
                self._inspected_at = now
            mine = [found for _, found in fresh.values() if found.cluster_id == self._cluster_id]
            looked = {
                name: described(name, container, self._judged)
                for name, container in _by_name(mine).items()
            }
            shown = {**looked, **self._learned}
            changed, self._found = shown != self._found, shown
        if changed:
            self._tell()
        return looked

    def _inspects_all(self, now: float) -> bool:
        """Whether events may have been missed since all were inspected. While none come in at all, now and then will do."""
        if self._inspected_at is None:
            return True
        if self._followed_at is None or now < self._followed_at:
            return now - self._inspected_at >= self._resync_s
        return self._inspected_at < self._followed_at

    def learn(self, container: Container) -> None:
        """What somebody else was told of a container just now: `found` has it until a look that began after this."""
        with self._lock:
            self._dirty.add(container.container_id)
            if self._found is None or container.cluster_id != self._cluster_id:
                return
            name = container.instance.container_name
            row = Listed(container.container_id, container.name, container.state, container.health)
            self._containers = {**self._containers, container.container_id: (row, container)}
            self._learned[name] = described(name, container, self._judged)
            self._found = {**self._found, **self._learned}
        self._tell()

    @property
    def found(self) -> Optional[Mapping[str, Found]]:
        """As the last look had it; None before the first one."""
        with self._lock:
            return self._found

    def _tell(self) -> None:
        for callback in self._changed:
            callback()

    def _list(
        self, known: Mapping[str, tuple[Listed, Container]], dirty: set[str]
    ) -> dict[str, tuple[Listed, Container]]:
        fresh: dict[str, tuple[Listed, Container]] = {}
        for row in self._engine.listed():
            before = known.get(row.container_id)
            if before is not None and row.container_id not in dirty and _is_as(row, *before):
                fresh[row.container_id] = before
                continue
            try:
                fresh[row.container_id] = row, self._engine.container(row.container_id)
            except NotFound:
                continue  # gone since it was listed, or its labels don't say whose it is
        return fresh

    def _update(
        self, known: dict[str, tuple[Listed, Container]], dirty: set[str]
    ) -> dict[str, tuple[Listed, Container]]:
        for container_id in dirty:
            try:
                found = self._engine.container(container_id)
            except NotFound:
                known.pop(container_id, None)
                continue
            row = Listed(container_id, found.name, found.state, found.health)
            known[container_id] = row, found
        return known

    def container(self, container_id: str) -> Container:
        """As last seen. Raises KeyError."""
        with self._lock:
            return self._containers[container_id][1]

    def seen(self) -> tuple[Container, ...]:
        """Those of this cluster, as last seen."""
        return tuple(one for one in self.of_any_cluster() if one.cluster_id == self._cluster_id)

    def of_any_cluster(self) -> tuple[Container, ...]:
        """Also those that a cluster has left behind to which this host belonged before."""
        with self._lock:
            return tuple(container for _, container in self._containers.values())

    def highest_epoch(self) -> Epoch:
        """Of the labels of this cluster's containers, as last seen."""
        return max((found.epoch for found in self.seen()), default=NO_EPOCH)


def _is_as(row: Listed, before: Listed, container: Container) -> bool:
    """Whether a listing has it as it was: in the same words, and with the addresses and the first process that it had when inspected."""
    return (
        (row.name, row.state, row.health) == (before.name, before.state, before.health)
        and (row.addresses is None or row.addresses == container.addresses)
        and row.pid in (0, container.pid)
    )


def _by_name(containers: Iterable[Container]) -> dict[str, Container]:
    """By the name that their labels give them: one that somebody renamed is still the same instance. Of two with the
    labels of one instance, the second goes by the name that it has."""
    found: dict[str, Container] = {}
    for one in sorted(containers, key=lambda one: one.name != one.instance.container_name):
        name = one.instance.container_name
        found[one.name if name in found else name] = one
    return found


def described(
    name: str, container: Container, judged: Mapping[str, Health] = MappingProxyType({})
) -> Found:
    """In the words of decisions. `judged` is the agent's own word on health, by container id."""
    return Found(
        container_id=container.container_id,
        name=name,
        instance=container.instance,
        spec_hash=container.spec_hash,
        state=_STATES[container.state],
        epoch=container.epoch,
        health=judged.get(container.container_id, container.health),
        health_output=container.health_output,
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
