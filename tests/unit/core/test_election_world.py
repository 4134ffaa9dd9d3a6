"""Two masters over a simulated store: requests and answers are late or lost, masters are paused, clocks run and stand apart."""

from __future__ import annotations

import heapq
import itertools
import random
from typing import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.core import election
from hullmark.core.election import Phase, Saw, Sight, Timing

TIMING = Timing(ttl_s=3.0)
NAMES = ("m1", "m2")
QUIET_S = 30.0


class World:
    """`trouble`: how likely an answer is lost, a request late or a master paused, from 0 to 1."""

    def __init__(self, seed: int, trouble: float) -> None:
        self.chance = random.Random(seed)
        self.trouble = trouble
        self.now = 0.0
        self.queue: list[tuple[float, int, Callable[[], None]]] = []
        self.order = itertools.count()
        self.revision = 1
        self.record = ("", 0, 0)  # master, term, revision
        self.pulse = 0
        self.terms: list[int] = []
        self.commits: list[tuple[str, int]] = []
        self.masters = {name: Master(self, name) for name in NAMES}

    def later(self, delay_s: float, work: Callable[[], None]) -> None:
        heapq.heappush(self.queue, (self.now + delay_s, next(self.order), work))

    def delay_s(self) -> float:
        late = self.chance.random() < self.trouble
        return self.chance.uniform(0.0, 6.0 if late else 0.05)

    def ask(self, request: Callable[[], Callable[[], None]], lost: Callable[[], None]) -> None:
        """Over the wire and back: the request may never come, and its answer neither; `lost` is what a time-out tells."""

        def arrive() -> None:
            answer = request()
            if self.chance.random() >= self.trouble:
                self.later(self.delay_s(), answer)

        if self.chance.random() >= self.trouble / 2:
            self.later(self.delay_s(), arrive)
        self.later(4.0, lost)

    def run(self, until: float) -> None:
        while self.queue and self.queue[0][0] <= until:
            self.now, _, work = heapq.heappop(self.queue)
            work()
            self.check()

    def check(self) -> None:
        believers = [one for one in self.masters.values() if one.believes()]
        assert len(believers) <= 1, f"two lead at {self.now}: {[one.name for one in believers]}"


class Master:
    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.offset = world.chance.uniform(-1e6, 1e6)
        self.rate = world.chance.uniform(0.97, 1.03)
        self.paused_until = 0.0
        self.ours: set[int] = set()
        self.state = election.begin(TIMING, self.clock())
        world.later(0.0, self.tick)
        world.later(0.0, self.look)

    def clock(self) -> float:
        return self.world.now * self.rate + self.offset

    def believes(self) -> bool:
        return self.state.phase is Phase.LEADING and self.clock() < self.state.until

    def tick(self) -> None:
        chance, world = self.world.chance, self.world
        if world.now >= self.paused_until:
            self.feed(election.Ticked())
            if chance.random() < world.trouble / 20:
                self.paused_until = world.now + chance.uniform(0.0, 12.0)
        world.later(0.1, self.tick)

    def feed(self, observation: election.Observation) -> None:
        world = self.world
        if world.now < self.paused_until:  # it waits in the socket until this process runs again
            world.later(self.paused_until - world.now, lambda: self.feed(observation))
            return
        self.state, actions = election.step(self.state, observation, self.clock())
        for action in actions:
            if isinstance(action, election.Take):
                self.take(action)
            elif isinstance(action, election.Pulse):
                self.send_pulse(action.number)

    def look(self) -> None:
        """Again and again, as a watch would."""

        def read() -> Callable[[], None]:
            master, _, at = self.world.record
            sight = Sight(master, at, self.world.pulse, at in self.ours)
            return lambda: self.feed(Saw(sight))

        self.world.ask(read, lambda: None)
        self.world.later(0.2, self.look)

    def take(self, action: election.Take) -> None:
        world = self.world

        def commit() -> Callable[[], None]:
            if (world.record[2], world.pulse) != (action.record, action.pulse):
                return lambda: self.feed(election.NotTaken(action.number, "faster"))
            world.revision += 1
            term = world.record[1] + 1
            world.record, world.pulse = (self.name, term, world.revision), world.revision
            world.terms.append(term)
            self.ours.add(world.revision)
            at = world.revision
            return lambda: self.feed(election.Took(action.number, at))

        world.ask(commit, lambda: self.feed(election.NotTaken(action.number, "unknown")))

    def send_pulse(self, number: int) -> None:
        world, own = self.world, self.state.record

        def commit() -> Callable[[], None]:
            if world.record[2] != own:
                return lambda: self.feed(election.Overtaken("another leads"))
            world.revision += 1
            world.pulse = world.revision
            world.commits.append((self.name, world.record[1]))
            return lambda: self.feed(election.Pulsed(number))

        world.ask(commit, lambda: self.feed(election.NotPulsed(number, "unknown")))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1 << 32), trouble=st.floats(0.0, 0.5))
def test_two_never_lead_and_one_does_once_trouble_is_over(seed: int, trouble: float) -> None:
    world = World(seed, trouble)
    world.run(60.0)
    world.trouble = 0.0
    world.run(60.0 + QUIET_S)
    assert any(one.believes() for one in world.masters.values())
    assert world.terms == sorted(set(world.terms)), "no term is used twice"
    leaders: dict[int, str] = {}
    for name, term in world.commits:
        assert leaders.setdefault(term, name) == name, "one leader commits in a term"


def test_a_quiet_world_keeps_its_leader() -> None:
    world = World(7, 0.0)
    world.run(120.0)
    assert world.terms == [1]
