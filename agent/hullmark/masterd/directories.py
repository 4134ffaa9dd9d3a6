"""The directories of all hosts, as long as one term lasts: made anew when anything of it changes, told to the hosts that are concerned.

A change is told at once, those that follow it within a moment together; what is spent on them is a bounded share of the processor. There are none
before each host was heard in this term or is lost: what hosts were told by a former leader is better than half of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Callable, Optional

from hullmark import log
from hullmark.core.directory import Table, all_heard, tabled
from hullmark.core.lastknown import kept_places, proxies_of
from hullmark.errors import Conflict
from hullmark.masterd.counter import Counter
from hullmark.masterd.refusals import not_enrolled
from hullmark.masterd.term import Term
from hullmark.model.snapshot import Snapshot

LEAST_S = 0.05
"""Between two passes: a rolling update is many small changes."""
PAUSE_SHARE, PAUSE_MAX_S = 3.0, 0.5
INLINE_S = 0.02
"""A pass that takes longer is made in a thread."""
AGAIN_S = 5.0
"""Time alone changes little here: the brake is over, a proxy has been away for long."""
AWAY_S = 30.0
"""A proxy that was killed is back within two seconds, and one that is updated too. All hosts would load another configuration
twice for that, and a host that answers a published port stop to; whom it doesn't answer tries another host meanwhile."""

_log = log.get("directories")


class Directories:
    def __init__(self, term: Term, clock: Callable[[], float]) -> None:
        self._term = term
        self._clock = clock
        self._table: Optional[Table] = None
        self._told: dict[str, Counter] = {}
        self._proxies: dict[str, tuple[tuple[str, int], float]] = {}
        self._accepted: dict[str, str] = {}
        self._takes_s = 0.0

    async def run(self) -> None:
        """Until this master leads no more."""
        seen = -1
        while self._term.leadership.is_leader:
            seen = await self._term.inputs.passed(seen, AGAIN_S)
            await self.make()
            await asyncio.sleep(min(max(self._takes_s * PAUSE_SHARE, LEAST_S), PAUSE_MAX_S))

    async def make(self) -> None:
        """One pass. Whoever waits for a directory that is another now is told."""
        snapshot = self._term.snapshot()
        if self._table is None and not all_heard(snapshot):
            return
        former, loop = self._table, asyncio.get_running_loop()
        proxies, began = self._lasting(snapshot), loop.time()
        if self._takes_s < INLINE_S:
            table = tabled(snapshot, proxies, former)
        else:
            table = await loop.run_in_executor(None, tabled, snapshot, proxies, former)
        self._takes_s = loop.time() - began
        if former is None:
            _log.info("hosts are told of services", hosts=len(table))
        self._table = table
        for host_id, counter in self._told.items():
            if former is None or former.digests.get(host_id) != table.digests.get(host_id):
                counter.bump()

    def _lasting(self, snapshot: Snapshot) -> Mapping[str, tuple[str, int]]:
        """Proxies that are up, or were a moment ago: at first, those that were up under the former leader."""
        now = self._clock()
        if self._table is None:
            self._proxies = {key: (place, now) for key, place in kept_places(snapshot).items()}
        for host_id, place in proxies_of(snapshot).items():
            self._proxies[host_id] = place, now
        self._proxies = {
            host_id: (place, at)
            for host_id, (place, at) in self._proxies.items()
            if host_id in snapshot.hosts and now - at < AWAY_S
        }
        return {host_id: place for host_id, (place, _) in self._proxies.items()}

    @property
    def proxies(self) -> Optional[Mapping[str, tuple[str, int]]]:
        """Where the proxies are that hosts are told of; None while they are told nothing."""
        if self._table is None:
            return None
        return {host_id: place for host_id, (place, _) in self._proxies.items()}

    @property
    def table(self) -> Optional[Table]:
        """As of the newest pass; None while this master can't say how all hosts stand."""
        return self._table

    @property
    def accepted(self) -> Mapping[str, str]:
        """The digest of the directory that each host had when it called last, of those that take any."""
        return self._accepted

    def heard(self, host_id: str, digest: Optional[str]) -> None:
        """A host called, and has this one."""
        if digest is not None:
            self._accepted[host_id] = digest

    def differs(self, host_id: str, digest: Optional[str]) -> bool:
        """Whether a host that has the directory with this digest is to ask for another. None: it takes none."""
        if digest is None or self._table is None:
            return False
        return self._table.digests.get(host_id, digest) != digest

    def forget(self, host_id: str) -> None:
        """It was removed from the cluster."""
        self._told.pop(host_id, None)
        self._accepted.pop(host_id, None)

    async def wait(self, host_id: str, digest: Optional[str], hold_s: float) -> None:
        """Until it is to, or for `hold_s`."""
        deadline = self._clock() + hold_s
        told = self._told.setdefault(host_id, Counter())
        while not self.differs(host_id, digest):
            left_s = deadline - self._clock()
            if left_s <= 0:
                return
            await told.passed(told.value, left_s)

    def text(self, host_id: str) -> str:
        """The host's directory as JSON. Raises NotFound for one that isn't enrolled, Conflict while there are none."""
        if self._table is None:
            raise Conflict(
                "this leader has not heard all hosts yet", remedy="go on with what was told before"
            )
        if host_id not in self._table.digests:
            raise not_enrolled(host_id)
        return self._table.text(host_id)
