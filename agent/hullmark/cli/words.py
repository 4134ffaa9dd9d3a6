"""Values as people read them: times, sizes, names; and values as people write them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Optional

from hullmark.errors import UsageError

_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def age(seconds: float) -> str:
    """Two digits at most before the unit where it matters: `8 s`, `14 min`, `5 h`, `12 d`."""
    if seconds < 100:
        return f"{max(0, seconds):.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} d"


def size(size_bytes: int) -> str:
    """`512 MiB`, `1.9 GiB`."""
    value, unit = float(size_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"


def moment(at: float) -> str:
    """Seconds since 1970 as local time, with the day where it isn't today."""
    then = time.localtime(at)
    today = time.localtime()
    form = "%H:%M:%S" if then[:3] == today[:3] else "%Y-%m-%d %H:%M:%S"
    return time.strftime(form, then)


def one_line(text: str) -> str:
    """Text of others for a table: no line breaks, and nothing that a terminal would obey."""
    flat = " ".join(text.replace("\t", " ").splitlines())
    return "".join(each if each.isprintable() else "?" for each in flat)


def count(number: int, noun: str) -> str:
    """`1 host`, `3 hosts`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(text: str, option: str) -> float:
    """Seconds of `90s`, `5m`, `1h30m`, or of a bare number. Raises UsageError."""
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return float(text)
    if len(text) > 40 or not _DURATION.fullmatch(text):
        raise UsageError(
            f"{option}: not a duration: {text[:40]!r}", remedy="such as 90s, 5m or 1h30m"
        )
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def pairs(texts: tuple[str, ...], option: str) -> Mapping[str, str]:
    """`KEY=VALUE` of a repeated option. Raises UsageError."""
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise UsageError(
                f"{option}: not KEY=VALUE: {text[:80]!r}", remedy=f"{option} KEY=VALUE"
            )
        if key in found:
            raise UsageError(f"{option}: {key[:80]!r} is given twice", remedy="give it once")
        found[key] = value
    return found


def whole_number(text: str) -> Optional[int]:
    """None for what isn't one of at most nine digits."""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None
