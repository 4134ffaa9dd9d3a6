"""The first step of a plan: what of the hosts' orders stands, and what has to go."""

from __future__ import annotations

from typing import Optional

from hullmark.core.draft import Draft, accepted_state, all_assignments, reserved_by
from hullmark.model.app import DeployMode
from hullmark.model.orders import Assignment, InstanceId, Tombstone


def sweep(draft: Draft) -> None:
    """Fill the draft: tombstones that are still needed, assignments that stay, and a tombstone
    for each assignment that doesn't."""
    snapshot = draft.snapshot
    for host_id, orders in sorted(snapshot.assignments.items()):
        state = accepted_state(snapshot, host_id)
        for tombstone in orders.tombstones:
            name = tombstone.instance.container_name
            if state is not None and name not in state.instances and name not in state.orphans:
                continue
            draft.bury(host_id, tombstone)
    for host_id, assignment in all_assignments(snapshot):
        reason = _reason_to_go(draft, host_id, assignment)
        if reason is None:
            draft.assign(host_id, assignment, reserved_by(snapshot, assignment.instance))
        else:
            instance = assignment.instance
            epoch = snapshot.leader.epoch
            draft.bury(host_id, Tombstone(instance, epoch, reason, assignment.ports))


def _reason_to_go(draft: Draft, host_id: str, assignment: Assignment) -> Optional[str]:
    """Why an assigned instance must not stay; None: it stays.

    An app's record goes only after all its instances have tombstones. An instance without a record
    is therefore a fault of ours, and no reason to stop anything.
    """
    instance = assignment.instance
    record = draft.snapshot.apps.get(instance.app)
    if record is None:
        return None
    if record.removing:
        return "the app was removed"
    service = record.app.services.get(instance.service)
    if service is None:
        return "the service was removed"
    if instance.generation != record.generations[instance.service]:
        return f"replaced by generation {record.generations[instance.service]}"
    deploy = service.deploy
    if deploy.mode is DeployMode.REPLICATED and instance.slot > deploy.replicas:
        return f"scaled to {deploy.replicas}"
    if instance.slot in draft.used[instance.app, instance.service]:
        return "its slot is taken on another host"
    return _misplaced(draft, host_id, instance)


def _misplaced(draft: Draft, host_id: str, instance: InstanceId) -> Optional[str]:
    """Why this host may not keep the instance. A host that isn't ready keeps what it has; room that shrank
    is no reason either: only new instances are measured against it."""
    berth = draft.berths.get(host_id)
    if berth is None or not berth.ready:
        return None
    service = draft.snapshot.apps[instance.app].app.services[instance.service]
    there = berth.by_service[instance.app, instance.service]
    if service.deploy.mode is DeployMode.GLOBAL and there:
        return "one on each host is enough"
    most = service.deploy.placement.max_replicas_per_node
    if most and there >= most:
        return f"more than {most} on this host (max_replicas_per_node)"
    misfit = berth.mismatch(service)
    return None if misfit is None else f"does not fit this host any more: {misfit.group}"
