"""Whether the engine answers at all: asked over and over, since one that hangs takes calls and leaves them waiting for a minute each.

Only what answers whatever an engine is busy with is asked for (`/_ping`), and twice, each time by a connection of its own. While
it hangs, calls fail at once instead of waiting; the first answer, however late, ends that.
"""

from __future__ import annotations

import threading
from typing import Callable, Optional

from hullmark.agentd import pulse
from hullmark.agentd.engine_at_hand import EngineAtHand
from hullmark.agentd.problems import Problems
from hullmark.engine.boundary import EngineSilent, hanging
from hullmark.errors import HullmarkError

LOOK_S = 10.0
"""Podman's service logs each question, as distributions start it."""
ANSWER_S = 15
"""An engine on a host that is overloaded answers a ping in a fraction of that. One that is started or stopped holds its socket open, and answers nothing
for as long as its containers take: Docker gives them 10 s to end."""
TRIES = 2
LATE_S = 60
"""How long one that hangs is listened to: it may be slow, and no more."""
UNAVAILABLE = "engine.unavailable"


class Pinging:
    """`wake` is called when the engine answers again: whoever uses it then says that the problem is over."""

    def __init__(self, engine: EngineAtHand, problems: Problems, wake: Callable[[], None]) -> None:
        self._engine = engine
        self._problems = problems
        self._wake = wake

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            self.look()
            pulse.rest(stopping, LOOK_S)
        # Who uses the engine without this loop asks it itself.
        self._engine.hang(None)

    def look(self) -> None:
        """Once. An engine that is not there, or refuses, does not hang: others meet that, and say so."""
        before = self._engine.hangs
        silent = self._ask(LATE_S) if before else self._ask_twice()
        if silent is None:
            self._engine.hang(None)
            if before:
                self._wake()
        elif not before:
            found = hanging(silent.socket_url, TRIES * ANSWER_S)
            self._engine.hang(found)
            self._problems.set_error(UNAVAILABLE, found)

    def _ask_twice(self) -> Optional[EngineSilent]:
        silent: Optional[EngineSilent] = None
        for _ in range(TRIES):
            silent = self._ask(ANSWER_S)
            if silent is None:
                break
        return silent

    def _ask(self, timeout_s: int) -> Optional[EngineSilent]:
        """What it comes to where nothing is answered in time."""
        try:
            self._engine.ping(timeout_s)
        except EngineSilent as error:
            return error
        except HullmarkError:
            return None
        return None
