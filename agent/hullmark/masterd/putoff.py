"""What is tried again and again until it succeeds, as the log has it: when it first fails, why, hourly while that lasts, and when it is over."""

from __future__ import annotations

import time
from typing import Any, Callable

from hullmark.errors import HullmarkError
from hullmark.log import Lasting, Log


class PutOff:
    """One thing that is tried. `begins` and `over` are the log's messages; a `grave` one begins as an error."""

    def __init__(
        self,
        log: Log,
        begins: str,
        over: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        grave: bool = False,
    ) -> None:
        self._trouble = Lasting(log, begins, over, grave=grave, clock=clock)

    def failed(self, error: HullmarkError, **fields: Any) -> None:
        self._trouble.failed(error.message, error.kind, **fields)

    def done(self) -> None:
        """Told only where it had failed, with how often."""
        self._trouble.done()
