"""Durations as people write them, `90s`, `1h30m`, and as they are told: `14 min`."""

from __future__ import annotations

import re
from typing import Optional

_UNITS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(us|µs|ms|s|m|h|d|w)")
_WHOLE = re.compile(f"(?:{_PART.pattern})+")


def in_seconds(text: str) -> Optional[float]:
    """To the microsecond; None for what is no duration. A number without a unit is none."""
    if not _WHOLE.fullmatch(text):
        return None
    return round(sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(text)), 6)


def age(seconds: float) -> str:
    """Two digits at most before the unit where it matters: `8 s`, `14 min`, `5 h`, `12 d`."""
    if seconds < 100:
        return f"{max(0, seconds):.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} d"
