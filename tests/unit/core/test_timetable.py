"""When checks are looked at."""

from __future__ import annotations

from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.core import timetable
from hullmark.model.control import Status

intervals = st.floats(1.0, 1e6)


@given(st.text(), intervals, st.floats(0, 1e9))
def test_the_first_look_is_soon_and_not_at_one_moment(name: str, interval_s: float, now: float):
    due = timetable.first_due(name, interval_s, now)
    assert now <= due <= now + min(interval_s, timetable.FIRST_RARE_S)
    assert due == timetable.first_due(name, interval_s, now)


def test_checks_are_spread_out() -> None:
    dues = [timetable.first_due(f"web{n}/time/daemon", 10.0, 0.0) for n in range(200)]
    assert max(dues) < timetable.FIRST_QUICK_S
    for second in range(5):
        assert 15 <= sum(second <= due < second + 1 for due in dues) <= 70


@given(st.floats(0, 1e6), intervals, st.floats(0, 1e7))
def test_the_next_look_comes_later_and_within_an_interval(
    due: float, interval_s: float, late: float
):
    now = due + late
    following = timetable.next_due(due, interval_s, now)
    assert following > now
    assert following <= now + interval_s * (1 + 1e-6)


def test_it_stays_in_step_and_makes_up_for_nothing() -> None:
    assert timetable.next_due(3.0, 10.0, 3.0) == 13.0
    assert timetable.next_due(3.0, 10.0, 7.0) == 13.0
    assert timetable.next_due(3.0, 10.0, 13.0) == 23.0
    assert timetable.next_due(3.0, 10.0, 1004.0) == 1013.0


@given(st.floats(1, 10), st.floats(0, 4), st.floats(0.01, 1))
def test_stretching_is_bounded(before: float, used: float, budget: float) -> None:
    after = timetable.stretch(before, used, budget)
    assert 1.0 <= after <= timetable.STRETCH_MOST
    if used > budget and before < timetable.STRETCH_MOST:
        assert after > before
    if used <= budget:
        assert after <= before


def test_it_goes_back_when_there_is_room_again() -> None:
    now = timetable.stretch(1.0, 0.05, 0.01)
    assert now == pytest.approx(5.0)
    for _ in range(10):
        now = timetable.stretch(now, 0.002, 0.01)
    assert now == 1.0
    assert timetable.stretch(3.0, 0.009, 0.01) == 3.0


def test_what_tells_whether_a_tool_is_alive_is_never_made_rarer() -> None:
    assert timetable.interval_now(10.0, 10.0) == 10.0
    assert timetable.interval_now(30.0, 10.0) == 300.0
    assert timetable.interval_now(30.0, 1.0) == 30.0


PASS, FAIL, ERROR = Status.PASS, Status.FAIL, Status.ERROR
ABSENT, UNSEEN = Status.NOT_APPLICABLE, Status.NOT_RUN


@pytest.mark.parametrize(
    ("before", "status"),
    [(None, ERROR), (PASS, ERROR), (FAIL, PASS), (ERROR, PASS), (PASS, ABSENT)],
)
def test_what_has_to_stand_is_looked_at_again_soon(before: Optional[Status], status: Status):
    due = timetable.confirmed_by(3600.0, before, status, 10.0)
    assert due == 10.0 + timetable.CONFIRMED_S
    assert timetable.confirmed_by(12.0, before, status, 10.0) == 12.0, "never later than it was"
    assert timetable.confirmed_by(3600.0, status, status, 10.0) == 3600.0, "once"


@pytest.mark.parametrize(
    ("before", "status"),
    [(None, PASS), (None, ABSENT), (PASS, FAIL), (ERROR, FAIL), (PASS, UNSEEN)],
)
def test_what_counts_at_once_stays_in_step(before: Optional[Status], status: Status):
    assert timetable.confirmed_by(3600.0, before, status, 10.0) == 3600.0
