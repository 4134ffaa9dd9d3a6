"""Which alerts a leader's incidents are due, which are on their way, and which have ended.

What begins, or ends, in one incident at the same time is told in one alert: a switch that takes a hundred hosts with it wakes people once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Callable

from hullmark.core import outagealerts
from hullmark.masterd.settings import Alarm
from hullmark.model.alert import Alert
from hullmark.model.outage import Alerted, Incident, IncidentRecord, Outage

Known = Mapping[int, IncidentRecord]
NOTHING = Alerted()


@dataclass(frozen=True)
class Member:
    """One outage of those that an alert tells."""

    outage_id: str
    number: int


class AlertList:
    """`due`, `noted`, the write, `settle` and `send`, in this order: an alert leaves once it is in the store that it does."""

    def __init__(self, alarm: Alarm) -> None:
        self._alarm = alarm
        self._members: dict[str, tuple[Member, ...]] = {}
        self._ended: list[Alert] = []
        self._concluded: list[Alert] = []
        self._noted: dict[str, Alerted] = {}

    def send_again(self, known: Known, sender: str) -> None:
        """What former leaders began to send, and perhaps did not."""
        for number, record in known.items():
            groups: dict[tuple[str, float], list[tuple[Outage, Alerted]]] = {}
            for name, told in record.alerted.items():
                outage = record.incident.outages.get(name)
                if told.waiting and outage is not None:
                    groups.setdefault((told.word, told.at), []).append((outage, told))
            self.send([self._made(number, of, sender) for of in groups.values()])

    def due(
        self, known: Known, now: float, sender: str, planned: Callable[[Outage, float], bool]
    ) -> list[Alert]:
        self._noted = {}
        found = []
        for number, record in known.items():
            if _is_long_over(record.incident, now):
                continue
            groups: dict[str, list[tuple[Outage, Alerted]]] = {}
            for name, outage in record.incident.outages.items():
                told = record.alerted.get(name, NOTHING)
                if outage.ended and told.over and not told.waiting:
                    continue
                word = outagealerts.due(
                    outage,
                    told,
                    now,
                    acknowledged=bool(record.incident.acknowledged_at),
                    working=outage.planned and planned(outage, now),
                )
                if word is not None:
                    after = outagealerts.after(told, word, now)
                    self._noted[name] = after
                    groups.setdefault(word.value, []).append((outage, after))
            found += [self._made(number, of, sender) for of in groups.values()]
        return found

    def noted(self, known: Known) -> Known:
        """The records, with what is told now and what has ended."""
        self._concluded = list(self._ended)
        of = {
            member.outage_id: member.number
            for alert in self._concluded
            for member in self._members.get(alert.alert_id, ())
        }
        if not of and not self._noted:
            return known
        return {number: self._with(record, of) for number, record in known.items()}

    def settle(self) -> None:
        """What `noted` gave is in the store."""
        for alert in self._concluded:
            self._ended.remove(alert)
            self._members.pop(alert.alert_id, None)
        self._concluded = []

    def send(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            self._alarm.send(alert)

    def ended(self, alert: Alert) -> None:
        if alert.alert_id in self._members:
            self._ended.append(alert)

    def _made(self, number: int, of: list[tuple[Outage, Alerted]], sender: str) -> Alert:
        (outage, told), *others = sorted(of, key=lambda one: (one[0].began, one[0].outage_id))
        more = tuple(f"{other.host} {other.control_id}" for other, _ in others)
        alert = outagealerts.made(
            outage, told, sender=sender, origin="master", incident=number, more=more
        )
        self._members[alert.alert_id] = tuple(Member(one.outage_id, at.number) for one, at in of)
        return alert

    def _with(self, record: IncidentRecord, ended: Mapping[str, int]) -> IncidentRecord:
        changed: dict[str, Alerted] = {}
        for name in record.incident.outages:
            told = self._noted.get(name, record.alerted.get(name, NOTHING))
            if name in ended:
                told = outagealerts.concluded(told, ended[name])
            if told != record.alerted.get(name, NOTHING):
                changed[name] = told
        return replace(record, alerted={**record.alerted, **changed}) if changed else record


def _is_long_over(incident: Incident, now: float) -> bool:
    return bool(incident.merged_into) or bool(
        incident.ended and now - incident.ended > 2 * outagealerts.OLD_S
    )
