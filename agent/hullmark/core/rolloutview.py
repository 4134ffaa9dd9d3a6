"""A rollout as people see it: how far each service has come, and what is waited for."""

from __future__ import annotations

from hullmark.core import absence
from hullmark.core.dependencies import waits
from hullmark.core.progress import Progress, Turn, pace_of, survey
from hullmark.core.rollout import course
from hullmark.core.roster import Roster
from hullmark.model.records import AppRecord, Rollout, RolloutState
from hullmark.model.rollout import RolloutView, ServiceRollout
from hullmark.model.snapshot import Snapshot


def rollout_view(snapshot: Snapshot, record: AppRecord, version: int) -> RolloutView:
    roster = Roster.of(snapshot)
    at = course(snapshot, record, roster)
    rollout = at.rollout
    services = survey(snapshot, record, roster, rollout)
    return RolloutView(
        record.app.name,
        record.generation,
        rollout.state.value,
        record.change,
        version,
        rollout.good,
        record.rolled_back_to,
        rollout.undid,
        rollout.reason,
        rollout.by,
        rollout.at,
        at.again_in_s,
        tuple(
            _service(snapshot, record, roster, rollout, item)
            for _, item in sorted(services.items())
        ),
    )


def _service(
    snapshot: Snapshot, record: AppRecord, roster: Roster, rollout: Rollout, item: Progress
) -> ServiceRollout:
    good, open_ = len(item.of(Turn.GOOD)), len(item.of(Turn.OPEN))
    if item.service not in rollout.services:
        # Nothing of it is replaced, so nothing has to be watched: what serves is good.
        serve = sum(slot.serves for slot in item.of(Turn.OPEN))
        good, open_ = good + serve, open_ - serve
    failed = len(item.of(Turn.FAILED))
    return ServiceRollout(
        item.service,
        record.generations[item.service],
        item.wanted,
        good + open_ + failed,
        good,
        open_,
        failed,
        len(item.of(Turn.OLD)),
        len(item.of(Turn.AWAY)),
        max(0, item.wanted - len(item.slots)),
        _next(snapshot, record, roster, rollout, item),
    )


def _next(
    snapshot: Snapshot, record: AppRecord, roster: Roster, rollout: Rollout, item: Progress
) -> str:
    """What the service waits for."""
    if rollout.state is RolloutState.DONE:
        return ""
    shown = _shown(record, rollout, item)
    old = item.of(Turn.OLD)
    if shown or not old:
        return shown
    if rollout.state is not RolloutState.ROLLING:
        return "nothing more is replaced"
    brake = absence.brake(snapshot)
    missing = waits(roster, record, item.service)
    if brake is not None:
        return brake.note
    if missing:
        return f"waits for {' and '.join(missing)}"
    if not any(slot.known for slot in old):
        return "waits for hosts that are not heard"
    pace = pace_of(record, record.app.services[item.service])
    ages = [slot.serving_s for slot in item.of(Turn.GOOD) if slot.serving_s]
    left_s = pace.monitor_s + pace.delay_s - min(ages, default=0.0)
    if ages and left_s > 0:
        return f"the next begins in {left_s:.0f} s"
    return "the next is about to begin"


def _shown(record: AppRecord, rollout: Rollout, item: Progress) -> str:
    """What has to show that it is good, or to get a place, before anything more happens."""
    if item.missing:
        what = "1 slot" if item.missing == 1 else f"{item.missing} slots"
        return f"no place for {what}: hullmark explain {record.app.name}/{item.service}"
    if item.service not in rollout.services:
        return ""
    for slot in item.of(Turn.OPEN):
        name = f"{item.service}.{slot.slot}"
        if not slot.known:
            return f"the host of {name} is not heard"
        if not slot.serves:
            return f"{name} has to come up"
        monitor_s = pace_of(record, record.app.services[item.service]).monitor_s
        return f"{name} has to serve for {max(0.0, monitor_s - slot.serving_s):.0f} s more"
    return ""
