"""The engine's own events: which containers to look at again, and what others did to them."""

from __future__ import annotations

import threading
from typing import Callable

from hullmark import log
from hullmark.agentd import pulse
from hullmark.agentd.observer import Observer
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.waits import Waits
from hullmark.engine.protocol import Engine, EngineEvent
from hullmark.errors import EngineUnavailable, HullmarkError
from hullmark.model.names import parse_container_name

_log = log.get("watch")

RETRY_S = (0.5, 5.0)

CHANGES = frozenset(
    [
        "create",
        "start",
        "restart",
        "die",
        "stop",
        "kill",
        "oom",
        "pause",
        "unpause",
        "cleanup",
        "destroy",
        "rename",
        "update",
        "health_status",
    ]
)
"""What may change how a container is shown. Not `exec_*`: each run of a health check sends three of them."""


class Watch:
    """`wake` is called for each event that matters; `ours` tells whether the agent itself stops a container."""

    def __init__(
        self,
        engine: Engine,
        observer: Observer,
        outbox: Outbox,
        wake: Callable[[], None],
        ours: Callable[[str], bool],
    ) -> None:
        self._engine = engine
        self._observer = observer
        self._outbox = outbox
        self._wake = wake
        self._ours = ours

    def run(self, stopping: threading.Event) -> None:
        waits = Waits(*RETRY_S)
        while not stopping.is_set():
            if self.follow(stopping):
                waits.reset()
            self._observer.follow(False)
            self._wake()
            if not stopping.is_set():
                # An engine that comes back may be another one, of another version.
                self._engine.close()
                wait_s = waits.next()
                pulse.within(wait_s)
                stopping.wait(wait_s)

    def follow(self, stopping: threading.Event) -> bool:
        """Until the stream ends, whoever ends it. True where an event came."""
        came = False
        try:
            self._engine.info()
            self._observer.follow(True)
            self._wake()
            for event in self._engine.events():
                came = True
                if stopping.is_set():
                    break
                self.take(event)
        except EngineUnavailable as error:
            _log.debug("no events", why=error.message)
        except HullmarkError as error:
            _log.warning("the engine gives no events", why=error.message)
        return came

    def take(self, event: EngineEvent) -> None:
        action = event.action.partition(":")[0]
        if action not in CHANGES:
            return
        instance = parse_container_name(event.name)
        if instance is not None and action == "oom":
            self._outbox.add("instance.oom", str(instance), "out of memory within its limit")
        if instance is not None and action == "kill" and not self._ours(event.container_id):
            number = event.fields.get("signal", "")  # Podman doesn't say which
            signal = f"signal {number}" if number else "a signal"
            text = f"{signal} was sent to it through the engine, not by Hullmark"
            self._outbox.add("instance.touched", str(instance), text)
        self._observer.mark(event.container_id)
        self._wake()
