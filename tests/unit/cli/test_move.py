"""`hullmark move`"""

from __future__ import annotations

import pytest

from hullmark.cli import arrival, polling
from hullmark.model.explanation import (
    Explanation,
    Refusal,
    ServiceExplanation,
    SlotExplanation,
)
from hullmark.model.move import MoveAnswer, MovedSlot
from hullmark.model.observed import Phase
from tests.unit.cli import answers
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster, Raw, refusal

MOVE = "POST /v1/apps/shop/move"
APP = "GET /v1/apps/shop"
ANSWER = MoveAnswer("shop", (MovedSlot("shop/web.1", "web3", "web7", ("volume data",)),))
HERE = answers.detail(1, instances=(answers.instance(),))
STARTING = answers.detail(
    2,
    "changing",
    instances=(
        answers.instance(phase=Phase.STARTING, host="web7"),
        answers.instance(removing=True),
    ),
)
THERE = answers.detail(3, instances=(answers.instance(host="web7"),))


def test_move_waits_until_it_serves_elsewhere(master: FakeMaster, run: Run) -> None:
    master.answers = {MOVE: ANSWER, APP: [HERE, STARTING, THERE]}
    done = run("move", "shop/web.1", "--to", "web7", "--accept-data-loss", "--ticket", "T")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "shop/web.1  leaves web3 for web7\n  left there: volume data\ndone in 0 s\n"
    )
    sent = master.requests[0].body
    assert len(sent.pop("request_id")) == 32
    assert sent == {
        "service": "web",
        "slot": 1,
        "to": "web7",
        "accept_data_loss": True,
        "ticket": "T",
    }
    assert len(master.requests) == 4


def test_without_waiting(master: FakeMaster, run: Run) -> None:
    master.answers[MOVE] = MoveAnswer("shop", (MovedSlot("shop/web.1", "web3"),))
    done = run("move", "shop/web", "--no-wait")
    assert done.code == 0
    assert done.out == (
        "shop/web.1  leaves web3 for another host\nnot waited for; see hullmark ps shop\n"
    )
    assert run("move", "shop/web", "--no-wait", "--quiet").out == ""


def test_time_is_over(master: FakeMaster, run: Run) -> None:
    master.answers = {MOVE: ANSWER, APP: HERE}
    done = run("move", "shop/web", "--timeout", "0")
    assert done.code == 1
    assert done.err == (
        "shop/web.1 is not elsewhere yet; it goes once a host fits it\n"
        "  what to do: hullmark explain shop/web\n"
    )
    document = run("move", "shop/web", "--timeout", "0", "-o", "json").document
    assert (document["outcome"], document["waiting"]) == ("timeout", ["shop/web.1"])


def test_what_is_withdrawn_is_not_waited_for(master: FakeMaster, run: Run) -> None:
    moved = MovedSlot("shop/web.1", "web3", "web3", withdrawn=True)
    master.answers[MOVE] = MoveAnswer("shop", (moved,))
    done = run("move", "shop/web", "--to", "web3")
    assert (done.code, done.out) == (0, "shop/web.1  stays on web3\ndone in 0 s\n")


def test_as_json(master: FakeMaster, run: Run) -> None:
    master.answers = {MOVE: ANSWER, APP: THERE}
    document = run("move", "shop/web", "-o", "json").document
    assert document.pop("seconds") < 5
    assert document == {
        "schema": "hullmark.move/1",
        "app": "shop",
        "changed": True,
        "slots": [
            {
                "name": "shop/web.1",
                "leaves": "web3",
                "to": "web7",
                "data": ["volume data"],
                "withdrawn": False,
            }
        ],
        "outcome": "settled",
        "waiting": [],
    }


def test_a_wait_outlives_a_master_that_is_restarted(
    master: FakeMaster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "PAUSE_S", 0.01)
    master.answers = {MOVE: ANSWER, APP: [Raw(b""), THERE]}
    assert run("move", "shop/web").code == 0


def test_a_slot_that_fits_nowhere_is_not_waited_for(
    master: FakeMaster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrival, "STUCK_S", 0.02)
    refused = (Refusal("memory", "memory: need 2 GiB", ("web7",), "web7, free 1 GiB"),)
    slot = SlotExplanation("shop/web.1", 1, 1, "web3", "moved away", refused)
    service = ServiceExplanation("web", 1, 1, 1, (slot,))
    master.answers = {
        MOVE: ANSWER,
        APP: HERE,
        "GET /v1/apps/shop/explain": Explanation("shop", "running", 1, 2, (service,)),
    }
    done = run("move", "shop/web")
    holds = [float(one.query.get("hold_s", 0)) for one in master.asked("GET")]
    assert max(holds) <= 0.02, "it does not wait for news that may never come"
    assert done.code == 1
    assert "shop/web.1 is not elsewhere yet" in done.err
    assert run("move", "shop/web", "-o", "json").document["outcome"] == "unplaced"


def test_a_slot_whose_host_is_the_only_one_left_is_not_waited_for(
    master: FakeMaster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No host refuses it then."""
    monkeypatch.setattr(arrival, "STUCK_S", 0.02)
    slot = SlotExplanation("shop/web.1", 1, 1, "web3", "moved away; there is no other host")
    service = ServiceExplanation("web", 1, 1, 1, (slot,))
    master.answers = {
        MOVE: ANSWER,
        APP: HERE,
        "GET /v1/apps/shop/explain": Explanation("shop", "degraded", 1, 1, (service,)),
    }
    done = run("move", "shop/web", "--timeout", "5s", "-o", "json")
    assert (done.code, done.document["outcome"]) == (1, "unplaced")


def test_a_slot_that_is_under_way_is_waited_for(
    master: FakeMaster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrival, "STUCK_S", 0.0)
    service = ServiceExplanation("web", 1, 0, 0)
    master.answers = {
        MOVE: ANSWER,
        APP: [HERE, STARTING, THERE],
        "GET /v1/apps/shop/explain": Explanation("shop", "changing", 1, 2, (service,)),
    }
    assert run("move", "shop/web").code == 0


def test_an_app_that_is_removed_meanwhile(master: FakeMaster, run: Run) -> None:
    master.answers = {MOVE: ANSWER, APP: [HERE, refusal("NotFound", "there is no app", 404)]}
    assert run("move", "shop/web").code == 1


def test_a_refusal_says_what_would_be_left(master: FakeMaster, run: Run) -> None:
    text = "nothing is copied, so this would be left behind:\nshop/db.1 on web3: volume data"
    master.answers[MOVE] = refusal("Conflict", text, 409, "save it, then say --accept-data-loss")
    done = run("move", "shop/db")
    assert (done.code, done.out) == (2, "")
    assert "          shop/db.1 on web3: volume data\n" in done.err


@pytest.mark.parametrize("what", ["shop", "shop/", "/web", "shop/web.x y"])
def test_what_is_no_target(run: Run, what: str) -> None:
    assert run("move", what).code == 64


def test_what_is_no_host(run: Run) -> None:
    assert run("move", "shop/web", "--to", "Web 7").code == 64
