"""Freeze windows: whether one holds at a moment, by the clock on the wall.

The moment comes as the time of day there, without a zone. Where clocks are put back, an hour is there twice and is
frozen twice; where they are put forward, a window that begins in the hour that is left out begins with the next.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Optional

from hullmark.model.changecontrol import FreezeWindow

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAILY = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]|24):([0-5][0-9])")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}")
_DAY = 24 * 60


def moment_of(text: str) -> Optional[datetime]:
    """None for what is none."""
    if not _MOMENT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def minutes_of(daily: str) -> Optional[tuple[int, int]]:
    """Of the day, of a `HH:MM-HH:MM`; the second above the first, beyond the day's own where it is over midnight. None for
    what is no such time."""
    found = _DAILY.fullmatch(daily)
    if found is None:
        return None
    hour, minute, until_hour, until_minute = map(int, found.groups())
    first, last = hour * 60 + minute, until_hour * 60 + until_minute
    if last > _DAY:
        return None
    return first, last if last > first else last + _DAY


def holds(window: FreezeWindow, local: datetime) -> bool:
    begins, ends = moment_of(window.begins), moment_of(window.ends)
    if begins is not None and local < begins:
        return False
    if ends is not None and local >= ends:
        return False
    return _begun_minute(window, local) is not None


def _begun_minute(window: FreezeWindow, local: datetime) -> Optional[int]:
    """How many minutes of today's, or yesterday's, part of the window have passed; None outside of it."""
    first, last = minutes_of(window.daily) or (0, _DAY)
    now = local.hour * 60 + local.minute
    for back in (0, 1):
        day = DAYS[(local.weekday() - back) % 7]
        if first <= now + back * _DAY < last and (not window.days or day in window.days):
            return now + back * _DAY - first
    return None


def ends_at(window: FreezeWindow, local: datetime) -> Optional[datetime]:
    """When the window that holds ends next, on the same clock; None where that is not within ten years."""
    latest = moment_of(window.ends)
    if not window.daily and not window.days:
        return latest
    first, last = minutes_of(window.daily) or (0, _DAY)
    at = local.replace(second=0, microsecond=0)
    for _ in range(14):
        begun = _begun_minute(window, at)
        if begun is None or (latest is not None and at >= latest):
            break
        at += timedelta(minutes=last - first - begun)
    else:
        return latest
    return at if latest is None else min(at, latest)


def words(window: FreezeWindow) -> str:
    """For people: `22:00-06:00 on fri, sat`."""
    parts = [window.daily] if window.daily else []
    if window.days:
        parts.append("on " + ", ".join(window.days))
    if window.begins:
        parts.append(f"from {window.begins}")
    if window.ends:
        parts.append(f"until {window.ends}")
    return " ".join(parts)
