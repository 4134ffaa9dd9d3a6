from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.core.outages import (
    GONE,
    KEPT_MOST,
    KEPT_S,
    REOPENED_S,
    STANDS_S,
    WORDS_MOST,
    Outages,
    Word,
    fold,
)
from hullmark.model.control import CheckState, Status
from hullmark.model.host import Maintenance
from hullmark.model.outage import Outage
from tests.unit.core.outageworld import Looked, spec

PASS, FAIL, ERROR = Status.PASS, Status.FAIL, Status.ERROR
ABSENT, UNSEEN = Status.NOT_APPLICABLE, Status.NOT_RUN


def only(host: Looked) -> Outage:
    (found,) = host.known.outages.values()
    return found


def test_the_first_fail_opens_and_two_passes_end_it() -> None:
    host = Looked()
    host.look(PASS)
    assert host.look(FAIL)[0].word is Word.BEGAN
    began = host.now
    assert host.look(FAIL) == []
    assert host.look(PASS) == []
    passed = host.now
    (told,) = host.look(PASS)
    assert told.word is Word.RECOVERED
    assert (told.outage.began, told.outage.ended) == (began, passed)
    assert told.outage.passed_at == began - 10.0
    assert told.outage.reason == "daemon: it is fail"


def test_it_recovers_only_by_the_check_that_failed() -> None:
    host = Looked({"trail": spec("trail", "daemon", "rules")})
    host.look(PASS)
    host.look(PASS, check="rules")
    host.look(FAIL)
    host.look(PASS)
    assert host.look(PASS, 1.0, check="rules") == []  # another check's second pass says nothing
    assert host.look(PASS)[0].word is Word.RECOVERED


def test_a_rare_check_that_was_well_all_the_time_holds_up_nothing() -> None:
    host = Looked({"trail": spec("trail", "canary", "hourly")})
    host.look(PASS, check="hourly")
    host.look(PASS, check="canary")
    host.look(FAIL, check="canary")
    host.look(PASS, check="canary")
    assert host.look(PASS, check="canary")[0].word is Word.RECOVERED


def test_a_check_whose_tool_is_not_there_holds_up_nothing() -> None:
    host = Looked({"trail": spec("trail", "canary", "hourly")})
    host.look(PASS, check="canary")
    host.look(FAIL, check="canary")
    host.look(ABSENT, check="hourly")
    host.look(PASS, check="canary")
    assert host.look(PASS, check="canary")[0].word is Word.RECOVERED


def test_a_rare_check_that_failed_too_has_to_stand() -> None:
    host = Looked({"trail": spec("trail", "canary", "hourly")})
    host.look(FAIL, check="canary")
    host.look(FAIL, check="hourly")
    host.look(PASS, check="hourly")
    host.look(PASS, check="canary")
    assert host.look(PASS, check="canary") == []


def test_when_it_had_passed_last_is_of_the_check_that_failed() -> None:
    host = Looked({"trail": spec("trail", "daemon", "yearly")})
    host.look(PASS, check="yearly")
    passed = host.now
    host.look(PASS)
    for _ in range(50):
        host.look(PASS)
    host.look(FAIL, check="yearly")
    assert only(host).passed_at == passed


def test_one_pass_that_is_five_minutes_old_is_enough_where_looks_are_rare() -> None:
    host = Looked()
    host.look(FAIL)
    host.look(PASS, 3600.0)
    passed = host.now
    host.now += STANDS_S - 1.0
    assert host.take() == []
    host.now += 1.0
    assert [one.word for one in host.take()] == [Word.RECOVERED]
    assert only(host).ended == passed


def test_an_error_opens_when_it_stands() -> None:
    host = Looked()
    host.look(PASS)
    assert host.look(ERROR) == []
    since = host.now
    (told,) = host.look(ERROR)
    assert (told.word, told.outage.status, told.outage.began) == (Word.BEGAN, "error", since)


def test_one_error_between_passes_is_no_outage() -> None:
    host = Looked()
    for status in (PASS, ERROR, PASS, ERROR, PASS):
        assert host.look(status) == []


@pytest.mark.parametrize("status", [UNSEEN, ABSENT])
def test_what_does_not_apply_or_run_is_no_outage(status: Status) -> None:
    host = Looked()
    for _ in range(5):
        assert host.look(status) == []


def test_a_tool_that_was_there_and_is_gone_is_out() -> None:
    host = Looked()
    host.look(PASS)
    host.look(PASS)
    assert host.look(ABSENT) == []
    (told,) = host.look(ABSENT)
    assert told.word is Word.BEGAN
    assert told.outage.reason.startswith(GONE)
    assert told.outage.status == "fail"


def test_a_tool_that_went_while_it_was_out_ends_nothing() -> None:
    host = Looked()
    host.look(PASS)
    host.look(FAIL)
    assert host.look(ABSENT) == host.look(ABSENT) == []
    assert not only(host).ended


def test_a_start_ends_nothing_and_opens_nothing_anew() -> None:
    host = Looked()
    host.look(FAIL)
    first = only(host)
    host.restart()
    assert host.take() == []
    assert host.look(FAIL) == []
    assert only(host) == first
    host.look(PASS)
    host.look(PASS)
    assert [one.word for one in host.told] == [Word.BEGAN, Word.RECOVERED]


def test_what_failed_again_within_five_minutes_is_the_same_outage() -> None:
    host = Looked()
    for status in (FAIL, PASS, PASS, FAIL):
        host.look(status)
    outage = only(host)
    assert (outage.reopened, outage.ended) == (1, 0.0)
    host.look(PASS)
    host.look(PASS)
    host.look(FAIL, REOPENED_S + 11.0)
    assert len(host.known.outages) == 2
    words = [one.word for one in host.told]
    assert words == [
        Word.BEGAN,
        Word.RECOVERED,
        Word.REOPENED,
        Word.RECOVERED,
        Word.BEGAN,
    ]


def test_one_that_began_in_maintenance_is_planned() -> None:
    host = Looked(maintenance=Maintenance(1000.0, 1100.0, "alice", "CHG-1"))
    host.look(FAIL)
    assert (only(host).planned, only(host).ticket) == (True, "CHG-1")
    late = Looked(maintenance=Maintenance(1000.0, 1001.0, "alice", "CHG-1"))
    late.look(FAIL)
    assert not only(late).planned


def test_a_control_that_was_switched_off_ends_its_outage_and_says_so() -> None:
    host = Looked()
    host.look(FAIL)
    known, (told,) = fold(host.known, "web1", {}, host.now, withdrawn=["trail"])
    assert told.word is Word.WITHDRAWN
    assert told.outage.ended == host.now
    assert "without a pass" in told.outage.reason
    assert known.tracks == {}


def test_what_a_tool_printed_is_kept_without_secrets_and_short() -> None:
    host = Looked()
    host.look(PASS)
    host.now += 10.0
    state = host.states["trail"]
    said = "password=hunter2 for card 4111 1111 1111 1111 " + "x" * 5000
    check = replace(state.checks["daemon"], status=FAIL, since=host.now, at=host.now)
    host.states["trail"] = replace(state, status=FAIL, reason=said, checks={"daemon": check})
    host.take()
    reason = only(host).reason
    assert "hunter2" not in reason
    assert "4111 1111" not in reason
    assert len(reason) == WORDS_MOST


def test_old_ones_are_forgotten_and_open_ones_never() -> None:
    old = Outage("a", "web1", "x", "f", "T", 1.0, "r", ended=2.0)
    opened = replace(old, outage_id="b", ended=0.0)
    many = {f"c{n}": replace(old, outage_id=f"c{n}", ended=5.0 + n) for n in range(300)}
    known, _ = fold(Outages({"a": old, "b": opened, **many}), "web1", {}, 400.0)
    assert "b" in known.outages
    assert len(known.outages) == KEPT_MOST
    assert "c299" in known.outages
    later, _ = fold(known, "web1", {}, 400.0 + KEPT_S)
    assert list(later.outages) == ["b"]


steps = st.lists(
    st.tuples(
        st.sampled_from([PASS, PASS, FAIL, ERROR, ABSENT, UNSEEN, None]),
        st.sampled_from(["daemon", "rules"]),
        st.sampled_from([0.0, 1.0, 10.0, 60.0, 400.0]),
    ),
    max_size=60,
)


@given(steps)
def test_whatever_is_found(found: list[tuple[Status, str, float]]) -> None:
    host = Looked({"trail": spec("trail", "daemon", "rules")})
    for status, check, after_s in found:
        if status is None:
            host.restart()
            before = host.known
            assert host.take() == []  # no start says anything by itself
            assert host.known.outages == before.outages
            continue
        failing = any(one.status in (FAIL, ERROR, ABSENT) for one in _all(host))
        for told in host.look(status, after_s, check=check):
            bad = told.word in (Word.BEGAN, Word.REOPENED)
            if bad:  # never without a look that found something bad
                assert failing or status is not PASS
            else:
                assert host.states["trail"].status is PASS
        open_ones = [one for one in host.known.outages.values() if not one.ended]
        assert len(open_ones) <= 1
    _check_words(host)


def _all(host: Looked) -> list[CheckState]:
    return [one for of in host.checks.values() for one in of.values()]


def _check_words(host: Looked) -> None:
    """Each outage begins once, and ends and begins again in turns; its times are in order."""
    for name in {one.outage.outage_id for one in host.told}:
        of = [one for one in host.told if one.outage.outage_id == name]
        assert [one.word for one in of][:1] == [Word.BEGAN]
        assert all(one.word is Word.RECOVERED for one in of[1::2])
        assert all(one.word is Word.REOPENED for one in of[2::2])
        for one in of:
            outage = one.outage
            assert outage.passed_at <= outage.began <= host.now
            assert not outage.ended or outage.began <= outage.ended <= host.now
