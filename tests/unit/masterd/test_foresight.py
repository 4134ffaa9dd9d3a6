"""`plan` asks the hosts that would get something what their policies say, and waits for none of them long."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from hullmark.masterd import foresight
from tests.unit.masterd.serving import Host, Served, serve
from tests.unit.masterd.test_exec import lines
from tests.unit.masterd.test_logs import answer, next_task

REASON = "privileged: not allowed here (50-pci.yaml:12)"
WEB = {"container": {"image": "web:1", "pull_policy": "never"}, "deploy": {"replicas": 2}}


async def plan(served: Served) -> dict[str, Any]:
    status, found = await served.local(
        "POST", "/v1/plan", {"app": {"name": "shop", "services": {"web": WEB}}}
    )
    assert status == 200, found
    return dict(found)


async def say(served: Served, host: Host, record: Any) -> dict[str, Any]:
    task, _ = await next_task(host)
    assert await answer(served, host, task, lines([record])) in (200, 404)
    return task


async def two(served: Served) -> list[Host]:
    hosts = [await served.enroll(name) for name in ("h1", "h2")]
    for host in hosts:
        await host.begin()
    return hosts


def test_what_is_refused_alike_stands_together(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        hosts = await two(served)
        no = {"refused": [{"service": "web", "reasons": [REASON]}]}
        saying = [asyncio.ensure_future(say(served, host, no)) for host in hosts]
        found = await plan(served)
        assert found["changed"] is True
        assert found["refused"] == [{"service": "web", "hosts": ["h1", "h2"], "reasons": [REASON]}]
        assert found.get("unjudged", []) == []
        task = await saying[0]
        assert task["kind"] == "judge"
        (service,) = json.loads(task["arguments"]["asked"])["services"]
        assert service["bundle"]["container"]["image"] == "web:1"
        await saying[1]

    serve(tmp_path, test)


def test_who_does_not_say_is_named_and_nothing_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foresight, "WITHIN_S", 2.5)

    async def test(served: Served) -> None:
        hosts = await two(served)
        saying = asyncio.ensure_future(say(served, hosts[0], {"error": "its engine is away"}))
        began = asyncio.get_running_loop().time()
        found = await plan(served)
        assert asyncio.get_running_loop().time() - began < 8
        assert found["unjudged"] == ["h1: its engine is away", "h2: it does not answer"]
        await saying

    serve(tmp_path, test)


def test_an_older_agent_says_something_else(tmp_path: Path) -> None:
    remark = {"instance": "", "host": "h1", "stream": "hullmark", "at": "", "text": "unknown"}

    async def test(served: Served) -> None:
        hosts = await two(served)
        saying = [asyncio.ensure_future(say(served, hosts[0], remark))]
        saying.append(asyncio.ensure_future(say(served, hosts[1], {})))
        found = await plan(served)
        assert found["unjudged"] == ["h1: it does not answer"]
        assert found.get("refused", []) == []
        await asyncio.gather(*saying)

    serve(tmp_path, test)


def test_nobody_is_asked_where_nothing_would_change_or_there_is_no_host(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        found = await plan(served)
        assert (found.get("refused", []), found.get("unjudged", [])) == ([], [])

    serve(tmp_path, test)
