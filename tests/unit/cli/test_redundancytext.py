"""The lines of `hullmark status` about masters and store."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hullmark.cli.redundancytext import lines
from hullmark.model.api import HostGroup
from hullmark.model.redundancy import MasterView, StoreCondition, StoreMember
from tests.unit.cli import answers
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster

MEMBERS = (
    StoreMember("m1", "https://m1:2379", True),
    StoreMember("m2", "https://m2:2379", True),
    StoreMember("w1", "https://w1:2379", False, silent_s=840.0),
)
CONDITION = StoreCondition("etcd", True, MEMBERS)
READY = MasterView("m2", "standby", "m1 leads", 1.0)
STATUS = dataclasses.replace(
    answers.STATUS,
    epoch="1.41",
    leading_s=12 * 86400.0,
    store="etcd",
    masters=(MasterView("m1", "leader"), READY),
    store_condition=CONDITION,
    redundancy="one more loss -> read-only; running apps unaffected",
)


def told(columns: int = 80, **more: Any) -> list[str]:
    return list(lines(dataclasses.replace(STATUS, **more), columns))


def test_status_of_a_pair_as_a_person_reads_it(master: FakeMaster, run: Run) -> None:
    master.answers["GET /v1/status"] = dataclasses.replace(
        STATUS,
        state="degraded",
        notes=("apps fine; redundancy lost",),
        next="systemctl status etcd   (on w1)",
        hosts=(HostGroup("ok", 28),),
    )
    done = run("status")
    assert done.code == 1
    assert done.out.splitlines() == [
        "DEGRADED  apps fine; redundancy lost",
        "leader    m1  epoch 1.41, 12 d        standby m2  ready",
        "store     etcd 2/3   witness w1 silent 14 min",
        "          one more loss -> read-only; running apps unaffected",
        "hosts     28 ok",
        "apps      1 ok",
        "next      systemctl status etcd   (on w1)",
    ]


def test_what_is_not_known_is_not_shown(master: FakeMaster, run: Run) -> None:
    blind = dataclasses.replace(STATUS, state="failed", known=False, hosts=(), next="wait")
    master.answers["GET /v1/status"] = blind
    assert [line.split()[0] for line in run("status").out.splitlines()] == [
        "FAILED",
        "leader",
        "store",
        "one",
        "next",
    ]


@pytest.mark.parametrize(
    ("view", "text"),
    [
        (READY, "standby m2  ready"),
        (dataclasses.replace(READY, why=""), "standby m2  ready"),
        (MasterView("m2", "absent", seen_s=180.0), "standby m2  absent 3 min"),
        (
            dataclasses.replace(READY, why="it can't reach the store"),
            "standby m2  not ready: it can't reach the store",
        ),
    ],
)
def test_why_a_standby_does_not_lead(view: MasterView, text: str) -> None:
    first = told(0, masters=(MasterView("m1", "leader"), view))[0]
    assert first == f"leader    m1  epoch 1.41, 12 d        {text}"


def test_a_narrow_terminal_has_the_standby_below() -> None:
    why = "it can't reach the store since 12:01"
    found = told(masters=(MasterView("m1", "leader"), dataclasses.replace(READY, why=why)))
    assert found[:2] == [
        "leader    m1  epoch 1.41, 12 d",
        f"          standby m2 not ready: {why}",
    ]


def test_while_none_leads_all_masters_are_shown() -> None:
    former = MasterView("m1", "absent", seen_s=30.0)
    assert told(0, master="", masters=(former, READY))[:2] == [
        "leader    none        standby m1  absent 30 s",
        "          standby m2  not ready: m1 leads",
    ]


def test_a_member_on_a_masters_machine_is_no_witness() -> None:
    silent = tuple(dataclasses.replace(one, answers=one.name != "m2") for one in MEMBERS)
    found = told(store_condition=dataclasses.replace(CONDITION, members=silent))
    assert found[1] == "store     etcd 2/3   member m2 silent 0 s"
    alone = told(masters=(MasterView("m1", "leader"),))
    assert alone[1] == "store     etcd 2/3   member w1 silent 14 min", "no pair, no witness"


def test_an_embedded_store_is_one_word() -> None:
    found = told(store="sqlite", store_condition=StoreCondition("sqlite"), redundancy="")
    assert found[1:] == ["store     sqlite"]
