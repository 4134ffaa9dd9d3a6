"""Placement: the best host for one instance of a service, or why no host will do.

A `Search` is for one service and one plan. What depends on the host alone is worked out once; what is taken of
a host changes as instances are put on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Callable, Optional, Union

from hullmark.core import absence, constraints
from hullmark.core.berths import Berth, Filter, Obstacle, choose_ports
from hullmark.core.draft import Draft, Slot
from hullmark.core.ladder import Climb
from hullmark.core.volumes import removes_volumes_on
from hullmark.core.wishes import Wish
from hullmark.model.app import PortSpec
from hullmark.model.explanation import Refusal
from hullmark.model.host import Availability
from hullmark.model.orders import PublishedPort
from hullmark.model.snapshot import Snapshot, Strategy

MAX_REASONS = 8
"""Lines of explanation for one instance; hosts that fail alike share a line."""

Obstacles = Mapping[str, Obstacle]
Ports = tuple[PublishedPort, ...]
_Rank = tuple[Union[int, float], ...]


@dataclass(frozen=True)
class Found:
    host_id: str
    ports: Ports


@dataclass(frozen=True)
class Wanted:
    """What a host is looked for: an instance of this slot with these ports. `former` are the hosts where one of
    the slot still has to go, with its ports; `avoid` are hosts that won't do, with the reason. `beside`: an older one of the slot
    stays meanwhile."""

    slot: int
    specs: Sequence[PortSpec]
    former: Mapping[str, Ports]
    avoid: Obstacles
    beside: bool = False


class Search:
    def __init__(self, draft: Draft, wish: Wish, berths: Mapping[str, Berth]) -> None:
        self._draft = draft
        self._wish = wish
        self._berths = berths
        self._closed: dict[str, Optional[Obstacle]] = {}
        self._misfits: dict[str, Optional[Obstacle]] = {}
        self._climb: Optional[Climb] = None
        self._returning: list[str] = []

    def find(self, wanted: Wanted) -> Union[Found, Obstacles]:
        """The host that comes first in rank of those that pass all filters."""
        where = self._draft.homes.where(
            self._wish.app, self._wish.name, self._wish.service, wanted.slot
        )
        if self._is_like_others(wanted, where):
            found = self._climb_to(wanted)
            if found is not None:
                return found
        return self._look_at_all(wanted, where)

    def _is_like_others(self, wanted: Wanted, where: Optional[frozenset[str]]) -> bool:
        """Whether the slot may go wherever others of the service may."""
        everywhere = self._berths is self._draft.berths
        plain = where is None and not wanted.former
        return everywhere and plain and wanted.specs == self._wish.ports

    def _climb_to(self, wanted: Wanted) -> Optional[Found]:
        """By the ladder: the hosts above the one that is found are all that are looked at."""
        draft, key = self._draft, (self._wish.app, self._wish.name)
        if self._climb is None:
            barred = draft.line.barred(self._wish.app, self._wish.service)
            ladder = draft.ladders.of(self._wish.service, barred)
            self._climb = Climb(ladder, key, draft.serves_on[key])
        climb = self._climb
        climb.follow()
        for former in self._returning:
            climb.put_back(former)
        self._returning = []
        while True:
            host_id = climb.best()
            if host_id is None:
                return None
            if host_id in wanted.avoid:
                self._returning.append(host_id)
                continue
            room = self._room(host_id, wanted)
            if not isinstance(room, Obstacle):
                self._returning.append(host_id)
                return Found(host_id, room)
            # What is full stays full until something goes. A port may be kept for a certain slot.
            if room.filter is Filter.PORT and self._berths[host_id].keeps_ports_of(*key):
                self._returning.append(host_id)

    def _look_at_all(
        self, wanted: Wanted, where: Optional[frozenset[str]]
    ) -> Union[Found, Obstacles]:
        """One by one, the best first."""
        obstacles: dict[str, Obstacle] = {}
        ranked: Iterable[str] = self._berths
        if len(self._berths) > 1:
            ranked = sorted(self._berths, key=self._ranking())
        for host_id in ranked:
            fit = self._fit(host_id, wanted, where)
            if not isinstance(fit, Obstacle):
                return Found(host_id, fit)
            obstacles[host_id] = fit
        return obstacles

    def misfit(self, host_id: str) -> Optional[Obstacle]:
        """What about the host itself rules the service out."""
        if host_id not in self._misfits:
            self._misfits[host_id] = self._berths[host_id].mismatch(self._wish.service)
        return self._misfits[host_id]

    def closed(self, host_id: str) -> Optional[Obstacle]:
        """Why the host gets nothing new at all."""
        if host_id not in self._closed:
            self._closed[host_id] = _closed(self._draft.snapshot, self._berths[host_id])
        return self._closed[host_id]

    def marked(self, host_id: str) -> Optional[Obstacle]:
        """Why the host gets nothing new of the service, by the mark."""
        return self._draft.line.obstacle(self._wish.app, self._wish.service, host_id)

    def _is_not_new(self, host_id: str, wanted: Wanted) -> bool:
        """Whether the instance would be no new work there: its own data is there, a version is taken back there, or what began
        there is ended there. While an older one of the slot goes on, a successor that never served has nothing to end."""
        draft, wish = self._draft, self._wish
        home = draft.homes.find(wish.app, wish.name, wanted.slot)
        if wish.keeps_home and home is not None and home.host_id == host_id and not home.leave:
            return True
        if draft.line.leaves(wish.app, wish.service, host_id):
            return False
        if wish.record.rolled_back_to and draft.has(host_id, wish.app, wish.name, wanted.slot):
            return True
        if host_id not in wanted.former:
            return False
        return bool(wish.record.rolled_back_to) or not (wish.one_shot or wanted.beside)

    def _ranking(self) -> Callable[[str], _Rank]:
        draft, key = self._draft, (self._wish.app, self._wish.name)
        packs = draft.snapshot.strategy is Strategy.BINPACK
        spread = _spread(draft, self._wish)

        def rank(host_id: str) -> _Rank:
            berth = self._berths[host_id]
            first = (absence.is_last_choice(draft.snapshot, host_id), *spread(berth))
            if packs:
                return (*first, -berth.fullness, -berth.instances)
            return (*first, berth.by_service[key], berth.instances)

        return rank

    def _fit(
        self, host_id: str, wanted: Wanted, where: Optional[frozenset[str]]
    ) -> Union[Ports, Obstacle]:
        """The ports that the instance gets on this host, or the first filter that rules it out."""
        obstacle = self._ruled_out(host_id, wanted, where) or self.misfit(host_id)
        if obstacle is None and not self._is_not_new(host_id, wanted):
            obstacle = self.marked(host_id)
        return self._room(host_id, wanted) if obstacle is None else obstacle

    def _room(self, host_id: str, wanted: Wanted) -> Union[Ports, Obstacle]:
        """The ports, or what is taken of a host that would do otherwise."""
        draft, wish, berth = self._draft, self._wish, self._berths[host_id]
        slot: Slot = wish.app, wish.name, wanted.slot
        if removes_volumes_on(draft, wish.app, host_id):
            text = "volumes of the removed app of this name are still being removed"
            return Obstacle(Filter.VOLUMES, text)
        most = wish.most
        if most and berth.by_service[wish.app, wish.name] >= most:
            return Obstacle(Filter.MOST, f"max_replicas_per_node: {most} there already")
        ports = choose_ports(berth, slot, wanted.specs, wanted.former.get(host_id, ()))
        if isinstance(ports, Obstacle):
            return ports
        return berth.lacks(wish.service.deploy.reservations) or ports

    def _ruled_out(
        self, host_id: str, wanted: Wanted, where: Optional[frozenset[str]]
    ) -> Optional[Obstacle]:
        """By where the slot's data and its former instances are, and by the host's own state."""
        elsewhere = sorted(set(wanted.former) - {host_id})
        if elsewhere:
            return _still_there(self._draft, self._wish, wanted.slot, elsewhere[0])
        if where is not None and host_id not in where:
            home = self._draft.homes.find(self._wish.app, self._wish.name, wanted.slot)
            if home is not None and home.leave:
                to = self._draft.host_name(home.host_id)
                return Obstacle(Filter.DATA, f"an operator moves it to host {to}")
            return _data_elsewhere(self._draft, where)
        if host_id in wanted.avoid:
            return wanted.avoid[host_id]
        # What was there is made again there, whatever may not come anew.
        draining = absence.is_draining(self._draft.snapshot, host_id)
        draining |= self._draft.line.leaves(self._wish.app, self._wish.service, host_id)
        if host_id in wanted.former and not (draining and self._wish.may_move):
            return None
        return self.closed(host_id)


def _closed(snapshot: Snapshot, berth: Berth) -> Optional[Obstacle]:
    host_id = berth.host.host_id
    if not berth.ready:
        return _absent(snapshot, host_id)
    if absence.in_maintenance(snapshot, host_id):
        work = berth.host.maintenance
        until = work.until if work is not None else snapshot.now
        left = absence.time_left(until, snapshot.now)
        return Obstacle(
            Filter.AVAILABILITY, "in maintenance", f", {left}", (snapshot.now - until) / 60
        )
    word = berth.host.availability
    if word is not Availability.ACTIVE:
        return Obstacle(Filter.AVAILABILITY, word.value)
    if berth.observes:
        return Obstacle(Filter.MODE, "observes only")
    return None


def _absent(snapshot: Snapshot, host_id: str) -> Obstacle:
    heard_s = snapshot.told_s(host_id)
    if heard_s is None:
        return Obstacle(Filter.ABSENCE, "not heard since this leader began")
    if snapshot.heard_s[host_id] > snapshot.lost_after_s:
        return Obstacle(Filter.ABSENCE, "silent", f" for {heard_s:.0f} s", -heard_s)
    return Obstacle(Filter.ABSENCE, "its state is not known yet")


def _data_elsewhere(draft: Draft, where: frozenset[str]) -> Obstacle:
    names = [
        draft.host_name(host_id) + ("" if host_id in draft.berths else ", which was removed")
        for host_id in sorted(where)
    ]
    if not names:
        return Obstacle(Filter.DATA, "the volumes that it shares are not on one host together")
    noun = "host" if len(names) == 1 else "hosts"
    return Obstacle(Filter.DATA, f"its data is on {noun} {' or '.join(names)}")


def _still_there(draft: Draft, wish: Wish, slot: int, host_id: str) -> Obstacle:
    """A former instance has to go first. The same on every host but its own, so it is one line."""
    name, instance = draft.host_name(host_id), f"{wish.app}/{wish.name}.{slot}"
    if absence.is_ready(draft.snapshot, host_id):
        return Obstacle(Filter.FORMER, f"waits until the former {instance} is gone from {name}")
    return Obstacle(
        Filter.FORMER, f"the former {instance} may still run on {name}, which is silent"
    )


def _spread(draft: Draft, wish: Wish) -> Callable[[Berth], tuple[int, ...]]:
    """How full each preference's group of hosts (same value of its key) is with this service."""
    keys = wish.service.deploy.placement.spread
    counts: list[Counter[Optional[str]]] = [Counter() for _ in keys]

    def values(berth: Berth) -> list[Optional[str]]:
        return [constraints.value(key, berth.host, berth.facts) for key in keys]

    for berth in draft.berths.values() if keys else ():
        for value, count in zip(values(berth), counts):
            count[value] += berth.by_service[wish.app, wish.name]

    def fullness(berth: Berth) -> tuple[int, ...]:
        return tuple(count[value] for count, value in zip(counts, values(berth)))

    return fullness


def refusals(draft: Draft, obstacles: Obstacles) -> tuple[Refusal, ...]:
    """One for all hosts that fail alike, in the order of the filters; the most common first."""
    groups: dict[tuple[Filter, str, str], list[tuple[float, str, Obstacle]]] = {}
    for host_id, berth in draft.berths.items():
        obstacle = obstacles.get(host_id)
        if obstacle is not None:
            alike = obstacle.filter, obstacle.group, obstacle.party
            groups.setdefault(alike, []).append((-obstacle.nearness, berth.host.name, obstacle))
    found = []
    for (kind, text, party), members in sorted(
        groups.items(), key=lambda item: (item[0][0].rank, -len(item[1]))
    ):
        _, name, nearest = min(members, key=lambda item: item[:2])
        hosts = tuple(name for _, name, _ in members)
        found.append(Refusal(kind.value, text, hosts, name + nearest.detail, party))
    return tuple(found)


def lines(draft: Draft, found: Sequence[Refusal]) -> tuple[str, ...]:
    """The refusals as text, one line each."""
    if not draft.berths:
        return ("no host is enrolled",)
    text = []
    for item in found:
        if len(item.hosts) == 1:
            text.append(f"host {item.hosts[0]}: {item.text}{item.nearest[len(item.hosts[0]) :]}")
        else:
            example = f" ({item.nearest})" if item.nearest not in item.hosts else ""
            text.append(f"{len(item.hosts)} hosts: {item.text}{example}")
    if len(text) > MAX_REASONS:
        rest = len(text) - MAX_REASONS + 1
        text = [*text[: MAX_REASONS - 1], f"and {rest} more reasons"]
    return tuple(text)
