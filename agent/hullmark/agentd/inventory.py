"""The host's facts, gathered anew now and then: hardly anything in them changes while the agent runs."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Callable, Optional

from hullmark.engine.protocol import EngineInfo
from hullmark.model.host import HostFacts

REFRESH_S = 60.0


class Inventory:
    """One thread's. `gather` gives everything but the engine."""

    def __init__(
        self, gather: Callable[[], HostFacts], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._gather = gather
        self._clock = clock
        self._gathered_at = float("-inf")
        self._facts = HostFacts()

    def current(self, engine: Optional[EngineInfo]) -> HostFacts:
        """With the engine's name, version and socket; as last known where it doesn't answer."""
        now = self._clock()
        if now - self._gathered_at >= REFRESH_S:
            known = self._facts
            self._facts = replace(
                self._gather(),
                engine=known.engine,
                engine_version=known.engine_version,
                engine_socket=known.engine_socket,
            )
            self._gathered_at = now
        if engine is not None and (engine.name, engine.version, engine.socket) != (
            self._facts.engine,
            self._facts.engine_version,
            self._facts.engine_socket,
        ):
            self._facts = replace(
                self._facts,
                engine=engine.name,
                engine_version=engine.version,
                engine_socket=engine.socket,
            )
        return self._facts
