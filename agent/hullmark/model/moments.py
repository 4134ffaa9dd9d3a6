"""Moments: RFC 3339 as engines and people give it, seconds since 1970 as text, and dates for people."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Optional

NS_PER_S = 10**9
_SECONDS = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?")
_RFC_3339 = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt](?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(\.(?P<part>[0-9]{1,9}))?(?P<zone>[Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def nanoseconds(text: str) -> Optional[int]:
    """Of RFC 3339, since 1970; less than 0 before that, None for what is no such moment."""
    found = _RFC_3339.fullmatch(text)
    if found is None:
        return None
    zone = found["zone"].upper().replace("Z", "+00:00")
    try:
        whole = datetime.fromisoformat(f"{found['day']}T{found['time']}{zone}")
    except ValueError:
        return None
    return int(whole.timestamp()) * NS_PER_S + int((found["part"] or "").ljust(9, "0"))


def seconds(text: str) -> str:
    """A moment as an engine takes it: seconds since 1970, with up to nine decimals. Takes such a number, or
    RFC 3339. Raises ValueError with what is allowed."""
    if _SECONDS.fullmatch(text):
        return text
    found = nanoseconds(text)
    if found is None or found < 0:
        raise ValueError("seconds since 1970, or a time such as 2026-11-24T01:30:00Z")
    return _decimal(found)


def just_after(text: str) -> str:
    """A nanosecond later, in seconds; empty for what is no moment."""
    try:
        whole, _, part = seconds(text).partition(".")
    except ValueError:
        return ""
    return _decimal(int(whole) * NS_PER_S + int(part.ljust(9, "0")) + 1)


def moment(at: float) -> str:
    """RFC 3339 in UTC, as an engine writes the times of lines."""
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def day(at: float) -> str:
    """For people: `2026-11-24 01:30 UTC`."""
    return datetime.fromtimestamp(int(at), timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _decimal(found_ns: int) -> str:
    return f"{found_ns // NS_PER_S}.{found_ns % NS_PER_S:09d}"
