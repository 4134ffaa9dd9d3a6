"""Who asked for a change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """Who asked for a change: the human (or token), the request's id, the shop's ticket, when."""

    by: str
    request_id: str
    at: float
    ticket: str = ""
    origin: str = ""
