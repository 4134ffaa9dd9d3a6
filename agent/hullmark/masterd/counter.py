"""Numbers that grow, and waiting for them: how a held request learns that something changed."""

from __future__ import annotations

import asyncio


class Counter:
    """Used from one event loop. Waiting leaves nothing behind when it is cancelled."""

    def __init__(self, value: int = 0) -> None:
        self.value = value
        self._waiters: set[asyncio.Future[None]] = set()

    def bump(self) -> None:
        """Grow by one, and let go of everyone who waits."""
        self.value += 1
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def passed(self, after: int, hold_s: float) -> int:
        """The value: at once where it is above `after`, else when it is or when `hold_s` is over."""
        if self.value > after or hold_s <= 0:
            return self.value
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await asyncio.wait({waiter}, timeout=hold_s)
        finally:
            waiter.cancel()
            self._waiters.discard(waiter)
        return self.value
