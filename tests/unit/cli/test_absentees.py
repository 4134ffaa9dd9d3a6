"""What is said while a change waits for a host that is lost: once, after some seconds, and to people only."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Callable

import pytest

from hullmark.cli import absentees, draining
from hullmark.model.api import AppDetail, ApplyAnswer, HostList, HostView
from hullmark.model.host import Availability
from hullmark.model.hostlife import HostChange, HostChanges, HostDetail
from hullmark.model.move import MoveAnswer, MovedSlot
from hullmark.model.rollout import RolloutView, ServiceRollout
from tests.unit.cli import answers
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster, Request

APP, HOSTS = "GET /v1/apps/shop", "GET /v1/hosts"
SILENT = "its host has been silent for 312 s"
LOST = HostView("h1", "web3", "lost", 312.0)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absentees, "AFTER_S", 0.02)
    monkeypatch.setattr(absentees, "AGAIN_S", 0.02)


def held(detail: object) -> Callable[[Request], object]:
    """The master answers when the hold is over, as one does of whom nothing new is to be told."""

    def answer(request: Request) -> object:
        threading.Event().wait(min(0.03, float(request.query.get("hold_s", 0))))
        return detail

    return answer


def away(state: str = "changing") -> AppDetail:
    return answers.detail(2, state, 3, (answers.instance(why=SILENT, seen=False),))


def told(text: str) -> None:
    """Once: which host, since when, for how long, and what to type."""
    lines = [line for line in text.splitlines() if line.startswith("host web3 is lost")]
    assert len(lines) == 1, text
    assert "5 min ago; this waits until it is heard, for" in lines[0]
    assert lines[0].endswith("gone for good: hullmark host remove web3 --force")


def test_apply_says_once_which_lost_host_it_waits_for_and_goes_on(
    master: FakeMaster, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("name: shop\nservices: {web: {image: 'localhost/web:1'}}\n")
    master.answers = {
        "PUT /v1/apps/shop": ApplyAnswer("shop", 3, True),
        APP: held(away()),
        HOSTS: HostList((HostView("h2", "web2", "lost", 9.0), LOST)),
    }
    done = run("apply", str(file), "--timeout", "200ms")
    assert done.code == 1
    told(done.err)
    assert "web2 is lost" not in done.err, "nothing is waited for there"
    assert len([one for one in master.requests if one.path == "/v1/hosts"]) == 1
    for words in (("-q",), ("-o", "json")):
        assert "is lost" not in run("apply", str(file), "--timeout", "150ms", *words).err


def test_what_is_only_silent_is_asked_about_again(master: FakeMaster, run: Run) -> None:
    silent = HostView("h1", "web3", "silent", 9.0)
    master.answers = {
        "DELETE /v1/apps/shop": ApplyAnswer("shop", 3, True),
        APP: held(away("removing")),
        HOSTS: [HostList((silent,)), HostList((LOST,))],
    }
    told(run("rm", "shop", "--timeout", "200ms").err)


def test_a_host_that_was_never_heard_by_this_leader(master: FakeMaster, run: Run) -> None:
    master.answers = {
        "DELETE /v1/apps/shop": ApplyAnswer("shop", 3, True),
        APP: held(away("removing")),
        HOSTS: HostList((HostView("h1", "web3", "lost"),)),
    }
    done = run("rm", "shop", "--timeout", "150ms")
    assert "host web3 is lost since before this leader began; this waits" in done.err


def test_hosts_that_are_heard_are_not_asked_about(master: FakeMaster, run: Run) -> None:
    under_way = answers.detail(2, "changing", 3, (answers.instance(why="is being started"),))
    master.answers = {"POST /v1/apps/shop/scale": ApplyAnswer("shop", 3, True), APP: under_way}
    run("scale", "shop/web=2", "--timeout", "200ms")
    assert all(request.path != "/v1/hosts" for request in master.requests)


def test_move_drain_and_rollout_say_it_too(
    master: FakeMaster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "STUCK_S", 10.0)
    moved = MovedSlot("shop/web.1", "web3")
    host = dataclasses.replace(LOST, availability=Availability.DRAINING)
    rolling = ServiceRollout("web", 3, 1, 0, 0, 0, 0, 0, 1, 0)
    draining_host = HostChange("web3", True, Availability.DRAINING)
    master.answers = {
        "POST /v1/apps/shop/move": MoveAnswer("shop", (moved,)),
        "POST /v1/availability": HostChanges((draining_host,)),
        APP: held(away()),
        "GET /v1/apps/shop/explain": {"app": "shop", "state": "", "generation": 1, "hosts": 1},
        "GET /v1/apps/shop/rollout": held(
            RolloutView("shop", 3, "rolling", answers.CHANGE, 2, services=(rolling,))
        ),
        "GET /v1/hosts/web3": held(HostDetail(host, 1.0, (), ("shop/web.1",), (), 2)),
        HOSTS: HostList((LOST,)),
    }
    told(run("move", "shop/web.1", "--timeout", "200ms").err)
    told(run("host", "drain", "web3", "--timeout", "200ms").err)
    told(run("rollout", "status", "shop", "--wait", "--timeout", "200ms").err)
