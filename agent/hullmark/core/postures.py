"""The controls of all hosts, as a leader may show them: of a host that is not heard nothing is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hullmark.model.api import HostView
from hullmark.model.control import NOTHING_PROVEN, ControlState, Posture, Status
from hullmark.model.durations import age
from hullmark.model.observed import NO_STATE
from hullmark.model.postureview import HostPosture
from hullmark.model.snapshot import Snapshot

UNHEARD = frozenset({"silent", "lost", "never"})


def host_postures(snapshot: Snapshot, views: Iterable[HostView]) -> tuple[HostPosture, ...]:
    """In the order of the views."""
    return tuple(_of(snapshot, view) for view in views)


def _of(snapshot: Snapshot, view: HostView) -> HostPosture:
    state = snapshot.observed.get(view.host_id, NO_STATE)
    posture = state.posture
    if posture is not None and view.state in UNHEARD:
        heard = "never" if view.heard_s is None else f"for {age(view.heard_s)}"
        posture = unknown(posture, f"the host was not heard {heard}")
    open_ones = {one.outage_id for one in state.outages if not one.ended}
    numbers = {key: number for key, number in snapshot.incidents.items() if key in open_ones}
    return HostPosture(
        view.host_id,
        view.name,
        view.state,
        view.heard_s,
        posture,
        state.outages,
        numbers,
    )


def unknown(posture: Posture, why: str) -> Posture:
    """With every control as one that was not looked at, and why."""
    return replace(
        posture, controls={name: _unknown(one, why) for name, one in posture.controls.items()}
    )


def _unknown(state: ControlState, why: str) -> ControlState:
    if state.status is Status.NOT_APPLICABLE:
        return state
    checks = {
        name: replace(
            one,
            status=Status.NOT_RUN,
            level=NOTHING_PROVEN,
            reason=why,
            remedy="",
            not_exercised="",
        )
        for name, one in state.checks.items()
    }
    return replace(
        state,
        status=Status.NOT_RUN,
        level=NOTHING_PROVEN,
        reason=why,
        remedy="look at the host: hullmark hosts",
        checks=checks,
    )
