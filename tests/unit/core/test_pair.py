"""How the cluster stands, as each of its masters tells it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hullmark.core.pair import ASK_AGAIN, Known, Seat, cluster_status
from hullmark.model.api import AppSummary, ClusterStatus, HostGroup, HostView
from hullmark.model.epoch import Epoch
from hullmark.model.records import LeaderRecord
from hullmark.model.redundancy import StoreCondition
from tests.unit.core.test_redundancy import LEADER, PAIR, etcd
from tests.unit.core.test_standing import CHANGE, one_host

RECORD = LeaderRecord(Epoch(1, 41), "m1", "10.0.0.1:7441", 0.0, "aa", "10.0.0.1:7442")
APPS = (AppSummary("shop", "running", 1, CHANGE),)
KNOWN = Known(one_host(), (HostView("h1", "h1", "ready", 0.5),), APPS, 0)
SEAT = Seat("c1", RECORD, 90.04321, store="etcd", masters=PAIR, condition=etcd())
STANDBY = dataclasses.replace(SEAT, why_not="m1 leads")


def told(seat: Seat = SEAT, known: Any = KNOWN, **more: Any) -> ClusterStatus:
    return cluster_status(dataclasses.replace(seat, **more), known, "0.4.0")


def test_a_leader_of_a_whole_pair() -> None:
    found = told(masters=(PAIR[1], PAIR[0]))
    assert (found.state, found.notes, found.next) == ("ok", (), "")
    assert (found.master, found.epoch, found.leading_s) == ("m1", "1.41", 90.043)
    assert (found.hosts_total, found.hosts_ready, found.apps_total, found.apps_ok) == (1, 1, 1, 1)
    assert found.hosts == (HostGroup("ok", 1),)
    assert found.masters == PAIR, "the leader comes first"
    assert found.redundancy == "any one machine may be lost; running apps unaffected"
    assert (found.known, found.read_only, found.stale_s) == (True, "", 0.0)


def test_lost_redundancy_degrades_and_says_what_to_type() -> None:
    found = told(condition=etcd(2))
    assert (found.state, found.notes) == ("degraded", ("apps fine; redundancy lost",))
    assert found.next == "systemctl status etcd   (on w1)"
    assert found.redundancy == "one more loss -> read-only; running apps unaffected"
    failing = dataclasses.replace(KNOWN, apps=(AppSummary("shop", "failed", 1, CHANGE),))
    found = told(known=failing, masters=(LEADER,))
    assert found.notes == ("redundancy lost", "app shop failed: ")
    assert found.next == "hullmark ps shop"
    assert told(masters=(LEADER,)).next.startswith("hullmark master invite NAME")


def test_masters_of_different_versions_are_worth_knowing() -> None:
    masters = [
        dataclasses.replace(view, version=version)
        for view, version in zip(PAIR, ("0.5.0", "0.4.0"))
    ]
    found = told(masters=tuple(masters))
    assert (found.state, found.notes) == (
        "ok",
        ("the masters run different versions: m1 0.5.0, m2 0.4.0",),
    )


def test_troubles_of_the_store_are_notes() -> None:
    found = told(condition=etcd(troubles=("NOSPACE on m1",), remedies=("etcdctl defrag",)))
    assert (found.state, found.notes, found.next) == (
        "degraded",
        ("NOSPACE on m1",),
        "etcdctl defrag",
    )


def test_one_master_with_an_embedded_store_lacks_nothing() -> None:
    found = told(store="sqlite", masters=(LEADER,), condition=StoreCondition("sqlite"))
    assert (found.state, found.notes, found.redundancy) == ("ok", (), "")
    full = told(store="sqlite", condition=StoreCondition("sqlite"), store_trouble="disk full")
    assert full.state == "failed"
    assert full.notes == ("the store does not answer, nothing can be changed: disk full",)
    assert full.store == "sqlite: disk full"


@pytest.mark.parametrize("known", [KNOWN, None])
def test_a_standby_that_cant_reach_its_leader(known: Any) -> None:
    found = told(STANDBY, known, stale_s=3.0)
    assert found.state == "degraded"
    assert found.notes == (
        "this master is the standby, and can't reach the leader m1",
        "hosts and apps are not known to this master now; they go on"
        if known is None
        else "hosts and apps are shown as they were 3 s ago",
    )
    assert found.next == "hullmark status --master https://10.0.0.1:7442"
    assert (found.master, found.epoch, found.known) == ("m1", "1.41", known is not None)
    nowhere = dataclasses.replace(RECORD, api_address="")
    assert told(STANDBY, known, leader=nowhere).next == ASK_AGAIN


def test_a_master_that_the_store_named_last_and_that_leads_no_more() -> None:
    why = "the store took no sign of life for 2.7 s"
    found = told(why_not=why, master=RECORD.master)
    assert (found.state, found.master) == ("failed", "")
    assert found.notes[0] == f"this master leads no more: {why}"
    assert found.next == ASK_AGAIN
    assert told(master=RECORD.master).master == RECORD.master, "while it leads"


def test_a_standby_while_none_leads() -> None:
    for leader in (None, dataclasses.replace(RECORD, master="")):
        found = told(STANDBY, None, leader=leader, why_not="it waits 1 s more", masters=())
        assert found.state == "failed"
        assert found.notes[0] == "no master leads; this one does not: it waits 1 s more"
        assert found.master == ""


def test_a_master_that_lost_the_store_shows_what_it_knew() -> None:
    lost = etcd(1, troubles=("no majority",), remedies=("start etcd on m2 or w1",))
    why = "the store does not answer"
    found = told(STANDBY, why_not=why, read_only=why, stale_s=40.0, condition=lost)
    assert found.state == "failed"
    assert found.notes[:2] == (
        "nothing can be changed: the store does not answer",
        "hosts and apps are shown as they were 40 s ago",
    )
    assert found.next == "start etcd on m2 or w1"
    assert (found.read_only, found.stale_s) == (why, 40.0)
    assert found.redundancy == "read-only now; running apps unaffected"
    silent = told(STANDBY, why_not=why, read_only=why, condition=None)
    assert silent.next == "look at the store; running apps go on"
