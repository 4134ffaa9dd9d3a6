"""A soft brake on failed logins and enrolments: the next "no" to the same source (an address, a user) comes later.

Secrets have 256 bits, so this only keeps a storm of attempts from costing much. A success is never slowed.
"""

from __future__ import annotations

from typing import Callable

FREE = 5
"""Failures that cost nothing: an operator's typing errors."""
STEP_S = 0.5
DELAY_MAX_S = 4.0
FORGET_S = 60.0
ADDRESSES_MAX = 1024


class Brake:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: dict[str, tuple[int, float]] = {}

    def failed(self, address: str) -> float:
        """Count a failure; how many seconds its answer should wait."""
        now = self._clock()
        count, last = self._failures.pop(address, (0, now))
        count = 1 if now - last > FORGET_S else count + 1
        if len(self._failures) >= ADDRESSES_MAX:
            # The oldest entry: the newest are put at the end.
            del self._failures[next(iter(self._failures))]
        self._failures[address] = (count, now)
        return min(max(count - FREE, 0) * STEP_S, DELAY_MAX_S)
