"""The audit logs as people ask for them: filtered, followed, traced, byte for byte."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from hullmark.masterd.received import Records
from hullmark.model.audit import FIRST_PREV, Actor, Entry, Outcome, Stage
from hullmark.model.auditline import hash_of, line_of
from hullmark.model.moments import moment
from tests.unit.masterd.serving import Host, Served, apply_body, serve

CONTAINER = "c" * 64


def chain(log: str, entries: list[Entry], at: float = 1e9) -> list[bytes]:
    """Lines without their ends."""
    found, prev = [], FIRST_PREV
    for seq, entry in enumerate(entries, 1):
        line = line_of(entry, seq=seq, prev=prev, log=log, boot="b", at=moment(at + seq))
        prev = hash_of(line)
        found.append(line.rstrip(b"\n"))
    return found


def on_host(kind: str, stage: Stage, of: int = 0, **more: Any) -> Entry:
    outcome = Outcome.PENDING if stage is Stage.INTENT else Outcome.SUCCESS
    fields = {"name": "shop.web.1.g1", "app": "shop", **more.pop("fields", {})}
    who = {"by": "alice", "actor": Actor.HUMAN, "origin": "local", "request_id": "r1"}
    return Entry(kind, "shop/web.1", stage, outcome, of=of, fields=fields, **{**who, **more})


STORY = [
    on_host("container.create", Stage.INTENT),
    on_host("container.create", Stage.OUTCOME, 1, container_id=CONTAINER),
    on_host("container.start", Stage.INTENT, container_id=CONTAINER),
    on_host("container.start", Stage.OUTCOME, 3, container_id=CONTAINER, fields={"pid": "4242"}),
]


async def lines(served: Served, **query: Any) -> list[bytes]:
    connector = aiohttp.UnixConnector(path=str(served.socket))
    url = "http://master/v1/audit?" + urlencode(query)
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as answer:
        assert answer.status == 200, await answer.text()
        return (await answer.read()).splitlines()


async def ship(host: Host, entries: list[Entry]) -> list[bytes]:
    sent = chain(f"host:{host.host_id}", entries)
    body = {
        "log": f"host:{host.host_id}",
        "first": 1,
        "lines": [line.decode() for line in sent],
    }
    status, said = await host.post("/agent/v1/audit", body)
    assert (status, said.get("cursor")) == (200, len(sent)), said
    return sent


def test_records_are_given_as_they_stand_in_their_logs(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        sent = await ship(host, STORY)
        assert await lines(served, log=f"host:{host.host_id}") == sent
        assert await lines(served, log="h1") == sent
        assert await lines(served, log="h1", kind="container.start") == sent[2:]
        assert await lines(served, container=CONTAINER[:12], outcome="success") == [
            sent[1],
            sent[3],
        ]
        assert await lines(served, log="h1", limit=1) == sent[3:]
        assert await lines(served, log="h1", since=moment(1e9 + 3)) == sent[2:]
        assert await lines(served, log="h1", until=moment(1e9 + 3)) == sent[:2]
        assert await lines(served, app="shop", by="bob") == []
        own = await lines(served, log="m1", limit=100)
        stored = (tmp_path / "audit" / "audit.log").read_bytes().splitlines()
        assert own[:10] == stored[:10]
        status, said = await served.local("GET", "/v1/audit?log=nobody")
        assert (status, said["error"]) == (404, "NotFound")
        status, said = await served.local("GET", "/v1/audit?since=yesterday&outcome=good")
        assert (status, [each["field"] for each in said["problems"]]) == (400, ["since", "outcome"])

    serve(tmp_path, test)


def test_who_reads_the_record_is_recorded(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await lines(served, by="bob")
        for _ in range(100):
            found = await lines(served, kind="request.audit")
            if found:
                break
            await asyncio.sleep(0.01)
        assert json.loads(found[0])["fields"]["by"] == "bob"

    serve(tmp_path, test)


def test_a_person_is_traced_to_a_process_and_back(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        body = {**apply_body(), "ticket": "CHG-7"}
        await served.local("PUT", "/v1/apps/shop", body)
        who = json.loads((await lines(served, kind="request.apply"))[0])["by"]
        asked = {"by": who, "request_id": body["request_id"]}
        story = [Entry(**{**entry.__dict__, **asked}) for entry in STORY]
        await ship(host, story)
        for what in (who, "shop", body["request_id"], "CHG-7", CONTAINER[:12], "shop/web.1"):
            status, found = await served.local(
                "GET", "/v1/audit/trace?" + urlencode({"what": what})
            )
            assert status == 200, found
            request = next(
                each for each in found["requests"] if each["request_id"] == body["request_id"]
            )
            assert (request["by"], request["ticket"], request["master"]) == (who, "CHG-7", "m1")
            assert (request["outcome"], request["generation"]) == ("success", 1)
            (container,) = found["containers"]
            assert (container["host"], container["instance"]) == ("h1", "shop/web.1")
            assert (container["container_id"], container["generation"]) == (CONTAINER, 1)
            made, started = container["deeds"]
            assert (made["kind"], len(made["places"])) == ("container.create", 2)
            assert (started["pid"], started["outcome"]) == (4242, "success")
        _, found = await served.local("GET", "/v1/audit/trace?what=nobody")
        assert "requests" not in found
        status, _ = await served.local("GET", "/v1/audit/trace")
        assert status == 400

    serve(tmp_path, test)


def test_who_follows_gets_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hullmark.masterd.audit_api.LOOK_S", 0.02)

    async def test(served: Served) -> None:
        host = await served.enroll()
        connector = aiohttp.UnixConnector(path=str(served.socket))
        url = "http://master/v1/audit?kind=container&follow=true"
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(url) as answer,
        ):
            sent = await ship(host, STORY)
            got = [
                (await asyncio.wait_for(answer.content.readline(), 5)).rstrip(b"\n") for _ in sent
            ]
        assert got == sent

    serve(tmp_path, test)


@pytest.mark.parametrize("role", ["viewer", "deployer"])
def test_the_record_is_for_auditors(tmp_path: Path, role: str) -> None:
    async def test(served: Served) -> None:
        request = {"name": "ci", "role": role, "request_id": "t1"}
        _, made = await served.local("POST", "/v1/tokens", request)
        for path in ("/v1/audit", "/v1/audit/heads", "/v1/audit/trace?what=x"):
            status, _ = await served.api("GET", path, token=made["token"])
            assert status == 403, path

    serve(tmp_path, test)


def test_files_that_hold_nothing_of_it_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each record in a file of its own, so that what is skipped would be missed."""
    monkeypatch.setattr("hullmark.masterd.received.FILE_BYTES", 1)
    monkeypatch.setattr("hullmark.masterd.received.PIECE_BYTES", 7)
    sent = chain("host:h1", STORY)
    records = Records(tmp_path)
    for seq, line in enumerate(sent, 1):
        assert records.take("host:h1", seq, [line.decode()]).cursor == seq
    files = sorted((tmp_path / "received" / "host:h1").iterdir())
    assert len(files) == len(sent)

    def found(**more: Any) -> list[bytes]:
        return [line for _, line in records.find(**more)]

    assert found() == sent
    assert found(after=2) == sent[2:]
    assert found(texts=(b"4242", b"nowhere")) == sent[3:]
    assert found(texts=(CONTAINER.encode(),)) == sent[1:]
    files[0].write_bytes(b"\0")
    assert found(after=1) == sent[1:], "what is skipped isn't even opened"
