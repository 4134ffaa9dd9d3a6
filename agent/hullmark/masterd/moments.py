"""Moments in the forms that engines take and give: RFC 3339, and seconds since 1970 as text."""

from __future__ import annotations

import re
from datetime import datetime, timezone

_SECONDS = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?")
_RFC_3339 = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt](?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(\.(?P<part>[0-9]{1,9}))?(?P<zone>[Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def moment(at: float) -> str:
    """RFC 3339 in UTC, as the engine writes the times of lines."""
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds(text: str) -> str:
    """A moment as the engine takes it: seconds since 1970, with up to nine decimals. Takes such a number, or
    RFC 3339. Raises ValueError with what is allowed."""
    if _SECONDS.fullmatch(text):
        return text
    found = _RFC_3339.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        zone = found["zone"].upper().replace("Z", "+00:00")
        whole = datetime.fromisoformat(f"{found['day']}T{found['time']}{zone}")
    except ValueError:
        raise ValueError("seconds since 1970, or a time such as 2026-11-24T01:30:00Z") from None
    return f"{int(whole.timestamp())}.{found['part'] or '0'}"


def just_after(text: str) -> str:
    """A nanosecond later, in seconds; empty for what is no moment."""
    try:
        whole, _, part = seconds(text).partition(".")
    except ValueError:
        return ""
    nanoseconds = int(whole) * 10**9 + int(f"{part:0<9}") + 1
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09d}"
