"""What becomes of connections: to a few ports, each asked for an answer, or to all of an address.

    ask(inside, [("10.214.0.1", 8080)])     # {("10.214.0.1", 8080): "answered"}
    scan(inside, "192.0.2.11")              # [7443]

`inside` goes before the command, such as one that enters a namespace. Run as a program it is the one that connects.
"""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

Target = tuple[str, int]

ANSWERED = "answered"
"""Something came, after an HTTP request."""
SHUT = "shut"
"""The connection was made, and closed or reset before anything came."""
MUTE = "mute"
"""It was made, and nothing came in time."""
REFUSED = "refused"
UNREACHABLE = "unreachable"
SILENT = "silent"
"""No answer to the first packet in time."""
REQUEST = b"GET / HTTP/1.0\r\n\r\n"
AT_ONCE = 400
"""Connections that are tried at the same time."""


def ask(inside: Sequence[str], targets: Iterable[Target], wait_s: float = 1.5) -> dict[Target, str]:
    """What becomes of each."""
    wanted = [[host, port] for host, port in targets]
    found = _run(inside, {"targets": wanted, "wait_s": wait_s, "ask": True})
    return {(host, port): outcome for host, port, outcome in found}


def scan(inside: Sequence[str], host: str, wait_s: float = 0.5) -> list[int]:
    """The TCP ports of an address, from 1 to 65535, to which a connection is made. Each processor tries its part of them."""
    parts = os.cpu_count() or 1

    def tried(part: int) -> list[tuple[str, int, str]]:
        targets = [[host, port] for port in range(1 + part, 65536, parts)]
        return _run(inside, {"targets": targets, "wait_s": wait_s, "ask": False})

    with ThreadPoolExecutor(parts) as pool:
        found = [one for each in pool.map(tried, range(parts)) for one in each]
    return sorted(port for _, port, outcome in found if outcome == MUTE)


def _run(inside: Sequence[str], wanted: dict[str, object]) -> list[tuple[str, int, str]]:
    done = subprocess.run(
        [*inside, sys.executable, "-S", __file__],
        input=json.dumps(wanted),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd="/",
        timeout=120,
    )
    return [(host, port, outcome) for host, port, outcome in json.loads(done.stdout)]


class Attempt:
    """One connection."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.connected = False
        self.outcome = ""
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self._judge(self.socket.connect_ex(target))

    def proceed(self, asking: bool) -> None:
        """Its socket is ready for something."""
        if self.connected:
            try:
                self.outcome = ANSWERED if self.socket.recv(1) else SHUT
            except OSError:
                self.outcome = SHUT
            return
        self._judge(self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        if not self.outcome:
            self.connected = True
            if asking:
                self._send()
            else:
                self.outcome = MUTE

    def _send(self) -> None:
        try:
            self.socket.send(REQUEST)
        except OSError:
            self.outcome = SHUT

    def _judge(self, number: int) -> None:
        if number == errno.ECONNREFUSED:
            self.outcome = REFUSED
        elif number not in (0, errno.EINPROGRESS):
            self.outcome = UNREACHABLE

    @property
    def waits_for(self) -> int:
        return select.POLLIN if self.connected else select.POLLOUT


def _together(targets: Sequence[Target], wait_s: float, asking: bool) -> Iterable[Attempt]:
    """Some attempts at the same time, each with this much time for all of it."""
    attempts = [Attempt(target) for target in targets]
    open_ones = {each.socket.fileno(): each for each in attempts if not each.outcome}
    poll = select.poll()
    for number, attempt in open_ones.items():
        poll.register(number, attempt.waits_for)
    deadline = time.monotonic() + wait_s
    while open_ones and (left := deadline - time.monotonic()) > 0:
        for number, _ in poll.poll(left * 1000):
            attempt = open_ones[number]
            attempt.proceed(asking)
            if attempt.outcome:
                poll.unregister(number)
                del open_ones[number]
            else:
                poll.modify(number, attempt.waits_for)
    for attempt in attempts:
        attempt.outcome = attempt.outcome or (MUTE if attempt.connected else SILENT)
        attempt.socket.close()
    return attempts


def main() -> None:
    wanted = json.load(sys.stdin)
    targets = [(host, port) for host, port in wanted["targets"]]
    found = [
        [*attempt.target, attempt.outcome]
        for first in range(0, len(targets), AT_ONCE)
        for attempt in _together(targets[first : first + AT_ONCE], wanted["wait_s"], wanted["ask"])
    ]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
