"""Loops in threads of their own: started together, started again when one fails, ended together.

The one place with a broad `except`: what nobody foresaw in a loop is written down with its traceback, shown as a problem of the
host, and must not end the other loops.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Mapping
from typing import Callable

from hullmark import log
from hullmark.agentd import pulse as pulses
from hullmark.agentd.problems import Problems
from hullmark.agentd.pulse import Pulse
from hullmark.agentd.waits import Waits

_log = log.get("supervisor")

Loop = Callable[[threading.Event], None]
"""Returns when the event is set, and may return before that when there is nothing left to do."""

RETRY_S = (1.0, 60.0)
STEADY_S = 300.0
"""A loop that has run for so long is sound again: its problem is over, its waits start anew."""


class Supervisor:
    def __init__(
        self,
        loops: Mapping[str, Loop],
        problems: Problems,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._problems = problems
        self._clock = clock
        self._stopping = threading.Event()
        self._pulses = [Pulse(name, clock) for name in loops]
        self._dead: frozenset[str] = frozenset()
        # Daemon threads: one that waits for an engine or a leader doesn't hold up the end.
        self._threads = [
            threading.Thread(target=self._keep, args=(pulse, loop), name=pulse.name, daemon=True)
            for pulse, loop in zip(self._pulses, loops.values())
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, wake: Callable[[], None], timeout_s: float) -> bool:
        """Tell every loop to end; `wake` frees those that wait for something else. False where one
        still runs when time is up."""
        self._stopping.set()
        wake()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        names = [pulse.name for pulse in self._pulses]
        self._problems.clear(
            *(f"agent.{what}.{name}" for what in ("stuck", "fault") for name in names)
        )
        return not any(thread.is_alive() for thread in self._threads)

    def is_sound(self) -> bool:
        """Whether every loop lives. What each dead one was doing is logged once."""
        dead = [pulse for pulse in self._pulses if pulse.is_dead()]
        for pulse in dead:
            if pulse.name not in self._dead:
                _log.error("a loop shows no life", loop=pulse.name, traceback=_doing(pulse))
                self._problems.set(
                    f"agent.stuck.{pulse.name}",
                    f"the agent's {pulse.name} loop stands still",
                    "this is a fault of the agent: restart it, and report it with its log",
                )
        names = frozenset(pulse.name for pulse in dead)
        self._problems.clear(*(f"agent.stuck.{name}" for name in self._dead - names))
        self._dead = names
        return not dead

    def _keep(self, pulse: Pulse, loop: Loop) -> None:
        pulse.adopt()
        self._repeat(pulse.name, loop)
        pulse.finish()

    def _repeat(self, name: str, loop: Loop) -> None:
        waits = Waits(*RETRY_S)
        while not self._stopping.is_set():
            began = self._clock()
            try:
                loop(self._stopping)
                self._problems.clear(f"agent.fault.{name}")
                return
            except Exception as error:  # noqa: BLE001 - the one place
                if self._clock() - began >= STEADY_S:
                    waits.reset()
                _log.exception("a loop failed, and is started again", loop=name)
                self._problems.set(
                    f"agent.fault.{name}",
                    f"the agent's {name} loop failed: {type(error).__name__}: {error}",
                    "this is a fault of the agent: report it with its log",
                )
            wait_s = waits.next()
            pulses.within(wait_s)
            self._stopping.wait(wait_s)


def _doing(pulse: Pulse) -> str:
    """Where its thread stands now."""
    thread = pulse.thread
    frame = sys._current_frames().get(thread.ident or 0) if thread is not None else None
    return "".join(traceback.format_stack(frame)) if frame is not None else "its thread has ended"
