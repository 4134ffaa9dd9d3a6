"""How far something long is whose end nobody knows: one line on a terminal, written over and taken away at the end."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Callable, Optional

EVERY_S = 0.5
CLEAR = "\r\x1b[K"
"""To the line's begin, and erase it (EL, see console_codes(4))."""


class Counting:
    """Used as a context. Says nothing where standard error is no terminal that can write over a line."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        self._shows = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._shown_at: Optional[float] = None

    def __enter__(self) -> Counting:
        self.seen(0)
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if self._shows:
            self._write("")

    def seen(self, number: int) -> None:
        now = self._clock()
        if self._shows and (self._shown_at is None or now - self._shown_at >= EVERY_S):
            self._shown_at = now
            self._write(f"{self._what}: {number}")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"{CLEAR}{text}")
        sys.stderr.flush()
