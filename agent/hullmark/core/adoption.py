"""Adoption: containers that no order names, and that are just what an app wants, are assigned where they are.

They are there after a store was restored to what was before them, or after a person applied an app anew that the store had lost. Nothing is
started or stopped for it: the host finds the instance running that it is told to run.

What they are not told apart by is left to people: another spec, a slot that has another instance, a host that does not fit.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Optional

from hullmark.core import absence, constraints
from hullmark.core.draft import Slot, accepted_state, slot_of
from hullmark.core.homes import key_of
from hullmark.core.serviceports import by_engine
from hullmark.model.app import App, DeployMode, PortSpec, Service
from hullmark.model.observed import InstanceStatus, Phase
from hullmark.model.orders import Assignment, InstanceId, PublishedPort
from hullmark.model.records import NO_ASSIGNMENTS, AppRecord, HostAssignments
from hullmark.model.snapshot import Snapshot

RESTORED = "restored"
"""Of an incarnation: the reason of its proof."""


def strangers(snapshot: Snapshot) -> Iterator[tuple[str, InstanceStatus]]:
    """(host id, container) of all that no order of now names: orphans, and what a host that has not heard of these orders yet
    takes for its own."""
    for host_id, state in sorted(snapshot.observed.items()):
        if host_id not in snapshot.hosts:
            continue
        orders = snapshot.assignments.get(host_id, NO_ASSIGNMENTS)
        known = {item.instance.container_name for item in orders.assignments}
        known |= {item.instance.container_name for item in orders.tombstones}
        for statuses in (state.orphans, state.instances):
            for name, status in sorted(statuses.items()):
                if name not in known and status.container_id:
                    yield host_id, status


def adopted(snapshot: Snapshot) -> Mapping[str, HostAssignments]:
    """The assignments, with each orphan that is wanted just so assigned where it is. What the slot had instead, and
    was never let start, goes."""
    candidates = [
        (host_id, status)
        for host_id, status in strangers(snapshot)
        if _is_wanted(snapshot, host_id, status)
    ]
    if not candidates:
        return snapshot.assignments
    found = {key: list(orders.assignments) for key, orders in snapshot.assignments.items()}
    changed: set[str] = set()
    for host_id, status in candidates:
        record, slot = snapshot.apps[status.instance.app], slot_of(status.instance)
        posts = [
            (other, item)
            for other, items in found.items()
            for item in items
            if slot_of(item.instance) == slot
        ]
        if not all(_is_empty(snapshot, other, item) for other, item in posts):
            continue
        if not _has_room(found.get(host_id, ()), record, status.instance, posts):
            continue
        for other, item in posts:
            found[other].remove(item)
            changed.add(other)
        found.setdefault(host_id, []).append(
            Assignment(status.instance, status.spec_hash, status.ports)
        )
        changed.add(host_id)
    return {
        key: _with(snapshot.assignments.get(key, NO_ASSIGNMENTS), found[key])
        if key in changed
        else snapshot.assignments[key]
        for key in found
    }


def _with(orders: HostAssignments, items: Iterable[Assignment]) -> HostAssignments:
    ordered = tuple(sorted(items, key=lambda item: item.instance))
    return dataclasses.replace(orders, assignments=ordered)


def _is_wanted(snapshot: Snapshot, host_id: str, status: InstanceStatus) -> bool:
    """Whether its app is to have this very instance, and may have it on this host."""
    instance = status.instance
    record = snapshot.apps.get(instance.app)
    service = None if record is None else record.app.services.get(instance.service)
    if record is None or service is None or record.removing:
        return False
    state = accepted_state(snapshot, host_id)
    if state is None or instance.container_name in state.instances:
        return False
    if not absence.is_seen(snapshot, host_id):
        return False
    if record.generations.get(instance.service) != instance.generation:
        return False
    if record.spec_hashes.get(instance.service) != status.spec_hash:
        return False
    deploy = service.deploy
    if deploy.mode is DeployMode.REPLICATED and not 1 <= instance.slot <= deploy.replicas:
        return False
    homes = snapshot.homes.get(instance.app)
    home = None if homes is None else homes.slots.get(key_of(instance.service, instance.slot))
    if home is not None and home.host_id not in (host_id, ""):
        return False
    return _fits(snapshot, host_id, service) and has_ports(service.ports, status)


def _fits(snapshot: Snapshot, host_id: str, service: Service) -> bool:
    host, facts = snapshot.hosts[host_id], snapshot.observed[host_id].facts
    failing = constraints.failing(service.deploy.placement.constraints, host, facts)
    return failing is None and constraints.platform_fits(service.container.platform, facts)


def has_ports(wanted: Sequence[PortSpec], status: InstanceStatus) -> bool:
    """Whether the container publishes what the engine is to bind for the service, and nothing else; or, made by an older version, all
    that the service publishes. An engine says it of what runs."""
    own = by_engine(wanted)
    if status.phase is not Phase.RUNNING:
        return not own
    return _publishes(own, status) or _publishes(wanted, status)


def _publishes(specs: Sequence[PortSpec], status: InstanceStatus) -> bool:
    if {(one.target, one.protocol) for one in specs} != {
        (port.target, port.protocol) for port in status.ports
    }:
        return False
    return all(any(_is_of(port, spec) for spec in specs) for port in status.ports)


def _is_of(port: PublishedPort, spec: PortSpec) -> bool:
    if (port.target, port.protocol) != (spec.target, spec.protocol):
        return False
    return not spec.published_first or (
        spec.published_first <= port.published <= spec.published_last
    )


def _is_empty(snapshot: Snapshot, host_id: str, item: Assignment) -> bool:
    """Whether nothing is there of it, and nothing can come: it was not let start, and its host knows that."""
    state = accepted_state(snapshot, host_id)
    if item.released or state is None or not absence.is_seen(snapshot, host_id):
        return False
    status = state.instances.get(item.instance.container_name)
    return status is None or not status.container_id


def _has_room(
    there: Iterable[Assignment],
    record: AppRecord,
    instance: InstanceId,
    going: Iterable[tuple[str, Assignment]],
) -> bool:
    """Whether the service may have one more on this host."""
    deploy = record.app.services[instance.service].deploy
    most = 1 if deploy.mode is DeployMode.GLOBAL else deploy.placement.max_replicas_per_node
    leaving = [item for _, item in going]
    key = instance.app, instance.service
    same = [i for i in there if (i.instance.app, i.instance.service) == key and i not in leaving]
    return not most or len(same) < most


class Releases:
    """Which instances may be let start as far as what else is there is concerned."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._newest: dict[Slot, tuple[InstanceId, str]] = {}
        for host_id, status in strangers(snapshot):
            slot = slot_of(status.instance)
            best = self._newest.get(slot)
            if best is None or best[0].generation < status.instance.generation:
                self._newest[slot] = status.instance, snapshot.host_name(host_id)
        self._unheard = _unheard(snapshot)

    def obstacle(self, instance: InstanceId) -> str:
        """Why it is to wait; empty where it need not."""
        other = self._newest.get(slot_of(instance))
        if other is not None and other[0].generation >= instance.generation:
            return f"{other[0].container_name} is there on {other[1]}; see: hullmark orphans"
        if self._unheard:
            return f"after the restore: {self._unheard} has not said yet what it has"
        return ""


def _unheard(snapshot: Snapshot) -> str:
    """After a restore, a host that may have the instance: not heard so far, and not lost."""
    proof = snapshot.cluster.proof
    if proof is None or proof.reason != RESTORED:
        return ""
    for host_id in sorted(snapshot.hosts):
        if host_id not in snapshot.observed and not absence.is_lost(snapshot, host_id):
            return f"host {snapshot.host_name(host_id)}"
    return ""


def takeover(
    snapshot: Snapshot, old: Optional[AppRecord], app: App, hashes: Mapping[str, str]
) -> dict[str, int]:
    """For each service whose orphans have the very spec that the app gives it: the generation that it takes over from them. `hashes`
    are the app's. Jobs go with the services that run: alone they would be taken for done."""
    kept = old.generations if old is not None and not old.removing else {}
    votes: dict[str, Counter[int]] = defaultdict(Counter)
    for _, status in strangers(snapshot):
        instance = status.instance
        service = app.services.get(instance.service)
        if instance.app != app.name or service is None:
            continue
        newer = instance.generation > kept.get(instance.service, 0)
        same = status.spec_hash == hashes[instance.service] and has_ports(service.ports, status)
        if newer and same:
            votes[instance.service][instance.generation] += 1
    found = {name: max(numbers, key=lambda n: (numbers[n], n)) for name, numbers in votes.items()}
    if all(app.services[name].container.one_shot for name in found):
        return {}
    return found
