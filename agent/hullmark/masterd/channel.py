"""A bounded queue with an end: whoever writes waits for whoever reads, and learns when nobody does any more."""

from __future__ import annotations

from collections import deque
from typing import Generic, Optional, TypeVar

from hullmark.masterd.counter import Counter

T = TypeVar("T")
LONG_S = 3600.0


class Channel(Generic[T]):
    """Used from one event loop. Many may put; one takes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[T] = deque()
        self._arrived = Counter()
        self._freed = Counter()
        self.closed = False

    async def put(self, item: T) -> bool:
        """Waits while the queue is full. False: the reader went away, and the item with it."""
        while len(self._items) >= self._limit and not self.closed:
            await self._freed.passed(self._freed.value, LONG_S)
        if self.closed:
            return False
        self._items.append(item)
        self._arrived.bump()
        return True

    def mark(self, item: T) -> None:
        """Put without waiting, also where the queue is full: for the few items that are no load."""
        if not self.closed:
            self._items.append(item)
            self._arrived.bump()

    async def take(self, timeout_s: float) -> Optional[T]:
        """The next item; None where none came in time, or the queue was closed."""
        if not self._items and not self.closed:
            await self._arrived.passed(self._arrived.value, timeout_s)
        return self.take_now()

    def take_now(self) -> Optional[T]:
        if not self._items:
            return None
        item = self._items.popleft()
        self._freed.bump()
        return item

    def close(self) -> None:
        self.closed = True
        self._items.clear()
        self._freed.bump()
        self._arrived.bump()
