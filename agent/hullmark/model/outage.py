"""Outages: the times in which a control failed, what people said of them, and incidents, which are outages that belong together.

An **outage** is one control's, on one host: from its first fail to its recovery. An **incident** is what people deal with: outages of
one function whose times touch, on however many hosts, with one acknowledgement and one record of what PCI DSS 10.7.3 asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NOTES: Mapping[str, str] = {
    "cause": "the cause of the failure",
    "remediation": "what was done to remedy it",
    "issues": "security issues that arose during the failure, and how they were addressed",
    "risk": "whether further action is required, as assessed",
    "prevention": "what keeps it from happening again",
}
"""What only a person can tell, of the seven things that 10.7.3 asks. That functions were restored, how long it lasted, and that
monitoring resumed are known: `ended`, `began` and that checks pass since."""

NOTES_MOST = 200
"""Of one incident."""
NOTE_LENGTH_MOST = 4000


@dataclass(frozen=True)
class Outage:
    """Times in seconds since 1970. `began` is when the first check failed, `passed_at` when the control had passed last
    before that (0.0: never), so that it failed somewhere between; `ended` is 0.0 while it lasts. `status` is `fail` or `error`.
    `requirements` are those of the framework in force. `planned`: it began in maintenance, for which `ticket` is."""

    outage_id: str
    host: str
    control_id: str
    function: str
    title: str
    began: float
    reason: str
    status: str = "fail"
    passed_at: float = 0.0
    ended: float = 0.0
    level: int = -1
    remedy: str = ""
    requirements: tuple[str, ...] = ()
    planned: bool = False
    ticket: str = ""
    reopened: int = 0


@dataclass(frozen=True)
class Note:
    """`topic` is a key of NOTES, or empty for a remark."""

    at: float
    by: str
    topic: str
    text: str


@dataclass(frozen=True)
class Incident:
    """`number` counts from 1 in the place that keeps it: a cluster's store, or an unenrolled host. `outages` are by id. One with
    `merged_into` is part of that other incident now, and has nothing of its own any more."""

    number: int
    function: str
    outages: Mapping[str, Outage] = field(default_factory=dict)
    acknowledged_by: str = ""
    acknowledged_at: float = 0.0
    notes: tuple[Note, ...] = ()
    merged_into: int = 0

    @property
    def began(self) -> float:
        return min((one.began for one in self.outages.values()), default=0.0)

    @property
    def ended(self) -> float:
        """0.0 while one of its outages lasts."""
        ends = [one.ended for one in self.outages.values()]
        return max(ends) if ends and all(ends) else 0.0

    @property
    def planned(self) -> bool:
        return bool(self.outages) and all(one.planned for one in self.outages.values())


@dataclass(frozen=True)
class Alerted:
    """What was told of an outage so far: which alerts there were in number, when the newest was, which word it had. `over`: its end was
    told. `waiting`: the newest alert has not been delivered, or given up, as far as is known."""

    number: int = 0
    at: float = 0.0
    word: str = ""
    over: bool = False
    reopened: int = 0
    waiting: bool = False


@dataclass(frozen=True)
class IncidentRecord:
    """An incident as the store keeps it, with what was told of each of its outages."""

    incident: Incident
    alerted: Mapping[str, Alerted] = field(default_factory=dict)


@dataclass(frozen=True)
class Receipt:
    """That the host `seen_by` found this canary in what it receives from others; `at` by its clock."""

    host_id: str
    nonce: str
    seen_by: str
    at: float


@dataclass(frozen=True)
class ReceiptsRequest:
    """POST /agent/v1/receipts: what this host found of others, and which of its own canaries it asks about."""

    found: tuple[Receipt, ...] = ()
    asked: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReceiptsAnswer:
    """Receipts of canaries that were asked about. `known_since`: from when on this leader has kept receipts."""

    receipts: tuple[Receipt, ...] = ()
    known_since: float = 0.0
