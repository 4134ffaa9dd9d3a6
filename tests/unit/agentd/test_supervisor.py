"""The supervisor: loops that fail are started again, and all end when told."""

from __future__ import annotations

import threading
from typing import Optional

from hullmark.agentd.problems import Problems
from hullmark.agentd.supervisor import Supervisor

PATIENCE_S = 5.0


class Impatient(threading.Event):
    """Waits for nothing, and keeps how long it was asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: Optional[float] = None) -> bool:
        self.waits.append(timeout or 0.0)
        return self.is_set()


def test_all_loops_run_at_the_same_time_and_end_when_told() -> None:
    together = threading.Barrier(3)

    def loop(stopping: threading.Event) -> None:
        together.wait(PATIENCE_S)
        stopping.wait(PATIENCE_S)

    supervisor = Supervisor({"a": loop, "b": loop}, Problems())
    supervisor.start()
    together.wait(PATIENCE_S)
    assert supervisor.stop(lambda: None, PATIENCE_S)


def test_a_loop_that_fails_is_started_again_with_growing_waits_and_shown() -> None:
    problems = Problems()
    tries: list[int] = []
    shown: list[str] = []
    well = threading.Event()

    def loop(stopping: threading.Event) -> None:
        tries.append(1)
        if len(tries) <= 8:
            raise ZeroDivisionError("nobody foresaw this")
        shown.extend(problem.code for problem in problems.all())
        well.set()
        stopping.wait(PATIENCE_S)

    supervisor = Supervisor({"frail": loop}, problems)
    impatient = Impatient()
    supervisor._stopping = impatient
    supervisor.start()
    assert well.wait(PATIENCE_S)
    assert shown == ["agent.fault.frail"]
    longest = (1, 2, 4, 8, 16, 32, 60, 60)
    assert all(most / 2 <= wait <= most for wait, most in zip(impatient.waits, longest))
    assert len(impatient.waits) >= len(longest)
    assert supervisor.stop(lambda: None, PATIENCE_S)
    assert problems.all() == ()


def test_a_fault_of_one_does_not_touch_the_others() -> None:
    fine = threading.Event()

    def frail(stopping: threading.Event) -> None:
        raise KeyError("x")

    def sound(stopping: threading.Event) -> None:
        fine.set()
        stopping.wait(PATIENCE_S)

    problems = Problems()
    supervisor = Supervisor({"frail": frail, "sound": sound}, problems)
    supervisor.start()
    assert fine.wait(PATIENCE_S)
    assert supervisor.stop(lambda: None, PATIENCE_S)


def test_a_loop_that_never_ends_is_not_waited_for_longer_than_said() -> None:
    deaf = threading.Event()

    def loop(stopping: threading.Event) -> None:
        deaf.wait(PATIENCE_S)

    supervisor = Supervisor({"deaf": loop}, Problems())
    supervisor.start()
    assert not supervisor.stop(lambda: None, 0.01)
    deaf.set()
