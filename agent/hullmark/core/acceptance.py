"""Whether an agent obeys the orders that it was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from hullmark.model.epoch import NO_EPOCH, Epoch
from hullmark.model.names import APP_NAME, SERVICE_NAME
from hullmark.model.orders import Orders
from hullmark.model.protocol import Former
from hullmark.model.wire import digest


@dataclass(frozen=True)
class Held:
    """What the agent has accepted so far: the highest epoch with its leader, and the revision in it.
    `leader` is empty where only the epoch is known."""

    cluster_id: str
    host_id: str
    epoch: Epoch = NO_EPOCH
    leader: str = ""
    revision: int = 0


def refusal(held: Held, orders: Orders) -> str:
    """Why the orders are refused; empty where they may be accepted."""
    if orders.cluster_id != held.cluster_id:
        return "they are of another cluster"
    if orders.host_id != held.host_id:
        return f"they are for host {orders.host_id}"
    why = stale(held, orders.epoch, orders.leader)
    if why:
        return why
    if begins_anew(held, orders.epoch):
        return f"incarnation {orders.epoch.incarnation} has not been proven"
    if orders.epoch == held.epoch and orders.revision < held.revision:
        return f"revision {orders.revision} has passed; {held.revision} was accepted"
    return _malformed(orders)


def stale(held: Held, epoch: Epoch, leader: str) -> str:
    """Why a leader that answers with this epoch isn't believed; empty where it is."""
    if epoch < held.epoch:
        return f"epoch {epoch} has passed; {held.epoch} was accepted"
    if epoch == held.epoch and held.leader and leader != held.leader:
        return f"epoch {epoch} is {held.leader}'s, not {leader}'s"
    return ""


def begins_anew(held: Held, epoch: Epoch) -> bool:
    """Whether the epoch is of an incarnation that this host has not accepted yet, and that needs a proof: all but the first do."""
    return epoch.incarnation > max(held.epoch.incarnation, 1)


def unrelated(held: Held, epoch: Epoch, former: Optional[Former]) -> str:
    """Why a later leader's store isn't the one whose orders were accepted; empty where it is.

    A term is counted up by every start of a master, so an old copy of the store comes to a higher epoch by
    itself. What it can't have is the term and the revision that this host obeyed. A store that an
    operator has restored says so by its incarnation, and is not asked.
    """
    if not held.leader or epoch <= held.epoch or epoch.incarnation != held.epoch.incarnation:
        return ""
    if former is None:
        return f"its store knows no epoch {held.epoch}, which was accepted here"
    if former.leader != held.leader:
        return f"in its store epoch {held.epoch} is {former.leader}'s, and here {held.leader}'s"
    if held.revision >= former.until:
        return (
            f"its store ended epoch {held.epoch} at revision {former.until}, "
            f"and {held.revision} was accepted here"
        )
    return ""


def _malformed(orders: Orders) -> str:
    for spec_hash, bundle in orders.bundles.items():
        if digest(bundle) != spec_hash:
            return f"the bundle of {bundle.app}/{bundle.service} does not have the hash {spec_hash[:12]}"
    seen = set()
    for assignment in orders.assignments:
        instance = assignment.instance
        if not APP_NAME.fullmatch(instance.app) or not SERVICE_NAME.fullmatch(instance.service):
            return f"a malformed name: {instance}"
        if instance in seen:
            return f"{instance} is assigned twice"
        seen.add(instance)
        given = orders.bundles.get(assignment.spec_hash)
        if given is None:
            return f"the bundle of {instance} is missing"
        if (given.app, given.service) != (instance.app, instance.service):
            return f"{instance} is given the bundle of {given.app}/{given.service}"
    both = seen & {tombstone.instance for tombstone in orders.tombstones}
    return f"{min(both)} is assigned and to be removed" if both else ""
