"""`hullmark host` and `hullmark maintenance`"""

from __future__ import annotations

import dataclasses
import re
import time

import pytest

from hullmark.cli import draining
from hullmark.cli.draining import await_drained
from hullmark.model.api import HostList, HostView
from hullmark.model.explanation import Explanation, ServiceExplanation, SlotExplanation
from hullmark.model.host import Availability, Maintenance
from hullmark.model.hostlife import (
    HostChange,
    HostChanges,
    HostDetail,
    RemovedHost,
    StayingInstance,
)
from tests.unit.cli import answers
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster, refusal

AVAILABILITY = "POST /v1/availability"
DETAIL = "GET /v1/hosts/web3"
CORDONED = HostChange("web3", True, Availability.CORDONED, {"zone": "a"})
DRAINING = HostChange("web3", True, Availability.DRAINING)
VIEW = dataclasses.replace(answers.HOST, availability=Availability.DRAINING)


def detail(version: int, *left: str, **more: object) -> HostDetail:
    found = HostDetail(VIEW, 1700000000.0, (answers.instance(),), left, (), version)
    return dataclasses.replace(found, **more)  # type: ignore[arg-type]


def test_cordon_names_each_host_once(master: FakeMaster, run: Run) -> None:
    master.answers[AVAILABILITY] = HostChanges((CORDONED,))
    done = run("host", "cordon", "web3", "web3", "--ticket", "T")
    assert (done.code, done.out) == (0, "web3  cordoned  zone=a\n")
    sent = master.requests[0].body
    assert len(sent.pop("request_id")) == 32
    assert sent == {"hosts": ["web3"], "availability": "cordoned", "ticket": "T"}
    document = run("host", "uncordon", "web3", "-o", "json").document
    assert document["schema"] == "hullmark.host-change/1"
    assert master.requests[-1].body["availability"] == "active"


def test_a_name_that_is_none_is_refused_before_anything_is_asked(
    master: FakeMaster, run: Run
) -> None:
    for command in (["host", "drain"], ["host", "cordon"], ["maintenance", "end"]):
        assert run(*command, "web3", "Web_4").code == 64
    assert master.requests == []


def test_drain_waits_until_nothing_is_left(master: FakeMaster, run: Run) -> None:
    master.answers[AVAILABILITY] = HostChanges((DRAINING,))
    master.answers[DETAIL] = [detail(1, "shop/web.1"), detail(2)]
    done = run("host", "drain", "web3")
    assert done.code == 0
    assert done.err == "web3: 1 left: shop/web.1\nshop/web.1 is gone from web3, 0 left\n"
    assert done.out.startswith("web3: nothing left; done in ")
    assert master.requests[-1].query["after"] == "1"


def test_a_drain_says_what_stays_and_what_to_type(master: FakeMaster, run: Run) -> None:
    master.answers[AVAILABILITY] = HostChanges((DRAINING,))
    stays = (
        StayingInstance("shop/db.1", "local data"),
        StayingInstance("shop/log.1", "runs on every host"),
        StayingInstance("shop/queue.1", "on_host_lost: keep"),
    )
    master.answers[DETAIL] = detail(2, stays=stays)
    done = run("host", "drain", "web3")
    assert done.code == 1
    assert done.out == "web3: something stays, and runs on\n"
    assert done.err.splitlines() == [
        "shop/db.1 stays on web3: local data",
        "  to give it another host: hullmark move shop/db.1 --accept-data-loss",
        "shop/log.1 stays on web3: runs on every host",
        "  it goes once nothing else stays",
        "shop/queue.1 stays on web3: on_host_lost: keep",
        "  to give it another host: hullmark move shop/queue.1",
    ]
    document = run("host", "drain", "web3", "-o", "json").document
    assert (document["schema"], document["outcome"]) == ("hullmark.host-drain/1", "stays")


def test_a_drain_of_the_only_host_suggests_no_move(master: FakeMaster, run: Run) -> None:
    master.answers[AVAILABILITY] = HostChanges((DRAINING,))
    master.answers[DETAIL] = detail(2, stays=(StayingInstance("shop/db.1", "local data"),))
    for number, last in (
        (1, "  there is no other host: hullmark invite HOST"),
        (2, "  to give it another host: hullmark move shop/db.1 --accept-data-loss"),
    ):
        hosts = tuple(HostView(f"id{each}", f"web{each}", "ready") for each in range(number))
        master.answers["GET /v1/hosts"] = HostList(hosts)
        assert run("host", "drain", "web3").err.splitlines()[-1] == last


def test_a_drain_whose_time_is_over_names_what_is_left(master: FakeMaster, run: Run) -> None:
    master.answers[AVAILABILITY] = HostChanges((DRAINING,))
    master.answers[DETAIL] = detail(2, "shop/web.1")
    done = run("host", "drain", "web3", "--timeout", "0")
    assert (done.code, done.out) == (1, "web3: not empty yet, and goes on\n")
    assert "\nshop/web.1 is still on web3\n" in done.err
    quiet = run("host", "drain", "web3", "--timeout", "0", "--quiet")
    assert quiet.err.startswith("shop/web.1 is still on web3\n")
    assert "hullmark explain shop/web\n" in done.err


STUCK = (
    StayingInstance("shop/web.1", "its host web3 is draining; elsewhere: host web7: memory"),
    StayingInstance("shop/web.2", "its host web3 is draining; elsewhere: host web7: memory"),
    StayingInstance("shop/log.1", "runs on every host"),
)
LEFT = tuple(stuck.name for stuck in STUCK)


def test_a_drain_of_what_fits_nowhere_is_not_waited_for(
    master: FakeMaster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "STUCK_S", 0.02)
    commands = ("hullmark host uncordon web7",)
    slots = tuple(
        SlotExplanation(f"shop/web.{slot}", slot, 1, "web3", "draining", (), "", commands)
        for slot in (1, 2)
    )
    master.answers = {
        AVAILABILITY: HostChanges((DRAINING,)),
        DETAIL: detail(1, *LEFT, stuck=STUCK),
        "GET /v1/apps/shop/explain": Explanation(
            "shop", "running", 1, 2, (ServiceExplanation("web", 2, 2, 2, slots),)
        ),
    }
    done = run("host", "drain", "web3")
    holds = [float(one.query.get("hold_s", 0)) for one in master.asked("GET")]
    assert max(holds) <= 0.02, "it does not wait for news that may never come"
    assert done.code == 1
    assert done.out.startswith("web3: not empty, and no other host fits what is left")
    assert done.err.splitlines() == [
        "web3: 3 left: shop/web.1, shop/web.2, shop/log.1",
        "shop/web.1, shop/web.2 stay on web3: its host web3 is draining; elsewhere: host web7: memory",
        "  what would help: hullmark host uncordon web7",
        "  what keeps it, host by host: hullmark explain shop/web",
        "shop/log.1 stays on web3: runs on every host",
        "  it goes once nothing else is left",
    ]
    document = run("host", "drain", "web3", "-o", "json").document
    assert document["outcome"] == "unplaced"
    assert [stuck["name"] for stuck in document["hosts"][0]["stuck"]] == list(LEFT)


def test_a_drain_waits_while_something_goes(
    master: FakeMaster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "STUCK_S", 0.0)
    master.answers = {
        AVAILABILITY: HostChanges((DRAINING,)),
        DETAIL: [detail(1, "shop/job.1", *LEFT, stuck=STUCK), detail(2)],
    }
    done = run("host", "drain", "web3")
    assert (done.code, len(master.requests)) == (0, 3)


def test_what_was_stuck_is_looked_at_again_after_the_other_hosts(
    master: FakeMaster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "STUCK_S", 0.0)
    other = dataclasses.replace(DRAINING, host="web4")
    empty = dataclasses.replace(detail(3), host=dataclasses.replace(VIEW, name="web4"))
    master.answers = {
        AVAILABILITY: HostChanges((DRAINING, other)),
        DETAIL: [detail(1, *LEFT, stuck=STUCK), detail(2)],
        "GET /v1/hosts/web4": empty,
    }
    assert run("host", "drain", "web3", "web4").code == 0


def test_a_drain_that_somebody_ends(master: FakeMaster, run: Run) -> None:
    master.answers[AVAILABILITY] = HostChanges((DRAINING,))
    master.answers[DETAIL] = detail(2, "shop/web.1", host=answers.HOST)
    done = run("host", "drain", "web3")
    assert done.code == 1
    assert "uses a host again" in done.err


def test_drain_without_waiting_asks_once(master: FakeMaster, run: Run) -> None:
    master.answers[AVAILABILITY] = HostChanges((DRAINING,))
    assert run("host", "drain", "web3", "--no-wait").code == 0
    assert len(master.requests) == 1
    assert await_drained.__module__ == "hullmark.cli.draining"


def test_labels_are_set_and_removed(master: FakeMaster, run: Run) -> None:
    master.answers["POST /v1/hosts/web3/labels"] = CORDONED
    assert run("host", "label", "web3", "zone=a=b", "disk-", "empty=").code == 0
    sent = master.requests[0].body
    assert (sent["labels"], sent["remove"]) == ({"zone": "a=b", "empty": ""}, ["disk"])


@pytest.mark.parametrize(
    "texts", [["zone"], ["=a"], ["-"], ["a=1", "a=2"], ["a=1", "a-"], ["a-", "a=1"]]
)
def test_labels_that_are_none(master: FakeMaster, run: Run, texts: list[str]) -> None:
    assert run("host", "label", "web3", "--", *texts).code == 64
    assert master.requests == []


def test_show(master: FakeMaster, run: Run) -> None:
    stays = (StayingInstance("shop/web.1", "local data"),)
    master.answers[DETAIL] = detail(2, stays=stays)
    out = run("host", "show", "web3").out
    assert "host        web3 (h1)\n" in out
    assert "shop/web.1  running   stays in a drain: local data\n" in out
    assert run("host", "show", "web3", "-o", "json").document["stays"][0]["why"] == "local data"


def test_remove(master: FakeMaster, run: Run) -> None:
    master.answers["DELETE /v1/hosts/web3"] = RemovedHost(
        "web3", "h1", ("shop/web.1",), ("shop/db.1",), ("containers on web3 run on",)
    )
    done = run("host", "remove", "web3", "--force", "--ticket", "T")
    assert done.code == 0
    assert done.err == "warning: containers on web3 run on\n"
    assert done.out == (
        "web3  removed\n  placed elsewhere: shop/web.1\n  nowhere until hullmark move: shop/db.1\n"
    )
    assert master.requests[0].body["force"] is True


def test_remove_says_what_became_of_invites(master: FakeMaster, run: Run) -> None:
    for answer, said in (
        (RemovedHost("web3", "h1", invites=1), "web3  removed, 1 open invite withdrawn\n"),
        (
            RemovedHost("web3", "", invites=2),
            "web3  2 open invites withdrawn; there is no such host\n",
        ),
    ):
        master.answers["DELETE /v1/hosts/web3"] = answer
        done = run("host", "remove", "web3")
        assert (done.code, done.out) == (0, said)
    assert run("host", "remove", "web3", "-o", "json").document["invites"] == 2


def test_a_refused_removal_says_the_way_out(master: FakeMaster, run: Run) -> None:
    master.answers["DELETE /v1/hosts/web3"] = refusal(
        "Conflict", "host web3 still has shop/web.1", 409, "hullmark host drain web3"
    )
    done = run("host", "remove", "web3")
    assert done.code == 2
    assert "hullmark host drain web3" in done.err


def test_maintenance(master: FakeMaster, run: Run) -> None:
    now = time.time()
    work = Maintenance(now, now + 2400.5, "anna", "CHG-881")
    master.answers["POST /v1/maintenance"] = HostChanges(
        (HostChange("web3", True, maintenance=work),)
    )
    master.answers["DELETE /v1/maintenance"] = HostChanges((HostChange("web3", False),))
    done = run("maintenance", "start", "web3", "--for", "40m", "--ticket", "CHG-881")
    assert re.match(r"web3  in maintenance until \d{4}-\d\d-\d\d \d\d:", done.out), "also today"
    assert master.requests[0].body["for_s"] == 2400.0
    assert run("maintenance", "end", "web3").out == "web3  was not in maintenance\n"
    host = dataclasses.replace(answers.HOST, maintenance=work, state="silent")
    master.answers["GET /v1/hosts"] = HostList((host, dataclasses.replace(answers.HOST, name="x")))
    out = run("maintenance", "list").out
    assert "CHG-881" in out
    assert "\nx " not in out
    document = run("maintenance", "list", "-o", "json").document
    assert [one["host"] for one in document["hosts"]] == ["web3"]
    master.answers["GET /v1/hosts"] = HostList((answers.HOST,))
    assert run("maintenance", "list").out.startswith("no host is in maintenance")


@pytest.mark.parametrize(
    ("scope", "said"),
    [("cde", "scope cde: only what is"), ("unknown", "its policy can't be read"), ("out", "")],
)
def test_hosts_tells_a_scope_that_is_no_ordinary_one(
    master: FakeMaster, run: Run, scope: str, said: str
) -> None:
    facts = dataclasses.replace(answers.HOST.facts, scope=scope)
    master.answers["GET /v1/hosts"] = HostList((dataclasses.replace(answers.HOST, facts=facts),))
    out = run("hosts").out
    assert said in out
    assert ("scope" in out or "policy" in out) is bool(said)
