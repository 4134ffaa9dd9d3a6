"""When checks are looked at: spread out, each in its own step, and rarer while they cost more than they may.

Times are seconds of a clock that nobody sets.
"""

from __future__ import annotations

import hashlib
import math
from typing import Optional

from hullmark.model.control import Status

QUICK_S = 15.0
"""What is looked at more often than this says whether a tool is alive: it is never made rarer."""
FIRST_QUICK_S, FIRST_S, FIRST_RARE_S = 5.0, 20.0, 90.0
"""Within which time after the start a check is looked at for the first time: quick ones, those up to RARE_S, and the others."""
RARE_S = 300.0
CONFIRMED_S = 15.0
"""When a check is looked at again whose result has to stand before it counts (core/outages): that it can't be told, that a tool is gone,
that it passes again."""
STRETCH_MOST = 10.0
_EASED = 0.8
"""Below this part of the budget, checks are made less rare again."""


def is_quick(interval_s: float) -> bool:
    return interval_s < QUICK_S


def first_due(name: str, interval_s: float, now: float) -> float:
    """Of a check that was never looked at. `name` tells it from all others, also from those of other hosts."""
    spread_s = FIRST_RARE_S
    if is_quick(interval_s):
        spread_s = FIRST_QUICK_S
    elif interval_s <= RARE_S:
        spread_s = FIRST_S
    return now + _share(name) * min(spread_s, interval_s)


def next_due(due: float, interval_s: float, now: float) -> float:
    """After the look that was due then. It stays in its step; what was missed is not made up for."""
    missed = max(1, math.ceil((now - due) / interval_s))
    following = due + missed * interval_s
    return following if following > now else following + interval_s


def confirmed_by(due: float, before: Optional[Status], status: Status, now: float) -> float:
    """When it is due after this result. `before` is the result before it, None of the first one."""
    to_stand = status is Status.ERROR or (
        before is not None and status in (Status.PASS, Status.NOT_APPLICABLE)
    )
    return min(due, now + CONFIRMED_S) if to_stand and status is not before else due


def interval_now(interval_s: float, stretch: float) -> float:
    return interval_s if is_quick(interval_s) else interval_s * max(1.0, stretch)


def stretch(before: float, used: float, budget: float) -> float:
    """How much rarer checks are from now on, from 1 to STRETCH_MOST. `used` and `budget` are parts of one core."""
    if used > budget:
        return min(STRETCH_MOST, before * used / budget)
    if used < budget * _EASED and before > 1.0:
        eased = before * max(0.5, used / budget)
        return eased if eased >= 1.1 else 1.0
    return before


def left_of(budget: float, fixed: float) -> float:
    """What of a budget is there for checks that can be made rarer, where the others take so much; half of it in any case, as a host
    that is only asked whether its daemons live is not checked."""
    return max(budget - fixed, budget / 2)


def _share(name: str) -> float:
    """From 0 to 1, the same for the same name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
