"""A host's posture: what its controls' states are, from what their checks found.

A control is never shown as passing unless a check of it was looked at lately, and found what makes it pass: what was not tested, could not
be told, or was tested too long ago is `not_run` or `error`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Optional

from hullmark.model.control import (
    NOTHING_PROVEN,
    CheckSpec,
    CheckState,
    Condition,
    ControlSpec,
    ControlState,
    Posture,
    Status,
)

INTERVALS_KEPT = 3
"""A result holds for so many of its check's intervals, and its timeout."""
NOT_YET = "not looked at yet"
_WORST_FIRST = (Status.FAIL, Status.ERROR, Status.NOT_RUN)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def control_state(
    spec: ControlSpec,
    found: Mapping[str, CheckState],
    outage: str = "",
    before: Optional[ControlState] = None,
    now: float = 0.0,
) -> ControlState:
    """`found` are the newest results by check, stale ones as `stale` has them; `outage` the open one's id. `before` is this control's
    state until now: `since` stays while the status does, and is `now` where it changed."""
    checks = {one.check_id: found.get(one.check_id, never(one.check_id)) for one in spec.checks}
    status, decisive = _status(spec, tuple(checks.values()))
    kept = before is not None and before.status is status
    return ControlState(
        spec.control_id,
        spec.function,
        spec.title,
        status,
        level=_level(spec, status, checks),
        reason=_reason(spec, status, decisive),
        remedy=_remedy(spec, status, decisive),
        since=before.since if kept and before is not None else now,
        checks=checks,
        outage=outage,
    )


def never(check_id: str) -> CheckState:
    """Of a check that was not looked at."""
    return CheckState(check_id, Status.NOT_RUN, reason=NOT_YET)


def keeps_s(check: CheckSpec, stretch: float = 1.0) -> float:
    """For how many seconds a result holds. `stretch`: how much rarer than asked for the check is looked at."""
    return INTERVALS_KEPT * check.interval_s * max(1.0, stretch) + check.timeout_s


def stale(
    state: CheckState, check: CheckSpec, age_s: float, now: float, stretch: float = 1.0
) -> CheckState:
    """What is left of a result that is `age_s` old, by a clock that nobody sets. `since` is when it ceased to hold, however late that is
    noticed: a host that slept for a night proved nothing in it."""
    over_s = age_s - keeps_s(check, stretch)
    if state.status is Status.NOT_RUN or over_s <= 0:
        return state
    return replace(
        state,
        status=Status.NOT_RUN,
        level=NOTHING_PROVEN,
        reason=f"not looked at for {INTERVALS_KEPT} intervals; it was: {state.status.value}",
        remedy="",
        since=now - over_s,
        not_exercised="",
    )


def settled(posture: Posture, before: Optional[Posture] = None) -> Posture:
    """Without what moves with each look: times of looks, and numbers in reasons, which stay as they were `before`."""
    controls = {
        name: _at_rest(one, before.controls.get(name) if before is not None else None)
        for name, one in posture.controls.items()
    }
    return replace(posture, at=0.0, controls=controls)


def _at_rest(state: ControlState, before: Optional[ControlState]) -> ControlState:
    checks = {
        name: _check_at_rest(one, before.checks.get(name) if before is not None else None)
        for name, one in state.checks.items()
    }
    rested = replace(state, checks=checks)
    if before is None or not _same_but_numbers(state.reason, before.reason):
        return rested
    return replace(rested, reason=before.reason) if state.status is before.status else rested


def _check_at_rest(state: CheckState, before: Optional[CheckState]) -> CheckState:
    rested = replace(state, at=0.0, took_s=0.0)
    if before is None or state.status is not before.status:
        return rested
    same = _same_but_numbers(state.reason, before.reason)
    return replace(rested, reason=before.reason) if same else rested


def _same_but_numbers(one: str, other: str) -> bool:
    return _NUMBER.sub("0", one) == _NUMBER.sub("0", other)


def _status(
    spec: ControlSpec, checks: Sequence[CheckState]
) -> tuple[Status, tuple[CheckState, ...]]:
    """With the checks that decided it."""
    if not spec.enabled or not checks:
        return Status.NOT_RUN, ()
    applicable = [one for one in checks if one.status is not Status.NOT_APPLICABLE]
    if not applicable:
        return Status.NOT_APPLICABLE, tuple(checks)
    if spec.condition is Condition.ANY:
        return _any(applicable)
    seen = {
        one: _turned(one.status) if spec.condition is Condition.NONE else one.status
        for one in applicable
    }
    for status in _WORST_FIRST:
        decisive = tuple(one for one in applicable if seen[one] is status)
        if decisive:
            return status, decisive
    return Status.PASS, tuple(applicable)


def _any(applicable: Sequence[CheckState]) -> tuple[Status, tuple[CheckState, ...]]:
    """While one was never looked at, the others' failing says nothing yet."""
    passing = tuple(one for one in applicable if one.status is Status.PASS)
    if passing:
        return Status.PASS, passing
    unseen = tuple(one for one in applicable if one.status is Status.NOT_RUN and not one.at)
    if unseen:
        return Status.NOT_RUN, unseen
    for status in _WORST_FIRST:
        decisive = tuple(one for one in applicable if one.status is status)
        if decisive:
            return status, decisive
    raise AssertionError("a status that is none of them")


def _turned(status: Status) -> Status:
    """Of a check that looks for what must not be: that it was not found is the good end."""
    return {Status.PASS: Status.FAIL, Status.FAIL: Status.PASS}.get(status, status)


def _level(spec: ControlSpec, status: Status, checks: Mapping[str, CheckState]) -> int:
    if spec.condition is not Condition.NONE:
        passing = [one.level for one in checks.values() if one.status is Status.PASS]
        return max(passing, default=NOTHING_PROVEN)
    if status is not Status.PASS:
        return NOTHING_PROVEN
    # What was not found proves as much as the least of the looks for it.
    looked = [one.level for one in spec.checks if checks[one.check_id].status is Status.FAIL]
    return min(looked, default=NOTHING_PROVEN)


def _reason(spec: ControlSpec, status: Status, decisive: Sequence[CheckState]) -> str:
    if not spec.enabled:
        return f"switched off by {spec.file}" + (f":{spec.line}" if spec.line else "")
    if not decisive:
        return "it has no checks"
    if status is Status.PASS:
        return ""
    first = decisive[0]
    found = first.reason
    if status is Status.FAIL and first.status is Status.PASS:
        found = first.reason or "found what must not be"
    more = f" (and {len(decisive) - 1} more)" if len(decisive) > 1 else ""
    return f"{first.check_id}: {found}{more}"


def _remedy(spec: ControlSpec, status: Status, decisive: Sequence[CheckState]) -> str:
    if status not in (Status.FAIL, Status.ERROR):
        return ""
    # Of the check that the reason is of.
    return (decisive[0].remedy if decisive else "") or spec.remediation
