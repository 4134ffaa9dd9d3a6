"""Requests at a steady rate, each failed one kept with its time and reason.

    with Load(inside, "10.214.0.1", 8080, rate=300) as load:
        ...what must not disturb anybody...
    assert load.outcome.failures == []

`inside` goes before the command, such as one that enters the network namespace of a container. The requests don't
wait for each other: one that takes long delays none, as with users who don't know of each other.

Run as a program it is the client: python tests/load.py '{"host": ...}'; it goes on until SIGTERM and then prints what it saw.
"""

from __future__ import annotations

import contextlib
import errno
import json
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

PATIENCE_S = 10.0
"""How long a request may take from its first packet to its last byte."""
LANES = 4
"""Connections that are kept in keep-alive mode."""
OPEN_MOST = 2000
"""Connections of one client at a time in the other mode."""


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
    this program or the machine was too slow, or all kept connections were taken. `reopened`: connections that were kept and that
    the other side closed, which it may between two requests; with `resent` of them a request was on its way, and was sent again. `processor_s`: what this client took of the processors."""

    sent: int = 0
    answers: dict[str, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    slowest_s: float = 0.0
    late: int = 0
    reopened: int = 0
    resent: int = 0
    seconds: float = 0.0
    processor_s: float = 0.0

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
            f"{self.sent} requests in {self.seconds:.1f} s ({self.rate:.0f}/s), {len(self.failures)} failed"
            f"{f' {self.reasons}' if self.failures else ''}, "
            f"slowest {self.slowest_s * 1000:.0f} ms, late {self.late}, "
            f"reopened {self.reopened}, resent {self.resent}, "
            f"answered by {len(self.answers)}, {self.processor_s:.1f} s of processor"
        )


@dataclass(frozen=True)
class Processors:
    """All of the machine's, in ticks: how long they worked, how long other machines had them, how long there was."""

    used: int
    stolen: int
    given: int

    @classmethod
    def now(cls) -> Processors:
        """Since the boot (proc_stat(5), the line `cpu`)."""
        line = Path("/proc/stat").read_text().partition("\n")[0]
        user, nice, system, idle, waiting, *others = map(int, line.split()[1:9])
        stolen, used = others[2], user + nice + system + sum(others[:2])
        return cls(used, stolen, used + stolen + idle + waiting)

    def __sub__(self, former: Processors) -> Processors:
        return Processors(
            self.used - former.used, self.stolen - former.stolen, self.given - former.given
        )

    def __str__(self) -> str:
        given = self.given or 1
        return f"{self.used / given:.0%} of the processors used, {self.stolen / given:.0%} had by other machines"


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


@dataclass(eq=False)
class Request:
    """One that was begun. `began` is monotonic, `began_at` as time.time() has it."""

    began: float
    began_at: float
    lane: Optional[Lane] = None
    is_done: bool = False


@dataclass(eq=False)
class Lane:
    """A connection. `request`: what it carries, None between two. `was_used`: it has carried one to its end."""

    wire: socket.socket
    request: Optional[Request] = None
    is_sent: bool = False
    was_used: bool = False
    got: bytes = b""


@dataclass(frozen=True)
class Answer:
    """`stays`: the connection may carry another request."""

    status: str
    body: str
    stays: bool


def answer_in(got: bytes, *, ended: bool) -> Optional[Answer]:
    """None while it isn't whole. Without a length it ends with the connection (RFC 9112, 6.3)."""
    head, found, body = got.partition(b"\r\n\r\n")
    if not found:
        return None
    lines = head.decode("latin-1").lower().split("\r\n")
    length = next((int(line[15:]) for line in lines if line.startswith("content-length:")), None)
    if not ended if length is None else len(body) < length:
        return None
    stays = length is not None and not ended and "connection: close" not in lines
    return Answer(lines[0].split()[1], body[:length].decode(errors="replace").strip(), stays)


class Client:
    """Sends requests until it is told to stop; then waits for those that are open.

    One loop over sockets that don't block: what it takes of a small machine is missing elsewhere."""

    def __init__(self, aim: Aim) -> None:
        self.aim = aim
        self.answers: dict[str, int] = {}
        self.failures: list[Failure] = []
        self.sent = self.late = self.reopened = self.resent = 0
        self.slowest_s = 0.0
        self.is_stopped = False
        host = f"Host: {aim.host}\r\n" + ("" if aim.kept else "Connection: close\r\n")
        self.words = f"GET {aim.path} HTTP/1.1\r\n{host}\r\n".encode()
        self._most = LANES if aim.kept else OPEN_MOST
        self._poll = select.epoll()
        self._lanes: dict[int, Lane] = {}
        self._idle: list[Lane] = []
        self._open: deque[Request] = deque()
        """In the order in which they began, some of them done."""

    def run(self) -> Outcome:
        signal.signal(signal.SIGTERM, self._stop)
        print("begun", flush=True)
        began = time.monotonic()
        number = 0
        while not self.is_stopped:
            now, due = time.monotonic(), began + number / self.aim.rate
            if due > now or not self._has_room():
                self._look(due - now if due > now else 0.05)
                continue
            number += 1
            self.late += now - due > 1
            self._begin()
        seconds = time.monotonic() - began
        while any(not each.is_done for each in self._open):
            self._look(0.1)
        return Outcome(
            self.sent,
            self.answers,
            self.failures,
            self.slowest_s,
            self.late,
            self.reopened,
            self.resent,
            seconds,
            time.process_time(),
        )

    def _stop(self, *_: object) -> None:
        self.is_stopped = True

    def _has_room(self) -> bool:
        return bool(self._idle) or len(self._lanes) < self._most

    def _begin(self) -> None:
        request = Request(time.monotonic(), time.time())
        self._open.append(request)
        self.sent += 1
        self._carry(request)

    def _carry(self, request: Request) -> None:
        """By a connection that was kept, or by another one."""
        lane = self._idle.pop() if self._idle else self._new_lane()
        lane.request, request.lane = request, lane
        lane.got, lane.is_sent = b"", False
        if lane.was_used:
            self._go_on(lane)
        else:
            self._connect(lane)

    def _new_lane(self) -> Lane:
        lane = Lane(socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
        self._lanes[lane.wire.fileno()] = lane
        return lane

    def _connect(self, lane: Lane) -> None:
        number = lane.wire.connect_ex((self.aim.host, self.aim.port))
        if number in (0, errno.EINPROGRESS):
            self._poll.register(lane.wire, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
        else:
            self._lost(lane, errno.errorcode.get(number, str(number)))

    def _look(self, wait_s: float) -> None:
        """What has come of the open ones, waiting for that as long as this."""
        for number, _ in self._poll.poll(wait_s):
            lane = self._lanes.get(number)
            if lane is not None:
                self._go_on(lane)
        while self._open and (self._open[0].is_done or self._is_too_old(self._open[0])):
            request = self._open.popleft()
            if not request.is_done:
                self._failed(request, f"no answer within {PATIENCE_S:g} s")

    @staticmethod
    def _is_too_old(request: Request) -> bool:
        return time.monotonic() - request.began > PATIENCE_S

    def _go_on(self, lane: Lane) -> None:
        """As far as the socket lets it: it tells of each change once, and an end may have come with what was before it."""
        try:
            if lane.request is not None and not lane.is_sent:
                lane.wire.send(self.words)
                lane.is_sent = True
            while piece := lane.wire.recv(65536):
                lane.got += piece
                if self._is_answered(lane, ended=False) and lane not in self._idle:
                    return
            if not self._is_answered(lane, ended=True):
                self._lost(lane, f"closed after {len(lane.got)} bytes of the answer")
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(lane, f"{errno.errorcode.get(error.errno or 0, 'error')}: {error.strerror}")

    def _is_answered(self, lane: Lane, *, ended: bool) -> bool:
        request, answer = lane.request, answer_in(lane.got, ended=ended)
        if request is None or answer is None:
            return False
        if answer.status != "200":
            self._failed(request, f"status {answer.status}")
            return True
        self._end(request)
        self.answers[answer.body] = self.answers.get(answer.body, 0) + 1
        if self.aim.kept and answer.stays:
            lane.request, lane.was_used = None, True
            self._idle.append(lane)
        else:
            self._drop(lane)
        return True

    def _lost(self, lane: Lane, reason: str) -> None:
        """Closed before it read a request: RFC 9112, 9.3.1, has a client send it again."""
        self._drop(lane)
        request = lane.request
        if request is None or (lane.was_used and not lane.got):
            self.reopened += 1
            if request is not None:
                self.resent += 1
                self._carry(request)
        else:
            self._failed(request, reason)

    def _drop(self, lane: Lane) -> None:
        if self._lanes.pop(lane.wire.fileno(), None) is not None:
            lane.wire.close()
        if lane in self._idle:
            self._idle.remove(lane)

    def _end(self, request: Request) -> None:
        request.is_done = True
        self.slowest_s = max(self.slowest_s, time.monotonic() - request.began)

    def _failed(self, request: Request, reason: str) -> None:
        self._end(request)
        self.failures.append(Failure(request.began_at, time.time(), reason))
        if request.lane is not None:
            self._drop(request.lane)


def main() -> None:
    outcome = Client(Aim(**json.loads(sys.argv[1]))).run()
    print(json.dumps(asdict(outcome)), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
