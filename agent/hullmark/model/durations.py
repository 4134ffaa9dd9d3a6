"""Durations as people write them: `90s`, `1h30m`."""

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
