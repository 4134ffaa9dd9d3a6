"""`hullmark drill failover` and `hullmark master step-down`, against a pair that moves as it is told."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hullmark.cli import drilling, marking, steppingdown
from hullmark.model.api import AppList, ClusterStatus, HostList, InstanceList
from hullmark.model.drill import MarkAnswer, StepDownAnswer
from hullmark.model.redundancy import MasterView, StoreCondition, StoreMember
from tests.unit.cli import answers
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster, Raw, Reply, Request, refusal

MEMBERS = tuple(StoreMember(name, f"https://{name}:2379", True) for name in ("m1", "m2", "w1"))
BEFORE = dataclasses.replace(
    answers.STATUS,
    epoch="1.9",
    store="etcd",
    masters=(MasterView("m1", "leader"), MasterView("m2", "standby", "m1 leads", 1.0)),
    store_condition=StoreCondition("etcd", True, MEMBERS),
)
AFTER = dataclasses.replace(
    BEFORE,
    master="m2",
    epoch="1.10",
    masters=(MasterView("m2", "leader"), MasterView("m1", "standby", "m2 leads", 1.0)),
)
RUNNING = (answers.instance(1), answers.instance(2))


@dataclass
class Pair:
    """m1 leads until it is asked to go; `away` marks then meet nobody. What is seen afterwards can be set."""

    after: ClusterStatus = AFTER
    instances: tuple[Any, ...] = RUNNING
    hosts: tuple[Any, ...] = (answers.HOST,)
    apps: tuple[Any, ...] = (answers.summary(),)
    away: int = 3
    gone: bool = False
    revision: int = 10
    stored: str = ""
    forgets: bool = False

    def put_on(self, master: FakeMaster) -> None:
        master.answers = {
            "GET /v1/status": lambda _: self.after if self.gone else BEFORE,
            "GET /v1/hosts": lambda _: HostList(self.hosts if self.gone else (answers.HOST,)),
            "GET /v1/instances": lambda _: InstanceList(self.instances if self.gone else RUNNING),
            "GET /v1/apps": lambda _: AppList(self.apps),
            "POST /v1/master/mark": self._mark,
            "POST /v1/master/step-down": self._go,
            "POST /v1/master/kill": self._go,
        }

    def _go(self, request: Request) -> Reply:
        self.gone = True
        if self.forgets:
            self.stored = self.stored.rpartition(".")[0] + ".0"  # an older one of the same drill
        return StepDownAnswer(True, "m1", request.body["epoch"], "m2", "anna")

    def _mark(self, request: Request) -> Reply:
        if self.gone and self.away:
            self.away -= 1
            return (Raw(b""), refusal("StaleEpoch", "m1 leads no more", 421))[self.away % 2]
        leader = self.after if self.gone else BEFORE
        self.revision += 1
        former, self.stored = self.stored, request.body["mark"]
        return MarkAnswer(leader.master, leader.epoch, self.revision, former)


@pytest.fixture(autouse=True)
def _in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in (
        (drilling, "BEFORE_S", 0.1),
        (drilling, "AFTER_S", 0.02),
        (drilling, "PAUSE_S", 0.01),
        (marking, "PAUSE_S", 0.01),
        (steppingdown, "PAUSE_S", 0.01),
    ):
        monkeypatch.setattr(module, name, value)


def drilled(run: Run, *more: str) -> Any:
    return run("drill", "failover", "--timeout", "1s", "-o", "json", *more)


def checks(document: Any) -> dict[str, bool]:
    return {check["what"]: check["passed"] for check in document["checks"]}


def test_a_drill_that_passes(master: FakeMaster, run: Run, tmp_path: Path) -> None:
    Pair().put_on(master)
    report = tmp_path / "drill.md"
    done = run("drill", "failover", "--ticket", "CHG-881", "--report", str(report))
    assert done.code == 0, done.out
    assert done.err.splitlines()[0] == "m1 leads in epoch 1.9: it is asked to hand over"
    assert report.read_text() == done.out
    assert "PASSED: another master took over" in done.out
    assert "- led before: m1, epoch 1.9" in done.out
    assert "- leads now: m2, epoch 1.10" in done.out
    assert re.search(r"^- by: anna on \S+, ticket CHG-881$", done.out, re.MULTILINE)
    assert "- running meanwhile: 2 instances on 1 host" in done.out
    assert done.out.count("- passed: ") == 5
    (asked,) = [one for one in master.requests if one.path == "/v1/master/step-down"]
    assert (asked.body["epoch"], asked.body["ticket"]) == ("1.9", "CHG-881")


def test_a_drill_as_a_document(master: FakeMaster, run: Run) -> None:
    Pair().put_on(master)
    done = drilled(run, "--unclean")
    found = done.document
    assert done.code == 0, found
    assert (found["schema"], found["kind"], found["outcome"]) == (
        "hullmark.drill/1",
        "kill",
        "passed",
    )
    assert (found["former"], found["leader"], found["epoch"]) == ("m1", "m2", "1.10")
    assert found["changed"] is True
    assert 0 < found["failover_s"] <= found["gap_s"] + 0.05
    assert found["tries"] == found["writes"] + 3
    assert all(checks(found).values())
    assert len(checks(found)) == 5
    assert [one.path for one in master.requests].count("/v1/master/kill") == 1


Change = Callable[[], Pair]
assert RUNNING[0].status is not None
RESTARTED = dataclasses.replace(
    RUNNING[0], status=dataclasses.replace(RUNNING[0].status, restarts=1)
)
ABSENT = dataclasses.replace(AFTER, masters=(MasterView("m2", "leader"),))
LAME = dataclasses.replace(
    AFTER, masters=(MasterView("m2", "leader"), MasterView("m1", "standby", "its disk is full"))
)
SILENT = dataclasses.replace(answers.HOST, state="silent")


@pytest.mark.parametrize(
    ("pair", "code", "what", "detail"),
    [
        (
            lambda: Pair(instances=(RESTARTED, RUNNING[1])),
            2,
            "no container was restarted or replaced",
            "not the same: shop/web.1 on web3",
        ),
        (
            lambda: Pair(instances=RUNNING[:1]),
            2,
            "no container was restarted or replaced",
            "not the same: shop/web.2 on web3",
        ),
        (
            lambda: Pair(hosts=(SILENT,)),
            1,
            "every host is heard by the new leader",
            "not heard: web3",
        ),
        (
            lambda: Pair(after=ABSENT),
            1,
            "redundancy is back",
            "m1 was not started again within ",
        ),
        (lambda: Pair(after=LAME), 1, "redundancy is back", "m1 is not ready: its disk is full"),
        (
            lambda: Pair(forgets=True),
            2,
            "no acknowledged write was lost",
            "missing afterwards: 1",
        ),
        (
            lambda: Pair(away=10**6),
            2,
            "another master leads, in a later epoch",
            "m1 in epoch 1.9, then m2 in epoch 1.10",
        ),
    ],
)
def test_a_drill_that_does_not_pass(
    master: FakeMaster, run: Run, pair: Change, code: int, what: str, detail: str
) -> None:
    moved = pair()
    moved.put_on(master)
    done = drilled(run)
    found = done.document
    assert done.code == code, found
    assert found["outcome"] == {1: "degraded", 2: "failed"}[code]
    told = {check["what"]: check["detail"] for check in found["checks"]}
    assert detail in told[what]
    if moved.away:
        assert found["failover_s"] is None
    else:
        assert [name for name, passed in checks(found).items() if not passed] == [what]


def test_a_failed_drill_as_a_person_reads_it(master: FakeMaster, run: Run) -> None:
    Pair(instances=RUNNING[:1], after=ABSENT).put_on(master)
    done = run("drill", "failover", "--timeout", "20ms")
    assert done.code == 2
    assert "FAILED: see below what did not hold." in done.out
    assert "- FAILED: no container was restarted or replaced (not the same: " in done.out
    assert "- not yet: redundancy is back (m1 was not started again" in done.out


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"master": ""}, "no master takes changes now"),
        ({"read_only": "the store is away"}, "no master takes changes now"),
        ({"store_condition": StoreCondition("sqlite")}, "with the store sqlite there is one"),
        ({"masters": BEFORE.masters[:1]}, "no standby is ready to follow"),
        (
            {
                "store_condition": StoreCondition(
                    "etcd", True, (*MEMBERS[:2], StoreMember("w1", "", False))
                )
            },
            "the store is not whole: silent w1",
        ),
    ],
)
def test_a_drill_is_refused_where_it_could_do_harm(
    master: FakeMaster, run: Run, change: dict[str, Any], why: str
) -> None:
    Pair().put_on(master)
    master.answers["GET /v1/status"] = dataclasses.replace(BEFORE, **change)
    done = drilled(run)
    assert (done.code, done.out) == (2, "")
    assert why in done.error["message"]
    assert master.asked("POST") == []


def test_one_master_alone_is_told_what_a_drill_takes(master: FakeMaster, run: Run) -> None:
    Pair().put_on(master)
    master.answers["GET /v1/status"] = dataclasses.replace(
        BEFORE, store="sqlite", store_condition=StoreCondition("sqlite")
    )
    assert "a pair of masters" in drilled(run).error["remedy"]


def test_a_drill_waits_for_hosts_and_apps(master: FakeMaster, run: Run) -> None:
    Pair(apps=(answers.summary("changing"),)).put_on(master)
    master.answers["GET /v1/hosts"] = HostList((SILENT,))
    message = drilled(run).error["message"]
    assert "hosts are not heard: web3" in message
    assert "apps are changing, so that their containers change too: shop" in message
    assert master.asked("POST") == []


def test_a_report_is_never_written_over(master: FakeMaster, run: Run, tmp_path: Path) -> None:
    Pair().put_on(master)
    report = tmp_path / "drill.md"
    report.write_text("mine")
    done = drilled(run, "--report", str(report))
    assert (done.code, done.error["error"]) == (2, "Conflict")
    done = drilled(run, "--report", str(tmp_path / "none" / "drill.md"))
    assert (done.code, done.error["error"]) == (2, "NotFound")
    assert report.read_text() == "mine"
    assert master.requests == []


def test_a_step_down_says_who_leads_now(master: FakeMaster, run: Run) -> None:
    Pair().put_on(master)
    done = run("master", "step-down", "--ticket", "CHG-1")
    assert done.code == 0
    assert done.out.startswith("m2  leads in epoch 1.10, after 0.")
    (asked,) = master.asked("POST")
    assert (asked.body["epoch"], asked.body["ticket"], asked.body.get("force", False)) == (
        "1.9",
        "CHG-1",
        False,
    )


def test_a_step_down_as_a_document(master: FakeMaster, run: Run) -> None:
    Pair().put_on(master)
    found = run("master", "step-down", "--force", "-o", "json").document
    assert found.pop("seconds") < 5
    assert found == {
        "schema": "hullmark.master-step-down/1",
        "changed": True,
        "former": "m1",
        "former_epoch": "1.9",
        "leader": "m2",
        "epoch": "1.10",
        "outcome": "settled",
    }
    assert master.asked("POST")[0].body["force"] is True


def test_a_step_down_that_nobody_follows(master: FakeMaster, run: Run) -> None:
    Pair(after=dataclasses.replace(BEFORE, master="")).put_on(master)
    done = run("master", "step-down", "--timeout", "20ms")
    assert done.code == 1
    assert done.out == ("m1  gave up epoch 1.9; no master leads after 0 s: hullmark status\n")
    Pair().put_on(master)
    done = run("master", "step-down", "--no-wait")
    assert (done.code, done.out) == (0, "m1  gives up epoch 1.9; not waited for\n")


def test_the_same_master_may_lead_again(master: FakeMaster, run: Run) -> None:
    Pair(after=dataclasses.replace(BEFORE, epoch="1.10")).put_on(master)
    assert run("master", "step-down", "--force").out.startswith("m1  leads again in epoch 1.10")


def test_nobody_can_step_down_where_none_leads(master: FakeMaster, run: Run) -> None:
    master.answers["GET /v1/status"] = dataclasses.replace(BEFORE, master="")
    done = run("master", "step-down", "-o", "json")
    assert (done.code, done.error["error"]) == (2, "StaleEpoch")
