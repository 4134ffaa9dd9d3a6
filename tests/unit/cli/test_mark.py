"""The mark at the terminal: set, shown, how it stands, a person's word against it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hullmark.model.api import ApplyAnswer
from hullmark.model.loadline import (
    BrakeView,
    Lack,
    LoadLine,
    LoadLineAnswer,
    LoadLineView,
    MarkedHost,
    Miss,
    Override,
    Required,
)
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster, Status

LINE = LoadLine((Required("audit-trail"), Required("time", 3)), True)
MISS = Miss(
    "audit-trail",
    Lack.FAIL,
    'control "audit trail" FAILS',
    "audit-trail-auditd",
    "auditd is stopped",
    1.0,
    "o1",
    52,
)
WORD = Override("*", "ann", "INC-7", 100.0, 1_900_000_000.0, "shop")
SCOPE = (
    "scope cde requires container-routing, level 2 (self-report) at least: always, for "
    "x-hullmark.scope: cde"
)
VIEW = LoadLineView(
    True,
    LINE,
    "alice",
    100.0,
    "CHG-1",
    (WORD,),
    (BrakeView("time", 2, 6, ("shop/web",)),),
    (MarkedHost("web3", (MISS,)),),
    6,
    ("no host has a control nothing: nothing that needs it is placed",),
)


def test_it_is_set_from_a_file(master: FakeMaster, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "mark.yaml"
    file.write_text("require:\n  - control: time\n    level: 9\n")
    wrong = {
        "error": "InvalidInput",
        "message": "wrong",
        "problems": [{"message": "9", "field": "require[0].level"}],
    }
    master.answers["PUT /v1/mark"] = Status(400, wrong)
    done = run("mark", "set", str(file), "--ticket", "CHG-1")
    assert (done.code, f"{file}:3: require[0].level: 9" in done.err) == (2, True)
    assert master.asked("PUT")[0].body["line"] == {"require": [{"control": "time", "level": 9}]}
    master.answers["PUT /v1/mark"] = LoadLineAnswer(True, ("no host has a control time",))
    done = run("mark", "set", str(file))
    assert done.out == "mark  set, 1 control required\n"
    assert "warning: no host has a control time" in done.err


def test_a_wrong_file_is_not_sent(master: FakeMaster, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "mark.yaml"
    file.write_text("requires: [time]\n")
    done = run("mark", "set", str(file))
    assert done.code == 2
    assert f"{file}:1: requires: unknown key" in done.err
    assert not master.requests


def test_what_is_asked_for(master: FakeMaster, run: Run) -> None:
    master.answers["GET /v1/mark"] = VIEW
    done = run("mark", "show")
    head, *rest, scope, word = done.out.splitlines()
    assert scope == SCOPE
    assert head.endswith("by alice, ticket CHG-1")
    assert rest == [
        "require audit-trail",
        "require time, level 3 (canary) at least",
        "brake: more than 20 % of the hosts that would do fail one control",
        "drain: what may run elsewhere leaves a host that fails for 5m",
    ]
    assert word.startswith("override: every control is not asked for by app shop until ")
    assert word.endswith(": ann, ticket INC-7")
    assert "warning: no host has a control nothing" in done.err
    master.answers["GET /v1/mark"] = LoadLineView(False)
    said = run("mark", "show").out.splitlines()
    assert said == ["no mark is set; next: hullmark mark set FILE", SCOPE]


def test_how_it_stands(master: FakeMaster, run: Run) -> None:
    master.answers["GET /v1/mark"] = VIEW
    done = run("mark", "status")
    assert done.code == 1
    assert done.out.splitlines()[:5] == [
        "BRAKE: time fails on 2 of 6 hosts that would do; new work of shop/web waits",
        "  next: hullmark mark override time --ticket TEXT   (if the check is wrong)",
        "5 of 6 hosts prove what the cluster asks for",
        "HOST  LACKS        WHY",
        'web3  audit-trail  control "audit trail" FAILS (incident #52): auditd is stopped',
    ]
    master.answers["GET /v1/mark"] = LoadLineView(True, LINE, "a", 1.0, hosts_total=2)
    done = run("mark", "status")
    assert (done.code, done.out) == (0, "2 of 2 hosts prove what the cluster asks for\n")


def test_a_persons_word(master: FakeMaster, run: Run) -> None:
    master.answers["POST /v1/mark/override"] = LoadLineAnswer(True)
    done = run("mark", "override", "time")
    assert (done.code, "--ticket TEXT" in done.err) == (64, True)
    done = run("mark", "override", "time", "--ticket", "T", "--for", "2h", "--app", "shop")
    assert done.out == "mark  time is not asked for by app shop, for 2h\n"
    sent = master.asked("POST")[0].body
    assert (sent["control"], sent["for_s"], sent["app"], sent["ticket"]) == (
        "time",
        7200.0,
        "shop",
        "T",
    )
    master.answers["DELETE /v1/mark/override"] = LoadLineAnswer(True)
    assert run("mark", "override", "time", "--end").out == "mark  ended\n"
    master.answers["DELETE /v1/mark"] = LoadLineAnswer(True)
    assert "cleared" in run("mark", "clear").out


@pytest.mark.parametrize("past", [True, False])
def test_one_change_of_an_app_may_go_past_it(master: FakeMaster, run: Run, past: bool) -> None:
    master.answers["POST /v1/apps/shop/scale"] = ApplyAnswer("shop", 2, True)
    more = ("--override-mark", "--ticket", "T") if past else ()
    assert run("scale", "shop/web=2", "--no-wait", *more).code == 0
    assert master.asked("POST")[0].body.get("override_mark", False) is past
