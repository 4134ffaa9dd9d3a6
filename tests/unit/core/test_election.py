"""When a master takes over, shows life, and stops; each step by a clock of the test's."""

from __future__ import annotations

import math

from hullmark.core import election
from hullmark.core.election import (
    Look,
    NotPulsed,
    NotTaken,
    Observation,
    Overtaken,
    Phase,
    Pulse,
    Pulsed,
    Resigned,
    Saw,
    Sight,
    Silent,
    State,
    Stop,
    Take,
    Ticked,
    Timing,
    Took,
    hears_too_few,
    step,
)

TIMING = Timing(ttl_s=3.0, calm_s=30.0)
OTHERS = Sight("m2", 5, 9)
NOBODY = Sight("", 5, 9)


def after(state: State, *events: tuple[float, Observation]) -> tuple[State, list[object]]:
    done: list[object] = []
    for now, observation in events:
        state, actions = step(state, observation, now)
        done += actions
    return state, done


def leading(at: float = 0.0) -> State:
    state, _ = after(
        election.begin(TIMING, at), (at, Saw(NOBODY)), (at, Ticked()), (at + 0.1, Took(1, 10))
    )
    assert state.phase is Phase.LEADING
    return state


def test_a_record_that_names_nobody_is_taken_at_once() -> None:
    state, done = after(election.begin(TIMING, 0.0), (0.0, Saw(NOBODY)), (0.0, Ticked()))
    assert done == [Take(1, 5, 9)]
    assert state.phase is Phase.TAKING


def test_nothing_is_taken_before_the_store_was_read() -> None:
    state = election.begin(TIMING, 0.0)
    assert after(state, (100.0, Ticked()))[1] == []
    assert state.wakes_at() == math.inf


def test_a_leader_that_shows_life_is_not_followed_and_one_that_is_silent_is() -> None:
    state, done = after(
        election.begin(TIMING, 0.0),
        (0.0, Saw(OTHERS)),
        (2.9, Saw(Sight("m2", 5, 10))),
        (5.8, Ticked()),
    )
    assert done == []
    assert state.why == "m2 leads"
    assert state.wakes_at() == 5.9
    assert after(state, (5.9, Ticked()))[1] == [Take(1, 5, 10)]


def test_the_same_sight_again_is_no_sign_of_life() -> None:
    state, _ = after(election.begin(TIMING, 0.0), (0.0, Saw(OTHERS)), (2.0, Saw(OTHERS)))
    assert after(state, (3.0, Ticked()))[1] == [Take(1, 5, 9)]


def test_a_silent_store_is_not_taken_for_a_silent_leader() -> None:
    state, done = after(
        election.begin(TIMING, 0.0), (0.0, Saw(OTHERS)), (1.0, Silent("cut")), (60.0, Ticked())
    )
    assert done == []
    assert state.read_only(60.0) == "cut"
    assert state.read_only(1.0) == ""


def test_a_leader_counts_from_before_the_pulse_was_sent() -> None:
    state = leading()
    assert (state.until, state.wakes_at()) == (2.7, 0.5)
    state, done = after(state, (0.5, Ticked()), (2.0, Pulsed(2)))
    assert done == [Pulse(2)]
    assert state.until == 0.5 + 2.7


def test_past_its_deadline_it_stops_whatever_it_hears() -> None:
    state, _ = after(leading(), (0.5, Ticked()))
    for late in (Pulsed(2), NotPulsed(2, "?"), Ticked(), Saw(Sight("m1", 10, 11))):
        stopped, done = after(state, (2.7, late))
        assert stopped.phase is Phase.STANDBY
        assert isinstance(done[0], Stop)
        assert not done[0].give_back


def test_a_pulse_that_failed_is_sent_again_and_moves_no_deadline() -> None:
    state, done = after(leading(), (0.5, Ticked()), (0.6, NotPulsed(2, "slow")), (0.85, Ticked()))
    assert done == [Pulse(2), Pulse(3)]
    assert state.until == 2.7
    assert after(state, (0.9, Pulsed(2)))[0].until == 2.7


def test_another_s_record_ends_leading() -> None:
    for seen in (Overtaken("m2"), Saw(Sight("m2", 11, 12))):
        state, done = after(leading(), (1.0, seen))
        assert state.phase is Phase.STANDBY
        assert isinstance(done[0], Stop)
    assert after(leading(), (1.0, Saw(OTHERS)))[0].phase is Phase.LEADING


def test_a_taking_that_is_answered_late_is_not_led() -> None:
    state, _ = after(election.begin(TIMING, 0.0), (0.0, Saw(NOBODY)), (0.0, Ticked()))
    late, done = after(state, (2.7, Took(1, 10)))
    assert (late.phase, done) == (Phase.STANDBY, [Look()])
    given_up, done = after(state, (2.8, Ticked()), (2.9, Took(1, 10)))
    assert (given_up.phase, done) == (Phase.STANDBY, [Look(), Look()])
    again, done = after(given_up, (3.0, Saw(Sight("m1", 10, 10, ours=True))), (3.1, Ticked()))
    assert done == [Take(2, 10, 10)]
    assert again.phase is Phase.TAKING


def test_who_was_slower_looks_again_and_waits() -> None:
    state, done = after(
        election.begin(TIMING, 0.0),
        (0.0, Saw(NOBODY)),
        (0.0, Ticked()),
        (0.1, NotTaken(1, "another was faster")),
        (0.2, Saw(Sight("m2", 11, 11))),
        (3.1, Ticked()),
    )
    assert done == [Take(1, 5, 9), Look()]
    assert state.why == "m2 leads"


def test_a_taking_that_nobody_answered_is_tried_again_at_once_where_still_nobody_leads() -> None:
    taking = (election.begin(TIMING, 0.0), (0.0, Saw(OTHERS)), (3.0, Ticked()))
    unanswered = (5.5, NotTaken(1, "no answer in time"))
    _, done = after(*taking, unanswered, (5.6, Saw(OTHERS)), (5.7, Ticked()), (5.8, Ticked()))
    assert done == [Take(1, 5, 9), Look(), Take(2, 5, 9)]


def test_a_taking_is_not_tried_again_at_once_where_the_leader_showed_life() -> None:
    taking = (election.begin(TIMING, 0.0), (0.0, Saw(OTHERS)), (3.0, Ticked()))
    unanswered = (5.5, NotTaken(1, "no answer in time"))
    alive = (5.6, Saw(Sight("m2", 5, 10)))
    _, done = after(*taking, unanswered, alive, (8.5, Ticked()))
    assert done == [Take(1, 5, 9), Look()]
    _, done = after(*taking, unanswered, alive, (8.6, Ticked()))
    assert done == [Take(1, 5, 9), Look(), Take(2, 5, 10)]


def test_who_stepped_down_leaves_it_to_the_other_unless_nobody_takes_over() -> None:
    state, done = after(leading(), (1.0, Resigned("asked")))
    assert done[0] == Stop("asked", give_back=True)
    state, done = after(state, (1.0, Saw(Sight("", 11, 9))), (3.9, Ticked()))
    assert done == []
    assert state.why == "asked"
    assert after(state, (4.0, Ticked()))[1] == [Take(2, 11, 9)]
    taken, _ = after(state, (2.0, Saw(Sight("m2", 12, 12))))
    assert after(taken, (5.0, Ticked()))[1] == [Take(2, 12, 12)]


def test_a_leader_that_hears_less_than_half_of_what_its_standby_hears_is_worse_placed() -> None:
    assert hears_too_few(1, 3)
    assert not hears_too_few(2, 4)
    assert not hears_too_few(0, 0)
