"""`hullmark explain`"""

from __future__ import annotations

import dataclasses

import pytest

from hullmark.model.explanation import (
    Explanation,
    Refusal,
    ServiceExplanation,
    SlotExplanation,
)
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster, refusal

PATH = "GET /v1/apps/shop/explain"
SLOT = SlotExplanation(
    "shop/api.4",
    4,
    7,
    "",
    "no host fits",
    (
        Refusal("constraint", "constraint node.labels.scope == cde", ("a",) * 18, "a"),
        Refusal("memory", "memory: need 2 GiB", ("w",) * 9, "web7, free 1.4 GiB"),
        Refusal(
            "max_replicas_per_node", "max_replicas_per_node: 1 there already", ("w1", "w2"), "w1"
        ),
        Refusal("availability", "in maintenance", ("web3",), "web3, 40 min left"),
    ),
    "web3, once it is no longer in maintenance",
    ("hullmark maintenance end web3", "hullmark scale shop/api=3"),
)
API = ServiceExplanation("api", 4, 3, 3, (SLOT,))
WEB = ServiceExplanation("web", 2, 2, 2)
JOB = ServiceExplanation("job", 1, 0, 0)
SHOP = Explanation("shop", "degraded", 7, 30, (API, JOB, WEB))


def test_explain_as_people_read_it(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = SHOP
    done = run("explain", "shop")
    assert (done.code, done.err) == (1, "")
    assert done.out == (
        "shop  degraded, generation 7\n"
        "shop/api  3 of 4 running\n"
        "  slot 4: no host fits\n"
        "  30 hosts:  18 constraint node.labels.scope == cde\n"
        "              9 memory: need 2 GiB (web7, free 1.4 GiB)\n"
        "              2 max_replicas_per_node: 1 there already\n"
        "              1 web3: in maintenance, 40 min left\n"
        "  Nearest: web3, once it is no longer in maintenance\n"
        "  Or:      hullmark maintenance end web3\n"
        "           hullmark scale shop/api=3\n"
        "shop/job  completed\n"
        "shop/web  2 of 2 running\n"
    )
    assert master.requests[0].query == {}


def test_of_one_service_only(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = Explanation("shop", "degraded", 7, 30, (WEB,))
    done = run("explain", "shop/web")
    assert (done.code, done.out.splitlines()[1:]) == (0, ["shop/web  2 of 2 running"])
    assert master.requests[0].query == {"service": "web"}
    run("explain", "shop/web.1")
    assert master.requests[1].query == {"service": "web.1"}, "the master knows its services' names"


def test_slots_that_lack_the_same_are_one(master: FakeMaster, run: Run) -> None:
    slots = tuple(dataclasses.replace(SLOT, name=f"shop/api.{n}", slot=n) for n in (2, 3, 4))
    api = dataclasses.replace(API, slots=slots)
    master.answers[PATH] = Explanation("shop", "degraded", 7, 30, (api,))
    out = run("explain", "shop").out
    assert "  slots 2 to 4: no host fits\n" in out
    assert out.count("30 hosts:") == 1


def test_what_is_kept_on_its_host(master: FakeMaster, run: Run) -> None:
    why = "its host web3 is lost and its data is there"
    slot = SlotExplanation(
        "shop/db.1",
        1,
        7,
        "web3",
        why,
        nearest="web3, once it is heard again",
        commands=("hullmark move shop/db.1 --accept-data-loss",),
    )
    db = ServiceExplanation("db", 1, 0, 0, (slot,))
    master.answers[PATH] = Explanation("shop", "degraded", 7, 3, (db,), ("2 of 3 are silent",))
    assert run("explain", "shop").out == (
        "shop  degraded, generation 7\n"
        "  2 of 3 are silent\n"
        "shop/db  0 of 1 running\n"
        f"  slot 1 on web3: {why}\n"
        "  Nearest: web3, once it is heard again\n"
        "  Or:      hullmark move shop/db.1 --accept-data-loss\n"
    )


def test_what_fits_no_host_at_all(master: FakeMaster, run: Run) -> None:
    slot = SlotExplanation("shop/log", 0, 1, "", "no host is enrolled")
    log = ServiceExplanation("log", 0, 0, 0, (slot,))
    master.answers[PATH] = Explanation("shop", "degraded", 1, 0, (log,))
    assert run("explain", "shop").out.splitlines()[1:] == [
        "shop/log  0 of 0 running",
        "  no host is enrolled",
    ]


def test_many_groups_are_cut(master: FakeMaster, run: Run) -> None:
    slots = tuple(SlotExplanation(f"shop/api.{n}", n, 1, f"h{n}", "why") for n in range(1, 21))
    api = dataclasses.replace(API, slots=slots, serving=1)
    master.answers[PATH] = Explanation("shop", "degraded", 1, 20, (api,))
    lines = run("explain", "shop").out.splitlines()
    assert lines[1] == "shop/api  3 of 4 running, 1 of them serve"
    assert (len(lines), lines[-1]) == (11, "  and 12 more slots: hullmark ps shop")
    assert len(run("explain", "shop", "-o", "json").document["services"][0]["slots"]) == 20


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (Explanation("shop", "running", 7, 3, (WEB, JOB)), 0),
        (Explanation("shop", "running", 7, 3, (WEB,), ("a stopped change",)), 1),
        (Explanation("shop", "failed", 7, 3, (WEB,)), 1),
        (SHOP, 1),
    ],
)
def test_the_exit_code_says_whether_all_is_well(
    master: FakeMaster, run: Run, found: Explanation, code: int
) -> None:
    master.answers[PATH] = found
    assert run("explain", "shop").code == code
    done = run("explain", "shop", "-o", "json")
    assert (done.code, done.document["schema"]) == (code, "hullmark.explain/1")


def test_a_narrow_terminal(master: FakeMaster, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hullmark.cli.commands.explain.width", lambda: 60)
    master.answers[PATH] = dataclasses.replace(SHOP, notes=("a word " * 20,))
    assert max(map(len, run("explain", "shop").out.splitlines())) <= 60


def test_what_there_is_not(master: FakeMaster, run: Run) -> None:
    master.answers[PATH] = refusal("NotFound", "app shop has no service x", 404)
    assert run("explain", "shop/x").code == 2
    assert run("explain", "Shop!").code == 64
