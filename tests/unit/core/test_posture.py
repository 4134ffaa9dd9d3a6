"""What a control's state is, from what its checks found."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.core import posture
from hullmark.model.control import (
    CANARY,
    NOTHING_PROVEN,
    RUNNING,
    CheckSpec,
    CheckState,
    Condition,
    ControlSpec,
    ControlState,
    Mode,
    Posture,
    Status,
)

NAMES = ("a", "b", "c")
PASS, FAIL, ERROR = Status.PASS, Status.FAIL, Status.ERROR
NOT_RUN, ABSENT = Status.NOT_RUN, Status.NOT_APPLICABLE


def spec_of(number: int, condition: Condition = Condition.ALL, **more: object) -> ControlSpec:
    checks = tuple(CheckSpec(name, "generic", RUNNING, 30.0, 10.0) for name in NAMES[:number])
    made = ControlSpec("time", "time", "Time", "", condition, checks, "look at it")
    return replace(made, **more)  # type: ignore[arg-type]


def found(*statuses: Status, at: float = 100.0) -> dict[str, CheckState]:
    return {
        name: CheckState(
            name,
            status,
            level=CANARY if status is PASS else NOTHING_PROVEN,
            reason="" if status is PASS else f"why {name}",
            at=0.0 if status is NOT_RUN else at,
        )
        for name, status in zip(NAMES, statuses)
    }


@pytest.mark.parametrize(
    ("condition", "statuses", "expected"),
    [
        ("all", (PASS, PASS), PASS),
        ("all", (PASS, ABSENT), PASS),
        ("all", (PASS, NOT_RUN), NOT_RUN),
        ("all", (PASS, ERROR, NOT_RUN), ERROR),
        ("all", (PASS, ERROR, FAIL), FAIL),
        ("all", (ABSENT, ABSENT), ABSENT),
        ("all", (), NOT_RUN),
        ("any", (FAIL, PASS), PASS),
        ("any", (FAIL, NOT_RUN), NOT_RUN),
        ("any", (FAIL, ERROR), FAIL),
        ("any", (ABSENT, ERROR), ERROR),
        ("any", (ABSENT, ABSENT), ABSENT),
        ("none", (FAIL, FAIL), PASS),
        ("none", (FAIL, PASS), FAIL),
        ("none", (FAIL, ERROR), ERROR),
        ("none", (FAIL, NOT_RUN), NOT_RUN),
        ("none", (ABSENT, FAIL), PASS),
        ("none", (ABSENT, ABSENT), ABSENT),
    ],
)
def test_its_status_follows_from_its_checks(
    condition: str, statuses: tuple[Status, ...], expected: Status
) -> None:
    spec = spec_of(len(statuses), Condition(condition))
    assert posture.control_state(spec, found(*statuses)).status is expected


states = st.builds(
    CheckState,
    st.just("a"),
    st.sampled_from(Status),
    level=st.integers(-1, 4),
    reason=st.text(max_size=5),
    at=st.floats(0, 1e6),
)


@given(
    st.lists(st.tuples(states, st.floats(0, 1000)), max_size=3),
    st.sampled_from(Condition),
    st.booleans(),
)
def test_what_was_not_tested_is_never_shown_as_passing(
    looks: list[tuple[CheckState, float]], condition: Condition, enabled: bool
) -> None:
    spec = spec_of(3, condition, enabled=enabled)
    newest = {
        check.check_id: posture.stale(replace(state, check_id=check.check_id), check, age_s, 1e6)
        for check, (state, age_s) in zip(spec.checks, looks)
    }
    good = FAIL if condition is Condition.NONE else PASS
    lately = [
        state.status
        for check, (state, age_s) in zip(spec.checks, looks)
        if age_s <= 3 * check.interval_s + check.timeout_s
    ]
    shown = posture.control_state(spec, newest)
    if shown.status is PASS:
        assert enabled
        assert good in lately
        if condition is not Condition.ANY:
            assert len(looks) == 3
            assert set(lately) <= {good, ABSENT}
    else:
        assert shown.reason
    assert shown.level <= max((one.level for one in newest.values()), default=-1) or good is FAIL


def test_a_stale_result_says_what_it_was() -> None:
    check = spec_of(1).checks[0]
    state = found(PASS)["a"]
    assert posture.stale(state, check, 100.0, 500.0) == state
    old = posture.stale(state, check, 100.1, 500.0)
    assert (old.status, old.level, old.at) == (NOT_RUN, NOTHING_PROVEN, 100.0)
    assert round(old.since, 3) == 499.9
    late = posture.stale(state, check, 3700.0, 4100.0)
    assert late.since == 500.0, "since it ceased to hold, not since that was noticed"
    assert "it was: pass" in old.reason
    assert posture.stale(old, check, 5000.0, 900.0) == old
    assert posture.stale(state, check, 100.1, 500.0, stretch=2.0) == state


def test_it_says_which_check_decided_and_what_to_do() -> None:
    checks = found(PASS, FAIL, FAIL)
    shown = posture.control_state(spec_of(3), checks, outage="o1")
    assert shown.reason == "b: why b (and 1 more)"
    assert shown.remedy == "look at it"
    assert (shown.level, shown.outage) == (CANARY, "o1")
    checks["c"] = replace(checks["c"], remedy="start another")
    assert posture.control_state(spec_of(3), checks).remedy == "look at it", "the reason is of b"
    checks["b"] = replace(checks["b"], remedy="start it")
    assert posture.control_state(spec_of(3), checks).remedy == "start it"
    assert posture.control_state(spec_of(1), found(PASS)).remedy == ""


def test_one_that_is_switched_off_says_by_what() -> None:
    spec = spec_of(1, enabled=False, file="/etc/hullmark/controls.d/ours.yaml", line=3)
    shown = posture.control_state(spec, found(PASS))
    assert shown.status is NOT_RUN
    assert shown.reason == "switched off by /etc/hullmark/controls.d/ours.yaml:3"


def test_what_was_not_found_proves_as_much_as_the_look_for_it() -> None:
    assert posture.control_state(spec_of(2, Condition.NONE), found(FAIL, FAIL)).level == RUNNING
    assert posture.control_state(spec_of(2, Condition.NONE), found(FAIL, PASS)).level == -1


def test_since_is_kept_while_the_status_is() -> None:
    spec = spec_of(1)
    first = posture.control_state(spec, found(FAIL), now=5.0)
    again = posture.control_state(spec, found(FAIL), before=first, now=6.0)
    over = posture.control_state(spec, found(PASS), before=again, now=7.0)
    assert (first.since, again.since, over.since) == (5.0, 5.0, 7.0)


def posture_of(state: ControlState, at: float) -> Posture:
    return Posture("web1", Mode.RUN, {"time": state}, at)


def state_of(reason: str, at: float, status: Status = FAIL) -> ControlState:
    checks = {"a": CheckState("a", status, reason=reason, at=at, took_s=at / 10, since=1.0)}
    return posture.control_state(spec_of(1), checks, now=1.0)


def test_settled_it_changes_only_when_something_did() -> None:
    first = posture.settled(posture_of(state_of("off by 3.1 s", 10.0), 11.0))
    same = posture.settled(posture_of(state_of("off by 2 s", 20.0), 21.0), first)
    assert same == first
    other = posture.settled(posture_of(state_of("no answer", 20.0), 21.0), first)
    assert other.controls["time"].reason == "a: no answer"
    passed = posture.settled(posture_of(state_of("off by 9 s", 20.0, PASS), 21.0), first)
    assert passed.controls["time"].checks["a"].reason == "off by 9 s"
