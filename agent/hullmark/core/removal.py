"""What becomes of a host's instances when an operator takes it out of the cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hullmark.core import absence
from hullmark.core.drain import Drain, drain
from hullmark.errors import Conflict
from hullmark.model.host import HostRecord
from hullmark.model.hostlife import RUNS_ON_EACH, RemovedHost
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
        raise _still_has(snapshot, host, draining)
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


def _still_has(snapshot: Snapshot, host: HostRecord, draining: Drain) -> Conflict:
    """A drain ends once the host says what is gone; a move, like a drain, needs another host."""
    names = listed([str(instance) for instance in (*draining.left, *sorted(draining.stays))])
    held = sorted(each for each, why in draining.stays.items() if why != RUNS_ON_EACH)
    lost = absence.is_lost(snapshot, host.host_id)
    has_others = absence.has_others(snapshot, host.name)
    remedies = [] if lost or has_others else ["hullmark invite HOST, as there is no other host"]
    if (draining.left or not held) and (has_others or not lost):
        heard = "once it is heard again: " if lost else ""
        remedies.append(f"{heard}hullmark host drain {host.name}")
    if held and (has_others or not lost):
        slot = f"{held[0].app}/{held[0].service}.{held[0].slot}"
        remedies.append(f"hullmark move {slot}   (for each that stays)")
    instead = "or, for" if remedies else "for"
    remedies.append(
        f"{instead} a host that is gone for good: hullmark host remove {host.name} --force"
    )
    state = " is lost, and" if lost else ""
    return Conflict(f"host {host.name}{state} still has {names}", remedy="; ".join(remedies))
