"""Refusals that several modules give, in the same words."""

from __future__ import annotations

from hullmark.errors import NotFound, StaleEpoch


def no_app(name: str) -> NotFound:
    return NotFound(f"there is no app {name}", remedy="hullmark apps")


def not_enrolled(host_id: str) -> NotFound:
    return NotFound(f"host {host_id} is not enrolled here", remedy="hullmark invite HOST")


def not_leading(why: str) -> StaleEpoch:
    """`why`: of this master, as its leadership says it."""
    return StaleEpoch(f"this master does not lead: {why}", remedy="ask again in a moment")
