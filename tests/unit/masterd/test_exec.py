"""Commands in containers by way of a master: who may, which host is asked, and what comes of each way that it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hullmark.core.changes import changes
from hullmark.masterd import exec_api
from hullmark.model.epoch import Epoch
from hullmark.model.execution import CLAIM
from hullmark.model.host import HostFacts
from hullmark.model.observed import HostState, InstanceStatus, Phase
from hullmark.model.orders import InstanceId
from hullmark.model.wire import to_wire
from tests.unit.masterd.serving import Host, Served, apply_body, eventually, serve
from tests.unit.masterd.test_forwarding import record_of, standby
from tests.unit.masterd.test_logs import answer, next_task

PATH = "/v1/apps/shop/exec"
WEB = InstanceId("shop", "web", 1, 1)
ASKED = {
    "service": "web",
    "command": ["ls", "-l"],
    "request_id": "q1",
    "ticket": "OPS-7",
    "reason": "a look",
}
HELLO = {"stream": "stdout", "data": "aGVsbG8K"}


async def with_web(served: Served, phase: Phase = Phase.RUNNING) -> Host:
    host = await served.enroll()
    await host.begin()
    status, found = await served.local("PUT", "/v1/apps/shop", apply_body())
    assert status == 200, found

    async def placed() -> bool:
        return bool((await host.post("/agent/v1/orders", {}))[1]["orders"].get("assignments"))

    await eventually(placed, "the instance has a host")
    state = HostState(
        HostFacts(architecture="x86_64", cpus=4, memory_bytes=8 << 30),
        {WEB.container_name: InstanceStatus(WEB, phase)},
    )
    report = changes(
        None, state, host_id=host.host_id, run="run-1", sequence=2, epoch=Epoch(1, 1), events=()
    )
    status, _ = await host.post("/agent/v1/report", to_wire(report))
    assert status == 200
    return host


async def lines(records: Sequence[Any], pause_s: float = 0.0) -> AsyncIterator[bytes]:
    for record in records:
        await asyncio.sleep(pause_s)
        yield record if isinstance(record, bytes) else json.dumps(record).encode() + b"\n"


async def carry_out(
    served: Served, host: Host, records: Sequence[Any], pause_s: float = 0.0
) -> dict[str, Any]:
    """What an agent does about its next task; the task."""
    task, _ = await next_task(host)
    assert await answer(served, host, task, lines([CLAIM + b"\n"])) == 200
    assert await answer(served, host, task, lines(records, pause_s)) == 200
    return task


async def ask(served: Served, token: str = "", **change: Any) -> tuple[int, list[Any]]:
    """The status, and the records or the error."""
    body = json.dumps({**ASKED, **change})
    headers = {"Content-Type": "application/json"}
    connector = aiohttp.UnixConnector(path=str(served.socket))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(f"http://master{PATH}", data=body, headers=headers) as response,
    ):
        raw = await response.read()
        return response.status, [json.loads(text) for text in raw.splitlines() if text.strip()]


def records_of(served: Served) -> list[dict[str, Any]]:
    """What the master's own log has of commands."""
    files = sorted((served.folder / "audit").rglob("*.log"))
    texts = [text for file in files for text in file.read_text().splitlines()]
    found = [json.loads(text) for text in texts]
    return [record for record in found if record["kind"] == "request.exec"]


async def recorded(served: Served, number: int) -> list[dict[str, Any]]:
    """The same, once there are as many: an answer that comes line by line has ended a moment before its record."""

    async def there() -> bool:
        return len(records_of(served)) == number

    await eventually(there, f"{number} records")
    return records_of(served)


def test_what_is_written_comes_as_it_is_with_the_exit_code(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await with_web(served)
        agent = asyncio.ensure_future(carry_out(served, host, [HELLO, b"\n", {"exit_code": 3}]))
        status, found = await ask(served, user="1000", limit_s=9.5)
        assert (status, found) == (
            200,
            [HELLO, {"exit_code": 3, "instance": "shop/web.1", "host": "h1"}],
        )
        task = await agent
        assert task["kind"] == "exec"
        given = task["arguments"]
        assert given.pop("by")
        assert given == {
            "app": "shop",
            "service": "web",
            "slot": "1",
            "generation": "1",
            "command": '["ls", "-l"]',
            "user": "1000",
            "working_dir": "",
            "limit_s": "9.5",
            "epoch": "1.1",
            "origin": "local",
            "ticket": "OPS-7",
            "reason": "a look",
            "request_id": "q1",
        }
        intent, outcome = await recorded(served, 2)
        assert (intent["stage"], intent["ticket"]) == ("intent", "OPS-7")
        assert '"ls", "-l"' in intent["fields"]["command"]
        assert (outcome["outcome"], outcome["fields"]["exit_code"]) == ("success", "3")

    serve(tmp_path, test)


def test_a_refusal_has_a_status_of_its_own(tmp_path: Path) -> None:
    why = {"kind": "PolicyRefused", "error": "exec.allowed: not here (50-pci.yaml:12)"}

    async def test(served: Served) -> None:
        host = await with_web(served)
        agent = asyncio.ensure_future(carry_out(served, host, [why]))
        status, (found,) = await ask(served)
        assert (status, found["error"], found["message"]) == (
            409,
            "PolicyRefused",
            "exec.allowed: not here (50-pci.yaml:12)",
        )
        await agent
        assert (await recorded(served, 2))[-1]["outcome"] in ("failure", "refused")

    serve(tmp_path, test)


def test_what_goes_wrong_after_it_began_is_in_the_last_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(served: Served) -> None:
        host = await with_web(served)
        error = {"kind": "Refused", "error": "the command was ended: its time limit of 1 s"}
        agent = asyncio.ensure_future(carry_out(served, host, [HELLO, error]))
        status, found = await ask(served)
        assert (status, found[0]) == (200, HELLO)
        assert found[1]["error"] == error["error"]
        await agent
        last = (await recorded(served, 2))[-1]
        assert (last["outcome"], last["reason"]) == ("failure", error["error"])

        monkeypatch.setattr(exec_api, "FIRST_S", 0.05)
        agent = asyncio.ensure_future(carry_out(served, host, [b"\n", b"no json\n"], 0.3))
        status, found = await ask(served, request_id="q2")
        assert status == 200
        assert found[-1]["kind"] == "Unavailable"
        assert "no record" in found[-1]["error"]
        await asyncio.wait({agent})
        assert (await recorded(served, 4))[-1]["outcome"] == "unknown"

    serve(tmp_path, test)


def test_a_host_that_does_not_come_is_told_later_that_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exec_api, "BEGIN_S", 0.5)

    async def test(served: Served) -> None:
        host = await with_web(served)
        asked = asyncio.ensure_future(next_task(host))
        await asyncio.sleep(0.2)
        asking = asyncio.ensure_future(ask(served))
        task, _ = await asked
        status, (found,) = await asking
        assert (status, found["error"]) == (503, "Unavailable")
        assert "so nothing was run" in found["message"]
        assert await answer(served, host, task, lines([CLAIM + b"\n"])) == 404

    serve(tmp_path, test)


def test_an_older_agent_and_one_that_says_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remark = {"instance": "", "host": "h1", "stream": "hullmark", "at": "", "text": "unknown"}

    async def test(served: Served) -> None:
        host = await with_web(served)
        asking = asyncio.ensure_future(ask(served))
        task, seen = await next_task(host)
        assert await answer(served, host, task, lines([remark])) == 200
        status, (found,) = await asking
        assert (status, found["error"]) == (409, "Refused")
        assert "older than this master" in found["message"]

        asking = asyncio.ensure_future(ask(served, request_id="q2"))
        task, _ = await next_task(host, seen)
        assert await answer(served, host, task, lines([CLAIM + b"\n"])) == 200
        assert await answer(served, host, task, lines([HELLO])) == 200
        status, records = await asking
        assert records[0] == HELLO
        assert records[-1]["kind"] == "Unavailable"

    serve(tmp_path, test)


def test_who_goes_away_ends_it(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await with_web(served)

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield json.dumps(HELLO).encode() + b"\n"
                await asyncio.sleep(0.05)

        asking = asyncio.ensure_future(ask(served))
        task, _ = await next_task(host)
        assert await answer(served, host, task, lines([CLAIM + b"\n"])) == 200
        running = asyncio.ensure_future(answer(served, host, task, endless()))
        await asyncio.sleep(0.3)
        asking.cancel()
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await asyncio.wait_for(running, 10)

    serve(tmp_path, test)


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"service": "db"}, 404, "app shop has no service db"),
        ({"slot": 2}, 409, "no instance of shop/web.2 runs"),
        ({"command": []}, 400, "command"),
        ({"command": ["a\0"]}, 400, "NUL"),
        ({"command": ["x"] * 300}, 400, "command"),
        ({"command": ["x" * 9000]}, 400, "command"),
        ({"limit_s": 0}, 400, "limit_s"),
        ({"limit_s": 1e9}, 400, "limit_s"),
        ({"request_id": ""}, 400, "request_id"),
        ({"reason": "x" * 600}, 400, "reason"),
    ],
)
def test_what_is_refused_before_a_host_is_asked(
    tmp_path: Path, change: dict[str, Any], status: int, words: str
) -> None:
    async def test(served: Served) -> None:
        await with_web(served)
        found, (error,) = await ask(served, **change)
        assert found == status
        assert words in json.dumps(error)

    serve(tmp_path, test)


def test_an_instance_that_does_not_run_and_a_machine(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        await with_web(served, Phase.BACKOFF)
        found, (error,) = await ask(served)
        assert (found, error["error"]) == (409, "Conflict")
        request = {"name": "ci", "role": "admin", "request_id": "t1"}
        status, token = await served.local("POST", "/v1/tokens", request)
        assert status == 200, token
        status, error = await served.api("POST", PATH, ASKED, token=token["token"])
        assert (status, error["error"]) == (403, "Forbidden")
        assert "by people" in error["message"]
        request = {"name": "cd", "role": "deployer", "request_id": "t2"}
        status, token = await served.local("POST", "/v1/tokens", request)
        status, error = await served.api("POST", PATH, ASKED, token=token["token"])
        assert "needs admin" in error["message"]

    serve(tmp_path, test)


def test_by_the_socket_of_a_standby_it_is_the_same_person(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        host = await with_web(served)
        async with standby(served, record_of(served.agents_port)) as there:
            agent = asyncio.ensure_future(carry_out(served, host, [HELLO, {"exit_code": 3}]))
            connector = aiohttp.UnixConnector(path=str(there.path))
            async with (
                aiohttp.ClientSession(connector=connector) as session,
                session.post(f"http://m2{PATH}", json=ASKED) as response,
            ):
                found = [json.loads(text) for text in (await response.read()).splitlines()]
            assert found == [HELLO, {"exit_code": 3, "instance": "shop/web.1", "host": "h1"}]
            by_standby = (await agent)["arguments"]["by"]
        agent = asyncio.ensure_future(carry_out(served, host, [{"exit_code": 0}]))
        await ask(served, request_id="q2")
        assert (await agent)["arguments"]["by"] == by_standby

    serve(tmp_path, test)
