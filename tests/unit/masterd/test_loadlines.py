"""The mark over a master's own ports: who sets it, what a person's word does, and what is told of its brake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hullmark.core.changes import changes
from hullmark.masterd import loadlines
from hullmark.masterd.loadlines import LoadLines
from hullmark.model.control import Status
from hullmark.model.epoch import Epoch
from hullmark.model.host import HostFacts
from hullmark.model.names import LOADLINE_KEY
from hullmark.model.observed import HostState
from hullmark.model.people import Role
from hullmark.model.snapshotfile import is_kept
from hullmark.model.wire import to_wire
from tests.unit.core.markpromises import control, posture
from tests.unit.masterd.persons import ALICE, BOB, Person, everybody, says
from tests.unit.masterd.serving import Host, Served, apply_body, eventually, serve

LINE = {"require": [{"control": "audit-trail", "level": 2}]}
MARK = {"line": LINE, "request_id": "k1", "ticket": "CHG-1"}
WORD = {"control": "audit-trail", "request_id": "o1", "ticket": "CHG-2", "for_s": 3600}
DEPLOYER = Person("carol", Role.DEPLOYER)
MADE: list[LoadLines] = []


@pytest.fixture(autouse=True)
def _everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    everybody(monkeypatch)
    made = LoadLines.__init__

    def kept(self: LoadLines, *arguments: Any) -> None:
        made(self, *arguments)
        MADE.append(self)

    monkeypatch.setattr(LoadLines, "__init__", kept)


async def stands(host: Host, status: Status, sequence: int = 1) -> None:
    """The host says how its audit trail is; `sequence` counts what it says."""
    code, _ = await host.post("/agent/v1/poll", {"run": "run-1", "hold_s": 0})
    assert code == 200
    facts = HostFacts(architecture="x86_64", cpus=4, memory_bytes=8 << 30)
    state = HostState(facts, posture=posture(control("audit-trail-auditd", status)))
    report = changes(
        None,
        state,
        host_id=host.host_id,
        run="run-1",
        sequence=sequence,
        epoch=Epoch(1, 1),
        events=(),
    )
    code, answer = await host.post("/agent/v1/report", to_wire(report))
    assert (code, answer.get("resend", False)) == (200, False)


async def events(served: Served, kind: str) -> list[Any]:
    _, answer = await says(served, ALICE, "GET", "/v1/events?limit=1000")
    return [event for event in answer["events"] if event["kind"] == kind]


async def placed(served: Served) -> list[str]:
    _, answer = await says(served, ALICE, "GET", "/v1/instances?app=shop")
    return [item["host"] for item in answer["instances"] if item.get("host")]


async def refusals(served: Served) -> Any:
    """Of the only instance."""
    _, told = await says(served, ALICE, "GET", "/v1/apps/shop/explain?service=web")
    return told["services"][0]["slots"][0].get("refusals", [])


async def is_refused(served: Served) -> bool:
    return bool(await refusals(served))


async def is_placed(served: Served) -> bool:
    return await placed(served) == ["h1"]


def test_a_host_that_fails_gets_nothing_new_until_it_is_mended(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        await stands(host, Status.FAIL)
        status, answer = await says(served, ALICE, "PUT", "/v1/mark", MARK)
        assert (status, answer) == (200, {"changed": True})
        assert (await says(served, ALICE, "PUT", "/v1/apps/shop", apply_body()))[0] == 200
        assert await placed(served) == []
        await eventually(lambda: is_refused(served), "it is planned")
        (refusal,) = await refusals(served)
        assert (refusal["filter"], refusal["text"]) == ("mark", 'control "audit trail" FAILS')
        _, view = await says(served, BOB, "GET", "/v1/mark")
        assert (view["applied"], view["by"], view["ticket"]) == (True, "alice", "CHG-1")
        assert [(item["host"], item["misses"][0]["lack"]) for item in view["hosts"]] == [
            ("h1", "fail")
        ]
        _, status_ = await says(served, ALICE, "GET", "/v1/status")
        assert any("1 host gets no new work, by the mark: h1" in note for note in status_["notes"])
        await stands(host, Status.PASS, 2)
        await eventually(lambda: is_placed(served), "it is placed")
        assert (await events(served, "mark.set"))[0]["fields"]["require"] == "audit-trail 2"

    serve(tmp_path, test)


def test_only_administrators_set_and_override(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        for method, path, body in (
            ("PUT", "/v1/mark", MARK),
            ("DELETE", "/v1/mark", {"request_id": "k2"}),
            ("POST", "/v1/mark/override", WORD),
            ("DELETE", "/v1/mark/override", {"control": "audit-trail", "request_id": "k3"}),
            ("PUT", "/v1/apps/shop", {**apply_body(ticket="T"), "override_mark": True}),
        ):
            status, answer = await says(served, DEPLOYER, method, path, body)
            assert (status, answer["error"]) == (403, "Forbidden"), path

    serve(tmp_path, test)


def test_what_can_not_be_meant_is_told_by_field(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        line = {
            "require": [
                {"control": "Audit Trail"},
                {"control": "time", "level": 9},
                {"control": "time"},
            ],
            "brake": 2.0,
            "drain_after_s": -1.0,
        }
        status, answer = await says(served, ALICE, "PUT", "/v1/mark", {**MARK, "line": line})
        fields = {problem["field"] for problem in answer["problems"]}
        assert (status, fields) == (
            400,
            {"require[0].control", "require[1].level", "require[2]", "brake", "drain_after"},
        )
        for body, field in (
            ({**WORD, "control": "*"}, "control"),
            ({**WORD, "control": "A B"}, "control"),
            ({**WORD, "for_s": 5}, "for_s"),
        ):
            status, answer = await says(served, ALICE, "POST", "/v1/mark/override", body)
            assert (status, answer["problems"][0]["field"]) == (400, field)

    serve(tmp_path, test)


def test_a_word_needs_a_ticket_is_recorded_and_ends(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        await stands(host, Status.FAIL)
        await says(served, ALICE, "PUT", "/v1/mark", MARK)
        await says(served, ALICE, "PUT", "/v1/apps/shop", apply_body())
        path = "/v1/mark/override"
        status, answer = await says(served, ALICE, "POST", path, {**WORD, "ticket": " "})
        assert (status, answer["error"]) == (409, "Refused")
        assert (await says(served, ALICE, "POST", path, {**WORD, "app": "none"}))[0] == 404
        assert await says(served, ALICE, "POST", path, WORD) == (200, {"changed": True})
        assert await says(served, ALICE, "POST", path, WORD) == (200, {"changed": True})
        await eventually(lambda: is_placed(served), "it is placed")
        (told,) = await events(served, "mark.overridden")
        assert (told["by"], told["fields"]["ticket"]) == ("alice", "CHG-2")
        asked = {"request.set-mark": "CHG-1", "request.override-mark": "CHG-2"}
        lines = (served.folder / "audit" / "audit.log").read_text().splitlines()
        seen = [entry for entry in map(json.loads, lines) if entry["kind"] in asked]
        done = [entry for entry in seen if entry.get("outcome") == "success"]
        assert {(entry["kind"], entry["ticket"]) for entry in done} == set(asked.items())
        _, view = await says(served, ALICE, "GET", "/v1/mark")
        (word,) = view["overrides"]
        assert word["until"] - word["at"] == 3600
        _, status_ = await says(served, ALICE, "GET", "/v1/status")
        assert any("is not asked for: alice, ticket CHG-2" in note for note in status_["notes"])
        end = {"control": "audit-trail", "request_id": "e1"}
        assert await says(served, ALICE, "DELETE", path, end) == (200, {"changed": True})
        again = {**end, "request_id": "e2"}
        assert (await says(served, ALICE, "DELETE", path, again))[0] == 404
        await says(
            served,
            ALICE,
            "POST",
            "/v1/apps/shop/scale",
            {"services": {"web": 2}, "request_id": "s"},
        )
        assert await placed(served) == ["h1"]
        unknown = {**WORD, "control": "nothing", "request_id": "o9"}
        _, answer = await says(served, ALICE, "POST", path, unknown)
        assert answer["warnings"] == ["nothing asks for control nothing now"]

    serve(tmp_path, test)


@pytest.mark.parametrize("verb", ["apply", "scale"])
def test_one_change_of_an_app_goes_past_the_mark(tmp_path: Path, verb: str) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        await stands(host, Status.FAIL)
        await says(served, ALICE, "PUT", "/v1/mark", MARK)
        body = apply_body(ticket="CHG-7")
        assert (await says(served, ALICE, "PUT", "/v1/apps/shop", body))[0] == 200
        path, method = "/v1/apps/shop", "PUT"
        if verb == "scale":
            path, method = "/v1/apps/shop/scale", "POST"
            body = {"services": {"web": 1}, "request_id": "s1", "ticket": "CHG-7"}
        past = {**body, "request_id": "p1", "override_mark": True}
        status, answer = await says(served, ALICE, method, path, {**past, "ticket": ""})
        assert (status, answer["error"]) == (409, "Refused")
        assert (await says(served, ALICE, method, path, past))[0] == 200
        await eventually(lambda: is_placed(served), "it is placed")
        _, view = await says(served, ALICE, "GET", "/v1/mark")
        assert [(item["control"], item["app"]) for item in view["overrides"]] == [("*", "shop")]
        (told,) = await events(served, "mark.overridden")
        assert told["fields"]["app"] == "shop"

    serve(tmp_path, test)


def test_a_mark_is_cleared_and_can_wait_for_a_second_person(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        assert (await says(served, ALICE, "DELETE", "/v1/mark", {"request_id": "c0"}))[0] == 404
        await says(served, ALICE, "PUT", "/v1/mark", MARK)
        rules = {"rules": [{"name": "mark", "changes": ["mark"], "approval": True}]}
        control_ = {"document": rules, "request_id": "cc", "ticket": "T"}
        assert (await says(served, ALICE, "PUT", "/v1/change-control", control_))[0] == 200
        clear = {"request_id": "c1", "ticket": "CHG-3"}
        status, held = await says(served, ALICE, "DELETE", "/v1/mark", clear)
        assert status == 202
        approve = {"request_id": "d1", "reason": "looked at it"}
        path = f"/v1/changes/{held['held']['change']}"
        _, detail = await says(served, ALICE, "GET", path)
        assert detail["change"]["subject"] == "the mark"
        status, _ = await says(served, BOB, "POST", f"{path}/approve", approve)
        assert status == 200
        _, view = await says(served, ALICE, "GET", "/v1/mark")
        assert view["applied"] is False
        assert await events(served, "mark.cleared")

    serve(tmp_path, test)


def test_the_brake_is_told_once_it_lasts_and_when_it_is_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loadlines, "LOOK_S", 3600.0)

    async def test(served: Served) -> None:
        hosts = [await served.enroll(name) for name in ("h1", "h2", "h3")]
        for host, status in zip(hosts, (Status.FAIL, Status.FAIL, Status.PASS)):
            await stands(host, status)
        await says(served, ALICE, "PUT", "/v1/mark", MARK)
        watch, now = MADE[-1], [0.0]
        monkeypatch.setattr(watch, "_clock", lambda: now[0])
        watch.look()
        now[0] = 9.0
        watch.look()
        assert await events(served, "mark.brake-on") == []
        now[0] = 10.0
        watch.look()
        watch.look()
        (told,) = await events(served, "mark.brake-on")
        assert told["fields"] == {"control": "audit-trail", "failing": "2", "eligible": "3"}
        _, status_ = await says(served, ALICE, "GET", "/v1/status")
        assert status_["notes"][0].startswith('the mark\'s brake is on: control "audit trail"')
        assert status_["next"].startswith("hullmark mark override audit-trail --ticket TEXT")
        assert loadlines._open(watch._term) == {"audit-trail"}
        await stands(hosts[0], Status.PASS, 2)
        watch.look()
        assert len(await events(served, "mark.brake-off")) == 1
        assert loadlines._open(watch._term) == set()

    serve(tmp_path, test)


def test_a_snapshot_has_it() -> None:
    assert is_kept(LOADLINE_KEY)
