"""`hullmark rollout`, and waits for changes that are stopped or taken back."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hullmark.cli import patience
from hullmark.model.api import AppDetail, ApplyAnswer
from hullmark.model.observed import Phase
from hullmark.model.records import Rollout, RolloutState
from hullmark.model.rollout import (
    GenerationView,
    HistoryList,
    RolloutAnswer,
    RolloutView,
    ServiceRollout,
)
from tests.unit.cli import answers
from tests.unit.cli.answers import CHANGE
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster

STATUS = "GET /v1/apps/shop/rollout"
ACT = "POST /v1/apps/shop/rollout"
APPLY = "PUT /v1/apps/shop"
APP = "GET /v1/apps/shop"
WEB = ServiceRollout("web", 5, 4, 2, 1, 1, 0, 2, 0, 0, "web.2 has to serve for 3 s more")
ROLLING = RolloutView("shop", 5, "rolling", CHANGE, 7, 4, services=(WEB,))
DONE = dataclasses.replace(ROLLING, state="done", version=8, good=5)
WHY = "web.1 on web3: ended with exit code 1; 1 of 4 failed"
PAUSED = dataclasses.replace(ROLLING, state="paused", reason=WHY)


@pytest.fixture
def file(tmp_path: Path) -> str:
    found = tmp_path / "compose.yaml"
    found.write_text("name: shop\nservices: {web: {image: 'x:1'}}\n")
    return str(found)


def test_status_of_a_change_under_way(master: FakeMaster, run: Run) -> None:
    master.answers[STATUS] = ROLLING
    done = run("rollout", "status", "shop")
    assert done.code == 1
    assert done.out == (
        "shop  generation 5  rolling  by anna, ticket CHG-881\n"
        "SERVICE  UPDATED  GOOD  FAILED  OLD  NEXT\n"
        "web      2/4      1     0       2    web.2 has to serve for 3 s more\n"
    )
    assert len(master.requests) == 1


def test_status_of_a_paused_one_says_why_and_what_to_type(master: FakeMaster, run: Run) -> None:
    master.answers[STATUS] = PAUSED
    done = run("rollout", "status", "shop", "--wait")
    assert done.code == 1
    assert done.out.endswith(
        f"paused: {WHY}\n"
        "  what to do: hullmark rollout resume shop, or hullmark rollout undo shop\n"
    )


def test_status_waits(master: FakeMaster, run: Run) -> None:
    master.answers[STATUS] = [ROLLING, ROLLING, DONE]
    done = run("rollout", "status", "shop", "--wait", "-o", "json")
    assert done.code == 0
    assert (done.document["schema"], done.document["state"]) == ("hullmark.rollout/1", "done")
    assert done.document["services"][0]["next"] == WEB.next
    assert len(master.requests) == 3
    master.answers[STATUS] = ROLLING
    assert run("rollout", "status", "shop", "--wait", "--timeout", "0").code == 1


def test_status_of_what_was_taken_back(master: FakeMaster, run: Run) -> None:
    master.answers[STATUS] = dataclasses.replace(DONE, undid=4, rolled_back_to=3, reason=WHY)
    done = run("rollout", "status", "shop")
    assert done.code == 0
    assert f"generation 4 failed and is taken back: {WHY}" in done.out
    master.answers[STATUS] = dataclasses.replace(DONE, rolled_back_to=3)
    assert "  goes back to generation 3\n" in run("rollout", "status", "shop").out


def test_pause_and_resume(master: FakeMaster, run: Run) -> None:
    master.answers[ACT] = [
        RolloutAnswer("shop", 5, True, "paused"),
        RolloutAnswer("shop", 5, False, "paused"),
        RolloutAnswer("shop", 5, True, "rolling"),
    ]
    done = run("rollout", "pause", "shop", "--ticket", "T")
    assert (done.code, done.out) == (0, "shop  generation 5 is paused\n")
    sent = master.requests[0].body
    assert len(sent.pop("request_id")) == 32
    assert sent == {"action": "pause", "ticket": "T"}
    assert run("rollout", "pause", "shop").out == "shop  generation 5 is paused already\n"
    document = run("rollout", "resume", "shop", "-o", "json").document
    assert document["schema"] == "hullmark.rollout-change/1"
    assert (document["changed"], document["state"]) == (True, "rolling")
    assert master.requests[2].body["action"] == "resume"


def test_undo_waits_until_it_is_as_it_was(master: FakeMaster, run: Run) -> None:
    master.answers = {
        ACT: RolloutAnswer("shop", 6, True, "rolling", 4),
        APP: [
            answers.detail(1, "changing", 6),
            answers.detail(2, "running", 6, (answers.instance(), answers.instance(2))),
        ],
    }
    done = run("rollout", "undo", "shop", "--to", "4")
    assert (done.code, done.err) == (
        0,
        "shop/web.1 on web3: healthy\nshop/web.2 on web3: healthy\n",
    )
    assert done.out.startswith("shop  as in generation 4 again, generation 6; ok: 2 of 2")
    assert master.requests[0].body["to"] == 4
    master.answers[ACT] = RolloutAnswer("shop", 5, False, "done")
    done = run("rollout", "undo", "shop", "--no-wait")
    assert (done.code, done.out) == (0, "shop  unchanged, generation 5\n")


def test_history(master: FakeMaster, run: Run) -> None:
    first = GenerationView(
        4, CHANGE, state="done", differences=("create service web, 2 instances",)
    )
    second = GenerationView(5, dataclasses.replace(CHANGE, by="bob", ticket=""), 3, "now")
    master.answers["GET /v1/apps/shop/history"] = HistoryList("shop", (second, first))
    done = run("rollout", "history", "shop")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].split() == ["GENERATION", "STATE", "WHEN", "BY", "TICKET"]
    assert lines[1].startswith("5           now, as 3  ")
    assert lines[1].endswith("bob   -")
    assert lines[2].startswith("4           done       ")
    assert lines[3] == "  create service web, 2 instances"
    document = run("rollout", "history", "shop", "-o", "json").document
    assert [item["generation"] for item in document["generations"]] == [5, 4]


def with_rollout(
    state: RolloutState, *, generation: int = 3, word: str = "failed", **more: object
) -> AppDetail:
    found = answers.detail(2, word, generation, (answers.instance(phase=Phase.FAILED, why="bad"),))
    rollout = Rollout(generation, state, 2, WHY, services={"web": 2})
    return dataclasses.replace(found, rollout=dataclasses.replace(rollout, **more))  # type: ignore[arg-type]


def applied(master: FakeMaster, *details: AppDetail) -> None:
    master.answers = {APPLY: ApplyAnswer("shop", 3, True), APP: list(details)}


def test_apply_ends_where_the_change_is_stopped(master: FakeMaster, run: Run, file: str) -> None:
    applied(master, with_rollout(RolloutState.PAUSED))
    done = run("apply", file)
    assert done.code == 2
    assert "; STOPPED: " in done.out
    assert f"the change is paused: {WHY}\n" in done.err
    assert "what to do: hullmark logs shop; then hullmark rollout undo shop" in done.err
    applied(master, with_rollout(RolloutState.PAUSED))
    assert run("apply", file, "-o", "json").document["outcome"] == "stopped"


def test_apply_tells_that_it_was_taken_back(master: FakeMaster, run: Run, file: str) -> None:
    """What failed is not the end before the leader has said what becomes of it."""
    back = with_rollout(RolloutState.ROLLING, generation=4, word="changing", undid=3)
    applied(master, with_rollout(RolloutState.ROLLING), with_rollout(RolloutState.UNDOING), back)
    done = run("apply", file)
    assert (done.code, done.out) == (2, f"shop  generation 3 is taken back: {WHY}\n")
    assert "what to do: hullmark rollout status shop" in done.err
    applied(master, back)
    document = run("apply", file, "-o", "json").document
    assert (document["outcome"], document["replaced_by"]["reason"]) == ("undone", WHY)


def test_a_failure_that_stops_nothing_is_the_end_after_a_moment(
    master: FakeMaster, run: Run, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`failure_action: continue`, say."""
    monkeypatch.setattr(patience, "JUDGED_S", 0.1)
    master.answers = {
        APPLY: ApplyAnswer("shop", 3, True),
        APP: with_rollout(RolloutState.ROLLING),
    }
    done = run("apply", file)
    assert done.code == 2
    assert "FAILED" in done.out
    assert len(master.requests) > 2


def test_a_change_that_somebody_paused_is_waited_for(
    master: FakeMaster, run: Run, file: str
) -> None:
    paused = with_rollout(RolloutState.PAUSED, word="degraded", by="bob", reason="by bob")
    applied(master, paused)
    master.answers[APP] = paused
    done = run("apply", file, "--timeout", "0")
    assert done.code == 1
    assert "the change is paused: by bob\n" in done.err
