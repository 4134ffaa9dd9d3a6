"""Whether a program of the host began or ceased to listen. Then the host's facts are gathered at once, so that who plans an app seconds later is told that
its port is taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable
from typing import Callable

from hullmark.agentd import pulse
from hullmark.core.ration import Ration

LOOK_S = 5.0
"""A look is 1.4 ms of a processor."""
AT_ONCE, EACH_S = 6, 60.0
"""Gathered so often at once, and then once in so many seconds, as they are in any case: each time is news to the leader."""


class OpenPorts:
    """`look` gives something that is another whenever other ports are open. One thread's."""

    def __init__(
        self,
        look: Callable[[], Hashable],
        outdated: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._outdated = outdated
        self._clock = clock
        self._known = look()
        self._ration = Ration(AT_ONCE, 1 / EACH_S, clock())

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            self.turn()
            pulse.rest(stopping, LOOK_S)

    def turn(self) -> None:
        found = self._look()
        if found != self._known and self._ration.take(self._clock()):
            self._known = found
            self._outdated()
