"""What an image is, asked of hosts until one has it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hullmark.model.app import App, Attachment, ContainerSpec, Network, PullPolicy, Service
from hullmark.model.wire import to_wire
from tests.unit.masterd.serving import PULLED, Host, Served, apply_body, serve
from tests.unit.masterd.test_logs import answer, next_task, resolved, two_hosts

NO = {"error": "image web:1 is not on this host", "remedy": "load it"}


def on_hosts_only() -> App:
    """An app whose ports only its image knows."""
    back = (Attachment("back"),)
    web = ContainerSpec("web:1", pull_policy=PullPolicy.NEVER, networks=back)
    return App("shop", {"web": Service(web), "api": Service(web)}, {"back": Network()})


async def say(served: Served, host: Host, said: dict[str, Any]) -> dict[str, Any]:
    """Answer the host's next question; what it was."""
    task, _ = await next_task(host)
    assert task["kind"] == "resolve"
    await answer(served, host, task, resolved(said))
    return dict(task["arguments"])


@pytest.mark.parametrize("has_it", [0, 1])
def test_an_image_that_one_host_has_is_found_whoever_is_asked_first(
    tmp_path: Path, has_it: int
) -> None:
    async def test(served: Served) -> None:
        hosts = await two_hosts(served)
        body = apply_body("r2", app=to_wire(on_hosts_only()))
        applying = asyncio.ensure_future(served.local("PUT", "/v1/apps/shop", body))
        assert (await say(served, hosts[1 - has_it], NO))["pull_policy"] == "never"
        assert not applying.done()
        await say(served, hosts[has_it], {"local_id": "sha256:1", "exposed": ["5432/tcp"]})
        status, found = await asyncio.wait_for(applying, 5)
        assert (status, found.get("warnings")) == (200, None)
        _, services = await served.local("GET", "/v1/services?app=shop")
        assert [one["ports"] for one in services["services"]] == [[5432], [5432]]

    serve(tmp_path, test)


def test_who_was_asked_is_said_where_no_host_has_it(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        one, two = await two_hosts(served)
        body = apply_body("r2", app=to_wire(on_hosts_only()))
        applying = asyncio.ensure_future(served.local("PUT", "/v1/apps/shop", body))
        await asyncio.gather(say(served, one, NO), say(served, two, NO))
        status, found = await asyncio.wait_for(applying, 5)
        assert status == 200
        why = "which ports its image exposes is not known: h1, h2: image web:1 is not on this host"
        assert [text for text in found["warnings"] if "exposes" in text] == [
            f"api: {why}",
            f"web: {why}",
        ]

    serve(tmp_path, test)


def test_another_host_may_have_what_the_first_is_refused(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        hosts = await two_hosts(served)
        body = apply_body("r2", app=PULLED)
        applying = asyncio.ensure_future(served.local("PUT", "/v1/apps/shop", body))
        waiting = {asyncio.ensure_future(next_task(host)): host for host in hosts}
        for said in ({"error": "no credential"}, {"digest": "sha256:" + "a" * 64}):
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            asked = done.pop()
            assert len(done) == 0, "a registry is asked by one host after the other"
            await answer(served, waiting.pop(asked), asked.result()[0], resolved(said))
        assert (await asyncio.wait_for(applying, 5))[0] == 200

    serve(tmp_path, test)
