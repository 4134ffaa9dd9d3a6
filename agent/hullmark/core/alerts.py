"""Alerts: that redundancy was lost, and that it is back; each told once, and only where it lasts.

What is open is read back from the events of former leaders, so that a loss which lasts through a change of leader is
told once, and one that ended meanwhile is told by the next leader.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from hullmark.core.redundancy import Loss, Redundancy
from hullmark.model.durations import age
from hullmark.model.event import Event

LOST, REGAINED = "redundancy.lost", "redundancy.regained"
TROUBLE, TROUBLE_OVER = "store.trouble", "store.trouble-over"
LASTS_S = 10.0
"""A master that is upgraded, or restarted, is back within this: no alert."""
OVER = {LOST: REGAINED, TROUBLE: TROUBLE_OVER}


@dataclass(frozen=True)
class Alert:
    """An event to record."""

    kind: str
    subject: str
    message: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class _Open:
    """`at`: seconds since 1970."""

    kind: str
    subject: str
    at: float


@dataclass(frozen=True)
class Alerts:
    """`open` by the loss's code: what was told and is not over. `seen`: since when, on a monotonic clock, what is not told yet has lasted."""

    open: Mapping[str, _Open] = field(default_factory=dict)
    seen: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Iterable[Event]) -> Alerts:
        """What is open after these events, the oldest first."""
        found: dict[str, _Open] = {}
        for event in events:
            code = event.fields.get("code", "")
            if event.kind in OVER:
                found[code] = _Open(event.kind, event.subject, event.at)
            elif event.kind in OVER.values():
                found.pop(code, None)
        return cls(found)


def compare(
    alerts: Alerts, found: Redundancy, now: float, wall: float
) -> tuple[Alerts, tuple[Alert, ...]]:
    """What is to be told, and what is known after that. `now` is monotonic, `wall` seconds since 1970. What is over is
    told at once, what began once it has lasted `LASTS_S`."""
    kinds = {loss.code: (LOST, loss) for loss in found.lost}
    kinds.update({loss.code: (TROUBLE, loss) for loss in found.troubles})
    open_now, told = dict(alerts.open), []
    for code in sorted(set(open_now) - set(kinds)):
        told.append(_over(code, open_now.pop(code), wall))
    seen = {code: alerts.seen.get(code, now) for code in kinds if code not in open_now}
    for code in [code for code, since in seen.items() if now - since >= LASTS_S]:
        kind, loss = kinds[code]
        del seen[code]
        open_now[code] = _Open(kind, loss.subject, wall)
        told.append(_began(kind, loss))
    return replace(alerts, open=open_now, seen=seen), tuple(told)


def _began(kind: str, loss: Loss) -> Alert:
    fields = {"code": loss.code}
    if loss.remedy:
        fields["remedy"] = loss.remedy
    return Alert(kind, loss.subject, loss.note, fields)


def _over(code: str, was: _Open, wall: float) -> Alert:
    lasted_s = max(0.0, wall - was.at)
    fields = {"code": code, "lasted_s": f"{lasted_s:.0f}"}
    return Alert(OVER[was.kind], was.subject, f"it lasted {age(lasted_s)}", fields)
