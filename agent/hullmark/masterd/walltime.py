"""The time of day in a time zone, as the system's tzdata has it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Optional
from zoneinfo import ZoneInfo

from hullmark.errors import Refused

UTC = "UTC"


def zone_known(name: str) -> bool:
    return name == UTC or _zone(name) is not None


def local(name: str, at: float) -> datetime:
    """Without a zone. Raises Refused for a zone that isn't known here: whether changes are frozen can't be said then."""
    if name == UTC:
        return datetime.fromtimestamp(at, timezone.utc).replace(tzinfo=None)
    zone = _zone(name)
    if zone is None:
        raise Refused(
            f"this master does not know the time zone {name} of change control: nothing is changed by its rules until it does",
            remedy="install tzdata on this master; in an emergency: hullmark break-glass open --reason TEXT",
        )
    return datetime.fromtimestamp(at, zone).replace(tzinfo=None)


def _zone(name: str) -> Optional[ZoneInfo]:
    try:
        return ZoneInfo(name) if name else None
    except (ValueError, OSError, LookupError):
        return None
