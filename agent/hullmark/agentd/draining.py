"""Instances that are about to be stopped: their connections end first, as far as there is time.

    with draining.leaving(instance, container_id):      a worker's thread: no new connections from here on, and waits
        engine.stop(container_id)

The `proxy` loop asks `marked` and `ended`, and says what is in force. A host without a proxy waits for nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Callable, Optional

from hullmark import log
from hullmark.errors import HullmarkError
from hullmark.model.directory import ServiceName
from hullmark.model.orders import InstanceId
from hullmark.model.proxy import Member

APPLIED_S = 2.0
"""How long a stop waits at most for the proxy to be told. Far more than a reload takes; past it the stop counts for more."""
POLL_S = 0.1
SIGNALLED_S = 60.0
"""How long a container that was sent a signal, by whomever, is taken to be about to end."""
ENDING_SIGNALS = frozenset({"2", "3", "9", "15", "SIGINT", "SIGQUIT", "SIGKILL", "SIGTERM"})

_log = log.get("draining")

Open = Callable[[Member], int]
"""Connections that a container has from the proxy. Raises HullmarkError where the proxy can't be asked."""


class Draining:
    """May be used from any thread. `wake` has the proxy told of what changed; `drain_s` is how long an instance of a service may go on,
    `connections` asks the proxy, `started_at` says since when a container has run, as it was seen last."""

    def __init__(
        self,
        wake: Callable[[], None],
        drain_s: Callable[[ServiceName], float],
        connections: Open,
        started_at: Callable[[str], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wake = wake
        self._drain_s = drain_s
        self._connections = connections
        self._started_at = started_at
        self._clock = clock
        self._asking = threading.Lock()
        self._condition = threading.Condition()
        self._stopping: dict[str, int] = {}
        self._signalled: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._in_force: Optional[Mapping[str, Member]] = None
        self._told: frozenset[str] = frozenset()

    @contextmanager
    def leaving(
        self, instance: InstanceId, container_id: str, *, wait: bool = True
    ) -> Iterator[None]:
        """For as long as the body takes; where it fails the container gets connections again. Waits at most as long as the service says."""
        with self._condition:
            self._stopping[container_id] = self._stopping.get(container_id, 0) + 1
        self._wake()
        started_at = self._started_at(container_id)
        done = False
        try:
            if wait:
                self._wait(instance, container_id)
            yield
            done = True
        finally:
            with self._condition:
                if done:
                    self._ended[container_id] = started_at
                left = self._stopping.pop(container_id) - 1
                if left:
                    self._stopping[container_id] = left
            self._wake()

    def signalled(self, container_id: str, signal: str) -> None:
        """Somebody, perhaps not the agent, sent it a signal."""
        if signal in ENDING_SIGNALS:
            with self._condition:
                self._signalled[container_id] = self._clock() + SIGNALLED_S
            self._wake()

    def has_ended(self, container_id: str) -> None:
        """By the engine's own word."""
        started_at = self._started_at(container_id)
        with self._condition:
            self._ended[container_id] = started_at
            self._signalled.pop(container_id, None)
        self._wake()

    @property
    def marked(self) -> frozenset[str]:
        now = self._clock()
        with self._condition:
            self._signalled = {one: until for one, until in self._signalled.items() if until > now}
            return frozenset((*self._stopping, *self._signalled))

    @property
    def ended(self) -> Mapping[str, float]:
        """When they were started that have ended."""
        with self._condition:
            return dict(self._ended)

    def in_force(self, members: Optional[Collection[Member]], told: Collection[str] = ()) -> None:
        """The proxy works with these members now, and was told that those of `told` leave; None: it can't be told anything."""
        with self._condition:
            self._in_force = None if members is None else {one.container_id: one for one in members}
            self._told = frozenset(told)
            self._condition.notify_all()

    def forget(self, running: Mapping[str, float]) -> None:
        """What a look has caught up with. `running`: by id, since when those run that it saw."""
        with self._condition:
            self._ended = {one: at for one, at in self._ended.items() if running.get(one) == at}

    def _wait(self, instance: InstanceId, container_id: str) -> None:
        until = self._clock() + self._drain_s(ServiceName(instance.app, instance.service))
        if until <= self._clock() or not self._is_told(container_id, until):
            return
        while self._clock() < until:
            member = self._member(container_id)
            if member is None:
                return  # it ended by itself, or the proxy did
            try:
                if self._left(member, until) == 0:
                    return
            except HullmarkError as error:
                _log.info("not drained", instance=instance, why=error.message)
                return
            with self._condition:
                self._condition.wait(POLL_S)
        _log.info("still has connections", instance=instance)

    def _left(self, member: Member, until: float) -> Optional[int]:
        """Its connections; None where others' questions took all of the time. One question at a time: the proxy counts all
        that it has for each, and one that hangs must hold up no stop for longer than that stop may wait."""
        if not self._asking.acquire(timeout=max(0.0, until - self._clock())):
            return None
        try:
            return self._connections(member)
        finally:
            self._asking.release()

    def _is_told(self, container_id: str, until: float) -> bool:
        """Waits until the proxy knows. False where there is nothing to wait for."""
        with self._condition:
            deadline = min(until, self._clock() + APPLIED_S)
            while self._has(container_id) and container_id not in self._told:
                left_s = deadline - self._clock()
                if left_s <= 0 or not self._condition.wait(left_s):
                    return False
            return self._has(container_id)

    def _has(self, container_id: str) -> bool:
        return self._in_force is not None and container_id in self._in_force

    def _member(self, container_id: str) -> Optional[Member]:
        with self._condition:
            return (self._in_force or {}).get(container_id)
