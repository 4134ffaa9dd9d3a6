from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hullmark.core import outagealerts
from hullmark.core.outages import REOPENED_S
from hullmark.model.alert import AlertWord
from hullmark.model.control import Status
from hullmark.model.outage import Alerted, Outage
from tests.unit.core.outageworld import Looked

OUT = Outage("a1", "web1", "trail", "f", "Audit trail", 100.0, "stopped", remedy="start it")
NONE = Alerted()
DAY_S = outagealerts.DAY_S


def told(*words: AlertWord, at: float = 100.0) -> Alerted:
    found = NONE
    for word in words:
        found = outagealerts.after(found, word, at)
    return found


def test_one_alert_when_it_begins_and_one_when_it_ends() -> None:
    assert outagealerts.due(OUT, NONE, 101.0) is AlertWord.BEGAN
    began = told(AlertWord.BEGAN)
    assert outagealerts.due(OUT, began, 200.0) is None
    over = replace(OUT, ended=200.0)
    assert outagealerts.due(over, began, 201.0) is AlertWord.RECOVERED
    assert outagealerts.due(over, told(AlertWord.BEGAN, AlertWord.RECOVERED), 300.0) is None


def test_it_is_told_again_each_day_until_somebody_acknowledges_it() -> None:
    began = told(AlertWord.BEGAN)
    assert outagealerts.due(OUT, began, 99.0 + DAY_S) is None
    assert outagealerts.due(OUT, began, 100.0 + DAY_S) is AlertWord.LASTS
    assert outagealerts.due(OUT, began, 100.0 + DAY_S, acknowledged=True) is None


def test_that_it_is_over_is_told_after_a_calm_once_it_flapped() -> None:
    flapped = told(AlertWord.BEGAN, AlertWord.RECOVERED, AlertWord.REOPENED)
    over = replace(OUT, ended=500.0)
    assert outagealerts.due(over, flapped, 501.0) is None
    assert outagealerts.due(over, flapped, 500.0 + REOPENED_S) is AlertWord.RECOVERED


def test_a_planned_one_is_told_only_where_it_outlasts_the_maintenance() -> None:
    planned = replace(OUT, planned=True, ticket="CHG-1")
    assert outagealerts.due(planned, NONE, 101.0, working=True) is None
    assert outagealerts.due(replace(planned, ended=150.0), NONE, 151.0) is None
    assert outagealerts.due(planned, NONE, 900.0) is AlertWord.LASTS
    assert outagealerts.due(replace(planned, ended=950.0), told(AlertWord.LASTS), 951.0)


def test_what_was_over_long_ago_is_no_news() -> None:
    over = replace(OUT, ended=200.0)
    assert outagealerts.due(over, NONE, 300.0) is AlertWord.RECOVERED
    assert outagealerts.due(over, NONE, 201.0 + outagealerts.OLD_S) is None


def test_only_the_newest_alert_is_concluded() -> None:
    second = told(AlertWord.BEGAN, AlertWord.RECOVERED)
    assert outagealerts.concluded(second, 1).waiting
    assert not outagealerts.concluded(second, 2).waiting


def test_it_is_one_line_that_says_what_to_do() -> None:
    outage = replace(OUT, requirements=("10.2.1", "10.7.2"), reason="auditd is\nstopped")
    text = outagealerts.sentence(outage, AlertWord.BEGAN)
    assert text == (
        "web1: Audit trail failed: auditd is stopped [10.2.1, 10.7.2]. What to do: start it"
    )
    made = outagealerts.made(outage, told(AlertWord.BEGAN), sender="web1")
    assert made.alert_id == "a1-1"
    assert made == outagealerts.made(outage, told(AlertWord.BEGAN), sender="web1")


@given(
    st.lists(
        st.tuples(
            st.sampled_from([Status.PASS, Status.PASS, Status.FAIL, Status.ERROR, None]),
            st.sampled_from([1.0, 10.0, 200.0, 400.0]),
        ),
        max_size=80,
    )
)
def test_however_it_flaps(looks: list[tuple[Status, float]]) -> None:
    """One alert of each outage's beginning, and at most four within a day."""
    host, alerted, sent = Looked(), dict[str, Alerted](), list[tuple[str, AlertWord]]()
    for status, after_s in looks:
        if status is None:
            host.restart()
            host.take()
        else:
            host.look(status, after_s)
        for name, outage in host.known.outages.items():
            word = outagealerts.due(outage, alerted.get(name, NONE), host.now)
            if word is not None:
                alerted[name] = outagealerts.after(alerted.get(name, NONE), word, host.now)
                sent.append((name, word))
            if not outage.ended:
                assert alerted[name].word not in (
                    "",
                    "recovered",
                )  # an open outage is alerted at once
    for name in host.known.outages:
        words = [word for of, word in sent if of == name and word is not AlertWord.LASTS]
        assert words.count(AlertWord.BEGAN) == 1
        assert words[0] is AlertWord.BEGAN
        assert len(words) <= 4
        assert all(one is not other for one, other in zip(words, words[1:]))
