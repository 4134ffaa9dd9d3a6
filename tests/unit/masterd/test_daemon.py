"""The process: what keeps it from beginning, what it tells its manager, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sqlite3
import ssl
from pathlib import Path
from typing import Any

import pytest

from hullmark.errors import BrokenState, Conflict, HullmarkError, Refused
from hullmark.host.notify import ServiceManager
from hullmark.masterd import daemon
from hullmark.masterd.init import init
from hullmark.store.sqlite import SqliteStore
from tests.unit.masterd.serving import (
    Served,
    apply_body,
    config_in,
    master_of,
    serve,
    serving,
)
from tests.unit.pki.callers import client_context


def attempt(folder: Path, **more: Any) -> None:
    """Run a master that is told to stop as soon as it serves."""

    async def run() -> None:
        stopping = asyncio.Event()
        await master_of(config_in(folder, **more)).run(stopping, stopping.set)

    asyncio.run(run())


def test_without_a_cluster_nothing_begins(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no cluster") as caught:
        attempt(tmp_path)
    assert caught.value.remedy == "hullmark master init"
    assert not (tmp_path / "master").exists()


def test_it_begins_and_ends_and_gives_leadership_back(tmp_path: Path) -> None:
    init(config_in(tmp_path))
    for _ in range(2):
        attempt(tmp_path)
    store = SqliteStore(tmp_path / "master" / "store.sqlite")
    leader = store.get("/hullmark/leader")
    store.close()
    assert leader is not None
    assert b'"master":""' in leader.value
    assert b'"term":2' in leader.value


def test_a_taken_port_is_told_with_its_key(tmp_path: Path) -> None:
    init(config_in(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        for key in ("agents_listen", "api_listen"):
            with pytest.raises(Conflict, match="is taken by another process") as caught:
                attempt(tmp_path, **{key: listen})
            assert key.replace("_", ".") in caught.value.remedy
    with pytest.raises(Refused, match="can't listen"):
        attempt(tmp_path, api_listen="192.0.2.1:7442")


def test_the_unix_socket_of_a_dead_master_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    init(config_in(tmp_path))
    path = tmp_path / "m.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    attempt(tmp_path)
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(path))
        alive.listen()
        with pytest.raises(Conflict, match="in use by another process"):
            attempt(tmp_path)
    path.unlink()
    path.write_text("somebody's file")
    with pytest.raises(Refused, match="is no socket"):
        attempt(tmp_path)
    assert path.read_text() == "somebody's file"


def test_a_store_in_use_is_left_alone(tmp_path: Path) -> None:
    init(config_in(tmp_path))
    store = SqliteStore(tmp_path / "master" / "store.sqlite")
    with pytest.raises(Conflict, match="in use by another process") as caught:
        attempt(tmp_path)
    assert "stop the other one" in caught.value.remedy
    store.close()
    attempt(tmp_path)


@pytest.mark.parametrize("how", ["garbage", "a record", "an open key", "no key"])
def test_what_is_damaged_is_named_and_left_as_it_is(tmp_path: Path, how: str) -> None:
    init(config_in(tmp_path))
    store, key = tmp_path / "master/store.sqlite", tmp_path / "master/pki/intermediate.key"
    if how == "garbage":
        store.write_bytes(b"this is no database at all, is it" * 100)
    elif how == "a record":
        with contextlib.closing(sqlite3.connect(store)) as connection:
            connection.execute("UPDATE entries SET value = X'7b' WHERE key = '/hullmark/cluster'")
            connection.commit()
    elif how == "an open key":
        key.chmod(0o644)
    else:
        key.unlink()
    expected = Refused if how == "no key" else BrokenState
    with pytest.raises(expected) as caught:
        attempt(tmp_path)
    assert str(tmp_path) in caught.value.message or "/hullmark/cluster" in caught.value.message
    assert caught.value.remedy
    assert not (tmp_path / "m.sock").exists()


def test_the_certificate_is_renewed_at_the_start_when_the_addresses_change(tmp_path: Path) -> None:
    init(config_in(tmp_path))
    path = tmp_path / "master/pki/master.pem"
    before = path.read_bytes()
    attempt(tmp_path)
    assert path.read_bytes() == before
    attempt(tmp_path, addresses=("127.0.0.1", "m1.example.net"))
    assert path.read_bytes() != before


def served_certificate(served: Served, port: int) -> bytes:
    context = client_context(served.root)
    raw = socket.create_connection(("127.0.0.1", port), timeout=5)
    with context.wrap_socket(raw, server_hostname="127.0.0.1") as tls:
        found = tls.getpeercert(binary_form=True)
        assert found is not None
        return found


def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(daemon, "CHECK_CERTIFICATE_S", 0.05)

    async def test(served: Served) -> None:
        before = await asyncio.to_thread(served_certificate, served, served.api_port)
        host = await served.enroll()
        (tmp_path / "master/pki/master.pem").write_text("lost")
        for port in (served.api_port, served.agents_port):
            for _ in range(100):
                after = await asyncio.to_thread(served_certificate, served, port)
                if after != before:
                    break
                await asyncio.sleep(0.02)
            assert after != before
        await host.begin()
        _, told = await served.local("GET", "/v1/events")
        renewed = [e for e in told["events"] if e["kind"] == "master.certificate-renewed"]
        assert renewed[0]["subject"] == "master m1"
        assert renewed[0]["fields"]["until"]

    serve(tmp_path, test)


def test_a_certificate_that_can_not_be_renewed_is_told_and_serving_goes_on(
    tmp_path: Path, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(daemon, "CHECK_CERTIFICATE_S", 0.02)

    async def test(served: Served) -> None:
        (tmp_path / "master/pki/master.key").chmod(0o644)
        for _ in range(100):
            if "certificate not renewed" in caplog.messages:
                break
            await asyncio.sleep(0.02)
        assert "certificate not renewed" in caplog.messages
        assert (await served.api("GET", "/v1/ca"))[0] == 200

    with caplog.at_level(logging.ERROR):
        serve(tmp_path, test)


def test_held_requests_and_streams_end_with_the_master(tmp_path: Path) -> None:
    held: list[asyncio.Future[Any]] = []
    writers: list[asyncio.StreamWriter] = []

    async def test(served: Served) -> None:
        await served.local("PUT", "/v1/apps/shop", apply_body())
        for path in ("/v1/events?after=9999999&hold_s=50", "/v1/apps/shop/logs?follow=true"):
            reader, writer = await asyncio.open_unix_connection(str(served.socket))
            writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            held.append(asyncio.ensure_future(reader.read()))
            writers.append(writer)
        await asyncio.sleep(0.1)
        assert not any(item.done() for item in held)

    async def run() -> None:
        clock = asyncio.get_running_loop().time
        async with serving(tmp_path) as served:
            await test(served)
            began = clock()
        assert clock() - began < 2.5
        first, second = await asyncio.gather(*held)
        for writer in writers:
            writer.close()
        assert b" 421 " in first.partition(b"\r\n")[0]
        assert b" 200 " in second.partition(b"\r\n")[0]

    asyncio.run(run())


def test_it_says_when_it_serves_shows_life_and_stays_on_sighup(tmp_path: Path, caplog) -> None:
    told: list[str] = []

    class Manager(ServiceManager):
        def _tell(self, state: str) -> None:
            told.append(state)
            if state == "WATCHDOG=1" and "READY=1" in told and "STOPPING=1" not in told:
                os.kill(os.getpid(), signal.SIGHUP)
                os.kill(os.getpid(), signal.SIGTERM)

    config = config_in(tmp_path)
    init(config)
    with caplog.at_level(logging.WARNING, "hullmark"):
        asyncio.run(daemon._until_signal(master_of(config), Manager("/nobody", 0.01)))
    assert told.index("WATCHDOG=1") < told.index("READY=1") < told.index("STOPPING=1")
    (status,) = [line for line in told if line.startswith("STATUS=")]
    assert "Leads as master" in status
    assert [one.message for one in caplog.records if "SIGHUP" in one.message]


def test_trouble_with_connections_is_no_error_of_ours(caplog) -> None:
    loop = asyncio.new_event_loop()
    with caplog.at_level(logging.DEBUG, "hullmark"):
        daemon._loop_trouble(loop, {"message": "x", "exception": ssl.SSLError("bad")})
        daemon._loop_trouble(loop, {"message": "y", "exception": KeyError("ours")})
    loop.close()
    assert [record.levelname for record in caplog.records] == ["DEBUG", "ERROR"]
    assert issubclass(Conflict, HullmarkError)
