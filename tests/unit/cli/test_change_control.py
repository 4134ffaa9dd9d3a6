"""Change control at the terminal: a change that waits, its approval, the rules, break-glass."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hullmark.model.api import ApplyAnswer, HostList, InviteAnswer
from hullmark.model.changecontrol import (
    BreakGlassList,
    BreakGlassView,
    ChangeKind,
    ControlAnswer,
    ControlDocument,
    ControlRule,
    ControlView,
    DecisionAnswer,
    FreezeWindow,
    Held,
    PendingDetail,
    PendingList,
    PendingState,
    PendingView,
)
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster, Request, Status, refusal

ID = "3f9a01c2"
WAITS = PendingView(
    ID,
    "r1",
    ChangeKind.APPLY,
    "shop",
    "alice",
    "CHG-1",
    100.0,
    1_900_000_000.0,
    "cardholder apps",
    PendingState.WAITING,
    f"hullmark approve {ID}",
    summary=("replace service web: image",),
)
DONE = dataclasses.replace(
    WAITS, state=PendingState.DONE, decided_by="bob", decided_at=200.0, command=""
)
HELD = Status(202, Held(WAITS))
SCALE = ("scale", "shop/web=2")
SCALED = "POST /v1/apps/shop/scale"
GLASS = BreakGlassView(
    "5d0a11f7", "alice", "shop is down", "", 100.0, 1_900_000_000.0, "open", changes=("scaled",)
)
RULES = """\
timezone: Europe/Berlin
freezes:
  nights: {daily: 22:00-06:00, days: [mon, fri]}
rules:
  - name: all
    ticket: (a+)+
    approval: true
    freeze: [nights]
"""


def test_a_change_that_waits_says_so(master: FakeMaster, run: Run) -> None:
    master.answers[SCALED] = HELD
    done = run(*SCALE)
    assert (done.code, done.err) == (1, "")
    assert done.out.splitlines() == [
        "shop  apply waits for approval until 2030-03-17 17:46:40 (rule cardholder apps)",
        "  replace service web: image",
        f"next      another person, on a master: hullmark approve {ID}",
        f"          then: hullmark changes wait {ID}",
    ]
    found = run(*SCALE, "--output", "json")
    assert (found.code, found.document["schema"]) == (1, "hullmark.held/1")
    assert (found.document["change"], found.document["state"]) == (ID, "waiting")
    assert len(master.asked("GET")) == 0


def test_who_waits_for_it_goes_on_once_it_is_approved(master: FakeMaster, run: Run) -> None:
    sent: list[str] = []

    def scaled(request: Request) -> object:
        sent.append(request.body["request_id"])
        return HELD if len(sent) == 1 else ApplyAnswer("shop", 4, False)

    master.answers[SCALED] = scaled
    details = [PendingDetail(WAITS, 1), PendingDetail(WAITS, 2), PendingDetail(DONE, 3)]
    master.answers[f"GET /v1/changes/{ID}"] = details
    master.answers["GET /v1/apps/shop"] = refusal("NotFound", "gone", 404)
    done = run(*SCALE, "--wait", "--timeout", "5s")
    assert f"another person, on a master: hullmark approve {ID}" in done.err
    assert len(set(sent)) == 1
    assert len(sent) == 2


def test_who_waits_in_vain_is_told_that_it_waits(master: FakeMaster, run: Run) -> None:
    master.answers[SCALED] = HELD
    master.answers[f"GET /v1/changes/{ID}"] = PendingDetail(WAITS, 1)
    done = run(*SCALE, "--wait", "--timeout", "0.2s", "--output", "json")
    assert (done.code, done.err, done.document["schema"]) == (1, "", "hullmark.held/1")


def test_who_waits_for_what_is_refused_fails(master: FakeMaster, run: Run) -> None:
    master.answers[SCALED] = [HELD, refusal("Conflict", f"change {ID} was refused by bob", 409)]
    refused = dataclasses.replace(WAITS, state=PendingState.REFUSED)
    master.answers[f"GET /v1/changes/{ID}"] = PendingDetail(refused, 1)
    done = run(*SCALE, "--wait")
    assert done.code == 2
    assert f"change {ID} was refused by bob" in done.err


def test_approve(master: FakeMaster, run: Run) -> None:
    master.answers[f"POST /v1/changes/{ID}/approve"] = DecisionAnswer(DONE)
    done = run("approve", ID)
    assert done.code == 0
    assert done.out.splitlines() == [
        "shop  apply of alice approved, and done",
        "next      hullmark ps shop",
    ]
    assert run("approve", ID, "--output", "json").document["changed"]
    assert run("approve", "../apps").code == 64


def test_changes(master: FakeMaster, run: Run) -> None:
    master.answers["GET /v1/changes"] = PendingList((WAITS,))
    listed = run("changes")
    assert ID in listed.out
    assert "apply shop" in listed.out
    assert run("changes", "list", "--all").out == listed.out
    assert [each.query for each in master.asked("GET")] == [{}, {"all": "true"}]
    detail = PendingDetail(WAITS, 1, "generation 3 by carol", {"name": "shop"})
    master.answers[f"GET /v1/changes/{ID}"] = detail
    shown = run("changes", "show", ID).out
    assert "made for  generation 3 by carol" in shown
    assert f"another person than alice: hullmark approve {ID}" in shown
    assert run("changes", "show", ID, "-o", "json").document["shown"] == {"name": "shop"}
    assert run("changes", "wait", ID, "--timeout", "0.1s").code == 1
    master.answers[f"GET /v1/changes/{ID}"] = PendingDetail(DONE, 2)
    assert run("changes", "wait", ID).code == 0
    refused = dataclasses.replace(WAITS, state=PendingState.REFUSED)
    master.answers[f"GET /v1/changes/{ID}"] = PendingDetail(refused, 2)
    assert run("changes", "wait", ID).code == 2
    master.answers[f"POST /v1/changes/{ID}/refuse"] = DecisionAnswer(refused)
    assert run("changes", "refuse", ID, "--reason", "no").out == "shop  apply of alice refused\n"
    assert master.asked("POST")[0].body["reason"] == "no"
    master.answers["GET /v1/changes"] = PendingList(())
    assert run("changes").out == "no change waits for approval\n"


def test_a_secret_is_collected_alone(master: FakeMaster, run: Run) -> None:
    master.answers["GET /v1/hosts"] = HostList(())
    master.answers["POST /v1/invites"] = HELD
    assert run("invite", "web3", "--ticket", "CHG-1").code == 1
    body = master.asked("POST")[0].body
    assert (body["ticket"], len(body["request_id"])) == ("CHG-1", 32)
    master.answers[f"POST /v1/changes/{ID}/collect"] = InviteAnswer("web3", "hmi1.x", 1.0)
    assert run("changes", "collect", ID).out == "hmi1.x\n"


def test_rules_of_a_file(master: FakeMaster, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    wrong = {
        "error": "InvalidInput",
        "message": "wrong",
        "problems": [{"message": "a bracket is repeated", "field": "rules[0].ticket"}],
    }
    master.answers["PUT /v1/change-control"] = Status(400, wrong)
    done = run("change-control", "apply", str(file), "--ticket", "CHG-1")
    assert done.code == 2
    assert f"{file}:6: rules[0].ticket: a bracket is repeated" in done.err
    sent = master.asked("PUT")[0].body
    assert sent["document"]["timezone"] == "Europe/Berlin"
    assert sent["document"]["rules"][0]["freeze"] == ["nights"]
    master.answers["PUT /v1/change-control"] = ControlAnswer(True, 1, ("rule 'x' is idle",))
    done = run("change-control", "apply", str(file), "--ticket", "CHG-1")
    assert done.out == "change control  applied, 1 rule\n"
    assert "warning: rule 'x' is idle" in done.err


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rules:\n  - name: a\n    aproval: true\n", ":3: rules[0].aproval: unknown key"),
        ("rules:\n  - apps: [a]\n", ":2: rules[0]: a rule without a name"),
        ("rules: 7\n", ":1: rules: bad value"),
        ("pending_for: 7\n", ":1: pending_for: bad value"),
        ("freezes:\n  n: {dayly: x}\n", ":2: freezes.n.dayly: unknown key"),
        ("freezes:\n  n: soon\n", ":2: freezes.n: bad value"),
        ("- a\n", ":1: not a mapping"),
    ],
)
def test_what_is_wrong_with_a_file(
    master: FakeMaster, run: Run, tmp_path: Path, text: str, problem: str
) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    done = run("change-control", "apply", str(file))
    assert done.code == 2
    assert problem in done.err
    assert not master.requests


def test_the_rules_as_they_hold(master: FakeMaster, run: Run) -> None:
    document = ControlDocument(
        (ControlRule("all", ("pay-*",), (), "CHG-[0-9]+", True, ("nights",)), ControlRule("rest")),
        (FreezeWindow("nights", "22:00-06:00", ("mon",)),),
    )
    view = ControlView(True, document, "alice", 100.0, "CHG-1", ("nights",), ())
    master.answers["GET /v1/change-control"] = view
    assert run("change-control", "show").out.splitlines()[1:] == [
        "waiting changes expire after 1d; break-glass for 4h at most",
        "rule all: apps pay-*; any change; ticket CHG-[0-9]+; a second person; none in nights",
        "rule rest: any change; nothing is asked",
        "freeze nights: 22:00-06:00 on mon UTC  FROZEN NOW",
    ]
    master.answers["GET /v1/change-control"] = ControlView(False)
    assert "there is no change control" in run("change-control", "show").out
    master.answers["DELETE /v1/change-control"] = ControlAnswer(True, 0)
    assert "removed" in run("change-control", "remove", "--ticket", "CHG-1").out


def test_break_glass(master: FakeMaster, run: Run) -> None:
    master.answers["POST /v1/break-glass"] = GLASS
    done = run("break-glass", "open", "--reason", "shop is down", "--for", "30m")
    assert "break-glass 5d0a11f7 of alice  OPEN until" in done.out
    assert master.asked("POST")[0].body["for_s"] == 1800
    master.answers["GET /v1/break-glass"] = BreakGlassList((GLASS,))
    assert "shop is down" in run("break-glass").out
    assert "  scaled" in run("break-glass", "show", "5d0a11f7").out
    assert run("break-glass", "show", "other").code == 64
    master.answers["POST /v1/break-glass/5d0a11f7/close"] = GLASS
    assert "closed; another person" in run("break-glass", "close", "5d0a11f7").out
    signed = dataclasses.replace(GLASS, state="signed off", signed_by="bob")
    master.answers["POST /v1/break-glass/5d0a11f7/sign-off"] = signed
    assert "signed off by bob" in run("break-glass", "sign-off", "5d0a11f7").out
    noted = dataclasses.replace(signed, ticket="INC-7", note="CHG-902 filed after")
    master.answers["GET /v1/break-glass"] = BreakGlassList((noted,))
    shown = run("break-glass", "show", "5d0a11f7").out
    assert "  ticket INC-7\n  note CHG-902 filed after\n" in shown
    run("break-glass", "open", "--reason", "shop is down")
    assert "for_s" not in master.asked("POST")[-1].body, "the leader knows how long it may be"
    assert run("break-glass", "open").code == 64
