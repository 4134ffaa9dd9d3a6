"""Requests at a steady rate, each failed one kept with its time and reason.

    with Load(inside, "10.214.0.1", 8080, rate=300) as load:
        ...what must not disturb anybody...
    assert load.outcome.failures == []

`inside` goes before the command, such as one that enters the network namespace of a container. The requests don't
wait for each other: one that takes long delays none, as with users who don't know of each other.

Run as a program it is the client: python tests/load.py '{"host": ...}'; it goes on until SIGTERM and then prints what it saw.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Optional

PATIENCE_S = 10.0
"""How long a request may take from its first packet to its last byte."""
LANES = 4
"""Connections that are kept in keep-alive mode."""


@dataclass(frozen=True)
class Aim:
    """`kept`: over a few connections that stay open, and not each request on one of its own."""

    host: str
    port: int
    path: str = "/"
    rate: float = 200.0
    kept: bool = False


@dataclass(frozen=True)
class Failure:
    """`began_at` and `ended_at` as time.time() has them."""

    began_at: float
    ended_at: float
    reason: str

    def open_at(self, moment: float, margin_s: float = 0.05) -> bool:
        return self.began_at - margin_s <= moment <= self.ended_at + margin_s


@dataclass(frozen=True)
class Outcome:
    """`answers`: how often each body came. `late`: requests that began more than a second after their time, because
    this program or the machine was too slow. `reopened`: connections that were kept and that the other side closed
    between two requests, which it may."""

    sent: int = 0
    answers: dict[str, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    slowest_s: float = 0.0
    late: int = 0
    reopened: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        return self.sent / self.seconds if self.seconds else 0.0

    @property
    def reasons(self) -> dict[str, int]:
        """How often each way to fail was seen."""
        found: dict[str, int] = {}
        for failure in self.failures:
            found[failure.reason] = found.get(failure.reason, 0) + 1
        return found

    def __str__(self) -> str:
        return (
            f"{self.sent} requests in {self.seconds:.1f} s ({self.rate:.0f}/s), {len(self.failures)} failed, "
            f"slowest {self.slowest_s * 1000:.0f} ms, late {self.late}, answered by {len(self.answers)}"
        )


class Load:
    """The client as a process of its own, from `with` to its end. `outcome` is there afterwards."""

    def __init__(
        self,
        inside: Sequence[str],
        host: str,
        port: int,
        path: str = "/",
        *,
        rate: float = 200.0,
        kept: bool = False,
    ) -> None:
        self.aim = Aim(host, port, path, rate, kept)
        self.outcome = Outcome()
        self._inside = inside
        self._process: Optional[subprocess.Popen[str]] = None

    def __enter__(self) -> Load:
        self._process = subprocess.Popen(
            [*self._inside, sys.executable, "-S", __file__, json.dumps(asdict(self.aim))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "begun\n"
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            said, _ = self._process.communicate(timeout=PATIENCE_S + 30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        self.outcome = _outcome(json.loads(said))
        print(f"MEASURED load on {self.aim.host}:{self.aim.port}: {self.outcome}")


def _outcome(said: dict[str, Any]) -> Outcome:
    failures = [Failure(**one) for one in said.pop("failures")]
    return Outcome(**said, failures=failures)


class Refused(Exception):
    """An answer that is none: its reason is in the message."""


class Client:
    """Sends requests until it is told to stop; then waits for those that are open."""

    def __init__(self, aim: Aim) -> None:
        self.aim = aim
        self.answers: dict[str, int] = {}
        self.failures: list[Failure] = []
        self.sent = self.late = self.reopened = 0
        self.slowest_s = 0.0
        self.stopped = asyncio.Event()
        host = f"Host: {aim.host}\r\n" + ("" if aim.kept else "Connection: close\r\n")
        self.request = f"GET {aim.path} HTTP/1.1\r\n{host}\r\n".encode()
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def run(self) -> Outcome:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.stopped.set)
        print("begun", flush=True)
        began, tasks = time.monotonic(), set()
        lanes = asyncio.Semaphore(LANES if self.aim.kept else 2000)
        number = 0
        while not self.stopped.is_set():
            due = began + number / self.aim.rate
            number += 1
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            elif wait < -1:
                self.late += 1
            task = asyncio.ensure_future(self._one(lanes))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        seconds = time.monotonic() - began
        if tasks:
            await asyncio.wait(tasks)
        return Outcome(
            self.sent,
            self.answers,
            self.failures,
            self.slowest_s,
            self.late,
            self.reopened,
            seconds,
        )

    async def _one(self, lanes: asyncio.Semaphore) -> None:
        async with lanes:
            began_at, began = time.time(), time.monotonic()
            self.sent += 1
            try:
                body = await asyncio.wait_for(self._ask(), PATIENCE_S)
                self.answers[body] = self.answers.get(body, 0) + 1
            except asyncio.TimeoutError:
                self._failed(began_at, f"no answer within {PATIENCE_S:g} s")
            except (OSError, EOFError, Refused) as error:
                self._failed(began_at, f"{type(error).__name__}: {error}")
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    def _failed(self, began_at: float, reason: str) -> None:
        self.failures.append(Failure(began_at, time.time(), reason))

    async def _ask(self) -> str:
        while self._idle:
            reader, writer = self._idle.pop()
            try:
                return await self._exchange(reader, writer)
            except asyncio.IncompleteReadError as error:
                # Closed before it read this request: RFC 9112, 9.3.1, has a client send it again.
                if error.partial:
                    raise
                self.reopened += 1
            except ConnectionResetError:
                self.reopened += 1
        return await self._exchange(*await asyncio.open_connection(self.aim.host, self.aim.port))

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        kept = False
        try:
            writer.write(self.request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            status = head.split()[1]
            length = next(
                (
                    int(line[15:])
                    for line in head.split("\r\n")
                    if line.startswith("content-length:")
                ),
                None,
            )
            body = await (reader.read(-1) if length is None else reader.readexactly(length))
            if status != "200":
                raise Refused(f"status {status}")
            kept = self.aim.kept and length is not None and "connection: close" not in head
            return body.decode(errors="replace").strip()
        finally:
            if kept:
                self._idle.append((reader, writer))
            else:
                writer.close()


def main() -> None:
    async def run() -> Outcome:
        return await Client(Aim(**json.loads(sys.argv[1]))).run()

    outcome = asyncio.run(run())
    print(json.dumps(asdict(outcome)), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
