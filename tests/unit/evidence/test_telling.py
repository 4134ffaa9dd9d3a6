"""What a story says is proven is no more than what records show; time in which nobody looked is told as that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.evidence import story
from hullmark.evidence.story import ControlStory, RequirementStory, Story
from hullmark.evidence.telling import raw_name
from hullmark.model.audit import Entry
from hullmark.model.control import Condition, ControlSpec, Reading, Requirement, Status
from hullmark.model.moments import moment
from tests.unit.evidence.logbook import (
    AUDIT_ONLY,
    AUDITD,
    BEGINS,
    DAY,
    HOUR,
    Log,
    evidence,
    framework,
    question,
)

ENDS = BEGINS + 10 * HOUR
RULES = ("audit-trail-auditd", "rules", "audit-trail")
CHRONY = ("time-chrony", "sources", "time")
TIMESYNCD = ("time-timesyncd", "synchronised", "time")


def told(*logs: Log, begins: float = BEGINS, ends: float = ENDS, **more: object) -> Story:
    hosts = {log.name: log.name.partition(":")[2] for log in logs}
    return evidence(question(begins, ends, hosts, **more), *logs).story()  # type: ignore[arg-type]


def only(found: Story) -> ControlStory:
    (control,) = found.controls
    return control


def verdict(found: Story) -> RequirementStory:
    (requirement,) = found.requirements
    return requirement


def early(log: Log) -> Log:
    """A log that was there before the period."""
    log.act("root", "audit.started", "log", BEGINS - 30 * DAY)
    return log


def test_all_looks_passed_is_proven_for_the_whole_time() -> None:
    log = early(Log("host:h1"))
    log.passing(BEGINS - HOUR, ENDS + HOUR, AUDITD)
    found = told(log)
    assert only(found).proven_s == 10 * HOUR
    assert (only(found).status, only(found).level, only(found).seen_elsewhere) == ("pass", 3, False)
    assert (verdict(found).verdict, verdict(found).why, verdict(found).level) == (
        story.PROVEN,
        "",
        3,
    )
    assert verdict(found).controls == (("h1", "audit-trail-auditd"),)


def test_a_failure_counts_from_when_it_began_to_when_it_ended() -> None:
    log = early(Log("host:h1"))
    log.passing(BEGINS, BEGINS + HOUR, AUDITD)
    begins = BEGINS + HOUR
    log.result(AUDITD, Status.FAIL, begins + 600, reason="auditd is stopped")
    log.result(AUDITD, Status.PASS, begins + 1800)
    log.summary(begins, begins + HOUR, {AUDITD: (Status.PASS, 3, {"pass": 40, "fail": 20})})
    log.passing(begins + HOUR, ENDS, AUDITD)
    found = told(log)
    assert only(found).failed_s == 1200
    assert only(found).proven_s == 10 * HOUR - 1200
    assert verdict(found).verdict == story.INTERRUPTED
    assert verdict(found).why == "h1, audit trail: failed for 20 min"


def test_it_still_fails_at_the_end() -> None:
    log = early(Log("host:h1"))
    log.passing(BEGINS, ENDS - HOUR, AUDITD)
    log.result(AUDITD, Status.FAIL, ENDS - HOUR, reason="stopped")
    log.summary(ENDS - HOUR, ENDS + 60, {AUDITD: (Status.FAIL, -1, {"fail": 60})})
    found = told(log)
    assert verdict(found).verdict == story.NOT_PROVEN
    assert only(found).reason == "stopped"


def test_an_hour_that_nobody_summed_up_is_not_proven() -> None:
    """The agent was killed: what it had found until then holds no longer than its last summary."""
    log = early(Log("host:h1"))
    log.passing(BEGINS, BEGINS + 3 * HOUR, AUDITD)
    log.passing(BEGINS + 5 * HOUR, ENDS, AUDITD)
    found = told(log)
    assert only(found).proven_s == 8 * HOUR
    assert only(found).unlooked_s == 2 * HOUR
    assert verdict(found).verdict == story.INTERRUPTED
    assert "not looked at for 2 h" in verdict(found).why


def test_a_result_is_not_carried_over_a_restart() -> None:
    log = early(Log("host:h1"))
    log.passing(BEGINS, BEGINS + HOUR, AUDITD)
    begins = BEGINS + HOUR + 5
    log.result(AUDITD, Status.PASS, begins + 1800)
    log.summary(begins, ENDS, {AUDITD: (Status.PASS, 3, {"pass": 900})})
    assert only(told(log)).unlooked_s == pytest.approx(1805)


def test_no_summary_proves_nothing() -> None:
    log = early(Log("host:h1"))
    log.result(AUDITD, Status.PASS, BEGINS - 60)
    found = told(log)
    assert only(found).proven_s == 0
    assert verdict(found).verdict == story.NOT_PROVEN
    assert any("no summary" in each for each in found.remarks)


def test_a_host_without_any_record_is_not_proven() -> None:
    found = told(Log("host:h1"))
    assert found.controls == ()
    assert verdict(found).verdict == story.NOT_PROVEN
    assert verdict(found).why == "h1, audit trail: nothing carries it"


def test_a_summary_that_tells_of_failures_without_their_results_proves_nothing() -> None:
    log = early(Log("host:h1"))
    log.passing(BEGINS, ENDS - HOUR, AUDITD)
    log.summary(ENDS - HOUR, ENDS, {AUDITD: (Status.PASS, 3, {"pass": 50, "fail": 10})})
    assert only(told(log)).proven_s == 9 * HOUR


def test_a_summary_that_says_it_was_not_run_any_more_proves_nothing() -> None:
    log = early(Log("host:h1"))
    log.passing(BEGINS, ENDS - HOUR, AUDITD)
    log.summary(ENDS - HOUR, ENDS, {AUDITD: (Status.NOT_RUN, -1, {})})
    found = told(log)
    assert only(found).proven_s == 9 * HOUR
    assert verdict(found).verdict == story.NOT_PROVEN


def test_all_checks_of_a_control_have_to_pass() -> None:
    log = early(Log("host:h1"))
    log.result(AUDITD, Status.PASS, BEGINS)
    log.result(RULES, Status.FAIL, BEGINS, reason="task,never")
    log.summary(
        BEGINS,
        ENDS,
        {AUDITD: (Status.PASS, 1, {"pass": 600}), RULES: (Status.FAIL, -1, {"fail": 600})},
    )
    assert (only(told(log)).proven_s, only(told(log)).reason) == (0, "task,never")
    any_of = ControlSpec("audit-trail-auditd", "audit-trail", "A", "", Condition.ANY, (), "")
    found = told(log, definitions={"audit-trail-auditd": any_of})
    assert only(found).title == "A"
    assert only(found).proven_s == 0, "how it is defined where the pack is made proves nothing"


@pytest.mark.parametrize(
    ("recorded", "proven_s"),
    [
        (("any", "any"), 10 * HOUR),
        (("any", ""), 0),
        (("none", "none"), 0),
        (("none", "any"), 0),
        (("no word of ours", "any"), 0),
    ],
)
def test_a_control_is_judged_by_the_condition_that_was_recorded(
    recorded: tuple[str, str], proven_s: float
) -> None:
    log = early(Log("host:h1"))
    log.result(AUDITD, Status.PASS, BEGINS, condition=recorded[0])
    log.result(RULES, Status.FAIL, BEGINS, reason="task,never", condition=recorded[1])
    log.summary(
        BEGINS,
        ENDS,
        {AUDITD: (Status.PASS, 1, {"pass": 600}), RULES: (Status.FAIL, -1, {"fail": 600})},
    )
    assert only(told(log)).proven_s == proven_s


@pytest.mark.parametrize(("conditions", "proven"), [(("none",), True), (("none", "all"), False)])
def test_what_was_sought_and_not_found_is_proven_where_it_was_sought_all_the_time(
    conditions: tuple[str, ...], proven: bool
) -> None:
    log = early(Log("host:h1"))
    for condition in conditions:
        log.result(AUDITD, Status.FAIL, BEGINS, condition=condition)
    log.summary(BEGINS, ENDS, {AUDITD: (Status.FAIL, -1, {"fail": 600})})
    assert (only(told(log)).proven_s == 10 * HOUR) is proven


def test_a_control_that_was_given_another_function_proves_it_from_then_on() -> None:
    log = early(Log("host:h1"))
    control, check, _ = AUDITD
    log.passing(BEGINS - HOUR, ENDS - 2 * HOUR, (control, check, "site-other"))
    log.result(AUDITD, Status.PASS, ENDS - 2 * HOUR)
    log.passing(ENDS - 2 * HOUR, ENDS + HOUR, AUDITD)
    found = told(log)
    assert only(found).proven_s == 2 * HOUR
    assert verdict(found).verdict == story.INTERRUPTED


def test_a_check_that_was_not_looked_at_yet_keeps_its_control_from_being_proven() -> None:
    log = early(Log("host:h1"))
    log.passing(BEGINS, BEGINS + 2 * HOUR, AUDITD)
    log.result(RULES, Status.PASS, BEGINS + 2 * HOUR)
    log.passing(BEGINS + 2 * HOUR, ENDS, AUDITD, RULES)
    assert only(told(log)).proven_s == 8 * HOUR


def test_a_tool_that_is_not_there_does_not_count_where_another_carries_the_function() -> None:
    log = early(Log("host:h1"))
    log.result(CHRONY, Status.PASS, BEGINS)
    log.result(TIMESYNCD, Status.NOT_APPLICABLE, BEGINS, reason="not installed")
    tallies = {CHRONY: (Status.PASS, 2, {"pass": 9}), TIMESYNCD: (Status.NOT_APPLICABLE, -1, {})}
    log.summary(BEGINS, ENDS, tallies)
    of = framework(Requirement("10.6", "Time", "direct", ("time",)))
    found = told(log, of=of)
    assert verdict(found).verdict == story.PROVEN
    assert verdict(found).controls == (("h1", "time-chrony"),)
    assert [one.applies for one in found.controls] == [True, False]


def test_a_function_that_nothing_carries_is_not_proven() -> None:
    log = early(Log("host:h1"))
    log.result(CHRONY, Status.NOT_APPLICABLE, BEGINS)
    log.summary(BEGINS, ENDS, {CHRONY: (Status.NOT_APPLICABLE, -1, {"not_applicable": 5})})
    found = told(log, of=framework(Requirement("10.6", "Time", "direct", ("time",))))
    assert (verdict(found).verdict, verdict(found).why) == (
        story.NOT_PROVEN,
        "h1, time from a trusted source: nothing carries it",
    )


def test_one_failing_tool_of_a_function_is_not_hidden_by_another() -> None:
    log = early(Log("host:h1"))
    log.result(CHRONY, Status.PASS, BEGINS)
    log.result(TIMESYNCD, Status.FAIL, BEGINS)
    tallies = {CHRONY: (Status.PASS, 2, {"pass": 9}), TIMESYNCD: (Status.FAIL, -1, {"fail": 9})}
    log.summary(BEGINS, ENDS, tallies)
    found = told(log, of=framework(Requirement("10.6", "Time", "direct", ("time",))))
    assert verdict(found).verdict == story.NOT_PROVEN


def test_one_look_that_proved_more_is_not_the_level_of_the_rest() -> None:
    log = early(Log("host:h1"))
    log.passing(BEGINS, BEGINS + HOUR, AUDITD, level=4)
    log.passing(BEGINS + HOUR, ENDS, AUDITD, level=2)
    found = told(log)
    assert (only(found).level, only(found).seen_elsewhere) == (2, False)


def test_the_worst_host_decides() -> None:
    good, bad = early(Log("host:a")), early(Log("host:b"))
    good.passing(BEGINS, ENDS, AUDITD, level=4)
    bad.result(AUDITD, Status.ERROR, BEGINS, reason="timed out")
    bad.summary(BEGINS, ENDS, {AUDITD: (Status.ERROR, -1, {"error": 9})})
    found = told(good, bad)
    assert verdict(found).verdict == story.NOT_PROVEN
    assert verdict(found).why == "b, audit trail: failed for 10 h"
    assert [one.seen_elsewhere for one in found.controls] == [True, False]


def test_a_host_counts_from_when_it_came() -> None:
    log = Log("host:new")
    log.act("root", "audit.started", "log", ENDS - 2 * HOUR)
    log.passing(ENDS - 2 * HOUR, ENDS, AUDITD)
    found = told(log)
    assert verdict(found).verdict == story.PROVEN
    assert only(found).span_s == 2 * HOUR
    assert any("begins within the period" in each for each in found.remarks)


def test_the_hour_that_is_not_summed_up_yet_is_left_out() -> None:
    log = early(Log("host:h1"))
    log.passing(BEGINS, ENDS - 1800, AUDITD)
    found = told(log, made_at=ENDS)
    assert verdict(found).verdict == story.PROVEN
    assert only(found).span_s == 10 * HOUR - 1800
    assert any("not summed up yet" in each for each in found.remarks)
    assert verdict(told(log)).verdict == story.NOT_PROVEN, (
        "of a period long ago nothing is left out"
    )


def test_a_summary_in_several_records_is_one() -> None:
    log = early(Log("host:h1"))
    log.result(AUDITD, Status.PASS, BEGINS)
    log.result(RULES, Status.PASS, BEGINS)
    for check in (AUDITD, RULES):
        log.summary(BEGINS, ENDS, {check: (Status.PASS, 3, {"pass": 9})})
    assert only(told(log)).proven_s == 10 * HOUR


def test_what_a_requirement_says_without_functions() -> None:
    found = told(
        Log("host:h1"),
        of=framework(
            Requirement("10.2.2", "Details", "partial", sources=("audit",)),
            Requirement("9.1", "Doors", "none"),
        ),
    )
    assert [one.verdict for one in found.requirements] == [story.ELSEWHERE, story.NOT_COVERED]


CONTAINERS = ("containers", "drift", "container-drift")
DRIFT = framework(Requirement("11.5.2", "Drift", "direct", ("container-drift",)))


def test_containers_are_not_missed_where_there_are_none() -> None:
    log, other = early(Log("host:h1")), early(Log("host:h2"))
    log.result(CONTAINERS, Status.NOT_APPLICABLE, BEGINS)
    log.summary(BEGINS, ENDS, {CONTAINERS: (Status.NOT_APPLICABLE, -1, {"not_applicable": 5})})
    assert verdict(told(log, of=DRIFT)).why == "nothing was there that it applies to"
    assert verdict(told(log, of=DRIFT)).verdict == story.NOT_PROVEN
    other.passing(BEGINS, ENDS, CONTAINERS, level=2)
    found = told(log, other, of=DRIFT)
    assert (verdict(found).verdict, verdict(found).level) == (story.PROVEN, 2)


def test_that_nobody_looked_for_containers_is_no_proof() -> None:
    log = early(Log("host:h1"))
    log.passing(BEGINS, ENDS, AUDITD)
    found = told(log, of=DRIFT)
    assert verdict(found).verdict == story.NOT_PROVEN
    assert verdict(found).why == "h1, change inside containers: not looked at at all"


def test_outages_are_told_from_records() -> None:
    log = early(Log("host:h1"))
    log.passing(BEGINS, ENDS, AUDITD)
    began = BEGINS + HOUR
    log.outage("began", "o1", AUDITD, began, began=moment(began), requirements="10.2.1, 10.7.2")
    log.outage("recovered", "o1", AUDITD, began + 60, ended=moment(began + 60))
    log.outage("reopened", "o1", AUDITD, began + 90)
    (outage,) = told(log).outages
    assert (outage.host, outage.began, outage.ended, outage.reopened) == ("h1", began, 0.0, 1)
    assert outage.requirements == ("10.2.1", "10.7.2")


def test_the_newest_readings_are_kept_under_a_name_that_stays_in_its_folder() -> None:
    log = early(Log("host:h1"))
    for number in (1, 2):
        log.result(
            AUDITD, Status.PASS, BEGINS + number, readings=[Reading("status", f"auditctl {number}")]
        )
    log.result(AUDITD, Status.PASS, BEGINS + 3)
    found = evidence(question(BEGINS, ENDS, {"host:h1": "../../etc"}), log)
    ((host, newest),) = found.newest_readings()
    assert newest.seq == 4 or "auditctl 2" in newest.readings
    assert raw_name(host, newest) == "raw/_.._etc/audit-trail-auditd/daemon.txt"


LOOKS = st.lists(
    st.sampled_from([Status.PASS, Status.FAIL, Status.ERROR, None]), min_size=1, max_size=30
)


@given(LOOKS)
def test_never_more_is_proven_than_hours_whose_looks_all_passed(hours: list[Status]) -> None:
    """An hour without a summary (None) is proven by nothing."""
    log = early(Log("host:h1"))
    before = None
    for number, status in enumerate(hours):
        at = BEGINS + number * HOUR
        if status is not None:
            if status is not before:
                log.result(AUDITD, status, at)
            log.summary(at, at + HOUR, {AUDITD: (status, 3, {status.value: 9})})
        before = status
    ends = BEGINS + len(hours) * HOUR
    found = told(log, ends=ends)
    passed = sum(status is Status.PASS for status in hours) * HOUR
    assert sum(one.proven_s for one in found.controls) == passed
    if verdict(found).verdict == story.PROVEN:
        assert all(status is Status.PASS for status in hours)


@given(
    st.dictionaries(
        st.sampled_from(["begins", "ends", "results", "control", "status", "level", "since"]),
        st.text(),
    )
)
def test_fields_that_say_anything_prove_nothing(fields: dict[str, str]) -> None:
    log = early(Log("host:h1"))
    for kind in ("controls.summary", "control.result", "outage.began", "outage.recovered"):
        log.add(Entry(kind, "x", fields=fields), BEGINS + 5)
    found = told(log)
    assert all(one.proven_s == 0 for one in found.controls)
    assert AUDIT_ONLY.requirements[0].requirement_id == found.requirements[0].requirement_id


def test_a_failure_of_less_than_a_second_is_told_too() -> None:
    log = early(Log("host:h1"))
    log.result(AUDITD, Status.PASS, BEGINS)
    log.result(AUDITD, Status.FAIL, BEGINS + 60)
    log.result(AUDITD, Status.PASS, BEGINS + 60.5)
    log.summary(BEGINS, ENDS, {AUDITD: (Status.PASS, 3, {"pass": 99, "fail": 1})})
    found = verdict(told(log))
    assert (found.verdict, found.why) == (story.INTERRUPTED, "h1, audit trail: failed for 0.5 s")
