"""Rollouts: which instances of an older generation are replaced now, and when a change has to stop.

    rolling ──▶ done              all that it replaces is good, and what is new serves
       │  └───▶ undoing           too many failed, and `failure_action` is `rollback`
       └──────▶ paused ──▶ done   too many failed, or a person said so; what had begun may still turn out well

Nothing is remembered but the `Rollout`; how far each slot has come is judged afresh (`progress`). A slot whose successor
has to show that it is good takes one place of `parallelism`, and so does one that was stopped and has no
successor yet. While the number of failures is one that is allowed, those take places too, but never the last.

What is promised: with `stop-first` no fewer than replicas - parallelism serve, with `start-first` no fewer than replicas,
if all served before and as long as no more fail than `max_failure_ratio` says; then it stops.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from hullmark.core import absence
from hullmark.core.dependencies import waits
from hullmark.core.loadline import Line
from hullmark.core.pace import Pace, places, turns_s
from hullmark.core.progress import Progress, SlotProgress, Turn, pace_of, survey
from hullmark.core.roster import Roster
from hullmark.model.app import DeployMode, FailureAction
from hullmark.model.observed import Phase
from hullmark.model.records import AppRecord, Rollout, RolloutState
from hullmark.model.snapshot import Snapshot

__all__ = ["Course", "Pace", "course", "resumed", "undone"]


@dataclass(frozen=True)
class Course:
    """`paces` by service; one that is not there changes nothing. `again_in_s`: when time alone changes the course."""

    paces: Mapping[str, Pace]
    rollout: Rollout
    again_in_s: Optional[float]


def resumed(snapshot: Snapshot, record: AppRecord, roster: Roster, rollout: Rollout) -> Rollout:
    """A paused rollout that goes on, by a person's word. What has failed by now is forgiven: it goes on being tried
    on its host, and only another failure, or one after it was good, stops the rollout again."""
    found = survey(snapshot, record, roster, rollout)
    failed = {s.name for item in found.values() for s in item.of(Turn.FAILED)}
    return dataclasses.replace(
        rollout,
        state=RolloutState.ROLLING,
        reason="",
        by="",
        at=snapshot.now,
        forgiven=tuple(sorted({*rollout.forgiven, *failed})),
    )


def undone(record: AppRecord, rollout: Rollout, taken: AppRecord) -> Rollout:
    """The rollout of `taken`, which takes back the generation of `record` that failed. What that had begun to replace
    is watched until it is good."""
    kept = {name: had for name, had in rollout.services.items() if name in taken.app.services}
    return Rollout(
        taken.generation,
        good=rollout.good,
        reason=rollout.reason,
        at=taken.change.at,
        former=rollout.former,
        services=kept,
        undid=record.generation,
    )


def course(
    snapshot: Snapshot, record: AppRecord, roster: Roster, line: Optional[Line] = None
) -> Course:
    """How far the app's newest generation has come, and what of it may be done now. `line` is the mark of this snapshot."""
    line = Line(snapshot) if line is None else line
    outdated = [name for name in record.app.services if _is_outdated(record, roster, name)]
    rollout = _current(snapshot, record, roster, outdated)
    if rollout.state is RolloutState.DONE and not outdated:
        return Course({}, rollout, None)
    rollout = _joined(record, roster, rollout, outdated)
    found = survey(snapshot, record, roster, rollout)
    rollout = _judged(snapshot, record, roster, rollout, found)
    paces = {
        name: _pace(snapshot, record, roster, rollout, found[name], line)
        for name in outdated
        if found[name].slots
    }
    return Course(paces, rollout, _again_in_s(record, rollout, found))


def _is_outdated(record: AppRecord, roster: Roster, name: str) -> bool:
    wanted = record.generations[name]
    placed = roster.placed(record.app.name, name)
    return any(item.assignment.instance.generation != wanted for item in placed)


def _current(
    snapshot: Snapshot, record: AppRecord, roster: Roster, outdated: Sequence[str]
) -> Rollout:
    """The rollout of the app's generation, as it stood or as it begins."""
    known = snapshot.rollouts.get(record.app.name)
    if known is None:
        # An app from before there were rollouts has instances already; a new one has none.
        runs = any(roster.placed(record.app.name, name) for name in record.app.services)
        if runs and not outdated:
            return Rollout(record.generation, RolloutState.DONE, record.generation)
        return Rollout(record.generation, at=snapshot.now)
    if known.generation == record.generation:
        return known
    unfinished = {} if known.state is RolloutState.DONE else known.services
    services = {name: had for name, had in unfinished.items() if name in record.app.services}
    moved = bool(record.rolled_back_to) or record.generation in record.generations.values()
    if not moved and known.state in (RolloutState.PAUSED, RolloutState.UNDOING):
        # It makes no container again, so it is no reason to go on with what was stopped.
        return dataclasses.replace(known, generation=record.generation, services=services)
    return Rollout(
        record.generation, good=known.good, at=snapshot.now, former=known.former, services=services
    )


def _joined(
    record: AppRecord, roster: Roster, rollout: Rollout, outdated: Sequence[str]
) -> Rollout:
    """With the services whose instances it replaces."""
    had = {
        name: len(roster.by_slot(record, name))
        for name in outdated
        if name not in rollout.services and roster.by_slot(record, name)
    }
    if not had:
        return rollout
    return dataclasses.replace(rollout, services={**rollout.services, **had})


def _judged(
    snapshot: Snapshot,
    record: AppRecord,
    roster: Roster,
    rollout: Rollout,
    found: Mapping[str, Progress],
) -> Rollout:
    """The rollout in its new state. Only an undoing one stays as it is, whatever is seen."""
    if rollout.state is RolloutState.UNDOING:
        return rollout
    rollout = _forgiving(rollout, found)
    if _is_done(record, roster, rollout, found):
        return _done(snapshot, record, rollout)
    if rollout.state is RolloutState.PAUSED:
        return rollout
    if rollout.state is RolloutState.DONE:
        if not any(slot.known or slot.beside for item in found.values() for slot in _former(item)):
            return rollout
        # An instance of an older generation is back with its host.
        rollout = dataclasses.replace(rollout, state=RolloutState.ROLLING, at=snapshot.now)
    return _stopped(snapshot, record, rollout, found)


def _former(item: Progress) -> tuple[SlotProgress, ...]:
    """Slots with an older instance that has to go yet, and is not on a lost host."""
    return tuple(slot for slot in item.slots if slot.turn is Turn.OLD or slot.beside)


def _forgiving(rollout: Rollout, found: Mapping[str, Progress]) -> Rollout:
    """What turned out well, or went, is forgiven no more."""
    if not rollout.forgiven:
        return rollout
    bad = {s.name for item in found.values() for s in item.slots if s.turn is not Turn.GOOD}
    left = tuple(name for name in rollout.forgiven if name in bad)
    return rollout if left == rollout.forgiven else dataclasses.replace(rollout, forgiven=left)


def _is_done(
    record: AppRecord, roster: Roster, rollout: Rollout, found: Mapping[str, Progress]
) -> bool:
    for name, item in found.items():
        if name in rollout.services:
            if item.missing or _former(item) or item.of(Turn.OPEN) or item.of(Turn.FAILED):
                return False
        elif record.generations[name] > rollout.good and not _came_up(record, roster, item):
            return False
    return True


def _came_up(record: AppRecord, roster: Roster, item: Progress) -> bool:
    """Of a service that the app did not have before: it has to serve once, or to complete."""
    service = record.app.services[item.service]
    up = {
        post.assignment.instance.slot
        for post in roster.current(record, item.service)
        if post.status is not None
        and (
            post.status.phase is Phase.COMPLETED
            or (post.status.serving and not service.container.one_shot)
        )
    }
    is_global = service.deploy.mode is DeployMode.GLOBAL
    return len(up) >= (max(1, len(item.slots)) if is_global else item.wanted)


def _done(snapshot: Snapshot, record: AppRecord, rollout: Rollout) -> Rollout:
    if rollout.state is RolloutState.DONE:
        return rollout
    # What it went back to has the same spec, and is no place to go back to from here.
    again = rollout.good in (record.rolled_back_to, record.generation)
    return Rollout(
        record.generation,
        RolloutState.DONE,
        record.generation,
        rollout.reason if rollout.undid else "",
        at=snapshot.now,
        former=rollout.former if again else rollout.good,
        undid=rollout.undid,
    )


def _stopped(
    snapshot: Snapshot, record: AppRecord, rollout: Rollout, found: Mapping[str, Progress]
) -> Rollout:
    """Paused or undoing where too many failed, else as it is."""
    verdicts = []
    for name in sorted(rollout.services):
        failed = [s for s in found[name].of(Turn.FAILED) if s.name not in rollout.forgiven]
        pace = pace_of(record, record.app.services[name])
        if not failed or len(failed) / found[name].wanted <= pace.max_failure_ratio:
            continue
        if pace.failure_action is not FailureAction.CONTINUE:
            undo = pace.failure_action is FailureAction.ROLLBACK and not record.rolled_back_to
            verdicts.append((undo, _reason(snapshot, found[name], failed)))
    if not verdicts:
        return rollout
    undo, reason = next((item for item in verdicts if item[0]), verdicts[0])
    state = RolloutState.PAUSED
    if undo and 0 < rollout.good < record.generation:
        state = RolloutState.UNDOING
    elif undo:
        reason += "; there is no former generation to go back to"
    return dataclasses.replace(rollout, state=state, reason=reason, by="", at=snapshot.now)


def _reason(snapshot: Snapshot, item: Progress, failed: Sequence[SlotProgress]) -> str:
    first = failed[0]
    where = snapshot.host_name(first.host_id)
    of_all = f"; {len(failed)} of {item.wanted} failed" if item.wanted > 1 else ""
    return f"{item.service}.{first.slot} on {where}: {first.why}{of_all}"


def _pace(
    snapshot: Snapshot,
    record: AppRecord,
    roster: Roster,
    rollout: Rollout,
    item: Progress,
    line: Line,
) -> Pace:
    retire = frozenset(s.slot for s in item.slots if s.turn is Turn.GOOD and s.beside)
    candidates = sorted(
        (slot for slot in item.of(Turn.OLD) if slot.known),
        key=lambda slot: (slot.serves, slot.slot),
    )
    if not record.app.services[item.service].container.one_shot:
        go_on = candidates and rollout.state is RolloutState.ROLLING
        # While so many hosts are silent, those that can be seen may be all that serve.
        if not go_on or absence.brake(snapshot) or waits(roster, record, item.service):
            candidates = []
        # What can't be made anew on its host goes on running there, and is not in the others' way.
        order = pace_of(record, record.app.services[item.service]).order
        free = [s for s in candidates if not line.holds(record, item.service, s.host_id, order)]
        candidates = free[: places(record, item)]
    return Pace(frozenset(slot.slot for slot in candidates), retire)


def _again_in_s(
    record: AppRecord, rollout: Rollout, found: Mapping[str, Progress]
) -> Optional[float]:
    if rollout.state in (RolloutState.DONE, RolloutState.UNDOING):
        return None
    turns = [
        left_s + absence.A_MOMENT_S
        for name in rollout.services
        for left_s in turns_s(record, found[name])
        if left_s > 0
    ]
    return min(turns, default=None)
