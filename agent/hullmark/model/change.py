"""Who asked for a change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """Who asked for a change: the human (or token), the request's id, the shop's ticket, when. `approved_by` is the second person,
    `break_glass` the id of one that was open meanwhile."""

    by: str
    request_id: str
    at: float
    ticket: str = ""
    origin: str = ""
    approved_by: str = ""
    break_glass: str = ""
