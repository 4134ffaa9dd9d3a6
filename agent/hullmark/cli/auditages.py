"""How old records were when they were removed, by the clocks of masters: a host's own clock, and what its log says of it, may be wrong or made up."""

from __future__ import annotations

from typing import Optional

from hullmark.cli.auditheads import Known
from hullmark.cli.words import count
from hullmark.core.chain import Removal
from hullmark.model.moments import NS_PER_S, nanoseconds

DAY_S = 86400.0
KEEP_S = 365 * DAY_S
"""PCI DSS 10.5.1: twelve months."""


def age(at: str, now: float) -> float:
    """Seconds since then; 0 for what is no time."""
    found = nanoseconds(at)
    return 0.0 if found is None else now - found / NS_PER_S


def span(seconds: float) -> str:
    if seconds >= DAY_S:
        return count(int(seconds // DAY_S), "day")
    return count(int(seconds // 60), "minute")


def removal(said: Removal, known: Known, keep_s: float, now: float) -> tuple[bool, str]:
    """Whether records were removed too early, and what is known of it. The masters were shown that they are there, and later that they are
    gone."""
    text = f"records 1 to {said.last} were removed, as record {said.seq} says"
    seen = [one for one in known.vouched if one.head.seq <= said.last]
    made_s = _first_shown(known, said.last, now)
    if not seen or made_s is None:
        return False, f"{text}; no master knows when they were made"
    gone_s = _first_shown(known, said.seq, now) or 0.0
    kept_s = max(0.0, made_s - gone_s)
    text = f"{text}, {span(kept_s)} after masters were first shown the last of them"
    if kept_s >= keep_s:
        return False, text
    return True, f"{text}: they had to be kept for {span(keep_s)} (--keep)"


def _first_shown(known: Known, seq: int, now: float) -> Optional[float]:
    """How long ago a master was first shown a head that has this record in it."""
    ages = [age(one.at, now) for one in known.vouched if one.head.seq >= seq]
    return max(ages, default=None)
