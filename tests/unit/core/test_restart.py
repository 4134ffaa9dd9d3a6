from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.core.found import Found, FoundState
from hullmark.core.restart import (
    MAX_DELAY_S,
    Attempt,
    Verdict,
    after_end,
    after_error,
    delay_s,
    end_of,
    judge,
    why_waiting,
)
from hullmark.model.app import ContainerSpec, Restart, RestartCondition
from hullmark.model.orders import InstanceId

INSTANCE = InstanceId("shop", "web", 1, 1)
ANY, ON_FAILURE, NONE = RestartCondition.ANY, RestartCondition.ON_FAILURE, RestartCondition.NONE


def found(exit_code: int, ran_s: float = 1.0, error: str = "", oom_killed: bool = False) -> Found:
    return Found(
        "id",
        "name",
        INSTANCE,
        "",
        FoundState.ENDED,
        exit_code=exit_code,
        error=error,
        oom_killed=oom_killed,
        started_at=100.0,
        finished_at=100.0 + ran_s,
    )


@pytest.mark.parametrize(
    ("condition", "one_shot", "exit_code", "verdict"),
    [
        (ANY, False, 0, Verdict.AGAIN),
        (ANY, False, 1, Verdict.AGAIN),
        (ANY, True, 0, Verdict.COMPLETED),
        (ANY, True, 1, Verdict.AGAIN),
        (ON_FAILURE, False, 0, Verdict.COMPLETED),
        (ON_FAILURE, False, 1, Verdict.AGAIN),
        (NONE, False, 0, Verdict.COMPLETED),
        (NONE, False, 1, Verdict.FAILED),
        (NONE, True, 1, Verdict.FAILED),
    ],
)
def test_verdicts(
    condition: RestartCondition, one_shot: bool, exit_code: int, verdict: Verdict
) -> None:
    spec = ContainerSpec("x", restart=Restart(condition), one_shot=one_shot)
    assert judge(spec, found(exit_code), Attempt())[0] is verdict


def test_the_limit_is_on_starts_after_the_first() -> None:
    spec = ContainerSpec("x", restart=Restart(max_attempts=2))
    attempt, verdicts = Attempt(), []
    for number in range(4):
        end = found(1, ran_s=1.0 + number / 64)
        before = judge(spec, end, attempt)
        attempt = after_end(spec.restart, end, attempt, 0.0)
        assert judge(spec, end, attempt) == before, "whether the end was counted changes nothing"
        verdicts.append(before[0])
    assert verdicts == [Verdict.AGAIN, Verdict.AGAIN, Verdict.FAILED, Verdict.FAILED]


def test_a_good_run_makes_up_for_failures() -> None:
    policy = Restart(window_s=10.0)
    attempt = Attempt(failures=5, restarts=7)
    assert after_end(policy, found(1, ran_s=9.9), attempt, 0.0).failures == 6
    again = after_end(policy, found(1, ran_s=10.0), attempt, 50.0)
    assert (again.failures, again.restarts, again.not_before) == (1, 7, 51.0)


def test_a_clock_that_went_back_is_no_good_run() -> None:
    end = dataclasses.replace(found(1), finished_at=50.0)
    assert after_end(Restart(), end, Attempt(failures=2), 0.0).failures == 3


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (found(3), "ended with exit code 3"),
        (found(127, error="no such file"), "ended with exit code 127: no such file"),
        (found(137, oom_killed=True), "killed for using too much memory (exit code 137)"),
    ],
)
def test_ends_in_words(end: Found, words: str) -> None:
    assert end_of(end) == words
    assert after_end(Restart(), end, Attempt(), 0.0).reason == words


def test_a_start_that_failed_since_the_end_is_told_before_it() -> None:
    end = found(7)
    words = end_of(end)
    attempt = after_end(Restart(), end, Attempt(), 0.0)
    assert why_waiting(attempt, end, words) == "ended with exit code 7"
    refused = after_error(attempt, "refused by the host's policy: no", 0.0)
    assert why_waiting(refused, end, words) == (
        "refused by the host's policy: no; before that it ended with exit code 7"
    )
    another = dataclasses.replace(end, finished_at=end.finished_at + 5)
    assert why_waiting(refused, another, words) == words


def test_failed_calls_wait_longer_and_longer() -> None:
    attempt, waits = Attempt(restarts=3, ended="x"), []
    for _ in range(8):
        attempt = after_error(attempt, "no space", 10.0)
        waits.append(attempt.not_before - 10.0)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert (attempt.restarts, attempt.ended, attempt.reason) == (3, "x", "no space")


@given(st.floats(0, 1e6), st.integers(1, 10**9))
def test_a_delay_grows_and_ends(first_s: float, failures: int) -> None:
    wait_s = delay_s(first_s, failures)
    assert first_s <= wait_s <= max(MAX_DELAY_S, first_s)
    assert wait_s <= delay_s(first_s, failures + 1)


def test_without_a_delay_it_still_does_not_spin() -> None:
    assert [delay_s(0.0, failures) for failures in (1, 2, 3, 4)] == [0.0, 0.2, 0.4, 0.8]
    assert delay_s(0.0, 99) == MAX_DELAY_S


def test_each_end_has_its_own_key() -> None:
    ends = [found(1), found(1, ran_s=2.0), dataclasses.replace(found(1), container_id="other")]
    assert len({end.ended_key for end in ends}) == 3
