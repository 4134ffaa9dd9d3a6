"""Values as people read them: times, names; and values as people write them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Optional

from hullmark.errors import UsageError
from hullmark.model import durations

age = durations.age


def moment(at: float) -> str:
    """Seconds since 1970 as local time, with the day where it isn't today."""
    then = time.localtime(at)
    today = time.localtime()
    form = "%H:%M:%S" if then[:3] == today[:3] else "%Y-%m-%d %H:%M:%S"
    return time.strftime(form, then)


def dated(at: float) -> str:
    """The same with the day always: for what is read, or passed on, on a later day."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def utc(at: float) -> str:
    """Seconds since 1970 as RFC 3339, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def span(seconds: float) -> str:
    """Seconds as a configuration file has them: `10s`, `8h`, `1h30m`, `500ms`."""
    if seconds < 1 or seconds != int(seconds):
        return f"{seconds * 1000:g}ms" if seconds < 1 else f"{seconds:g}s"
    left, found = int(seconds), ""
    for unit, size_s in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, left = divmod(left, size_s)
        found += f"{number}{unit}" if number else ""
    return found


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
    found = durations.in_seconds(text) if len(text) <= 40 else None
    if found is None:
        raise UsageError(
            f"{option}: not a duration: {text[:40]!r}", remedy="such as 90s, 5m or 1h30m"
        )
    return found


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
