"""One life of an agent speaks for a host: restarts and cuts are told from clones."""

from __future__ import annotations

import pytest

from hullmark.errors import Forbidden
from hullmark.masterd.lines import Line
from hullmark.masterd.runs import Alarm, Runs, cloned

HOLD_S = 4.0


class World:
    def __init__(self) -> None:
        self.now = 100.0
        self.told: list[tuple[str, Alarm]] = []
        self.closed: set[str] = set()
        self.runs = Runs(
            lambda: self.now, lambda host_id, alarm: self.told.append((host_id, alarm))
        )
        self._lines: dict[str, Line] = {}

    def line(self, name: str) -> Line:
        """`ADDRESS:PORT`, one connection each."""
        address = name.partition(":")[0]
        made = Line(address, lambda: name not in self.closed)
        return self._lines.setdefault(name, made)

    def poll(self, run: str, line: str) -> None:
        self.runs.poll("h1", run, self.line(line), HOLD_S)

    def is_refused(self, run: str, line: str) -> bool:
        try:
            self.poll(run, line)
        except Forbidden as error:
            return "another agent with this host's certificate is connected" in error.message
        return False

    def speaks(self, run: str, line: str) -> bool:
        try:
            self.runs.speak("h1", run, self.line(line))
        except Forbidden:
            return False
        return True


def test_an_agent_that_restarts_is_taken_at_once() -> None:
    world = World()
    world.poll("one", "a:1")
    world.closed.add("a:1")
    world.poll("two", "a:2")
    assert world.speaks("two", "a:3")
    assert not world.told


def test_the_first_word_of_a_restarted_agent_may_be_a_report() -> None:
    world = World()
    world.poll("one", "a:1")
    world.closed.add("a:1")
    assert world.speaks("two", "a:2")
    world.poll("two", "a:3")
    assert not world.told


def test_an_agent_that_only_reported_to_a_new_leader_may_restart() -> None:
    world = World()
    assert world.speaks("one", "a:1")
    assert world.is_refused("two", "a:2"), "it is there, and may be a clone"
    assert world.told == [("h1", Alarm("a", "a"))]

    world = World()
    assert world.speaks("one", "a:1")
    world.closed.add("a:1")
    world.poll("two", "a:2")
    assert world.speaks("two", "a:2")
    assert not world.told


def test_a_half_open_connection_is_given_up_after_its_hold() -> None:
    world = World()
    world.poll("one", "a:1")
    world.now += HOLD_S + 1.9
    assert world.is_refused("two", "a:2")
    world.now += 0.2
    world.poll("two", "a:2")
    assert world.is_refused("one", "a:1"), "what was given up is beside the one that stands now"


def test_the_agent_that_stands_stays_and_the_clone_is_told_once() -> None:
    world = World()
    world.poll("one", "a:1")
    for _ in range(20):
        world.now += 3.0
        world.poll("one", "a:1")
        assert world.is_refused("clone", "b:1")
        assert not world.speaks("clone", "b:2"), "its reports don't count either"
        assert world.speaks("one", "a:2")
    assert world.told == [("h1", Alarm("a", "b"))]
    problem = cloned(world.told[0][1])
    assert (problem.code, bool(problem.remedy)) == ("host.cloned", True)


def test_an_alarm_ends_a_minute_after_the_last_refused_call() -> None:
    world = World()
    world.poll("one", "a:1")
    assert world.is_refused("clone", "b:1")
    world.now += 3.0
    world.poll("one", "a:1")
    assert world.is_refused("clone", "b:1")
    world.now += 59.0
    assert world.runs.alarms() == {"h1": Alarm("a", "b")}
    world.now += 1.1
    assert world.runs.alarms() == {}
    world.poll("one", "a:1")
    assert world.is_refused("clone", "b:1")
    assert len(world.told) == 2, "it is told anew"


def test_the_clone_takes_over_once_the_other_one_is_gone() -> None:
    world = World()
    world.poll("one", "a:1")
    assert world.is_refused("clone", "b:1")
    world.closed.add("a:1")
    world.poll("clone", "b:1")
    assert world.is_refused("three", "a:2")


def test_a_copied_memory_has_the_same_run_and_is_found_when_both_go_on() -> None:
    world = World()
    world.poll("one", "a:1")
    world.now += 3.0
    world.poll("one", "b:1")
    assert not world.told, "so far it may be a connection that was made anew"
    world.now += 3.0
    world.poll("one", "a:1")
    assert world.told == [("h1", Alarm("a", "b"))]
    assert world.is_refused("one", "b:1")
    assert not world.speaks("one", "b:2"), "of its reports the address tells whose they are"
    assert world.speaks("one", "a:2")
    assert not world.speaks("", "b:3"), "and of its requests for orders"
    assert world.speaks("", "a:3")


def test_a_connection_that_is_made_anew_is_no_clone() -> None:
    world = World()
    for number in range(100):
        world.poll("one", f"a:{number}")
        world.now += 1.0
        world.closed.add(f"a:{number}")
    assert not world.told


def test_what_was_refused_by_mistake_is_taken_when_the_other_line_is_gone() -> None:
    world = World()
    world.poll("one", "a:1")
    world.poll("one", "a:2")
    world.poll("one", "a:1")
    assert world.is_refused("one", "a:2")
    world.closed.add("a:1")
    world.poll("one", "a:2")


def test_a_removed_host_is_forgotten() -> None:
    world = World()
    world.poll("one", "a:1")
    assert world.is_refused("clone", "b:1")
    world.runs.forget("h1")
    assert world.runs.alarms() == {}
    world.poll("clone", "b:1")


@pytest.mark.parametrize("hold_s", [-5.0, 1e12])
def test_a_hold_that_is_none(hold_s: float) -> None:
    world = World()
    world.runs.poll("h1", "one", world.line("a:1"), hold_s)
    world.now += 63.0
    world.poll("two", "a:2")
