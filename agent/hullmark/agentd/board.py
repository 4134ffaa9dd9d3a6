"""The host's observed state, as the reconciler last put it together, and who waits for it to change."""

from __future__ import annotations

import threading
from typing import Optional

from hullmark.model.observed import HostState


class Board:
    """May be used from any thread."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._state: Optional[HostState] = None
        self._version = 0

    def put(self, state: HostState) -> None:
        with self._condition:
            if state != self._state:
                self._state = state
                self._touch()

    def nudge(self) -> None:
        """Something else is to be reported."""
        with self._condition:
            self._touch()

    def _touch(self) -> None:
        self._version += 1
        self._condition.notify_all()

    @property
    def state(self) -> Optional[HostState]:
        """None until the engine was first looked at."""
        with self._condition:
            return self._state

    def wait(self, after: int, timeout_s: float) -> int:
        """The version, as soon as it is another than `after`, or when time runs out."""
        with self._condition:
            self._condition.wait_for(lambda: self._version != after, timeout_s)
            return self._version
