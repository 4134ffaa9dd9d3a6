"""Newcomers: containers of an assigned slot that are newer than the slot's assigned instance, and that no order names.

They are there after a store was restored to what was before them. What serves, or has changed the slot's data, is the newer one: the older
one is not started beside it, until a person has taken the newer one in, or removed it.
"""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.core.actions import Lane, slot_lane
from hullmark.core.found import Found
from hullmark.model.orders import InstanceId, Orders


def newcomers(orders: Orders, found: Mapping[str, Found]) -> dict[Lane, InstanceId]:
    """By slot, the newest of each. `found` is by container name."""
    known = {item.instance.container_name for item in orders.assignments}
    known |= {item.instance.container_name for item in orders.tombstones}
    newest: dict[Lane, InstanceId] = {}
    for name, container in found.items():
        if name not in known:
            lane = slot_lane(container.instance)
            best = newest.get(lane, container.instance)
            newest[lane] = max(best, container.instance)
    return newest


def held_back(newest: Mapping[Lane, InstanceId], instance: InstanceId) -> str:
    """Why this instance is not started now; empty where it may be."""
    other = newest.get(slot_lane(instance))
    if other is None or other.generation <= instance.generation:
        return ""
    return f"not started: {other.container_name} is newer, and kept; see: hullmark orphans"
