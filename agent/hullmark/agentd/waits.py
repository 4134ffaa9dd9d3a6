"""Waits between tries: each about twice as long as the one before, spread out so that many agents don't come at once."""

from __future__ import annotations

import random


class Waits:
    """From `first_s` to `longest_s`, each cut by a random part of up to a half."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s

    def next(self) -> float:
        """Seconds to wait now; the next wait is longer."""
        wait_s, self._next_s = self._next_s, min(self._next_s * 2, self._longest_s)
        return wait_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing

    @property
    def grown(self) -> bool:
        """Whether a wait was asked for since it last went well."""
        return self._next_s > self._first_s

    def reset(self) -> None:
        """It went well."""
        self._next_s = self._first_s
