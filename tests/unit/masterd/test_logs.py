"""Tasks end to end: an app's output from several hosts, and images resolved by a host."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Optional

import aiohttp
import pytest

from hullmark.core.changes import changes
from hullmark.masterd import dispatch, logs, resolving
from hullmark.masterd.channel import Channel
from hullmark.model.api import LogRecord
from hullmark.model.epoch import Epoch
from hullmark.model.observed import HostProblem, HostState
from hullmark.model.wire import from_wire, to_wire
from tests.unit.masterd.serving import PULLED, Host, Served, apply_body, eventually, serve


async def next_task(host: Host, seen: int = 0) -> tuple[dict[str, Any], int]:
    """The host's next task, as its agent gets it by polling."""
    while True:
        body = await host.settled(tasks_seen=seen, hold_s=4)
        _, answer = await host.post("/agent/v1/poll", body)
        if answer.get("tasks"):
            return answer["tasks"][0], answer["tasks_last"]


async def answer(
    served: Served, host: Host, task: dict[str, Any], lines: AsyncIterator[bytes]
) -> int:
    """Stream the answer to a task, as an agent does; the status."""
    url = f"https://127.0.0.1:{served.agents_port}/agent/v1/tasks/{task['task_id']}"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=lines, ssl=host.context) as response,
    ):
        return response.status


def line(number: int, instance: str = "shop/web.1", size: int = 0) -> bytes:
    text = f"line {number}" + "." * size
    record = {"instance": instance, "host": "a lie", "stream": "stdout", "text": text}
    return json.dumps({**record, "at": f"2026-11-24T01:30:{number % 60:02d}Z"}).encode() + b"\n"


async def lines(count: int, instance: str = "shop/web.1") -> AsyncIterator[bytes]:
    for number in range(count):
        yield line(number, instance)


async def two_hosts(served: Served) -> list[Host]:
    hosts = [await served.enroll(name) for name in ("h1", "h2")]
    for host in hosts:
        await host.begin()
    app = {
        "name": "shop",
        "services": {
            "web": {
                "container": {"image": "web:1", "pull_policy": "never"},
                "deploy": {"replicas": 4},
            }
        },
    }
    status, found = await served.local("PUT", "/v1/apps/shop", apply_body(app=app))
    assert status == 200, found

    async def both_have_orders() -> bool:
        answers = [(await host.post("/agent/v1/orders", {}))[1] for host in hosts]
        return all(answer["orders"].get("assignments") for answer in answers)

    await eventually(both_have_orders, "both hosts have instances")
    return hosts


def records(raw: bytes) -> list[LogRecord]:
    return [from_wire(LogRecord, json.loads(text)) for text in raw.splitlines()]


async def read_logs(served: Served, query: str = "") -> tuple[int, bytes]:
    async with served.stream(f"/v1/apps/shop/logs{query}") as reader:
        head = await reader.readuntil(b"\r\n\r\n")
        return int(head.split()[1]), await reader.read()


def test_lines_of_all_hosts_are_merged_and_named(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        one, two = await two_hosts(served)
        reading = asyncio.ensure_future(read_logs(served, "?service=web&tail=5&since=17"))
        (first, _), (second, _) = await asyncio.gather(next_task(one), next_task(two))
        expected = {"app": "shop", "service": "web", "tail": "5", "since": "17"}
        assert (first["kind"], first["arguments"]) == ("logs", expected)
        assert await answer(served, one, first, lines(3, "shop/web.1")) == 200
        assert not reading.done()
        assert await answer(served, two, second, lines(2, "shop/web.2")) == 200
        status, raw = await asyncio.wait_for(reading, 5)
        found = records(raw)
        assert status == 200
        assert [(item.host, item.instance) for item in found] == [
            *[("h1", "shop/web.1")] * 3,
            *[("h2", "shop/web.2")] * 2,
        ]
        # Nobody waits for it any more.
        assert await answer(served, one, first, lines(1)) == 404

    serve(tmp_path, test)


def test_a_host_that_does_not_answer_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(logs, "BEGIN_S", 0.3)
    monkeypatch.setattr(logs, "LOOK_S", 0.05)

    async def test(served: Served) -> None:
        one, _ = await two_hosts(served)
        reading = asyncio.ensure_future(read_logs(served))
        task, _ = await next_task(one)
        await answer(served, one, task, lines(1))
        _, raw = await asyncio.wait_for(reading, 5)
        said, remark = sorted(records(raw), key=lambda one: one.host)
        assert (said.host, said.stream) == ("h1", "stdout")
        assert (remark.host, remark.stream, remark.instance) == ("h2", "hullmark", "")
        assert "does not answer" in remark.text

    serve(tmp_path, test)


def test_an_answer_that_breaks_off_is_told(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(dispatch, "LOOK_S", 0.05)

    async def test(served: Served) -> None:
        one, two = await two_hosts(served)
        reading = asyncio.ensure_future(read_logs(served))
        (first, _), (second, _) = await asyncio.gather(next_task(one), next_task(two))

        async def broken() -> AsyncIterator[bytes]:
            yield line(1)
            yield b"this is no record\n"
            raise OSError("the agent dies")

        with pytest.raises((OSError, aiohttp.ClientError)):
            await answer(served, one, first, broken())
        await answer(served, two, second, lines(0))
        _, raw = await asyncio.wait_for(reading, 5)
        said = [item.text for item in records(raw)]
        assert said[0] == "line 1"
        assert "not a line" in said[1]
        assert "stopped in the middle" in said[2]

    serve(tmp_path, test)


def test_a_slow_reader_slows_the_agent_and_one_that_leaves_stops_it(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(dispatch, "LOOK_S", 0.05)
    monkeypatch.setattr(logs, "LOOK_S", 0.05)

    async def test(served: Served) -> None:
        one, _ = await two_hosts(served)
        sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            while True:
                yield line(sent, size=10_000)
                sent += 1

        async with served.stream("/v1/apps/shop/logs?follow=true") as reader:
            task, _ = await next_task(one)
            sending = asyncio.ensure_future(answer(served, one, task, endless()))
            await reader.readuntil(b"line 0")
            before = -1
            while before != sent:
                before = sent
                await asyncio.sleep(0.3)
            # The buffers of all between are full: some megabytes, and then nothing more.
            assert 10 < sent < 3000
            assert not sending.done()
        with pytest.raises((OSError, aiohttp.ClientError)):
            await asyncio.wait_for(sending, 5)
        _, found = await one.post("/agent/v1/poll", await one.settled(hold_s=0))
        assert not found.get("tasks")

    serve(tmp_path, test)


def test_following_asks_again_from_the_last_line_on(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(logs, "LOOK_S", 0.05)
    monkeypatch.setattr(logs, "AGAIN_S", 0.1)

    async def test(served: Served) -> None:
        one, _ = await two_hosts(served)
        async with served.stream("/v1/apps/shop/logs?follow=true&tail=3&slot=1") as reader:
            task, seen = await next_task(one)
            await answer(served, one, task, lines(2))
            await reader.readuntil(b"line 1")
            task, _ = await next_task(one, seen)
            assert task["arguments"] == {
                "app": "shop",
                "slot": "1",
                "follow": "true",
                "since": "1795483801.000000001",
            }

    serve(tmp_path, test)


def test_logs_of_no_app_are_not_found_and_of_nothing_are_empty(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        assert (await served.local("GET", "/v1/apps/none/logs"))[0] == 404
        await served.local("PUT", "/v1/apps/shop", apply_body())
        assert await asyncio.wait_for(read_logs(served), 5) == (200, b"")
        for query, missing in (
            ("service=nosuch", "app shop has no service nosuch"),
            ("service=web&slot=99", "shop/web has no slot 99"),
        ):
            status, found = await served.local("GET", f"/v1/apps/shop/logs?{query}")
            assert (status, found["error"], found["message"]) == (404, "NotFound", missing)
        assert (await served.local("GET", "/v1/apps/shop/logs?service=web&slot=1"))[0] == 200

    serve(tmp_path, test)


def test_a_host_whose_engine_is_away_is_named(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        one, two = await two_hosts(served)
        blind = HostState(problems=(HostProblem("engine.unavailable", "nothing answers"),))
        report = changes(
            None, blind, host_id=one.host_id, run="run-1", sequence=2, epoch=Epoch(1, 1), events=()
        )
        assert (await one.post("/agent/v1/report", to_wire(report)))[0] == 200
        reading = asyncio.ensure_future(read_logs(served))
        (first, _), (second, _) = await asyncio.gather(next_task(one), next_task(two))
        assert await answer(served, one, first, lines(0)) == 200
        assert await answer(served, two, second, lines(1, "shop/web.2")) == 200
        found = records((await asyncio.wait_for(reading, 5))[1])
        told = [item.text for item in found if item.stream == "hullmark"]
        assert told == ["host h1: nothing answers; its lines are missing"]

    serve(tmp_path, test)


def test_a_fault_in_the_middle_ends_the_connection(tmp_path: Path, monkeypatch) -> None:
    async def one_and_a_fault(self):
        yield LogRecord("shop/web.1", "h1", "stdout", "", "one")
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(logs.LogReader, "records", one_and_a_fault)

    async def test(served: Served) -> None:
        await served.local("PUT", "/v1/apps/shop", apply_body())
        async with served.stream("/v1/apps/shop/logs") as reader:
            raw = await asyncio.wait_for(reader.read(), 5)
        assert raw.startswith(b"HTTP/1.0 200")
        assert raw.count(b"HTTP/1") == 1
        assert b"fault" not in raw

    serve(tmp_path, test)


async def resolved(answer_line: Optional[dict[str, Any]]) -> AsyncIterator[bytes]:
    if answer_line is not None:
        yield json.dumps(answer_line).encode() + b"\n"


def test_a_host_resolves_an_image_and_the_next_one_if_it_goes_away(tmp_path: Path) -> None:
    digest = "sha256:" + "a" * 64

    async def test(served: Served) -> None:
        one, two = await two_hosts(served)
        body = apply_body("r2", app=PULLED)
        applying = asyncio.ensure_future(served.local("PUT", "/v1/apps/shop", body))
        waiting = {asyncio.ensure_future(next_task(host)): host for host in (one, two)}
        for content in (None, {"digest": digest}):
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            asked = done.pop()
            task, host = asked.result()[0], waiting.pop(asked)
            assert (task["kind"], task["arguments"]) == (
                "resolve",
                {"image": "web:1", "platform": "", "pull_policy": "missing"},
            )
            await answer(served, host, task, resolved(content))
        status, found = await asyncio.wait_for(applying, 5)
        assert (status, found["changed"]) == (200, True)
        assert "warnings" not in found
        _, detail = await served.local("GET", "/v1/apps/shop")
        assert detail["summary"]["services"][0]["digest"] == digest

    serve(tmp_path, test)


def test_a_host_that_runs_the_app_is_asked_first(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        one, two = await two_hosts(served)
        scale = {"services": {"web": 1}, "request_id": "s1"}
        assert (await served.local("POST", "/v1/apps/shop/scale", scale))[0] == 200

        async def on(host: Host) -> bool:
            _, found = await host.post("/agent/v1/orders", {})
            return bool(found["orders"].get("assignments"))

        async def on_one_only() -> bool:
            return await on(one) != await on(two)

        await eventually(on_one_only, "one instance is left")
        expected = one if await on(one) else two
        body = apply_body("r3", app=PULLED)
        applying = asyncio.ensure_future(served.local("PUT", "/v1/apps/shop", body))
        task, _ = await next_task(expected)
        other = two if expected is one else one
        _, found = await other.post("/agent/v1/poll", await other.settled(hold_s=0))
        assert not found.get("tasks")
        await answer(served, expected, task, resolved({"digest": "sha256:" + "b" * 64}))
        assert (await asyncio.wait_for(applying, 5))[0] == 200

    serve(tmp_path, test)


def test_an_image_that_can_not_be_had_changes_nothing(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        await host.begin()
        body = apply_body(app=PULLED)
        applying = asyncio.ensure_future(served.local("PUT", "/v1/apps/shop", body))
        task, _ = await next_task(host)
        no = {"error": "registry says: no such tag", "remedy": "push it"}
        await answer(served, host, task, resolved(no))
        status, found = await asyncio.wait_for(applying, 5)
        assert (status, found["error"], found["remedy"]) == (409, "ImageUnavailable", "push it")
        assert (await served.local("GET", "/v1/apps"))[1] == {"apps": []}

    serve(tmp_path, test)


def test_without_an_answer_nothing_is_applied(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(resolving, "BEGIN_S", 0.1)

    async def test(served: Served) -> None:
        status, found = await served.local("PUT", "/v1/apps/shop", apply_body(app=PULLED))
        assert (status, found["error"]) == (409, "ImageUnavailable")
        assert "no host to ask yet" in found["message"]
        assert "hullmark invite" in found["remedy"]
        host = await served.enroll()
        await host.begin()
        status, found = await served.local("PUT", "/v1/apps/shop", apply_body(app=PULLED))
        assert (status, found["error"]) == (409, "ImageUnavailable")
        assert re.search(r"web: .*web:1 .*no host answered in 0\.\d s", found["message"])
        assert "start an agent; or pin the image by digest" in found["remedy"]
        assert (await served.local("GET", "/v1/apps"))[1] == {"apps": []}

    serve(tmp_path, test)


def test_a_leader_that_has_just_begun_waits_for_a_host(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await served.enroll()
        body = apply_body(app=PULLED)
        applying = asyncio.ensure_future(served.local("PUT", "/v1/apps/shop", body))
        await asyncio.sleep(0.3)
        assert not applying.done()
        await host.begin()
        task, _ = await next_task(host)
        await answer(served, host, task, resolved({"digest": "sha256:" + "a" * 64}))
        assert (await asyncio.wait_for(applying, 5))[0] == 200

    serve(tmp_path, test)


def test_a_host_that_does_not_come_is_not_waited_for_for_long(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(resolving, "YOUNG_S", 0.1)

    async def test(served: Served) -> None:
        await served.enroll()
        status, found = await served.local("PUT", "/v1/apps/shop", apply_body(app=PULLED))
        assert (status, found["error"]) == (409, "ImageUnavailable")
        assert "no host is ready to be asked" in found["message"]

    serve(tmp_path, test)


def test_a_task_is_for_one_host_and_comes_again_to_a_new_life_of_it(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        one, two = await two_hosts(served)
        async with served.stream("/v1/apps/shop/logs"):
            task, seen = await next_task(one)
            assert await answer(served, two, task, lines(1)) == 404
            _, found = await one.post(
                "/agent/v1/poll", await one.settled(tasks_seen=seen, hold_s=0)
            )
            assert not found.get("tasks")
            again, _ = await next_task(one, 0)
            assert again == task
            # What an agent has seen of an earlier master's tasks hides none of this one's.
            assert (await next_task(one, 7))[0] == task

    serve(tmp_path, test)


def test_a_channel_holds_so_many_and_ends() -> None:
    async def test() -> None:
        channel: Channel[int] = Channel(2)
        assert [await channel.put(number) for number in (1, 2)] == [True, True]
        third = asyncio.ensure_future(channel.put(3))
        await asyncio.sleep(0.01)
        assert not third.done()
        assert await channel.take(1) == 1
        assert await third
        fourth = asyncio.ensure_future(channel.put(4))
        await asyncio.sleep(0.01)
        channel.close()
        assert not await fourth
        assert await channel.take(1) is None

    asyncio.run(test())
