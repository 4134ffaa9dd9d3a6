"""What redundancy a pair has left, what of it is lost, and when that is told."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hullmark.core.alerts import LASTS_S, Alert, Alerts, compare
from hullmark.core.redundancy import Redundancy, ready_standbys, redundancy, spare_members
from hullmark.model.event import Event
from hullmark.model.redundancy import MasterView, StoreCondition, StoreMember

LEADER = MasterView("m1", "leader")
STANDBY = MasterView("m2", "standby", "m1 leads", 1.5)
PAIR = (LEADER, STANDBY)


def etcd(answering: int = 3, total: int = 3, **more: Any) -> StoreCondition:
    members = [
        StoreMember(name, f"https://{name}:2379", place < answering, silent_s=840.0)
        for place, name in enumerate(("m1", "m2", "w1")[:total])
    ]
    return StoreCondition("etcd", answering > total // 2, tuple(members), **more)


def test_a_whole_pair_may_lose_any_one_machine() -> None:
    assert redundancy(PAIR, etcd()) == Redundancy(
        "any one machine may be lost; running apps unaffected"
    )
    assert ready_standbys(PAIR) == (STANDBY,)
    assert spare_members(etcd()) == 1


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_an_embedded_store_has_no_redundancy_to_lose(kind: str) -> None:
    assert redundancy((LEADER,), StoreCondition(kind)) == Redundancy()
    assert redundancy((), None) == Redundancy()
    full = StoreCondition(kind, troubles=("the disk is full",), remedies=("df /var/lib",))
    (trouble,) = redundancy((LEADER,), full).troubles
    assert (trouble.note, trouble.remedy) == ("the disk is full", "df /var/lib")


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        (etcd(2), "one more loss -> read-only; running apps unaffected"),
        (etcd(1), "read-only now; running apps unaffected"),
        (etcd(1, 1), "one loss -> read-only; running apps unaffected"),
        (etcd(2, 2), "one loss -> read-only; running apps unaffected"),
        (StoreCondition("etcd", quorum=False), "read-only now; running apps unaffected"),
    ],
)
def test_what_another_loss_of_the_store_would_do(condition: StoreCondition, left: str) -> None:
    assert redundancy(PAIR, condition).left == left


@pytest.mark.parametrize(
    ("masters", "left", "note", "remedy"),
    [
        (
            (LEADER,),
            "loss of m1 -> nothing can be changed; running apps unaffected",
            "there is no second master: nobody follows where this one is lost",
            "hullmark master invite NAME   (on the leader; then join with it on the second machine)",
        ),
        (
            (LEADER, MasterView("m2", "absent", seen_s=180.0)),
            "loss of m1 -> nothing can be changed; running apps unaffected",
            "master m2 not seen for 3 min",
            "systemctl status hullmark-master   (on m2)",
        ),
        (
            (LEADER, dataclasses.replace(STANDBY, seen_s=11.0)),
            "loss of m1 -> nothing can be changed; running apps unaffected",
            "master m2 not seen for 11 s",
            "systemctl status hullmark-master   (on m2)",
        ),
        (
            (LEADER, dataclasses.replace(STANDBY, why="it stepped down, and waits 20 s")),
            "loss of m1 -> nothing can be changed; running apps unaffected",
            "standby m2 is not ready: it stepped down, and waits 20 s",
            "systemctl status hullmark-master   (on m2)",
        ),
        (
            (MasterView("m1", "absent", seen_s=60.0), MasterView("m2", "standby")),
            "no master leads now; running apps unaffected",
            "master m1 not seen for 60 s",
            "systemctl status hullmark-master   (on m1)",
        ),
    ],
)
def test_what_is_lost_of_the_masters(
    masters: tuple[MasterView, ...], left: str, note: str, remedy: str
) -> None:
    found = redundancy(masters, etcd())
    assert found.left == left
    assert [(loss.note, loss.remedy) for loss in found.lost] == [(note, remedy)]


def test_a_silent_member_is_lost_redundancy_and_told_once() -> None:
    said = etcd(2, troubles=("member w1 does not answer", "NOSPACE on m1"), remedies=("look",))
    found = redundancy(PAIR, said)
    assert [(loss.code, loss.note, loss.remedy) for loss in found.lost] == [
        ("store member w1", "store member w1 silent 14 min", "systemctl status etcd   (on w1)")
    ]
    assert [(loss.note, loss.remedy) for loss in found.troubles] == [("NOSPACE on m1", "")]


def test_a_store_of_few_members_is_no_redundancy() -> None:
    (loss,) = redundancy(PAIR, etcd(2, 2)).lost
    assert loss.note == "the store has 2 members: none may be lost"


def told(alerts: Alerts, found: Redundancy, now: float) -> tuple[Alerts, list[str]]:
    alerts, news = compare(alerts, found, now, 1000.0 + now)
    return alerts, [f"{alert.kind} {alert.subject}: {alert.message}" for alert in news]


def test_a_loss_is_told_once_when_it_has_lasted_and_once_when_it_is_over() -> None:
    lost, whole = redundancy(PAIR, etcd(2)), redundancy(PAIR, etcd())
    alerts, news = told(Alerts(), lost, 0.0)
    assert news == []
    alerts, news = told(alerts, lost, LASTS_S - 0.1)
    assert news == []
    alerts, news = told(alerts, lost, LASTS_S)
    assert news == ["redundancy.lost store member w1: store member w1 silent 14 min"]
    for now in (LASTS_S + 1.0, 500.0):
        alerts, news = told(alerts, lost, now)
        assert news == []
    alerts, news = told(alerts, whole, LASTS_S + 600.0)
    assert news == ["redundancy.regained store member w1: it lasted 10 min"]
    assert told(alerts, whole, 700.0) == (Alerts(), [])


def test_what_is_soon_over_is_not_told_and_counts_anew() -> None:
    lost, whole = redundancy((LEADER,), etcd()), redundancy(PAIR, etcd())
    alerts, _ = told(Alerts(), lost, 0.0)
    alerts, news = told(alerts, whole, LASTS_S - 1.0)
    assert (alerts, news) == (Alerts(), [])
    alerts, _ = told(alerts, lost, LASTS_S)
    assert told(alerts, lost, 2 * LASTS_S - 1.0)[1] == []


def test_numbers_that_move_in_a_trouble_begin_no_new_one() -> None:
    alerts = Alerts()
    for now, days in ((0.0, 29), (LASTS_S, 28), (90_000.0, 27)):
        text = f"the certificate of https://10.0.0.1:2379 is good for {days} days more"
        alerts, news = told(alerts, redundancy(PAIR, etcd(troubles=(text,))), now)
        assert len(news) == (now == LASTS_S)
    other = "the certificate of https://10.0.0.2:2379 is good for 27 days more"
    alerts, news = told(alerts, redundancy(PAIR, etcd(troubles=(other,))), 90_001.0)
    assert news == ["store.trouble-over store: it lasted 25 h"], "another endpoint's is another one"


def test_a_new_leader_goes_on_where_the_former_one_was() -> None:
    lost, whole = redundancy(PAIR, etcd(2)), redundancy(PAIR, etcd())
    began = Alert(
        "redundancy.lost",
        "store member w1",
        "store member w1 silent 14 min",
        {"code": "store member w1", "remedy": "systemctl status etcd   (on w1)"},
    )
    _, (alert,) = compare(compare(Alerts(), lost, 0.0, 5.0)[0], lost, LASTS_S, 15.0)
    assert alert == began
    event = Event("e1", 15.0, began.kind, began.subject, "m1", began.message, "", began.fields)
    alerts = Alerts.of([event])
    assert told(alerts, lost, 0.0)[1] == []
    assert told(alerts, lost, LASTS_S)[1] == [], "it was told"
    alerts, (over,) = compare(alerts, whole, 1.0, 45.0)
    assert (over.kind, over.message, over.fields) == (
        "redundancy.regained",
        "it lasted 30 s",
        {"code": "store member w1", "lasted_s": "30"},
    )
    ended = Event("e2", 45.0, over.kind, over.subject, "m2", over.message, "", over.fields)
    assert Alerts.of([event, ended]) == Alerts() == alerts
