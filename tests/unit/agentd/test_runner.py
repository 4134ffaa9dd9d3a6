"""When checks look, what becomes of those that hang or fail by a fault of their own, and of checks that cost too much."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from hullmark.agentd import lanes as lanes_module
from hullmark.agentd import runner as runner_module
from hullmark.agentd.lanes import QUICK, RARE, STEADY, Lanes, Work
from hullmark.agentd.looking import Looked, Task
from hullmark.agentd.runner import GRACE_S, WINDOW_S, Runner, lane_of
from hullmark.core.timetable import CONFIRMED_S
from hullmark.model.control import CheckSpec, Finding, Reading, Status

PASSED = Finding(Status.PASS, 1)


class ByHand(Lanes):
    """Looks that end when the test says so."""

    def __init__(self, places: int = 2) -> None:
        self.begun: list[tuple[str, Work, Future[Looked]]] = []
        self.free = {QUICK: places, STEADY: places, RARE: places}
        self.lost: list[str] = []

    def has_room(self, lane: str) -> bool:
        return self.free[lane] > 0

    def begin(self, lane: str, work: Work) -> Future[Looked]:
        self.free[lane] -= 1
        future: Future[Looked] = Future()
        self.begun.append((lane, work, future))
        return future

    def ended(self, lane: str, *, was_lost: bool) -> None:
        self.free[lane] += 0 if was_lost else 1

    def give_up(self, lane: str) -> None:
        self.lost.append(lane)
        self.free[lane] += 1

    def close(self) -> None:
        """Nothing runs."""

    def finish(self) -> None:
        """All that was begun."""
        for _, work, future in self.begun:
            if not future.done():
                try:
                    future.set_result(work())
                except ValueError as error:
                    future.set_exception(error)


def task(name: str, interval_s: float = 10.0, kind: str = "process") -> Task:
    return Task(name, CheckSpec("one", kind, 1, interval_s, 5.0))


class World:
    def __init__(self, places: int = 2) -> None:
        self.now = 0.0
        self.lanes = ByHand(places)
        self.looks: list[tuple[str, float]] = []
        self.befores: list[tuple[Reading, ...]] = []
        self.fault: str = ""
        self.finding = PASSED
        self.cpu_s = 0.0
        self.runner = Runner(
            "web1",
            self.look,
            budget=lambda: 0.01,
            lanes=self.lanes,
            clock=lambda: self.now,
            wall=lambda: 1e9 + self.now,
        )

    def look(self, task: Task, before: tuple[Reading, ...]) -> Looked:
        if self.fault:
            raise ValueError(self.fault)
        self.looks.append((task.control_id, self.now))
        self.befores.append(before)
        readings = (Reading("seen", str(len(self.looks))),)
        return Looked(self.finding, readings, 1e9 + self.now, 0.0, self.cpu_s)

    def go(self, seconds: float, *, ending: bool = True) -> list[tuple[Task, Looked]]:
        """In steps of half a second."""
        found = []
        for _ in range(int(seconds * 2)):
            self.runner.begin()
            if ending:
                self.lanes.finish()
            found += self.runner.finished(0.0)
            self.now += 0.5
        return found


def test_each_check_is_looked_at_once_in_its_interval_and_knows_what_it_saw_before() -> None:
    world = World()
    world.runner.define([task("a"), task("b", 30.0)])
    world.go(120.0)
    times = {name: [at for of, at in world.looks if of == name] for name in "ab"}
    assert len(times["a"]) == 12
    assert len(times["b"]) == 4
    steps = {later - before for before, later in zip(times["a"], times["a"][1:])}
    assert steps == {10.0}
    assert world.befores[0] == ()
    assert sum(not before for before in world.befores) == 2, "of each the first look"


def test_one_that_passes_again_is_soon_looked_at_a_second_time() -> None:
    """An outage ends by two passes."""
    world = World()
    world.runner.define([task("a", 3600.0)])
    world.finding = Finding(Status.FAIL, reason="dead")
    world.go(3700.0)
    world.finding = PASSED
    world.go(7200.0)
    *_, failed, passed, confirmed, later = [at for _, at in world.looks]
    assert confirmed - passed == CONFIRMED_S
    assert (passed - failed, later - confirmed) == (3600.0, 3600.0)


def test_a_check_is_not_begun_again_while_it_looks_and_full_lanes_wait() -> None:
    world = World(places=1)
    world.runner.define([task("a"), task("b"), task("c", 60.0)])
    world.go(9.0, ending=False)
    assert [lane for lane, _, _ in world.lanes.begun].count(QUICK) == 1
    world.go(20.0)
    assert {lane for lane, _, _ in world.lanes.begun} == {QUICK, STEADY}
    world.lanes.finish()
    world.go(5.0)
    assert {name for name, _ in world.looks} == {"a", "b", "c"}


def test_one_that_hangs_is_an_error_makes_room_and_is_not_heard_later() -> None:
    world = World(places=1)
    world.runner.define([task("a")])
    found = world.go(5.0 + GRACE_S + 5.5, ending=False)
    ((of, looked),) = found
    assert (of.control_id, looked.finding.status) == ("a", Status.ERROR)
    assert "hangs" in looked.finding.reason
    assert world.lanes.lost == [QUICK]
    assert world.go(30.0, ending=False) == [], "told once, and not begun a second time"
    world.lanes.finish()
    assert world.runner.finished(0.0) == []
    ((of, looked), *_) = world.go(11.0)
    assert looked.finding == PASSED


def test_a_fault_of_a_probe_is_an_error_of_its_check(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.fault = "no such key"
    world.runner.define([task("a")])
    found = world.go(25.0)
    assert {looked.finding.status for _, looked in found} == {Status.ERROR}
    assert "ValueError: no such key" in found[0][1].finding.reason
    told = [one for one in caplog.records if "fault of its own" in one.message]
    assert len(told) == 1, "said once"
    world.fault = ""
    assert world.go(10.0)[-1][1].finding == PASSED


def test_one_that_hangs_and_was_changed_meanwhile_makes_room_too() -> None:
    world = World(places=1)
    world.runner.define([task("a")])
    world.go(6.0, ending=False)
    world.runner.define([task("a", 20.0)])
    world.go(5.0 + GRACE_S + 1.0, ending=False)
    assert world.lanes.lost == [QUICK]
    assert world.lanes.free[QUICK] == 1, "else nothing of this lane was ever looked at again"


def test_a_check_that_was_changed_or_taken_away_is_not_heard_any_more() -> None:
    world = World()
    world.runner.define([task("a"), task("b")])
    world.go(6.0, ending=False)
    assert len(world.lanes.begun) == 2
    world.runner.define([task("a", 20.0)])
    world.lanes.finish()
    assert world.runner.finished(0.0) == []
    assert {of.check.interval_s for of, _ in world.go(20.0)} == {20.0}


def test_what_was_hurried_is_due_at_once() -> None:
    world = World()
    world.runner.define([task("a", 3600.0, "watch"), task("b", 3600.0)])
    world.go(100.0)
    world.runner.hurry("watch")
    assert [of.control_id for of, _ in world.go(0.5)] == ["a"]


def test_checks_that_cost_too_much_are_made_rarer_but_for_quick_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What this process and its other tests' programs use of a real processor is nothing here.
    monkeypatch.setattr(runner_module, "_programs_s", float)
    monkeypatch.setattr("hullmark.agentd.runner.time.thread_time", float)
    world = World()
    world.runner.define([task("quick"), task("slow", 30.0)])
    world.cpu_s = 0.3
    for number in range(5):
        assert world.runner.stretch == 1.0, "a few minutes tell nothing"
        world.go(WINDOW_S)
        world.runner.reckon()
        assert (number < 4) == (world.runner.stretch == 1.0)
    fixed, slow = world.runner.used
    assert 0.03 <= fixed < 0.04, "six looks in a minute"
    assert 0.01 <= slow < 0.02
    assert 2.0 <= world.runner.stretch <= 4.0, "half of the budget is the slow ones' in any case"
    world.looks.clear()
    world.go(600.0)
    seen = [name for name, _ in world.looks]
    assert seen.count("quick") == 60
    assert 5 <= seen.count("slow") <= 12, "without it there were twenty"
    world.cpu_s = 0.0
    for _ in range(60):
        world.now += WINDOW_S
        world.runner.reckon()
    assert world.runner.stretch == 1.0


def test_lanes_by_how_often() -> None:
    assert [lane_of(task("a", each)) for each in (10.0, 60.0, 3600.0)] == [QUICK, STEADY, RARE]


def test_a_thread_that_hangs_is_replaced_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "LOST_MOST", 1)
    goes_on = threading.Event()
    looked = Looked(PASSED, (), 0.0, 0.0)

    def hang() -> Looked:
        goes_on.wait(10.0)
        return looked

    made = Lanes({QUICK: 1})
    try:
        first = made.begin(QUICK, hang)
        assert not made.has_room(QUICK)
        made.give_up(QUICK)
        assert made.has_room(QUICK)
        assert made.begin(QUICK, lambda: looked).result(5.0) == looked
        made.ended(QUICK, was_lost=False)
        second = made.begin(QUICK, hang)
        made.give_up(QUICK)
        assert not made.has_room(QUICK), "another one would be one too many"
        goes_on.set()
        assert (first.result(5.0), second.result(5.0)) == (looked, looked)
        made.ended(QUICK, was_lost=True)
        assert made.has_room(QUICK)
    finally:
        goes_on.set()
        made.close()


def test_waiting_ends_when_something_is_due() -> None:
    world = World()
    assert world.runner.wait_s(1.0) == 1.0
    world.runner.define([task("a")])
    assert 0 < world.runner.wait_s(100.0) <= 5.0
    assert runner_module.GRACE_S > 0
