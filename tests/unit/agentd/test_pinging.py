"""An engine that takes calls and answers none: told from one that is slow, and one that is away."""

from __future__ import annotations

import threading
from typing import Optional

import pytest

from hullmark.agentd.engine_at_hand import EngineAtHand
from hullmark.agentd.pinging import ANSWER_S, LATE_S, Pinging
from hullmark.agentd.problems import Problems
from hullmark.engine.boundary import EngineSilent
from hullmark.errors import EngineUnavailable, HullmarkError
from tests.unit.agentd.fakes import FakeEngine

SOCKET = "unix:///run/docker.sock"


class Pinged(FakeEngine):
    """`answers` is what each ping comes to, the last one for good."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Optional[HullmarkError]] = [None]
        self.timeouts: list[int] = []

    def ping(self, timeout_s: int) -> None:
        self.timeouts.append(timeout_s)
        error = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if error is not None:
            raise error


def silent() -> EngineSilent:
    error = EngineSilent("it does not answer: timed out")
    error.socket_url = SOCKET
    return error


class Bench:
    def __init__(self) -> None:
        self.engine = Pinged()
        self.at_hand = EngineAtHand(lambda: self.engine)
        self.problems = Problems()
        self.woken = 0
        self.pinging = Pinging(self.at_hand, self.problems, self._wake)

    def _wake(self) -> None:
        self.woken += 1

    @property
    def codes(self) -> list[str]:
        return [one.code for one in self.problems.all()]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_one_that_answers_neither_of_two_pings_hangs_and_its_calls_fail_at_once(
    bench: Bench,
) -> None:
    bench.engine.answers = [silent()]
    bench.pinging.look()
    (problem,) = bench.problems.all()
    assert problem.code == "engine.unavailable"
    assert problem.message == (
        f"the engine at {SOCKET} hangs: it is there, and answered nothing for 30 s"
    )
    assert problem.remedy.startswith(
        "restart it, unless it is only just being started or stopped: systemctl"
    )
    assert "live-restore" in problem.remedy
    assert bench.engine.timeouts == [ANSWER_S] * 2
    bench.engine.asked.clear()
    with pytest.raises(EngineSilent, match="hangs"):
        bench.at_hand.listed()
    assert bench.engine.asked == []


@pytest.mark.parametrize("second", [None, EngineUnavailable("connection refused")])
def test_one_slow_answer_or_one_that_goes_away_is_no_hang(
    bench: Bench, second: Optional[HullmarkError]
) -> None:
    bench.engine.answers = [silent(), second]
    bench.pinging.look()
    assert bench.codes == []
    assert bench.at_hand.listed() == []


def test_the_first_answer_ends_it_however_late(bench: Bench) -> None:
    bench.engine.answers = [silent()]
    bench.pinging.look()
    bench.pinging.look()
    assert (bench.engine.timeouts[2:], bench.at_hand.hangs, bench.woken) == ([LATE_S], True, 0)
    bench.engine.answers = [None]
    bench.pinging.look()
    assert bench.at_hand.listed() == []
    assert bench.woken == 1, "who uses the engine says that the problem is over"


def test_who_goes_on_without_it_asks_the_engine_itself(bench: Bench) -> None:
    bench.engine.answers = [silent()]
    bench.pinging.look()
    over = threading.Event()
    over.set()
    bench.pinging.run(over)
    assert bench.at_hand.listed() == []
