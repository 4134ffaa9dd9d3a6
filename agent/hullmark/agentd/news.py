"""Events that show in a host's containers: health that changes, and what others do to them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping

from hullmark.agentd.outbox import Outbox
from hullmark.core.found import Found, FoundState
from hullmark.model.observed import Health

REMEMBERED = 1000
"""Containers that the agent removed, the newest: an engine tells of it within seconds."""


class News:
    """`compare` is one thread's, `expect` and `ours` anybody's."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._lock = threading.Lock()
        self._expected: OrderedDict[str, None] = OrderedDict()
        self._before: Mapping[str, Found] = {}

    def expect(self, container_id: str) -> None:
        """The agent is about to stop or remove this one."""
        with self._lock:
            self._expected[container_id] = None
            while len(self._expected) > REMEMBERED:
                self._expected.popitem(last=False)

    def leave(self, container_id: str) -> None:
        """The agent stops it no more."""
        with self._lock:
            self._expected.pop(container_id, None)

    def ours(self, container_id: str) -> bool:
        with self._lock:
            return container_id in self._expected

    def compare(self, found: Mapping[str, Found]) -> None:
        """Tell what changed since the last time."""
        before, self._before = self._before, found
        for name, one in before.items():
            now = found.get(name)
            gone = now is None or now.container_id != one.container_id
            if gone and not self.ours(one.container_id):
                self._outbox.add(
                    "instance.touched", str(one.instance), "its container was removed by others"
                )
        for name, one in found.items():
            known = before.get(name)
            if known is not None and known.container_id == one.container_id:
                self._compare_one(known, one)

    def _compare_one(self, before: Found, now: Found) -> None:
        subject = str(now.instance)
        if now.state is FoundState.RUNNING and now.health is not before.health:
            if now.health is Health.UNHEALTHY:
                self._outbox.add("instance.unhealthy", subject, now.health_output)
            elif now.health is Health.HEALTHY:
                self._outbox.add("instance.healthy", subject)
        if now.state is FoundState.PAUSED and before.state is not FoundState.PAUSED:
            self._outbox.add("instance.touched", subject, "its container was paused by others")
