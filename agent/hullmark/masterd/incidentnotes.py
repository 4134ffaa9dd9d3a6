"""What people see of incidents, and what they say of them: that somebody knows of it, and what PCI DSS 10.7.3 asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Union

from hullmark.core import incidents
from hullmark.core.overview import Finding
from hullmark.errors import Conflict, InvalidInput, NotFound, Problem
from hullmark.masterd.events import Tell
from hullmark.masterd.incidents import key_of
from hullmark.masterd.repeats import Repeats, asked
from hullmark.masterd.term import Term
from hullmark.masterd.view import encode
from hullmark.model.change import Change
from hullmark.model.durations import age
from hullmark.model.incidentapi import (
    AcknowledgeRequest,
    IncidentDetail,
    IncidentList,
    IncidentNumbers,
    NoteRequest,
)
from hullmark.model.outage import (
    NOTE_LENGTH_MOST,
    NOTES,
    NOTES_MOST,
    Incident,
    IncidentRecord,
    Note,
)
from hullmark.store.protocol import Compare, Put

LISTED_MOST = 1000
REASON_SHOWN = 100
"""Characters of a reason in a line of the status; `hullmark outages show` has the whole."""


class IncidentNotes:
    """Of one term."""

    def __init__(self, term: Term, wall: Callable[[], float], tell: Tell) -> None:
        self._term, self._wall, self._tell = term, wall, tell
        self._repeats = Repeats(term.leadership, term.view)

    # -- what is seen

    def listed(
        self, *, only_open: bool, host: str, since: float, before: int, limit: int
    ) -> IncidentList:
        """The newest first. `since`: those that lasted then or later; `before`: with a lower number than that."""
        found = [
            one
            for one in self._all()
            if (not before or one.number < before)
            and not (only_open and (one.ended or one.merged_into))
            and (not host or any(each.host == host for each in one.outages.values()))
            and (not one.ended or one.ended >= since)
        ]
        found.sort(key=lambda one: -one.number)
        return IncidentList(tuple(map(incidents.view, found[:limit])), len(found) > limit)

    def shown(self, number: str) -> IncidentDetail:
        """Raises NotFound."""
        record = self._term.view.incidents.get(number)
        if record is None:
            raise _none(number)
        return IncidentDetail(incidents.view(record.incident))

    def numbers(self) -> IncidentNumbers:
        lasting = [one for one in self._all() if not one.ended and not one.merged_into]
        bad = [one for one in lasting if not one.planned]
        oldest = min(bad, key=lambda one: one.began, default=None)
        return IncidentNumbers(
            len(bad),
            sum(not one.acknowledged_at for one in bad),
            0.0 if oldest is None else max(0.0, self._wall() - oldest.began),
            len(lasting) - len(bad),
            None if oldest is None else oldest.number,
        )

    def findings(self) -> Iterable[Finding]:
        """What the status says of them, the oldest first."""
        lasting = [one for one in self._all() if not one.ended and not one.merged_into]
        for one in sorted(lasting, key=lambda one: one.began):
            text = told(one, self._wall())
            look = f"hullmark outages show {one.number}"
            if one.planned:
                yield 0, f"{text}; planned", ""
            elif one.acknowledged_at:
                yield 1, f"{text}; acknowledged by {one.acknowledged_by}", look
            else:
                yield 1, text, look  # which says how it is acknowledged

    def _all(self) -> Iterable[Incident]:
        return (record.incident for record in self._term.view.incidents.values())

    # -- what is said

    async def acknowledge(
        self, number: str, request: AcknowledgeRequest, change: Change
    ) -> IncidentDetail:
        """Raises NotFound, Conflict where somebody did."""

        def alter(incident: Incident) -> Incident:
            if incident.acknowledged_at:
                who = incident.acknowledged_by
                raise Conflict(f"incident {incident.number} was acknowledged by {who} before")
            return replace(incident, acknowledged_by=change.by, acknowledged_at=change.at)

        asked_for = ("acknowledge", "incident.acknowledged", "")
        return await self._term.whole(self._alter(number, request, change, alter, asked_for))

    async def put_note(self, number: str, request: NoteRequest, change: Change) -> IncidentDetail:
        """Raises InvalidInput, NotFound, Conflict where there are too many."""
        problems = list(_problems(request))
        if problems:
            raise InvalidInput(problems)

        def alter(incident: Incident) -> Incident:
            if len(incident.notes) >= NOTES_MOST:
                raise Conflict(f"incident {incident.number} has {NOTES_MOST} notes: no more")
            note = Note(change.at, change.by, request.topic, request.text.strip())
            return replace(incident, notes=(*incident.notes, note))

        asked_for = ("note", "incident.noted", request.topic)
        return await self._term.whole(self._alter(number, request, change, alter, asked_for))

    async def _alter(
        self,
        number: str,
        request: Union[AcknowledgeRequest, NoteRequest],
        change: Change,
        alter: Callable[[Incident], Incident],
        words: tuple[str, str, str],
    ) -> IncidentDetail:
        verb, kind, topic = words
        asked_for = asked(f"incident {verb}", number, request)
        term = self._term
        async with term.one_at_a_time:
            known = self._repeats.answer(IncidentDetail, asked_for)
            if known is not None:
                return known
            record = self._named(number)
            after = alter(record.incident)
            key = key_of(after.number)
            answer = await self._repeats.commit(
                asked_for,
                IncidentDetail(incidents.view(after)),
                change.at,
                [Compare(key, term.view.modified(key))],
                [Put(key, encode(replace(record, incident=after)))],
                subject=f"incident {after.number}",
                remedy="ask again",
            )
            term.version.bump()
        fields = {"incident": str(after.number), **({"topic": topic} if topic else {})}
        self._tell(kind, f"incident {after.number}", change, fields)
        return answer

    def _named(self, number: str) -> IncidentRecord:
        """What became of the one with this number."""
        found = self._term.view.incidents
        record = found.get(number)
        while record is not None and record.incident.merged_into:
            record = found.get(str(record.incident.merged_into))
        if record is None:
            raise _none(number)
        return record


def told(incident: Incident, now: float) -> str:
    """`incident 12, since 26 min: audit-trail on web1, web2: auditd does not run`, with the reason of what began last."""
    lasting = [one for one in incident.outages.values() if not one.ended]
    hosts = sorted({one.host for one in lasting})
    shown = ", ".join(hosts[:3]) + (f" and {len(hosts) - 3} more" if len(hosts) > 3 else "")
    lasts = age(max(0.0, now - incident.began))
    newest = max(lasting, key=lambda one: one.began, default=None)
    reason = "" if newest is None else newest.reason
    if len(reason) > REASON_SHOWN:
        reason = f"{reason[:REASON_SHOWN].rstrip()}…"
    what = f"{incident.function} on {shown}" + (f": {reason}" if reason else "")
    return f"incident {incident.number}, since {lasts}: {what}"


def _none(number: str) -> NotFound:
    return NotFound(f"there is no incident {number[:32]}", remedy="hullmark outages list --all")


def _problems(request: NoteRequest) -> Iterable[Problem]:
    if request.topic and request.topic not in NOTES:
        yield Problem("no such topic", field="topic", allowed=", ".join(NOTES))
    if not request.text.strip() or len(request.text) > NOTE_LENGTH_MOST:
        allowed = f"1 to {NOTE_LENGTH_MOST} characters"
        yield Problem(f"{len(request.text)} characters", field="text", allowed=allowed)
