"""Which of the agent's loops counts as dead."""

from __future__ import annotations

import threading

from hullmark.agentd import pulse
from hullmark.agentd.engine_at_hand import EngineAtHand
from hullmark.agentd.problems import Problems
from hullmark.agentd.pulse import SLACK_S, Pulse
from hullmark.agentd.supervisor import Supervisor
from tests.unit.agentd.test_daemon import PATIENCE_S, until


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_loop_is_dead_when_it_does_not_come_back_as_it_said() -> None:
    clock = Clock()
    mine = Pulse("sync", clock)
    assert not mine.is_dead()
    mine.adopt()
    pulse.within(60)
    clock.now += 60 + SLACK_S
    assert not mine.is_dead()
    clock.now += 1
    assert mine.is_dead()
    pulse.within(0)
    assert not mine.is_dead()


def test_a_loop_that_rests_has_said_when_it_is_back_and_is_woken_by_its_end() -> None:
    clock, stopping = Clock(), threading.Event()
    mine = Pulse("heads", clock)
    mine.adopt()
    stopping.set()
    pulse.rest(stopping, 600.0)  # else this test would last as long
    clock.now += 600 + SLACK_S
    assert not mine.is_dead()
    clock.now += 1
    assert mine.is_dead()


def test_what_is_elsewhere_may_take_any_time_and_the_time_after_it_counts_anew() -> None:
    clock = Clock()
    mine = Pulse("reconcile", clock)
    mine.adopt()
    with pulse.elsewhere():
        clock.now += 100 * SLACK_S
        with pulse.elsewhere():
            pass
        assert not mine.is_dead()
    assert not mine.is_dead()
    clock.now += SLACK_S + 1
    assert mine.is_dead()


def test_a_loop_whose_thread_ended_is_dead_unless_it_should_have() -> None:
    for finished in (True, False):
        mine = Pulse("events")

        def loop(mine: Pulse = mine, finished: bool = finished) -> None:
            mine.adopt()
            if finished:
                mine.finish()

        thread = threading.Thread(target=loop)
        thread.start()
        thread.join()
        assert mine.is_dead() is not finished


def test_threads_that_are_no_loops_have_none() -> None:
    def work() -> None:
        pulse.within(1)
        with pulse.elsewhere():
            pass

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


class Hanging:
    """An engine that answers nothing until it is told to."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.answers = threading.Event()

    def info(self) -> None:
        self.asked.set()
        assert self.answers.wait(PATIENCE_S)

    def events(self):
        self.info()
        yield from ()


def test_a_hanging_engine_is_no_dead_loop_and_a_lock_never_given_back_is_one() -> None:
    clock, problems, engine = Clock(), Problems(), Hanging()
    at_hand = EngineAtHand(lambda: engine)  # type: ignore[arg-type,return-value]
    held, gone_on = threading.Lock(), threading.Event()

    def reconcile(stopping: threading.Event) -> None:
        at_hand.info()
        gone_on.set()
        with held:
            pulse.within(1e9)
        stopping.wait()

    def events(stopping: threading.Event) -> None:
        assert list(at_hand.events()) == []
        pulse.within(1e9)
        stopping.wait()

    supervisor = Supervisor({"reconcile": reconcile, "events": events}, problems, clock)
    with held:
        supervisor.start()
        assert engine.asked.wait(PATIENCE_S)
        clock.now += 100 * SLACK_S
        assert supervisor.is_sound()
        engine.answers.set()
        assert gone_on.wait(PATIENCE_S)
        assert supervisor.is_sound()
        clock.now += SLACK_S + 1
        assert not supervisor.is_sound()
        (problem,) = problems.all()
        assert problem.code == "agent.stuck.reconcile"
    until(supervisor.is_sound)
    assert problems.all() == ()
    assert supervisor.stop(lambda: None, PATIENCE_S)


def test_a_loop_that_fails_and_is_started_again_lives() -> None:
    def fails(_stopping: threading.Event) -> None:
        raise ValueError("unforeseen")

    problems = Problems()
    supervisor = Supervisor({"sync": fails}, problems)
    supervisor.start()
    until(problems.all)
    assert supervisor.is_sound()
    assert supervisor.stop(lambda: None, PATIENCE_S)
    assert supervisor.is_sound()
    assert problems.all() == (), "whoever comes next has loops of its own"
