"""Which alert an outage is due, by what was told of it before.

    began ──▶ recovered ──▶ (it failed again) reopened ──▶ recovered, once it has held for five minutes
      └─ each day until somebody acknowledges it: lasts

So an outage has one alert of its beginning, and four at most beside the daily ones, however often it flaps. One that began in
maintenance is due none but its end, unless it outlasts the maintenance.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from hullmark.core.outages import REOPENED_S
from hullmark.model.alert import Alert, AlertWord
from hullmark.model.moments import moment
from hullmark.model.outage import Alerted, Outage

DAY_S = 86400.0
MORE_SHOWN = 10
OLD_S = 3600.0
"""An outage that was over for longer than this when it was first heard of is news to nobody."""


def due(
    outage: Outage, told: Alerted, now: float, *, acknowledged: bool = False, working: bool = False
) -> Optional[AlertWord]:
    """`working`: its host is in maintenance now."""
    if outage.ended:
        return _due_over(outage, told, now)
    if outage.planned and working:
        return None
    if not told.number:
        return AlertWord.LASTS if outage.planned else AlertWord.BEGAN
    if told.over:
        return AlertWord.REOPENED
    if not acknowledged and now - told.at >= DAY_S:
        return AlertWord.LASTS
    return None


def _due_over(outage: Outage, told: Alerted, now: float) -> Optional[AlertWord]:
    if told.over or (not told.number and (outage.planned or now - outage.ended > OLD_S)):
        return None
    if told.reopened and now - outage.ended < REOPENED_S:
        return None
    return AlertWord.RECOVERED


def after(told: Alerted, word: AlertWord, now: float) -> Alerted:
    """Of one that is about to be sent."""
    return Alerted(
        number=told.number + 1,
        at=now,
        word=word.value,
        over=word is AlertWord.RECOVERED,
        reopened=told.reopened + (word is AlertWord.REOPENED),
        waiting=True,
    )


def concluded(told: Alerted, alert_number: int) -> Alerted:
    """Where that very alert was delivered, or given up."""
    return replace(told, waiting=False) if told.number == alert_number else told


def made(
    outage: Outage,
    told: Alerted,
    *,
    sender: str,
    origin: str = "agent",
    incident: int = 0,
    more: tuple[str, ...] = (),
) -> Alert:
    """The newest alert that was told of it: anew with the same id, as often as it is asked for. `more` are others that are told
    with it."""
    word = AlertWord(told.word)
    text = sentence(outage, word)
    if more:
        shown = ", ".join(more[:MORE_SHOWN]) + (", ..." if len(more) > MORE_SHOWN else "")
        text += f" (and {len(more)} more: {shown})"
    return Alert(
        alert_id=f"{outage.outage_id}-{told.number}",
        word=word,
        outage=outage,
        at=told.at,
        text=text,
        sender=sender,
        origin=origin,
        incident=incident,
        more=more,
    )


_DOES = {
    AlertWord.BEGAN: "failed",
    AlertWord.REOPENED: "failed again",
    AlertWord.LASTS: "still fails",
    AlertWord.RECOVERED: "recovered",
}


def sentence(outage: Outage, word: AlertWord) -> str:
    """`web1: Audit trail by auditd failed: auditd is stopped (PCI DSS 10.2.1). What to do: ...`, in one line."""
    does = _DOES[word]
    if outage.status == "error" and word is not AlertWord.RECOVERED:
        does = "can't be told" if word is AlertWord.BEGAN else does
    text = f"{outage.host}: {outage.title or outage.control_id} {does}"
    if word is AlertWord.RECOVERED:
        text += f" at {moment(outage.ended or outage.began)}, out since {moment(outage.began)}"
    elif outage.reason:
        text += f": {outage.reason}"
    if outage.requirements:
        text += f" [{', '.join(outage.requirements)}]"
    if outage.planned:
        text += f" (planned{', ' + outage.ticket if outage.ticket else ''})"
    if outage.remedy and word is not AlertWord.RECOVERED:
        text += f". What to do: {outage.remedy}"
    return "".join(each if each.isprintable() else " " for each in text)
