"""The draft of a plan: every host's orders while `schedule` works on them.

Belongs to one call of `schedule.plan`. It starts as what the store has, and remembers where the former
instance of a slot still has to go, because nothing else may take that slot elsewhere before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from hullmark.core import absence, portconflicts
from hullmark.core.berths import Berth
from hullmark.core.homes import Homes
from hullmark.core.ladder import Ladders
from hullmark.core.loadline import Line
from hullmark.model import names
from hullmark.model.app import Resources
from hullmark.model.explanation import Refusal
from hullmark.model.host import PROXY
from hullmark.model.observed import Health, HostState, InstanceStatus, Phase
from hullmark.model.orders import (
    Assignment,
    InstanceId,
    PublishedPort,
    Tombstone,
    VolumeRemoval,
)
from hullmark.model.records import NO_ASSIGNMENTS, AppRecord, HostAssignments
from hullmark.model.snapshot import Snapshot

Slot = tuple[str, str, int]
"""(app, service, slot)"""
_COMING_UP = (Phase.WAITING, Phase.PULLING, Phase.CREATING, Phase.STARTING)


def slot_of(instance: InstanceId) -> Slot:
    return instance.app, instance.service, instance.slot


@dataclass(frozen=True)
class Unplaced:
    """An instance that is not where it should be, and why. Slot 0 stands for a global service that fits no
    host. `kept_on`: the host whose instance of this slot stays meanwhile, by name; empty where there is none.
    `reasons` are lines for people, and `refusals` the same filter by filter."""

    app: str
    service: str
    slot: int
    generation: int
    reasons: tuple[str, ...]
    refusals: tuple[Refusal, ...] = ()
    kept_on: str = ""


@dataclass(frozen=True)
class Post:
    """An assignment on its host."""

    host_id: str
    assignment: Assignment

    @property
    def instance(self) -> InstanceId:
        return self.assignment.instance


@dataclass(frozen=True)
class Pending:
    """A slot that needs an instance, and those that it has until then. `copy`: the very instance that is to be
    placed once more, None for one of the wanted generation. `beside` stays whatever happens; the lost ones
    go once there is another, the draining ones once it serves, and those that leave before there is one."""

    copy: Optional[Assignment] = None
    beside: tuple[Post, ...] = ()
    lost: tuple[Post, ...] = ()
    draining: tuple[Post, ...] = ()
    leaving: tuple[Post, ...] = ()

    @property
    def posts(self) -> tuple[Post, ...]:
        return self.beside + self.lost + self.draining + self.leaving


class Draft:
    """`berths` has the enrolled hosts by id, in order of name. `used` gives for each (app, service) the slots
    that need nothing, and `pending` those that do although they have an instance. `serves_on` are the hosts that
    have one of the service, for services that want one on each. `leaving` gives for each slot the hosts where
    a former instance has to go, and its ports; `under_way` how many slots of a service are about to leave a host
    that is drained, or that an operator moves them from. `emptied` are drained hosts on which nothing is left but what
    runs on every host. `line` is the mark. `touched` names each host on which something was put or taken off, in this order."""

    def __init__(self, snapshot: Snapshot, line: Optional[Line] = None) -> None:
        self.snapshot = snapshot
        self.line = Line(snapshot) if line is None else line
        self.berths = _berths(snapshot)
        self.brake = absence.brake(snapshot)
        self.homes = Homes(snapshot.homes)
        self.assignments: dict[str, dict[InstanceId, Assignment]] = defaultdict(dict)
        self.tombstones: dict[str, dict[InstanceId, Tombstone]] = defaultdict(dict)
        self.removals: dict[str, tuple[VolumeRemoval, ...]] = {}
        self.used: dict[tuple[str, str], set[int]] = defaultdict(set)
        self.pending: dict[tuple[str, str], dict[int, Pending]] = defaultdict(dict)
        self.serves_on: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.under_way: dict[tuple[str, str], int] = defaultdict(int)
        self.emptied: set[str] = set()
        self.leaving: dict[Slot, dict[str, tuple[PublishedPort, ...]]] = defaultdict(dict)
        self.unplaced: list[Unplaced] = []
        self.touched: list[str] = []
        self.ladders = Ladders(snapshot, self.berths, self.touched)

    def assign(self, host_id: str, assignment: Assignment) -> None:
        """Put an instance on a host. A tombstone for the very same one is withdrawn."""
        instance = assignment.instance
        self.assignments[host_id][instance] = assignment
        self.serves_on[instance.app, instance.service].add(host_id)
        if self.tombstones[host_id].pop(instance, None) is not None:
            self.leaving[slot_of(instance)].pop(host_id, None)
        if host_id in self.berths:
            reserved = reserved_by(self.snapshot, instance)
            self.berths[host_id].take(instance, reserved, assignment.ports)
            self.touched.append(host_id)

    def bury(self, host_id: str, tombstone: Tombstone, *, awaited: bool = True) -> None:
        """Order an instance's removal, or repeat that order. Its ports stay taken until it is gone, and its slot
        where that is `awaited`. On a host that was removed nobody would obey."""
        instance = tombstone.instance
        if absence.is_gone(self.snapshot, host_id):
            return
        self.tombstones[host_id][instance] = tombstone
        if awaited and not tombstone.abandoned:
            self.leaving[slot_of(instance)][host_id] = tombstone.ports
        self.berths[host_id].hold_until_gone(instance, tombstone.ports)

    def retire(self, post: Post, reason: str, *, abandoned: bool = False) -> None:
        """Order the removal of an instance, whether it was put into the draft already or not."""
        instance, host_id = post.instance, post.host_id
        if self.assignments[host_id].pop(instance, None) is not None:
            self._take_off(post)
        epoch, assignment = self.snapshot.leader.epoch, post.assignment
        self.bury(
            host_id,
            Tombstone(
                instance, epoch, reason, assignment.ports, abandoned, assignment.stop_unheard_s
            ),
        )

    def _take_off(self, post: Post) -> None:
        instance, host_id = post.instance, post.host_id
        key = instance.app, instance.service
        if not any((i.app, i.service) == key for i in self.assignments[host_id]):
            self.serves_on[key].discard(host_id)
        if host_id in self.berths:
            reserved = reserved_by(self.snapshot, instance)
            self.berths[host_id].give_back(instance, reserved, post.assignment.ports)
            self.touched.append(host_id)

    def has(self, host_id: str, app: str, service: str, slot: int) -> bool:
        """Whether a host has an instance of a slot that stays, of whatever generation."""
        there = self.assignments.get(host_id, {})
        return any(slot_of(instance) == (app, service, slot) for instance in there)

    def host_name(self, host_id: str) -> str:
        return self.snapshot.host_name(host_id)

    def status(self, post: Post) -> Optional[InstanceStatus]:
        """What its host last said of it; None where it has not spoken of it."""
        state = self.snapshot.observed.get(post.host_id)
        return None if state is None else state.instances.get(post.instance.container_name)

    def serves(self, post: Post) -> bool:
        status = self.status(post)
        ready = absence.is_ready(self.snapshot, post.host_id)
        return ready and status is not None and status.serving

    def comes_up(self, post: Post) -> bool:
        """It was let start, and neither serves yet nor has failed."""
        status = self.status(post)
        if not post.assignment.released or not absence.is_seen(self.snapshot, post.host_id):
            return False
        if status is None or status.phase in _COMING_UP:
            return True
        return status.phase is Phase.RUNNING and status.health is Health.STARTING

    def orders(self, host_id: str) -> HostAssignments:
        assignments = self.assignments.get(host_id, {})
        tombstones = self.tombstones.get(host_id, {})
        return HostAssignments(
            tuple(assignments[instance] for instance in sorted(assignments)),
            tuple(tombstones[instance] for instance in sorted(tombstones)),
            self.removals.get(host_id, ()),
        )

    def changed(self, before: Mapping[str, HostAssignments]) -> dict[str, HostAssignments]:
        """The hosts whose orders differ from what the store has (`before`)."""
        found = {}
        for host_id in sorted({*before, *self.assignments, *self.tombstones, *self.removals}):
            orders = self.orders(host_id)
            if orders != before.get(host_id, NO_ASSIGNMENTS):
                found[host_id] = orders
        return found


def _berths(snapshot: Snapshot) -> dict[str, Berth]:
    found = {}
    proxied = portconflicts.held(snapshot)
    for host in sorted(snapshot.hosts.values(), key=lambda host: (host.name, host.host_id)):
        host_id = host.host_id
        state = snapshot.observed.get(host_id)
        ready = absence.is_ready(snapshot, host_id)
        berth = found[host_id] = Berth(host, None if state is None else state.facts, ready=ready)
        for port, whose in proxied.get(host_id, ()):
            berth.hold_for_nobody([port], whose)
        if state is not None:
            for status in state.orphans.values():
                berth.hold_for_nobody(status.ports, f"the orphan {status.instance.container_name}")
            _hold_listeners(berth, state, snapshot.assignments.get(host_id, NO_ASSIGNMENTS))
    return found


def _hold_listeners(berth: Berth, state: HostState, orders: HostAssignments) -> None:
    """Ports of the host's own processes. One that an instance of ours publishes there is that instance's,
    whoever listens for it; what the proxy answers is a service's, as long as that says so."""
    if not state.facts.listeners:
        return
    published = [item.ports for item in orders.assignments]
    published += [item.ports for item in orders.tombstones]
    published += [status.ports for status in state.instances.values()]
    ours = {(port.published, port.protocol) for ports in published for port in ports}
    for listener in state.facts.listeners:
        if listener.process == PROXY and listener.port != state.facts.proxy_port:
            continue
        if (listener.port, listener.protocol) not in ours:
            port = PublishedPort(0, listener.port, listener.protocol, listener.address)
            who = f"process {listener.process}" if listener.process else "another process"
            who = f"container {listener.container}" if listener.container else who
            berth.hold_for_nobody([port], who)


def accepted_state(snapshot: Snapshot, host_id: str) -> Optional[HostState]:
    """The host's state if it was made under the orders that the store has now, else None."""
    state = snapshot.observed.get(host_id)
    revision = snapshot.revisions.get(names.ASSIGNMENTS + host_id, 0)
    return state if state is not None and state.accepted_revision == revision else None


def app_volumes(record: AppRecord) -> Sequence[str]:
    """The keys of the app's own named volumes."""
    return sorted(key for key, volume in record.app.volumes.items() if not volume.external)


def reserved_by(snapshot: Snapshot, instance: InstanceId) -> Resources:
    """What the instance's service reserves; nothing where the app no longer says."""
    record = snapshot.apps.get(instance.app)
    service = None if record is None else record.app.services.get(instance.service)
    return Resources() if service is None else service.deploy.reservations


def all_assignments(snapshot: Snapshot) -> Iterator[tuple[str, Assignment]]:
    for host_id in sorted(snapshot.assignments):
        for assignment in snapshot.assignments[host_id].assignments:
            yield host_id, assignment
