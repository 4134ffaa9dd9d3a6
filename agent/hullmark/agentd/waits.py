"""Waits between tries: each about twice as long as the one before, spread out so that many agents don't come at once."""

from __future__ import annotations

import random
from typing import Callable

Chance = Callable[[], float]
"""From 0 to 1. It spreads load, and hides nothing."""


class Waits:
    """From `first_s` to `longest_s`, each cut by a random part of up to a half."""

    def __init__(self, first_s: float, longest_s: float, chance: Chance = random.random) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s
        self._chance = chance

    def next(self) -> float:
        """Seconds to wait now; the next wait is longer."""
        wait_s, self._next_s = self._next_s, min(self._next_s * 2, self._longest_s)
        return wait_s * (0.5 + self._chance() / 2)

    @property
    def grown(self) -> bool:
        """Whether a wait was asked for since it last went well."""
        return self._next_s > self._first_s

    def reset(self) -> None:
        """It went well."""
        self._next_s = self._first_s


class Comeback:
    """The waits of an agent that lost its leader, where another may lead in its place.

    All agents lose it at the same moment, and each new connection costs a master far more than a question on one that is
    open. So the first wait is a random part of the time over which the leader wanted its hosts spread out. After
    it an agent has a connection to a master that is about to lead, and asks there again and again: the more hosts
    there are, the more seldom.
    """

    FIRST_S = 0.2
    LONGEST_S = (1.0, 3.0)
    """The longest wait, for a small fleet and for a large one. Well under `lost_after`."""

    def __init__(self, chance: Chance = random.random) -> None:
        self._chance = chance
        self._spread_s = 0.0
        self._lost = self._named = False
        self._alone = self._waits(self.LONGEST_S[1])
        self._among = self._waits(self.LONGEST_S[0])

    def _waits(self, longest_s: float, first_s: float = FIRST_S) -> Waits:
        return Waits(first_s, longest_s, self._chance)

    def found(self, spread_s: float) -> None:
        """The leader answered, and said how far its hosts should be spread out."""
        self._lost = self._named = False
        self._alone.reset()
        if spread_s != self._spread_s:
            least_s, most_s = self.LONGEST_S
            first_s = min(max(spread_s / 3, self.FIRST_S), least_s)
            self._among = self._waits(min(max(spread_s, least_s), most_s), first_s)
            self._spread_s = spread_s
        self._among.reset()

    def lost(self, *, several: bool, named: bool = False) -> float:
        """Seconds to wait until a master is called. `several`: there are others than the one that was lost. `named`: one
        of them says who leads, so that a short wait is all it takes; but for masters that only name each other."""
        if not several:
            return self._alone.next()
        first, self._lost = not self._lost, True
        if first:
            return self._spread_s * self._chance()
        wait_s = self._among.next()
        short, self._named = named and not self._named, named
        return min(wait_s, self.FIRST_S) if short else wait_s
