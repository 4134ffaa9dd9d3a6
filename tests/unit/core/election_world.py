"""Two electors over a simulated store: messages take time, get lost or come late, processes stand still, clocks run unevenly.

    world = World(seed, faults)
    world.run(60.0)
    assert not world.broken

A process is what `core.election` says, carried out in the simplest way: what it sends arrives later or never, and what the
store answers too. While it leads it writes, each write fenced by its leader record, and tells an agent its epoch. The world
watches from above, with the only clock that is right.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Callable, Optional

from hullmark.core import election
from hullmark.core.acceptance import Held, stale
from hullmark.core.election import Phase, Sight, State, Timing
from hullmark.model.epoch import Epoch

STEP_S = 0.04
TIMING = Timing()
ANSWER_S = 1.0
"""How long a process waits for the store."""


@dataclass(frozen=True)
class Fault:
    """From `begin` on, for `length` seconds: `process` stands still (`paused`), hears nothing from the store (`deaf`), reaches
    nothing in it (`mute`), everything takes long (`slow`), or is told to step down (`asked`)."""

    kind: str
    process: int
    begin: float
    length: float


@dataclass
class Store:
    """One leader record and one pulse, by compare-and-set."""

    revision: int = 0
    record: int = 0
    pulse: int = 0
    master: str = ""
    term: int = 0
    mark: tuple[int, int] = (-1, -1)
    writes: list[tuple[int, int, int]] = field(default_factory=list)
    """(revision, term, process) of each write that a leader was told is done, or might be."""


@dataclass
class Process:
    number: int
    rate: float
    offset: float
    state: State
    marks: set[tuple[int, int]] = field(default_factory=set)
    term: int = 0
    seen: Optional[Sight] = None
    tries: int = 0

    def clock(self, now: float) -> float:
        return self.offset + now * self.rate

    def believes(self, now: float) -> bool:
        """Whether it would act as a leader now, if it ran."""
        return self.state.phase is Phase.LEADING and self.clock(now) < self.state.until


class World:
    """`fenced` False: writes compare nothing, as a world to be found out."""

    def __init__(
        self,
        seed: int,
        faults: Sequence[Fault] = (),
        timing: Timing = TIMING,
        *,
        fenced: bool = True,
    ) -> None:
        self._chance = random.Random(seed)
        self._faults = faults
        self._fenced = fenced
        self.timing = timing
        self.store = Store()
        self.now = 0.0
        self.broken: list[str] = []
        self.led: list[tuple[float, int]] = []
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.agent = Held("c", "h")
        self.obeyed: list[Epoch] = []
        self.processes = [self._process(number) for number in range(2)]
        for one in self.processes:
            self._later(0.0, lambda one=one: self._look(one))  # type: ignore[misc]

    def _process(self, number: int) -> Process:
        rate, offset = self._chance.uniform(0.97, 1.03), self._chance.uniform(0, 1000)
        return Process(number, rate, offset, election.begin(self.timing, offset))

    def run(self, length_s: float) -> None:
        for fault in self._faults:
            if fault.kind == "asked":
                self._later(fault.begin, lambda f=fault: self._ask(f.process))  # type: ignore[misc]
        end = self.now + length_s
        while self.now < end:
            self.now += STEP_S
            while self._queue and self._queue[0][0] <= self.now:
                heapq.heappop(self._queue)[2]()
            for one in self.processes:
                self._turn(one)
            self._watch()

    def _later(self, delay_s: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now + delay_s, next(self._order), what))

    def _suffers(self, kind: str, one: Process) -> bool:
        return any(
            fault.kind == kind
            and fault.process == one.number
            and fault.begin <= self.now < fault.begin + fault.length
            for fault in self._faults
        )

    def _delay(self, one: Process) -> float:
        if self._suffers("slow", one):
            return self._chance.uniform(0.2, 2.5)
        return self._chance.expovariate(1 / 0.01)

    def _turn(self, one: Process) -> None:
        if self._suffers("paused", one):
            return
        if one.clock(self.now) >= one.state.wakes_at():
            self._feed(one, election.Ticked())
        if one.believes(self.now) and self._chance.random() < 0.2:
            self._write(one)
            self._tell(one)

    def _feed(self, one: Process, seen: election.Observation) -> None:
        one.state, actions = election.step(one.state, seen, one.clock(self.now))
        for action in actions:
            if isinstance(action, election.Look):
                self._look(one)
            elif isinstance(action, election.Take):
                self._take(one, action)
            elif isinstance(action, election.Pulse):
                self._pulse(one, action.number)
            elif action.give_back:
                self._give_back(one)

    def _hear(self, one: Process, seen: election.Observation) -> None:
        """An answer has arrived; a process that stands still takes it up when it runs again."""
        if self._suffers("paused", one):
            self._later(STEP_S, lambda: self._hear(one, seen))
        else:
            self._feed(one, seen)

    def _send(
        self,
        one: Process,
        at_store: Callable[[], election.Observation],
        unanswered: election.Observation,
    ) -> None:
        """To the store and back. Either way may fail, and then the process hears of it after its own patience."""
        answered = [False]

        def answer(seen: election.Observation) -> None:
            if not answered[0]:
                answered[0] = True
                self._hear(one, seen)

        def arrive() -> None:
            seen = at_store()
            if not self._suffers("deaf", one):
                self._later(self._delay(one), lambda: answer(seen))

        self._later(ANSWER_S / one.rate, lambda: answer(unanswered))
        if not self._suffers("mute", one):
            self._later(self._delay(one), arrive)

    def _look(self, one: Process) -> None:
        def read() -> election.Observation:
            return election.Saw(self._sight(one))

        def again() -> None:
            if one.state.sight is None and one.state.phase is Phase.STANDBY:
                self._look(one)

        self._send(one, read, election.Silent("no answer"))
        self._later(ANSWER_S * 1.5, again)

    def _sight(self, one: Process) -> Sight:
        store = self.store
        return Sight(store.master, store.record, store.pulse, store.mark in one.marks)

    def _take(self, one: Process, action: election.Take) -> None:
        one.tries += 1
        mark = (one.number, one.tries)
        one.marks.add(mark)

        def at_store() -> election.Observation:
            store = self.store
            if (store.record, store.pulse) != (action.record, action.pulse):
                return election.NotTaken(action.number, "another was faster")
            store.revision += 1
            store.record = store.pulse = store.revision
            store.term += 1
            store.master, store.mark = f"m{one.number}", mark
            terms[0] = store.term
            self._spread()
            return election.Took(action.number, store.revision)

        terms = [0]

        def answered() -> election.Observation:
            seen = at_store()
            one.term = terms[0] or one.term
            return seen

        self._send(one, answered, election.NotTaken(action.number, "no answer"))

    def _pulse(self, one: Process, number: int) -> None:
        record = one.state.record

        def at_store() -> election.Observation:
            if self.store.record != record:
                return election.Overtaken("another master leads since")
            self.store.revision += 1
            self.store.pulse = self.store.revision
            self._spread()
            return election.Pulsed(number)

        self._send(one, at_store, election.NotPulsed(number, "no answer"))

    def _give_back(self, one: Process) -> None:
        record = one.state.record

        def at_store() -> election.Observation:
            if self.store.record == record:
                self.store.revision += 1
                self.store.record, self.store.master = self.store.revision, ""
                self.store.mark = (-1, -1)
                self._spread()
            return election.Saw(self._sight(one))

        self._send(one, at_store, election.Silent("no answer"))

    def _spread(self) -> None:
        """The store's change, to whoever follows it."""
        for one in self.processes:
            sight = self._sight(one)
            if one.state.phase is Phase.STANDBY and not self._suffers("deaf", one):
                self._later(
                    self._delay(one),
                    lambda one=one, sight=sight: self._hear(one, self._newest(one, sight)),  # type: ignore[misc]
                )

    def _newest(self, one: Process, sight: Sight) -> election.Saw:
        """Changes come in order: a later one that was seen is not taken back."""
        if one.seen is None or (sight.record, sight.pulse) >= (one.seen.record, one.seen.pulse):
            one.seen = sight
        return election.Saw(one.seen)

    def _write(self, one: Process) -> None:
        """What any change of a leader is: sent while it leads, and in the store at a time of its own."""
        record, term = one.state.record, one.term

        def arrive() -> None:
            if self._fenced and self.store.record != record:
                return
            self.store.revision += 1
            self.store.writes.append((self.store.revision, term, one.number))

        self._later(self._delay(one), arrive)

    def _tell(self, one: Process) -> None:
        """An order of this leader's reaches the agent at a time of its own, also after others have led."""
        epoch, leader = Epoch(1, one.term), f"m{one.number}"

        def arrive() -> None:
            if not stale(self.agent, epoch, leader):
                self.agent = replace(self.agent, epoch=epoch, leader=leader)
                self.obeyed.append(epoch)

        self._later(self._chance.choice([0.01, 0.1, 4.0]), arrive)

    def _ask(self, number: int) -> None:
        """Only who leads is asked to hand over."""
        one = self.processes[number]
        if one.believes(self.now) and not self._suffers("paused", one):
            self._feed(one, election.Resigned("an operator asked"))

    def _watch(self) -> None:
        """What must hold at every moment."""
        leaders = [one.number for one in self.processes if one.believes(self.now)]
        if len(leaders) > 1:
            self.broken.append(f"{self.now:.2f}: both believe that they lead")
        self.led += [(self.now, number) for number in leaders]
        terms = [term for _, term, _ in self.store.writes[-2:]]
        if terms != sorted(terms):
            self.broken.append(
                f"{self.now:.2f}: a write of term {terms[1]} after one of {terms[0]}"
            )
        if self.obeyed[-2:] != sorted(self.obeyed[-2:]):
            self.broken.append(f"{self.now:.2f}: the agent obeyed a lower epoch")

    def longest_gap_s(self, since: float) -> float:
        """The longest time without any leader from then to now."""
        moments = [since, *(at for at, _ in self.led if at >= since), self.now]
        return max((b - a for a, b in zip(moments, moments[1:])), default=math.inf)
