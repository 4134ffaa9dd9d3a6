"""Waiting for slots that an operator moved: until they serve elsewhere, or it shows that no other host fits them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hullmark.cli.absentees import Absentees, unseen
from hullmark.cli.client import Client
from hullmark.cli.polling import HOLD_S, newer
from hullmark.errors import NotFound
from hullmark.model.api import AppDetail, InstanceView
from hullmark.model.explanation import Explanation
from hullmark.model.move import MoveAnswer, MovedSlot
from hullmark.model.observed import Phase

STUCK_S = 2.0
"""The leader plans at once; a host that was just heard, or a port that was just given back, is in the next plan."""


@dataclass(frozen=True)
class Arrival:
    """`outcome` is `settled`, `timeout` or `unplaced`; `left` are the slots that are not elsewhere."""

    outcome: str
    left: Sequence[MovedSlot]


def await_arrival(
    client: Client, answer: MoveAnswer, timeout_s: float, told: bool = False
) -> Arrival:
    """`told`: a host that is lost, and waited for, is named on standard error. Raises what `Client.ask` does once time is over and no master answers."""
    absentees = Absentees(client if told else None, timeout_s)
    begin = time.monotonic()
    deadline = begin + timeout_s
    left = [moved for moved in answer.slots if not moved.withdrawn]
    path, version, planned = f"/v1/apps/{answer.app}", 0, False
    while left:
        passed_s = time.monotonic() - begin
        hold_s = min(absentees.left_s, HOLD_S if planned else max(0.0, STUCK_S - passed_s))
        try:
            detail = newer(client, AppDetail, path, version, hold_s, deadline)
            left = [moved for moved in left if not _is_there(moved, detail.instances)]
            planned = time.monotonic() - begin >= STUCK_S
            stuck = bool(left) and planned and _are_stuck(client, path, left, deadline)
        except NotFound:
            break  # the app was removed meanwhile
        version = detail.version
        if stuck:
            return Arrival("unplaced", left)
        if left and passed_s >= timeout_s:
            return Arrival("timeout", left)
        names = {moved.name for moved in left}
        absentees.awaited(unseen(item for item in detail.instances if item.name in names))
    return Arrival("timeout" if left else "settled", left)


def _is_there(moved: MovedSlot, instances: Iterable[InstanceView]) -> bool:
    return any(
        item.name == moved.name
        and not item.removing
        and item.host not in ("", moved.leaves)
        and item.status is not None
        and (item.status.serving or item.status.phase is Phase.COMPLETED)
        for item in instances
    )


def _are_stuck(client: Client, path: str, left: Sequence[MovedSlot], deadline: float) -> bool:
    """Whether each stays where it is, because every other host is ruled out, or there is none. `path` is the app's."""
    service = left[0].name.partition("/")[2].rpartition(".")[0]
    query = {"service": service}
    found = newer(client, Explanation, f"{path}/explain", 0, 0.0, deadline, query)
    nowhere = found.hosts < 2
    stuck = {
        (slot.name, slot.host)
        for each in found.services
        for slot in each.slots
        if slot.refusals or nowhere
    }
    return all((moved.name, moved.leaves) in stuck for moved in left)
