"""Certificates that are worth nothing any more, and machines that share one, over real TLS."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hullmark.masterd.runs import LATE_S
from hullmark.model.api import ClusterStatus, EventList, HostList
from hullmark.pki import certificates
from tests.unit.masterd.serving import Host, Served, eventually, serve
from tests.unit.pki.callers import client_context

POLL = "/agent/v1/poll"
NOTHING = {"run": "run-1", "hold_s": 0}


async def renewed(served: Served, host: Host, folder: str, **more: str) -> Any:
    """A context with the host's newest certificate, which was not used yet."""
    key = certificates.new_key()
    body = {"csr_pem": certificates.new_request(key, "ignored").decode(), **more}
    status, answer = await host.post("/agent/v1/renew", body)
    assert status == 200, answer
    path = served.folder / folder
    path.mkdir()
    (path / "key").write_bytes(certificates.key_pem(key))
    (path / "pem").write_text(answer["chain_pem"])
    return client_context(served.root, path / "pem", path / "key")


async def post_anew(served: Served, context: Any, body: Any, path: str = POLL) -> tuple[int, Any]:
    """On a connection of its own, as another process would."""
    url = f"https://127.0.0.1:{served.agents_port}{path}"
    async with aiohttp.ClientSession() as session:
        return await served.ask("POST", url, body, context=context, session=session)


def test_a_renewal_whose_answer_is_lost_and_one_that_is_used(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        await host.begin()
        held = asyncio.ensure_future(host.post(POLL, await host.settled(hold_s=3)))
        await asyncio.sleep(0.1)
        await renewed(served, host, "lost")
        newest = await renewed(served, host, "newest")
        assert (await host.post(POLL, NOTHING))[0] == 200, "the newest was not used yet"
        assert not held.done()
        assert (await post_anew(served, newest, {}, "/agent/v1/orders"))[0] == 200
        status, answer = await post_anew(served, host.context, NOTHING)
        assert status == 403
        assert "hullmark agent enroll --force" in answer["remedy"]
        assert (await held)[0] == 200, "a poll that was held meanwhile is answered"
        assert (await post_anew(served, newest, {}, "/agent/v1/orders"))[0] == 200
        events = await served.read(EventList, "/v1/events")
        told = [event for event in events.events if event.kind == "host.refused"]
        assert [event.subject for event in told] == ["host h1"]

    serve(tmp_path, test)


def test_an_enrolment_anew_ends_the_old_certificate_at_once(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        old = await served.enroll()
        await old.begin()
        held = asyncio.ensure_future(old.post(POLL, await old.settled(hold_s=20)))
        await asyncio.sleep(0.1)
        (tmp_path / "host-h1").rename(tmp_path / "former")
        new = await served.enroll()
        assert new.host_id == old.host_id
        assert (await old.post("/agent/v1/orders", {}))[0] == 403
        status, _ = await asyncio.wait_for(held, 3)
        assert status in (401, 403)
        assert (await post_anew(served, new.context, {}, "/agent/v1/orders"))[0] == 200

    serve(tmp_path, test, lost_after=60.0)


def test_a_removed_host_loses_what_it_holds(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        await host.begin()
        held = asyncio.ensure_future(host.post(POLL, await host.settled(hold_s=20)))
        await asyncio.sleep(0.1)
        assert not held.done()
        status, _ = await served.local("DELETE", "/v1/hosts/h1", {"request_id": "x"})
        assert status == 200
        status, _ = await asyncio.wait_for(held, 3)
        assert status in (401, 403)
        for _ in range(3):
            status, answer = await host.post(POLL, NOTHING)
            assert (status, host.host_id in answer["message"]) == (403, True)
        assert (await served.read(HostList, "/v1/hosts")).hosts == ()
        events = await served.read(EventList, "/v1/events")
        (told,) = [event for event in events.events if event.kind == "host.refused"]
        assert told.subject == f"host {host.host_id}"
        assert told.fields == {"from": "127.0.0.1", "host_id": host.host_id}

    serve(tmp_path, test, lost_after=60.0)


def test_a_cloned_machine_is_refused_and_shown(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        await host.begin()
        held = asyncio.ensure_future(host.post(POLL, await host.settled(hold_s=20)))
        await asyncio.sleep(0.1)
        status, answer = await post_anew(served, host.context, {"run": "clone", "hold_s": 5})
        assert status == 403
        assert "another agent with this host's certificate is connected" in answer["message"]
        assert not held.done(), "the one that stands stays"
        report = {
            "host_id": host.host_id,
            "run": "clone",
            "sequence": 1,
            "epoch": {"incarnation": 1, "term": 1},
            "digest": "",
            "full": True,
        }
        assert (await post_anew(served, host.context, report, "/agent/v1/report"))[0] == 403
        status_now = await served.read(ClusterStatus, "/v1/status")
        assert status_now.state == "degraded"
        assert "127.0.0.1 is refused" in " ".join(status_now.notes)
        (shown,) = (await served.read(HostList, "/v1/hosts")).hosts
        assert [problem.code for problem in shown.problems] == ["host.cloned"]
        events = await served.read(EventList, "/v1/events")
        assert [event.kind for event in events.events].count("host.cloned") == 1
        held.cancel()

        async def is_taken() -> bool:
            return (await post_anew(served, host.context, {"run": "next", "hold_s": 0}))[0] == 200

        await eventually(is_taken, "an agent that was started anew is taken")

    serve(tmp_path, test, lost_after=60.0)


@pytest.mark.parametrize("closes", [True, False])
def test_a_poll_that_was_long_under_way_is_no_clone(tmp_path: Path, closes: bool) -> None:
    """Of the same life, on a connection that another has taken over from: what counts is whether it is still open a moment later."""

    async def test(served: Served) -> None:
        host = await served.enroll()
        await host.begin()
        async with aiohttp.ClientSession() as other:
            url = f"https://127.0.0.1:{served.agents_port}{POLL}"
            body = {"run": "run-1", "hold_s": 5}
            now = {**body, "hold_s": 0}
            assert (await served.ask("POST", url, now, context=host.context, session=other))[
                0
            ] == 200
            late = asyncio.ensure_future(host.post(POLL, await host.settled(hold_s=5)))
            await asyncio.sleep(0.2)
            assert not late.done()
            if closes:
                late.cancel()
            await asyncio.sleep(LATE_S + 0.2)
            events = await served.read(EventList, "/v1/events")
            told = [event.kind for event in events.events].count("host.cloned")
            assert told == (0 if closes else 1)
            status, _ = await served.ask("POST", url, now, context=host.context, session=other)
            assert status == (200 if closes else 403)
            late.cancel()

    serve(tmp_path, test, lost_after=60.0)


def test_a_proxys_certificate_is_nobodys_at_a_master(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        await host.begin()
        proxy = await renewed(served, host, "proxy", purpose="proxy")
        for path, body in ((POLL, NOTHING), ("/agent/v1/orders", {}), ("/agent/v1/renew", {})):
            status, answer = await post_anew(served, proxy, body, path)
            assert (status, answer["message"]) == (
                403,
                "this certificate is not one of a host of this cluster",
            )
        url = f"https://127.0.0.1:{served.agents_port}/v1/hosts"
        assert (await served.ask("GET", url, context=proxy))[0] in (403, 404)
        assert (await host.post(POLL, NOTHING))[0] == 200, "the agent's own is as it was"
        events = await served.read(EventList, "/v1/events")
        told = [one for one in events.events if one.kind.startswith("host.proxy")]
        assert [(one.subject, one.by) for one in told] == [("host h1", "h1")]
        assert "host.certificate-renewed" not in {one.kind for one in events.events}
        wrong = {"csr_pem": certificates.new_request(certificates.new_key(), "x").decode()}
        status, answer = await host.post("/agent/v1/renew", {**wrong, "purpose": "master"})
        assert (status, answer["problems"][0]["field"]) == (400, "purpose")

    serve(tmp_path, test)
