"""The schedule: which host runs what. A pure function from a snapshot to every host's orders.

`plan` goes over the orders in this order, and each step sees what the former ones did:

0. adoption: containers that nobody ordered, and that are just what an app wants, are assigned where they are;
1. courses: how far each app's change has come, and which slots change now (`rollout`);
2. sweep: tombstones that are done with go; assignments that are no longer wanted become tombstones;
3. place: each slot that needs an instance gets the best host that passes all filters, or is explained;
4. release: held instances whose dependencies hold, and whose slot nothing newer has, may start; a release is never taken back;
5. volumes: of apps that are being removed with their volumes.

Nothing moves without need: an instance stays where it is until its spec, its app, its host's labels, its host's loss
or an operator says otherwise. A changed instance is made again on its own host, on its own ports where it can be.
A slot goes to another host only once it is gone from the former, save where the service says that it may run twice,
or is sure not to.

Planning what was planned changes nothing: `plan(carried out(plan(s)))` is empty until something else changes, save
that a change which rolls may see only then that its next step can begin.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from hullmark.core import absence
from hullmark.core.adoption import Releases, adopted
from hullmark.core.dependencies import waits
from hullmark.core.draft import Draft, Unplaced
from hullmark.core.loadline import Line
from hullmark.core.placing import place
from hullmark.core.rollout import Course, course
from hullmark.core.roster import Roster
from hullmark.core.sweep import sweep
from hullmark.core.volumes import is_finished, order_removals
from hullmark.core.wishes import Wish, wishes
from hullmark.model.records import HomesRecord, HostAssignments, Rollout
from hullmark.model.snapshot import Snapshot

__all__ = ["Plan", "Unplaced", "plan"]


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
    before = snapshot.assignments
    snapshot = dataclasses.replace(snapshot, assignments=adopted(snapshot))
    line = Line(snapshot)
    courses = _courses(snapshot, line)
    wanted = wishes(snapshot, courses)
    draft = Draft(snapshot, line)
    sweep(draft, wanted)
    for wish in wanted.values():
        place(draft, wish)
    _release(draft)
    order_removals(draft)
    finished = tuple(
        name for name in sorted(snapshot.apps) if is_finished(draft, snapshot.apps[name])
    )
    for name in finished:
        if snapshot.apps[name].remove_volumes:
            draft.homes.forget(name)
    rollouts = {
        name: item.rollout
        for name, item in courses.items()
        if item.rollout != snapshot.rollouts.get(name)
    }
    unplaced = tuple(sorted(draft.unplaced, key=lambda item: (item.app, item.service, item.slot)))
    again_in_s = _again_in_s(snapshot, courses, wanted, line)
    return Plan(
        draft.changed(before), unplaced, finished, draft.homes.changed(), rollouts, again_in_s
    )


def _courses(snapshot: Snapshot, line: Line) -> dict[str, Course]:
    roster = Roster.of(snapshot)
    return {
        name: course(snapshot, snapshot.apps[name], roster, line)
        for name in sorted(snapshot.apps)
        if not snapshot.apps[name].removing
    }


def _again_in_s(
    snapshot: Snapshot,
    courses: Mapping[str, Course],
    wanted: Mapping[tuple[str, str], Wish],
    line: Line,
) -> Optional[float]:
    waits_s = frozenset(wish.stopped_after_s for wish in wanted.values() if wish.stop_unheard_s)
    turns = [item.again_in_s for item in courses.values()]
    turns += [absence.next_turn_s(snapshot, waits_s), line.next_turn_s()]
    return min((turn for turn in turns if turn is not None), default=None)


def _release(draft: Draft) -> None:
    """Let held instances start whose dependencies hold, given what the hosts say of the planned ones."""
    orders = {host_id: draft.orders(host_id) for host_id in list(draft.assignments)}
    roster = Roster(orders, draft.snapshot.observed)
    releases = Releases(draft.snapshot)
    open_services: dict[tuple[str, str], bool] = {}
    for assignments in draft.assignments.values():
        for instance, assignment in assignments.items():
            record = draft.snapshot.apps.get(instance.app)
            if assignment.released or record is None or instance.service not in record.app.services:
                continue
            key = instance.app, instance.service
            if key not in open_services:
                open_services[key] = not waits(roster, record, instance.service)
            if open_services[key] and not releases.obstacle(instance):
                assignments[instance] = dataclasses.replace(assignment, released=True)
