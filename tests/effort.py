"""Limits of processor time that mean the same work on every machine.

What they keep out takes minutes, or multiplies with its input. A machine that is slow, or whose neighbours are busy, must not look like that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

_TURNS = 400_000
# What those turns took on a machine of 2024 with nothing beside it.
_TURNS_S = 0.03


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """What is done inside takes less of the processor's time than `seconds` of a quick machine's. Raises AssertionError."""
    began = time.process_time()
    yield
    took_s = time.process_time() - began
    if took_s >= seconds:
        # Looked at only then, and right then: what slows a machine comes and goes.
        slower = max(1.0, _turns_took_s() / _TURNS_S)
        assert took_s < seconds * slower, f"{took_s:.2f} s, on a machine {slower:.1f} times slower"


def _turns_took_s() -> float:
    began = time.process_time()
    count = 0
    for turn in range(_TURNS):
        count += turn
    return time.process_time() - began
