"""Whether this host's proxy reaches those of the hosts that it needs: a firewall between two hosts is told before somebody misses a service. The same for containers of this host,
at the same pace (`proxyanswers.py`)."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Callable

from hullmark.agentd import proxywords
from hullmark.agentd.problems import Problems
from hullmark.agentd.proxyanswers import ProxyAnswers
from hullmark.core import unreached
from hullmark.engine.haproxy import Haproxy
from hullmark.model.directory import Directory
from hullmark.model.orders import InstanceId
from hullmark.model.proxy import Down, ProxySight
from hullmark.model.proxyplan import ProxyPlan

PACE_S = 5.0
"""How often the proxy is asked. With 300 other hosts an answer is 86 KB, and takes agent and proxy some 4 ms of processor time together."""
TOLD_AFTER_S = 30.0
"""A host that is lost, or whose proxy is started again, is told elsewhere, and sooner."""


class ProxyPeers:
    """One thread's. `exposed` as in `ProxyAnswers`."""

    def __init__(
        self,
        haproxy: Haproxy,
        problems: Problems,
        exposed: Callable[[InstanceId], Collection[int]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._answers = ProxyAnswers(haproxy, problems, exposed)
        self._haproxy = haproxy
        self._problems = problems
        self._clock = clock
        self._since: Mapping[str, float] = {}
        self._looked_at = float("-inf")

    def follow(self, sight: ProxySight, plan: ProxyPlan) -> None:
        """The proxy has these in force; to be called every few seconds. Raises ProxyUnavailable."""
        now = self._clock()
        self._answers.keep(sight)
        if now - self._looked_at < PACE_S:
            return
        self._looked_at = now
        self._look_at_peers(sight.directory, now)
        self._answers.look(sight, plan)

    def _look_at_peers(self, directory: Directory, now: float) -> None:
        needed = unreached.needed(directory)
        looks = {one.host_id: one for one in self._haproxy.peers()} if needed else {}
        self._since = unreached.since(self._since, looks.values(), now)
        told = [
            (peer, Down(peer.host_id, looks[peer.host_id].why), needed[peer.host_id])
            for peer in directory.peers
            if peer.host_id in needed and now - self._since.get(peer.host_id, now) >= TOLD_AFTER_S
        ]
        proxywords.show_unreached(self._problems, told)

    def forget(self) -> None:
        """There is no proxy that could reach anybody."""
        self._since = {}
        proxywords.show_unreached(self._problems, ())
        self._answers.forget()
