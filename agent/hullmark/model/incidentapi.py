"""Incidents as the API has them.

GET  /v1/incidents                       -> IncidentList
GET  /v1/incidents/NUMBER                -> IncidentDetail
POST /v1/incidents/NUMBER/acknowledge    AcknowledgeRequest -> IncidentDetail
POST /v1/incidents/NUMBER/notes          NoteRequest -> IncidentDetail
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from hullmark.model.outage import Note, Outage


@dataclass(frozen=True)
class IncidentView:
    """`state`: `open`, `acknowledged` (and still open), `recovered` (and something of its record is missing), `complete`, or
    `merged` into another. `missing`: of what PCI DSS 10.7.3 asks, what is not told yet: `end`, or a topic of notes. Times are
    seconds since 1970, `ended` 0.0 while it lasts."""

    number: int
    function: str
    state: str
    began: float
    ended: float = 0.0
    planned: bool = False
    acknowledged_by: str = ""
    acknowledged_at: float = 0.0
    outages: tuple[Outage, ...] = ()
    notes: tuple[Note, ...] = ()
    missing: tuple[str, ...] = ()
    merged_into: int = 0


@dataclass(frozen=True)
class IncidentList:
    """The newest first. `more`: there are older ones than these."""

    incidents: tuple[IncidentView, ...]
    more: bool = False


@dataclass(frozen=True)
class IncidentDetail:
    incident: IncidentView


@dataclass(frozen=True)
class AcknowledgeRequest:
    request_id: str
    ticket: str = ""


@dataclass(frozen=True)
class NoteRequest:
    """`topic` is a key of `outage.NOTES`, or empty for a remark."""

    request_id: str
    text: str
    topic: str = ""
    ticket: str = ""


@dataclass(frozen=True)
class IncidentNumbers:
    """Of those that are open and not planned. `oldest_s`: since when the first of them is."""

    open: int
    unacknowledged: int
    oldest_s: float
    planned: int = 0
    first: Optional[int] = None
