"""The newest result of each check, what it was before, and the control's state that follows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Callable

from hullmark.agentd.hearing import boot_clock
from hullmark.agentd.looking import Key, Looked, Task
from hullmark.core import posture, timetable
from hullmark.model.control import CheckState, ControlSpec, ControlState, Reading, Status


@dataclass(frozen=True)
class Taken:
    """A result that was taken over. `readings` are empty where nothing was looked at: it was left too long."""

    spec: ControlSpec
    state: CheckState
    before: CheckState
    readings: tuple[Reading, ...] = ()

    @property
    def key(self) -> Key:
        return self.spec.control_id, self.state.check_id

    @property
    def changed(self) -> bool:
        return self.state.status is not self.before.status


@dataclass
class _Kept:
    state: CheckState
    looked_at: float = 0.0


class Results:
    """One thread's. `clock` is one that nobody sets."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        self._wall = wall
        self._clock = clock
        self._specs: dict[str, ControlSpec] = {}
        self._kept: dict[Key, _Kept] = {}
        self._states: dict[str, ControlState] = {}

    def define(self, specs: Sequence[ControlSpec]) -> None:
        """These controls from now on. A check that is another than before was not looked at yet."""
        before, known = self._specs, self._kept
        self._specs = {spec.control_id: spec for spec in specs}
        self._kept = {}
        for task in tasks_of(specs):
            control = before.get(task.control_id)
            same = control is not None and task.check in control.checks
            fresh = _Kept(posture.never(task.check.check_id))
            self._kept[task.key] = known.get(task.key, fresh) if same else fresh
        self._states = {name: state for name, state in self._states.items() if name in self._specs}
        for spec in specs:
            self._update(spec)

    def take(self, task: Task, looked: Looked) -> Taken:
        """Raises KeyError for a check that is none of those defined."""
        kept, found = self._kept[task.key], looked.finding
        before = kept.state
        kept.state = CheckState(
            task.check.check_id,
            found.status,
            level=found.level,
            reason=found.reason,
            remedy=found.remedy,
            since=before.since if before.status is found.status and before.at else looked.at,
            at=looked.at,
            took_s=round(looked.took_s, 3),
            not_exercised=found.not_exercised,
        )
        kept.looked_at = self._clock() - looked.took_s
        spec = self._specs[task.control_id]
        self._update(spec)
        return Taken(spec, kept.state, before, looked.readings)

    def age(self, stretch: float) -> Iterator[Taken]:
        """What was left for too long is not run any more."""
        now, wall = self._clock(), self._wall()
        for spec in self._specs.values():
            for check in spec.checks:
                kept = self._kept.get((spec.control_id, check.check_id))
                if kept is None:
                    continue
                before = kept.state
                rarer = timetable.interval_now(check.interval_s, stretch) / check.interval_s
                kept.state = posture.stale(before, check, now - kept.looked_at, wall, rarer)
                if kept.state is not before:
                    self._update(spec)
                    yield Taken(spec, kept.state, before)

    def note_outages(self, outages: Mapping[str, str]) -> None:
        """The open ones' ids, by control."""
        for name, state in self._states.items():
            if state.outage != outages.get(name, ""):
                self._states[name] = replace(state, outage=outages.get(name, ""))

    def states(self) -> Mapping[str, ControlState]:
        return dict(self._states)

    def _update(self, spec: ControlSpec) -> None:
        name = spec.control_id
        before = self._states.get(name)
        found = {
            check.check_id: self._kept[name, check.check_id].state
            for check in spec.checks
            if (name, check.check_id) in self._kept
        }
        outage = before.outage if before is not None else ""
        self._states[name] = posture.control_state(spec, found, outage, before, self._wall())


def tasks_of(specs: Iterable[ControlSpec]) -> Iterator[Task]:
    """Of the controls that are switched on."""
    for spec in specs:
        if spec.enabled:
            for check in spec.checks:
                yield Task(spec.control_id, check)


def looked_at_all(states: Mapping[str, ControlState]) -> bool:
    """Whether no check waits for its first look."""
    checks = (one for state in states.values() for one in state.checks.values())
    return all(one.at or one.status is not Status.NOT_RUN for one in checks)
