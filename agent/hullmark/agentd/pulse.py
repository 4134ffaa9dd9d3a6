"""Signs of life of the agent's loops, for the watchdog of a service manager: it restarts an agent one of whose loops is dead.

A loop is dead when its thread has ended though it was not told to, or when it has not shown itself for `SLACK_S` longer than it
said. All loops are watched, since a host on which any of them stands still is not what its leader takes it for. What a
loop waits for outside of the agent doesn't count, however long: a call to the engine, a request to a master, a process. An
engine that hangs is no fault of the agent's, and to restart the agent would mend nothing; so too a master.

    pulse.within(60)            the loop says, before it waits: I am back in 60 s
    pulse.rest(stopping, 60)    it says so, and waits
    with pulse.elsewhere():     somebody else has it now
        engine.info()

Both concern the loop of the thread that calls them, and do nothing in a thread that is no loop's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable, Optional

SLACK_S = 120.0
"""Far longer than a turn of any loop takes on a host that is overloaded, or whose disk is slow."""

_own = threading.local()


class Pulse:
    """Of one loop. `adopt` is called by the loop's thread, the rest by anybody."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._clock = clock
        self._thread: Optional[threading.Thread] = None
        self._until = 0.0
        self._away = 0
        self._over = False

    def adopt(self) -> None:
        """The calling thread is this loop's."""
        self._thread = threading.current_thread()
        _own.pulse = self
        self.expect(0.0)

    def finish(self) -> None:
        """The loop has ended because it should."""
        self._over = True

    def expect(self, seconds: float) -> None:
        self._until = self._clock() + seconds + SLACK_S

    def leave(self, change: int) -> None:
        """Add to the number of waits outside of the agent that it is in."""
        self._away += change
        self.expect(0.0)

    @property
    def thread(self) -> Optional[threading.Thread]:
        return self._thread

    def is_dead(self) -> bool:
        """A loop that was not begun yet is not."""
        if self._thread is None or self._over:
            return False
        return not self._thread.is_alive() or (not self._away and self._clock() > self._until)


def within(seconds: float) -> None:
    """The calling loop shows itself again after at most so long."""
    mine: Optional[Pulse] = getattr(_own, "pulse", None)
    if mine is not None:
        mine.expect(seconds)


def rest(stopping: threading.Event, seconds: float) -> None:
    """The calling loop waits so long for its next turn, or until it is told to stop."""
    within(seconds)
    stopping.wait(seconds)


@contextmanager
def elsewhere() -> Iterator[None]:
    """The calling loop waits for somebody outside of the agent, however long."""
    mine: Optional[Pulse] = getattr(_own, "pulse", None)
    if mine is None:
        yield
        return
    mine.leave(1)
    try:
        yield
    finally:
        mine.leave(-1)
