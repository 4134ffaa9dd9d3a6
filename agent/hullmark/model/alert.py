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
    line. `at` is seconds since 1970. `more` are other outages of the same incident that began, or ended, at the same time, by host
    and control: they have no alert of their own."""

    alert_id: str
    word: AlertWord
    outage: Outage
    at: float
    text: str
    sender: str
    origin: str = "agent"
    incident: int = 0
    more: tuple[str, ...] = ()
