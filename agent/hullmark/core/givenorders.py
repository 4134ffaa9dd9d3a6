"""What a plan orders that was not ordered before: for the record of what a leader does by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hullmark.core.schedule import Plan
from hullmark.model.orders import InstanceId
from hullmark.model.records import NO_ASSIGNMENTS
from hullmark.model.snapshot import Snapshot

LISTED_MOST = 32
"""Instances that are named; of more it is said how many."""


@dataclass(frozen=True)
class Given:
    """To one host, about one app: which instances it is to run from now on, and which to stop and remove, with the reason."""

    host_id: str
    app: str
    run: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


def given(snapshot: Snapshot, made: Plan) -> Iterator[Given]:
    """`made` is the plan of that snapshot."""
    for host_id, orders in sorted(made.hosts.items()):
        before = snapshot.assignments.get(host_id, NO_ASSIGNMENTS)
        known = {one.instance for one in before.assignments}
        ended = {one.instance for one in before.tombstones}
        run, remove = defaultdict(list), defaultdict(list)
        for assignment in orders.assignments:
            if assignment.instance not in known:
                run[assignment.instance.app].append(_name(assignment.instance))
        for tombstone in orders.tombstones:
            if tombstone.instance not in ended:
                why = f" ({tombstone.reason})" if tombstone.reason else ""
                remove[tombstone.instance.app].append(_name(tombstone.instance) + why)
        for app in sorted({*run, *remove}):
            yield Given(host_id, app, tuple(run[app]), tuple(remove[app]))


def listed(names: Iterable[str]) -> str:
    """In one line."""
    known = list(names)
    more = len(known) - LISTED_MOST
    shown = ", ".join(known[:LISTED_MOST])
    return f"{shown} and {more} more" if more > 0 else shown


def _name(instance: InstanceId) -> str:
    return f"{instance} g{instance.generation}"
