"""What must not hurt: bodies that are huge, cut off, deep or no text; callers that are slow, or too many."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hullmark.errors import InvalidInput
from hullmark.masterd import dispatch, gate
from hullmark.masterd.brake import ADDRESSES_MAX, DELAY_MAX_S, FORGET_S, FREE, Brake
from hullmark.masterd.requestbody import decode_body
from hullmark.model.api import APPLY_BODY_MAX_BYTES
from tests.unit.masterd.serving import Served, eventually, serve
from tests.unit.pki.callers import client_context

CHUNKED = b"PUT /v1/apps/shop HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(autouse=True)
def _no_lingering(monkeypatch):
    """What is left of a refused body is read for two seconds; tests need not wait for that."""
    monkeypatch.setattr("hullmark.masterd.server.LINGER_S", 0.1)


async def answers(ask: Callable[[str, str], Awaitable[tuple[int, Any]]]) -> bool:
    try:
        return (await ask("GET", "/v1/ca"))[0] == 200
    except (OSError, aiohttp.ClientError):
        return False


def answer_of(raw: bytes) -> tuple[int, dict[str, object]]:
    head, _, body = raw.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "no body"),
        (b"{", "not JSON"),
        (b'{"a": 1} x', "not JSON"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"[" * 100_000, "too deeply"),
        (b'{"a":' * 100_000, "too deeply"),
        (b'{"a": ' + b"9" * 100_000 + b"}", "100000 digits"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"a": 1, "a": 1}', "'a' stands twice"),
        (b'{"a": {"b": [NaN]}}', "NaN is no number"),
        (b'{"a": -Infinity}', "-Infinity is no number"),
        (b'{"a": 1e999}', "out of range"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "too deeply"),
    ],
)
def test_bodies_that_are_no_json_are_wrong_input(body: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        decode_body(body)


def test_whole_characters_are_fine_in_any_form() -> None:
    assert decode_body(b'{"a": "\\ud83d\\ude00 \\u00e4"}') == {"a": "\U0001f600 \u00e4"}


@pytest.mark.parametrize("body", [b"7", b"[]", b"null", b'"x"', b"NaN", b'{"app": {"name": NaN}}'])
def test_values_of_the_wrong_type_are_wrong_input(tmp_path: Path, body: bytes) -> None:
    async def test(served: Served) -> None:
        status, answer = await served.local("PUT", "/v1/apps/shop", body)
        assert (status, answer["error"]) == (400, "InvalidInput")

    serve(tmp_path, test)


def test_a_body_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        size = APPLY_BODY_MAX_BYTES + 1
        header = f"PUT /v1/apps/shop HTTP/1.1\r\nHost: m\r\nContent-Length: {size}\r\n\r\n"
        reader, writer = await asyncio.open_unix_connection(str(served.socket))
        writer.write(header.encode())
        raw = await asyncio.wait_for(reader.read(), 10)
        status, answer = answer_of(raw)
        assert (status, answer["error"]) == (413, "InvalidInput")
        assert str(APPLY_BODY_MAX_BYTES) in str(answer["problems"])
        writer.close()

    serve(tmp_path, test)


def test_a_body_without_a_length_is_counted_while_it_comes(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        reader, writer = await asyncio.open_unix_connection(str(served.socket))
        writer.write(CHUNKED)
        part = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        for _ in range(APPLY_BODY_MAX_BYTES // 0x10000 + 1):
            writer.write(part)
        status, _ = answer_of(await asyncio.wait_for(reader.read(), 10))
        assert status == 413
        writer.close()

    serve(tmp_path, test)


def test_a_body_that_is_cut_off_changes_nothing(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        whole = b'{"host": "h1"}'
        header = b"POST /v1/invites HTTP/1.1\r\nHost: m\r\nContent-Length: 4000\r\n\r\n"
        await served.raw(header + whole)
        await served.raw(CHUNKED + b"5\r\n{")
        _, told = await served.local("GET", "/v1/events")
        assert [event["kind"] for event in told["events"]] == ["master.leading"]

    serve(tmp_path, test)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET /v1/status HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"POST /v1/invites HTTP/1.1\r\nContent-Length: -5\r\n\r\n{}",
        b"POST /v1/invites HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_what_is_no_http_is_refused_and_others_are_served(
    tmp_path: Path, request_bytes: bytes
) -> None:
    async def test(served: Served) -> None:
        raw = await served.raw(request_bytes)
        assert b" 200 " not in raw.partition(b"\r\n")[0]
        assert b"Traceback" not in raw
        assert (await served.local("GET", "/v1/status"))[0] == 200

    serve(tmp_path, test)


def test_a_header_that_never_ends_is_not_waited_for(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(gate, "HEADER_S", 0.2)

    async def test(served: Served) -> None:
        reader, writer = await asyncio.open_unix_connection(str(served.socket))
        writer.write(b"GET /v1/orphans HTTP/1.1\r\nX-")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        # One that asks in time may stay.
        reader, writer = await asyncio.open_unix_connection(str(served.socket))
        for _ in range(2):
            writer.write(b"GET /v1/orphans HTTP/1.1\r\nHost: m\r\n\r\n")
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(0.3)
        writer.close()

    serve(tmp_path, test)


def test_a_later_header_that_never_ends_is_not_waited_for(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(gate, "HEADER_S", 0.2)

    async def test(served: Served) -> None:
        reader, writer = await asyncio.open_unix_connection(str(served.socket))
        writer.write(b"GET /v1/orphans HTTP/1.1\r\nHost: m\r\n\r\n")
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET /v1/orphans HTTP/1.1\r\nX-")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()

    serve(tmp_path, test)


def test_users_can_not_keep_root_out_of_the_socket() -> None:
    door = gate.Gate(asyncio.Protocol, "socket", most=4, each=2, always=frozenset({"uid 0"}))
    assert [door.enter("uid 1") for _ in range(3)] == [True, True, False]
    assert [door.enter("uid 2") for _ in range(3)] == [True, True, False]
    assert not door.enter("uid 3")
    assert [door.enter("uid 0") for _ in range(5)] == [True] * 4 + [False]
    door.leave("uid 0")
    door.leave("uid 1")
    assert door.enter("uid 3")
    assert door.enter("uid 0")


def test_a_body_that_comes_too_slowly_is_not_waited_for(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("hullmark.masterd.requestbody.BODY_S", 0.2)

    async def test(served: Served) -> None:
        reader, writer = await asyncio.open_unix_connection(str(served.socket))
        writer.write(b"POST /v1/invites HTTP/1.1\r\nHost: m\r\nContent-Length: 40\r\n\r\n{")
        status, answer = answer_of(await asyncio.wait_for(reader.read(), 10))
        assert status == 400
        assert "in time" in str(answer["message"])
        writer.close()

    serve(tmp_path, test)


def test_there_is_a_limit_of_connections(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("hullmark.masterd.doors.LOCAL_MOST", 3)

    async def test(served: Served) -> None:
        held = [await asyncio.open_unix_connection(str(served.socket)) for _ in range(3)]
        for reader, writer in held:
            writer.write(b"GET /v1/orphans HTTP/1.1\r\nHost: m\r\n\r\n")
            await reader.readuntil(b"}")
        reader, writer = await asyncio.open_unix_connection(str(served.socket))
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        held[0][1].close()
        await eventually(partial(answers, served.local), "there is room again")
        for _, writer in held:
            writer.close()

    serve(tmp_path, test)


def test_one_address_can_not_take_all_connections(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("hullmark.masterd.doors.PEOPLE_EACH", 2)

    async def test(served: Served) -> None:
        context = client_context(served.root)
        held = [
            await asyncio.open_connection("127.0.0.1", served.api_port, ssl=context)
            for _ in range(2)
        ]
        with pytest.raises((OSError, aiohttp.ClientError)):
            await served.api("GET", "/v1/ca")
        assert (await served.local("GET", "/v1/ca"))[0] == 200
        for _, writer in held:
            writer.close()
        await eventually(partial(answers, served.api), "there is room again")

    serve(tmp_path, test)


def test_a_held_request_ends_when_its_caller_goes_away(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(dispatch, "LOOK_S", 0.05)

    async def test(served: Served) -> None:
        async def held() -> bool:
            return any("_answer" in repr(task) for task in asyncio.all_tasks())

        async def none() -> bool:
            return not await held()

        async with served.stream("/v1/events?after=9999999&hold_s=60"):
            await eventually(held, "the request is held")
        await eventually(none, "nothing is held")

    serve(tmp_path, test)


def test_failures_cost_more_and_more_time_and_are_forgotten() -> None:
    now = [0.0]
    brake = Brake(lambda: now[0])
    delays = [brake.failed("a") for _ in range(40)]
    assert delays[:FREE] == [0.0] * FREE
    assert delays == sorted(delays)
    assert delays[-1] == DELAY_MAX_S
    assert brake.failed("b") == 0.0
    now[0] += FORGET_S + 1
    assert brake.failed("a") == 0.0
    for number in range(3 * ADDRESSES_MAX):
        brake.failed(f"x{number}")
    assert len(brake._failures) == ADDRESSES_MAX
