"""A part of the simulated fleet: a process of its own whose agents speak the protocol over mutual TLS.

    python -m tests.bench.hosts_agents FOLDER PORT FIRST COUNT

Each agent has a certificate and two connections, as a real one has: one for its polls, one for orders and reports.
It asks for orders when they changed, runs at once what they say, and reports all of it. What it measures, it prints as
JSON: how late polls are answered after their hold, and how long short requests take.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import ssl
import sys
import time
from pathlib import Path
from typing import Any, Optional

from hullmark.agentd.sync import HOLD_SPREAD
from hullmark.core.picture import Picture, merged
from hullmark.model.epoch import NO_EPOCH
from hullmark.model.host import HostFacts
from hullmark.model.observed import InstanceStatus, Phase, Report
from hullmark.model.orders import Orders
from hullmark.model.protocol import (
    ORDERS_PATH,
    POLL_PATH,
    REPORT_PATH,
    OrdersAnswer,
    PollAnswer,
    PollRequest,
    ReportAnswer,
)
from hullmark.model.wire import T, canonical, from_wire, to_wire

HOLD_S = 4.0
CONNECT_AT_A_TIME = 16
SHA = "sha256:" + "0f" * 32
FACTS = HostFacts(
    os="Debian GNU/Linux 12 (bookworm)",
    kernel="6.1.0-26-amd64",
    architecture="x86_64",
    cpus=16,
    memory_bytes=64 << 30,
    agent_version="0.2",
    engine="docker",
    engine_version="20.10.24",
    engine_socket="/run/docker.sock",
    addresses=("10.1.2.3",),
    boot_id="b",
)


class Connection:
    """HTTP/1.1 over TLS, one request after the other."""

    def __init__(self, context: ssl.SSLContext, port: int) -> None:
        self._context = context
        self._port = port
        self._reader: Optional[asyncio.StreamReader] = None
        self._writer: Optional[asyncio.StreamWriter] = None

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", self._port, ssl=self._context, ssl_handshake_timeout=60.0
        )

    async def call(self, path: str, body: Any, answer: type[T]) -> T:
        """Connects anew where the master has closed an idle connection, as real agents do: every message
        may be sent twice."""
        if self._writer is not None:
            try:
                return await self._ask(path, body, answer)
            except (ConnectionError, asyncio.IncompleteReadError):
                self._writer.transport.abort()
        await self.open()
        return await self._ask(path, body, answer)

    async def _ask(self, path: str, body: Any, answer: type[T]) -> T:
        assert self._reader is not None
        assert self._writer is not None
        data = canonical(to_wire(body))
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        self._writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        header = await self._reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2])
            for line in header.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        content = await self._reader.readexactly(length)
        if header.split(None, 2)[1] != b"200":
            raise RuntimeError(f"{path}: {header.splitlines()[0]!r} {content[:300]!r}")
        return from_wire(answer, json.loads(content), ignore_unknown=True)


class Agent:
    def __init__(self, folder: Path, port: int, number: int, found: Measured) -> None:
        self.host_id = host_id(number)
        context = ssl.create_default_context(cafile=str(folder / "root.pem"))
        context.check_hostname = False
        context.load_cert_chain(folder / f"{self.host_id}.pem")
        self._polls = Connection(context, port)
        self._short = Connection(context, port)
        self._found = found
        self._run = f"run-{number}"
        self._sequence = 0
        self._epoch = NO_EPOCH
        self._revision = 0
        self._tasks_seen = 0
        self._picture = Picture()
        self._whole = True
        self._next = 0

    async def open(self) -> None:
        """The other connection is made when it is needed: a silent one is not kept."""
        await self._polls.open()

    async def poll(self) -> None:
        while True:
            hold_s = HOLD_S * (1 - HOLD_SPREAD * random.random())
            request = PollRequest(self._run, self._epoch, self._revision, self._tasks_seen, hold_s)
            began = time.monotonic()
            answer = await self._polls.call(POLL_PATH, request, PollAnswer)
            took_s = time.monotonic() - began
            self._epoch, self._tasks_seen = answer.epoch, answer.tasks_last
            if answer.resend:
                self._whole = True
            if answer.changed:
                await self._fetch()
            elif not answer.resend:
                self._found.polls.append(max(0.0, took_s - hold_s))
            if self._whole:
                await self._report({})

    async def restart(self, every_s: float) -> None:
        """Now and then one instance ends and is started again: two reports."""
        await asyncio.sleep(random.uniform(0, every_s))
        while True:
            names = sorted(self._picture.state.instances)
            if names and not self._whole:
                self._next += 1
                name = names[self._next % len(names)]
                status = self._picture.state.instances[name]
                ended = dataclasses.replace(
                    status, phase=Phase.BACKOFF, exit_code=1, restarts=status.restarts + 1
                )
                await self._report({name: ended})
                await asyncio.sleep(1.0)
                again = dataclasses.replace(
                    ended, phase=Phase.RUNNING, exit_code=None, started_at=time.time()
                )
                await self._report({name: again})
            await asyncio.sleep(random.uniform(0.5, 1.5) * every_s)

    async def _fetch(self) -> None:
        answer = await self._timed(ORDERS_PATH, {}, OrdersAnswer)
        orders = answer.orders
        self._revision = orders.revision
        known = self._picture.state.instances
        statuses = {
            item.instance.container_name: known.get(item.instance.container_name)
            or _running(item.instance, item.spec_hash, orders)
            for item in orders.assignments
        }
        gone = tuple(sorted(set(known) - set(statuses)))
        new = {name: status for name, status in statuses.items() if name not in known}
        await self._report(new, gone)

    async def _report(self, changed: dict[str, InstanceStatus], gone: tuple[str, ...] = ()) -> None:
        whole, self._whole = self._whole, False
        self._sequence += 1
        if whole:
            changed = {**self._picture.state.instances, **changed}
            for name in gone:
                changed.pop(name, None)
            gone = ()
        report = Report(
            self.host_id,
            self._run,
            self._sequence,
            self._epoch,
            "",
            whole,
            FACTS if whole else None,
            instances=changed,
            gone=gone,
            problems=() if whole else None,
            accepted_revision=self._revision,
        )
        self._picture = merged(self._picture, report)
        report = dataclasses.replace(report, digest=self._picture.digest())
        answer = await self._timed(REPORT_PATH, report, ReportAnswer)
        self._whole = self._whole or answer.resend

    async def _timed(self, path: str, body: Any, answer: type[T]) -> T:
        """One at a time, as each thread of an agent does it; the wait for the others is no time of the master's."""
        async with self._found.lock_of(self.host_id):
            began = time.monotonic()
            result = await self._short.call(path, body, answer)
            self._found.short.append(time.monotonic() - began)
        return result


class Measured:
    def __init__(self) -> None:
        self.polls: list[float] = []
        self.short: list[float] = []
        self._locks: dict[str, asyncio.Lock] = {}

    def lock_of(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())

    def clear(self) -> None:
        self.polls, self.short = [], []


def host_id(number: int) -> str:
    return f"host-{number:06}"


def _running(instance: Any, spec_hash: str, orders: Orders) -> InstanceStatus:
    return InstanceStatus(
        instance,
        Phase.RUNNING,
        spec_hash=spec_hash,
        epoch=orders.epoch,
        container_id="c" * 64,
        image="registry.example/shop/image:1.2.3",
        image_id=SHA,
        started_at=1700000000.0,
        addresses={"app": "172.18.0.2"},
    )


async def run(folder: Path, port: int, first: int, count: int) -> None:
    """Connect; then do as the lines of the standard input say: `restarts SECONDS` (each agent has one so often),
    `begin` measures, `end` prints what was measured."""
    found = Measured()
    agents = [Agent(folder, port, number, found) for number in range(first, first + count)]
    turns = asyncio.Semaphore(CONNECT_AT_A_TIME)

    works: list[asyncio.Future[None]] = []

    async def connect(agent: Agent) -> None:
        async with turns:
            await agent.open()
        works.append(asyncio.ensure_future(agent.poll()))

    began = time.monotonic()
    await asyncio.gather(*(connect(agent) for agent in agents))
    print(json.dumps({"connected_s": time.monotonic() - began}), flush=True)
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        word, _, argument = line.strip().partition(" ")
        for work in works:
            if work.done():
                work.result()
        if word == "restarts":
            works += [asyncio.ensure_future(agent.restart(float(argument))) for agent in agents]
        elif word == "begin":
            found.clear()
        elif word == "end":
            print(json.dumps({"polls": found.polls, "short": found.short}), flush=True)
        else:
            break
    for work in works:
        work.cancel()


if __name__ == "__main__":
    where, *numbers = sys.argv[1:]
    asyncio.run(run(Path(where), *(int(each) for each in numbers)))
