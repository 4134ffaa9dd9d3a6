"""The API as people use it: changes and their repeats, errors with fields, questions that wait."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hullmark.errors import StoreUnavailable
from hullmark.model.api import AppDetail, AppList, EventList, HostList, InstanceList
from hullmark.pki import certificates
from hullmark.store.sqlite import SqliteStore
from tests.unit.masterd.serving import APP, Served, apply_body, eventually, serve

LOCAL = {"name": "shop", "services": {"web": {"container": {"image": "localhost/web:1"}}}}


def test_a_change_and_its_repeat(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        body = apply_body(app=LOCAL)
        first = await served.local("PUT", "/v1/apps/shop", body)
        again = await served.local("PUT", "/v1/apps/shop", body)
        assert first[0] == 200
        assert first == again
        assert first[1]["changed"] is True
        assert "not pinned: there is no host to ask yet" in first[1]["warnings"][0]
        status, answer = await served.local("PUT", "/v1/apps/shop", apply_body(ticket="CHG-1"))
        assert (status, answer["error"]) == (409, "Conflict")
        assert answer["remedy"]
        detail = await served.read(AppDetail, "/v1/apps/shop")
        assert (detail.summary.generation, detail.app) == (1, {"name": "shop"})

    serve(tmp_path, test)


def test_an_app_from_plan_to_removal(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        status, plan = await served.local("POST", "/v1/plan", {"app": APP})
        assert (status, plan["changed"]) == (200, True)
        await served.local("PUT", "/v1/apps/shop", apply_body())
        scale = {"services": {"web": 2}, "request_id": "r2"}
        status, answer = await served.local("POST", "/v1/apps/shop/scale", scale)
        assert (status, answer["changed"]) == (200, True)
        instances = await served.read(InstanceList, "/v1/instances?app=shop")
        assert [item.slot for item in instances.instances] == [1, 2]
        status, _ = await served.local("DELETE", "/v1/apps/shop", {"request_id": "r3"})
        assert status == 200

        async def gone() -> bool:
            return not (await served.read(AppList, "/v1/apps")).apps

        await eventually(gone, "the app is gone")
        status, answer = await served.local("GET", "/v1/apps/shop")
        assert (status, answer["error"]) == (404, "NotFound")

    serve(tmp_path, test)


def test_wrong_input_is_named_by_field(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        body = {**apply_body(), "ticked": "x", "expected_generation": "one"}
        status, answer = await served.local("PUT", "/v1/apps/shop", body)
        fields = {problem["field"]: problem for problem in answer["problems"]}
        assert (status, answer["error"]) == (400, "InvalidInput")
        assert set(fields) == {"ticked", "expected_generation"}
        assert "ticket" in fields["ticked"]["allowed"]
        status, answer = await served.local("PUT", "/v1/apps/other", apply_body())
        assert (status, answer["problems"][0]["field"]) == (400, "app.name")
        for query in ("limit=0", "limit=many", "after=-1", "hold_s=1e9", "after=1&what=x"):
            status, answer = await served.local("GET", f"/v1/events?{query}")
            assert status == 400, query
            assert answer["problems"][0]["allowed"]
        status, answer = await served.local("GET", "/v1/apps/shop/logs?follow=perhaps")
        assert (status, answer["problems"][0]["field"]) == (400, "follow")
        status, answer = await served.local("GET", "/v1/apps/shop/logs?since=yesterday")
        assert (status, answer["problems"][0]["field"]) == (400, "since")

    serve(tmp_path, test)


def test_unknown_paths_and_methods(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        for path in ("/", "/v1", "/v1/apps/", "/v1/apps/a/b/c", "/v2/status", "/v1/../v1/nope"):
            status, answer = await served.local("GET", path)
            assert (status, answer["error"]) == (404, "NotFound"), path
        status, answer = await served.local("DELETE", "/v1/apps")
        assert (status, answer["remedy"]) == (405, "use GET")

    serve(tmp_path, test)


def test_an_app_is_waited_for(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await served.local("PUT", "/v1/apps/shop", apply_body())
        detail = await served.read(AppDetail, "/v1/apps/shop")
        path = "/v1/apps/shop?hold_s=20&after="
        waiting = asyncio.ensure_future(served.local("GET", f"{path}{detail.version}"))
        await asyncio.sleep(0.05)
        while waiting.done():  # the plan and what it remembers of the app come a moment later
            detail = await served.read(AppDetail, "/v1/apps/shop")
            waiting = asyncio.ensure_future(served.local("GET", f"{path}{detail.version}"))
            await asyncio.sleep(0.05)
        scale = {"services": {"web": 2}, "request_id": "s1"}
        await served.local("POST", "/v1/apps/shop/scale", scale)
        status, answer = await asyncio.wait_for(waiting, 5)
        assert status == 200
        assert answer["version"] > detail.version

    serve(tmp_path, test)


def test_events_are_waited_for(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await served.local("POST", "/v1/invites", {"host": "h1"})
        events = await served.read(EventList, "/v1/events")
        path = f"/v1/events?after={events.last}&hold_s=20"
        waiting = asyncio.ensure_future(served.read(EventList, path))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await served.local("POST", "/v1/invites", {"host": "h2"})
        found = await asyncio.wait_for(waiting, 5)
        assert [event.subject for event in found.events] == ["host h2"]
        empty = await served.read(EventList, f"/v1/events?after={found.last}&hold_s=0.05")
        assert (empty.events, empty.last) == ((), found.last)

    serve(tmp_path, test)


def test_an_invite_is_used_once_and_repeated_with_its_own_key(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll("h1")
        hosts = await served.read(HostList, "/v1/hosts")
        assert [(view.host_id, view.name) for view in hosts.hosts] == [(host.host_id, "h1")]
        wrong = {"host": "h1", "secret": "guess", "csr_pem": "no request"}
        status, answer = await served.api("POST", "/v1/enroll", wrong)
        assert (status, answer["problems"][0]["field"]) == (400, "csr_pem")
        csr = certificates.new_request(certificates.new_key(), "h1").decode()
        status, answer = await served.api("POST", "/v1/enroll", {**wrong, "csr_pem": csr})
        assert (status, answer["error"]) == (403, "Forbidden")
        assert answer["remedy"].startswith("hullmark invite h1")
        status, answer = await served.local("POST", "/v1/invites", {"host": "UPPER"})
        assert (status, answer["problems"][0]["field"]) == (400, "host")

    serve(tmp_path, test)


def test_a_full_disk_is_a_clear_no_and_questions_go_on(tmp_path: Path, monkeypatch) -> None:
    full = False
    commit = SqliteStore.commit

    def commit_if_room(self, compares, writes):
        if full:
            raise StoreUnavailable("disk is full", remedy="make room")
        return commit(self, compares, writes)

    monkeypatch.setattr(SqliteStore, "commit", commit_if_room)

    async def test(served: Served) -> None:
        nonlocal full
        host = await served.enroll()
        await host.begin()
        full = True
        status, answer = await served.local("PUT", "/v1/apps/shop", apply_body())
        assert (status, answer["error"]) == (503, "StoreUnavailable")
        assert answer["remedy"] == "make room"
        assert (await host.post("/agent/v1/poll", await host.settled(hold_s=0)))[0] == 200
        assert (await served.local("GET", "/v1/status"))[1]["notes"]
        full = False
        assert (await served.local("PUT", "/v1/apps/shop", apply_body()))[0] == 200

    serve(tmp_path, test)


def test_a_fault_of_ours_is_told_by_an_id_only(tmp_path: Path, monkeypatch, caplog) -> None:
    def broken(app):
        raise RuntimeError("a secret detail")

    monkeypatch.setattr("tests.unit.masterd.serving.nothing_wrong", broken)

    async def test(served: Served) -> None:
        status, answer = await served.local("PUT", "/v1/apps/shop", apply_body())
        assert status == 500
        assert "secret" not in str(answer)
        record = next(item for item in caplog.records if item.message == "a request failed")
        assert record.fields["id"] in answer["message"]
        assert "a secret detail" in record.fields["traceback"]
        assert (await served.local("GET", "/v1/status"))[0] == 200

    serve(tmp_path, test)
