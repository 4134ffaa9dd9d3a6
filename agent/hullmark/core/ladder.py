"""Ladders: hosts in order of what is on them, so that the best one is found without a look at all of them.

Services that ask for the same scope, platform, constraints and spread, and are barred from the same hosts by the mark, share a
ladder: the hosts that are open to them, in groups of equal values of what they are spread over. A group is a heap of rungs. Rungs are mended when they come to
the top: a rung never stands above where its host really is, because hosts that move up get a new one (`follow`).

One `Climb` uses a ladder at a time: a service's own view of it, in which a host's rung also counts how many
instances of that very service it has. What it took off the ladder goes back when the next one begins.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Optional

from hullmark.core import absence, constraints
from hullmark.core.berths import Berth
from hullmark.model.app import Service
from hullmark.model.host import Availability
from hullmark.model.snapshot import Snapshot, Strategy

Level = tuple[float, ...]
"""How far down a host is by all that is on it; the lowest is the best."""
Group = tuple[bool, tuple[Optional[str], ...]]
"""Quiet hosts come last; then each value of what a service is spread over."""
_Rung = tuple[Level, int, str]
_OwnRung = tuple[int, Level, int, str]
_Head = tuple[bool, tuple[int, ...], _OwnRung, Group]


def is_open(snapshot: Snapshot, berth: Berth) -> bool:
    """Whether the host gets anything new at all."""
    active = berth.host.availability is Availability.ACTIVE and not berth.observes
    return berth.ready and active and not absence.in_maintenance(snapshot, berth.host.host_id)


class Ladders:
    """All of one plan. `touched` names each host on which something was put or taken off, in this order."""

    def __init__(self, snapshot: Snapshot, berths: Mapping[str, Berth], touched: list[str]) -> None:
        self._snapshot = snapshot
        self._berths = berths
        self._touched = touched
        self._made: dict[tuple[object, ...], Ladder] = {}
        self._open = {
            host_id: berth for host_id, berth in berths.items() if is_open(snapshot, berth)
        }

    def of(self, service: Service, barred: AbstractSet[str] = frozenset()) -> Ladder:
        """`barred`: hosts that get none of it for another reason than what they are."""
        placement = service.deploy.placement
        spec = service.container
        kind = spec.scope, spec.platform, placement.constraints, placement.spread, barred
        if kind not in self._made:
            fitting = {
                host_id: berth
                for host_id, berth in self._open.items()
                if host_id not in barred and berth.mismatch(service) is None
            }
            self._made[kind] = Ladder(
                self._snapshot, self._berths, fitting, placement.spread, self._touched
            )
        return self._made[kind]


class Ladder:
    """`fitting` are those of the hosts that stand on it."""

    def __init__(
        self,
        snapshot: Snapshot,
        berths: Mapping[str, Berth],
        fitting: Mapping[str, Berth],
        spread: tuple[str, ...],
        touched: list[str],
    ) -> None:
        self.packs = snapshot.strategy is Strategy.BINPACK
        self.berths = berths
        self.spread = spread
        self.touched = touched
        self.group_of: dict[str, Group] = {}
        self.place = {host_id: place for place, host_id in enumerate(berths)}
        self._seen = len(touched)
        self._rungs: dict[Group, list[_Rung]] = {}
        self._level: dict[str, Level] = {}
        self._away: set[str] = set()
        for host_id in fitting:
            group = absence.is_last_choice(snapshot, host_id), self.values(host_id)
            self.group_of[host_id] = group
            self._rungs.setdefault(group, [])
            self._put(host_id)

    @property
    def groups(self) -> Iterator[Group]:
        return iter(self._rungs)

    def values(self, host_id: str) -> tuple[Optional[str], ...]:
        """The host's values of what is spread over."""
        berth = self.berths[host_id]
        return tuple(constraints.value(key, berth.host, berth.facts) for key in self.spread)

    def level(self, host_id: str) -> Level:
        berth = self.berths[host_id]
        return (-berth.fullness, -berth.instances) if self.packs else (berth.instances,)

    def begin(self) -> None:
        """All hosts are on it again, and none stands above where it is."""
        away, self._away = self._away, set()
        for host_id in away:
            self._put(host_id)
        self.follow()

    def follow(self) -> None:
        """Hosts that moved up get a new rung."""
        for host_id in self.touched[self._seen :]:
            known = self._level.get(host_id)
            if known is not None and self.level(host_id) < known:
                self._put(host_id)
        self._seen = len(self.touched)

    def _put(self, host_id: str) -> None:
        level = self._level[host_id] = self.level(host_id)
        rungs = self._rungs[self.group_of[host_id]]
        heapq.heappush(rungs, (level, self.place[host_id], host_id))

    def top(self, group: Group) -> Optional[_Rung]:
        """The group's best host that was not taken off."""
        rungs = self._rungs[group]
        while rungs:
            level, place, host_id = rungs[0]
            now = self._level[host_id]
            if host_id in self._away or level != now:
                heapq.heappop(rungs)
                continue
            now = self.level(host_id)
            if level == now:
                return rungs[0]
            self._level[host_id] = now
            heapq.heapreplace(rungs, (now, place, host_id))
        return None

    def take(self, group: Group) -> None:
        """The group's top off the ladder, until the next `begin`."""
        self._away.add(heapq.heappop(self._rungs[group])[2])


class Climb:
    """One service on its ladder. `hosts` are those that have any of it."""

    def __init__(self, ladder: Ladder, key: tuple[str, str], hosts: Iterable[str]) -> None:
        ladder.begin()
        self._ladder = ladder
        self._key = key
        self._seen = len(ladder.touched)
        self._noted: dict[str, int] = {}
        self._counts: list[Counter[Optional[str]]] = [Counter() for _ in ladder.spread]
        self._own: dict[Group, list[_OwnRung]] = {}
        self._on: set[str] = set()
        self._off: set[str] = set()
        self._heads: list[_Head] = []
        self._queued: dict[Group, _Head] = {}
        for host_id in hosts:
            self._note(host_id)
        self._queue_all()

    def best(self) -> Optional[str]:
        """The host that comes first, taken off; None: there is no other."""
        while self._heads:
            head = self._heads[0]
            group = head[-1]
            if self._queued.get(group) is not head:
                heapq.heappop(self._heads)
                continue
            now = self._head(group)
            if now is None:
                heapq.heappop(self._heads)
                del self._queued[group]
            elif now == head:
                return self._take(group)
            else:
                self._queued[group] = now
                heapq.heapreplace(self._heads, now)
        return None

    def put_back(self, host_id: str) -> None:
        """One that was taken off may be found again."""
        if host_id in self._off:
            self._off.discard(host_id)
            self._put(host_id)

    def follow(self) -> None:
        """See what was put on hosts, and taken off them, since the last time."""
        touched = self._ladder.touched[self._seen :]
        if not touched:
            return
        self._seen += len(touched)
        self._ladder.follow()
        fewer = False
        for host_id in touched:
            fewer = self._note(host_id) or fewer
        for host_id in touched:
            if host_id in self._off or host_id in self._on:
                self._off.discard(host_id)
                self._put(host_id)
            elif host_id in self._ladder.group_of:
                self._queue(self._ladder.group_of[host_id])
        if fewer:
            self._queue_all()

    def _note(self, host_id: str) -> bool:
        """Count the host's instances of the service. True where they are fewer than before."""
        berth = self._ladder.berths.get(host_id)
        if berth is None:
            return False
        there = berth.by_service[self._key]
        change = there - self._noted.get(host_id, 0)
        if change:
            self._noted[host_id] = there
            for value, count in zip(self._ladder.values(host_id), self._counts):
                count[value] += change
        return change < 0

    def _put(self, host_id: str) -> None:
        group = self._ladder.group_of[host_id]
        self._on.add(host_id)
        heapq.heappush(self._own.setdefault(group, []), self._rung(host_id))
        self._queue(group)

    def _queue_all(self) -> None:
        self._queued = {}
        self._heads = []
        for group in self._ladder.groups:
            head = self._head(group)
            if head is not None:
                self._queued[group] = head
                self._heads.append(head)
        heapq.heapify(self._heads)

    def _queue(self, group: Group) -> None:
        """Where the group's head moved up: others are mended when they come to the top."""
        head, before = self._head(group), self._queued.get(group)
        if head is not None and (before is None or head < before):
            self._queued[group] = head
            heapq.heappush(self._heads, head)

    def _head(self, group: Group) -> Optional[_Head]:
        shared = self._shared_top(group)  # first: it may find one of our own
        own = self._own_top(group)
        first = own if shared is None or (own is not None and own < shared) else shared
        if first is None:
            return None
        quiet, values = group
        counts = tuple(count[value] for count, value in zip(self._counts, values))
        return (quiet, counts, first, group)

    def _rung(self, host_id: str) -> _OwnRung:
        ladder = self._ladder
        return self._here(host_id), ladder.level(host_id), ladder.place[host_id], host_id

    def _here(self, host_id: str) -> int:
        """Of this service; no matter where hosts are to be filled."""
        return 0 if self._ladder.packs else self._noted.get(host_id, 0)

    def _own_top(self, group: Group) -> Optional[_OwnRung]:
        rungs = self._own.get(group)
        while rungs:
            host_id = rungs[0][-1]
            if host_id in self._on and rungs[0] == self._rung(host_id):
                return rungs[0]
            heapq.heappop(rungs)
        return None

    def _shared_top(self, group: Group) -> Optional[_OwnRung]:
        """The ladder's best that has none of the service. Others are ranked by that as well."""
        while True:
            rung = self._ladder.top(group)
            if rung is None:
                return None
            level, place, host_id = rung
            if not self._here(host_id):
                return 0, level, place, host_id
            self._ladder.take(group)
            self._on.add(host_id)
            heapq.heappush(self._own.setdefault(group, []), self._rung(host_id))

    def _take(self, group: Group) -> str:
        shared, own = self._shared_top(group), self._own_top(group)
        if shared is None or (own is not None and own < shared):
            host_id = heapq.heappop(self._own[group])[-1]
            self._on.discard(host_id)
        else:
            host_id = shared[-1]
            self._ladder.take(group)
        self._off.add(host_id)
        return host_id
