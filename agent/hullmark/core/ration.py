"""So many at once and so many a second, and a count of those that were kept back: pure but for what it remembers."""

from __future__ import annotations


class Ration:
    """`at_once` first, then `each_second`. Times are of one monotonic clock."""

    def __init__(self, at_once: int, each_second: float, now: float) -> None:
        self._at_once = at_once
        self._each_second = each_second
        self._left = float(at_once)
        self._at = now
        self.kept_back = 0

    def take(self, now: float) -> bool:
        """False: kept back, and counted."""
        if self._has(now):
            self._left -= 1
            return True
        self.kept_back += 1
        return False

    def release(self, now: float) -> int:
        """How many were kept back, once there is room to say so; then they are forgotten."""
        if not self.kept_back or not self._has(now):
            return 0
        self._left -= 1
        found, self.kept_back = self.kept_back, 0
        return found

    def _has(self, now: float) -> bool:
        self._left = min(self._at_once, self._left + (now - self._at) * self._each_second)
        self._at = now
        return self._left >= 1
