"""Absence: which hosts are heard, which are lost, and when so many are silent that nothing may move.

A host that this leader never heard has been silent for as long as the leader has waited for it, which begins
anew with each term and after each stall of the leader's own process.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional

from hullmark.model.control import Mode
from hullmark.model.host import Availability
from hullmark.model.observed import HostState
from hullmark.model.snapshot import Snapshot

ENGINE_AWAY = {
    "engine.unavailable": "the host's engine does not answer",
    "engine.refuses": "the host's engine refuses the agent",
    "mode.observe": "the host only observes",
}
"""By the code of a host's problem: nothing can be said of its containers while it lasts."""
A_MOMENT_S = 0.05
"""Added to a time at which something is over, so that it is over by then."""


@dataclass(frozen=True)
class Brake:
    """So many hosts are silent at once that the fault is hardly theirs: nothing is moved off any host."""

    silent: int
    total: int
    left_s: float = 0.0
    """Above 0: fewer are silent by now, and the others have this long to come back."""

    @property
    def note(self) -> str:
        are = "is" if self.silent == 1 else "are"
        while_s = f" for another {math.ceil(self.left_s)} s" if self.left_s else ""
        return f"{self.silent} of {self.total} hosts {are} silent: nothing moves{while_s}"


def silence_s(snapshot: Snapshot, host_id: str) -> float:
    return snapshot.heard_s.get(host_id, snapshot.waited_s)


def is_ready(snapshot: Snapshot, host_id: str) -> bool:
    """Heard within `lost_after_s`, and its whole state is known: it may get new work."""
    heard_s = snapshot.heard_s.get(host_id)
    return heard_s is not None and heard_s <= snapshot.lost_after_s and host_id in snapshot.observed


def is_quiet(snapshot: Snapshot, host_id: str) -> bool:
    """Silent for longer than a poll is held: it counts for the brake."""
    return silence_s(snapshot, host_id) > snapshot.quiet_after_s


def observes(snapshot: Snapshot, host_id: str) -> bool:
    """Whether its agent refuses every order, as this leader heard it last: then it stops nothing by itself either."""
    state = snapshot.observed.get(host_id)
    return state is not None and state.facts.mode == Mode.OBSERVE.value


def engine_trouble(state: Optional[HostState]) -> str:
    """Why what a host says of its containers is old; empty where it isn't."""
    codes = {problem.code for problem in state.problems} if state is not None else set()
    return next((text for code, text in ENGINE_AWAY.items() if code in codes), "")


def is_seen(snapshot: Snapshot, host_id: str) -> bool:
    """Whether what its host says of an instance is true now."""
    return is_ready(snapshot, host_id) and not engine_trouble(snapshot.observed[host_id])


def is_last_choice(snapshot: Snapshot, host_id: str) -> bool:
    """For new work, of hosts that fit: nothing can be started there right now."""
    return is_quiet(snapshot, host_id) or bool(engine_trouble(snapshot.observed.get(host_id)))


def is_lost(snapshot: Snapshot, host_id: str) -> bool:
    return silence_s(snapshot, host_id) > snapshot.lost_after_s


def is_awaited(snapshot: Snapshot, host_id: str) -> bool:
    """Whether one that this leader never heard is not to be called lost: it has its time to call, or it was enrolled under this leader, and
    none heard it."""
    if host_id in snapshot.heard_s:
        return False
    host = snapshot.hosts.get(host_id)
    is_new = host is not None and host.enrolled_at >= snapshot.leader.since
    return is_new or not is_lost(snapshot, host_id)


def may_still_call(snapshot: Snapshot, host_id: str) -> bool:
    """Whether it was enrolled under this leader, never heard, and has not had its whole time to call since: its agent may be about to be started."""
    enrolled_s = snapshot.enrolled_s.get(host_id)
    unheard = host_id not in snapshot.heard_s
    return unheard and enrolled_s is not None and enrolled_s <= snapshot.lost_after_s


def has_others(snapshot: Snapshot, name: str) -> bool:
    """Whether any host but this one is enrolled, heard or not."""
    return any(host.name != name for host in snapshot.hosts.values())


def is_gone(snapshot: Snapshot, host_id: str) -> bool:
    """An operator removed it from the cluster."""
    return host_id not in snapshot.hosts


def in_maintenance(snapshot: Snapshot, host_id: str) -> bool:
    host = snapshot.hosts.get(host_id)
    work = None if host is None else host.maintenance
    return work is not None and snapshot.now < work.until


def time_left(until: float, now: float) -> str:
    """How long work on a host still lasts: its last two minutes in seconds."""
    left_s = max(0.0, until - now)
    return f"{left_s:.0f} s left" if left_s < 120 else f"{left_s / 60:.0f} min left"


def is_draining(snapshot: Snapshot, host_id: str) -> bool:
    host = snapshot.hosts.get(host_id)
    return host is not None and host.availability is Availability.DRAINING


def is_too_many(silent: int, total: int) -> bool:
    """One of a few may be lost at any time, and a third of many is more than chance."""
    return silent > max(1, total / 3)


def brake(snapshot: Snapshot) -> Optional[Brake]:
    """None: moving is allowed. Hosts in maintenance are in neither number, nor are new ones that may still call. Hosts that were silent together don't come
    back at the same moment: the last of them has its time anew once the others are heard."""
    counted = [
        host_id
        for host_id in snapshot.hosts
        if not (in_maintenance(snapshot, host_id) or may_still_call(snapshot, host_id))
    ]
    silent = sum(is_quiet(snapshot, host_id) for host_id in counted)
    if is_too_many(silent, len(counted)):
        return Brake(silent, len(counted))
    left_s = _uneasy_s(snapshot)
    return Brake(silent, len(counted), left_s) if silent and left_s > 0 else None


def _uneasy_s(snapshot: Snapshot) -> float:
    """For how long nothing moves yet although few are silent now; negative where that is over."""
    calm_s = math.inf if snapshot.calm_s is None else snapshot.calm_s
    return snapshot.lost_after_s - calm_s


def next_turn_s(snapshot: Snapshot, waits: frozenset[float] = frozenset()) -> Optional[float]:
    """When time alone changes what holds here: a silent host is lost, a maintenance is over, or a host has been
    silent for as long as one of `waits` says. None: never."""
    turns = [_uneasy_s(snapshot)]
    for host_id, host in snapshot.hosts.items():
        if host.maintenance is not None:
            turns.append(host.maintenance.until - snapshot.now)
        if may_still_call(snapshot, host_id):
            turns.append(snapshot.lost_after_s - snapshot.enrolled_s[host_id])
        silent_s = silence_s(snapshot, host_id)
        if is_quiet(snapshot, host_id):
            turns += [wait - silent_s for wait in {snapshot.lost_after_s, *waits}]
    nearest = min((turn for turn in turns if turn >= 0), default=math.inf)
    return None if math.isinf(nearest) else nearest + A_MOMENT_S
