"""The engine's own events: which containers to look at again, and what others did to them."""

from __future__ import annotations

import threading
from typing import Callable, Optional

from hullmark import log
from hullmark.agentd import pulse
from hullmark.agentd.byhand import ByHand
from hullmark.agentd.draining import Draining
from hullmark.agentd.observer import Observer
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.waits import Waits
from hullmark.core.byhand import PLUGS
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
    """`wake` is called for each event that matters; `by_hand` gets them all."""

    def __init__(
        self,
        engine: Engine,
        observer: Observer,
        outbox: Outbox,
        wake: Callable[[], None],
        by_hand: ByHand,
        draining: Optional[Draining] = None,
    ) -> None:
        self._engine = engine
        self._observer = observer
        self._outbox = outbox
        self._wake = wake
        self._by_hand = by_hand
        self._draining = draining

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
                pulse.rest(stopping, wait_s)

    def follow(self, stopping: threading.Event) -> bool:
        """Until the stream ends, whoever ends it. True where an event came."""
        came = False
        try:
            self._engine.info()
            self._by_hand.connected()
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
        self._by_hand.take(event)
        if event.about == "network" and event.action in PLUGS:
            # Podman has the container's id in the place of the network's.
            if self._observer.mark_known(event.fields.get("container") or event.container_id):
                self._wake()
            return
        if not event.ours or event.action not in CHANGES:
            return
        instance = parse_container_name(event.name)
        if instance is not None and event.action == "oom":
            self._outbox.add("instance.oom", str(instance), "out of memory within its limit")
        if self._draining is not None and event.action in ("die", "destroy"):
            self._draining.has_ended(event.container_id)
        elif self._draining is not None and event.action == "kill":
            self._draining.signalled(event.container_id, event.fields.get("signal", ""))
        self._observer.mark(event.container_id)
        self._wake()
