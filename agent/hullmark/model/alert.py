"""Alerts: what people, and the machines that wake them, are told of an outage."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from hullmark.model.outage import Outage


class AlertWord(enum.Enum):
    BEGAN = "began"
    REOPENED = "reopened"
    LASTS = (
        "lasts"  # nobody has acknowledged it for a day, or the maintenance that it began in is over
    )
    RECOVERED = "recovered"


@dataclass(frozen=True)
class Alert:
    """`alert_id` stays the same where an alert is sent again, so that a receiver can tell. `sender` is the daemon's machine, `origin` its
    part: `agent` or `master`. `incident` is 0 where no number is known: an enrolled host's own alerts have none. `text` is one
    line. `at` is seconds since 1970."""

    alert_id: str
    word: AlertWord
    outage: Outage
    at: float
    text: str
    sender: str
    origin: str = "agent"
    incident: int = 0


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
