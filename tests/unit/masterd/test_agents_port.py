"""The agents' port: held polls, orders, reports, renewed certificates."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import ssl
from pathlib import Path

import pytest

from hullmark.errors import StaleEpoch
from hullmark.masterd.view import decode
from hullmark.model.api import EventList, HostList
from hullmark.model.host import HostRecord
from hullmark.model.names import HOSTS, LEADER_KEY
from hullmark.model.protocol import OrdersAnswer, PollAnswer, RenewAnswer
from hullmark.model.wire import from_wire
from hullmark.pki import certificates
from hullmark.store.sqlite import SqliteStore
from tests.unit.masterd.serving import Served, apply_body, serve


def test_the_first_poll_asks_for_everything(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        status, answer = await host.post("/agent/v1/poll", {"run": "a", "hold_s": 9})
        poll = from_wire(PollAnswer, answer)
        assert status == 200
        assert (poll.changed, poll.resend, poll.tasks) == (True, True, ())
        assert poll.leader.startswith("m1@")
        _, answer = await host.post("/agent/v1/orders", {})
        orders = from_wire(OrdersAnswer, answer)
        assert (orders.orders.host_id, orders.lease_s) == (host.host_id, 10.0)
        assert orders.orders.epoch == poll.epoch

    serve(tmp_path, test)


def test_a_missing_report_is_not_asked_for_without_pause(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        body = await host.settled(run="a", hold_s=1.2)
        clock = asyncio.get_running_loop().time
        began = clock()
        assert (await host.post("/agent/v1/poll", body))[1]["resend"]
        assert clock() - began < 1.0
        assert (await host.post("/agent/v1/poll", body))[1]["resend"]
        assert clock() - began > 1.2

    serve(tmp_path, test)


def test_a_held_poll_ends_with_new_orders(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        await host.begin()
        body = await host.settled(hold_s=9)
        poll = asyncio.ensure_future(host.post("/agent/v1/poll", body))
        await asyncio.sleep(0.1)
        assert not poll.done()
        await served.local("PUT", "/v1/apps/shop", apply_body())
        _, answer = await asyncio.wait_for(poll, 3)
        assert answer["changed"] is True
        _, answer = await host.post("/agent/v1/orders", {})
        assert answer["orders"]["assignments"][0]["instance"]["app"] == "shop"

    serve(tmp_path, test, lost_after=60.0)


def test_a_hold_is_never_longer_than_it_may_be(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        await host.begin()
        clock = asyncio.get_running_loop().time
        began = clock()
        _, answer = await host.post("/agent/v1/poll", await host.settled(hold_s=600))
        assert 0.3 < clock() - began < 2
        assert not answer.get("changed", False)

    serve(tmp_path, test, lost_after=1.0)


def test_a_report_that_does_not_follow_is_asked_for_whole(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        await host.begin()
        report = {
            "host_id": host.host_id,
            "run": "run-1",
            "sequence": 7,
            "epoch": {"incarnation": 1, "term": 1},
            "digest": "0" * 64,
            "of_a_newer_agent": [1, 2],
        }
        status, answer = await host.post("/agent/v1/report", report)
        assert (status, answer["resend"]) == (200, True)
        assert answer["leader"].startswith("m1@")
        hosts = await served.read(HostList, "/v1/hosts")
        assert hosts.hosts[0].state == "ready"

    serve(tmp_path, test)


def test_a_host_can_not_speak_in_the_name_of_others(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        event = {
            "event_id": "e1",
            "at": 1.0e9 * 2,
            "kind": "order.refused",
            "subject": "shop",
            "origin": "m1",
            "by": "alice",
        }
        forged = {**event, "event_id": "e2", "kind": "host.problem-over"}
        report = {
            "host_id": host.host_id,
            "run": "run-1",
            "sequence": 1,
            "epoch": {"incarnation": 1, "term": 1},
            "digest": "",
            "full": True,
            "events": [event, forged],
        }
        assert (await host.post("/agent/v1/report", report))[0] == 200
        events = await served.read(EventList, "/v1/events?limit=1")
        assert (events.events[0].origin, events.events[0].by) == ("h1", "")
        assert events.events[0].kind == "order.refused"

    serve(tmp_path, test)


def test_a_certificate_is_renewed_for_a_new_key(tmp_path: Path) -> None:
    newest = ""

    async def test(served: Served) -> None:
        nonlocal newest
        host = await served.enroll()
        key = certificates.new_key()
        csr = certificates.new_request(key, "ignored").decode()
        status, answer = await host.post("/agent/v1/renew", {"csr_pem": csr})
        renewed = from_wire(RenewAnswer, answer)
        leaf = certificates.load_chain(renewed.chain_pem.encode(), "renewed")[0]
        newest = certificates.fingerprint(leaf)
        assert status == 200
        assert certificates.identity_of(leaf).name == host.host_id
        (tmp_path / "host-h1" / "pem").write_text(renewed.chain_pem)
        (tmp_path / "host-h1" / "key").write_bytes(certificates.key_pem(key))
        fresh = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        fresh.load_verify_locations(served.root)
        fresh.load_cert_chain(tmp_path / "host-h1" / "pem", tmp_path / "host-h1" / "key")
        host.context = fresh
        assert (await host.post("/agent/v1/orders", {}))[0] == 200
        events = await served.read(EventList, "/v1/events?limit=1")
        assert (events.events[0].kind, events.events[0].by) == ("host.certificate-renewed", "h1")
        status, answer = await host.post("/agent/v1/renew", {"csr_pem": "nonsense"})
        assert (status, answer["problems"][0]["field"]) == (400, "csr_pem")

    serve(tmp_path, test)
    store = SqliteStore(tmp_path / "master" / "store.sqlite")
    entry = store.list(HOSTS).entries[0]
    store.close()
    assert decode(HostRecord, entry.key, entry.value).certificate_sha256 == newest


def test_a_new_leader_is_told_from_the_old_one(tmp_path: Path) -> None:
    async def first(served: Served) -> None:
        _, answer = await served.local("GET", "/v1/status")
        assert answer["epoch"] == "1.1"

    async def second(served: Served) -> None:
        _, answer = await served.local("GET", "/v1/status")
        assert answer["epoch"] == "1.2"

    serve(tmp_path, first)
    serve(tmp_path, second)


def usurp(folder: Path) -> None:
    """Somebody else writes the leader record, as a second master would."""
    with contextlib.closing(sqlite3.connect(folder / "master" / "store.sqlite")) as connection:
        connection.execute(
            "UPDATE entries SET modified = modified + 1000 WHERE key = ?", (LEADER_KEY,)
        )
        connection.commit()


def test_a_master_that_lost_its_lead_says_so_to_all_and_ends(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        await host.begin()
        poll = asyncio.ensure_future(host.post("/agent/v1/poll", await host.settled(hold_s=9)))
        events = asyncio.ensure_future(served.local("GET", "/v1/events?after=9999999&hold_s=50"))
        await asyncio.sleep(0.1)
        assert not poll.done()
        assert not events.done()
        usurp(tmp_path)
        status, answer = await served.local("PUT", "/v1/apps/shop", apply_body())
        assert (status, answer["error"]) == (421, "StaleEpoch")
        assert await asyncio.wait_for(poll, 3) == (421, {})
        status, answer = await asyncio.wait_for(events, 3)
        assert (status, answer["error"]) == (421, "StaleEpoch")

    with pytest.raises(StaleEpoch, match="another master leads since") as caught:
        serve(tmp_path, test, lost_after=60.0)
    assert caught.value.exit_code == 2
    assert caught.value.remedy
