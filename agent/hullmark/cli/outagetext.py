"""Incidents as people read them, and as a monitoring system does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hullmark.cli.table import wrapped
from hullmark.cli.words import age, count, dated, one_line
from hullmark.errors import EXIT_DEGRADED, EXIT_FAILED, EXIT_OK
from hullmark.model.incidentapi import IncidentView
from hullmark.model.outage import NOTES, Note, Outage

HEADS = ("INCIDENT", "STATE", "BEGAN", "LASTED", "FUNCTION", "HOSTS", "WHY")
_INDENT = " " * 14


def row(view: IncidentView, now: float) -> tuple[str, ...]:
    newest = max(view.outages, key=_matters, default=None)
    return (
        str(view.number or "-"),
        view.state + (" (planned)" if view.planned else ""),
        dated(view.began) if view.outages else "-",
        _lasted(view, now),
        view.function,
        _hosts(view),
        f"see {view.merged_into}" if newest is None else newest.reason,
    )


def _matters(outage: Outage) -> tuple[bool, float]:
    """What is over is not why an incident lasts."""
    return not outage.ended, outage.began


def _lasted(view: IncidentView, now: float) -> str:
    if not view.outages:
        return "-"
    return age(max(0.0, (view.ended or now) - view.began))


def _hosts(view: IncidentView) -> str:
    names = sorted({one.host for one in view.outages})
    return ", ".join(names[:3]) + (f" +{len(names) - 3}" if len(names) > 3 else "")


def is_bad(view: IncidentView) -> bool:
    return not view.ended and not view.merged_into and not view.planned


# -- one of them


def lines(view: IncidentView, now: float, columns: int) -> Iterator[str]:
    if view.merged_into:
        yield f"incident {view.number} is part of incident {view.merged_into}"
        yield f"next          hullmark outages show {view.merged_into}"
        return
    yield f"{f'incident {view.number}':<14}{view.state}{', planned' if view.planned else ''}"
    yield f"{'function':<14}{one_line(view.function)}"
    required = sorted({name for one in view.outages for name in one.requirements})
    if required:
        yield f"{'requirements':<14}{one_line(', '.join(required))}"
    if view.acknowledged_at:
        who = one_line(view.acknowledged_by)
        yield f"{'acknowledged':<14}{dated(view.acknowledged_at)} by {who}"
    elif not view.ended:
        yield f"{'acknowledged':<14}no; next: hullmark outages ack {view.number}"
    yield "outages"
    for outage in view.outages:
        yield from _outage(outage, now, columns)
    yield "what PCI DSS 10.7.3 asks to be recorded"
    yield from _record(view, now, columns)
    remarks = [note for note in view.notes if not note.topic]
    if remarks:
        yield "remarks"
        for note in remarks:
            yield from _note(note, columns)
    if view.missing and view.ended:
        topic = next(iter(set(NOTES) & set(view.missing)), "cause")
        topic = next((one for one in NOTES if one in view.missing), topic)
        yield f"next          hullmark outages note {view.number} --topic {topic} 'TEXT'"


def _outage(outage: Outage, now: float, columns: int) -> Iterator[str]:
    ends = f"to {dated(outage.ended)}" if outage.ended else "and lasts"
    lasted = age(max(0.0, (outage.ended or now) - outage.began))
    again = f", began again {count(outage.reopened, 'time')}" if outage.reopened else ""
    ticket = f", planned{' ' + outage.ticket if outage.ticket else ''}" if outage.planned else ""
    yield one_line(f"  {outage.host}  {outage.control_id}  {outage.outage_id}")
    yield one_line(f"    {dated(outage.began)} {ends} ({lasted}){again}{ticket}")
    if outage.passed_at:
        yield f"    it had passed last at {dated(outage.passed_at)}"
    yield from wrapped(outage.reason, columns, "    ")
    if outage.remedy and not outage.ended:
        yield from wrapped(f"what to do: {outage.remedy}", columns, "    ")


def _record(view: IncidentView, now: float, columns: int) -> Iterator[str]:
    restored = f"yes, {dated(view.ended)}" if view.ended else "OPEN: it lasts"
    yield f"  {'restored':<12}{restored}"
    until = dated(view.ended) if view.ended else "now"
    yield f"  {'duration':<12}{dated(view.began)} to {until}, {_lasted(view, now)}"
    told: dict[str, list[Note]] = {}
    for note in view.notes:
        told.setdefault(note.topic, []).append(note)
    for topic, meaning in NOTES.items():
        notes = told.get(topic, [])
        if not notes:
            yield f"  {topic:<12}OPEN: {meaning}"
        for number, note in enumerate(notes):
            head, *rest = list(_note(note, columns)) or [""]
            yield f"  {topic if not number else '':<12}{head.strip()}"
            yield from rest
    monitored = f"yes, it passes since {dated(view.ended)}" if view.ended else "OPEN: it lasts"
    yield f"  {'monitoring':<12}{monitored}"


def _note(note: Note, columns: int) -> Iterator[str]:
    said = f"{one_line(note.text)} ({one_line(note.by)}, {dated(note.at)})"
    yield from wrapped(said, columns, _INDENT)


# -- for a monitoring system


def check(found: Sequence[IncidentView], now: float) -> tuple[int, str]:
    """Exit code and line as Nagios and its kin have them: 0 none is open, 1 all that are open are acknowledged, 2 one is not."""
    bad = [one for one in found if is_bad(one)]
    new = [one for one in bad if not one.acknowledged_at]
    planned = sum(not one.ended and one.planned for one in found)
    numbers = f"open={len(bad)} unacknowledged={len(new)} planned={planned}"
    if not bad:
        return EXIT_OK, f"OUTAGES OK - no control is out | {numbers}"
    word, code = ("CRITICAL", EXIT_FAILED) if new else ("WARNING", EXIT_DEGRADED)
    first = min(new or bad, key=lambda one: one.began)
    oldest = min(one.began for one in bad)
    why = one_line(max(first.outages, key=_matters).reason).replace("|", "/")
    text = f"{count(len(bad), 'incident')}, oldest {age(max(0.0, now - oldest))}"
    text += f", {len(new)} unacknowledged" if new else ", acknowledged"
    return code, f"OUTAGES {word} - {text}: {first.function} on {_hosts(first)}: {why} | {numbers}"
