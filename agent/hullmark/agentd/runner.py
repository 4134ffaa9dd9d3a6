"""When which check looks: what is due is begun where there is room, what hangs is given up, and what costs too much is made rarer."""

from __future__ import annotations

import queue
import resource
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Callable, Optional

from hullmark import log
from hullmark.agentd.hearing import boot_clock
from hullmark.agentd.lanes import QUICK, RARE, STEADY, Lanes
from hullmark.agentd.looking import Key, Looked, Task
from hullmark.core import timetable
from hullmark.model.control import Finding, Reading, Status

_log = log.get("controls")

GRACE_S = 5.0
"""A look that takes so much longer than its timeout hangs: its eye has given up long before."""
CLOSE_S = 1.5
WINDOW_S = 60.0
WINDOWS_LEAST, WINDOWS_MOST = 5, 60
"""How often it is looked what checks cost, and over how many of these times that is told: what is looked at once a day, or at the start, is
no reason to look less often at the rest."""

Look = Callable[[Task, tuple[Reading, ...]], Looked]


@dataclass
class _Turn:
    """A check's place in the timetable. `status` is what it found last, `future` is of the look under way, `began` when that was."""

    task: Task
    due: float
    status: Optional[Status] = None
    before: tuple[Reading, ...] = ()
    future: Optional[Future[Looked]] = None
    began: float = 0.0


@dataclass(frozen=True)
class _Ended:
    turn: _Turn
    future: Future[Looked]


class Runner:
    """One thread's, but for `hurry` and `wake`. `host` keeps hosts out of step. `budget` is a part of one core."""

    def __init__(
        self,
        host: str,
        look: Look,
        *,
        budget: Callable[[], float],
        lanes: Optional[Lanes] = None,
        clock: Callable[[], float] = boot_clock,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._host = host
        self._look = look
        self._budget = budget
        self._lanes = lanes or Lanes()
        self._clock = clock
        self._wall = wall
        self._turns: dict[Key, _Turn] = {}
        self._former: list[_Turn] = []
        """Of checks that were changed or taken away while they looked: they may hang too."""
        self._ended: queue.SimpleQueue[Optional[_Ended]] = queue.SimpleQueue()
        self._lost: set[Future[Looked]] = set()
        self._hurried: set[str] = set()
        self._faulty: set[Key] = set()
        self._cost = _Cost(clock)
        self.stretch = 1.0
        self.used = (0.0, 0.0)
        """Parts of one core: what can't be made rarer, and the rest."""

    def define(self, tasks: Iterable[Task]) -> None:
        """These checks from now on; those that were there before, unchanged, stay in their step."""
        now, known = self._clock(), self._turns
        self._turns = {}
        for task in tasks:
            before = known.get(task.key)
            if before is not None and before.task.check == task.check:
                before.task = task
                self._turns[task.key] = before
            else:
                due = timetable.first_due(self._named(task), task.check.interval_s, now)
                self._turns[task.key] = _Turn(task, due)
        kept = {id(turn) for turn in self._turns.values()}
        gone = [turn for turn in known.values() if id(turn) not in kept]
        self._former = [one for one in (*self._former, *gone) if one.future is not None]

    def _named(self, task: Task) -> str:
        return "/".join((self._host, *task.key))

    def hurry(self, kind: str) -> None:
        """Something happened that checks of this kind look for: they are due now. By any thread."""
        self._hurried.add(kind)
        self.wake()

    def wake(self) -> None:
        """By any thread: `finished` returns."""
        self._ended.put(None)

    def begin(self) -> None:
        """What is due, where there is room."""
        now = self._clock()
        hurried, self._hurried = self._hurried, set()
        for turn in sorted(self._turns.values(), key=lambda one: one.due):
            if turn.task.check.kind in hurried:
                turn.due = min(turn.due, now)
            if turn.due <= now and turn.future is None:
                self._begin(turn, now)

    def _begin(self, turn: _Turn, now: float) -> None:
        lane = lane_of(turn.task)
        if not self._lanes.has_room(lane):
            return
        interval_s = timetable.interval_now(turn.task.check.interval_s, self.stretch)
        turn.due, turn.began = timetable.next_due(turn.due, interval_s, now), now
        task, before = turn.task, turn.before
        future = self._lanes.begin(lane, lambda: self._look(task, before))
        turn.future = future
        future.add_done_callback(lambda one: self._ended.put(_Ended(turn, one)))

    def wait_s(self, most_s: float) -> float:
        """Until something is due, or hangs; at most `most_s`."""
        now = self._clock()
        times = [
            turn.due if turn.future is None else _hangs_at(turn) for turn in self._turns.values()
        ]
        return max(0.0, min([most_s, *(at - now for at in times if at > now)]))

    def finished(self, wait_s: float) -> list[tuple[Task, Looked]]:
        """What came to its end by now, waiting for the first; what was given up is a result too."""
        found: list[tuple[Task, Looked]] = []
        with suppress(queue.Empty):
            ended = self._ended.get(timeout=wait_s) if wait_s > 0 else self._ended.get_nowait()
            while True:
                found += self._result(ended)
                ended = self._ended.get_nowait()
        return [*found, *self._hanging()]

    def _result(self, ended: Optional[_Ended]) -> Iterator[tuple[Task, Looked]]:
        if ended is None:
            return
        turn, future = ended.turn, ended.future
        lane = lane_of(turn.task)
        if future in self._lost:
            self._lost.discard(future)
            self._lanes.ended(lane, was_lost=True)
            turn.future = None
            return
        self._lanes.ended(lane, was_lost=False)
        turn.future = None
        looked = self._outcome(turn, future)
        turn.before = looked.readings
        status = looked.finding.status
        turn.due = timetable.confirmed_by(turn.due, turn.status, status, self._clock())
        turn.status = status
        self._cost.add(lane, looked.cpu_s)
        if self._turns.get(turn.task.key) is turn:
            yield turn.task, looked

    def _outcome(self, turn: _Turn, future: Future[Looked]) -> Looked:
        fault = future.exception()
        if fault is None:
            self._faulty.discard(turn.task.key)
            return future.result()
        said = f"{type(fault).__name__}: {fault}"
        if turn.task.key not in self._faulty:
            self._faulty.add(turn.task.key)
            check = "/".join(turn.task.key)
            _log.error("a check failed by a fault of its own", check=check, what=said)
        return self._told(turn, f"the check itself failed, which is a fault of Hullmark's: {said}")

    def _hanging(self) -> Iterator[tuple[Task, Looked]]:
        """A look that is given up counts as an error, and what it may still find is not heard."""
        now = self._clock()
        for turn in (*self._turns.values(), *self._former):
            future = turn.future
            if future is None or future in self._lost or now < _hangs_at(turn):
                continue
            if future.done():
                continue
            self._lost.add(future)
            self._lanes.give_up(lane_of(turn.task))
            if self._turns.get(turn.task.key) is turn:
                yield turn.task, self._told(turn, "the look hangs, long after its timeout")

    def _told(self, turn: _Turn, reason: str) -> Looked:
        took_s = self._clock() - turn.began
        return Looked(Finding(Status.ERROR, reason=reason), (), self._wall() - took_s, took_s)

    def reckon(self) -> None:
        """Make checks rarer, or less rare, by what they cost of late."""
        found = self._cost.look()
        if found is None:
            return
        fixed, slow = self.used = found
        left = timetable.left_of(self._budget(), fixed)
        before, self.stretch = self.stretch, timetable.stretch(self.stretch, slow, left)
        if self.stretch != before:
            self._cost.forget()
            used = f"{fixed + slow:.4f}"
            _log.info("how rare checks are made", times=f"{self.stretch:.1f}", cores=used)

    def close(self) -> None:
        """Once looks were told to end: their programs are ended with them, which takes a moment."""
        self._lanes.close()
        under_way = [turn.future for turn in list(self._turns.values()) if turn.future is not None]
        wait([one for one in under_way if one not in self._lost], CLOSE_S)


def lane_of(task: Task) -> str:
    if timetable.is_quick(task.check.interval_s):
        return QUICK
    return STEADY if task.check.interval_s <= timetable.RARE_S else RARE


def _hangs_at(turn: _Turn) -> float:
    return turn.began + turn.task.check.timeout_s + GRACE_S


class _Cost:
    """What checks use of the processor: the threads that look, the programs that they ran, and the thread that asks this. Programs
    that other parts of the agent ran are counted too: those are few."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows: deque[tuple[float, float, float]] = deque(maxlen=WINDOWS_MOST)
        self._threads_s = {True: 0.0, False: 0.0}
        self._since = clock()
        self._own_s, self._programs_s = time.thread_time(), _programs_s()

    def add(self, lane: str, cpu_s: float) -> None:
        self._threads_s[lane == QUICK] += cpu_s

    def look(self) -> Optional[tuple[float, float]]:
        """Of one core, what can't be made rarer and the rest, over the last hour at most; None where no window is over, or too few
        are to tell."""
        now = self._clock()
        if now - self._since < WINDOW_S:
            return None
        own_s, programs_s = time.thread_time(), _programs_s()
        fixed_s = self._threads_s[True] + own_s - self._own_s
        slow_s = self._threads_s[False] + programs_s - self._programs_s
        self._windows.append((now - self._since, max(0.0, fixed_s), max(0.0, slow_s)))
        self._threads_s = {True: 0.0, False: 0.0}
        self._since, self._own_s, self._programs_s = now, own_s, programs_s
        if len(self._windows) < WINDOWS_LEAST:
            return None
        whole_s, fixed_s, slow_s = (sum(each) for each in zip(*self._windows))
        return fixed_s / whole_s, slow_s / whole_s

    def forget(self) -> None:
        """What was before tells nothing of what is from now on."""
        self._windows.clear()


def _programs_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
