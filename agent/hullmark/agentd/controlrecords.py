"""What of controls is in the audit log: each change of a check's status, one reading a day in full, and each hour how looks went."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from hullmark.agentd.asked import LOCAL
from hullmark.agentd.hearing import boot_clock
from hullmark.agentd.looking import Key, as_text
from hullmark.agentd.results import Taken
from hullmark.core.scrub import scrubbed
from hullmark.model.audit import Entry, Outcome
from hullmark.model.control import CheckState, Condition, Reading, Status
from hullmark.model.moments import moment
from hullmark.model.wire import canonical, to_wire

RESULT, SUMMARY = "control.result", "controls.summary"
READINGS_MOST = 16 << 10
DAY_S, HOUR_S = 86400.0, 3600.0
SET_S = 10.0
"""More than the wall's clock is apart from one that nobody sets, in an hour in which it is only kept right."""
SUMMARY_MOST = 100
"""Checks in one record, so that it is not cut; more are in the next ones."""
FULL_MOST = 6
"""Of one check in an hour are recorded with their readings; one that flips more often is recorded without."""
BACKLOG_MOST = 200
"""Where more records wait in memory, they wait without readings."""
LEFT_OUT = "too many at a time"

_GOOD = frozenset({Status.PASS, Status.NOT_APPLICABLE})


@dataclass
class _Noted:
    """`full_at`: when one was recorded with readings, of late; `looks` since the last summary, by status."""

    state: CheckState
    at: float = float("-inf")
    full_at: deque[float] = field(default_factory=lambda: deque(maxlen=FULL_MOST))
    looks: Counter[str] = field(default_factory=Counter)


class Diary:
    """One thread's. `note` records; `backlog` is how many records wait in memory for a log that can't be written. `clock` is one that nobody sets."""

    def __init__(
        self,
        note: Callable[[Entry], None],
        backlog: Callable[[], int] = lambda: 0,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        self._note = note
        self._backlog = backlog
        self._wall = wall
        self._clock = clock
        self._noted: dict[Key, _Noted] = {}
        self._begins, self._begins_at = wall(), clock()

    def take(self, taken: Taken) -> None:
        now = self._clock()
        noted = self._noted.setdefault(taken.key, _Noted(taken.state))
        noted.state = taken.state
        if taken.state.status is not Status.NOT_RUN:
            noted.looks[taken.state.status.value] += 1
        if not taken.changed and now - noted.at < DAY_S:
            return
        noted.at = now
        self._note(result(taken, full=self._is_full(noted, now)))

    def _is_full(self, noted: _Noted, now: float) -> bool:
        """Whether it is recorded with its readings."""
        full = noted.full_at
        if self._backlog() > BACKLOG_MOST:
            return False
        if len(full) == FULL_MOST and now - full[0] < HOUR_S:
            return False
        full.append(now)
        return True

    def turn(self) -> None:
        """The summary, where its hour is over."""
        if self._clock() - self._begins_at >= HOUR_S:
            self.sum_up()

    def sum_up(self) -> None:
        ends, lasted_s = self._wall(), self._clock() - self._begins_at
        if abs(ends - self._begins - lasted_s) > SET_S:
            # The clock was set: the record covers the time that passed, and not that between two readings of the clock.
            self._begins = ends - lasted_s
        counted = {"/".join(key): counts(noted) for key, noted in sorted(self._noted.items())}
        for entry in summaries(counted, self._begins, ends):
            self._note(entry)
        for noted in self._noted.values():
            noted.looks.clear()
        self._begins, self._begins_at = ends, self._clock()

    def keep(self, keys: Iterable[Key]) -> None:
        """These checks are still defined; the others are summed up once more, and forgotten."""
        gone = self._noted.keys() - set(keys)
        if any(self._noted[key].looks for key in gone):
            self.sum_up()
        for key in gone:
            del self._noted[key]

    def begin_anew(self) -> None:
        """Another log: the next result of each check is recorded there, with its readings."""
        self._noted.clear()
        self._begins, self._begins_at = self._wall(), self._clock()


def counts(noted: _Noted) -> Mapping[str, object]:
    """`status` and `level` are the newest; the others how many looks ended so."""
    return {"status": noted.state.status.value, "level": noted.state.level, **noted.looks}


def summaries(counted: Mapping[str, object], begins: float, ends: float) -> Iterator[Entry]:
    """None where nothing was looked at."""
    rest = iter(counted.items())
    while True:
        some = dict(islice(rest, SUMMARY_MOST))
        if not some:
            return
        fields = {
            "begins": moment(begins),
            "ends": moment(ends),
            "results": canonical(some).decode(),
        }
        yield Entry(SUMMARY, "controls", origin=LOCAL, fields=fields)


def result(taken: Taken, *, full: bool = True) -> Entry:
    state, spec = taken.state, taken.spec
    fields = {
        "control": spec.control_id,
        "check": state.check_id,
        "function": spec.function,
        "condition": "" if spec.condition is Condition.ALL else spec.condition.value,
        "status": state.status.value,
        "level": str(state.level),
        "since": moment(state.since),
        "readings": readings_text(taken.readings) if full else "[]",
        "readings_left_out": "" if full else LEFT_OUT,
        "not_exercised": state.not_exercised,
    }
    return Entry(
        RESULT,
        f"control {spec.control_id}/{state.check_id}",
        outcome=Outcome.SUCCESS if state.status in _GOOD else Outcome.FAILURE,
        origin=LOCAL,
        reason=scrubbed(state.reason),
        fields={name: text for name, text in fields.items() if text},
    )


def readings_text(readings: Sequence[Reading], most: int = READINGS_MOST) -> str:
    """JSON of at most so many bytes: scrubbed first, then the longest texts are cut, at last whole readings left out."""
    kept = [_scrubbed(one) for one in readings]
    while True:
        text = canonical([to_wire(one) for one in kept]).decode()
        over = len(text.encode()) - most
        if over <= 0:
            return text
        longest = max(range(len(kept)), key=lambda number: _weight(kept[number]))
        if _weight(kept[longest]) > 0:
            kept[longest] = _shorter(kept[longest])
        else:
            kept.pop()


def _weight(reading: Reading) -> int:
    return max(len(reading.text), len(reading.errors))


def _shorter(reading: Reading) -> Reading:
    """By half, of the longer text."""
    if len(reading.text) >= len(reading.errors):
        return replace(reading, text=reading.text[: len(reading.text) // 2], cut=True)
    return replace(reading, errors=reading.errors[: len(reading.errors) // 2], cut=True)


def _scrubbed(reading: Reading) -> Reading:
    return replace(
        reading,
        source=_clean(reading.source),
        text=_clean(reading.text),
        errors=_clean(reading.errors),
        facts={name: _clean(text) for name, text in reading.facts.items()},
    )


def _clean(text: str) -> str:
    return scrubbed(as_text(text))
