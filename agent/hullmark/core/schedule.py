"""The schedule: which host runs what. A pure function from a snapshot to every host's orders.

`plan` goes over the orders in this order, and each step sees what the former ones did:

1. sweep: tombstones that are done with go; assignments that are no longer wanted become tombstones;
2. place: each missing instance goes to the best host that passes all filters, or is explained;
3. release: held instances whose dependencies hold may start; a release is never taken back;
4. volumes: of apps that are being removed with their volumes.

Nothing moves without need: an instance stays where it is until its spec, its app or its host's labels say
otherwise. A silent host's instances are left alone. A changed instance is made again on its own
host, on its own ports where it can be; a slot goes to another host only once it is gone from the former.

Planning what was planned changes nothing: `plan(carried out(plan(s)))` is empty until something else changes.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Callable, Optional, Union

from hullmark.core import constraints
from hullmark.core.berths import Berth, Obstacle, choose_ports
from hullmark.core.dependencies import waits
from hullmark.core.draft import Draft, Slot, is_ready
from hullmark.core.roster import Roster
from hullmark.core.sweep import sweep
from hullmark.core.volumes import is_finished, order_removals, removes_volumes_on
from hullmark.model.app import DeployMode, Service
from hullmark.model.orders import Assignment, InstanceId, PublishedPort
from hullmark.model.records import AppRecord, HomesRecord, HostAssignments, Rollout
from hullmark.model.snapshot import Snapshot

MAX_REASONS = 8
"""Lines of explanation for one instance; hosts that fail alike share a line."""


@dataclass(frozen=True)
class Unplaced:
    """An instance without a host, and why. Slot 0 stands for a global service that fits no host."""

    app: str
    service: str
    slot: int
    generation: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """`hosts` has the new orders of each host whose orders change. `finished` are removed apps of which
    nothing is left to order: their records may go once `hosts` is empty. `homes` and `rollouts` are those
    that change, by app; homes are written before the orders that make them. `again_in_s`: when time alone
    may change the plan."""

    hosts: Mapping[str, HostAssignments] = field(default_factory=dict)
    unplaced: tuple[Unplaced, ...] = ()
    finished: tuple[str, ...] = ()
    homes: Mapping[str, HomesRecord] = field(default_factory=dict)
    rollouts: Mapping[str, Rollout] = field(default_factory=dict)
    again_in_s: Optional[float] = None


def plan(snapshot: Snapshot) -> Plan:
    """What the hosts' orders should be, given all that is known."""
    draft = Draft(snapshot)
    sweep(draft)
    unplaced: list[Unplaced] = []
    for name in sorted(snapshot.apps):
        record = snapshot.apps[name]
        if not record.removing:
            for service in sorted(record.app.services):
                unplaced += _place_service(draft, record, service)
    _release(draft)
    order_removals(draft)
    finished = tuple(
        name for name in sorted(snapshot.apps) if is_finished(draft, snapshot.apps[name])
    )
    return Plan(draft.changed(), tuple(unplaced), finished)


def _place_service(draft: Draft, record: AppRecord, name: str) -> Iterable[Unplaced]:
    service = record.app.services[name]
    if service.deploy.mode is DeployMode.GLOBAL:
        yield from _place_global(draft, record, name)
        return
    app = record.app.name
    used = draft.used[app, name]
    stuck: Optional[Unplaced] = None
    for slot in range(1, service.deploy.replicas + 1):
        if slot in used:
            continue
        fresh = not draft.leaving.get((app, name, slot))
        if stuck is not None and fresh:
            # Nothing was placed since: what kept the former slot off every host keeps this one too.
            yield dataclasses.replace(stuck, slot=slot)
            continue
        unplaced = _place_slot(draft, record, name, slot, draft.berths)
        stuck = unplaced if fresh else None
        if unplaced is not None:
            yield unplaced


def _place_global(draft: Draft, record: AppRecord, name: str) -> Iterable[Unplaced]:
    """One instance on each host that fits. Slots are only names here; a host keeps the one it had."""
    app, service = record.app.name, record.app.services[name]
    used = draft.used[app, name]
    misfits: dict[str, Obstacle] = {}
    served = set(used.values())
    formers = _former_slots(draft, app, name)
    for host_id, berth in draft.berths.items():
        if host_id in served:
            continue
        had = formers.get(host_id, 0)
        misfit = berth.mismatch(service) or (None if had else _absence(draft.snapshot, berth))
        if misfit is not None:
            misfits[host_id] = misfit
            continue
        slot = had or _free_slot(draft, app, name)
        unplaced = _place_slot(draft, record, name, slot, {host_id: berth})
        if unplaced is not None:
            yield unplaced
    if not used and len(misfits) == len(draft.berths):
        reasons = _explain(draft, misfits)
        yield Unplaced(app, name, 0, record.generations[name], reasons)


def _former_slots(draft: Draft, app: str, service: str) -> dict[str, int]:
    """For each host the lowest slot of the service whose former instance goes from it, and from
    nowhere else."""
    found: dict[str, int] = {}
    for (owner, name, slot), hosts in sorted(draft.leaving.items()):
        free = slot not in draft.used[app, service]
        if (owner, name) == (app, service) and len(hosts) == 1 and free:
            found.setdefault(next(iter(hosts)), slot)
    return found


def _free_slot(draft: Draft, app: str, service: str) -> int:
    slot = 1
    while slot in draft.used[app, service] or draft.leaving.get((app, service, slot)):
        slot += 1
    return slot


def _place_slot(
    draft: Draft, record: AppRecord, name: str, slot: int, berths: Mapping[str, Berth]
) -> Optional[Unplaced]:
    """Assign one instance, or say why not."""
    app, service = record.app.name, record.app.services[name]
    former = draft.leaving.get((app, name, slot), {})
    instance = InstanceId(app, name, slot, record.generations[name])
    obstacles: dict[str, Obstacle] = {}
    fullness = _spread(draft, record, name)

    def rank(host_id: str) -> tuple[int, ...]:
        berth = berths[host_id]
        return (*fullness(berth), berth.by_service[app, name], berth.instances)

    # The emptiest first: where it fits, the others need not be looked at.
    for host_id in sorted(berths, key=rank):
        fit = _fit(draft, berths[host_id], (app, name, slot), service, former)
        if isinstance(fit, Obstacle):
            obstacles[host_id] = fit
            continue
        # Nothing is released before `_release` has seen all of the plan.
        assignment = Assignment(instance, record.spec_hashes[name], fit, released=False)
        draft.assign(host_id, assignment, service.deploy.reservations)
        return None
    return Unplaced(app, name, slot, instance.generation, _explain(draft, obstacles))


def _fit(
    draft: Draft,
    berth: Berth,
    slot: Slot,
    service: Service,
    former: Mapping[str, tuple[PublishedPort, ...]],
) -> Union[tuple[PublishedPort, ...], Obstacle]:
    """The ports that the instance gets on this host, or the first filter that rules it out."""
    host_id = berth.host.host_id
    elsewhere = sorted(set(former) - {host_id})
    if elsewhere:
        return _still_there(draft, slot, elsewhere)
    if host_id not in former:
        absence = _absence(draft.snapshot, berth)
        if absence is not None:
            return absence
    mismatch = berth.mismatch(service)
    if mismatch is not None:
        return mismatch
    app, name, _ = slot
    if removes_volumes_on(draft, app, host_id):
        return Obstacle(4, "volumes of the removed app of this name are still being removed")
    most = service.deploy.placement.max_replicas_per_node
    if most and berth.by_service[app, name] >= most:
        return Obstacle(5, f"{most} there already (max_replicas_per_node)")
    ports = choose_ports(berth, slot, service.ports, former.get(host_id, ()))
    if isinstance(ports, Obstacle):
        return ports
    return berth.lacks(service.deploy.reservations) or ports


def _absence(snapshot: Snapshot, berth: Berth) -> Optional[Obstacle]:
    if berth.ready:
        return None
    heard_s = snapshot.heard_s.get(berth.host.host_id)
    if heard_s is None:
        return Obstacle(1, "not heard since this leader began")
    if heard_s > snapshot.lost_after_s:
        return Obstacle(1, "silent", f" for {heard_s:.0f} s", -heard_s)
    return Obstacle(1, "its state is not known yet")


def _still_there(draft: Draft, slot: Slot, hosts: list[str]) -> Obstacle:
    """A former instance has to go first. The same on every host but its own, so it is one line."""
    host_id = hosts[0]
    berth = draft.berths.get(host_id)
    name = berth.host.name if berth is not None else host_id
    instance = f"{slot[0]}/{slot[1]}.{slot[2]}"
    if is_ready(draft.snapshot, host_id):
        return Obstacle(0, f"waits until the former {instance} is gone from {name}")
    return Obstacle(0, f"the former {instance} may still run on {name}, which is silent")


def _spread(draft: Draft, record: AppRecord, name: str) -> Callable[[Berth], tuple[int, ...]]:
    """How full each preference's group of hosts (same value of its key) is with this service."""
    keys = record.app.services[name].deploy.placement.spread
    counts: list[Counter[Optional[str]]] = [Counter() for _ in keys]

    def values(berth: Berth) -> list[Optional[str]]:
        return [constraints.value(key, berth.host, berth.facts) for key in keys]

    for berth in draft.berths.values() if keys else ():
        for value, count in zip(values(berth), counts):
            count[value] += berth.by_service[record.app.name, name]

    def fullness(berth: Berth) -> tuple[int, ...]:
        return tuple(count[value] for count, value in zip(counts, values(berth)))

    return fullness


def _explain(draft: Draft, obstacles: Mapping[str, Obstacle]) -> tuple[str, ...]:
    """One line for all hosts that fail alike, in the order of the filters; the most common first."""
    if not draft.berths:
        return ("no host is enrolled",)
    groups: dict[tuple[int, str], list[tuple[float, str, Obstacle]]] = {}
    for host_id, berth in draft.berths.items():
        obstacle = obstacles.get(host_id)
        if obstacle is None:
            continue
        name = berth.host.name
        groups.setdefault((obstacle.rank, obstacle.group), []).append(
            (-obstacle.nearness, name, obstacle)
        )
    lines = []
    for (_, group), members in sorted(groups.items(), key=lambda item: (item[0][0], -len(item[1]))):
        _, name, nearest = min(members, key=lambda item: item[:2])
        if len(members) == 1:
            lines.append(f"host {name}: {group}{nearest.detail}")
        else:
            example = f" ({name}{nearest.detail})" if nearest.detail else ""
            lines.append(f"{len(members)} hosts: {group}{example}")
    if len(lines) > MAX_REASONS:
        rest = len(lines) - MAX_REASONS + 1
        lines = [*lines[: MAX_REASONS - 1], f"and {rest} more reasons"]
    return tuple(lines)


def _release(draft: Draft) -> None:
    """Let held instances start whose dependencies hold, given what the hosts say of the planned ones."""
    orders = {host_id: draft.orders(host_id) for host_id in list(draft.assignments)}
    roster = Roster(orders, draft.snapshot.observed)
    open_services: dict[tuple[str, str], bool] = {}
    for assignments in draft.assignments.values():
        for instance, assignment in assignments.items():
            record = draft.snapshot.apps.get(instance.app)
            if assignment.released or record is None:
                continue
            key = instance.app, instance.service
            if key not in open_services:
                open_services[key] = not waits(roster, record, instance.service)
            if open_services[key]:
                assignments[instance] = dataclasses.replace(assignment, released=True)
