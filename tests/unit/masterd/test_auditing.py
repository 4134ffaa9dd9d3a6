"""A master's own record: what was asked is in it before it is done, what came of it before it is answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hullmark.core.chain import Verifier
from hullmark.errors import AuditUnavailable, OutcomeUnknown, Refused
from hullmark.host.auditfile import AuditFile
from hullmark.masterd import entries
from hullmark.masterd.accounting import BURST, EACH_S, Ration
from hullmark.masterd.auditing import Auditing
from hullmark.masterd.openintents import resolved
from hullmark.masterd.routes import AGENTS, API
from hullmark.masterd.unrecorded import hand_over
from hullmark.model.audit import Actor, Entry, Outcome, Record, Stage
from hullmark.model.event import Event
from hullmark.model.moments import moment
from hullmark.model.redundancy import MasterView
from tests.unit.masterd.serving import Served, apply_body, serve


def records(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "audit" / "audit.log").read_bytes().splitlines()
    verifier = Verifier()
    assert [verifier.feed(line) for line in lines] == [None] * len(lines)
    return [json.loads(line) for line in lines]


def of_kind(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [record for record in records(folder) if record["kind"] == kind]


async def soon(folder: Path, kind: str) -> dict[str, Any]:
    """The first event of a kind: those are written a moment later."""
    for _ in range(200):
        found = of_kind(folder, kind)
        if found:
            return found[0]
        await asyncio.sleep(0.01)
    raise AssertionError(f"no {kind}")


def test_a_change_is_recorded_before_and_after(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        body = {**apply_body(), "ticket": "CHG-7"}
        status, _ = await served.local("PUT", "/v1/apps/shop", body)
        assert status == 200
        before, after = of_kind(tmp_path, "request.apply")
        assert (before["stage"], before["outcome"]) == ("intent", "pending")
        assert (after["stage"], after["outcome"], after["of"]) == (
            "outcome",
            "success",
            before["seq"],
        )
        for each in (before, after):
            assert each["subject"] == "shop"
            assert (each["actor"], each["origin"]) == ("human", "local")
            assert (each["ticket"], each["request_id"]) == ("CHG-7", body["request_id"])
            assert each["epoch"] == "1.1"
            assert each["by"]
        assert after["fields"]["generation"] == "1"
        told = await soon(tmp_path, "app.applied")
        assert told["request_id"] == body["request_id"]
        assert told["fields"]["generation"] == "1"
        assert "image" not in json.dumps(before), "a spec may hold secrets"
        assert (await soon(tmp_path, "login.used"))["fields"]["role"] == "admin"

    serve(tmp_path, test)
    kinds = [record["kind"] for record in records(tmp_path)]
    assert (kinds[:2], kinds[-1]) == (["audit.begun", "audit.started"], "audit.stopped")
    assert "master.leading" in kinds


def test_what_fails_and_what_is_refused_is_recorded(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        wrong = {"services": {"web": 3}, "request_id": "s1"}
        status, _ = await served.local("POST", "/v1/apps/none/scale", wrong)
        assert status == 404
        before, after = of_kind(tmp_path, "request.scale")
        assert (after["outcome"], after["of"]) == ("failure", before["seq"])
        assert "none" in after["reason"]
        assert before["fields"]["services"] == '{"web": "3"}'
        status, _ = await served.api("GET", "/v1/apps", token="nobody's")
        assert status == 401
        refused = await soon(tmp_path, "request.refused")
        assert (refused["outcome"], refused["by"], refused["actor"]) == (
            "refused",
            "unknown",
            "unknown",
        )
        assert (refused["origin"], refused["subject"]) == ("127.0.0.1", "GET /v1/apps")
        status, _ = await served.local("PUT", "/v1/apps/shop", b"{")
        assert status == 400
        for _ in range(100):
            if len(of_kind(tmp_path, "request.refused")) == 2:
                break
            await asyncio.sleep(0.01)
        bad = of_kind(tmp_path, "request.refused")[1]
        assert (bad["fields"]["status"], bad["actor"]) == ("400", "human")
        assert len(of_kind(tmp_path, "request.apply")) == 0

    serve(tmp_path, test)


def test_nothing_is_changed_that_cant_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hullmark.masterd.auditing.RETRY_S", 0.01)

    async def test(served: Served) -> None:
        folder = tmp_path / "audit"
        auditing = served.master._auditing
        file: Any = auditing.file
        while auditing._waiting:  # what is still written would end the trouble
            await auditing._written.passed(auditing._written.value, 1.0)

        def full(*_: object, **__: object) -> int:
            raise AuditUnavailable("the audit log can't be written: no space left")

        append, recover = file.append, file.recover
        file.append = file.recover = full
        status, said = await served.local("PUT", "/v1/apps/shop", apply_body())
        assert (status, said["error"]) == (503, "AuditUnavailable")
        assert "no space left" in said["message"]
        assert said["remedy"]
        _, stands = await served.local("GET", "/v1/status")
        assert any("no space left" in note for note in stands["notes"])
        status, said = await served.local("GET", "/v1/apps")
        assert (status, said["apps"]) == (200, [])
        _, told = await served.local("GET", "/v1/events")
        assert "audit.unwritable" in [event["kind"] for event in told["events"]]
        file.append, file.recover = append, recover
        status, _ = await served.local("PUT", "/v1/apps/shop", apply_body())
        assert status == 200
        _, told = await served.local("GET", "/v1/events")
        assert "audit.writable" in [event["kind"] for event in told["events"]]
        assert folder.is_dir()

    serve(tmp_path, test)


def test_agents_polls_are_not_recorded_and_secrets_neither(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        await host.begin()
        invited, _ = of_kind(tmp_path, "request.invite")
        assert invited["subject"] == "host h1"
        enrolled, done = of_kind(tmp_path, "request.enroll")
        assert (enrolled["by"], enrolled["actor"]) == ("h1", "host")
        assert done["fields"]["host_id"] == host.host_id
        text = (tmp_path / "audit" / "audit.log").read_text()
        assert "BEGIN CERTIFICATE" not in text
        await served.local(
            "POST", "/v1/tokens", {"name": "ci", "role": "viewer", "request_id": "t"}
        )
        assert of_kind(tmp_path, "request.create-token")[0]["subject"] == "token ci"
        token = await served.token()
        assert token not in (tmp_path / "audit" / "audit.log").read_text()
        assert not [record for record in records(tmp_path) if "agent/v1" in json.dumps(record)]
        body = apply_body()
        await served.local("PUT", "/v1/apps/shop", body)
        given = await soon(tmp_path, "orders.given")
        assert (given["subject"], given["by"], given["request_id"]) == (
            "host h1",
            "hullmark",
            body["request_id"],
        )
        assert given["fields"] == {"app": "shop", "run": "shop/web.1 g1"}

    serve(tmp_path, test)


def test_routes_that_change_something_are_known() -> None:
    asked = {route.handler.__name__ for route in API if route.method != "GET" and not route.changes}
    assert asked == {"plan", "mark"}
    assert not [route.path for route in AGENTS if route.changes]
    assert {"snapshot", "logs"} <= {route.path.rpartition("/")[2] for route in API if route.told}
    kinds = [entries.kind_of(route) for route in API if route.changes or route.told]
    assert len(set(kinds)) == len(kinds)


class Broken:
    """A log whose folder is not there at first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> AuditFile:
        if not self.folder.exists():
            raise AuditUnavailable("there is no folder")
        return AuditFile(self.folder / "audit.log", "master:m1", "b")


def test_a_log_that_could_not_be_opened_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hullmark.masterd.auditing.RETRY_S", 0.01)
    broken = Broken(tmp_path / "audit")
    told: list[str] = []

    async def test() -> None:
        auditing = Auditing("m1", broken.open)
        auditing.told = told.append
        await auditing.start()
        assert auditing.trouble == "there is no folder"
        with pytest.raises(AuditUnavailable) as caught:
            await auditing.intent(Entry("a.b", "c"))
        assert caught.value.remedy
        broken.folder.mkdir()
        for _ in range(200):
            if not auditing.trouble:
                break
            await asyncio.sleep(0.01)
        await auditing.intent(Entry("a.b", "c", Stage.INTENT, Outcome.PENDING))
        await auditing.close()

    asyncio.run(test())
    assert told == ["there is no folder", ""]
    kinds = [record["kind"] for record in records(tmp_path)]
    assert kinds[0] == "audit.begun"
    assert sorted(kinds[1:]) == ["a.b", "audit.started", "audit.stopped"]


def left_open(kind: str, at: float, request_id: str = "r1") -> Record:
    entry = Entry(kind, "shop", Stage.INTENT, Outcome.PENDING, "alice", Actor.HUMAN, "local")
    entry = Entry(**{**entry.__dict__, "request_id": request_id})
    return Record(7, "0" * 64, "master:m1", "b", moment(at), entry, "1" * 64)


@pytest.mark.parametrize(
    ("kind", "age_s", "request_id", "answered_at", "expected"),
    [
        ("request.apply", 60, "r1", 5.0, Outcome.SUCCESS),
        ("request.apply", 60, "r1", 0.0, Outcome.FAILURE),
        ("request.apply", 2 * 86400, "r1", 0.0, Outcome.UNKNOWN),
        ("request.apply", 60, "", 0.0, Outcome.UNKNOWN),
        ("request.open-session", 60, "r1", 0.0, Outcome.UNKNOWN),
    ],
)
def test_what_a_kill_left_open_is_looked_up(
    kind: str, age_s: float, request_id: str, answered_at: float, expected: Outcome
) -> None:
    now = time.time()
    found = resolved(left_open(kind, now - age_s, request_id), answered_at, now)
    assert (found.outcome, found.stage, found.of) == (expected, Stage.OUTCOME, 7)
    assert (found.by, found.reason[:20]) == ("alice", "the master's process")


def test_the_next_process_ends_what_was_left_open(tmp_path: Path) -> None:
    (tmp_path / "audit").mkdir()
    file = AuditFile(tmp_path / "audit" / "audit.log", "master:m1", "b")
    open_ = left_open("request.apply", time.time()).entry
    number = file.append(open_)
    file.close()

    async def test(served: Served) -> None:
        for _ in range(300):
            found = [each for each in of_kind(tmp_path, "request.apply") if each.get("of")]
            if found:
                break
            await asyncio.sleep(0.01)
        assert [(each["of"], each["outcome"]) for each in found] == [(number, "failure")]

    serve(tmp_path, test)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Refused("no"), Outcome.FAILURE),
        (OutcomeUnknown("no answer"), Outcome.UNKNOWN),
        (KeyError("fault"), Outcome.FAILURE),
    ],
)
def test_what_a_handler_raises_is_the_outcome(error: BaseException, expected: Outcome) -> None:
    entry = left_open("request.apply", 0.0).entry
    found = entries.failure(entry, 3, error)
    assert (found.outcome, found.of) == (expected, 3)
    assert "KeyError" not in found.reason


def test_a_change_that_waits_is_said_to_wait() -> None:
    entry = left_open("request.apply", 0.0).entry
    held = entries.outcome(entry, 3, SimpleNamespace(pending_id="3f9a01c2"), "1.2")
    assert (held.outcome, held.reason) == (Outcome.SUCCESS, entries.HELD)
    assert held.fields == {"pending_id": "3f9a01c2"}
    assert entries.outcome(entry, 3, SimpleNamespace(), "1.2").reason == ""


def test_who_knocks_all_night_fills_no_disk() -> None:
    now = [0.0]
    ration = Ration(lambda: now[0])
    let = [ration.let() for _ in range(int(BURST) + 50)]
    assert let[int(BURST) - 1] == 0
    assert let[int(BURST) :] == [None] * 50
    now[0] += EACH_S
    assert ration.let() == 50


def test_a_mapping_is_recorded_as_text() -> None:
    fields: Mapping[str, str] = entries.of_event(_event()).fields
    assert fields == {"more": "1"}


def _event() -> Any:
    more = {"from": "10.0.0.7", "ticket": "T", "request_id": "r", "epoch": "1.2", "more": "1"}
    return Event("i", 1.0, "app.applied", "shop", "m1", "why", "token:ci", more)


class Pair:
    """As much of a cluster as handing over asks for."""

    def __init__(self, *others: MasterView) -> None:
        self.is_leader, self.others, self.why = True, others, ""

    def masters(self) -> tuple[MasterView, ...]:
        return (MasterView("m1", "leader"), *self.others)

    async def step_down(self, why: str) -> None:
        self.why, self.is_leader = why, False


@pytest.mark.parametrize(
    ("trouble", "why", "expected"),
    [
        ("disk full", "m1 leads", "its audit log can't be written: disk full"),
        ("", "m1 leads", ""),
        ("disk full", "the audit log can't be written either", ""),
    ],
)
def test_a_leader_that_cant_record_hands_over_to_one_that_can(
    monkeypatch: pytest.MonkeyPatch, trouble: str, why: str, expected: str
) -> None:
    look_s = 1e-6
    monkeypatch.setattr("hullmark.masterd.unrecorded.LOOK_S", look_s)
    monkeypatch.setattr("hullmark.masterd.unrecorded.PATIENCE_S", 3 * look_s)
    pair: Any = Pair(MasterView("m2", "standby", why))
    auditing: Any = SimpleNamespace(trouble=trouble)

    async def test() -> None:
        task = asyncio.ensure_future(hand_over(auditing, pair))
        for _ in range(100):  # turns of the loop, in each of which it looks
            await asyncio.sleep(look_s)
        task.cancel()

    asyncio.run(test())
    assert pair.why == expected
