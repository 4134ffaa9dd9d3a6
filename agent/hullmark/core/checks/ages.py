"""How old a thing is that a tool left, and what that means."""

from __future__ import annotations

import math
from typing import Optional

from hullmark.core.checks.judge import error, failed
from hullmark.model.control import Finding, Reading
from hullmark.model.durations import age

AHEAD_S = 300.0
"""How far in the future a time may be: the clocks of file systems and of other machines."""


def mtime(reading: Reading) -> Optional[float]:
    """Seconds since 1970; None where there is none."""
    return number(reading.facts.get("mtime", ""))


def number(text: str) -> Optional[float]:
    """A finite one; None for anything else."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def unlike(
    what: str, at: Optional[float], now: float, most_s: float, ahead_s: float = AHEAD_S
) -> Optional[Finding]:
    """The finding where `what` happened longer ago than `most_s`, or in the future, or nobody knows when; None where it is young
    enough. 0 for `most_s`: any age will do."""
    if at is None:
        return error(f"{what}: no time is known")
    if at > now + ahead_s:
        return error(f"{what} is {age(at - now)} in the future: a clock is wrong")
    if most_s and now - at > most_s:
        return failed(f"{what} is {age(now - at)} old, more than {age(most_s)}")
    return None
