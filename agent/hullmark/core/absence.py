"""Absence: which hosts are heard, which are lost, and when so many are silent that nothing may move.

A host that this leader never heard has been silent for as long as the leader has waited for it, which begins
anew with each term and after each stall of the leader's own process.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional

from hullmark.model.host import Availability
from hullmark.model.snapshot import Snapshot

_A_MOMENT_S = 0.05
"""Added to a time at which something is over, so that it is over by then."""


@dataclass(frozen=True)
class Brake:
    """So many hosts are silent at once that the fault is hardly theirs: nothing is moved off any host."""

    silent: int
    total: int

    @property
    def note(self) -> str:
        return f"{self.silent} of {self.total} hosts are silent: nothing moves"


def silence_s(snapshot: Snapshot, host_id: str) -> float:
    return snapshot.heard_s.get(host_id, snapshot.waited_s)


def is_ready(snapshot: Snapshot, host_id: str) -> bool:
    """Heard within `lost_after_s`, and its whole state is known: it may get new work."""
    heard_s = snapshot.heard_s.get(host_id)
    return heard_s is not None and heard_s <= snapshot.lost_after_s and host_id in snapshot.observed


def is_quiet(snapshot: Snapshot, host_id: str) -> bool:
    """Silent for longer than a poll is held: it counts for the brake, and is the last choice for new work."""
    return silence_s(snapshot, host_id) > snapshot.silent_after_s


def is_lost(snapshot: Snapshot, host_id: str) -> bool:
    return silence_s(snapshot, host_id) > snapshot.lost_after_s


def is_gone(snapshot: Snapshot, host_id: str) -> bool:
    """An operator removed it from the cluster."""
    return host_id not in snapshot.hosts


def in_maintenance(snapshot: Snapshot, host_id: str) -> bool:
    host = snapshot.hosts.get(host_id)
    work = None if host is None else host.maintenance
    return work is not None and snapshot.now < work.until


def is_draining(snapshot: Snapshot, host_id: str) -> bool:
    host = snapshot.hosts.get(host_id)
    return host is not None and host.availability is Availability.DRAINING


def brake(snapshot: Snapshot) -> Optional[Brake]:
    """None: moving is allowed. Hosts in maintenance are in neither number."""
    counted = [host_id for host_id in snapshot.hosts if not in_maintenance(snapshot, host_id)]
    silent = sum(is_quiet(snapshot, host_id) for host_id in counted)
    # One of a few may be lost at any time, and a third of many is more than chance.
    return Brake(silent, len(counted)) if silent > max(1, len(counted) / 3) else None


def next_turn_s(snapshot: Snapshot, waits: frozenset[float] = frozenset()) -> Optional[float]:
    """When time alone changes what holds here: a silent host is lost, a maintenance is over, or a host has been
    silent for as long as one of `waits` says. None: never."""
    turns = [math.inf]
    for host_id, host in snapshot.hosts.items():
        if host.maintenance is not None:
            turns.append(host.maintenance.until - snapshot.now)
        silent_s = silence_s(snapshot, host_id)
        if silent_s > snapshot.silent_after_s:
            turns += [wait - silent_s for wait in {snapshot.lost_after_s, *waits}]
    nearest = min((turn for turn in turns if turn >= 0), default=math.inf)
    return None if math.isinf(nearest) else nearest + _A_MOMENT_S
