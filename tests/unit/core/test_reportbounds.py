"""What a leader keeps of a host's word about its controls, whatever the host says."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.core import reportbounds
from hullmark.core.reportbounds import bounded, trimmed
from hullmark.model.control import CheckState, ControlState, Mode, Posture, Status
from hullmark.model.epoch import NO_EPOCH
from hullmark.model.observed import Report
from hullmark.model.outage import Outage
from hullmark.model.wire import from_wire, to_wire

CHECK = CheckState("canary", Status.PASS, 3, since=9.0)
CONTROL = ControlState(
    "time-chrony", "time", "Time", Status.PASS, 3, since=9.0, checks={"canary": CHECK}
)
POSTURE = Posture("web1", Mode.RUN, {"time-chrony": CONTROL}, 0.0, enrolled=True)
OUTAGE = Outage("o-1", "web1", "time-chrony", "time", "Time", 9.0, "it is off")


def report(posture: Any = None, outages: Any = None) -> Report:
    return Report("h1", "r1", 1, NO_EPOCH, "", posture=posture, outages=outages)


def with_control(**more: Any) -> Posture:
    return replace(POSTURE, controls={"time-chrony": replace(CONTROL, **more)})


def with_check(**more: Any) -> Posture:
    return with_control(checks={"canary": replace(CHECK, **more)})


def many(number: int, checks: int = 1) -> Posture:
    of = {f"c{n}": replace(CHECK, check_id=f"c{n}") for n in range(checks)}
    names = [f"x-{n}" for n in range(number)]
    return replace(POSTURE, controls={n: replace(CONTROL, control_id=n, checks=of) for n in names})


def test_what_an_agent_says_is_kept_as_it_is() -> None:
    for said in (report(), report(POSTURE, (OUTAGE,)), report(many(1000, 4), (OUTAGE,) * 100)):
        assert bounded(said) is said


@pytest.mark.parametrize(
    ("posture", "why"),
    [
        (many(1001), "1001 controls, at most 1000"),
        (many(2, 2001), "4002 checks, at most 4000"),
        (with_control(reason="x" * 4_000_001), "more than 4000000 characters"),
        (with_control(control_id="other"), "by another name than its own"),
        (with_control(function="\x1b[2J"), "has no function"),
        (with_control(function="x" * 129), "has no function"),
        (with_control(level=9), "a level that is none"),
        (with_control(since=math.inf), "a time or a level that is none"),
        (with_check(at=math.nan), "a check with a time"),
        (with_check(since=-1.0), "a check with a time"),
        (with_check(level=10**30), "a check with a time or a level"),
        (with_check(check_id="<b>"), "a check by another name"),
        (replace(POSTURE, at=1e300), "a time that is none"),
        (
            replace(POSTURE, controls={"<script>": replace(CONTROL, control_id="<script>")}),
            "by another name than its own, or by none",
        ),
    ],
)
def test_what_no_agent_says_is_refused_whole_and_then_nothing_is_proven(
    posture: Posture, why: str
) -> None:
    found = bounded(report(posture, (OUTAGE,)))
    assert found.posture is not None
    assert found.posture.controls == {}
    assert len(found.posture.problems) == 1
    assert found.posture.problems[0].startswith("refused by the leader: ")
    assert why in found.posture.problems[0]
    assert found.outages == (OUTAGE,)


def test_long_texts_are_cut() -> None:
    long = "x" * 50_000
    posture = replace(
        with_control(reason=long, checks={"canary": replace(CHECK, not_exercised=long)}),
        problems=(long,) * 500,
    )
    found = bounded(report(replace(posture, problems=(long,) * 20))).posture
    assert found is not None
    assert found.controls["time-chrony"].reason == "x" * 1997 + "..."
    assert len(found.controls["time-chrony"].checks["canary"].not_exercised) == 2000
    assert [len(each) for each in found.problems] == [2000] * 20
    found = bounded(report(replace(POSTURE, problems=("wrong",) * 500))).posture
    assert found is not None
    assert len(found.problems) == 100


def test_outages_are_cut_and_those_that_are_none_left_out() -> None:
    odd = [
        replace(OUTAGE, outage_id="../x"),
        replace(OUTAGE, control_id=""),
        replace(OUTAGE, function="a\nb"),
        replace(OUTAGE, began=math.nan),
        replace(OUTAGE, ended=-3.0),
        replace(OUTAGE, status="\x1b[2J"),
    ]
    long = replace(OUTAGE, reason="y" * 9999, requirements=("1.1", "\x1b[2J") * 500)
    found = bounded(report(outages=(*odd, long))).outages
    assert found is not None
    (kept,) = found
    assert (len(kept.reason), len(kept.requirements)) == (2000, 100)
    found = bounded(report(outages=(OUTAGE,) * 5000)).outages
    assert found is not None
    assert len(found) == reportbounds.OUTAGES_MOST


@given(
    name=st.text(max_size=5),
    reason=st.text(max_size=20),
    level=st.integers(-3, 9),
    since=st.floats(),
)
def test_what_is_kept_has_names_times_and_levels(
    name: str, reason: str, level: int, since: float
) -> None:
    control = replace(
        CONTROL, control_id=name, function=name, reason=reason, level=level, since=since
    )
    found = bounded(report(replace(POSTURE, controls={name: control}))).posture
    assert found is not None
    for key, one in found.controls.items():
        assert key.isascii()
        assert key.isprintable()
        assert -1 <= one.level <= 4
        assert math.isfinite(one.since)


def test_too_much_is_not_even_read() -> None:
    data = to_wire(report(many(3000), (OUTAGE,) * 300))
    found = from_wire(Report, trimmed(data))
    assert bounded(found) == bounded(report(many(3000), (OUTAGE,) * 300))
    assert found.posture is not None
    assert found.posture.problems == ("refused by the leader: 3000 controls, at most 1000",)
    assert found.posture.enrolled
    checks = from_wire(Report, trimmed(to_wire(report(many(2, 2001)))))
    assert checks.posture is not None
    assert checks.posture.controls == {}
    right = to_wire(report(many(1000, 4), (OUTAGE,)))
    assert trimmed(right) is right


@pytest.mark.parametrize(
    "data",
    [
        *(None, 7, [], {}, {"posture": 7}, {"posture": {"controls": []}}, {"outages": "x" * 999}),
        {"posture": {"controls": {"a": 1, "b": {"checks": 7}}}},
    ],
)
def test_what_is_no_report_is_left_to_be_refused(data: Any) -> None:
    assert trimmed(data) is data
