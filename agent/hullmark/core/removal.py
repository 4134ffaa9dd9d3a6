"""What becomes of a host's instances when an operator takes it out of the cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hullmark.core.drain import drain
from hullmark.errors import Conflict
from hullmark.model.host import HostRecord
from hullmark.model.hostlife import RUNS_ON_EACH, RemovedHost
from hullmark.model.orders import InstanceId
from hullmark.model.records import NO_ASSIGNMENTS
from hullmark.model.snapshot import Snapshot

NAMED = 10
"""Instances that one message names."""


def removal(snapshot: Snapshot, host: HostRecord, force: bool) -> RemovedHost:
    """Raises Conflict while it has orders, unless it is forced."""
    orders = snapshot.assignments.get(host.host_id, NO_ASSIGNMENTS)
    if not (orders.assignments or orders.tombstones):
        return RemovedHost(host.name, host.host_id)
    draining = drain(snapshot, host.host_id)
    if not force:
        raise _still_has(host, draining.left, draining.stays)
    kept = tuple(
        str(instance) for instance, why in sorted(draining.stays.items()) if why != RUNS_ON_EACH
    )
    gone = {item.instance for item in orders.tombstones}
    elsewhere = tuple(
        str(item.instance)
        for item in orders.assignments
        if item.instance not in draining.stays and item.instance not in gone
    )
    return RemovedHost(host.name, host.host_id, elsewhere, kept, tuple(_warnings(host, kept)))


def told(answer: RemovedHost, force: bool) -> Mapping[str, str]:
    """What the event says of it."""
    found = {"host_id": answer.host_id} if answer.host_id else {}
    if answer.host_id and force:
        found["force"] = "yes"
    if answer.kept:
        found["kept"] = listed(answer.kept)
    if answer.invites:
        found["invites"] = str(answer.invites)
    return found


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _warnings(host: HostRecord, kept: Sequence[str]) -> Iterator[str]:
    yield (
        f"containers on {host.name} run until somebody stops them there: their places are taken elsewhere,"
        " so make sure that it is off"
    )
    if kept:
        yield f"{listed(kept)}: data on {host.name} is not copied; hullmark move gives another host, without it"


def _still_has(
    host: HostRecord, left: Sequence[InstanceId], stays: Mapping[InstanceId, str]
) -> Conflict:
    names = listed([str(instance) for instance in (*left, *sorted(stays))])
    held = sorted(instance for instance, why in stays.items() if why != RUNS_ON_EACH)
    remedies = [f"hullmark host drain {host.name}"] if left or not held else []
    if held:
        slot = f"{held[0].app}/{held[0].service}.{held[0].slot}"
        remedies.append(f"hullmark move {slot}   (for each that stays)")
    remedies.append(
        f"or, for a host that is gone for good: hullmark host remove {host.name} --force"
    )
    return Conflict(f"host {host.name} still has {names}", remedy="; ".join(remedies))
