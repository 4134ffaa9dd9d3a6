"""How a signal handler wakes the thread that it interrupts: a threading.Event may be held by that very thread just then."""

from __future__ import annotations

import contextlib
import select
import socket


class Bell:
    """`ring` may be called from signal handlers and any thread; `wait` by one thread."""

    def __init__(self) -> None:
        self._out, self._in = socket.socketpair()
        self._out.setblocking(False)
        self._in.setblocking(False)

    def ring(self) -> None:
        with contextlib.suppress(
            BlockingIOError
        ):  # so many rings are waiting that one more tells nothing
            self._in.send(b"!")

    def wait(self, seconds: float) -> None:
        """Until it rings, or rang since the last wait, or time is up."""
        if select.select([self._out], [], [], seconds)[0]:
            with contextlib.suppress(BlockingIOError):
                self._out.recv(4096)
