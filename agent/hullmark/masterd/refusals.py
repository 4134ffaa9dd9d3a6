"""Refusals that several modules give, in the same words."""

from __future__ import annotations

from hullmark.errors import Conflict, NotFound, StaleEpoch


def no_app(name: str) -> NotFound:
    return NotFound(f"there is no app {name}", remedy="hullmark apps")


def not_enrolled(host_id: str) -> NotFound:
    return NotFound(f"host {host_id} is not enrolled here", remedy="hullmark invite HOST")


def enroll_again(host: str = "HOST") -> str:
    """The way out for a host whose certificate is worth nothing."""
    return f"on a master: hullmark invite {host}; on the host: hullmark agent enroll --force --token-file FILE"


def overtaken() -> Conflict:
    return Conflict(
        "another master began to lead at the same moment", remedy="hullmark status shows which one"
    )


def not_leading(why: str) -> StaleEpoch:
    """`why`: of this master, as its leadership says it."""
    return StaleEpoch(f"this master does not lead: {why}", remedy="ask again in a moment")
