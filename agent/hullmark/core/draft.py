"""The draft of a plan: every host's orders while `schedule` works on them.

Belongs to one call of `schedule.plan`. It starts as what the store has, and remembers where the former
instance of a slot still has to go, because nothing else may take that slot elsewhere before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Optional

from hullmark.core.berths import Berth
from hullmark.model import names
from hullmark.model.app import Resources
from hullmark.model.observed import HostState
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


def slot_of(instance: InstanceId) -> Slot:
    return instance.app, instance.service, instance.slot


class Draft:
    """`berths` has the enrolled hosts by id, in order of name. `used` gives for each (app, service) the host
    of each slot. `leaving` gives for each slot the hosts where a former instance has to go, and its ports."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.berths = _berths(snapshot)
        self.assignments: dict[str, dict[InstanceId, Assignment]] = defaultdict(dict)
        self.tombstones: dict[str, dict[InstanceId, Tombstone]] = defaultdict(dict)
        self.removals: dict[str, tuple[VolumeRemoval, ...]] = {}
        self.used: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
        self.leaving: dict[Slot, dict[str, tuple[PublishedPort, ...]]] = defaultdict(dict)

    def assign(self, host_id: str, assignment: Assignment, reserved: Resources) -> None:
        """Put an instance on a host. A tombstone for the very same one is withdrawn."""
        instance = assignment.instance
        self.assignments[host_id][instance] = assignment
        self.used[instance.app, instance.service][instance.slot] = host_id
        if self.tombstones[host_id].pop(instance, None) is not None:
            self.leaving[slot_of(instance)].pop(host_id, None)
        if host_id in self.berths:
            self.berths[host_id].take(instance, reserved, assignment.ports)

    def bury(self, host_id: str, tombstone: Tombstone) -> None:
        """Order an instance's removal, or repeat that order. Its ports stay taken until it is gone."""
        instance = tombstone.instance
        self.tombstones[host_id][instance] = tombstone
        self.leaving[slot_of(instance)][host_id] = tombstone.ports
        if host_id in self.berths:
            self.berths[host_id].hold(
                instance, tombstone.ports, f"{instance}, which is being removed"
            )

    def orders(self, host_id: str) -> HostAssignments:
        assignments = self.assignments.get(host_id, {})
        tombstones = self.tombstones.get(host_id, {})
        return HostAssignments(
            tuple(assignments[instance] for instance in sorted(assignments)),
            tuple(tombstones[instance] for instance in sorted(tombstones)),
            self.removals.get(host_id, ()),
        )

    def changed(self) -> dict[str, HostAssignments]:
        """The hosts whose orders differ from what the store has."""
        found = {}
        before = self.snapshot.assignments
        for host_id in sorted({*before, *self.assignments, *self.tombstones, *self.removals}):
            orders = self.orders(host_id)
            if orders != before.get(host_id, NO_ASSIGNMENTS):
                found[host_id] = orders
        return found


def _berths(snapshot: Snapshot) -> dict[str, Berth]:
    found = {}
    for host in sorted(snapshot.hosts.values(), key=lambda host: (host.name, host.host_id)):
        state = snapshot.observed.get(host.host_id)
        berth = Berth(
            host, None if state is None else state.facts, ready=is_ready(snapshot, host.host_id)
        )
        for status in () if state is None else state.orphans.values():
            berth.hold_for_nobody(status.ports, f"the orphan {status.instance.container_name}")
        found[host.host_id] = berth
    return found


def is_ready(snapshot: Snapshot, host_id: str) -> bool:
    """Heard within `lost_after_s`, and its whole state is known: it may get new work."""
    heard_s = snapshot.heard_s.get(host_id)
    return heard_s is not None and heard_s <= snapshot.lost_after_s and host_id in snapshot.observed


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
