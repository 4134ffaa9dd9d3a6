"""Whether containers of this host answer its proxy where they should: a program that listens on 127.0.0.1 of its container only, or on another port than its app
names, is told before somebody misses it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Callable

from hullmark.agentd import proxywords
from hullmark.agentd.problems import Problems
from hullmark.core import unanswered
from hullmark.engine.haproxy import Haproxy
from hullmark.model.directory import ServiceName
from hullmark.model.orders import InstanceId
from hullmark.model.proxy import ContainerPort, Down, ProxySight
from hullmark.model.proxyplan import ProxyPlan

LOOKS = 4
"""So many in a row, each five seconds or more after the one before, so it has lasted 15 s: a container without a health check serves from its start on, and most programs
listen by then. Counted, and not timed: an agent that got no processor time for a while saw nothing of it."""


class ProxyAnswers:
    """One thread's. `exposed`: of an instance, the TCP ports of its app's `expose`."""

    def __init__(
        self,
        haproxy: Haproxy,
        problems: Problems,
        exposed: Callable[[InstanceId], Collection[int]],
    ) -> None:
        self._haproxy = haproxy
        self._problems = problems
        self._exposed = exposed
        self._counts: Mapping[ContainerPort, int] = {}
        self._told: tuple[tuple[ContainerPort, Down, ServiceName], ...] = ()

    def keep(self, sight: ProxySight) -> None:
        """What doesn't serve any more is not waited for, and begins anew when it does. The proxy is not asked."""
        if self._counts:
            due = unanswered.due(sight, self._exposed)
            self._counts = {place: count for place, count in self._counts.items() if place in due}
            self._show(tuple(one for one in self._told if one[0] in due))

    def look(self, sight: ProxySight, plan: ProxyPlan) -> None:
        """The proxy has both in force. Raises ProxyUnavailable."""
        due = unanswered.due(sight, self._exposed)
        asked = unanswered.backends(plan, due)
        doubted = {asked[place].name for place in self._counts if place in asked}
        members = {one.name: one.members for one in asked.values()}
        looks = self._haproxy.containers(members, doubted) if members else ()
        self._counts = unanswered.counted(self._counts, looks, due)
        last = {place: down for place, down, _ in self._told}
        last.update(
            (look.place, Down(look.place.container, look.why))
            for look in looks
            if look.answers is False
        )
        told = [place for place, count in sorted(self._counts.items()) if count >= LOOKS]
        self._show(tuple((place, last[place], due[place]) for place in told))

    def forget(self) -> None:
        """There is no proxy that could ask anybody."""
        self._counts = {}
        self._show(())

    def _show(self, told: tuple[tuple[ContainerPort, Down, ServiceName], ...]) -> None:
        self._told = told
        proxywords.show_unanswered(self._problems, told)
