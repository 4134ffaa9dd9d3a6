"""When a control's outage begins, ends, and begins again.

    no outage ── fail at once; error, or the tool gone, that stands ──▶ open ── a pass that stands ──▶ over
                                                                         ▲                             │
                                                                         └── within five minutes ──────┘

A result **stands** once two looks in a row gave it. Where a check is looked at more rarely than each five minutes, it stands when it is
five minutes old: nobody waits a day for a second look at what is looked at each day. A check that does not run decides nothing: after
a start of the agent what was open is open, until it passes.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Optional

from hullmark.core.scrub import scrubbed
from hullmark.model.control import CheckState, ControlState, Status
from hullmark.model.host import Maintenance
from hullmark.model.moments import moment
from hullmark.model.outage import Outage

STANDS_S = 300.0
REOPENED_S = 300.0
"""A control that fails again within this time after an outage has the same outage."""
KEPT_S = 7 * 86400.0
KEPT_MOST = 100
WORDS_MOST = 600
WITHDRAWN = "; it ended without a pass: the control was withdrawn or switched off"
GONE = "the tool is no longer there"


@dataclass(frozen=True)
class Track:
    """What is remembered of a control between looks. `passed`: when each of its checks was looked at last while the control passed.
    `applied`: its tool was there once, so that its absence is news."""

    passed: Mapping[str, float] = field(default_factory=dict)
    applied: bool = False


@dataclass(frozen=True)
class Outages:
    """Of one host: outages by id, those that last and those that ended lately; tracks by control."""

    outages: Mapping[str, Outage] = field(default_factory=dict)
    tracks: Mapping[str, Track] = field(default_factory=dict)

    def open_of(self, control_id: str) -> Optional[Outage]:
        of = (one for one in self.outages.values() if one.control_id == control_id)
        return next((one for one in of if not one.ended), None)

    def newest(self) -> tuple[Outage, ...]:
        """Those that last first, then by their end, the newest first."""
        return tuple(sorted(self.outages.values(), key=_place))


class Word(enum.Enum):
    """What became of an outage, as its record in the audit log says."""

    BEGAN = "began"
    REOPENED = "reopened"
    LASTS = "lasts"  # it was open when the agent began
    RECOVERED = "recovered"
    WITHDRAWN = "withdrawn"  # its control is looked at no more, by the word of the host's owner


@dataclass(frozen=True)
class Told:
    word: Word
    outage: Outage


def fold(
    known: Outages,
    host: str,
    states: Mapping[str, ControlState],
    now: float,
    maintenance: Optional[Maintenance] = None,
    withdrawn: Iterable[str] = (),
) -> tuple[Outages, tuple[Told, ...]]:
    """What is known after these controls were looked at. `withdrawn` are those whose outage ends without a pass; of a control that is
    not among the states nothing is said."""
    outages, tracks = dict(known.outages), dict(known.tracks)
    told = []
    for control_id, state in states.items():
        before = tracks.get(control_id, Track())
        found = _turn(known, host, state, before, now, maintenance)
        if found is not None:
            told.append(found)
            outages[found.outage.outage_id] = found.outage
        after = _followed(before, state)
        if after != before:
            tracks[control_id] = after
    for control_id in withdrawn:
        tracks.pop(control_id, None)
        outage = known.open_of(control_id)
        if outage is not None:
            over = replace(outage, ended=max(now, outage.began), reason=outage.reason + WITHDRAWN)
            outages[over.outage_id] = over
            told.append(Told(Word.WITHDRAWN, over))
    return Outages(_kept(outages, now), tracks), tuple(told)


def stands(check: CheckState, now: float) -> bool:
    """Whether a check's result is more than a single look's."""
    return check.at > check.since or now - check.since >= STANDS_S


def _turn(
    known: Outages,
    host: str,
    state: ControlState,
    track: Track,
    now: float,
    maintenance: Optional[Maintenance],
) -> Optional[Told]:
    outage = known.open_of(state.control_id)
    if outage is not None:
        if not _is_well(state, outage, now):
            return None
        ended = state.since if outage.began <= state.since <= now else now
        return Told(Word.RECOVERED, replace(outage, ended=max(ended, outage.began)))
    bad = _bad(state, track, now)
    if bad is None:
        return None
    since, passed_at, reason = bad
    of = [one for one in known.outages.values() if one.control_id == state.control_id]
    last = max(of, key=lambda one: one.ended, default=None)
    began = min(now, max(since, passed_at, 0.0 if last is None else last.ended))
    if last is not None and began - last.ended <= REOPENED_S:
        again = replace(last, ended=0.0, reopened=last.reopened + 1, reason=_words(reason))
        return Told(Word.REOPENED, again)
    return Told(Word.BEGAN, _made(host, state, passed_at, began, reason, maintenance))


def _made(
    host: str,
    state: ControlState,
    passed_at: float,
    began: float,
    reason: str,
    maintenance: Optional[Maintenance],
) -> Outage:
    planned = maintenance is not None and maintenance.since <= began < maintenance.until
    return Outage(
        outage_id=outage_id(host, state.control_id, began),
        host=host,
        control_id=state.control_id,
        function=state.function,
        title=state.title,
        began=began,
        reason=_words(reason),
        status=Status.ERROR.value if state.status is Status.ERROR else Status.FAIL.value,
        passed_at=passed_at,
        level=state.level,
        remedy=_words(state.remedy),
        planned=planned,
        ticket=maintenance.ticket if planned and maintenance is not None else "",
    )


def _words(text: str) -> str:
    """What a check said, as it may be kept and told to others."""
    return scrubbed(text)[:WORDS_MOST]


def recorded(outage: Outage) -> dict[str, str]:
    """The fields of its records and events, without what is empty."""
    found = {
        "outage": outage.outage_id,
        "control": outage.control_id,
        "function": outage.function,
        "requirements": ", ".join(outage.requirements),
        "began": moment(outage.began),
        "ended": moment(outage.ended) if outage.ended else "",
        "passed_at": moment(outage.passed_at) if outage.passed_at else "",
        "planned": "yes" if outage.planned else "",
    }
    return {key: value for key, value in found.items() if value}


def outage_id(host: str, control_id: str, began: float) -> str:
    return hashlib.sha256(f"{host}/{control_id}/{began:.6f}".encode()).hexdigest()[:12]


def _bad(state: ControlState, track: Track, now: float) -> Optional[tuple[float, float, str]]:
    """Since when the control is out, when what failed had passed last, and why; None where it isn't out, or not yet."""
    of = [check for check in state.checks.values() if check.status is state.status]
    first = min(of, key=lambda check: check.since, default=None)
    if first is None:
        first = CheckState("", state.status, since=state.since)
    since, passed_at = first.since or now, track.passed.get(first.check_id, 0.0)
    reason = state.reason or state.status.value
    if state.status is Status.FAIL:
        return since, passed_at, reason
    lasts = any(stands(check, now) for check in of) if of else now - since >= STANDS_S
    if state.status is Status.ERROR and lasts:
        return since, passed_at, reason
    if state.status is Status.NOT_APPLICABLE and track.applied and lasts:
        return since, passed_at, f"{GONE}: {state.reason}" if state.reason else GONE
    return None


def _is_well(state: ControlState, outage: Outage, now: float) -> bool:
    """It passes, and no pass of a check is of one look only, but of those that have passed since before it failed: one that is looked at
    each hour holds up nothing that it had no part in."""
    if state.status is not Status.PASS:
        return False
    passing = [check for check in state.checks.values() if check.status is Status.PASS]
    return all(stands(check, now) or 0.0 < check.since < outage.began for check in passing)


def _followed(track: Track, state: ControlState) -> Track:
    checks = state.checks.values()
    if state.status is Status.PASS:
        passed = {check.check_id: check.at for check in checks if check.at > 0.0}
        return Track({**track.passed, **passed}, True)
    if state.status in (Status.FAIL, Status.ERROR) and not track.applied:
        return replace(track, applied=any(map(_is_there, checks)))
    return track


def _is_there(check: CheckState) -> bool:
    """An error alone does not show that a tool is on the host."""
    return check.status in (Status.PASS, Status.FAIL)


def _kept(outages: Mapping[str, Outage], now: float) -> Mapping[str, Outage]:
    ordered = sorted(outages.values(), key=_place)
    return {
        one.outage_id: one
        for number, one in enumerate(ordered)
        if not one.ended or (number < KEPT_MOST and now - one.ended < KEPT_S)
    }


def _place(outage: Outage) -> tuple[bool, float, str]:
    return (bool(outage.ended), -(outage.ended or outage.began), outage.outage_id)
