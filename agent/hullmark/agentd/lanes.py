"""Threads in which checks look: few, of low priority, and never all taken by the same sort of check.

A look that hangs, as one does on a disk that does not answer, keeps its thread; the others of its lane get another one in its place.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Callable

from hullmark.agentd.looking import Looked

NICE = 10
"""The programs that a look runs have it too."""
QUICK, STEADY, RARE = "quick", "steady", "rare"
SIZES: Mapping[str, int] = {QUICK: 2, STEADY: 2, RARE: 1}
LOST_MOST = 8
"""So many looks of a lane may hang and be replaced; after that their threads are waited for."""

Work = Callable[[], Looked]


class Lanes:
    """One thread's."""

    def __init__(self, sizes: Mapping[str, int] = SIZES) -> None:
        self._lanes = {name: _Lane(name, size) for name, size in sizes.items()}

    def has_room(self, lane: str) -> bool:
        return self._lanes[lane].has_room()

    def begin(self, lane: str, work: Work) -> Future[Looked]:
        """Only where there is room."""
        return self._lanes[lane].begin(work)

    def ended(self, lane: str, *, was_lost: bool) -> None:
        """A look that was begun came to its end; `was_lost`: after it was given up."""
        self._lanes[lane].ended(was_lost=was_lost)

    def give_up(self, lane: str) -> None:
        """One of the looks under way hangs."""
        self._lanes[lane].give_up()

    def close(self) -> None:
        """What is under way goes on."""
        for lane in self._lanes.values():
            lane.close()


class _Lane:
    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._size = size
        self._under_way = 0
        self._lost = 0
        self._pool = self._made()

    def _made(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._size, f"look-{self._name}", initializer=lower_priority)

    def has_room(self) -> bool:
        return self._under_way + max(0, self._lost - LOST_MOST) < self._size

    def begin(self, work: Work) -> Future[Looked]:
        self._under_way += 1
        return self._pool.submit(work)

    def ended(self, *, was_lost: bool) -> None:
        if was_lost:
            self._lost -= 1
        else:
            self._under_way -= 1

    def give_up(self) -> None:
        self._lost += 1
        self._under_way -= 1
        if self._lost <= LOST_MOST:
            # The others under way go on in the former pool's threads, which then end.
            self._pool.shutdown(wait=False)
            self._pool = self._made()

    def close(self) -> None:
        self._pool.shutdown(wait=False)


def lower_priority() -> None:
    """Of the calling thread. Where that isn't allowed, it stays as it is."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
